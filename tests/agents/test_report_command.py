"""`rlgen report` writes one run's page into the run, and a comparison where it is asked to."""

from pathlib import Path

import pytest

from rlgen.agents import cli
from rlgen.runs import RunFolder


def make_run(path: Path, agent: str) -> Path:
    """A run that has only just started."""
    RunFolder.create(path, {"agent": agent, "env": "Ant-v5"}, seed=0)
    return path


def test_one_runs_page_lies_in_the_run(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    run = make_run(tmp_path / "ant", "gail")
    assert cli.main(["report", str(run)]) == 0
    assert "GAIL on Ant-v5" in (run / "report.html").read_text()
    assert str(run / "report.html") in capsys.readouterr().err


def test_several_runs_become_one_comparison_in_the_present_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runs = [str(make_run(tmp_path / agent, agent)) for agent in ("gail", "bc")]
    monkeypatch.chdir(tmp_path)
    assert cli.main(["report", *runs, "--title", "Adversary against regression"]) == 0
    assert "Adversary against regression" in (tmp_path / "comparison.html").read_text()
    assert not (tmp_path / "gail" / "report.html").exists()


def test_a_comparison_that_exists_is_replaced_only_when_asked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    run, page = str(make_run(tmp_path / "ant", "gail")), tmp_path / "comparison.html"
    page.write_text("precious")
    monkeypatch.chdir(tmp_path)
    for arguments in ([run, run], [run, "--out", "comparison.html"]):
        assert cli.main(["report", *arguments]) == 2
        assert "add --overwrite" in capsys.readouterr().err
    assert page.read_text() == "precious"
    assert cli.main(["report", run, "--out", "comparison.html", "--overwrite"]) == 0
    assert "GAIL on Ant-v5" in page.read_text()
    assert cli.main(["report", run]) == cli.main(["report", run]) == 0, "a run's own page is written anew"


def test_a_folder_that_is_no_run_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report", str(tmp_path)]) == 2
    assert "without config.json" in capsys.readouterr().err


def test_no_folder_at_all_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["report"]) == 2
    assert "at least one run folder" in capsys.readouterr().err
