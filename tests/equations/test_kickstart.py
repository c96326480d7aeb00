"""The loss that keeps an actor near its clone, by hand and as a divergence of Gaussians."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from rlgen.equations.kickstart import kickstart_loss


def test_by_hand() -> None:
    acted, cloned = torch.tensor([[1.0, 0.0], [0.5, 2.0]]), torch.tensor([[0.0, 0.0], [0.5, 0.0]])
    assert float(kickstart_loss(acted, cloned, mean_value=3.0, weight=0.4)) == pytest.approx(0.4 * 3 * (1 + 4) / 4)


def test_it_is_the_divergence_of_gaussians_with_one_deviation() -> None:
    torch.manual_seed(0)
    acted, cloned = torch.randn(2, 50, 3, dtype=torch.float64)
    divergence = kl_divergence(Normal(cloned, 0.3), Normal(acted, 0.3)).sum(1).mean()
    ours = kickstart_loss(acted, cloned, mean_value=1.0, weight=3 / (2 * 0.3**2))
    torch.testing.assert_close(ours, divergence)
