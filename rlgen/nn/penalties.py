"""Penalties as list elements: each changes the discriminator it is given, or its loss, or both.

What a penalty remembers it puts into the network that `wrap` returns, so that the network's state dict holds it.
"""

from dataclasses import dataclass
from typing import Protocol, runtime_checkable

from torch import Tensor, nn
from torch.nn.utils import parametrizations

from rlgen.equations import penalties as equations
from rlgen.equations.penalties import Critic

WEIGHTED = (
    nn.Linear,
    nn.Conv1d,
    nn.Conv2d,
    nn.Conv3d,
    nn.ConvTranspose1d,
    nn.ConvTranspose2d,
    nn.ConvTranspose3d,
)
"""Layers that a spectral norm divides."""


@runtime_checkable
class Penalty(Protocol):
    """What may be added to a discriminator."""

    def wrap(self, network: nn.Module) -> nn.Module:
        """The network to train instead of `network` (or the same one)."""
        ...

    def loss(self, critic: Critic, real: Tensor, fake: Tensor, real_logit: Tensor, fake_logit: Tensor) -> Tensor:
        """A scalar added to the discriminator's loss, called once per gradient step. Real (expert) and fake (policy)
        inputs [B, ...], their logits [B]."""
        ...


@runtime_checkable
class Reporting(Protocol):
    """A penalty that has something to log."""

    def report(self) -> dict[str, Tensor]:
        """0-d tensors by name, of the last step or of the last few. Asking changes nothing."""
        ...


@dataclass(frozen=True, kw_only=True)
class GradientPenalty:
    """Gradient norm towards `centre` between real and fake rows (`equations.gradient_penalty`)."""

    weight: float = 1.0
    centre: float = 1.0

    def wrap(self, network: nn.Module) -> nn.Module:
        return network

    def loss(self, critic: Critic, real: Tensor, fake: Tensor, real_logit: Tensor, fake_logit: Tensor) -> Tensor:
        return self.weight * equations.gradient_penalty(critic, real, fake, self.centre)


@dataclass(frozen=True, kw_only=True)
class R1:
    """Gradient norm towards zero at real rows (`equations.r1`)."""

    weight: float = 1.0

    def wrap(self, network: nn.Module) -> nn.Module:
        return network

    def loss(self, critic: Critic, real: Tensor, fake: Tensor, real_logit: Tensor, fake_logit: Tensor) -> Tensor:
        return self.weight * equations.r1(critic, real)


@dataclass(frozen=True, kw_only=True)
class Entropy:
    """Rewards an unsure discriminator by the entropy of D on either side (Ho & Ermon's released code: weight 1e-3)."""

    weight: float = 1e-3

    def wrap(self, network: nn.Module) -> nn.Module:
        return network

    def loss(self, critic: Critic, real: Tensor, fake: Tensor, real_logit: Tensor, fake_logit: Tensor) -> Tensor:
        entropy = equations.bernoulli_entropy(real_logit).mean() + equations.bernoulli_entropy(fake_logit).mean()
        return -self.weight * entropy


@dataclass(frozen=True, kw_only=True)
class SpectralNorm:
    """Every linear and convolutional layer divided by its largest singular value. Miyato et al. 2018 (1802.05957),
    Alg. 1. That of a convolution is of its kernel as a matrix with a row per output channel, as in the paper."""

    def wrap(self, network: nn.Module) -> nn.Module:
        for module in network.modules():
            if isinstance(module, WEIGHTED):
                parametrizations.spectral_norm(module)
        return network

    def loss(self, critic: Critic, real: Tensor, fake: Tensor, real_logit: Tensor, fake_logit: Tensor) -> Tensor:
        return real_logit.new_zeros(())
