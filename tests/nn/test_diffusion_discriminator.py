"""Denoisers as discriminators."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from rlgen.nn.diffusion_discriminator import ConditionalDiffusionDiscriminator, DiffusionDiscriminator

KINDS = [DiffusionDiscriminator, ConditionalDiffusionDiscriminator]
Kind = type[DiffusionDiscriminator]


def rows(center: float, n: int = 256) -> Tensor:
    return center + 0.3 * torch.randn(n, 3)


@pytest.mark.parametrize("kind", KINDS)
def test_it_learns_to_tell_expert_rows_from_others(kind: Kind) -> None:
    torch.manual_seed(0)
    network = kind(3, (64,))
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(200):
        loss = F.softplus(-network(rows(0.7))).mean() + F.softplus(network(rows(-0.7))).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    with torch.no_grad():
        expert, policy = network(rows(0.7)), network(rows(-0.7))
    # The share of pairs in the right order.
    assert (expert > policy.T).float().mean() > 0.9


@pytest.mark.parametrize("kind", KINDS)
def test_a_reward_is_a_function_of_its_row(kind: Kind) -> None:
    torch.manual_seed(0)
    network, some = kind(3, (8,)), rows(0.0, 5)
    assert not torch.equal(network(some), network(some)), "random noise while it is trained"
    network.eval()
    torch.testing.assert_close(network(some)[2:3], network(some[2:3]))
    copy = kind(3, (8,)).eval()
    copy.load_state_dict(network.state_dict())
    assert torch.equal(copy(some), network(some)), "its noise is part of the state"


def test_the_logit_at_one_step_is_that_of_the_error_by_hand() -> None:
    torch.manual_seed(0)
    network = DiffusionDiscriminator(3, (8,))
    some, noise, step = rows(0.0, 4), torch.randn(4, 3), torch.full((4,), 2)
    share = network.shares[2]
    seen = torch.cat([share.sqrt() * some + (1 - share).sqrt() * noise, F.one_hot(step, 10).float()], 1)
    error = (noise - network.denoiser(seen)).square().mean(1)
    torch.testing.assert_close(network.logit(some, step, noise), torch.logit(torch.exp(-error)), rtol=1e-4, atol=1e-4)
