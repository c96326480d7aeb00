"""The Stable-Baselines3 learner behind an agent: its settings and its construction."""

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import torch
from gymnasium import spaces
from stable_baselines3 import A2C
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from rlgen.errors import problem
from rlgen.rewards.adversarial import ActionScale
from rlgen.runs.evaluation import RandomPolicy
from rlgen.sb3.adaptive_rate import AdaptiveRate
from rlgen.sb3.device_ppo import DevicePPO, worlds_of
from rlgen.sb3.fast_ppo import FastPPO
from rlgen.sb3.features import normalised_policy

Algorithm = Literal["ppo", "a2c", "trpo"]
ADAPTIVE_KL, TRUST_REGION_KL = 0.03, 0.01


@dataclass(frozen=True, kw_only=True)
class OnPolicyConfig:
    """The settings of an on-policy learner with a tanh policy; the defaults are GAIL's."""

    n_steps: int = 256
    """Environment steps per environment and rollout."""
    learning_rate: float = 3e-4
    """Of Adam (TRPO: of its value function's)."""
    schedule: Literal["constant", "linear", "adaptive"] = "adaptive"
    """linear: the learning rate falls to a hundredth over the run; adaptive: it follows `target_kl` between 1e-5, or a
    tenth of the start, and 1e-3, or the start (PPO only; elsewhere the rate is constant)."""
    gamma: float = 0.995
    """Discount per environment step."""
    gae_lambda: float = 0.97
    """λ of generalised advantage estimation (Schulman et al. 2016)."""
    batch_size: int = 2048
    """Rows per gradient step (PPO, and TRPO's value function)."""
    n_epochs: int = 4
    """Passes over each rollout (PPO)."""
    clip_range: float = 0.2
    """Clipping of the probability ratio (PPO)."""
    target_kl: float | None = None
    """Wanted KL per round, in nats: of the adaptive schedule (0.03 when left out) and TRPO's trust region (0.01); PPO
    with another schedule stops a round's epochs beyond 1.5 times this KL, if given."""
    entropy_weight: float = 0.0
    """Weight of the policy's entropy in the loss."""
    hidden: tuple[int, ...] = (128, 128)
    """Widths of the policy's and of the value function's hidden layers."""
    initial_std: float = 0.22
    """Standard deviation of the policy's actions at the start, as a share of half of each action number's range; in
    action units where there are no bounds."""
    normalise: bool = True
    """The policy sees observations in units of their own spread. Without, it sees them as they are and begins with
    orthogonal weights, as SB3's own does."""
    normalise_advantages: bool = True
    """Advantages of every minibatch are brought to unit spread (A2C: never). Without, a rollout in which nothing was
    earned changes the policy less than one in which something was."""

    def __post_init__(self) -> None:
        for name in ("n_steps", "learning_rate", "batch_size", "n_epochs", "clip_range", "initial_std", "target_kl"):
            value = getattr(self, name)
            if value is not None and not 0 < value < math.inf:
                raise problem(f"a positive {name}", str(value), "leave it out for the default")
        if not 0 <= self.entropy_weight < math.inf:
            raise problem("an entropy_weight of at least 0", str(self.entropy_weight), "leave it out for none")
        if any(width < 1 for width in self.hidden):
            raise problem("hidden layers of width 1 or more", str(self.hidden), "leave it out for the default")
        for name in ("gamma", "gae_lambda"):
            if not 0 < getattr(self, name) <= 1:
                raise problem(f"{name} above 0 and at most 1", str(getattr(self, name)), "use e.g. 0.99")


@dataclass(frozen=True, kw_only=True)
class LearnerConfig(OnPolicyConfig):
    """An on-policy learner with a tanh policy behind an observation normaliser."""

    algorithm: Algorithm = "ppo"
    """ppo, a2c, or trpo (needs the extra `contrib`)."""


EXPLORATION_ENVS = 8
EXPLORATION = OnPolicyConfig(
    n_steps=625,
    learning_rate=3e-4,
    schedule="constant",
    gamma=0.998,
    gae_lambda=0.99,
    batch_size=500,
    n_epochs=10,
    hidden=(64, 64),
    initial_std=1.0,
    normalise=False,
    normalise_advantages=False,
)
"""The learner of `train vime`, on `EXPLORATION_ENVS` environments: rollouts of 5,000 steps as in Houthooft et al. 2016,
as much noise at the start as the actions have room for, and a reward whose scale matters (experiments/vime)."""


