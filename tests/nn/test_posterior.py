"""Posteriors of latent variables: densities by quadrature, divergences, and what flows gain on a banana."""

import math

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal, kl_divergence

from rlgen.errors import InputError
from rlgen.nn import CouplingFlow, DiagonalGaussian, InverseAutoregressive, Posterior

POSTERIORS = {
    "gaussian": lambda latent=2: DiagonalGaussian(3, latent),
    "iaf": lambda latent=2: InverseAutoregressive(3, latent, context=4, steps=2, hidden=(8,)),
    "iaf without context": lambda latent=2: InverseAutoregressive(3, latent, context=0, steps=1, hidden=(8,)),
    "coupling": lambda latent=2: CouplingFlow(3, latent, context=4, steps=3, hidden=(8,)),
}
every_posterior = pytest.mark.parametrize("name", POSTERIORS)


def posterior(name: str, latent: int = 2) -> nn.Module:
    torch.manual_seed(0)
    made = POSTERIORS[name](latent).double()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter += 0.2 * torch.randn_like(parameter)
    return made


def features(count: int = 5) -> Tensor:
    return torch.randn(count, 3, generator=torch.Generator().manual_seed(1), dtype=torch.float64)


@every_posterior
def test_samples_come_first_with_their_own_log_probability(name: str) -> None:
    q = posterior(name, latent=4)
    assert isinstance(q, Posterior)
    z, log_prob = q.rsample(features(), 6)
    assert z.shape == (6, 5, 4)
    assert log_prob.shape == (6, 5)
    torch.testing.assert_close(q.log_prob(z, features()), log_prob, rtol=1e-9, atol=1e-9)


@every_posterior
def test_the_density_integrates_to_one(name: str) -> None:
    grid = torch.linspace(-20, 20, 601, dtype=torch.float64)
    q, z = posterior(name), torch.cartesian_prod(grid, grid)[:, None]
    with torch.no_grad():
        density = q.log_prob(z, features(1)).exp().reshape(601, 601)
    assert torch.trapezoid(torch.trapezoid(density, grid), grid).item() == pytest.approx(1, abs=1e-4)


@every_posterior
def test_samples_lie_where_the_density_says(name: str) -> None:
    grid = torch.linspace(-20, 20, 601, dtype=torch.float64)
    q, z = posterior(name), torch.cartesian_prod(grid, grid)[:, None]
    with torch.no_grad():
        mass = q.log_prob(z, features(1)).exp()[:, 0] * (grid[1] - grid[0]) ** 2
        drawn = q.rsample(features(1), 100_000)[0][:, 0]
    mean = (mass[:, None] * z[:, 0]).sum(0)
    product = (mass * z[:, 0].prod(-1)).sum()
    torch.testing.assert_close(drawn.mean(0), mean, rtol=0, atol=0.03)
    torch.testing.assert_close(drawn.prod(-1).mean(), product, rtol=0, atol=0.06)


def test_the_divergence_of_the_diagonal_gaussian_is_that_of_torch_distributions() -> None:
    q = posterior("gaussian", latent=4)
    mean, log_std = q.mean_and_log_std(features())
    expected = kl_divergence(Normal(mean, log_std.exp()), Normal(0.0, 1.0))
    torch.testing.assert_close(q.kl(features()), expected, rtol=1e-10, atol=1e-12)
    z, log_prob = q.rsample(features(), 100_000)
    estimate = (log_prob - Normal(0.0, 1.0).log_prob(z).sum(-1)).mean(0)
    torch.testing.assert_close(q.kl(features()).sum(-1), estimate, rtol=0.02, atol=0)


@pytest.mark.parametrize("name", ["iaf", "coupling"])
def test_every_step_of_a_flow_sees_the_features_of_its_row(name: str) -> None:
    q = posterior(name)
    context = q.context(features())
    z = torch.zeros(1, 5, 2).double()
    for step in q.steps:
        moved, log_det = step(z, context)
        assert moved[0].unique(dim=0).shape[0] == 5, "the same z, but every row moves it elsewhere"
        assert len(log_det.unique()) == 5


