"""Coherent soft imitation learning (Watson et al. 2023, 2305.16498) around a Stable-Baselines3 model."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import ClassVar, Literal

import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm

from rlgen.checks import at_least, below_one, one_of
from rlgen.data.demonstrations import Demonstrations
from rlgen.data.recording import action_bounds
from rlgen.deprecation import UNLESS_DEFAULT
from rlgen.display import Panel, under
from rlgen.nn.stationary_policy import LEAST_STD
from rlgen.rewards.bonus_unit import ReturnNormalizer
from rlgen.rewards.coherent import CoherentReward, CoherentRewardConfig
from rlgen.rewards.early_ends import USUAL, share_ended_by_task
from rlgen.rewards.random_features import features_for
from rlgen.sb3.critic_pretraining import CriticPretraining
from rlgen.sb3.relabel import Relabel, WeightedReward, reward_panels
from rlgen.sb3.relabel_replay import RelabelReplay, ReplayDraws

from .bc import held_out_by
from .imitator import ImitationConfig, RewardedImitator, announce, own_config

log = logging.getLogger("rlgen")

USUAL_STD = 0.3
"""`CoherentRewardConfig.least_std` by default for an on-policy learner whose noise is unknown."""
MOST_STD = 0.5
"""Upper limit of `CoherentRewardConfig.least_std` by default: with a higher one all actions would have nearly the same
reward."""


@dataclass(frozen=True, kw_only=True)
class CSILConfig(ImitationConfig):
    """Settings of CSIL."""

    reward: CoherentRewardConfig = field(default_factory=CoherentRewardConfig)
    """Settings of the cloned policy that gives the rewards."""
    expert_share: float = 0.5
    """Share of demonstrated rows in the minibatches of an off-policy learner; 0 for none."""
    ends: Literal["auto", "accidents", "demonstrated"] = field(default="auto", metadata=UNLESS_DEFAULT)
    """What an early end is worth, for ever. accidents: minus the highest reward; demonstrated: the reward of its last
    step; auto: accidents for discrete actions, unless the task ends most demonstrated episodes, else demonstrated."""
    critic_updates: int = 5000
    """Gradient steps on the demonstrations in which the critics of SAC or TD3 learn their first values; 0 for none."""
    action_gradient: float = 1.0
    """Weight of the norm of the critics' gradient for the action at demonstrated rows in these steps; 0 for none."""
    average: float = 0.0
    """Decay per round of the running average of the policy's weights; 0 for none. A round is a rollout, which
    off-policy is a single step of the environments."""

    def __post_init__(self) -> None:
        super().__post_init__()
        below_one(self, "expert_share", remedy="use e.g. 0.5, or 0 for none")
        one_of(self, "ends", ("auto", "accidents", "demonstrated"))
        at_least(self, 0, "critic_updates", "action_gradient")


