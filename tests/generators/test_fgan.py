"""f-GANs against integrals."""

from collections.abc import Sequence

import pytest
import torch
from torch import Tensor, nn

from rlgen.equations.f_divergences import F_DIVERGENCES
from rlgen.generators import FGAN, FGANConfig, ImageShape, PenaltyConfig, Player, Trainer
from rlgen.generators.fgan import GENERATOR_RATES, NAMES

PIXEL = ImageShape(channels=1, height=1, width=1)
CELLS = 2_000
PLACES = (8 * (torch.arange(CELLS, dtype=torch.float64) + 0.5) / CELLS - 4).float()
"""Midpoints from -4 to 4 for quadrature."""


def shares(mean: float, std: float) -> Tensor:
    weights = torch.exp(-0.5 * ((PLACES.double() - mean) / std) ** 2)
    return weights / weights.sum()


# A mixture of two hills against one hill, both on a plain, so that every divergence is finite.
DATA = 0.2 / CELLS + 0.4 * shares(-1.6, 0.5) + 0.4 * shares(1.6, 0.8)
MADE = 0.2 / CELLS + 0.8 * shares(0.0, 1.2)


def drawn(weights: Tensor, n: int) -> Tensor:
    """[n, 1, 1, 1], one from each n-th of the distribution, so that means of them are nearly the integrals."""
    levels = (torch.arange(n) + torch.rand(n).double()) / n
    return PLACES[torch.searchsorted(weights.cumsum(0), levels).clamp(max=CELLS - 1)].view(-1, 1, 1, 1)


class Hill(nn.Module):
    """Draws from `MADE` whatever the latents."""

    def forward(self, latents: Tensor) -> Tensor:
        return drawn(MADE, len(latents))


class Measuring(FGAN):
    """Its generator stands still."""

    def require_data(self, data: Tensor, labels: Tensor | None) -> None:
        """Its data are places on a line."""

    def players(self) -> Sequence[Player]:
        parameters = self.discriminator.parameters()
        return (Player("discriminator", parameters, self.discriminator_loss, self.config.discriminator_rate),)

    def prior(self, n: int) -> Tensor:
        return torch.zeros(n, 1)


@pytest.mark.parametrize("name", NAMES)
def test_the_bound_comes_within_a_tenth_of_the_integral(name: str) -> None:
    torch.manual_seed(0)
    config = FGANConfig(
        divergence=name, latent=1, discriminator_hidden=(32, 32), discriminator_rate=0.01, penalties=PenaltyConfig()
    )
    model = Measuring(PIXEL, config)
    model.generator = Hill()
    game = Trainer(model)
    for _ in range(200):
        game.update(drawn(DATA, 256))
    divergence = F_DIVERGENCES[name.removeprefix("f_")]
    exact = float((MADE * divergence.f(DATA / MADE)).sum())
    with torch.no_grad():
        logit = model.logit(PLACES.view(-1, 1, 1, 1)).double()
    bound = float((DATA * divergence.activation(logit)).sum() - (MADE * divergence.reward(logit)).sum())
    assert 0.9 * exact < bound <= exact + 1e-6


def small_fgan(**settings: object) -> FGAN:
    torch.manual_seed(0)
    settings = {"latent": 2, "generator_hidden": (4,), "discriminator_hidden": (5,)} | settings
    return FGAN(ImageShape(channels=1, height=2, width=2), FGANConfig(**settings))  # type: ignore[arg-type]


@pytest.mark.parametrize("name", NAMES)
def test_the_generator_works_on_the_bound_or_on_the_activation(name: str) -> None:
    divergence = F_DIVERGENCES[name.removeprefix("f_")]
    for objective in ("bound", "activation"):
        model = small_fgan(divergence=name, objective=objective)
        images = torch.rand(6, 1, 2, 2)
        torch.manual_seed(5)
        loss = model.generator_loss(images)["loss"]
        torch.manual_seed(5)
        output = divergence.activation(model.logit(model.fakes(6)))
        expected = divergence.conjugate(output) if objective == "bound" else output
        assert loss.item() == pytest.approx(-expected.mean().item(), rel=1e-4, abs=1e-5)
        assert model.discriminator_loss(images)["bound"].isfinite()


def test_the_bound_that_is_logged_leaves_penalties_out() -> None:
    images = torch.rand(6, 1, 2, 2)
    logged = []
    for penalties in (PenaltyConfig(), PenaltyConfig(r1=5.0)):
        model = small_fgan(penalties=penalties)
        torch.manual_seed(5)
        logged.append(model.discriminator_loss(images))
    assert logged[0]["bound"].item() == pytest.approx(-logged[0]["loss"].item())
    assert logged[1]["bound"].item() == pytest.approx(logged[0]["bound"].item())
    assert logged[1]["loss"].item() > logged[0]["loss"].item()


@pytest.mark.parametrize("name", NAMES)
def test_the_generator_has_the_rate_of_its_divergence_unless_another_is_given(name: str) -> None:
    assert small_fgan(divergence=name).players()[1].learning_rate == GENERATOR_RATES[name]
    assert small_fgan(divergence=name, generator_rate=0.01).players()[1].learning_rate == 0.01
