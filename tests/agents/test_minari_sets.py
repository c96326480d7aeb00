"""Minari's data sets by id: downloaded by its client, and wherever demonstrations are expected."""

import json
import os
from pathlib import Path

import numpy as np
import pytest

from rlgen.agents import cli
from rlgen.data import Demonstrations
from rlgen.runs import RunFolder

minari = pytest.importorskip("minari")
NAME = "point/expert-v0"


@pytest.fixture(autouse=True)
def sets(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder of Minari's data sets on this disk; empty."""
    monkeypatch.setenv("MINARI_DATASETS_PATH", str(tmp_path / "sets"))
    return tmp_path / "sets"


@pytest.fixture
def no_client(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(name: str) -> None:
        raise AssertionError(f"{name} is on this disk")

    monkeypatch.setattr(minari, "download_dataset", refuse)


def fill(folder: Path, demonstrations: Demonstrations) -> None:
    """Write the data set by Minari's own storage."""
    folder.parent.mkdir(parents=True)
    (folder.parent / "namespace_metadata.json").write_text("{}")
    demonstrations.save(folder, "minari")


def rlgen(*words: object) -> int:
    return cli.main([str(word) for word in words])


def test_what_is_downloaded_is_written_as_a_file(
    sets: Path, tmp_path: Path, point_demonstrations: Demonstrations, monkeypatch: pytest.MonkeyPatch, capsys
) -> None:
    asked = []

    def client(name: str) -> None:
        asked.append(name)
        print("Downloading")
        fill(sets / name, point_demonstrations)

    monkeypatch.setattr(minari, "download_dataset", client)
    for out in ("once.npz", "twice.npz"):
        assert rlgen("demos", "fetch", f"minari:{NAME}", "--out", tmp_path / out) == 0
    assert asked == [NAME]
    found = Demonstrations.load(tmp_path / "once.npz")
    assert np.array_equal(found.observations, point_demonstrations.observations)
    assert (found.env_id, found.metadata["minari_id"]) == ("PointWorld-v0", NAME)
    assert "Downloading" not in capsys.readouterr().out


def test_a_download_that_fails_leaves_nothing(sets: Path, monkeypatch: pytest.MonkeyPatch, capsys) -> None:
    def client(name: str) -> None:
        (sets / name / "data").mkdir(parents=True)
        raise ConnectionError("cut in\nthe middle")

    monkeypatch.setattr(minari, "download_dataset", client)
    assert rlgen("demos", "fetch", NAME) == cli.INPUT_ERROR
    assert "got ConnectionError: cut in the middle; check the name" in capsys.readouterr().err
    assert not (sets / NAME).exists()
    monkeypatch.setattr(minari, "download_dataset", lambda name: None)
    assert rlgen("demos", "fetch", NAME) == cli.INPUT_ERROR
    assert "nothing there after the download" in capsys.readouterr().err


def test_a_file_that_exists_is_refused_before_the_download(tmp_path: Path, no_client: None, capsys) -> None:
    (tmp_path / "mine.npz").write_text("precious")
    assert rlgen("demos", "fetch", NAME, "--out", tmp_path / "mine.npz") == cli.INPUT_ERROR
    assert "add --overwrite" in capsys.readouterr().err


def test_an_id_stands_wherever_demonstrations_do(
    sets: Path, tmp_path: Path, point_demonstrations: Demonstrations, no_client: None, rlgen_train, capsys
) -> None:
    fill(sets / NAME, point_demonstrations)
    assert rlgen("demos", "fetch", f"minari:{NAME}") == 0
    assert f"minari:{NAME}: {point_demonstrations.n_episodes} episodes" in capsys.readouterr().out
    assert rlgen("demos", "inspect", f"minari:{NAME}") == 0
    assert f"minari:{NAME}" in capsys.readouterr().out
    assert rlgen("demos", "convert", f"minari:{NAME}", tmp_path / "ours.npz") == 0
    assert Demonstrations.load(tmp_path / "ours.npz").n_episodes == point_demonstrations.n_episodes
    assert rlgen_train("bc", "--demos", f"minari:{NAME}") == 0
    run = RunFolder.open(tmp_path / "run")
    assert run.config["demos"] == os.fspath(Path(f"minari:{NAME}"))
    assert Demonstrations.load(run / "demonstrations.npz").metadata["minari_id"] == NAME


def test_a_training_names_the_command_that_downloads_its_demonstrations(rlgen_train, tmp_path: Path, capsys) -> None:
    assert rlgen_train("bc", "--demos", f"minari:{NAME}") == cli.INPUT_ERROR
    assert f"download it: rlgen demos fetch minari:{NAME}" in capsys.readouterr().err
    assert not (tmp_path / "run").exists()


def test_a_data_set_whose_download_was_interrupted_is_refused(
    sets: Path, point_demonstrations: Demonstrations, no_client: None, capsys
) -> None:
    """A killed client leaves a folder with the metadata and a part of the episodes."""
    fill(sets / NAME, point_demonstrations)
    described = json.loads((sets / NAME / "data/metadata.json").read_text())
    described["total_episodes"] = point_demonstrations.n_episodes + 1
    (sets / NAME / "data/metadata.json").write_text(json.dumps(described))
    assert rlgen("demos", "fetch", NAME) == cli.INPUT_ERROR
    assert "an interrupted download or copy leaves less: remove" in " ".join(capsys.readouterr().err.split())
