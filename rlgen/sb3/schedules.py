"""Learning rates and weights that change with the progress of a training."""

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
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
