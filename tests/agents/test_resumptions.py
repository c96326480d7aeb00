"""What a resumed run notes of its sittings."""

import logging
from pathlib import Path

import pytest

from rlgen.agents.commands.runner import record_resume
from rlgen.runs import RunFolder
from rlgen.system import versions


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> RunFolder:
    monkeypatch.setattr(versions, "checkout_commit", lambda: "abc")
    return RunFolder.create(tmp_path / "run", {"agent": "gail"})


def test_a_sitting_like_the_start_is_noted_without_a_warning(folder: RunFolder, caplog) -> None:
    began = folder.versions
    caplog.set_level(logging.WARNING, "rlgen")
    assert record_resume(folder, "cpu") == {}
    assert record_resume(folder, "cpu") == {}
    noted = folder.versions
    assert len(noted.pop("sittings")) == 2
    assert noted == began
    assert caplog.text == ""


def test_a_sitting_of_other_versions_warns_of_them(folder: RunFolder, caplog, monkeypatch) -> None:
    packages = {**folder.versions["packages"], "torch": "99.0"}
    monkeypatch.setattr(versions, "package_versions", lambda: packages)
    monkeypatch.setattr(versions, "checkout_commit", lambda: "def")
    old = folder.versions["packages"]["torch"]
    caplog.set_level(logging.WARNING, "rlgen")
    assert record_resume(folder, "cpu") == {"git_commit": ["abc", "def"], "torch": [old, "99.0"]}
    assert f"torch {old} -> 99.0" in caplog.text
    assert folder.versions["packages"]["torch"] == old, "the start stays on record"
    assert folder.versions["sittings"][0]["changed"]["git_commit"] == ["abc", "def"]
