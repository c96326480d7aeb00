"""The loss that keeps an actor near its clone, by hand, as a divergence of Gaussians, and by what minimizes it."""

import pytest
import torch
from torch.distributions import Normal, kl_divergence

from rlgen.equations.kickstart import kickstart_loss


def test_by_hand() -> None:
    acted, cloned = torch.tensor([[1.0, 0.0], [0.5, 2.0]]), torch.tensor([[0.0, 0.0], [0.5, 0.0]])
    loss = kickstart_loss(acted, cloned, slope=3.0, weight=0.4)
    assert float(loss) == pytest.approx(0.4 * 3 * 2**0.5 * (1 + 4) / 4)


def test_it_is_the_divergence_of_gaussians_with_one_deviation() -> None:
    torch.manual_seed(0)
    acted, cloned = torch.randn(2, 50, 4, dtype=torch.float64)
    divergence = kl_divergence(Normal(cloned, 0.3), Normal(acted, 0.3)).sum(1).mean()
    ours = kickstart_loss(acted, cloned, slope=1.0, weight=4 / (2 * 2 * 0.3**2))
    torch.testing.assert_close(ours, divergence)


@pytest.mark.parametrize("unit", [0.01, 100.0])
def test_an_actor_moves_by_half_the_inverse_of_the_weight(unit: float) -> None:
    torch.manual_seed(0)
    cloned = torch.randn(6, 5)
    slopes = torch.nn.functional.normalize(torch.randn(6, 5), dim=1) * unit
    acted = cloned.clone().requires_grad_()
    optimizer = torch.optim.LBFGS([acted], max_iter=100, line_search_fn="strong_wolfe", tolerance_grad=1e-9 * unit)

    def loss() -> torch.Tensor:
        optimizer.zero_grad()
        total = kickstart_loss(acted, cloned, slope=unit, weight=8.0) - (slopes * acted).sum(1).mean()
        total.backward()
        return total

    optimizer.step(loss)
    distance = (acted.detach() - cloned).square().mean(1).sqrt()
    torch.testing.assert_close(distance, torch.full([6], 1 / 16), rtol=1e-2, atol=0)
