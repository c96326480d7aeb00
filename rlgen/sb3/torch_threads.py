"""Uses torch's threads in large updates only, not in the small forward passes between environment steps."""

import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm


class ActOnOneThread(BaseCallback):
    """One torch thread while an on-policy model acts; while it learns, as many as torch had at the start.

    Put it first among the callbacks, and run the training within `torch_threads`, which restores the number after an
    exception.
    """

    model: OnPolicyAlgorithm

    def _init_callback(self) -> None:
        self.learning_threads = torch.get_num_threads()

    def _on_step(self) -> bool:
        buffer = self.model.rollout_buffer
        if buffer.pos == buffer.buffer_size - 1:  # the environments have stepped; the values of all steps may follow
            torch.set_num_threads(self.learning_threads)
        return True

    def _on_rollout_start(self) -> None:
        torch.set_num_threads(1)
