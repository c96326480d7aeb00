"""The ratios of the generative adversarial metric, against counts and against the other side's view."""

import math

import pytest
import torch

from rlgen.equations.gan_variants import battle_winner, error_ratio


def test_a_ratio_of_error_rates_is_that_of_the_counts_of_errors() -> None:
    torch.manual_seed(0)
    first, second = torch.rand(2, 1_000) < torch.tensor([[0.2], [0.6]])
    counts = sum(first.tolist()) / sum(second.tolist())
    assert error_ratio(first.double().mean().item(), second.double().mean().item()) == pytest.approx(counts)


def test_the_other_side_sees_the_inverse_ratio() -> None:
    for one, two in ((0.1, 0.4), (0.5, 0.5), (0.0, 0.3), (0.0, 0.0)):
        ratio, inverse = error_ratio(one, two), error_ratio(two, one)
        assert inverse == (1 / ratio if ratio else math.inf)


@pytest.mark.parametrize("test_ratio", [0.2, 0.7, 1.0, 1.4, 5.0, math.inf])
@pytest.mark.parametrize("sample_ratio", [0.0, 0.5, 1.0, 3.0, math.inf])
def test_the_winner_is_the_same_from_both_sides(test_ratio: float, sample_ratio: float) -> None:
    def inverse(ratio: float) -> float:
        return 1 / ratio if ratio else math.inf

    found = battle_winner(test_ratio, sample_ratio, tolerance=1.5)
    other = battle_winner(inverse(test_ratio), inverse(sample_ratio), tolerance=1.5)
    assert other == {0: 0, 1: 2, 2: 1}[found]
    comparable = abs(math.log(test_ratio)) <= math.log(1.5)
    assert found == (0 if not comparable or sample_ratio == 1 else 1 if sample_ratio < 1 else 2)
