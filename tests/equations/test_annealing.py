"""The cyclical weight of the KL divergence."""

import pytest
import torch

from rlgen.equations.annealing import cyclical_weight


@pytest.mark.parametrize(("zero", "rise"), [(0.5, 0.25), (0.0, 0.5), (0.25, 0.75)])
def test_the_weights_are_those_of_a_schedule_written_update_by_update(zero: float, rise: float) -> None:
    period, expected = 40, []
    for _ in range(3):
        at_zero, rising = round(zero * period), round(rise * period)
        expected += [0.0] * at_zero + [number / rising for number in range(rising)]
        expected += [1.0] * (period - at_zero - rising)
    found = cyclical_weight(torch.arange(120), period, zero, rise)
    torch.testing.assert_close(found, torch.tensor(expected))


def test_the_mean_weight_of_a_cycle_is_half_the_rise_and_the_rest() -> None:
    found = cyclical_weight(torch.arange(100_000), 100_000, 0.3, 0.4).double().mean()
    assert float(found) == pytest.approx(0.4 / 2 + 0.3, abs=1e-4)


def test_a_training_of_cycles_of_four_updates_or_more_ends_at_a_weight_of_one() -> None:
    for total in (16, 99, 2_401):
        assert float(cyclical_weight(torch.tensor(total - 1), total / 4, 0.5, 0.25)) == 1
