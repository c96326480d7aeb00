"""VAE with an inverse autoregressive flow as posterior (Kingma et al. 2016, 1606.04934)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from rlgen.generators.player import Player
from rlgen.generators.vae import VAE, VAEConfig


@dataclass(frozen=True, kw_only=True)
class IAFVAEConfig(VAEConfig):
    """Configuration of `IAFVAE`: the smallest flow of the paper's table 1 (MNIST).

    Encoder and decoder are perceptrons instead of convolutional residual networks, which train for hours. The paper's
    baseline is the same configuration with `posterior="gaussian"`.
    """

    latent: int = 32
    """Latent dimension (section 6.1)."""
    activation: Literal["tanh", "relu"] = "relu"
    """Activation between layers of encoder and decoder; the flow has exponential linear units."""
    posterior: Literal["gaussian", "iaf", "coupling"] = "iaf"
    """Posterior: iaf, the flow, whose steps all receive the encoder's context; gaussian or coupling for comparison."""
    flow_steps: int = 2
    """Number of steps of the flow: 2, 4 and 8 in table 1. Every second step has the latent dimensions in reverse
    order."""
    flow_hidden: tuple[int, ...] = (320,)
    """Widths of the hidden layers in each step of the flow: 320 and 1920 in table 1."""
    free_bits: float = 0.1
    """Nats of KL divergence per latent dimension without cost (appendix C.8; 0.1 in the released code, for CIFAR-10).
    For a flow the limit applies to the sum over all dimensions."""
    learning_rate: float = 2e-3
    """Learning rate of Adamax (released code)."""


class IAFVAE(VAE):
    """A `VAE` trained with Adamax."""

    config_type = IAFVAEConfig
    config: IAFVAEConfig

    def players(self) -> Sequence[Player]:
        return (Player("vae", self.parameters(), self.loss, self.config.learning_rate, optimizer=torch.optim.Adamax),)
