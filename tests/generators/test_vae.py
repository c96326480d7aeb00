"""The variational autoencoder: its bound against the likelihood itself, and a world whose best bound is known."""

import math

import pytest
import torch
from torch.distributions import Laplace

from rlgen.equations.variational_bounds import importance_weighted_bound
from rlgen.errors import InputError
from rlgen.generators import VAE, ImageShape, Trainer, VAEConfig, vae
from rlgen.generators.image_model import Decoder, HasLogWeight, Reconstructs
from rlgen.generators.pixels import PIXELS
from rlgen.nn import Posterior
from rlgen.nn.posterior import estimated_kl

TINY = ImageShape(channels=1, height=1, width=3)
SMALL = ImageShape(channels=3, height=4, width=3)


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


class LaplacePosterior(torch.nn.Module):
    """A posterior that rlgen does not have."""

    def __init__(self, features: int, latent: int):
        super().__init__()
        self.head = torch.nn.Linear(features, 2 * latent)

    def of(self, features: torch.Tensor) -> Laplace:
        mean, log_scale = self.head(features).chunk(2, -1)
        return Laplace(mean, log_scale.exp())

    def rsample(self, features: torch.Tensor, samples: int = 1) -> tuple[torch.Tensor, torch.Tensor]:
        z = self.of(features).rsample((samples,))
        return z, self.log_prob(z, features)

    def log_prob(self, z: torch.Tensor, features: torch.Tensor) -> torch.Tensor:
        return self.of(features).log_prob(z).sum(-1)

    def kl(self, features: torch.Tensor, draws: tuple[torch.Tensor, torch.Tensor] | None = None) -> torch.Tensor:
        return estimated_kl(*(draws or self.rsample(features)))


def test_a_posterior_of_ones_own_takes_the_place_of_the_configured_one() -> None:
    assert isinstance(LaplacePosterior(1, 1), Posterior)
    torch.manual_seed(0)
    model = VAE(TINY, VAEConfig(latent=1, hidden=(4,), samples=2, free_bits=0.1), LaplacePosterior)
    game, images = Trainer(model), torch.tensor([[0.0, 1.0, 1.0], [1.0, 0.0, 0.0]]).reshape(2, 1, 1, 3)
    before = model.posterior.head.weight.detach().clone()  # type: ignore[union-attr]
    terms = game.update(images)
    assert float(terms["vae/elbo"]) == pytest.approx(float(terms["vae/log_likelihood"] - terms["vae/kl"]), rel=1e-5)
    assert not torch.equal(model.posterior.head.weight, before)  # type: ignore[union-attr]
    weights = model.log_weight(images, 40_000)
    error = weights.exp().std(0) / weights.exp().mean(0) / math.sqrt(len(weights))
    with torch.no_grad():
        exact = likelihood_by_quadrature(model, images)
    assert torch.all((importance_weighted_bound(weights) - exact).abs() < 4 * error + 1e-6)


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
    game = Trainer(model)
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
    assert isinstance(model, HasLogWeight)
    assert isinstance(model, Decoder)
    images = torch.rand(7, 3, 4, 3)
    game = Trainer(model)
    losses = [game.update(images)["vae/loss"].item() for _ in range(30)]
    assert losses[-1] < losses[0]
    for made in (model.sample(7), model.reconstruct(images)):
        assert made.shape == images.shape
        assert not made.requires_grad
        assert 0 <= made.min() <= made.max() <= 1
    assert model.log_weight(images, 3).shape == (3, 7)


@pytest.mark.parametrize("likelihood", PIXELS)
def test_likelihoods_in_pieces_are_those_at_once(likelihood: str, monkeypatch: pytest.MonkeyPatch) -> None:
    model, images = VAE(SMALL, VAEConfig(latent=2, hidden=(6,), likelihood=likelihood)), torch.rand(2, 3, 4, 3).round()
    found = []
    for at_once in (vae.AT_ONCE, 1):
        monkeypatch.setattr(vae, "AT_ONCE", at_once)
        torch.manual_seed(0)
        found.append(model.log_weight(images, 5))
    torch.testing.assert_close(*found)


