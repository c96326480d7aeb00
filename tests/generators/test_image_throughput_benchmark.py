"""The throughput benchmark of image models compares like with like and measures in turns."""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import pytest
import torch

from rlgen.generators import DCGAN, ImageShape

FOLDER = Path(__file__).parents[2] / "experiments" / "benchmarks"


@pytest.fixture
def load(monkeypatch):
    """Imports a script of the folder by name."""
    monkeypatch.syspath_prepend(str(FOLDER))  # they import `steps_per_update` from beside them

    def imported(name):
        spec = importlib.util.spec_from_file_location(f"benchmark_{name}", FOLDER / f"{name}.py")
        module = importlib.util.module_from_spec(spec)
        monkeypatch.setitem(sys.modules, spec.name, module)  # dataclasses look their module up there
        spec.loader.exec_module(module)
        return module

    return imported


def test_the_plain_dcgan_has_the_networks_of_rlgens(load):
    plain, own = load("plain_dcgan"), DCGAN(ImageShape(channels=1, height=28, width=28, n_classes=10))
    generator, discriminator = plain.make_generator(), plain.make_discriminator()
    for theirs, ours in ((generator, own.generator), (discriminator, own.discriminator)):
        theirs.load_state_dict(dict(zip(theirs.state_dict(), ours.state_dict().values(), strict=True)))
    latents = torch.randn(5, 100)
    images = own.generator(latents)
    torch.testing.assert_close(generator(latents[..., None, None]), 2 * images - 1)
    torch.testing.assert_close(discriminator(2 * images - 1), own.logit(images))


def test_contenders_take_turns_and_are_compared_within_each(load, tmp_path):
    race = load("image_throughput")
    np.save(tmp_path / "images.npy", np.random.default_rng(0).integers(0, 256, (200, 1, 28, 28), np.uint8))
    sides = [
        race.Contender("plain", "plain_dcgan.py", ("--images", str(tmp_path / "images.npy"))),
        race.Contender("own", "own_images.py", ("vae", "--data", "digits")),
    ]
    lines = list(race.race(sides, turns=2, updates=2, warm_up=1, cuda=False))
    assert [(line["contender"], line["turn"]) for line in lines] == [("plain", 0), ("own", 0), ("plain", 1), ("own", 1)]
    for peer, own in (lines[:2], lines[2:]):
        assert peer["ratio"] == peer["cpu_ratio"] == 1
        assert own["ratio"] == pytest.approx(own["images_per_second"] / peer["images_per_second"], rel=1e-2)
        assert own["peak_memory_mib"] > 50


def test_a_contender_that_cannot_start_is_an_error_that_says_why(load):
    race = load("image_throughput")
    side = race.Contender("plain", "plain_dcgan.py", ("--images", "nowhere.npy"))
    with pytest.raises(SystemExit, match=r"nowhere\.npy"):
        list(race.race([side], turns=1, updates=1, warm_up=1, cuda=False))
