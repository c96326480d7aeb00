"""Proximal reward updates: a limit on how fast a discriminator's output changes."""

from copy import deepcopy
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from torch import Tensor, nn

from rlgen.display import Metric, Panel
from rlgen.equations.penalties import Critic, multiplied_weight, squared_change
from rlgen.errors import problem

WEIGHTS = (1e-3, 1e3)
"""Range of the penalty's weight."""


class Anchored(nn.Module):
    """`network`, with a running average of its past as `anchor` and the penalty's `weight` in its state dict."""

    weight: Tensor

    def __init__(self, network: nn.Module):
        super().__init__()
        self.network, self.anchor = network, deepcopy(network).requires_grad_(False)
        self.register_buffer("weight", torch.ones((), device=next(network.parameters()).device))

    def forward(self, inputs: Tensor) -> Tensor:
        return self.network(inputs)

    def logits(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """The network's logits [B], differentiable, and the anchor's, both in evaluation mode."""
        trains = self.network.training
        now = self.network.eval()(inputs).squeeze(-1)
        self.network.train(trains)
        with torch.no_grad():
            return now, self.anchor.eval()(inputs).squeeze(-1)

    @torch.no_grad()
    def follow(self, decay: float) -> None:
        """Move the anchor towards the network."""
        for old, new in zip(self.anchor.parameters(), self.network.parameters(), strict=True):
            old.lerp_(new, 1 - decay)
        for kept, buffer in zip(self.anchor.buffers(), self.network.buffers(), strict=True):
            kept.copy_(buffer)


@dataclass(kw_only=True, eq=False)
class Proximal:
    """A limit on the mean squared change of the logits at expert and policy rows: a weight on it is multiplied where
    the change exceeds `limit`, and divided where it does not. Chen et al. 2025 (PIRO, 2509.23135).

    Differs from the paper: the change is measured from a running average of the discriminator over about 1 / (1 -
    `decay`) gradient steps, not from the reward of the last iteration, so that it needs to know no iterations.

    It wraps the complete network, so put it last in a list of penalties. Use one object per discriminator.
    """

    limit: float = 0.1
    """Limit of the mean squared change of the logits [nats²]."""
    factor: float = 1.1
    """Factor of the weight per gradient step."""
    decay: float = 0.9
    """Decay of the running average per gradient step."""
    panels: ClassVar[tuple[Panel, ...]] = (
        Panel("Change of the discriminator [nats²]", (Metric("proximal_change", "mean square"),), limits=(0, None)),
        Panel("Weight of the proximal penalty", (Metric("proximal_weight", "weight"),), limits=(0, None)),
    )
    _network: Anchored | None = field(default=None, init=False, repr=False)
    _change: Tensor | None = field(default=None, init=False, repr=False)

    def __post_init__(self) -> None:
        if not (self.limit > 0 and self.factor >= 1 and 0 <= self.decay < 1):
            raise problem(
                "a positive limit, a factor of at least 1 and a decay of at least 0 and below 1",
                f"{self.limit}, {self.factor}, {self.decay}",
                "leave them out for the defaults",
            )

    def wrap(self, network: nn.Module) -> nn.Module:
        if self._network is not None:
            raise problem("a separate Proximal for every discriminator", "one in use", "make another")
        self._network = Anchored(network)
        return self._network

    def loss(self, critic: Critic, real: Tensor, fake: Tensor, real_logit: Tensor, fake_logit: Tensor) -> Tensor:
        assert self._network is not None, "wrap comes first"
        # Without the noise of dropout, a bottleneck or a denoiser, which would count as a change.
        change = squared_change(*self._network.logits(torch.cat([real, fake])))
        weight = self._network.weight.clone()
        self._network.weight.copy_(multiplied_weight(weight, change.detach(), self.limit, self.factor).clamp(*WEIGHTS))
        self._network.follow(self.decay)
        self._change = change.detach()
        return weight * change

    def report(self) -> dict[str, Tensor]:
        """Mean squared change in the last step, nats², and the current weight."""
        assert self._network is not None, "wrap comes first"
        assert self._change is not None, "a step comes first"
        return {"proximal_change": self._change, "proximal_weight": self._network.weight.clone()}
