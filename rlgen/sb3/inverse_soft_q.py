"""Minibatches of SAC or DQN whose critics are regressed to the targets of inverse soft Q-learning."""

from dataclasses import dataclass

import torch
from stable_baselines3 import DQN, SAC
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.buffers import NStepReplayBuffer
from stable_baselines3.common.type_aliases import ReplayBufferSamples
from torch import Tensor

from rlgen.equations.inverse_soft_q import highest_value, inverse_soft_q_reward, inverse_soft_q_target
from rlgen.errors import problem
from rlgen.sb3.expert_rows import ExpertRows


@dataclass
class InverseSoftQRows(ExpertRows):
    """Half of each minibatch is demonstrated. A row's reward is its critics' complete target, and it counts as
    terminated, so that the model adds nothing to it: its own critic loss is then the regression to these targets, of
    squares for SAC, and beyond an error of 1 of absolute values for DQN.

    Raises `InputError` for a model that is neither SAC nor DQN, learns its entropy coefficient, or sums rewards of
    several steps.
    """

    regularization: float = 0.5
    """c, weight of the χ² regularizer: rewards are ±1/c."""
    fixed: bool = True
    """Whether demonstrated rows are regressed to the highest value, not to their reward and the value that follows."""
    clip: bool = True
    """Whether the value that follows is clipped to the range of possible ones."""

    def __post_init__(self) -> None:
        super().__post_init__()
        require_soft_values(self.model)
        if isinstance(self.model.replay_buffer, NStepReplayBuffer):
            raise problem("rewards of single steps", "a replay buffer of several", "make the model with n_steps=1")

    def join(self, own: ReplayBufferSamples, n: int) -> ReplayBufferSamples:
        joined, gamma = super().join(own, n), self.model.gamma
        expert = torch.arange(len(joined.rewards), device=joined.rewards.device)[:, None] >= len(own.rewards)
        highest = highest_value(self.regularization, gamma)
        following = soft_value(self.model, joined.next_observations)
        if self.clip:
            following = following.clamp(-highest, highest)
        reward = inverse_soft_q_reward(expert, self.regularization)
        target = inverse_soft_q_target(reward, following, joined.dones, gamma)
        if self.fixed:
            target = torch.where(expert, highest, target)
        return joined._replace(rewards=target, dones=torch.ones_like(joined.dones))


@torch.no_grad()
def soft_value(model: BaseAlgorithm, observations: Tensor) -> Tensor:
    """V(s) [B, 1] = min Q(s, a) - temperature · log π(a|s) of the target critics, with an action of the policy, as SAC
    computes it. Haarnoja et al. 2018 (1812.05905), eq. 3. Its limit for a temperature of 0, max Q(s, a), for DQN."""
    if isinstance(model, DQN):
        return model.q_net_target(observations).max(1, keepdim=True).values
    assert isinstance(model, SAC)
    actions, log_prob = model.actor.action_log_prob(observations)
    values = torch.cat(model.critic_target(observations, actions), 1).min(1, keepdim=True).values
    return values - model.ent_coef_tensor * log_prob[:, None]


def require_soft_values(model: object) -> None:
    """Raises `InputError` unless `model` is DQN, or SAC with an entropy coefficient that it does not learn."""
    if isinstance(model, DQN):
        return
    if not isinstance(model, SAC):
        raise problem("SAC, or DQN for discrete actions", f"a {type(model).__name__}", "use one of them")
    if model.ent_coef_optimizer is not None:
        raise problem(
            "SAC with a fixed entropy coefficient: a learned one follows rewards that depend on it",
            f"ent_coef={model.ent_coef!r}",
            "use e.g. SAC(…, ent_coef=0.001), --learner.no-learn-temperature",
        )