class CSIL(RewardedImitator):
    """Trains `model` on the log-ratio of a cloned policy to its prior: reinforcement learning improves what cloning
    began, without a discriminator.

        CSIL(SAC("MlpPolicy", make_vec("Ant-v5", 8), ent_coef=0.01), Demonstrations.load("ant.npz")).learn(250_000)

    The first `learn` clones twice: the model's own policy (`warm_start`), and a policy that reverts to its prior away
    from the demonstrations (`rlgen.rewards.coherent`). Then the critics of SAC or TD3 learn their first values from the
    demonstrations (`rlgen.sb3.critic_pretraining`). Any learner can learn from the rewards, also PPO, whose rewards are
    divided by the standard deviation of their discounted returns. With SAC the published settings are a fixed entropy
    coefficient of 0.01 and layer normalization in the critics (`rlgen.sb3.layer_norm.LayerNormSACPolicy`).

    Differs from the paper: after their first values the critics learn alone for a while (`critics_first`), and the
    penalty on their gradient for the action ends with the demonstrations' part.

    Raises `InputError` for a discount of 1, for demonstrations that do not fit the model, and with a warm start for an
    off-policy model without an actor (DQN).
    """

    name = "csil"
    config: CSILConfig
    source: CoherentReward
    panels: ClassVar[tuple[Panel, ...]] = under("csil", (*CoherentReward.panels, *reward_panels()))
    shown: Mapping[str, str] = {"csil/reward": "reward"}

    def __init__(
        self,
        model: OnPolicyAlgorithm | OffPolicyAlgorithm,
        demonstrations: Demonstrations,
        config: CSILConfig | None = None,
    ):
        self.config = own_config(CSILConfig, config, CSILConfig(), "CSIL")
        super().__init__(model, demonstrations)
        space = model.action_space
        task = self.inputs.raw_environment()
        demonstrations.validate(task)
        low, high = (torch.tensor(bound, dtype=torch.float32) for bound in action_bounds(space))
        rows = demonstrations.transitions(str(model.device))
        features = features_for(task.observation_space, model.device)
        episodes = held_out_by(demonstrations, model.device)
        discrete = not isinstance(space, spaces.Box)
        self.source = CoherentReward(
            rows,
            low,
            high,
            model.gamma,
            self._reward_config(),
            episodes=episodes,
            features=features,
            discrete=discrete,
            accidents=self._ends_are_accidents(discrete),
        )
        self.scale = ReturnNormalizer(model.gamma, model.n_envs) if self.on_policy else None
        if isinstance(model, OffPolicyAlgorithm):
            self.draws = ReplayDraws(model, self.config.reward.update_every, self.config.reward.rows_per_update)

    def _ends_are_accidents(self, discrete: bool) -> bool:
        """What `CSILConfig.ends` says; logs what the data have decided."""
        if self.config.ends != "auto" or not discrete:
            return self.config.ends == "accidents"
        share = share_ended_by_task(self.demonstrations)
        found = share <= USUAL
        what = "an accident, with minus the highest reward" if found else "worth the reward of its last step"
        log.info("an early end is %s: the task ends %.0f %% of the demonstrated episodes", what, 100 * share)
        return found

    def _reward_config(self) -> CoherentRewardConfig:
        """Settings of the rewards, with the limit of the standard deviation that suits the learner."""
        config, log_std = self.config.reward, getattr(self.model.policy, "log_std", None)
        space = self.model.action_space
        if config.least_std is not None or not self.on_policy or not isinstance(space, spaces.Box):
            return config
        if log_std is None or log_std.ndim != 1:  # the noise of gSDE depends on the state
            return replace(config, least_std=USUAL_STD)
        half = torch.as_tensor((space.high - space.low).ravel() / 2, device=log_std.device)
        noise = float((log_std.detach().exp() / torch.where(half.isfinite(), half, 1.0)).mean())
        return replace(config, least_std=min(max(noise, LEAST_STD), MOST_STD))

    def warm_up(self) -> None:
        rows = f"{len(self.demonstrations):,} demonstrated transitions"
        announce(self.model, f"reward: cloning {rows}, in at most {self.config.reward.max_updates:,} updates")
        self.source.clone(self._report_reward)
        super().warm_up()
        pretraining = CriticPretraining(
            updates=self.config.critic_updates,
            gradient_weight=self.config.action_gradient,
            batch_size=self.config.reward.batch_size,
        )
        if pretraining.changes(self.model):
            announce(self.model, f"critics: first values from {rows}, in {self.config.critic_updates:,} updates")
        pretraining.run(self.model, self.seen_by_policy(), self.source.reward)

    def _report_reward(self, update: int) -> None:
        if self.on_warm_up is not None:
            self.on_warm_up(update, self.config.reward.max_updates)

    def reward_callbacks(self) -> list[BaseCallback]:
        sources = {"csil": WeightedReward(self.source)}
        if self.draws is None:
            return [Relabel(sources, self.scale)]
        assert isinstance(self.model, OffPolicyAlgorithm)
        relabel = RelabelReplay(sources, self.draws, adds=False, absorbs=True)
        if self.config.expert_share:
            relabel.mix_in(self.model, self.source.demonstrations, self.config.expert_share)
        return [relabel]
