"""States that were saved before a task had a setting."""

from dataclasses import dataclass

import pytest

from rlgen.envs import make_vec
from rlgen.envs.ant import Ant
from rlgen.errors import InputError
from rlgen.sim.made_as import require_same_settings, without_defaults


def test_a_state_from_before_a_setting_is_one_of_its_default() -> None:
    env = make_vec("rlgen/SparseAnt-v0", 1, seed=0)
    env.reset()
    state = env.state_dict()
    whole = state["sim"]["made_as"]
    assert "end_on_back=False" in whole
    state["sim"]["made_as"] = whole.replace(", end_on_back=False", "").replace("action_repeat=1, ", "")
    env.load_state_dict(state)
    for kwargs in ({"end_on_back": True}, {"action_repeat": 2}, {"goal_x": 4.0}):
        with pytest.raises(InputError, match="make the environment with the same arguments"):
            make_vec("rlgen/SparseAnt-v0", 1, env_kwargs=kwargs).load_state_dict(state)


@dataclass(frozen=True, kw_only=True)
class Named(Ant):
    """A task with settings whose names end alike, and with a text."""

    skip: int = 5
    limits: tuple[tuple[float, float], ...] = ((0.0, 1e-5),)
    label: str = "a) skip=5, (b"


@pytest.mark.parametrize("changed", [{}, {"frame_skip": 2}, {"skip": 2}, {"frame_skip": 2, "skip": 3}])
def test_settings_whose_names_end_alike_are_apart(changed: dict[str, int]) -> None:
    task, kept = Named(**changed), ", ".join(f"{name}={value}" for name, value in changed.items())
    assert without_defaults(task, f"3 × {task!r}, time limit 9") == f"3 × Named({kept}), time limit 9"


def test_texts_and_tuples_are_settings_as_a_whole() -> None:
    task, other = Named(label="skip=5, (", limits=((0.0, 2.0),)), Named()
    assert without_defaults(task, repr(task)) == "Named(limits=((0.0, 2.0),), label='skip=5, (')"
    require_same_settings(other, repr(other), "Named(skip=5, limits=((0.0, 1e-5),))")
    with pytest.raises(InputError, match="a state of Named"):
        require_same_settings(other, repr(other), repr(task))


@pytest.mark.parametrize("text", ["", "Named(", "Named(skip=5", "Named(skip=5, ;)", "Ant(skip=5)", "Named(\0)", "('"])
def test_other_texts_stay_as_they_are(text: str) -> None:
    assert without_defaults(Named(), text) == text