def test_no_more_is_decoded_at_once_however_many_images(monkeypatch: pytest.MonkeyPatch) -> None:
    model, seen = VAE(SMALL, VAEConfig(latent=2, hidden=(6,), likelihood="categorical")), []
    monkeypatch.setattr(vae, "AT_ONCE", 3 * 256 * SMALL.numbers)
    monkeypatch.setattr(model.pixels, "log_prob", lambda images, decoded: seen.append(decoded) or decoded[..., 0, 0, 0])
    for images in (2, 7):
        assert model.log_weight(torch.rand(images, *SMALL.chw), 5).shape == (5, images)
    assert max(decoded.numel() for decoded in seen) <= vae.AT_ONCE


@pytest.mark.parametrize("posterior", ["gaussian", "iaf", "coupling"])
def test_the_importance_weighted_objective_is_the_bound_of_its_own_samples(posterior: str) -> None:
    settings = {"latent": 3, "hidden": (6,), "flow_hidden": (6,), "posterior": posterior, "samples": 5}
    model = VAE(SMALL, VAEConfig(objective="iwae", **settings))
    images = torch.rand(4, 3, 4, 3).round()
    torch.manual_seed(1)
    terms = model.loss(images)
    torch.manual_seed(1)
    weights = model.log_weight(images, 5)
    torch.testing.assert_close(terms["iwae"], importance_weighted_bound(weights).mean())
    assert terms["loss"] == -terms["iwae"]
    assert terms["iwae"] >= weights.mean(), "the evidence lower bound of the same samples"
    plain = VAE(SMALL, VAEConfig(**settings))
    plain.load_state_dict(model.state_dict())
    torch.manual_seed(1)
    logged = plain.loss(images)
    assert all(logged[name] == terms[name] for name in ("elbo", "kl", "log_likelihood"))


@pytest.mark.parametrize("posterior", ["gaussian", "iaf"])
def test_the_importance_weighted_gradient_is_that_of_the_samples_by_their_weights(posterior: str) -> None:
    """Burda et al. 2016, eq. 13: Σ w̃ ∇ log w, the samples held to their noise."""
    model = tiny(posterior=posterior, objective="iwae", samples=4)
    images = torch.tensor([[0.0, 1.0, 1.0]]).reshape(1, 1, 1, 3)
    wanted = list(model.parameters())
    torch.manual_seed(1)
    ours = torch.autograd.grad(-model.loss(images)["loss"], wanted)
    torch.manual_seed(1)
    latents, log_posterior = model.posterior.rsample(model.encoder(images.flatten(1)), 4)
    prob = torch.distributions.Bernoulli(logits=model.decoder(latents))
    prior = torch.distributions.Normal(0.0, 1.0).log_prob(latents).sum(-1)
    log_weight = prob.log_prob(images.flatten(1)).sum(-1) + prior - log_posterior
    share = (log_weight.exp() / log_weight.exp().sum(0)).detach()
    for gradient, expected in zip(ours, torch.autograd.grad((share * log_weight).sum(), wanted), strict=True):
        torch.testing.assert_close(gradient, expected, rtol=1e-4, atol=1e-6)


def test_what_is_reconstructed_is_encoded_as_in_training() -> None:
    model = VAE(TINY, VAEConfig(latent=1, hidden=(4,), likelihood="categorical"))
    seen: list[torch.Tensor] = []
    model.encoder.register_forward_pre_hook(lambda _, inputs: seen.append(inputs[0]))
    images = torch.rand(2, 1, 1, 3)
    model.loss(images)
    model.log_weight(images, 1)
    model.reconstruct(images)
    assert all(torch.equal(each, images.flatten(1)) for each in seen)
    assert len(seen) == 3


@pytest.mark.parametrize(
    "settings",
    [
        {"latent": 0},
        {"hidden": ()},
        {"flow_hidden": (0,)},
        {"beta": -1.0},
        {"free_bits": math.inf},
        {"likelihood": "x"},
        {"mixture": 0},
        {"objective": "x"},
        {"objective": "iwae"},
        {"objective": "iwae", "samples": 5, "beta": 2.0},
        {"objective": "iwae", "samples": 5, "free_bits": 0.1},
    ],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(settings: dict) -> None:
    with pytest.raises(InputError):
        VAEConfig(**settings)
