"""InfoGAIL's reward source: how well the code of an episode can be inferred from its states and actions."""

import math
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from rlgen.checks import positive, widths
from rlgen.data.transitions import Transitions
from rlgen.display import Metric, Panel
from rlgen.equations.likelihoods import categorical_log_prob
from rlgen.equations.variational_bounds import categorical_information
from rlgen.nn.layers import mlp
from rlgen.nn.optimizer_state import load_optimizer
from rlgen.rewards.source import RewardSource


@dataclass(frozen=True, kw_only=True)
class CodePosteriorConfig:
    """Settings of the network that infers the code."""

    hidden: tuple[int, ...] = (128, 128)
    """Widths of the network's hidden layers."""
    learning_rate: float = 1e-3
    """Adam's learning rate."""
    updates_per_rollout: int = 8
    """Gradient steps after each rollout."""
    batch_size: int = 1024
    """Transitions per gradient step."""

    def __post_init__(self) -> None:
        positive(self, "learning_rate", "updates_per_rollout", "batch_size")
        widths(self, "hidden")


def without_code(batch: Transitions, codes: int) -> Transitions:
    """`batch` without the last `codes` observation components, which hold the code of the episode, one-hot."""
    cut = {name: getattr(batch, name)[:, :-codes] for name in ("observations", "next_observations")}
    return replace(batch, **cut)


class WithoutCode:
    """Hides the code from `source`: a discriminator would recognize the policy by it, since no expert has one."""

    def __init__(self, source: RewardSource, codes: int):
        self.source, self.codes = source, codes
        self._cut: tuple[Transitions, Transitions] | None = None

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        return self.source.update(self._without(batch))

    def reward(self, batch: Transitions) -> Tensor:
        return self.source.reward(self._without(batch))

    def state_dict(self) -> dict[str, Any]:
        return self.source.state_dict()

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.source.load_state_dict(state)

    def _without(self, batch: Transitions) -> Transitions:
        """The same object for the same batch: some sources recognize the batch that they have just learned from."""
        if self._cut is None or self._cut[0] is not batch:
            self._cut = batch, without_code(batch, self.codes)
        return self._cut[1]


class CodePosterior:
    """Rewards log Q(c|s, a) + log K, nats, for the code c of the episode, one of K, one-hot at the observation's end.

    Li et al. 2017 (InfoGAIL, 1703.08840): the mean reward is the variational bound L_I(π, Q) on the mutual information
    between codes and the behavior under them; it is at most log K, and 0 where Q can only guess. Q, a classifier,
    learns from every rollout. `inputs` maps a batch without code to the input of Q, [B, size]: that of a discriminator.

    Differs from the released code: no second, slowly moving copy of Q gives the rewards. Differs from the paper: the
    entropy of the codes, log K, is in the reward instead of left out as a constant, so that guessing costs nothing.
    """

    panels: ClassVar[tuple[Panel, ...]] = (
        Panel("Share of steps whose code is inferred", (Metric("accuracy", "share"),), limits=(0, 1)),
        Panel("Loss of the codes' classifier [nats]", (Metric("loss", "loss"),), drawn=False),
    )

    def __init__(
        self,
        inputs: Callable[[Transitions], Tensor],
        size: int,
        codes: int,
        config: CodePosteriorConfig | None = None,
        device: torch.device | str = "cpu",
    ):
        self.inputs, self.codes, self.config = inputs, codes, config or CodePosteriorConfig()
        self.network = mlp([size, *self.config.hidden, codes], nn.Tanh).to(device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), self.config.learning_rate, fused=True)

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        inputs, codes = self._seen(batch), self.codes_of(batch)
        losses = []
        for _ in range(self.config.updates_per_rollout):
            drawn = torch.randint(len(codes), (self.config.batch_size,), device=codes.device)
            loss = -categorical_information(self.network(inputs[drawn]), codes[drawn])
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.detach())
        with torch.no_grad():
            guessed = self.network(inputs).argmax(-1)
        return {"loss": torch.stack(losses).mean(), "accuracy": (guessed == codes).float().mean()}

    @torch.no_grad()
    def reward(self, batch: Transitions) -> Tensor:
        return categorical_log_prob(self.codes_of(batch), self.network(self._seen(batch))) + math.log(self.codes)

    def codes_of(self, batch: Transitions) -> Tensor:
        """The code of each transition's episode, [B], counted from 0."""
        return batch.observations[:, -self.codes :].argmax(-1)

    def _seen(self, batch: Transitions) -> Tensor:
        return self.inputs(without_code(batch, self.codes))

    def state_dict(self) -> dict[str, Any]:
        return {"network": self.network.state_dict(), "optimiser": self.optimizer.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.network.load_state_dict(state["network"])
        load_optimizer(self.optimizer, state["optimiser"])
