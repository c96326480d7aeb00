"""The step of an automatic weight, against autograd, the multiplier of a solved problem, and its laws."""

import math
from itertools import pairwise

import pytest
import torch
from torch import Tensor

from rlgen.equations.exploration_weight import dual_log_weight


def number(value: float) -> Tensor:
    return torch.tensor(value, dtype=torch.float64)


def test_it_is_a_step_of_gradient_descent_on_its_loss() -> None:
    torch.manual_seed(0)
    log_weight = torch.randn((), dtype=torch.float64, requires_grad=True)
    gain, *earlier = torch.rand(5, dtype=torch.float64) + 0.1
    by_hand = log_weight.detach().clone()
    loss = log_weight * (gain.log() - torch.stack(earlier).log().mean())
    loss.backward()
    torch.optim.SGD([log_weight], lr=0.3).step()
    torch.testing.assert_close(dual_log_weight(by_hand, gain, torch.stack(earlier), 0.3), log_weight.detach())


@pytest.mark.parametrize("start", [0.01, 50.0])
def test_it_finds_the_multiplier_of_a_constraint(start: float) -> None:
    """Of -a² / 2 + η a the maximum is at a = η, where the gain a has to be 0.7: η is then 0.7."""
    log_weight = number(math.log(start))
    for _ in range(200):
        action = log_weight.exp()
        log_weight = dual_log_weight(log_weight, action, number(0.7)[None], 0.2)
    assert float(log_weight.exp()) == pytest.approx(0.7)


def test_a_policy_that_gains_what_earlier_ones_gained_keeps_its_weight() -> None:
    found = dual_log_weight(number(-1.5), number(4.0), torch.tensor([2.0, 8.0]).double(), 0.2)
    assert float(found) == pytest.approx(-1.5)


@pytest.mark.parametrize("unit", [1e-6, 1e6])
def test_the_unit_of_the_gains_cancels(unit: float) -> None:
    gain, earlier = number(0.3), torch.tensor([0.2, 0.9, 0.5]).double()
    found = dual_log_weight(number(0.1), unit * gain, unit * earlier, 0.2)
    torch.testing.assert_close(found, dual_log_weight(number(0.1), gain, earlier, 0.2))


def test_next_to_the_last_policy_alone_the_weight_follows_a_power_of_the_gain() -> None:
    """However the gain goes up and down in between: noise does not add up."""
    torch.manual_seed(0)
    gains, log_weight = torch.rand(50, dtype=torch.float64) + 0.1, number(0.0)
    for before, gain in pairwise(gains):
        log_weight = dual_log_weight(log_weight, gain, before[None], 0.2)
    torch.testing.assert_close(log_weight.exp(), (gains[-1] / gains[0]) ** -0.2)
