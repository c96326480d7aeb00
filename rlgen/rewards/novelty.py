"""The base of all bonuses of networks that predict: when they are computed, learned from and logged."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, ClassVar, Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from rlgen import distributed
from rlgen.checks import positive, widths
from rlgen.data.transitions import Transitions
from rlgen.display import Metric, Panel
from rlgen.nn.cuda_graph import CudaGraphStep
from rlgen.nn.optimizer_state import load_optimizer
from rlgen.rewards.bonus_unit import BONUS, BonusUnit, quantile_metrics, quantile_panel, quantiles


@dataclass(frozen=True, kw_only=True)
class NoveltyConfig:
    """Settings of how the networks behind a bonus learn."""

    learning_rate: float = 1e-3
    """Adam's learning rate."""
    updates_per_rollout: int = 32
    """Gradient steps after each rollout."""
    batch_size: int = 256
    """Transitions per gradient step."""

    def __post_init__(self) -> None:
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


class Novelty:
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
        self._known: tuple[Transitions, Tensor] | None = None
        self._recorded = CudaGraphStep(self._step, self.optimizer)

    def update(self, batch: Transitions) -> dict[str, Tensor]:
        distributed.broadcast_parameters(self.networks)
        self.view.merge(batch)
        novelty = self.novelty(batch)
        self.unit.merge(novelty)
        self._known = (batch, self.unit(novelty))
        losses = torch.stack([self._recorded(*rows)["loss"].clone() for rows in self._minibatches(batch)])
        percentiles = quantiles(novelty)
        return {
            "loss": losses.mean(),
            **quantile_metrics("novelty", percentiles),
            **quantile_metrics("bonus", self.unit(percentiles)),
        }

    def reward(self, batch: Transitions) -> Tensor:
        if self._known is not None and self._known[0] is batch:
            return self._known[1]
        return self.unit(self.novelty(batch))

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
        self._known = None
