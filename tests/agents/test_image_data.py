"""A run with an image model never goes on with other images."""

import gzip
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from rlgen.agents import cli
from rlgen.agents.commands.image_training import ImageTraining
from rlgen.agents.commands.train_image import TrainImage
from rlgen.runs import Result, RunFolder

OPTIONS = """--threads 1 --device cpu --batch-size 8 --steps 4 --checkpoint-every 2 --measured 10 --importance-samples 2
--classifier none --vae.latent 2 --vae.hidden 4"""


class PowerCut(BaseException):
    pass


def write_mnist(folder: Path, seed: int = 0) -> None:
    rng = np.random.default_rng(seed)
    for prefix, count in (("train", 40), ("t10k", 10)):
        images = rng.integers(256, size=(count, 6, 5), dtype=np.uint8)
        labels = np.arange(count, dtype=np.uint8) % 5
        pixels = struct.pack(">4I", 0x803, *images.shape) + images.tobytes()
        (folder / f"{prefix}-images-idx3-ubyte.gz").write_bytes(gzip.compress(pixels))
        (folder / f"{prefix}-labels-idx1-ubyte").write_bytes(struct.pack(">2I", 0x801, count) + labels.tobytes())


@pytest.fixture
def cut_short(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A run from a folder that was named from where it lies, before its end."""
    (tmp_path / "here" / "data").mkdir(parents=True)
    write_mnist(tmp_path / "here" / "data")

    def cut(*arguments: Any) -> None:
        raise PowerCut

    with monkeypatch.context() as patch:
        patch.chdir(tmp_path / "here")
        patch.setattr(ImageTraining, "finish", cut)
        with pytest.raises(PowerCut):
            cli.main(["train", "image", "--data", "data", *OPTIONS.split(), "--out", str(tmp_path / "run")])
    return tmp_path / "run"


def test_a_run_is_resumed_from_another_folder(cut_short: Path) -> None:
    assert RunFolder.open(cut_short).config["data"] == str(cut_short.parent / "here" / "data")
    assert cli.main(["resume", str(cut_short)]) == 0
    assert Result.read(cut_short).metrics["data"] == "data"


@pytest.mark.parametrize("command", ["resume", "evaluate"])
def test_other_images_at_the_same_place_are_refused(
    command: str, cut_short: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    if command == "evaluate":
        assert cli.main(["resume", str(cut_short)]) == 0
    write_mnist(cut_short.parent / "here" / "data", seed=1)
    assert cli.main([command, str(cut_short)]) == 2
    error = " ".join(capsys.readouterr().err.split())
    assert "expected the train images of the run, 40 of data with the sha256" in error
    assert "or train again in another folder" in error


def test_a_run_that_noted_no_images_goes_on(cut_short: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (cut_short / "data.json").unlink()
    assert cli.main(["resume", str(cut_short)]) == 0
    assert "has no record of its images" in " ".join(capsys.readouterr().err.split())


def test_a_kept_classifier_is_recorded_by_its_whole_path(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    config = TrainImage(out=Path("run"), classifier="kept.json")
    assert config.recorded()["classifier"] == str(tmp_path / "kept.json")
    assert config.recorded()["data"] == "digits"
