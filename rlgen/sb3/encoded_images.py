"""Features of images that start as the encoder of an image model.

Saved policies name this module, so its class must stay here.
"""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.torch_layers import BaseFeaturesExtractor
from torch import Tensor, nn

from rlgen.errors import problem
from rlgen.generators.image_model import ImageShape
from rlgen.generators.trainer import Trainer
from rlgen.generators.vae import VAE, VAEConfig
from rlgen.nn.layers import ACTIVATIONS, Activation, mlp
from rlgen.nn.posterior import DiagonalGaussian

PRETRAINED = VAEConfig(latent=64, hidden=(256,), activation="elu", likelihood="gaussian")
"""The model that is trained on demonstrated images; its likelihood is for all levels and any number of channels."""
BATCH_SIZE = 128
"""Demonstrated images per update of that model."""


class EncodedImages(BaseFeaturesExtractor):
    """Features [B, `latent`] of images [B, C, H, W]: means of the posterior of a `VAE` with these settings, or, where
    its posterior is a flow, means before the flow.

    Frozen, it stays as it is: the policy's loss has no gradient there. `pretraining` is the number of updates with
    which `pretrain` trains the model first.
    """

    low: Tensor
    gain: Tensor

    def __init__(
        self,
        observation_space: spaces.Box,
        hidden: Sequence[int] = PRETRAINED.hidden,
        latent: int = PRETRAINED.latent,
        activation: Activation = PRETRAINED.activation,
        frozen: bool = False,
    ):
        super().__init__(observation_space, latent)
        channels, height, width = observation_space.shape
        kind = ACTIVATIONS[activation]
        self.encoder = nn.Sequential(mlp([channels * height * width, *hidden], kind), kind())
        self.mean = nn.Linear(hidden[-1], latent)
        self.register_buffer("low", torch.zeros(channels, 1, 1))
        self.register_buffer("gain", torch.ones(channels, 1, 1))
        self.frozen, self.pretraining = frozen, 0

    def forward(self, observations: Tensor) -> Tensor:
        with torch.set_grad_enabled(torch.is_grad_enabled() and not self.frozen):
            return self.mean(self.encoder(self.scaled(observations).flatten(1)))

    def scaled(self, images: Tensor) -> Tensor:
        """Images in [0, 1] by the range of each channel that the model was trained with."""
        return (images - self.low) * self.gain

    @torch.no_grad()
    def start_from(self, model: VAE) -> None:
        """Takes the weights of the encoder of `model`, which has its settings."""
        self.encoder.load_state_dict(model.encoder.state_dict())
        head = _gaussian(model).head
        self.mean.weight.copy_(head.weight[: len(self.mean.weight)])
        self.mean.bias.copy_(head.bias[: len(self.mean.bias)])


def _gaussian(model: VAE) -> DiagonalGaussian:
    """The Gaussian of the posterior, to which a flow may be applied."""
    found = getattr(model.posterior, "base", model.posterior)
    if not isinstance(found, DiagonalGaussian):
        got = type(model.posterior).__name__
        raise problem("a posterior that is a Gaussian or a flow of one", got, "use the posteriors of rlgen.nn")
    return found


def settings_of(config: VAEConfig, frozen: bool) -> dict[str, Any]:
    """Arguments of `EncodedImages`, in types of JSON, for the encoder of a `VAE` with this configuration."""
    own: dict[str, Any] = {"hidden": list(config.hidden), "latent": config.latent, "activation": config.activation}
    return {**own, "frozen": frozen}


def encoded_parts(policy: nn.Module) -> dict[str, EncodedImages]:
    """All encoders within a policy by their names, those of actor, critics and targets too."""
    return {name: part for name, part in policy.named_modules() if isinstance(part, EncodedImages)}


def pretrain(policy: Any, batches: Callable[[], Iterable[Any]]) -> None:
    """Trains a `VAE` on all images of the policy's inputs and starts its encoders from that one, if they wait for it.

    `batches`: the demonstrated inputs of the policy, some rows at a time. The images stay bytes; those of a minibatch
    are floats."""
    waiting = {name: part for name, part in encoded_parts(policy).items() if part.pretraining}
    if not waiting:
        return
    name, first = next(iter(waiting.items()))
    key = name.partition(".parts.")[2]
    images = torch.cat([rows[key] if key else rows for rows in batches()])
    low, high = (bound / 255 for bound in (images.amin((0, 2, 3)), images.amax((0, 2, 3))))
    for part in waiting.values():
        part.low.copy_(low[:, None, None])
        part.gain.copy_(1 / torch.where(high > low, high - low, 1)[:, None, None])
    channels, height, width = images.shape[1:]
    model = VAE(ImageShape(channels=channels, height=height, width=width), PRETRAINED).to(images.device)
    trainer = Trainer(model)
    for _ in range(first.pretraining):
        rows = torch.randint(len(images), (BATCH_SIZE,), device=images.device)
        trainer.update(first.scaled(images[rows].float() / 255))
    for part in waiting.values():
        part.start_from(model)
        part.pretraining = 0
