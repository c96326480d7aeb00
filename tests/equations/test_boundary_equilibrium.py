"""The balance of a boundary equilibrium game."""

import pytest
import torch
from torch import Tensor

from rlgen.equations.gan_variants import balanced_weight, convergence_measure


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def test_the_weight_moves_by_its_distance_from_the_balance() -> None:
    # 0.4 + 0.1 · (0.5 · 0.6 - 0.2)
    assert float(balanced_weight(number(0.4), number(0.6), number(0.2), 0.5, 0.1)) == pytest.approx(0.41)
    # 0.4 + 0.1 · (0.7 · 0.5 - 0.9)
    assert float(balanced_weight(number(0.4), number(0.5), number(0.9), 0.7, 0.1)) == pytest.approx(0.345)


def test_in_balance_the_weight_rests() -> None:
    for weight in (0.0, 0.3, 1.0):
        assert float(balanced_weight(number(weight), number(0.8), number(0.4), 0.5, 2.0)) == pytest.approx(weight)


def test_the_weight_stays_between_0_and_1() -> None:
    assert float(balanced_weight(number(0.9), number(5.0), number(0.0), 0.5, 1.0)) == 1
    assert float(balanced_weight(number(0.1), number(0.0), number(5.0), 0.5, 1.0)) == 0


def test_where_more_weight_means_more_error_on_fakes_the_balance_is_found() -> None:
    # A generator whose error is 0.2 + k against a real error of 1: the ratio 0.5 is reached at k = 0.3.
    weight = number(0.0)
    for _ in range(200):
        weight = balanced_weight(weight, number(1.0), 0.2 + weight, 0.5, 0.1)
    assert float(weight) == pytest.approx(0.3, abs=1e-6)


def test_convergence_is_the_larger_of_two_planes() -> None:
    # L + |γ L - f| = max((1 + γ) L - f, (1 - γ) L + f): the real error alone where f = γ L, and never less.
    real, fake = torch.rand(2, 50, dtype=torch.float64, generator=torch.Generator().manual_seed(0))
    for ratio in (0.0, 0.3, 1.0):
        for one, other in zip(real, fake, strict=True):
            planes = max((1 + ratio) * one - other, (1 - ratio) * one + other)
            torch.testing.assert_close(convergence_measure(one, other, ratio), planes)
            torch.testing.assert_close(convergence_measure(one, ratio * one, ratio), one)


def test_convergence_is_the_real_error_plus_the_distance_from_the_balance() -> None:
    assert float(convergence_measure(number(0.6), number(0.2), 0.5)) == pytest.approx(0.7)
    assert float(convergence_measure(number(0.6), number(0.5), 0.5)) == pytest.approx(0.8)
    assert float(convergence_measure(number(0.6), number(0.3), 0.5)) == pytest.approx(0.6)