def learning_rate(config: LearnerConfig) -> float | Callable[[float], float]:
    """What SB3 takes as `learning_rate`."""
    if config.schedule == "adaptive" and config.algorithm == "ppo":
        rate = config.learning_rate
        return AdaptiveRate(rate, config.target_kl or ADAPTIVE_KL, min(1e-5, rate / 10), max(1e-3, rate))
    if config.schedule == "linear":
        # Not to zero: SB3 reaches the end before the last round, which would then change nothing.
        return LinearSchedule(config.learning_rate, 0.01 * config.learning_rate, 1.0)
    return config.learning_rate


def initial_log_std(share: float, space: spaces.Box) -> Tensor:
    """Logarithm of the initial standard deviation [A] in action units: `share` of half of each action number's range,
    `share` itself where that has no bounds, or cannot move."""
    low, high = (torch.as_tensor(bound.ravel(), dtype=torch.float64) for bound in (space.low, space.high))
    return (share * ActionScale.of(low, high).half_range).log().float()


def require_spaces(env: VecEnv) -> None:
    """Raises `InputError` for spaces that a plain policy does not take from the first step to the last."""
    observed, acted = env.observation_space, env.action_space
    if not isinstance(observed, spaces.Box | spaces.Discrete | spaces.MultiDiscrete | spaces.MultiBinary):
        raise problem(
            "observations that are numbers (Box) or kinds",
            f"{observed}",
            "wrap the environment: gymnasium.wrappers.FlattenObservation makes one vector of a dictionary",
        )
    if isinstance(acted, spaces.MultiBinary | spaces.MultiDiscrete) and len(acted.shape) != 1:
        raise problem("kinds of action in one dimension", f"{acted}", "wrap the environment")
    if isinstance(acted, spaces.Box) and not acted.is_bounded():
        raise problem("actions within finite bounds, as SB3 asks", f"{acted}", "bound the environment's action space")
    if isinstance(acted, spaces.Discrete | spaces.MultiDiscrete) and np.any(acted.start):
        raise problem("kinds of action counted from 0, as SB3 takes them", f"{acted}", "wrap the environment")
    RandomPolicy(acted)  # what the policy is compared with in the end


def make_model(config: LearnerConfig, env: VecEnv, seed: int, device: torch.device | str = "cpu") -> OnPolicyAlgorithm:
    """An untrained SB3 model on `env`. Raises `InputError` when a rollout is too short, actions have no
    bounds or TRPO's package is missing."""
    require_spaces(env)
    if config.n_steps * env.num_envs < 2:
        raise problem("a rollout of two steps or more", "n_steps 1 in one environment", "raise n_steps")
    if isinstance(env.action_space, spaces.Box) and not env.action_space.is_bounded():
        remedy = "bound them in the environment, e.g. by gymnasium.wrappers.RescaleAction"
        raise problem("actions within finite bounds, which Stable-Baselines3 asks for", f"{env.action_space}", remedy)
    shared: dict[str, Any] = {
        "policy": "MlpPolicy",
        "env": env,
        "learning_rate": learning_rate(config),
        "n_steps": config.n_steps,
        "gamma": config.gamma,
        "gae_lambda": config.gae_lambda,
        "seed": seed,
        "device": device,
        "policy_kwargs": policy_settings(config),
    }
    model = _algorithm(config, shared)
    if isinstance(env.action_space, spaces.Box):
        with torch.no_grad():
            model.policy.log_std.copy_(initial_log_std(config.initial_std, env.action_space))
    return model


def policy_settings(config: OnPolicyConfig) -> dict[str, Any]:
    """SB3's `policy_kwargs`."""
    if config.normalise:
        return normalised_policy(list(config.hidden), math.log(config.initial_std))
    return {"net_arch": list(config.hidden), "log_std_init": math.log(config.initial_std)}


def _algorithm(config: LearnerConfig, shared: dict[str, Any]) -> OnPolicyAlgorithm:
    if config.algorithm == "ppo":
        kind = FastPPO if worlds_of(shared["env"]) is None else DevicePPO
        return kind(
            **shared,
            batch_size=config.batch_size,
            n_epochs=config.n_epochs,
            clip_range=config.clip_range,
            target_kl=None if config.schedule == "adaptive" else config.target_kl,
            ent_coef=config.entropy_weight,
            normalize_advantage=config.normalise_advantages,
        )
    if config.algorithm == "a2c":
        return A2C(**shared, use_rms_prop=False, ent_coef=config.entropy_weight)
    try:
        from rlgen.sb3.fast_trpo import FastTRPO
    except ImportError as error:
        raise problem("the package sb3-contrib for TRPO", "none", 'run pip install "rlgen[contrib]"') from error
    return FastTRPO(
        **shared,
        batch_size=config.batch_size,
        target_kl=config.target_kl or TRUST_REGION_KL,
        normalize_advantage=config.normalise_advantages,
    )
