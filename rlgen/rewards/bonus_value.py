"""The value function of a bonus whose returns go on past the ends of episodes."""

import logging
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Literal

import torch
from jaxtyping import Bool, Float
from torch import Tensor, nn

from rlgen.checks import below_one, positive, widths
from rlgen.display import Metric, Panel
from rlgen.equations.policy_gradient import non_episodic_advantages
from rlgen.nn.layers import mlp
from rlgen.nn.normalizer import Normalizer
from rlgen.nn.optimizer_state import load_optimizer
from rlgen.rewards.bonus_unit import DiscountedReturnStd
from rlgen.rewards.random_features import RandomFeatures

log = logging.getLogger("rlgen")

BonusReturns = Literal["episodic", "non_episodic"]


@dataclass(frozen=True, kw_only=True)
class BonusValueConfig:
    """Settings of the value function of a bonus with non-episodic returns (Burda et al. 2018, 1810.12894).

    Discount factor and epochs are the paper's. Differs from the paper: a network of its own instead of a second output
    of the policy's, sized for flat observations.
    """

    gamma: float = 0.99
    """Discount factor of the bonus per environment step, at least 0 and below 1."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the hidden layers of the bonus's value function."""
    learning_rate: float = 1e-3
    """Adam's learning rate."""
    epochs: int = 4
    """Passes over each rollout."""
    batch_size: int = 256
    """Transitions per gradient step."""

    def __post_init__(self) -> None:
        below_one(self, "gamma", remedy="use e.g. 0.99")
        widths(self, "hidden")
        positive(self, "learning_rate", "epochs", "batch_size")


class BonusValue:
    """Non-episodic advantages of a bonus, by a value function that learns the returns of the bonus alone. Burda et al.
    2018 (1810.12894), sections 2.3 and 2.4.

    A rollout of an environment is a part of one endless stream: the state after the end of an episode, whether the task
    or a time limit ended it, is the first of the next episode. The value function is a network of its own, so that
    policy, critic and saved model stay as they are. It measures bonuses in the standard deviation of their discounted
    sums, and observations by running statistics; images and dictionaries as features of a fixed random encoder.
    """

    panels: ClassVar[tuple[Panel, ...]] = (
        Panel("Value function of the bonus: explained variance", (Metric("value_explained_variance", "explained"),)),
        Panel("Loss of the bonus's value function", (Metric("value_loss", "value loss"),)),
    )

    def __init__(
        self,
        observation_size: int,
        n_envs: int,
        config: BonusValueConfig,
        device: torch.device | str,
        features: RandomFeatures | None = None,
    ):
        """`features`: of observations that are not vectors."""
        self.config, self.features, self.warned = config, features, False
        self.inputs = Normalizer(observation_size).to(device)
        self.network = mlp([observation_size, *config.hidden, 1])
        last = self.network[-1]
        nn.init.zeros_(last.weight)  # type: ignore[arg-type]
        nn.init.zeros_(last.bias)  # type: ignore[arg-type]
        self.network.to(device)
        self.unit = DiscountedReturnStd(n_envs, config.gamma).to(device)
        self.optimizer = torch.optim.Adam(self.network.parameters(), config.learning_rate, fused=True)

    def advantages(
        self, observations: Any, bonus: Float[Tensor, "T N"], lam: float
    ) -> tuple[Float[Tensor, "T N"], dict[str, Tensor]]:
        """Advantages of a rollout in the unit of its bonuses, and named numbers for the log; then learns its returns.

        Args:
            observations: (T + 1) · N rows, time-major: those in which the policy acted, and those after the last step.
            bonus: of each step.
            lam: λ of generalized advantage estimation.
        """
        rows = observations if self.features is None else self.features(observations)
        acted, bonus = rows[: bonus.numel()], bonus.to(rows.device)
        self.unit.merge(bonus.flatten())
        values = self.values(rows).view(-1, bonus.shape[1])
        scaled = self.unit(bonus.flatten()).view_as(bonus)
        advantages = non_episodic_advantages(scaled, values, self.config.gamma, lam)
        returns = advantages + values[:-1]
        self.inputs.merge(acted)
        explained = 1 - advantages.var(correction=0) / returns.var(correction=0).clamp(min=1e-8)
        metrics = {"value_explained_variance": explained, "value_loss": self._learn(acted, returns.flatten())}
        return advantages * self.unit.std.to(advantages), metrics

    @torch.no_grad()
    def values(self, rows: Float[Tensor, "B O"]) -> Float[Tensor, " B"]:
        """Values in standard deviations of the discounted sums of the bonus."""
        return self.network(self.inputs(rows)).squeeze(-1)

    def _learn(self, rows: Float[Tensor, "B O"], returns: Float[Tensor, " B"]) -> Tensor:
        """Takes the gradient steps of a rollout and returns their mean loss."""
        losses, inputs = [], self.inputs(rows)
        for places in self._minibatches(len(rows)):
            loss = (self.network(inputs[places]).squeeze(-1) - returns[places]).square().mean()
            self.optimizer.zero_grad(set_to_none=True)
            loss.backward()
            self.optimizer.step()
            losses.append(loss.detach())
        return torch.stack(losses).mean()

    def _minibatches(self, rows: int) -> Iterator[Tensor]:
        for _ in range(self.config.epochs):
            yield from torch.randperm(rows, device=self.inputs.mean.device).split(self.config.batch_size)

    def warn_of_falls(self, terminated: Bool[Tensor, " B"]) -> None:
        """Logs a warning, once, if the task has ended an episode: the bonus goes on past that."""
        if not self.warned and bool(terminated.any()):
            self.warned = True
            log.warning(
                "expected episodes that only a time limit ends, because a non-episodic bonus goes on past their ends; "
                "the task has ended one: an early end, such as a fall, is free, and the policy may learn to fall; use "
                "episodic returns (--bonus-returns episodic), unless early ends are harmless here"
            )

    def state_dict(self) -> dict[str, Any]:
        return {
            "inputs": self.inputs.state_dict(),
            "network": self.network.state_dict(),
            "unit": self.unit.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            **({} if self.features is None else {"features": self.features.state_dict()}),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("inputs", "network", "unit"):
            getattr(self, name).load_state_dict(state[name])
        load_optimizer(self.optimizer, state["optimizer"])
        if self.features is not None:
            self.features.load_state_dict(state["features"])
