"""Two flows as a discriminator, against Gaussians whose log-ratio is known."""

import torch
from torch import Tensor
from torch.distributions import Normal

from rlgen.equations.coupled_flows import LARGEST_LOG_RATIO
from rlgen.equations.divergences import logistic_discriminator_loss
from rlgen.nn.flow_discriminator import SMOOTHING, CoupledFlowsDiscriminator

EXPERT, POLICY = Normal(0.5, 0.3), Normal(-0.5, 0.8)


def rows(density: Normal, n: int = 256) -> Tensor:
    return density.sample(torch.Size([n, 3]))


def test_it_learns_the_log_ratio_of_the_smoothed_rows() -> None:
    torch.manual_seed(0)
    network = CoupledFlowsDiscriminator(3, (32,))
    optimizer = torch.optim.Adam(network.parameters(), 1e-2)
    for _ in range(250):
        loss = logistic_discriminator_loss(network(rows(EXPERT)), network(rows(POLICY)))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    network.eval()
    some = torch.cat([rows(EXPERT, 100), rows(POLICY, 100)])
    smoothed = [
        Normal(density.mean, (density.variance + SMOOTHING**2).sqrt()).log_prob(some).sum(1)
        for density in (EXPERT, POLICY)
    ]
    expected = smoothed[0] - smoothed[1]
    with torch.no_grad():
        found = network(some)[:, 0]
    assert torch.corrcoef(torch.stack([found, expected]))[0, 1] > 0.95
    assert (found - expected).abs().median() < 0.5


def test_noise_smooths_rows_only_while_it_is_trained() -> None:
    torch.manual_seed(0)
    network, some = CoupledFlowsDiscriminator(3, (8,)), rows(EXPERT, 5)
    assert not torch.equal(network(some), network(some))
    network.eval()
    torch.testing.assert_close(network(some)[2:3], network(some[2:3]))


def test_rows_far_from_both_sides_have_a_finite_logit_and_gradient() -> None:
    torch.manual_seed(0)
    network = CoupledFlowsDiscriminator(4, (8,)).eval()
    far = torch.full((2, 4), 1e4, requires_grad=True)
    logit = network(far)
    (gradient,) = torch.autograd.grad(logit.sum(), far)
    assert logit.abs().max() <= LARGEST_LOG_RATIO
    assert gradient.isfinite().all()
