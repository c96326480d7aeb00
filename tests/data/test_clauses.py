"""Instructions of BabyAI say what they ask for."""

import pytest

from rlgen.data.clauses import Clause, first_clause
from rlgen.envs import make_vec


@pytest.mark.parametrize(
    ("text", "clause"),
    [
        ("go to the red ball", Clause("go to", "red", "ball", True)),
        ("go to a ball on your left", Clause("go to", "", "ball", True)),
        ("pick up the grey object", Clause("pick up", "grey", "", True)),
        ("open the door", Clause("open", "", "door", True)),
        ("put the key in front of you next to a red box", Clause("put next to", "", "key", True)),
        ("open a green door, then go to the key", Clause("open", "green", "door", False)),
        ("go to the key after you open the door", Clause("go to", "", "key", False)),
        ("go to the key and open the door", Clause("go to", "", "key", False)),
        ("get to the green goal square", None),
        ("go to the moon", None),
        ("", None),
    ],
)
def test_the_first_clause_is_read(text: str, clause: Clause | None) -> None:
    assert first_clause(text) == clause


@pytest.mark.parametrize("task", ["GoToLocal", "ActionObjDoor", "PutNextLocal", "SynthLoc", "GoToSeq"])
def test_every_instruction_that_babyai_draws_has_a_clause(task: str) -> None:
    pytest.importorskip("minigrid")
    env = make_vec(f"BabyAI-{task}-v0", 1).envs[0]
    for seed in range(5):
        env.reset(seed=seed)
        found = first_clause(env.unwrapped.mission)
        assert found is not None
        assert found.alone == (
            task != "GoToSeq" or not any(word in env.unwrapped.mission for word in ("then", "after", "and"))
        )


def test_an_object_is_the_right_one_by_what_was_said_of_it() -> None:
    red_ball, any_ball, any_red = (first_clause(f"go to the {name}") for name in ("red ball", "ball", "red object"))
    assert red_ball.is_about("red ball")
    assert not red_ball.is_about("blue ball")
    assert not red_ball.is_about("red key")
    assert any_ball.is_about("blue ball")
    assert any_red.is_about("red key")
    assert not any_red.is_about("")
