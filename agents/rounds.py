"""What happens between two rounds of a training: saving, evaluating, showing, stopping."""

import math
from collections.abc import Callable
from dataclasses import dataclass

from stable_baselines3.common.callbacks import BaseCallback

from rlgen.runs.interrupt import Stopped


@dataclass
class Every:
    """True once each time another `steps` environment steps have passed."""

    steps: float
    next: float

    @classmethod
    def from_step(cls, steps: float, now: int) -> "Every":
        """Counts in multiples of `steps`, so that a resumed run goes on in the same places; never for infinity."""
        return cls(steps, (now // steps + 1) * steps)

    def due(self, now: int) -> bool:
        if now < self.next:
            return False
        self.next = (now // self.steps + 1) * self.steps
        return True


class Rounds(BaseCallback):
    """Calls `evaluate` and `save` between rounds, when all state is at rest, and `show` after each rollout.

    Evaluation comes first, so that a checkpoint's metrics are complete. `save_every` 0: after every round;
    `evaluate_every` 0: never. An off-policy model's rounds are single steps, or what its `train_freq` says.
    """

    def __init__(
        self,
        save: Callable[[], None],
        evaluate: Callable[[], None],
        show: Callable[[], None],
        stop_requested: Callable[[], bool],
        save_every: float,
        evaluate_every: float,
    ):
        super().__init__()
        self.save, self.evaluate, self.show, self.stop_requested = save, evaluate, show, stop_requested
        self.save_every, self.evaluate_every = save_every, evaluate_every

    def _init_callback(self) -> None:
        now = self.model.num_timesteps
        self.save_due = Every.from_step(self.save_every or 1, now)
        self.evaluate_due = Every.from_step(self.evaluate_every or math.inf, now)

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        now = self.model.num_timesteps
        if self.evaluate_due.due(now):
            self.evaluate()
        stopping = self.stop_requested()
        if stopping or self.save_due.due(now):
            self.save()
        if stopping:
            raise Stopped

    def _on_rollout_end(self) -> None:
        self.show()
