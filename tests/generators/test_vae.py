"""The variational autoencoder: its bound against the likelihood itself, and a world whose best bound is known."""

import math

import pytest
import torch

from rlgen.equations.elbo import importance_weighted_bound
from rlgen.errors import InputError
from rlgen.generators.image_model import Decodes, Reconstructs, Weighs
from rlgen.generators.image_shape import ImageShape
from rlgen.generators.pixels import PIXELS
from rlgen.generators.trainer import Game
from rlgen.generators.vae import VAE, VAEConfig

TINY = ImageShape(channels=1, height=1, width=3)
SMALL = ImageShape(channels=2, height=4, width=3)


def tiny(**settings: object) -> VAE:
    torch.manual_seed(0)
    return VAE(TINY, VAEConfig(latent=1, hidden=(4,), **settings))  # type: ignore[arg-type]


def likelihood_by_quadrature(model: VAE, images: torch.Tensor) -> torch.Tensor:
    """log ∫ p(x|z) N(z; 0, 1) dz over a fine grid of the one latent number, nats [B]."""
    grid = torch.linspace(-9, 9, 4_001, dtype=torch.float64)
    prob = torch.sigmoid(model.decoder(grid.float()[:, None]).double())  # [Z, D]
    given = torch.where(images.flatten(1).bool()[:, None], prob, 1 - prob).prod(-1)  # [B, Z]
    density = torch.exp(-0.5 * grid.square()) / math.sqrt(2 * math.pi)
    return torch.trapezoid(given * density, grid).log()


@pytest.mark.parametrize("posterior", ["gaussian", "iaf"])  # one number leaves a coupling nothing to go by
def test_many_importance_samples_give_the_likelihood_itself(posterior: str) -> None:
    model = tiny(posterior=posterior)
    images = torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]).reshape(2, 1, 1, 3)
    torch.manual_seed(1)
    weights = model.log_weight(images, 40_000)
    error = weights.exp().std(0) / weights.exp().mean(0) / math.sqrt(len(weights))
    with torch.no_grad():
        exact = likelihood_by_quadrature(model, images)
    assert torch.all((importance_weighted_bound(weights) - exact).abs() < 4 * error + 1e-6)
    assert torch.all(weights.mean(0) < exact), "the evidence lower bound"


def test_the_logged_bound_is_the_mean_log_weight() -> None:
    model = tiny(samples=20_000)
    images = torch.tensor([[0.0, 1.0, 1.0]]).reshape(1, 1, 1, 3)
    terms = model.loss(images)
    weights = model.log_weight(images, 20_000)
    assert terms["elbo"].item() == pytest.approx(weights.mean().item(), abs=4 * weights.std().item() / math.sqrt(2e4))
    assert terms["elbo"].item() == pytest.approx(-terms["loss"].item())
    assert terms["elbo"].item() == pytest.approx(terms["log_likelihood"].item() - terms["kl"].item())


def test_independent_coins_are_learned_to_their_entropy() -> None:
    chances = torch.tensor([0.1, 0.5, 0.8])
    model = VAE(TINY, VAEConfig(latent=2, hidden=(8,), learning_rate=0.02))
    game = Game(model)
    every = torch.cartesian_prod(*[torch.arange(2.0)] * 3).reshape(8, 1, 1, 3)
    share = torch.where(every.flatten(1).bool(), chances, 1 - chances).prod(1)
    drawn = every[torch.multinomial(share, 4_000, replacement=True)]
    for start in range(0, 300 * 100, 100):
        game.update(drawn[torch.arange(start, start + 100) % 4_000])
    entropy = -(chances * chances.log() + (1 - chances) * (1 - chances).log()).sum().item()
    with torch.no_grad():
        bound = sum(
            weight.item() * model.log_weight(image[None], 2_000).mean().item()
            for weight, image in zip(share, every, strict=True)
        )
    assert bound <= -entropy + 0.01  # no model does better, but for the noise of 2,000 samples
    assert bound >= -entropy - 0.05


def test_beta_and_free_bits_change_the_loss_and_not_the_log() -> None:
    images = torch.rand(5, 1, 1, 3).round()
    terms = {}
    for name, settings in {"plain": {}, "beta": {"beta": 4.0}, "free": {"free_bits": 3.0}}.items():
        model = tiny(**settings)
        torch.manual_seed(3)
        terms[name] = {key: value.item() for key, value in model.loss(images).items()}
    for name in ("beta", "free"):
        for key in ("kl", "elbo", "log_likelihood"):
            assert terms[name][key] == terms["plain"][key]
    plain = terms["plain"]
    assert plain["kl"] < 3.0
    assert terms["beta"]["loss"] == pytest.approx(4 * plain["kl"] - plain["log_likelihood"], rel=1e-5)
    assert terms["free"]["loss"] == pytest.approx(3.0 - plain["log_likelihood"], rel=1e-5)


@pytest.mark.parametrize("posterior", ["gaussian", "iaf", "coupling"])
@pytest.mark.parametrize("likelihood", PIXELS)
def test_every_likelihood_and_posterior_samples_reconstructs_and_learns(likelihood: str, posterior: str) -> None:
    torch.manual_seed(0)
    config = VAEConfig(latent=4, hidden=(6,), flow_hidden=(6,), likelihood=likelihood, posterior=posterior)
    model = VAE(SMALL, config)
    assert isinstance(model, Reconstructs)
    assert isinstance(model, Weighs)
    assert isinstance(model, Decodes)
    images = torch.rand(7, 2, 4, 3)
    game = Game(model)
    losses = [game.update(images)["vae/loss"].item() for _ in range(30)]
    assert losses[-1] < losses[0]
    for made in (model.sample(7), model.reconstruct(images)):
        assert made.shape == images.shape
        assert not made.requires_grad
        assert 0 <= made.min() <= made.max() <= 1
    assert model.log_weight(images, 3).shape == (3, 7)


def test_a_categorical_pixel_is_worth_the_same_as_torchs() -> None:
    torch.manual_seed(0)
    images, decoded = torch.rand(2, 5), torch.randn(3, 2, 5 * 256)
    chosen = PIXELS["categorical"]
    expected = torch.distributions.Categorical(logits=decoded.reshape(3, 2, 5, 256)).log_prob((images * 255).round())
    torch.testing.assert_close(chosen.log_prob(chosen.observed(images), decoded), expected.sum(-1))
    mean = (decoded.reshape(3, 2, 5, 256).softmax(-1) * torch.arange(256)).sum(-1) / 255
    torch.testing.assert_close(chosen.mean(decoded), mean)


def test_a_gaussian_pixel_is_worth_the_same_as_torchs() -> None:
    torch.manual_seed(0)
    images, decoded = torch.rand(2, 5), torch.randn(3, 2, 10)
    mean, log_std = decoded[..., :5].sigmoid(), decoded[..., 5:].clamp(-math.log(256), 0)
    expected = torch.distributions.Normal(mean, log_std.exp()).log_prob(images).sum(-1)
    torch.testing.assert_close(PIXELS["gaussian"].log_prob(images, decoded), expected)


@pytest.mark.parametrize(
    "settings",
    [
        {"latent": 0},
        {"hidden": ()},
        {"flow_hidden": (0,)},
        {"beta": -1.0},
        {"free_bits": math.inf},
        {"likelihood": "x"},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(settings: dict) -> None:
    with pytest.raises(InputError):
        VAEConfig(**settings)
