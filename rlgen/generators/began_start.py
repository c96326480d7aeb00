"""The start of BEGAN's generator: the decoder of an autoencoder that reproduces images."""

import math
from typing import Any

import torch
from torch import Tensor, nn

from rlgen.nn.layers import full_precision, without_autocast

NEWEST = 0.02
"""Weight of the newest batch in averages of recent ones."""


class GeneratorStart(nn.Module):
    """The generator before it learns: the decoder, for latents of the prior instead of codes. It notes the codes'
    mean and covariance, and whether the autoencoder reproduces images."""

    mean: Tensor
    """Mean code [Z] of recent images."""
    covariance: Tensor
    """Covariance [Z, Z] of the codes of recent images."""
    error: Tensor
    """Error on recent images, as a fraction of the error of the best single image."""
    done: Tensor
    """1 once the generator learns."""

    def __init__(self, latent: int):
        super().__init__()
        self.register_buffer("mean", torch.zeros(latent))
        self.register_buffer("covariance", torch.eye(latent))
        self.register_buffer("error", torch.ones(()))
        self.register_buffer("done", torch.zeros(()))
        self._over: bool | None = None

    @property
    def over(self) -> bool:
        """Whether the generator learns. Reads a number of the device once after each check and each loaded state."""
        if self._over is None:
            self._over = bool(self.done)
        return self._over

    def _load_from_state_dict(self, *arguments: Any, **more: Any) -> None:
        super()._load_from_state_dict(*arguments, **more)
        self._over = None

    @torch.no_grad()
    def see(self, codes: Tensor, images: Tensor, real_error: Tensor) -> None:
        """Take codes [B, Z] of images [B, C, H, W] and their error into the averages of recent ones."""
        flat_error = (images - images.median(0).values).abs().mean()  # the median is the best image by absolute errors
        codes = full_precision(codes)
        self.mean.lerp_(codes.mean(0), NEWEST)
        centered = (codes - self.mean) / len(codes) ** 0.5
        with without_autocast(codes):
            self.covariance.lerp_(centered.T @ centered, NEWEST)
        self.error.lerp_(full_precision(real_error / flat_error.clamp_min(1e-12)), NEWEST)

    @torch.no_grad()
    def make(self, generator: nn.Sequential, decoder: nn.Sequential) -> None:
        """Give the generator the decoder's weights. Its first layer also maps latents, uniform from -1 to 1, to the
        mean and covariance of codes."""
        generator.load_state_dict(decoder.state_dict())
        first, jitter = generator[0], 1e-4 * torch.eye(len(self.mean), device=self.mean.device)
        assert isinstance(first, nn.Linear)
        root = torch.linalg.cholesky_ex(self.covariance + jitter).L
        first.bias.add_(first.weight @ self.mean)
        first.weight.copy_(first.weight @ root * math.sqrt(3))  # the variance of a latent's components is 1/3

    @torch.no_grad()
    def check(self, start: float) -> None:
        """Let the generator learn from now on if the error is below `start`."""
        self.done.copy_((self.error < start).float())
        self._over = None
