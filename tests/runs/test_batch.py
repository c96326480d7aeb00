"""Many trainings after each other, with commands that only leave what a training leaves."""

import json
import sys
from pathlib import Path

import pytest

from rlgen.runs import batch
from rlgen.runs.batch import train_all

STAND_IN = """
import json, os, pathlib, sys
arguments = sys.argv[1:]
out = pathlib.Path(arguments[1] if arguments[0] == "resume" else arguments[arguments.index("--out") + 1])
out.mkdir(exist_ok=True)
(out / "config.json").write_text("{}")
(out / ".unfinished").touch()
if "stops" in arguments:
    sys.exit(130)
(out / "result.json").write_text(json.dumps([arguments[0], os.environ["OMP_NUM_THREADS"]]))
if "draws no report" in arguments:
    sys.exit(1)
(out / "report.html").write_text("")
(out / ".unfinished").unlink()
print("trained")
"""


@pytest.fixture(autouse=True)
def stand_in(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    script = tmp_path / "stand_in.py"
    script.write_text(STAND_IN)
    monkeypatch.setattr(batch, "COMMAND", (sys.executable, str(script)))


def test_every_training_is_run_in_a_folder_of_its_name_with_its_log_beside(tmp_path: Path) -> None:
    assert train_all(tmp_path, {"one": ["train"], "two": ["train"]}, jobs=2) == []
    for name in ("one", "two"):
        assert json.loads((tmp_path / name / "result.json").read_text()) == ["train", "1"]
        assert (tmp_path / f"{name}.log").read_text() == "trained\n"


def test_what_stopped_is_named_and_goes_on_and_what_is_finished_is_left_alone(tmp_path: Path) -> None:
    assert train_all(tmp_path, {"one": ["train", "stops"], "two": ["train"]}) == ["one"]
    before = (tmp_path / "two" / "result.json").stat().st_mtime_ns
    assert train_all(tmp_path, {"one": ["train", "stops"], "two": ["train"]}) == []
    assert json.loads((tmp_path / "one" / "result.json").read_text())[0] == "resume"
    assert (tmp_path / "two" / "result.json").stat().st_mtime_ns == before


def test_what_was_killed_between_its_result_and_its_report_goes_on(tmp_path: Path) -> None:
    commands = {"one": ["train", "draws no report"]}
    assert train_all(tmp_path, commands) == ["one"]
    assert (tmp_path / "one" / "result.json").exists()
    assert train_all(tmp_path, commands) == []
    assert json.loads((tmp_path / "one" / "result.json").read_text())[0] == "resume"
