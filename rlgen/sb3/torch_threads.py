"""Torch's threads where they help: in large updates, not in the small forward passes between environment steps."""

import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm


class ActOnOneThread(BaseCallback):
    """One torch thread while an on-policy model acts, those that torch had at the start while it learns.

    Put it first, and the training within `torch_threads`, which brings them back after an exception.
    """

    model: OnPolicyAlgorithm

    def _init_callback(self) -> None:
        self.learning_threads = torch.get_num_threads()

    def _on_step(self) -> bool:
        buffer = self.model.rollout_buffer
        if (
            buffer.pos == buffer.buffer_size - 1
        ):  # the environments have stepped; values of the whole rollout may follow
            torch.set_num_threads(self.learning_threads)
        return True

    def _on_rollout_start(self) -> None:
        torch.set_num_threads(1)
