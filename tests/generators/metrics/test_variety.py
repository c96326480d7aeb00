"""The variety of samples, and when they count as collapsed. The extractor's features and classes are known."""

import csv
from pathlib import Path

import pytest
import torch
from torch import Tensor

from rlgen.generators.metrics.variety import FEWEST, collapse, progressed, relative_std, variety

RESULTS = Path(__file__).parents[3] / "experiments" / "image_models" / "mnist" / "results.csv"
COLLAPSED = {"began", "nice", "nice-of-equal-size", "fgan-f-reverse-kl", "fgan-f-neyman", "gran-5-steps"}
"""Agents of these results that collapsed, besides the earlier defaults."""


class Corners:
    """Features are the four pixels; the class is the brightest of them."""

    name, hash = "corners", "c0ffee"

    def features(self, images: Tensor) -> Tensor:
        return images.flatten(1)

    def probs(self, images: Tensor) -> Tensor:
        return torch.nn.functional.one_hot(images.flatten(1).argmax(1), 4).float()


def images(seed: int, count: int = FEWEST) -> Tensor:
    return torch.rand(count, 1, 2, 2, generator=torch.Generator().manual_seed(seed))


def test_the_standard_deviation_of_equal_images_is_zero_and_of_halved_contrast_a_half() -> None:
    real = images(0)
    assert relative_std(real, real[:1].expand_as(real)) == 0
    assert relative_std(real, real) == pytest.approx(1)
    assert relative_std(real, 0.25 + real / 2) == pytest.approx(0.5)


def test_a_standard_deviation_relative_to_equal_images_is_left_out() -> None:
    for real in (torch.zeros(FEWEST, 1, 2, 2), torch.full((FEWEST, 1, 2, 2), 128 / 255)):
        assert relative_std(real, images(0)) is None
        found = variety(real, images(0), None)
        assert found == {}
        assert collapse(found, "train for longer") is None
        assert not progressed(found, found)
    nearly = torch.zeros(FEWEST, 1, 2, 2)
    nearly[0, 0, 0, 0] = 1 / 255
    assert relative_std(nearly, nearly) == pytest.approx(1)


def test_samples_of_the_data_s_distribution_have_not_collapsed() -> None:
    found = variety(images(0), images(1), Corners())
    assert (found["modes_hit"], found["modes_hit_real"]) == (4, 4)
    assert found["recall"] > 0.5
    assert collapse(found, "train for longer") is None


def test_equal_samples_a_low_recall_and_few_classes_are_each_named() -> None:
    real = images(0)
    one_class = torch.cat([images(1)[:, :, :1] + 1, images(1)[:, :, 1:]], 2)
    one_class[..., 0, 0] += 1
    same = collapse(variety(real, real[:1].expand_as(real), Corners()), "lower the rate")
    assert same is not None
    for said in (
        "standard deviation of at least 0.5",
        "0.00 of that of test images",
        "a recall of 1.0%",
        "1 of 4 classes",
    ):
        assert said in same
    assert same.startswith("expected ")
    assert same.endswith("; lower the rate")
    few = collapse(variety(real, one_class, Corners()), "lower the rate")
    assert few is not None
    assert "1 of 4 classes" in few
    assert "relative_std" not in few


def test_without_a_classifier_the_standard_deviation_alone_counts() -> None:
    real = images(0)
    assert variety(real, real, None) == {"relative_std": 1.0}
    assert collapse({"relative_std": 0.49}, "") is not None
    assert collapse({"relative_std": 0.51}, "") is None


def test_a_model_whose_recall_or_classes_rise_is_still_learning() -> None:
    before = {"relative_std": 0.4, "recall": 0.02, "modes_hit": 3.0}
    assert progressed(before, {**before, "recall": 0.05})
    assert progressed(before, {**before, "modes_hit": 4.0})
    assert not progressed(before, {**before, "relative_std": 0.9})
    assert not progressed(before, before)
    assert progressed({"relative_std": 0.1}, {"relative_std": 0.2})
    assert not progressed({"relative_std": 0.1}, {"relative_std": 0.1})


def test_of_the_published_runs_exactly_the_collapsed_ones_are_warned_about() -> None:
    earlier = RESULTS.with_name("earlier_defaults.csv")
    old, new = (list(csv.DictReader(each.read_text(encoding="utf-8").splitlines())) for each in (earlier, RESULTS))
    assert len(old + new) > 20
    for row in (row for row in old + new if row["recall"]):  # a classifier has no samples
        agent = row["agent"]
        found = {name: float(row[name]) for name in ("recall", "modes_hit")} | {"modes_hit_real": 10, "relative_std": 1}
        bad = row in old or agent in COLLAPSED
        assert (collapse(found, "train for longer") is not None) == bad, agent
