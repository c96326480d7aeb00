"""Learning rates that change during a training: with the KL divergence between policies, or with the steps made."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.utils import FloatSchedule
from torch import Tensor
from torch.optim import Optimizer

from rlgen.errors import problem
from rlgen.nn.cuda_graph import set_rate


def progress_remaining(model: BaseAlgorithm) -> float:
    """The fraction of the current `learn` that is left, by the steps made so far: 1 at its start, 0 from its end on.

    SB3's own `_current_progress_remaining` is that of the round before, and until the first rollout of a new `learn`
    ends that of the previous `learn`.
    """
    return max(0.0, 1 - model.num_timesteps / model._total_timesteps)


class Anneal(BaseCallback):
    """After each rollout, sets the learning rate of `optimizer`: it falls from `start`, in proportion to the remaining
    steps, to the fraction `final` of it in the last round of the training. `final` 1 keeps it constant."""

    def __init__(self, optimizer: Optimizer, start: float, final: float):
        super().__init__()
        if not 0 <= final <= 1:
            raise problem("a final share between 0 and 1", str(final), "use e.g. 0.1, or 1 for a constant rate")
        self.optimizer, self.start, self.final = optimizer, start, final

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        rate = self.start * (self.final + (1 - self.final) * progress_remaining(self.model))
        set_rate(self.optimizer, rate)


class KLAdaptiveLR:
    """An SB3 learning-rate schedule: the rate falls by `factor` if the last round's KL was above twice `target_kl`,
    and rises by it if the KL was below half. Schulman et al. 2017 (1707.06347), section 4.

    Differs from the paper: it changes Adam's learning rate instead of the weight of a KL term, as PPO on simulated
    robots does since Rudin et al. 2022 (2109.11978). Needs `KLCallback` among the callbacks, which `GAIL` and
    `Explorer` add.
    """

    def __init__(
        self, start: float, target_kl: float, lowest: float = 1e-5, highest: float = 1e-3, factor: float = 1.5
    ):
        if not 0 < lowest <= start <= highest:
            raise problem("0 < lowest <= start <= highest", f"{lowest}, {start}, {highest}", "start within the bounds")
        if target_kl <= 0:
            raise problem("a positive KL", str(target_kl), "use e.g. 0.01")
        self.rate: float | Tensor = start
        self.target_kl, self.observed_at = target_kl, 0
        self.lowest, self.highest, self.factor = lowest, highest, factor

    def __call__(self, progress_remaining: float) -> float:
        return float(self.rate)

    def observe(self, kl: float | Tensor, step: int, progress_remaining: float = 1.0) -> None:
        """Adjusts the rate to the KL divergence (nats) between the policies before and after the round that ended at
        `step`; a second call for the same round, as after a resume, changes nothing. The target KL falls in proportion
        to `progress_remaining` (1 at the start of the training, 0 at its end), but not below a twentieth. If `kl` is a
        tensor, the rate becomes one too, which avoids a host synchronization."""
        if step == self.observed_at:
            return
        self.observed_at = step
        wanted = self.target_kl * max(progress_remaining, 0.05)
        rate = self.rate * self.factor ** (1.0 * (kl < wanted / 2) - 1.0 * (kl > 2 * wanted))
        if isinstance(rate, Tensor):
            self.rate = rate.clamp(self.lowest, self.highest)
        else:
            self.rate = min(max(rate, self.lowest), self.highest)

    def state_dict(self) -> dict[str, Any]:
        return {"rate": float(self.rate), "observed_at": self.observed_at}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        self.rate, self.observed_at = state["rate"], state["observed_at"]


AdaptiveRate = KLAdaptiveLR
"""Name of the class in models saved by version 0.1.0."""


class KLCallback(BaseCallback):
    """Passes every round's KL to the model's learning rate, if that is a `KLAdaptiveLR`."""

    model: OnPolicyAlgorithm

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        kl = self.model.logger.name_to_value.get("train/approx_kl")
        if kl is not None and isinstance(self.model.learning_rate, KLAdaptiveLR):
            self.model.learning_rate.observe(float(kl), self.model.num_timesteps, progress_remaining(self.model))


@contextmanager
def frozen_schedule(model: BaseAlgorithm) -> Iterator[None]:
    """Within the block, replaces a `KLAdaptiveLR` of `model` by its current number: a file that `model.save` writes
    then opens without this module."""
    rate, schedule = model.learning_rate, model.lr_schedule
    if isinstance(rate, KLAdaptiveLR):
        model.learning_rate = float(rate.rate)
        model.lr_schedule = FloatSchedule(model.learning_rate)
    try:
        yield
    finally:
        model.learning_rate, model.lr_schedule = rate, schedule
