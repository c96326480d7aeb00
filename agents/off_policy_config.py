"""The settings that off-policy learners share, and the construction of their models."""

from abc import ABC, abstractmethod
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any, ClassVar, Literal, Self, get_args

import torch
from gymnasium import spaces
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from stable_baselines3.common.vec_env import VecEnv

from rlgen.checks import at_least, one_of, positive, up_to_one, widths
from rlgen.data.spaces import kinds_of
from rlgen.deprecation import UNLESS_DEFAULT, unless_earlier
from rlgen.equations.correlated_noise import correlation_of
from rlgen.errors import problem
from rlgen.nn.layers import ACTIVATIONS, Activation
from rlgen.sb3.exploration_noise import ExplorationNoise, step_seconds
from rlgen.sb3.image_features import extractor_for, policy_name
from rlgen.sb3.lasting_actions import with_lasting_actions

from .replay_memory import bytes_per_transition, default_buffer_size, require_memory

LastingKind = Literal["white", "correlated", "coloured"]
MOST_STEPS = 64
"""Most steps of all environments between two learning phases."""


@dataclass(frozen=True, kw_only=True)
class OffPolicyConfig(ABC):
    """Settings that all off-policy learners share; the defaults are Stable-Baselines3's."""

    on_policy: ClassVar[bool] = False
    everyday: ClassVar[tuple[str, ...]] = ("algorithm",)
    """Options that the short help shows."""
    has_actor: ClassVar[bool] = True
    """Whether the model has an actor, which a warm start can clone."""
    imitation: ClassVar[Mapping[str, Any]] = {"normalize": True, "learning_starts": 1000, "activation": "silu"}
    """Settings of a learner that imitates which differ from those of `train rl`."""

    algorithm: str
    """Reinforcement learning algorithm; trpo, tqc and crossq need the extra `contrib`."""
    learning_rate: float = 3e-4
    """Adam learning rate of actor, critics and entropy coefficient."""
    buffer_size: int | None = None
    """Capacity of the replay buffer in transitions; by default that of the training, up to a million. Lower it if
    memory is short."""
    learning_starts: int = 100
    """Environment steps of random actions before the first gradient step; none after a warm start by cloning, whose
    clone acts from the first step on."""
    batch_size: int = 256
    """Transitions per gradient step."""
    gamma: float = 0.99
    """Discount factor per environment step, above 0 and at most 1."""
    hidden: tuple[int, ...] = (256, 256)
    """Widths of the hidden layers of actor and critics."""
    activation: Activation = field(default="relu", metadata=UNLESS_DEFAULT)
    """Activation function of the hidden layers: tanh, relu, elu or silu. Actors that are cloned from few demonstrations
    need a smooth one: from 200 rows of Ant, silu imitates better than relu."""
    updates_per_step: float = field(default=1.0, metadata=UNLESS_DEFAULT)
    """Gradient steps per environment step, however many environments are stepped at once (update-to-data ratio)."""
    normalize: bool = field(default=False, metadata=UNLESS_DEFAULT)
    """Normalization of observations to unit variance, by the statistics of the demonstrations; imitation only."""

    noise: LastingKind = field(default="white", metadata=UNLESS_DEFAULT)
    """Noise of continuous actions while acting. white: independent at each step, which averages to little movement
    where steps are short; correlated: lasts for noise_seconds; coloured: with the power spectrum 1/f^noise_color."""
    noise_seconds: float = field(default=0.1, metadata=UNLESS_DEFAULT)
    """Correlation time of correlated noise, in seconds of the environment."""
    noise_color: float = field(default=1.0, metadata=UNLESS_DEFAULT)
    """Exponent of the spectrum of coloured noise, above 0: 1 is pink, 2 red. Eberhard et al. 2023 (2210.01014) found
    pink best for learners such as SAC."""

    def __post_init__(self) -> None:
        one_of(self, "noise", get_args(LastingKind))
        positive(self, "noise_seconds", "noise_color")
        if self.noise != "white" and not self.has_actor:
            raise problem("continuous actions for noise that lasts", f"{self.noise} noise of DQN", "leave it out")
        positive(self, "learning_rate", "buffer_size", "batch_size", "updates_per_step")
        at_least(self, 0, "learning_starts")
        widths(self, "hidden")
        one_of(self, "activation", ACTIVATIONS)
        up_to_one(self, "gamma")

    def make(self, env: VecEnv, steps: int, seed: int, device: torch.device | str = "cpu") -> OffPolicyAlgorithm:
        """An untrained model on `env`, for a training of `steps` environment steps.

        Raises `InputError` for spaces that the algorithm does not take, without its package, and if the replay buffer
        does not fit into memory.
        """
        kinds_of(env.observation_space, getattr(env, "env_id", "the environment"))
        self.require_actions(env.action_space)
        transitions = self.buffer_size or default_buffer_size(steps, env.num_envs)
        require_memory(transitions * bytes_per_transition(env))
        own = self.own(env)
        # A fused step of Adam is a single operation, instead of a dozen for each of the many small tensors.
        policy = {
            "net_arch": list(self.hidden),
            "activation_fn": ACTIVATIONS[self.activation],
            "optimizer_kwargs": {"fused": True},
            **own.pop("policy_kwargs", {}),
        }
        observed = env.observation_space
        if self.normalize or policy_name(observed) != "MlpPolicy":
            policy["features_extractor_class"] = extractor_for(observed)
        kind = self.kind() if self.noise == "white" else with_lasting_actions(self.kind())  # type: ignore[arg-type]
        model = kind(
            self.policy(observed),
            env,
            learning_rate=self.learning_rate,
            buffer_size=transitions,
            learning_starts=self.learning_starts,
            batch_size=self.batch_size,
            gamma=self.gamma,
            policy_kwargs=policy,
            seed=seed,
            device=device,
            **{**rounds(self.updates_per_step, env.num_envs), **own},
        )
        if self.noise != "white":
            model.exploration_noise = self.exploration_noise(env)
        return model

    def exploration_noise(self, env: VecEnv) -> ExplorationNoise:
        """The noise of the actions. Raises `InputError` for an environment whose steps have no known duration."""
        if self.noise == "coloured":
            return ExplorationNoise(exponent=self.noise_color)
        return ExplorationNoise(correlation=correlation_of(self.noise_seconds, step_seconds(env)))

    @abstractmethod
    def kind(self) -> type[Any]:
        """Class of the model."""

    def require_actions(self, space: spaces.Space) -> None:
        """Raises `InputError` for actions that the algorithm does not take: here those that are not continuous and
        bounded."""
        name = self.algorithm.upper()
        if not isinstance(space, spaces.Box):
            remedy = "use --learner.algorithm ppo, which takes all, or where there is one dqn for a Discrete space"
            raise problem(f"continuous actions (Box) for {name}", f"{space}", remedy)
        if not space.is_bounded():
            remedy = "bound the environment's action space"
            raise problem(f"actions within finite bounds for {name}", f"{space}", remedy)

    def policy(self, observed: spaces.Space) -> str | type[BasePolicy]:
        """The model's policy for such observations, by its name in Stable-Baselines3 or as a class."""
        return policy_name(observed)

    def own(self, env: VecEnv) -> dict[str, Any]:
        """Arguments of the model that the algorithms do not share."""
        return {}

    def keep_buffer(self, steps: int, n_envs: int) -> Self:
        """These settings with the size of the replay buffer that a training of `steps` steps has saved."""
        return replace(self, buffer_size=self.buffer_size or default_buffer_size(steps, n_envs))


