"""Pays a `DevicePPO` by reward sources."""

from collections.abc import Mapping

import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from rlgen.rewards.scale import ReturnScale
from rlgen.sb3.device_ppo import DevicePPO
from rlgen.sb3.paid import Paid, paid_sources
from rlgen.sb3.progress import progress_remaining
from rlgen.sb3.relabel import Relabel


class PayOnDevice(BaseCallback):
    """`Relabel` for a model whose rollouts stay on a device: its advantages are then made of the same rewards."""

    model: DevicePPO

    def __init__(self, sources: Mapping[str, Paid], scale: ReturnScale | None = None, *, adds: bool = False):
        super().__init__()
        self.sources, self.scale, self.adds = paid_sources(sources), scale, adds

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self.progress = progress_remaining(self.model)

    def _on_rollout_end(self) -> None:
        rollout, measured = self.model.rollout, self.model.measured
        rewards = rollout.rewards.clone() if self.adds else torch.zeros_like(rollout.rewards)
        batch = rollout.transitions()
        for name, paid in self.sources.items():
            measured |= {f"{name}/{key}": value for key, value in paid.source.update(batch).items()}
            reward = paid.source.reward(batch)
            measured[f"{name}/reward"] = reward.mean()
            weighted = paid.weight_at(self.progress) * reward.view_as(rewards)
            rewards += weighted
            if paid.returns is not None:
                ended = paid.returns.add_on_device(weighted, rollout.starts, rollout.finished)
                self.model.of_episodes[f"{name}/return"] = ended
        if self.scale is not None:
            self.scale.update(rewards, rollout.starts.float())
            rewards = self.scale(rewards)
        rollout.rewards.copy_(rewards)


def payer(
    model: OnPolicyAlgorithm, sources: Mapping[str, Paid], scale: ReturnScale | None = None, *, adds: bool = False
) -> BaseCallback:
    """What pays `model` by these sources, wherever its rollouts are."""
    kind = PayOnDevice if isinstance(model, DevicePPO) else Relabel
    return kind(sources, scale, adds=adds)
