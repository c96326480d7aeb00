"""`rlgen train image --model air`: scattered digits, the share that is counted right, and a run that goes on."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rlgen.agents import cli
from rlgen.agents.commands.train_image import settings_of
from rlgen.data import ImageSet
from rlgen.data.scattered import SEEDS, scattered
from rlgen.errors import InputError
from rlgen.runs import Result, load_image_model, read_metrics

OPTIONS = """--data digits --seed 3 --threads 1 --device cpu --batch-size 16 --log-every 2 --evaluate-every 4
--checkpoint-every 4 --classifier none --measured 40 --importance-samples 2"""
SMALL = "--model air --air.latent 2 --air.hidden 8 --air.window-hidden 8 --air.warmup 3"


def train(out: Path, options: str) -> int:
    return cli.main(["train", "image", *OPTIONS.split(), *options.split(), "--out", str(out)])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("scattered") / "run"
    assert train(out, f"{SMALL} --steps 6") == 0
    return out


def test_digits_are_scattered_without_an_option_and_counted_at_the_end(run: Path) -> None:
    metrics, model = Result.read(run).metrics, load_image_model(run)
    assert metrics["data"] == "digits, 0 to 2 on 20 × 20"
    test = scattered(ImageSet.load("digits", "test"), 2, seed=SEEDS["test"])
    right = (model.count(test.floats()) == test.labels).float().mean().item()
    assert metrics["count_accuracy"] == pytest.approx(right)
    assert "evaluation/count_accuracy" in read_metrics(run)
    assert json.loads((run / "data.json").read_text())["test"]["n"] == len(test)


def test_the_report_shows_frames_around_objects(run: Path) -> None:
    page = (run / "report.html").read_text()
    assert {path.stem for path in run.glob("*.png")} == {"samples", "reconstructions", "objects", "stages"}
    assert "a frame around each object" in page
    assert "Objects counted right" in page
    assert "Objects found per training image" in page


def test_evaluating_it_again_gives_the_same_numbers(run: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["evaluate", str(run), "--out", str(run / "again.json")]) == 0
    again = json.loads((run / "again.json").read_text())
    metrics = Result.read(run).metrics
    assert {name: again[name] for name in ("count_accuracy", "elbo", "nll")} == {
        name: metrics[name] for name in ("count_accuracy", "elbo", "nll")
    }


def test_a_stopped_run_goes_on_bit_for_bit(run: Path, tmp_path: Path) -> None:
    assert train(tmp_path / "run", f"{SMALL} --steps 4") == 0
    assert cli.main(["resume", str(tmp_path / "run"), "--steps", "6"]) == 0
    one, two = (load_file(each / "model.safetensors") for each in (run, tmp_path / "run"))
    assert all(torch.equal(one[name], two[name]) for name in one)


def test_any_model_learns_scattered_images_if_asked(tmp_path: Path) -> None:
    options = "--model vae --vae.latent 2 --vae.hidden 4 --steps 2 --scatter 1 --canvas 12"
    assert train(tmp_path / "run", options) == 0
    assert load_image_model(tmp_path / "run").shape.chw == (1, 12, 12)
    assert "count_accuracy" not in Result.read(tmp_path / "run").metrics


def test_a_model_that_finds_objects_takes_images_as_they_are_with_scatter_0(tmp_path: Path) -> None:
    assert settings_of("air")(scatter=0, out=tmp_path).images("test").shape == (1, 8, 8)
    assert settings_of("air")(out=tmp_path).objects == 2
    assert settings_of("vae")(out=tmp_path).objects == 0


@pytest.mark.parametrize("settings", [{"scatter": -1}, {"canvas": 12}, {"scatter": 2, "canvas": 0}], ids=str)
def test_a_canvas_of_nothing_and_a_negative_number_are_refused(settings: dict, tmp_path: Path) -> None:
    with pytest.raises(InputError):
        settings_of("vae")(**settings, out=tmp_path)