def test_every_second_step_of_an_inverse_autoregressive_flow_goes_backwards() -> None:
    q = InverseAutoregressive(1, 3, context=0, steps=3, hidden=(8,)).double()
    z = torch.randn(3, dtype=torch.float64)
    depends = [torch.autograd.functional.jacobian(lambda x, step=step: step(x)[0], z) != 0 for step in q.steps]
    forwards = torch.ones(3, 3).tril().bool()
    assert [torch.equal(each, forwards) for each in depends] == [True, False, True]
    assert torch.equal(depends[1], forwards.T)


@every_posterior
def test_gradients_reach_every_parameter_and_the_features(name: str) -> None:
    q, seen = posterior(name), features().requires_grad_()
    z, log_prob = q.rsample(seen, 3)
    (log_prob.sum() + z.square().sum()).backward()
    assert all(parameter.grad is not None and parameter.grad.abs().sum() > 0 for parameter in q.parameters())
    assert (seen.grad.abs().sum(1) > 0).all()


@every_posterior
def test_the_same_seed_draws_the_same_and_a_saved_posterior_is_the_same(name: str) -> None:
    one, other = posterior(name), POSTERIORS[name]().double()
    other.load_state_dict(one.state_dict())
    drawn = []
    for q in (one, other):
        torch.manual_seed(3)
        drawn.append(q.rsample(features(), 2))
    assert torch.equal(drawn[0][0], drawn[1][0])
    assert torch.equal(drawn[0][1], drawn[1][1])


BEND, WIDTH = 0.5, 0.5


def log_banana(z: Tensor) -> Tensor:
    """z₁ ~ N(0, 1), z₂ ~ N(BEND z₁², WIDTH²): a normalized density."""
    first, second = z.unbind(-1)
    return Normal(0.0, 1.0).log_prob(first) + Normal(BEND * first.square(), WIDTH).log_prob(second)


def best_diagonal_divergence() -> float:
    """The least KL[q ‖ banana] of a diagonal Gaussian, whose expectation is a polynomial of its parameters.

    With deviations s and t, z₁ around 0 by symmetry, E(z₂ - b z₁²)² is least for a mean b s² and is t² + 2 b² s⁴. The
    KL s²/2 - 1/2 - log s + (t² + 2 b² s⁴)/(2 w²) - 1/2 - log(t/w) is least at t = w, and for s² at a quadratic's root.
    """
    ratio = 4 * BEND**2 / WIDTH**2
    square = (-1 + math.sqrt(1 + 4 * ratio)) / (2 * ratio)  # ratio u² + u - 1 = 0, u = s²
    return square / 2 - 0.5 - 0.5 * math.log(square) + BEND**2 * square**2 / WIDTH**2


def divergence(q: nn.Module, updates: int) -> float:
    """KL[q ‖ banana] after learning."""
    seen = torch.ones(1, 1)
    optimizer = torch.optim.Adam(q.parameters(), 0.03)
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, updates)
    for _ in range(updates):
        z, log_prob = q.rsample(seen, 128)
        loss = (log_prob - log_banana(z)).mean()
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
    with torch.no_grad():
        z, log_prob = q.rsample(seen, 200_000)
        return (log_prob - log_banana(z)).mean().item()


def test_the_best_diagonal_gaussian_is_found() -> None:
    torch.manual_seed(0)
    assert divergence(DiagonalGaussian(1, 2), 300) == pytest.approx(best_diagonal_divergence(), abs=0.02)


@pytest.mark.parametrize("make", [InverseAutoregressive, CouplingFlow])
def test_a_flow_comes_closer_to_a_banana_than_any_diagonal_gaussian_can(make: type) -> None:
    torch.manual_seed(0)
    found = divergence(make(1, 2, context=2, steps=2, hidden=(16,)), 300)
    assert -0.01 < found < 0.9 * best_diagonal_divergence()


@pytest.mark.parametrize("make", [InverseAutoregressive, CouplingFlow])
def test_a_flow_without_steps_is_refused(make: type) -> None:
    with pytest.raises(InputError, match="steps"):
        make(3, 2, 4, 0, (8,))
    with pytest.raises(InputError, match="latent"):
        DiagonalGaussian(3, 0)
