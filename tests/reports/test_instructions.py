"""A report says which instructions a policy follows, and what it reaches instead."""

import re
from pathlib import Path

import numpy as np
import pytest

from rlgen.errors import InputError
from rlgen.reports.instructions import instruction_sections
from rlgen.reports.report import run_page
from rlgen.runs import RunFolder, evaluate
from rlgen.runs.evaluation import Evaluation
from rlgen.runs.instruction_episodes import EPISODES, InstructionEpisodes

PLAYED = InstructionEpisodes(
    instruction=[
        *("go to the red ball", "go to the red ball", "pick up a blue key", "open the door"),
        "go to the key, then open the door",
    ],
    success=[True, False, False, True, False],
    steps=[8, 20, 20, 4, 20],
    bot_steps=[4, 10, 5, None, 6],
    carried=["", "blue key", "red ball", "", ""],
    faced=["red ball", "blue ball", "blue key", "grey door", ""],
)


@pytest.fixture
def run(tmp_path: Path) -> RunFolder:
    return RunFolder.create(tmp_path / "run", {"agent": "bc", "env": "BabyAI-GoToLocal-v0"}, seed=0)


def cells(section) -> dict[str, dict[str, str]]:
    return {row.name: dict(section.table.cells(row)) for row in section.table.rows if row.kind != "group"}


def test_success_spl_and_reached_objects_by_what_is_asked_for(run: RunFolder) -> None:
    PLAYED.write(run.path)
    found = cells(instruction_sections(run)[0])
    assert found["go to"] == {"episodes": "3", "success": "33%", "SPL": "0.167", "reached": "50%"}
    assert found["pick up"] == {"episodes": "1", "success": "0%", "SPL": "0.0", "reached": "0%"}
    assert found["open"] == {"episodes": "1", "success": "100%", "SPL": "–", "reached": "100%"}
    assert found["red"] == {"episodes": "2", "success": "50%", "SPL": "0.250", "reached": "50%"}
    assert list(found) == ["go to", "pick up", "open", "door", "key", "ball", "red", "blue"]


def test_rows_are_asked_for_and_columns_reached(run: RunFolder) -> None:
    PLAYED.write(run.path)
    _, objects, colors = instruction_sections(run)
    assert cells(objects) == {
        "door": {"door": "1", "key": "0", "ball": "0"},
        "key": {"door": "0", "key": "0", "ball": "1"},
        "ball": {"door": "0", "key": "0", "ball": "2"},
    }
    assert cells(colors) == {"red": {"red": "1", "blue": "1"}, "blue": {"red": "1", "blue": "0"}}


def test_where_objects_are_not_known_only_success_is_shown(run: RunFolder) -> None:
    InstructionEpisodes(instruction=["go to the red ball"], success=[True], steps=[3]).write(run.path)
    (section,) = instruction_sections(run)
    assert cells(section)["go to"] == {"episodes": "1", "success": "100%"}


def test_the_page_has_the_tables_and_other_runs_have_none(run: RunFolder) -> None:
    assert instruction_sections(run) == []
    assert "Asked and reached" not in run_page(run).html()
    PLAYED.write(run.path)
    text = re.sub(r"<[^>]+>|\s+", " ", run_page(run).html())
    assert "Asked and reached object" in text
    InstructionEpisodes(instruction=["get to the green goal square"], success=[True], steps=[3]).write(run.path)
    assert not any(instruction_sections(run)), "a mission of another grammar"


def test_episodes_survive_their_file_and_damaged_ones_are_refused(run: RunFolder) -> None:
    PLAYED.write(run.path)
    assert InstructionEpisodes.read(run.path) == PLAYED
    (run / EPISODES).write_text('{"instruction": ["go"], "success": [true], "steps": [1, 2]}')
    with pytest.raises(InputError, match="columns of as many episodes"):
        InstructionEpisodes.read(run.path)
    (run / EPISODES).write_text('{"instruction": ["go"], "success": ["yes"], "steps": [1]}')
    with pytest.raises(InputError, match="success"):
        InstructionEpisodes.read(run.path)


def test_an_evaluation_notes_the_objects_that_its_agents_reach() -> None:
    pytest.importorskip("minigrid")
    from rlgen.envs import make_vec
    from rlgen.sb3 import BabyAIBot

    env = make_vec("BabyAI-ActionObjDoor-v0", 2)
    played = evaluate(BabyAIBot(env), env, 8, seed=3, label=None)
    found = InstructionEpisodes.of(played, env, 3)
    assert found.bot_steps == found.steps
    for text, carried, faced in zip(found.instruction, found.carried, found.faced, strict=True):
        assert (carried if text.startswith("pick") else faced) in text
    assert InstructionEpisodes.of(Evaluation(np.ones(1), np.ones(1), np.ones(1)), env, 3) is None
