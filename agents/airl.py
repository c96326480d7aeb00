"""Adversarial inverse reinforcement learning (Fu et al. 2018, 1710.11248) around a Stable-Baselines3 model."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import ClassVar

import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from rlgen.data.demonstrations import Demonstrations
from rlgen.data.observations import require_flat
from rlgen.display import Panel, under
from rlgen.errors import problem
from rlgen.rewards.airl_discriminator import AIRLDiscriminator, AIRLDiscriminatorConfig
from rlgen.rewards.bonus_unit import ReturnNormalizer
from rlgen.rewards.learned_reward import FILE, LearnedReward
from rlgen.rewards.source import TaskShape
from rlgen.sb3.actor_critic import require_actor_critic
from rlgen.sb3.likelihood import PassLikelihoods, PolicyLikelihood
from rlgen.sb3.relabel import Relabel, WeightedReward, reward_panels

from .imitator import ImitationConfig, RewardedImitator, own_config


@dataclass(frozen=True, kw_only=True)
class AIRLConfig(ImitationConfig):
    """Settings of AIRL."""

    discriminator: AIRLDiscriminatorConfig = field(default_factory=AIRLDiscriminatorConfig)
    """Settings of the discriminator, which contains the learned reward."""
    scale_reward: bool = True
    """Division of rewards by the running standard deviation of their discounted returns."""


class AIRL(RewardedImitator):
    """Trains an on-policy SB3 model (PPO, A2C, TRPO) from demonstrations, and learns a reward that other trainings can
    use, also on a task of other dynamics.

        airl = AIRL(PPO("MlpPolicy", make_vec("Ant-v5", 16)), Demonstrations.load("ant.npz")).learn(1_000_000)
        airl.learned_reward

    In a run folder the reward is reward.safetensors; `rlgen train rl --reward RUN` trains on it. Only a reward of
    states (the default) can carry over to other dynamics. Where only the policy matters, use GAIL.

    Raises `InputError` for an off-policy model, whose replayed actions have the likelihoods of other policies, for a
    recurrent one, for observations of images or dictionaries, for actions that are neither continuous nor Discrete, and
    as `Imitator`.
    """

    name = "airl"
    config: AIRLConfig
    source: AIRLDiscriminator
    model: OnPolicyAlgorithm
    panels: ClassVar[tuple[Panel, ...]] = under("airl", (*AIRLDiscriminator.panels, *reward_panels()))
    shown: Mapping[str, str] = {"airl/policy_accuracy": "D acc policy", "airl/expert_accuracy": "expert"}

    def __init__(self, model: OnPolicyAlgorithm, demonstrations: Demonstrations, config: AIRLConfig | None = None):
        if not isinstance(model, OnPolicyAlgorithm):
            raise problem(
                "an on-policy SB3 model for AIRL, whose discriminator needs the current policy's likelihood of actions",
                type(model).__name__,
                'use PPO, or the same reward without likelihoods: GAIL with the divergence "reverse_kl"',
            )
        self.config = own_config(AIRLConfig, config, AIRLConfig(), "AIRL")
        super().__init__(model, demonstrations)
        require_actor_critic(model)  # without memory
        require_flat(demonstrations.observations, "AIRL", demonstrations.source)
        demonstrations.validate(self.inputs.raw_environment())
        rows = demonstrations.transitions(str(model.device))
        self.source = AIRLDiscriminator(
            rows, *_task_of(model, rows.observations.shape[1]), PolicyLikelihood(model), model.gamma,
            self.config.discriminator,
        )  # fmt: skip
        self.scale = ReturnNormalizer(model.gamma, model.n_envs) if self.config.scale_reward else None

    @property
    def learned_reward(self) -> LearnedReward:
        """g, the reward without the shaping that belongs to this task's dynamics; it goes on learning."""
        return self.source.learned

    def reward_callbacks(self) -> list[BaseCallback]:
        return [PassLikelihoods(self.source), Relabel({"airl": WeightedReward(self.source)}, self.scale)]

    def files(self) -> Mapping[str, bytes]:
        """The learned reward."""
        return {FILE: self.learned_reward.to_bytes()}


def _task_of(model: OnPolicyAlgorithm, observation_size: int) -> tuple[TaskShape, torch.Tensor, torch.Tensor]:
    """Sizes of the model's task, and the bounds of its actions."""
    space = model.action_space
    if isinstance(space, spaces.Discrete):
        one = torch.ones(1)
        return TaskShape(observation_size=observation_size, action_size=1, n_actions=int(space.n)), -one, one
    if not isinstance(space, spaces.Box):
        raise problem("continuous (Box) or Discrete actions for AIRL", f"{space}", "use GAIL")
    low, high = (torch.as_tensor(bound.ravel()) for bound in (space.low, space.high))
    return TaskShape(observation_size=observation_size, action_size=len(low)), low, high
