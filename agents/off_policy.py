"""The settings and the construction of the off-policy learners of Stable-Baselines3 and sb3-contrib."""

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar, Literal, Self

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import SAC, TD3
from stable_baselines3.common.noise import NormalActionNoise
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv

from rlgen.checks import at_least, one_of, positive, up_to_one, widths
from rlgen.deprecation import UNLESS_DEFAULT
from rlgen.errors import problem
from rlgen.sb3.features import NormalisedObservations
from rlgen.sb3.layer_norm import LayerNormSACPolicy, LayerNormTD3Policy

from .replay_memory import bytes_per_transition, default_buffer_size, require_memory


@dataclass(frozen=True, kw_only=True)
class OffPolicyConfig(ABC):
    """Settings that all off-policy learners share; the defaults are Stable-Baselines3's."""

    on_policy: ClassVar[bool] = False
    everyday: ClassVar[tuple[str, ...]] = ("algorithm",)
    """Options that the short help shows."""

    algorithm: str
    """Reinforcement learning algorithm; trpo, tqc and crossq need the extra `contrib`."""
    learning_rate: float = 3e-4
    """Adam learning rate of actor, critics and entropy coefficient."""
    buffer_size: int | None = None
    """Capacity of the replay buffer in transitions; by default that of the training, up to a million. Lower it if
    memory is short."""
    learning_starts: int = 100
    """Environment steps of random actions before the first gradient step."""
    batch_size: int = 256
    """Transitions per gradient step."""
    gamma: float = 0.99
    """Discount factor per environment step, above 0 and at most 1."""
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers of actor and critics."""
    updates_per_step: float = field(default=1.0, metadata=UNLESS_DEFAULT)
    """Gradient steps per environment step, however many environments are stepped at once (update-to-data ratio)."""
    normalize: bool = field(default=False, metadata=UNLESS_DEFAULT)
    """Normalization of observations to unit variance, by the statistics of the demonstrations; imitation only."""

    def __post_init__(self) -> None:
        positive(self, "learning_rate", "buffer_size", "batch_size", "updates_per_step")
        at_least(self, 0, "learning_starts")
        widths(self, "hidden")
        up_to_one(self, "gamma")

    def make(self, env: VecEnv, steps: int, seed: int, device: torch.device | str = "cpu") -> OffPolicyAlgorithm:
        """An untrained model on `env`, for a training of `steps` environment steps.

        Raises `InputError` for actions that are not continuous and bounded, without the algorithm's package, and if the
        replay buffer does not fit into memory.
        """
        name = self.algorithm.upper()
        if not isinstance(env.action_space, spaces.Box):
            raise problem(f"continuous actions (Box) for {name}", f"{env.action_space}", "use --learner.algorithm ppo")
        if not env.action_space.is_bounded():
            remedy = "bound the environment's action space"
            raise problem(f"actions within finite bounds for {name}", f"{env.action_space}", remedy)
        transitions = self.buffer_size or default_buffer_size(steps, env.num_envs)
        require_memory(transitions * bytes_per_transition(env))
        own = self.own(env)
        policy = {"net_arch": list(self.hidden), **own.pop("policy_kwargs", {})}
        if self.normalize:
            policy["features_extractor_class"] = NormalisedObservations
        return self.kind()(
            self.policy(),
            env,
            learning_rate=self.learning_rate,
            buffer_size=transitions,
            learning_starts=self.learning_starts,
            batch_size=self.batch_size,
            gamma=self.gamma,
            gradient_steps=gradient_steps(self.updates_per_step, env.num_envs),
            policy_kwargs=policy,
            seed=seed,
            device=device,
            **own,
        )

    @abstractmethod
    def kind(self) -> type[Any]:
        """Class of the model."""

    def policy(self) -> str | type[BasePolicy]:
        """The model's policy, by its name in Stable-Baselines3 or as a class."""
        return "MlpPolicy"

    def own(self, env: VecEnv) -> dict[str, Any]:
        """Arguments of the model that the algorithms do not share."""
        return {}

    def keep_buffer(self, steps: int, n_envs: int) -> Self:
        """These settings with the size of the replay buffer that a training of `steps` steps has saved."""
        return replace(self, buffer_size=self.buffer_size or default_buffer_size(steps, n_envs))


def gradient_steps(per_step: float, n_envs: int) -> int:
    """Gradient steps after each step of all environments; -1 in SB3 means one for each environment."""
    return -1 if per_step == 1 else max(1, round(per_step * n_envs))


@dataclass(frozen=True, kw_only=True)
class TargetCriticsConfig(OffPolicyConfig):
    """Settings that the learners with target critics share."""

    tau: float = 0.005
    """Soft update coefficient of the targets, above 0 and at most 1."""
    layer_norm: bool = field(default=False, metadata=UNLESS_DEFAULT)
    """Layer normalization in the critics, whose values are then bounded far from the data (Ball et al. 2023,
    2302.02948); for several gradient steps per environment step, or demonstrated rows among the replayed ones."""

    def __post_init__(self) -> None:
        super().__post_init__()
        up_to_one(self, "tau")

    def policy(self) -> str | type[BasePolicy]:
        return self.layer_norm_policy() if self.layer_norm else super().policy()

    @abstractmethod
    def layer_norm_policy(self) -> type[BasePolicy]:
        """The model's policy with layer normalization in its critics."""


@dataclass(frozen=True, kw_only=True)
class SACConfig(TargetCriticsConfig):
    """Settings of soft actor-critic (Haarnoja et al. 2018, 1812.05905) in Stable-Baselines3, with its defaults."""

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
        return SAC

    def layer_norm_policy(self) -> type[BasePolicy]:
        return LayerNormSACPolicy

    def own(self, env: VecEnv) -> dict[str, Any]:
        return {"tau": self.tau, "ent_coef": f"auto_{self.temperature}" if self.learn_temperature else self.temperature}


@dataclass(frozen=True, kw_only=True)
class TQCConfig(TargetCriticsConfig):
    """Settings of truncated quantile critics (Kuznetsov et al. 2020, 2005.04269) in sb3-contrib, with its defaults."""

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
        noise = NormalActionNoise(np.zeros(size), np.full(size, self.action_noise)) if self.action_noise else None
        return {"tau": self.tau, "action_noise": noise}


OFF_POLICY_LEARNERS: dict[str, type[OffPolicyConfig]] = {
    "sac": SACConfig,
    "td3": TD3Config,
    "tqc": TQCConfig,
    "crossq": CrossQConfig,
}


def contrib(name: str) -> type[Any]:
    """A class of sb3-contrib by its name. Raises `InputError` without the package."""
    try:
        import sb3_contrib
    except ImportError as error:
        raise problem(f"the package sb3-contrib for {name}", "none", 'run pip install "rlgen[contrib]"') from error
    return getattr(sb3_contrib, name)
