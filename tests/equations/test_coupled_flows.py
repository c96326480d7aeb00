"""The log-ratio of two densities within its limit."""

import math

import torch
from torch.distributions import Normal

from rlgen.equations.coupled_flows import LARGEST_LOG_RATIO, coupled_log_ratio


def test_between_close_densities_it_is_the_log_ratio() -> None:
    x = torch.linspace(-1, 1, 9, dtype=torch.float64)
    expert, policy = Normal(0.2, 1.0), Normal(-0.1, 1.1)
    ratio = (expert.log_prob(x).exp() / policy.log_prob(x).exp()).log()
    torch.testing.assert_close(coupled_log_ratio(expert.log_prob(x), policy.log_prob(x)), ratio, rtol=1e-2, atol=0)


def test_it_rises_to_its_limit_on_either_side() -> None:
    differences = [-1e6, -LARGEST_LOG_RATIO, 0.0, LARGEST_LOG_RATIO, 1e6]
    found = [float(coupled_log_ratio(torch.tensor(each), torch.zeros(()))) for each in differences]
    by_hand = [-15.0, -15 * math.tanh(1), 0.0, 15 * math.tanh(1), 15.0]
    torch.testing.assert_close(torch.tensor(found), torch.tensor(by_hand))
