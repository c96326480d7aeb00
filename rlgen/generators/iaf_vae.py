"""Variational autoencoder whose posterior is an inverse autoregressive flow (Kingma et al. 2016, 1606.04934)."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

import torch

from rlgen.generators.player import Player
from rlgen.generators.vae import VAE, VAEConfig


@dataclass(frozen=True, kw_only=True)
class IAFVAEConfig(VAEConfig):
    """The smallest flow of the paper's table 1 (MNIST), around perceptrons instead of convolutional residual networks,
    which take hours. The posterior gaussian, everything else equal, is what the paper compares it with."""

    latent: int = 32
    """Numbers in a latent (section 6.1)."""
    activation: Literal["tanh", "relu"] = "relu"
    """Between layers of encoder and decoder; the flow's have exponential linear units."""
    posterior: Literal["gaussian", "iaf", "coupling"] = "iaf"
    """The flow, whose every step sees the encoder's context; or one to compare with."""
    flow_steps: int = 2
    """Of the flow: 2, 4 and 8 in table 1. Every second one goes through the latent numbers backwards."""
    flow_hidden: tuple[int, ...] = (320,)
    """Widths of the hidden layers in each of its steps: 320 and 1920 in table 1."""
    free_bits: float = 0.1
    """Nats that each latent number may carry free of charge (appendix C.8; 0.1 in the released code, for CIFAR-10). A
    flow's divergence is charged as a whole, with as much free as there are latent numbers."""
    learning_rate: float = 2e-3
    """Adamax's (released code)."""


class IAFVAE(VAE):
    """As `VAE`, trained with Adamax."""

    config_type = IAFVAEConfig
    config: IAFVAEConfig

    def players(self) -> Sequence[Player]:
        return (Player("vae", self.parameters(), self.loss, self.config.learning_rate, optimiser=torch.optim.Adamax),)
