"""The settings of the off-policy learners of Stable-Baselines3 and sb3-contrib."""

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import DQN, TD3
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv

from rlgen.checks import at_least, one_of, positive, share, widths
from rlgen.data.spaces import require_counted_from_zero
from rlgen.deprecation import UNLESS_DEFAULT
from rlgen.errors import problem
from rlgen.sb3.fast_sac import FastSAC
from rlgen.sb3.layer_norm import LayerNormSACPolicy, LayerNormTD3Policy

from .off_policy_config import OffPolicyConfig, TargetCriticsConfig, contrib

COOL = {"temperature": 0.1}
"""First entropy coefficient where a learner imitates: at 1, entropy would count as much as rewards of a few nats."""


@dataclass(frozen=True, kw_only=True)
class SACConfig(TargetCriticsConfig):
    """Settings of soft actor-critic (Haarnoja et al. 2018, 1812.05905) in Stable-Baselines3, with its defaults. The
    model is a `FastSAC`, whose saved file opens with `SAC.load`."""

    imitation: ClassVar[Mapping[str, Any]] = {**OffPolicyConfig.imitation, **COOL}

    algorithm: Literal["sac"] = "sac"
    """Reinforcement learning algorithm; trpo, tqc and crossq need the extra `contrib`."""
    temperature: float = field(default=1.0, metadata=UNLESS_DEFAULT)
    """First value of the entropy coefficient, or its only one if it is not learned."""
    learn_temperature: bool = field(default=True, metadata=UNLESS_DEFAULT)
    """Learning of the entropy coefficient."""

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "algorithm", ["sac"])
        positive(self, "temperature")

    def kind(self) -> type[Any]:
        return FastSAC

    def layer_norm_policy(self) -> type[BasePolicy]:
        return LayerNormSACPolicy

    def own(self, env: VecEnv) -> dict[str, Any]:
        return {"tau": self.tau, "ent_coef": f"auto_{self.temperature}" if self.learn_temperature else self.temperature}


COLD_SAC = SACConfig(**{**SACConfig.imitation, "temperature": 1e-3}, learn_temperature=False)
"""SAC that imitates with a low entropy coefficient, which it does not learn."""


@dataclass(frozen=True, kw_only=True)
class TQCConfig(TargetCriticsConfig):
    """Settings of truncated quantile critics (Kuznetsov et al. 2020, 2005.04269) in sb3-contrib, with its defaults."""

    imitation: ClassVar[Mapping[str, Any]] = {**OffPolicyConfig.imitation, **COOL}

    algorithm: Literal["tqc"] = "tqc"
    """Reinforcement learning algorithm; trpo, tqc and crossq need the extra `contrib`."""
    temperature: float = 1.0
    """First value of the learned entropy coefficient."""
    dropped_quantiles: int = 2
    """Highest quantiles of each critic, of 25, that its target leaves out against overestimation."""

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "algorithm", ["tqc"])
        positive(self, "temperature")
        at_least(self, 0, "dropped_quantiles")

    def kind(self) -> type[Any]:
        return contrib("TQC")

    def layer_norm_policy(self) -> type[BasePolicy]:
        self.kind()  # raises without the package
        from rlgen.sb3.layer_norm_tqc import LayerNormTQCPolicy

        return LayerNormTQCPolicy

    def own(self, env: VecEnv) -> dict[str, Any]:
        return {
            "tau": self.tau,
            "ent_coef": f"auto_{self.temperature}",
            "top_quantiles_to_drop_per_net": self.dropped_quantiles,
        }


@dataclass(frozen=True, kw_only=True)
class CrossQConfig(OffPolicyConfig):
    """Settings of CrossQ (Bhatt et al. 2024, 1902.05605), SAC without target critics but with batch normalization, in
    sb3-contrib, with its defaults."""

    imitation: ClassVar[Mapping[str, Any]] = {**OffPolicyConfig.imitation, **COOL}

    algorithm: Literal["crossq"] = "crossq"
    """Reinforcement learning algorithm; trpo, tqc and crossq need the extra `contrib`."""
    learning_rate: float = 1e-3
    """Adam learning rate of actor, critics and entropy coefficient."""
    temperature: float = 1.0
    """First value of the learned entropy coefficient."""
    critic_hidden: tuple[int, ...] = (1024, 1024)
    """Widths of the hidden layers of the critics."""

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "algorithm", ["crossq"])
        positive(self, "temperature")
        widths(self, "critic_hidden")

    def kind(self) -> type[Any]:
        return contrib("CrossQ")

    def own(self, env: VecEnv) -> dict[str, Any]:
        layers = {"pi": list(self.hidden), "qf": list(self.critic_hidden)}
        return {"ent_coef": f"auto_{self.temperature}", "policy_kwargs": {"net_arch": layers}}


