"""Run folders from elsewhere, or damaged: every command says in three parts what is wrong with which file."""

import json
import shutil
import time
from pathlib import Path
from typing import Any

import pytest

from rlgen.agents import cli
from rlgen.agents.commands import subject as subjects
from rlgen.errors import InputError
from rlgen.runs import Result, RunFolder
from rlgen.runs.config import from_json

OTHERS: list[Any] = [[], 3, None, "text", {"n": []}]


@pytest.fixture(scope="module")
def finished(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("finished") / "run"
    small = "--steps 64 --n-envs 2 --learner.n-steps 16 --learner.batch-size 32 --learner.hidden 4 --episodes 2"
    fixed = "--env Pendulum-v1 --no-video --evaluate-every 0 --device cpu --threads 1"
    assert cli.main(["train", "rl", *f"{fixed} {small}".split(), "--out", str(out)]) == 0
    return out


@pytest.fixture
def run(finished: Path, tmp_path: Path) -> Path:
    return shutil.copytree(finished, tmp_path / "run")


def refused(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> str:
    capsys.readouterr()
    assert cli.main(arguments) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "error: expected" in error
    assert "; got " in error
    return error


def changed(path: Path, **entries: Any) -> None:
    path.write_text(json.dumps({**json.loads(path.read_text()), **entries}))


@pytest.mark.parametrize("name", ["result.json", "versions.json", "config.json"])
def test_files_of_other_types_are_named(run: Path, name: str, capsys: pytest.CaptureFixture[str]) -> None:
    for other in OTHERS[:4]:
        (run / name).write_text(json.dumps(other))
        assert name in refused(["report", str(run)], capsys)
        if name != "versions.json":
            assert name in refused(["evaluate", str(run)], capsys)
    (run / "result.json").unlink()
    if name != "result.json":
        assert name in refused(["resume", str(run)], capsys)


def test_settings_of_other_types_are_named(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (run / "result.json").unlink()
    kept = (run / "config.json").read_text()
    for name in ("agent", "env", "steps", "n_envs", "learner", "seed", "video", "threads", "backend"):
        for other in ([], {"x": 1}, "text" if name not in ("env", "agent") else 7):
            (run / "config.json").write_text(kept)
            changed(run / "config.json", **{name: other})
            error = refused(["resume", str(run)], capsys)
            assert name in error or "LearnerConfig" in error


def test_entries_of_a_result_of_other_types_are_named(tmp_path: Path) -> None:
    for other in OTHERS:
        if isinstance(other, dict):
            other = list(other)
        (tmp_path / "result.json").write_text(json.dumps({"agent": other}))
        with pytest.raises(InputError, match=r"result"):
            Result.read(tmp_path)


def test_a_result_whose_numbers_are_texts_is_refused(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    changed(run / "result.json", return_mean="high")
    assert "return_mean" in refused(["report", str(run)], capsys)
    assert "return_mean" in refused(["evaluate", str(run)], capsys)


def test_a_file_cannot_ask_for_more_episodes_than_anybody_waits_for(
    run: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    changed(run / "result.json", episodes=10**12)
    before = time.monotonic()
    assert "give --episodes" in refused(["evaluate", str(run)], capsys)
    assert time.monotonic() - before < 20
    assert cli.main(["evaluate", str(run), "--episodes", "1"]) == 0


def test_a_link_out_of_a_run_reaches_no_command(run: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    secret = tmp_path / "secret.mp4"
    secret.write_bytes(b"secret")
    (run / "video.mp4").symlink_to(secret)
    for command in ("report", "evaluate", "resume"):
        assert "the link video.mp4" in refused([command, str(run)], capsys)


def test_a_copy_of_a_finished_run_is_left_as_it_is(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for path in run.iterdir():
        path.touch()  # a copy has the order of its directory
    before = {path: path.read_bytes() for path in run.rglob("*") if path.is_file()}
    assert cli.main(["resume", str(run)]) == 0
    assert "finished already" in capsys.readouterr().err
    assert {path: path.read_bytes() for path in run.rglob("*") if path.is_file()} == before


def test_a_state_of_another_agent_is_named_with_its_checkpoint(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    RunFolder.open(run).begin()
    kept = json.loads((run / "config.json").read_text())
    changed(run / "config.json", learner={**kept["learner"], "hidden": [5]})
    error = refused(["resume", str(run)], capsys)
    assert "000000000064" in error
    assert "size mismatch" in error


def test_values_of_the_right_type_pass() -> None:
    subject = subjects.Subject(saved=Path("a.zip"), env="Ant-v5")
    assert from_json(subjects.Subject, {"saved": "a.zip", "env": "Ant-v5", "random_return": 3}) == subjects.Subject(
        saved=Path("a.zip"), env="Ant-v5", random_return=3
    )
    assert subject.episodes == 50
    for wrong in (
        {"saved": "a.zip", "env": None},
        {"saved": 3, "env": "x"},
        {"saved": "a", "env": "x", "episodes": True},
        {},
    ):
        with pytest.raises(InputError):
            from_json(subjects.Subject, wrong)
