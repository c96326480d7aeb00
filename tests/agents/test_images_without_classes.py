"""Images without classes, and equal images, are learned, and measured without a classifier."""

from pathlib import Path

import numpy as np

from rlgen.agents import cli
from rlgen.runs import Result

OPTIONS = """--model gan --threads 1 --device cpu --batch-size 8 --steps 2 --measured 10 --gan.latent 2
--gan.generator-hidden 4 --gan.discriminator-hidden 4"""


def test_the_report_of_images_without_classes_says_what_is_not_measured(tmp_path: Path) -> None:
    np.save(tmp_path / "noise.npy", np.random.default_rng(0).integers(256, size=(50, 6, 6), dtype=np.uint8))
    out = tmp_path / "run"
    assert cli.main(["train", "image", *OPTIONS.split(), "--data", f"{tmp_path}/noise.npy", "--out", str(out)]) == 0
    metrics = Result.read(out).metrics
    assert "got images without classes in noise" in metrics["not_measured"]
    assert "fid" not in metrics
    assert (out / "report.html").read_text().count("got images without classes in noise") == 1


def test_of_equal_images_the_relative_standard_deviation_is_left_out(tmp_path: Path) -> None:
    np.savez(tmp_path / "grey.npz", images=np.full((50, 6, 6), 128, np.uint8), labels=np.arange(50) % 2)
    given = ["train", "image", *OPTIONS.split(), "--evaluate-every", "1", "--data", str(tmp_path / "grey.npz")]
    assert cli.main([*given, "--classifier", "none", "--out", str(tmp_path / "run")]) == 0
    metrics = Result.read(tmp_path / "run").metrics
    assert "parzen" in metrics
    assert "relative_std" not in metrics
