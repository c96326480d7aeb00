"""Variational discriminator bottleneck: a limit on the information about inputs that a discriminator uses."""

from dataclasses import dataclass, field
from typing import ClassVar

import torch
from jaxtyping import Float
from torch import Tensor, nn
from torch.nn import functional as F

from rlgen.display import Metric, Panel
from rlgen.equations.penalties import Critic, dual_ascent
from rlgen.errors import problem
from rlgen.nn.layers import split_head
from rlgen.nn.posterior import DiagonalGaussian

SMALLEST_STD = 1e-4
"""Lower limit of the code's standard deviation; with 0 the KL divergence would be infinite."""
Features = Float[Tensor, "B F"]
Latents = Float[Tensor, "B Z"]


class GaussianBottleneck(DiagonalGaussian):
    """Maps features [B, F] to a sample [B, Z] of N(mean, std²), in evaluation mode to the mean. std is the softplus of
    a linear function of the features.

    `beta`: the multiplier of the KL divergence, updated by `Bottleneck`.
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
    """Variational discriminator bottleneck: the discriminator receives a noisy code with at most `limit` nats of
    information about its inputs, on average over both sides. The reward is computed from the code's mean. Peng et al.
    2019 (VAIL, 1810.00821), section 4. The defaults, except `latent`, are those of its imitation experiments.

    A penalty that changes layers changes those before the code if it precedes this one in a list, and all layers if it
    follows. Use one object per discriminator.
    """

    latent: int = 32
    """Dimension of the code."""
    limit: float = 0.5
    """Limit on the mean information of the code about a row, nats (I_c)."""
    step_size: float = 1e-5
    """Step size of the multiplier β, per nat above the limit and gradient step; β is at least 0."""
    initial_beta: float = 0.0
    """Initial value of the multiplier β."""
    panels: ClassVar[tuple[Panel, ...]] = (
        Panel("Information through the bottleneck [nats]", (Metric("bottleneck_kl", "KL"),), limits=(0, None)),
        Panel("Weight of the bottleneck", (Metric("bottleneck_beta", "β"),), limits=(0, None)),
    )
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
            raise problem("a separate Bottleneck for every discriminator", "one in use", "make another")
        body, head = split_head(network)
        code = GaussianBottleneck(head.in_features, self.latent, self.initial_beta).to(head.weight)
        self._parts = body, code
        return nn.Sequential(*body, code, nn.Linear(self.latent, head.out_features).to(head.weight))

    def loss(self, critic: Critic, real: Tensor, fake: Tensor, real_logit: Tensor, fake_logit: Tensor) -> Tensor:
        assert self._parts is not None, "wrap comes first"
        body, code = self._parts
        kl = code.kl(body(torch.cat([real, fake]))).sum(-1).mean()
        excess, beta = kl - self.limit, code.beta.clone()
        code.beta.copy_(dual_ascent(beta, excess.detach(), self.step_size))
        self._kl = kl.detach()
        return beta * excess

    def report(self) -> dict[str, Tensor]:
        """Mean KL divergence per row in the last step, nats, and the current multiplier β."""
        assert self._parts is not None, "wrap comes first"
        assert self._kl is not None, "a step comes first"
        return {"bottleneck_kl": self._kl, "bottleneck_beta": self._parts[1].beta.clone()}