@dataclass(frozen=True, kw_only=True)
class TD3Config(TargetCriticsConfig):
    """Settings of twin delayed deterministic policy gradients (Fujimoto et al. 2018, 1802.09477) in Stable-Baselines3,
    with its defaults."""

    algorithm: Literal["td3"] = "td3"
    """Reinforcement learning algorithm; trpo, tqc and crossq need the extra `contrib`."""
    learning_rate: float = 1e-3
    """Adam learning rate of actor and critics."""
    hidden: tuple[int, ...] = (400, 300)
    """Widths of the hidden layers of actor and critics."""
    action_noise: float = 0.1
    """Standard deviation of the noise on actions while acting, as a share of half their range."""

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "algorithm", ["td3"])
        at_least(self, 0, "action_noise")

    def kind(self) -> type[Any]:
        return TD3

    def layer_norm_policy(self) -> type[BasePolicy]:
        return LayerNormTD3Policy

    def own(self, env: VecEnv) -> dict[str, Any]:
        assert env.action_space.shape is not None
        size = math.prod(env.action_space.shape)
        white = self.action_noise and self.noise == "white"
        noise = NormalActionNoise(np.zeros(size), np.full(size, self.action_noise)) if white else None
        return {"tau": self.tau, "action_noise": noise}

    def make(self, env: VecEnv, steps: int, seed: int, device: torch.device | str = "cpu") -> OffPolicyAlgorithm:
        model: Any = super().make(env, steps, seed, device)
        if self.noise != "white":
            model.noise_std = self.action_noise
        return model


@dataclass(frozen=True, kw_only=True)
class DQNConfig(OffPolicyConfig):
    """Settings of deep Q-networks (Mnih et al. 2015) for discrete actions in Stable-Baselines3, with its defaults."""

    has_actor: ClassVar[bool] = False
    imitation: ClassVar[Mapping[str, Any]] = {
        **OffPolicyConfig.imitation,
        "activation": "relu",
        "learning_rate": 1e-3,
        "batch_size": 64,
        "target_update_interval": 200,
    }

    algorithm: Literal["dqn"] = "dqn"
    """Reinforcement learning algorithm; trpo, tqc and crossq need the extra `contrib`."""
    learning_rate: float = 1e-4
    """Adam learning rate of the action values."""
    batch_size: int = 32
    """Transitions per gradient step."""
    hidden: tuple[int, ...] = (64, 64)
    """Widths of the hidden layers of the action values."""
    updates_per_step: float = 0.25
    """Gradient steps per environment step, however many environments are stepped at once (update-to-data ratio)."""
    target_update_interval: int = 10_000
    """Environment steps between two copies of the action values to those in targets."""
    exploration_fraction: float = 0.1
    """Share of the training in which the probability of random actions falls from 1 to `final_exploration`."""
    final_exploration: float = 0.05
    """Probability of random actions after that."""

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of(self, "algorithm", ["dqn"])
        positive(self, "target_update_interval")
        share(self, "exploration_fraction", remedy="use e.g. 0.1")
        at_least(self, 0, "final_exploration")

    def kind(self) -> type[Any]:
        return DQN

    def require_actions(self, space: spaces.Space) -> None:
        require_counted_from_zero(None, space)
        if not isinstance(space, spaces.Discrete):
            raise problem("actions of a Discrete space for DQN", f"{space}", "use e.g. ppo or sac")

    def own(self, env: VecEnv) -> dict[str, Any]:
        return {
            "target_update_interval": self.target_update_interval,
            "exploration_fraction": self.exploration_fraction,
            "exploration_final_eps": self.final_exploration,
        }


OFF_POLICY_LEARNERS: dict[str, type[OffPolicyConfig]] = {
    "sac": SACConfig,
    "td3": TD3Config,
    "tqc": TQCConfig,
    "crossq": CrossQConfig,
    "dqn": DQNConfig,
}
