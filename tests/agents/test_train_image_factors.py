"""`rlgen train image --model dc_ign`: images with known factors, R² of its latents, and a run that goes on."""

import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from rlgen.agents import cli
from rlgen.agents.commands.image_checks import as_seen
from rlgen.agents.factor_metrics import factor_r2
from rlgen.data import ImageSet
from rlgen.runs import Result, load_image_model, read_metrics

OPTIONS = """--model dc_ign --data digits --seed 3 --threads 1 --device cpu --batch-size 24 --log-every 2
--evaluate-every 4 --checkpoint-every 4 --classifier none --measured 40 --dc-ign.latent 2 --dc-ign.width 2
--dc-ign.hidden 4 --dc-ign.minibatch 8"""
OF_FACTORS = {"rotation_r2", "light_r2", "light_from_rotation_r2", "rotation_from_light_r2", "class_from_rotation_r2",
              "class_from_light_r2", "rotation_from_intrinsic_r2", "light_from_intrinsic_r2"}  # fmt: skip


def train(out: Path, options: str) -> int:
    return cli.main(["train", "image", *OPTIONS.split(), *options.split(), "--out", str(out)])


@pytest.fixture(scope="module")
def run(tmp_path_factory: pytest.TempPathFactory) -> Path:
    out = tmp_path_factory.mktemp("factors") / "run"
    assert train(out, "--steps 6") == 0
    return out


def test_the_result_has_r2_of_every_factor_from_its_own_and_from_other_latents(run: Path) -> None:
    metrics = Result.read(run).metrics
    assert metrics.keys() >= OF_FACTORS
    assert all(metrics[name] <= 1 for name in OF_FACTORS)
    train_set, test_set = (ImageSet.load("digits", split) for split in ("train", "test"))
    again = factor_r2(load_image_model(run), train_set, test_set, 40)
    assert again == pytest.approx({name: metrics[name] for name in OF_FACTORS})
    assert {"evaluation/rotation_r2", "evaluation/light_r2"} <= read_metrics(run).keys()
    assert "rotation by its latent" in (run / "report.html").read_text().lower()
    assert metrics["compared_with"] == "digits, with random rotation and light"


def test_images_are_seen_with_the_same_random_factors_each_time(run: Path) -> None:
    model, test = load_image_model(run), ImageSet.load("digits", "test")
    one, two = as_seen(test, model, "none"), as_seen(test, model, "none")
    assert torch.equal(one.images, two.images)
    assert not torch.equal(one.images, test.images)
    assert one.images.dtype == torch.uint8
    assert set(as_seen(test, load_image_model(run), "fixed").name.split(", ")) >= {"binarized with seed 0"}


def test_evaluating_it_again_gives_the_same_numbers(run: Path) -> None:
    assert cli.main(["evaluate", str(run), "--out", str(run / "again.json")]) == 0
    again, metrics = json.loads((run / "again.json").read_text()), Result.read(run).metrics
    assert {name: again[name] for name in OF_FACTORS} == {name: metrics[name] for name in OF_FACTORS}


def test_a_stopped_run_goes_on_bit_for_bit(run: Path, tmp_path: Path) -> None:
    assert train(tmp_path / "run", "--steps 4") == 0
    assert cli.main(["resume", str(tmp_path / "run"), "--steps", "6"]) == 0
    one, two = (load_file(each / "model.safetensors") for each in (run, tmp_path / "run"))
    assert all(torch.equal(one[name], two[name]) for name in one)
