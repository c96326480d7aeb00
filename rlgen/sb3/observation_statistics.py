"""Running statistics of the observations, for a policy's normaliser that has nothing else to take them from."""

import numpy as np
import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor

from rlgen.sb3.device_ppo import DevicePPO
from rlgen.sb3.features import policy_normaliser


class ObservationStatistics(BaseCallback):
    """Takes every rollout into the policy's normaliser once the policy has learned from it, when the next one begins or
    training ends.

    So the statistics stand still from a rollout's first step to its last update: log-probabilities and values computed
    while acting are compared with those of the same inputs. The first rollout is seen as it comes. Models without such
    a normaliser, or that are not on-policy, stay as they are.
    """

    def __init__(self) -> None:
        super().__init__()
        self.learned_from: np.ndarray | Tensor | None = None

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        if isinstance(self.model, DevicePPO):
            self.learned_from = self.model.rollout.observations  # which the next rollout writes over, and not before
        elif isinstance(self.model, OnPolicyAlgorithm):
            # No copy: a buffer begins its next rollout with new arrays.
            self.learned_from = self.model.rollout_buffer.observations

    def _on_rollout_start(self) -> None:
        self._take()

    def _on_training_end(self) -> None:
        self._take()

    def _take(self) -> None:
        """At most once for each rollout."""
        if self.learned_from is None:
            return
        normaliser = policy_normaliser(self.model.policy)
        if normaliser is not None:
            rows = torch.as_tensor(self.learned_from, device=normaliser.mean.device)
            normaliser.merge_rollout(rows.flatten(0, 1).flatten(1))
        self.learned_from = None
