"""Running average of a policy's weights over rounds: steadier than the last weights."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from torch import Tensor

from rlgen.errors import problem
from rlgen.nn.moving_average import MovingAverage

NAME = "policy"
"""Name of the policy among the averaged modules; checkpoints omit it."""


class PolicyAverage(BaseCallback):
    """A `MovingAverage` of the policy's weights, updated before the first round and after every round."""

    def __init__(self, decay: float):
        super().__init__()
        if not 0 <= decay < 1:
            raise problem("a decay of at least 0 and below 1", str(decay), "use e.g. 0.95, or 0 for no average")
        self.decay, self.merged_at = decay, -1
        self.average: MovingAverage | None = None
        self.set_aside: list[Tensor] | None = None

    @property
    def weights(self) -> dict[str, Tensor]:
        """The averaged weights by the policy's names; empty before the first round."""
        averaged = {} if self.average is None else self.average.average
        return {name.removeprefix(f"{NAME}."): value for name, value in averaged.items()}

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self.merge()

    def _on_training_end(self) -> None:
        self.merge()

    def merge(self) -> None:
        """Adds the model's current weights to the average, once per round, also if a training stops and resumes."""
        if self.merged_at == self.model.num_timesteps:
            return
        self.merged_at = self.model.num_timesteps
        if self.average is None:
            self.average = MovingAverage({NAME: self.model.policy}, self.decay)
        self.average.merge()

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block, the model acts and is saved with the averaged weights."""
        if self.average is None:
            yield
            return
        with self.average.applied():
            yield

    def adopt(self) -> None:
        """Gives the model the averaged weights until `release`."""
        if self.average is not None and self.set_aside is None:
            self.set_aside = self.average.swap_in()

    def release(self) -> bool:
        """Restores the weights from before `adopt`, to continue learning. Returns whether there were any."""
        if self.average is None or self.set_aside is None:
            return False
        self.average.swap_out(self.set_aside)
        self.set_aside = None
        return True

    def state_dict(self) -> dict[str, Any]:
        merges = 0 if self.average is None else self.average.merges
        return {"weights": self.weights, "merged_at": self.merged_at, "merges": merges}

    def load_state_dict(self, state: dict[str, Any], model: BaseAlgorithm) -> None:
        """The inverse of `state_dict`. Raises `InputError` for weights of other shapes than the model's."""
        self.average, self.set_aside, self.merged_at = None, None, state["merged_at"]
        if state["weights"]:
            self.average = MovingAverage({NAME: model.policy}, self.decay)
            averaged = {f"{NAME}.{name}": value for name, value in state["weights"].items()}
            self.average.load_state_dict({"average": averaged, "merges": state["merges"]})
