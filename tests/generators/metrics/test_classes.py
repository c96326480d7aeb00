"""Modes, accuracies, the matching of codes to classes: answers by hand and by trying everything."""

import itertools
import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.distributions import Categorical, kl_divergence

from rlgen.errors import InputError
from rlgen.generators.metrics.classes import accuracy, code_accuracy, mode_coverage, semi_supervised_errors


def test_one_mode_is_log_k_from_uniform_and_all_modes_are_not() -> None:
    assert mode_coverage(torch.full((9,), 2), 10) == (1, pytest.approx(math.log(10)))
    assert mode_coverage(torch.arange(10).repeat(3), 10) == (10, pytest.approx(0, abs=1e-12))


def test_the_distance_from_uniform_is_that_of_torch_distributions() -> None:
    labels = torch.tensor([0, 0, 0, 1, 1, 3])
    shares = Categorical(probs=torch.tensor([3, 2, 0, 1]) / 6)
    expected = float(kl_divergence(shares, Categorical(probs=torch.full((4,), 0.25))))
    # torch.distributions keeps zeros away from the logarithm by a float's epsilon.
    assert mode_coverage(labels, 4) == (3, pytest.approx(expected, abs=1e-5))


def test_modes_of_no_image_or_of_a_class_too_many_are_refused() -> None:
    with pytest.raises(InputError, match="at least one image"):
        mode_coverage(torch.zeros(0, dtype=torch.int64), 3)
    with pytest.raises(InputError, match="class 3"):
        mode_coverage(torch.tensor([3]), 3)


def test_accuracy_and_errors_count_the_same_images() -> None:
    scores = torch.tensor([[1.0, 2.0], [3.0, -1.0], [0.0, 0.5], [0.1, 0.0]])
    labels = torch.tensor([1, 0, 0, 1])
    assert accuracy(scores, labels) == 0.5
    assert semi_supervised_errors(scores, labels) == 2


def test_labels_beyond_the_scores_and_missing_ones_are_refused() -> None:
    with pytest.raises(InputError, match="labels from 2 to 2"):
        accuracy(torch.zeros(1, 2), torch.tensor([2]))
    with pytest.raises(InputError, match="1 for 2"):
        semi_supervised_errors(torch.zeros(2, 2), torch.tensor([1]))


@settings(max_examples=30)
@given(st.integers(1, 4), st.integers(1, 4), st.integers(0, 10**6))
def test_each_code_means_the_class_of_the_best_matching(n_codes: int, n_classes: int, seed: int) -> None:
    generator = torch.Generator().manual_seed(seed)
    codes, labels = (
        torch.randint(n_codes, (60,), generator=generator),
        torch.randint(n_classes, (60,), generator=generator),
    )
    found = code_accuracy(codes, labels, n_codes, n_classes).class_of_code
    assert len(found) == n_codes
    meant = [each for each in found if each is not None]
    assert len(set(meant)) == len(meant) == min(n_codes, n_classes)
    fit = torch.randperm(60, generator=torch.Generator().manual_seed(0))[:30]
    hits = [
        int(((codes[fit] == code) & (labels[fit] == each)).sum()) for code, each in enumerate(found) if each is not None
    ]
    padded = [*range(n_classes), *[-1] * max(0, n_codes - n_classes)]
    best = max(
        sum(int(((codes[fit] == code) & (labels[fit] == each)).sum()) for code, each in enumerate(classes))
        for classes in itertools.permutations(padded, n_codes)
    )
    assert sum(hits) == best


def test_codes_that_are_the_classes_under_other_names_are_right() -> None:
    labels = torch.arange(10).repeat(30)
    names = torch.randperm(10, generator=torch.Generator().manual_seed(5))
    found = code_accuracy(names[labels], labels, 10, 10)
    assert found.accuracy == 1.0
    assert [found.class_of_code[int(names[label])] for label in range(10)] == list(range(10))


def test_a_code_of_a_tenth_wrong_is_nine_tenths_right() -> None:
    labels = torch.arange(10).repeat(400)
    codes = torch.where(torch.arange(4000) % 3 == 0, (labels + 1) % 10, labels)
    # Every third image is wrong; of the held half that is so within 5 standard errors.
    error = math.sqrt(1 / 3 * 2 / 3 / 2000)
    assert code_accuracy(codes, labels, 10, 10).accuracy == pytest.approx(2 / 3, abs=5 * error)


def test_a_code_that_says_nothing_is_as_good_as_chance() -> None:
    generator = torch.Generator().manual_seed(0)
    labels, codes = torch.randint(10, (2, 4000), generator=generator)
    error = math.sqrt(0.1 * 0.9 / 2000)
    # Judged on what the matching was fitted to, the mean would lie above a tenth; 40 halves show it.
    found = [code_accuracy(codes, labels, 10, 10, seed).accuracy for seed in range(40)]
    assert sum(found) / 40 == pytest.approx(0.1, abs=4 * error)
    assert len(set(found)) > 1, "the seed chooses the halves"


def test_codes_and_classes_need_not_be_equally_many() -> None:
    labels = torch.arange(4).repeat(50)
    more = code_accuracy(labels + 2, labels, 7, 4)
    assert more.accuracy == 1.0
    assert more.class_of_code[2:6] == (0, 1, 2, 3)
    assert [more.class_of_code[code] for code in (0, 1, 6)] == [None] * 3
    fewer = code_accuracy(labels // 2, labels, 2, 4)
    assert len(set(fewer.class_of_code)) == 2
    assert fewer.accuracy == pytest.approx(0.5, abs=0.2)


def test_codes_out_of_range_are_refused() -> None:
    with pytest.raises(InputError, match="codes from 0 to 1"):
        code_accuracy(torch.tensor([0, 2, 1, 2]), torch.tensor([0, 1, 0, 1]), 2, 2)
