"""VAE/GAN: what each player learns from, against losses written out, and the gate between two of them."""

import math
from collections.abc import Iterable
from copy import deepcopy
from dataclasses import replace

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.errors import InputError
from rlgen.generators import VAEGAN, ImageShape, Trainer, VAEGANConfig
from rlgen.generators.image_model import Decoder, HasFeatures, Reconstructs
from rlgen.generators.vae_gan import Costs

SMALL = ImageShape(channels=1, height=8, width=8)
PLAYERS = {"encoder": ("encoder", "posterior"), "decoder": ("decoder",), "discriminator": ("discriminator", "head")}


def small(**settings: object) -> VAEGAN:
    torch.manual_seed(0)
    return VAEGAN(SMALL, VAEGANConfig(latent=3, width=4, **settings))  # type: ignore[arg-type]


def parameters_of(model: VAEGAN, player: str) -> list[nn.Parameter]:
    return [parameter for part in PLAYERS[player] for parameter in model.get_submodule(part).parameters()]


def reached(loss: Tensor, parameters: Iterable[nn.Parameter]) -> bool:
    """Whether any gradient of `loss` arrives there."""
    gradients = torch.autograd.grad(loss, list(parameters), retain_graph=True, allow_unused=True)
    return any(gradient is not None and bool(gradient.any()) for gradient in gradients)


def test_every_parameter_belongs_to_one_player() -> None:
    model = small()
    owners = {player.name: {id(each) for each in player.trained} for player in model.players()}
    assert owners == {name: {id(each) for each in parameters_of(model, name)} for name in PLAYERS}
    assert sum(map(len, owners.values())) == len(list(model.parameters()))


def test_a_gradient_reaches_whom_the_algorithm_says() -> None:
    """Algorithm 1: nothing of the game to the encoder, nothing of the reconstruction to the discriminator."""
    model, images = small(), torch.rand(5, 1, 8, 8)
    losses = {player.name: player.loss(images, None)["loss"] for player in model.players()}
    for player, loss in losses.items():
        assert reached(loss, parameters_of(model, player))
    assert not reached(losses["encoder"], model.head.parameters()), "the game's verdict is no part of its loss"
    assert not reached(losses["decoder"], parameters_of(model, "encoder"))
    assert not reached(losses["discriminator"], [*parameters_of(model, "encoder"), *parameters_of(model, "decoder")])


def written_out(model: VAEGAN, images: Tensor) -> dict[str, Tensor]:
    """The losses, step by step, of a model in evaluation mode; draws as the model draws."""
    encoded = model.encoder(images)
    mean, log_std = model.posterior.head(encoded).chunk(2, -1)
    kl = 0.5 * (mean.square() + (2 * log_std).exp() - 1 - 2 * log_std).sum(-1).mean()
    made = model.decoder(mean + log_std.exp() * torch.randn(1, *mean.shape)[0])
    seen, again = (model.discriminator[:-1](each) for each in (images, made))
    numbers = seen[0].numel()
    distance = (0.5 * (seen - again).square().flatten(1).sum(1) + 0.5 * numbers * math.log(2 * math.pi)).mean()
    free = model.decoder(torch.randn(len(images), 3))
    prob = [model.head(model.discriminator(each)).sigmoid() for each in (images, made, free)]
    fake = torch.cat(prob[1:])
    return {
        "encoder": kl + distance,
        "decoder": 0.01 * distance + (1 - fake).log().mean(),
        "discriminator": F.binary_cross_entropy(prob[0], torch.ones_like(prob[0]))
        + F.binary_cross_entropy(fake, torch.zeros_like(fake)),
    }


def test_the_losses_and_their_gradients_are_those_of_the_algorithm() -> None:
    model, images = small(reconstruction=0.01, margin=None).eval(), torch.rand(5, 1, 8, 8)
    for player in model.players():
        torch.manual_seed(3)
        loss = player.loss(images, None)["loss"]
        torch.manual_seed(3)
        expected = written_out(model, images)[player.name]
        torch.testing.assert_close(loss, expected)
        ours, theirs = (torch.autograd.grad(each, player.trained, retain_graph=True) for each in (loss, expected))
        for one, other in zip(ours, theirs, strict=True):
            torch.testing.assert_close(one, other, rtol=1e-3, atol=1e-5)


@pytest.mark.parametrize(
    ("real", "fake", "decoder", "discriminator"),
    [
        (0.68, 0.68, 1, 1),
        (0.30, 0.68, 1, 0),  # the discriminator is sure of real images
        (0.68, 0.30, 1, 0),
        (1.10, 0.68, 0, 1),  # the decoder has the better of it
        (0.68, 1.10, 0, 1),
        (0.30, 1.10, 1, 1),  # both would stop, so neither does
    ],
)
def test_the_gate_stops_whoever_is_too_far_ahead(real: float, fake: float, decoder: int, discriminator: int) -> None:
    costs = Costs(torch.tensor(real), torch.tensor(fake))
    assert [gate.item() for gate in small().gates(costs)] == [decoder, discriminator]
    assert [gate.item() for gate in small(margin=None).gates(costs)] == [1, 1]


