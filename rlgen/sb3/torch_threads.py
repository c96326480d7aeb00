"""Torch's threads where they help: in large updates, not in the small forward passes between environment steps."""

import torch
from stable_baselines3.common.callbacks import BaseCallback


class ActOnOneThread(BaseCallback):
    """One torch thread while the model acts, those that torch had at the start while it learns. Put it first."""

    def _init_callback(self) -> None:
        self.learning_threads = torch.get_num_threads()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        torch.set_num_threads(1)

    def _on_rollout_end(self) -> None:
        torch.set_num_threads(self.learning_threads)

    def _on_training_end(self) -> None:
        torch.set_num_threads(self.learning_threads)