def rounds(per_step: float, n_envs: int) -> dict[str, int]:
    """Arguments of an SB3 model for `per_step` gradient steps per environment step: steps of all environments between
    two learning phases, and gradient steps in each; -1 in SB3 means one for each environment step."""
    if per_step == 1:
        return {"train_freq": 1, "gradient_steps": -1}
    share = Fraction(per_step * n_envs).limit_denominator(MOST_STEPS)
    return {"train_freq": max(1, share.denominator), "gradient_steps": max(1, share.numerator)}


@dataclass(frozen=True, kw_only=True)
class TargetCriticsConfig(OffPolicyConfig):
    """Settings that the learners with target critics share."""

    tau: float = 0.005
    """Soft update coefficient of the targets, above 0 and at most 1."""
    layer_norm: bool = field(default=False, metadata=unless_earlier(False))
    """Layer normalization in the critics, whose values are then bounded far from the data (Ball et al. 2023,
    2302.02948); for several gradient steps per environment step, or demonstrated rows among the replayed ones."""

    def __post_init__(self) -> None:
        super().__post_init__()
        up_to_one(self, "tau")

    def policy(self, observed: spaces.Space) -> str | type[BasePolicy]:
        return self.layer_norm_policy() if self.layer_norm else super().policy(observed)

    @abstractmethod
    def layer_norm_policy(self) -> type[BasePolicy]:
        """The model's policy with layer normalization in its critics."""


def contrib(name: str) -> type[Any]:
    """A class of sb3-contrib by its name. Raises `InputError` without the package."""
    try:
        import sb3_contrib
    except ImportError as error:
        raise problem(f"the package sb3-contrib for {name}", "none", 'run pip install "rlgen[contrib]"') from error
    return getattr(sb3_contrib, name)
