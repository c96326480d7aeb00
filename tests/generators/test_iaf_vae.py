"""The flow's autoencoder, where the exact posterior is known and no diagonal Gaussian reaches it."""

import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.distributions import Normal

from rlgen.equations.likelihoods import diagonal_gaussian_log_prob
from rlgen.equations.variational_bounds import importance_weighted_bound
from rlgen.generators import IAFVAE, IAFVAEConfig, ImageShape, Trainer
from rlgen.generators.pixels import Pixels
from rlgen.nn import DiagonalGaussian, InverseAutoregressive

NOISE = 0.5
LIKELIHOOD = Normal(0.0, math.sqrt(2 + NOISE**2)).log_prob(torch.tensor(0.7))
GAP = 0.5 * (2 * math.log(1 + 1 / NOISE**2) - math.log(1 + 2 / NOISE**2))
SHAPES = [ImageShape(channels=1, height=8, width=8), ImageShape(channels=1, height=28, width=28)]


class Sum(nn.Module):
    """The one pixel is the sum of the latent numbers, and noise."""

    def forward(self, latents: Tensor) -> Tensor:
        return latents.sum(-1, keepdim=True)


class Noisy(Pixels):
    """N(decoded, NOISE²)."""

    def log_prob(self, images: Tensor, decoded: Tensor) -> Tensor:
        return diagonal_gaussian_log_prob(images, decoded, NOISE)

    def mean(self, decoded: Tensor) -> Tensor:
        return decoded


def learned(posterior: str, objective: str = "elbo") -> tuple[IAFVAE, Tensor]:
    """A model of x = z₁ + z₂ + noise that has learned one image, and that image."""
    torch.manual_seed(0)
    config = IAFVAEConfig(
        latent=2,
        hidden=(4,),
        posterior=posterior,
        flow_hidden=(16,),
        objective=objective,
        samples=64,
        free_bits=0.0,
        learning_rate=0.02,
    )
    shape = ImageShape(channels=1, height=1, width=1)
    model = IAFVAE(shape, config)
    model.decoder, model.pixels = Sum(), Noisy(shape, 1)
    game, image = Trainer(model), torch.full((1, 1, 1, 1), 0.7)
    for _ in range(400):
        game.update(image)
    return model, image


def evidence_lower_bound(posterior: str) -> tuple[Tensor, Tensor]:
    """The bound that is learned, and the standard error of its estimate."""
    model, image = learned(posterior)
    weights = model.log_weight(image, 50_000)[:, 0]
    return weights.mean(), weights.std() / math.sqrt(len(weights))


def test_a_flow_comes_closer_to_a_known_likelihood_than_any_diagonal_gaussian() -> None:
    """p(x) = N(0, 2 + σ²). The posterior is a Gaussian of precision Λ = 1 + 11ᵀ/σ², from which the closest diagonal one
    is ½ log(Λ₁₁ Λ₂₂ / det Λ) nats away."""
    assert GAP > 0.5
    likelihood, gap = LIKELIHOOD, GAP
    diagonal, error = evidence_lower_bound("gaussian")
    assert diagonal <= likelihood - gap + 4 * error, "no diagonal Gaussian does better"
    assert diagonal >= likelihood - gap - 0.05
    flow, error = evidence_lower_bound("iaf")
    assert flow <= likelihood + 4 * error
    assert flow >= likelihood - gap / 2, "half of what the diagonal one cannot reach, at least"


def test_importance_weights_bring_a_diagonal_gaussian_nine_tenths_nearer_to_the_likelihood() -> None:
    model, image = learned("gaussian", "iwae")
    weights = model.log_weight(image, 64 * 1_000)[:, 0]
    bounds = importance_weighted_bound(weights.reshape(1_000, 64).T)
    error = bounds.std() / math.sqrt(len(bounds))
    assert bounds.mean() + 4 * error >= LIKELIHOOD - GAP / 10
    assert bounds.mean() <= LIKELIHOOD + 4 * error
    assert weights.mean() < LIKELIHOOD - GAP, "what a single sample cannot reach"


def test_free_bits_take_the_gradient_from_a_divergence_below_them() -> None:
    images = torch.rand(5, 1, 8, 8).round()
    terms = {}
    for free_bits in (0.0, 100.0):
        torch.manual_seed(0)
        config = IAFVAEConfig(latent=3, hidden=(6,), flow_hidden=(6,), free_bits=free_bits)
        model = IAFVAE(SHAPES[0], config)
        torch.manual_seed(1)
        terms[free_bits] = model.loss(images)
    plain, free = terms[0.0], terms[100.0]
    for name in ("kl", "elbo", "log_likelihood"):
        assert plain[name] == free[name], "the log shows the divergence itself"
    assert free["loss"].item() == pytest.approx(300 - free["log_likelihood"].item(), rel=1e-6)
    wanted = list(model.posterior.parameters())
    whole = torch.autograd.grad(free["loss"], wanted, retain_graph=True)
    alone = torch.autograd.grad(-free["log_likelihood"], wanted)
    assert all(torch.equal(one, other) for one, other in zip(whole, alone, strict=True))


def test_the_posteriors_differ_by_one_option_and_the_networks_around_them_do_not() -> None:
    config = IAFVAEConfig()
    flow, plain = (IAFVAE(SHAPES[0], each) for each in (config, replace(config, posterior="gaussian")))
    assert isinstance(flow.posterior, InverseAutoregressive)
    assert isinstance(plain.posterior, DiagonalGaussian)
    assert len(flow.posterior.steps) == 2
    assert flow.posterior.context is not None, "every step sees the encoder's context"
    sizes = [
        {k: v.shape for k, v in each.state_dict().items() if not k.startswith("posterior")} for each in (flow, plain)
    ]
    assert sizes[0] == sizes[1]


def test_it_is_trained_with_adamax() -> None:
    game = Trainer(IAFVAE(SHAPES[0], IAFVAEConfig(latent=2, hidden=(4,), flow_hidden=(4,))))
    (optimizer,) = game.optimizers.values()
    assert isinstance(optimizer, torch.optim.Adamax)
    assert optimizer.param_groups[0]["lr"] == 2e-3


@pytest.mark.parametrize("shape", SHAPES, ids=str)
@pytest.mark.parametrize("posterior", ["iaf", "gaussian"])
def test_it_goes_on_bit_for_bit_from_a_saved_state(shape: ImageShape, posterior: str) -> None:
    images = torch.rand(6, *shape.chw).round()
    games = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        config = IAFVAEConfig(latent=4, hidden=(8,), flow_hidden=(8,), posterior=posterior)
        games.append(Trainer(IAFVAE(shape, config)))
    for _ in range(3):
        games[0].update(images)
    games[1].load_state_dict(games[0].state_dict())
    logs = []
    for game in games:
        torch.manual_seed(7)
        logs.append([game.update(images)["vae/loss"].item() for _ in range(3)])
    assert logs[0] == logs[1]
    assert games[0].model.sample(2).shape == (2, *shape.chw)
