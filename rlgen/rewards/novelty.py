"""The base of all bonuses of networks that predict: when they are computed, learned from and logged; what the networks
see of a transition, and the pool of past ones."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Protocol, get_args, runtime_checkable

import torch
from torch import Tensor, nn

from rlgen import distributed
from rlgen.checks import one_of, positive, widths
from rlgen.data.transitions import Transitions
from rlgen.deprecation import UNLESS_DEFAULT
from rlgen.display import Metric, Panel
from rlgen.nn.cuda_graph import CudaGraphStep
from rlgen.nn.normalizer import Normalizer
from rlgen.nn.optimizer_state import load_optimizer
from rlgen.rewards.bonus import Bonus
from rlgen.rewards.bonus_unit import BONUS, BonusUnit, UnitConfig, quantile_metrics, quantile_panel, quantiles
from rlgen.rewards.finite_rows import finite_rows
from rlgen.rewards.replay_pool import ReplayPool
from rlgen.rewards.source import TaskShape


@dataclass(frozen=True, kw_only=True)
class NoveltyConfig(UnitConfig):
    """Settings of how the networks behind a bonus learn, and of the bonus's unit."""

    learning_rate: float = 1e-3
    """Adam's learning rate."""
    updates_per_rollout: int = 32
    """Gradient steps after each rollout."""
    batch_size: int = 256
    """Transitions per gradient step."""

    def __post_init__(self) -> None:
        super().__post_init__()
        for name, value in vars(self).items():
            if isinstance(value, int | float):
                positive(self, name)
            if isinstance(value, tuple):
                widths(self, name)


@runtime_checkable
class View(Protocol):
    """Maps transitions to network inputs, with statistics that only `merge` changes."""

    def merge(self, batch: Transitions) -> None: ...

    def __call__(self, batch: Transitions) -> tuple[Tensor, ...]:
        """Tensors of B rows each."""
        ...

    def state_dict(self) -> dict[str, Any]: ...

    def load_state_dict(self, state: dict[str, Any]) -> Any: ...


class Predictor(nn.Module):
    """The networks of a bonus. `forward` maps the tensors of a `View` to the novelty of each row, [B]."""

    loss: Callable[..., Tensor]
    """Training loss, a scalar, of the same arguments as `forward`."""


class Novelty(Bonus):
    """Rewards what `networks` have not learned yet, normalized by `unit`.

    `update` adds a rollout to the statistics, computes its bonus with the current networks, and then trains them on it;
    `reward` of that same batch is the bonus from before, and of any other batch the current one. Statistics change only
    in `update`. The log has the 10th, 50th and 90th percentile over transitions of `novelty`, the bonus before
    normalization, and of `bonus`, the normalized one.
    """

    panels: ClassVar[tuple[Panel, ...]] = (
        BONUS,
        quantile_panel("Novelty in its own unit: quantiles", "novelty"),
        Panel("Loss of curiosity's model", (Metric("loss", "loss"),)),
    )

    def __init__(
        self, view: View, networks: Predictor, unit: BonusUnit, config: NoveltyConfig, device: torch.device | str
    ):
        self.view, self.config = view, config
        self.networks, self.unit = networks.to(device), unit.to(device)
        learning = [parameter for parameter in networks.parameters() if parameter.requires_grad]
        self.optimizer = torch.optim.Adam(learning, config.learning_rate, fused=True)
        self._graph_step = CudaGraphStep(self._step, self.optimizer)

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        distributed.broadcast_parameters(self.networks)
        learned = finite_rows(batch)
        self.view.merge(learned)
        novelty = self.novelty(batch)
        self.keep(batch, novelty)
        losses = torch.stack([self._graph_step(*rows)["loss"].clone() for rows in self._minibatches(learned)])
        percentiles = quantiles(novelty)
        return {
            "loss": losses.mean(),
            **quantile_metrics("novelty", percentiles),
            **quantile_metrics("bonus", self.unit(percentiles)),
        }

    @torch.no_grad()
    def novelty(self, batch: Transitions) -> Tensor:
        """Novelty of each transition for the current networks, [B], not normalized."""
        return self.networks(*self.view(batch))

    @property
    def rows_per_step(self) -> int:
        """Transitions per gradient step."""
        return self.config.batch_size

    def draw(self, batch: Transitions, n: int) -> Transitions:
        """`n` transitions to learn from after the rollout `batch`: from the rollout, with replacement."""
        return Transitions(*distributed.draw(batch.tensors(), len(batch), n))

    def _minibatches(self, batch: Transitions) -> Iterator[tuple[Tensor, ...]]:
        """Network inputs of each gradient step."""
        drawn = self.view(self.draw(batch, self.config.updates_per_rollout * self.rows_per_step))
        return zip(*(tensor.split(self.rows_per_step) for tensor in drawn), strict=True)

    def _step(self, *rows: Tensor) -> dict[str, Tensor]:
        """Takes one gradient step and returns its loss."""
        loss = self.networks.loss(*rows)
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        self.optimizer.step()
        return {"loss": loss.detach()}

    def state_dict(self) -> dict[str, Any]:
        return {
            "view": self.view.state_dict(),
            "networks": self.networks.state_dict(),
            "unit": self.unit.state_dict(),
            "optimiser": self.optimizer.state_dict(),
        }

    def load_state_dict(self, state: dict[str, Any]) -> None:
        for name in ("view", "networks", "unit"):
            getattr(self, name).load_state_dict(state[name])
        load_optimizer(self.optimizer, state["optimiser"])
        self.forget()


