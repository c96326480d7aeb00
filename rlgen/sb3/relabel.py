"""Rewards of on-policy rollouts from reward sources, between collecting and learning."""

from collections.abc import Mapping

import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor

from rlgen import distributed
from rlgen.data.transitions import Transitions
from rlgen.rewards.bonus_unit import ReturnNormalizer
from rlgen.sb3.rollout import rollout_of
from rlgen.sb3.schedules import progress_remaining
from rlgen.sb3.weighted_reward import WeightedReward, readers_of_ends, weighted_rewards


class Relabel(BaseCallback):
    """Replaces the rewards of every rollout by the weighted sum of reward sources, before the policy learns from it.

    With `adds` the sum is added to the current rewards instead: those of the environment, or those that an earlier
    `Relabel` among the callbacks has set. A list of them thus adds up; one with several sources gives the same rewards
    and computes advantages once. `scale`, if given, normalizes the sum to returns of unit variance.

    `rlgen.sb3.rollout` hides whether the rollout is in SB3's buffer or on a device. Actions reach the sources as the
    environment received them, and observations raw, also under a VecNormalize, whose normalized numbers change their
    meaning as it learns.
    """

    model: OnPolicyAlgorithm

    def __init__(
        self, sources: Mapping[str, WeightedReward], scale: ReturnNormalizer | None = None, *, adds: bool = False
    ):
        super().__init__()
        self.sources, self.scale, self.adds = weighted_rewards(sources), scale, adds

    def _init_callback(self) -> None:
        self.rollout = rollout_of(self.model, readers_of_ends(self.sources))
        if not self.rollout.log.on_device:
            distributed.require_single_process(type(self.model).__name__)

    def _on_rollout_start(self) -> None:
        self.progress = progress_remaining(self.model)
        self.rollout.begin()

    def _on_step(self) -> bool:
        self.rollout.record(self.locals)
        return True

    def _on_rollout_end(self) -> None:
        """One round of Ho & Ermon 2016, Alg. 1, from the rollout that SB3 has collected (line 3) to the policy step of
        line 5, which is SB3's `train` and comes next."""
        rollout, rewards = self.rollout, self.earlier_rewards()
        if self.sources:
            batch = rollout.transitions()  # line 3: the policy's trajectories
        for name, weighted in self.sources.items():
            metrics = weighted.source.update(batch)  # line 4: for GAIL, the discriminator's gradient steps
            weighted.log(name, metrics, rollout.log)
            rewards += self.weighted(name, weighted, batch)  # line 5: the cost, here a reward
        rollout.set_rewards(self.scaled(rewards))
        rollout.bootstrap_time_limits()
        rollout.compute_advantages()  # line 5: Q(s, a), as advantages

    def earlier_rewards(self) -> Tensor:
        """[T, N]: the rewards that the sum is added to."""
        return self.rollout.rewards.clone() if self.adds else torch.zeros_like(self.rollout.rewards)

    def weighted(self, name: str, weighted: WeightedReward, batch: Transitions) -> Tensor:
        """[T, N]: the weighted rewards of a source, on the rollout's device."""
        starts = self.rollout.starts.to(batch.terminated.device)
        return weighted.weighted(name, batch, starts, self.progress, self.rollout.log).to(self.rollout.rewards.device)

    def scaled(self, rewards: Tensor) -> Tensor:
        """[T, N]: `rewards` normalized to returns of unit standard deviation, if there is a `scale`."""
        if self.scale is None:
            return rewards
        self.scale.update(rewards, self.rollout.starts.float())
        return self.scale(rewards)
