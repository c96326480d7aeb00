"""A variational bottleneck: a discriminator that may learn only so many nats about its inputs."""

from dataclasses import dataclass, field

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.equations.penalties import Critic, dual_ascent
from rlgen.errors import problem
from rlgen.nn.layers import split_head
from rlgen.nn.posterior import DiagonalGaussian

SMALLEST_STD = 1e-4
"""Of the code: certainty would cost infinitely many nats."""
Features = Float[Tensor, "B F"]
Latents = Float[Tensor, "B Z"]


class GaussianBottleneck(DiagonalGaussian):
    """Features [B, F] to a sample [B, Z] of N(mean, std²), std the softplus of a linear function of the features; in
    evaluation to the mean.

    `beta`: what a nat through it costs; moved by `Bottleneck`.
    """

    beta: Tensor

    def __init__(self, features: int, latent: int, beta: float = 0.0):
        super().__init__(features, latent)
        self.register_buffer("beta", torch.tensor(beta))

    def mean_and_log_std(self, features: Features) -> tuple[Latents, Latents]:
        mean, raw = super().mean_and_log_std(features)
        return mean, torch.log(F.softplus(raw) + SMALLEST_STD)

    def forward(self, features: Features) -> Latents:
        return self.rsample(features)[0].squeeze(0) if self.training else self.mean_and_log_std(features)[0]


@dataclass(kw_only=True, eq=False)
class Bottleneck:
    """The discriminator sees a noisy code of its inputs with at most `limit` nats about them, on average over both
    sides; the reward is that of the code's mean. Peng et al. 2019 (VAIL, 1810.00821), section 4. The defaults are those
    of its imitation experiments but for the code's size.

    Penalties that change layers come before it in a list to change those before the code, after it to change all. One
    object serves one discriminator.
    """

    latent: int = 32
    """Numbers of the code."""
    limit: float = 0.5
    """Nats about a row that the code may hold, on average (I_c)."""
    step_size: float = 1e-5
    """Of β, the price of a nat, per nat above the limit and gradient step; β never falls below 0."""
    initial_beta: float = 0.0
    """β at the start."""
    _parts: tuple[nn.Module, GaussianBottleneck] | None = field(default=None, init=False, repr=False)
    _kl: Tensor | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if self.latent < 1 or not min(self.limit, self.initial_beta) >= 0 or not self.step_size > 0:
            raise problem(
                "a latent of 1 or more, a limit and initial_beta of at least 0 and a positive step_size",
                f"{self.latent}, {self.limit}, {self.initial_beta}, {self.step_size}",
                "leave them out for the defaults",
            )

    def wrap(self, network: nn.Module) -> nn.Module:
        if self._parts is not None:
            raise problem("a Bottleneck of its own for every discriminator", "one in use", "make another")
        body, head = split_head(network)
        code = GaussianBottleneck(head.in_features, self.latent, self.initial_beta).to(head.weight)
        self._parts = body, code
        return nn.Sequential(*body, code, nn.Linear(self.latent, head.out_features).to(head.weight))

    def loss(self, critic: Critic, real: Tensor, fake: Tensor, real_logit: Tensor, fake_logit: Tensor) -> Tensor:
        assert self._parts is not None, "wrap comes first"
        body, code = self._parts
        kl = code.kl(body(torch.cat([real, fake]))).sum(-1).mean()
        excess, price = kl - self.limit, code.beta.clone()
        code.beta.copy_(dual_ascent(price, excess.detach(), self.step_size))
        self._kl = kl.detach()
        return price * excess

    def report(self) -> dict[str, Tensor]:
        """Of the last step: the nats per row, and what one costs now."""
        assert self._parts is not None, "wrap comes first"
        assert self._kl is not None, "a step comes first"
        return {"bottleneck_kl": self._kl, "bottleneck_beta": self._parts[1].beta.clone()}