Predicted = Literal["next", "change"]


@dataclass(frozen=True, kw_only=True)
class DynamicsConfig(NoveltyConfig):
    """Settings of a bonus from a model of the dynamics."""

    predicts: Predicted = field(default="next", metadata=UNLESS_DEFAULT)
    """What the model predicts. next: the next observation; change: its difference from the observation, which a small
    model of short steps can predict better than it can copy the observation."""

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "predicts", get_args(Predicted))


class NormalisedTransitions:
    """Normalizes (s, a) and what is predicted, s' or s' - s, by running statistics, which only `merge` changes."""

    def __init__(self, shape: TaskShape, predicts: Predicted = "next"):
        self.shape, self.predicts = shape, predicts
        self.input_size = shape.observation_size + shape.encoded_size
        self.inputs = Normalizer(self.input_size).to(shape.device)
        self.targets = Normalizer(shape.observation_size).to(shape.device)

    def merge(self, batch: Transitions) -> None:
        """Updates the statistics with `batch`."""
        self.inputs.merge_rollout(self._raw_inputs(batch))
        self.targets.merge_rollout(self._raw_targets(batch))

    def __call__(self, batch: Transitions) -> tuple[Tensor, Tensor]:
        """Inputs [B, I] and targets [B, O]."""
        return self.inputs(self._raw_inputs(batch)), self.targets(self._raw_targets(batch))

    def unchanged(self, batch: Transitions) -> Tensor:
        """The targets [B, O] if nothing changed in the step."""
        same = torch.zeros_like(batch.observations) if self.predicts == "change" else batch.observations
        return self.targets(same)

    def _raw_inputs(self, batch: Transitions) -> Tensor:
        return torch.cat([batch.observations, self.shape.encode(batch.actions)], -1)

    def _raw_targets(self, batch: Transitions) -> Tensor:
        changes = self.predicts == "change"
        return batch.next_observations - batch.observations if changes else batch.next_observations

    def state_dict(self) -> dict[str, Any]:
        return {"inputs": self.inputs.state_dict(), "targets": self.targets.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.inputs.load_state_dict(state["inputs"])
        self.targets.load_state_dict(state["targets"])


class PooledNovelty(Novelty):
    """A `Novelty` whose networks learn from a pool of the past instead of the last rollout alone."""

    def __init__(
        self,
        view: View,
        networks: Predictor,
        unit: BonusUnit,
        config: NoveltyConfig,
        pool_size: int,
        device: torch.device | str,
    ):
        """`pool_size`: past transitions to learn from, of all processes together."""
        super().__init__(view, networks, unit, config, device)
        self.pool = ReplayPool(-(-pool_size // distributed.world_size()))

    def draw(self, batch: Transitions, n: int) -> Transitions:
        """`n` transitions from the pool, after adding the rollout `batch` to it."""
        self.pool.add(batch)
        return self.pool.draw(n)

    def state_dict(self) -> dict[str, Any]:
        return {**super().state_dict(), "pool": self.pool.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        super().load_state_dict(state)
        self.pool.load_state_dict(state["pool"])