@pytest.mark.parametrize(("equilibrium", "still"), [(9.0, "discriminator"), (0.01, "decoder")])
def test_who_is_stopped_stands_still_whatever_came_before(equilibrium: float, still: str) -> None:
    model, images = small(margin=None), torch.rand(6, 1, 8, 8)
    game = Trainer(model)
    for _ in range(3):
        game.update(images)
    model.config = replace(model.config, equilibrium=equilibrium, margin=0.0)
    before = {name: [each.clone() for each in parameters_of(model, name)] for name in PLAYERS}
    game.update(images)
    for name, kept in before.items():
        same = [torch.equal(one, other) for one, other in zip(kept, parameters_of(model, name), strict=True)]
        assert all(same) if name == still else not any(same), name


@pytest.mark.parametrize(("equilibrium", "still"), [(9.0, "discriminator"), (0.01, "decoder")])
def test_a_turn_that_does_not_count_leaves_no_trace_in_the_optimizer(equilibrium: float, still: str) -> None:
    """Else the average of squared gradients would shrink while the gate is shut, and the first steps be too large."""
    model, images = small(margin=None), torch.rand(6, 1, 8, 8)
    game = Trainer(model)
    for _ in range(3):
        game.update(images)
    model.config = replace(model.config, equilibrium=equilibrium, margin=0.0)
    before = deepcopy({name: optimizer.state_dict()["state"] for name, optimizer in game.optimizers.items()})
    game.update(images)
    for name, kept in before.items():
        pairs = zip(kept.values(), game.optimizers[name].state_dict()["state"].values(), strict=True)
        same = [torch.equal(one[key], other[key]) for one, other in pairs for key in one]
        assert all(same) if name == still else not all(same), name


def test_the_loss_of_who_stands_still_is_logged_as_it_is() -> None:
    model, images = small(equilibrium=9.0, margin=0.0), torch.rand(6, 1, 8, 8)
    logs = Trainer(model).update(images)
    assert logs["discriminator/learns"] == 0
    assert logs["discriminator/loss"] > 0


def test_an_encoder_that_says_nothing_has_no_divergence() -> None:
    model = small()
    nn.init.zeros_(model.posterior.head.weight)
    nn.init.zeros_(model.posterior.head.bias)
    assert model.encoder_loss(torch.rand(5, 1, 8, 8))["kl"] == 0


def test_reconstructions_become_alike_to_a_discriminator_that_stands_still() -> None:
    model = small(reconstruction=1.0, kl=0.0, equilibrium=9.0, margin=0.0, learning_rate=3e-3)
    game, images = Trainer(model), torch.rand(8, 1, 8, 8)
    least = 0.5 * model.look(images)[0].shape[1] * math.log(2 * math.pi)
    found = [game.update(images)["decoder/reconstruction"].item() - least for _ in range(150)]
    assert found[-1] < found[0] / 2


def test_images_are_compared_after_the_convolution_asked_for() -> None:
    shape = ImageShape(channels=1, height=28, width=28)
    images = torch.rand(2, 1, 28, 28)
    sizes = [VAEGAN(shape, VAEGANConfig(latent=2, width=4, layer=layer)).features(images).shape for layer in (0, 1, 2)]
    assert sizes == [(2, 8 * 7 * 7), (2, 4 * 14 * 14), (2, 8 * 7 * 7)]
    with pytest.raises(InputError, match="layer 3 of 2"):
        VAEGAN(shape, VAEGANConfig(layer=3))


@pytest.mark.parametrize("side", [8, 28])
def test_it_goes_on_bit_for_bit_from_a_saved_state(side: int) -> None:
    shape, images = ImageShape(channels=1, height=side, width=side), torch.rand(6, 1, side, side)
    games = []
    for seed in (0, 1):
        torch.manual_seed(seed)
        games.append(Trainer(VAEGAN(shape, VAEGANConfig(latent=3, width=4))))
    for _ in range(2):
        games[0].update(images)
    games[1].load_state_dict(games[0].state_dict())
    for game in games:
        torch.manual_seed(7)
        game.update(images)
        game.update(images)
    one, other = (game.model.state_dict() for game in games)
    assert all(torch.equal(one[name], other[name]) for name in one)


def test_it_samples_reconstructs_and_has_features() -> None:
    model = small().eval()
    assert isinstance(model, Reconstructs)
    assert isinstance(model, Decoder)
    assert isinstance(model, HasFeatures)
    images = torch.rand(5, 1, 8, 8)
    for made in (model.sample(5), model.reconstruct(images)):
        assert made.shape == images.shape
        assert not made.requires_grad
        assert 0 <= made.min() <= made.max() <= 1


@pytest.mark.parametrize(
    "settings",
    [{"latent": 0}, {"layer": -1}, {"reconstruction": -1.0}, {"learning_rate": 0.0}, {"decay": 1.0}, {"margin": -0.1}],
    ids=str,
)
def test_settings_that_cannot_work_are_refused(settings: dict) -> None:
    with pytest.raises(InputError):
        VAEGANConfig(**settings)
