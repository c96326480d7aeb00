"""`rlgen train image` of models whose likelihood is exact: its name in the report, and the resumed run."""

import json
from pathlib import Path

import pytest

from rlgen.agents import cli
from rlgen.runs import RunFolder, load_image_model

OPTIONS = """--data digits --threads 1 --device cpu --batch-size 16 --steps 4 --measured 40 --evaluate-every 2
--checkpoint-every 2 --classifier none"""
SIZES = {"pixelcnn": "--pixelcnn.width 4 --pixelcnn.depth 1", "pixelrnn": "--pixelrnn.width 4 --pixelrnn.lstm row"}


def train(model: str, out: Path, *more: str) -> int:
    return cli.main(
        ["train", "image", "--model", model, *OPTIONS.split(), *SIZES[model].split(), *more, "--out", str(out)]
    )


@pytest.mark.parametrize("model", SIZES)
def test_a_run_shows_the_exact_likelihood_and_completions(
    model: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    out = tmp_path / "run"
    assert train(model, out) == 0
    measured = json.loads((out / "result.json").read_text())["metrics"]
    assert 0 < measured["nll"] < 100
    assert measured["nll_of"] == measured["compared_with"] == "digits, binarized with seed 0", "samples are binary, too"
    assert not {"elbo", "nll_importance_samples", "bits_per_dimension"} & set(measured)
    shown = {metric.name: metric for metric in RunFolder.open(out).display.results}
    assert shown["nll"].unit == "nats"
    assert shown["bits_per_dimension"].unit == ""
    page = (out / "report.html").read_text()
    assert "nats at most" not in page + capsys.readouterr().out
    assert "eight completions of it" in page
    assert (out / "completions.png").is_file()
    assert load_image_model(out).sample(2).shape == (2, 1, 8, 8)


def test_levels_have_exact_bits_per_dimension(tmp_path: Path) -> None:
    out = tmp_path / "run"
    assert train("pixelcnn", out, "--pixelcnn.likelihood", "logistic", "--pixelcnn.mixture", "2") == 0
    measured = json.loads((out / "result.json").read_text())["metrics"]
    assert measured["bits_per_dimension"] == pytest.approx(measured["nll"] / (64 * 0.6931472))
    assert measured["nll_of"] == "digits"
