"""The settings and the construction of an agent's Stable-Baselines3 learner."""

import logging
import math
import warnings
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar, Literal, Self, cast, get_args

import torch
from gymnasium import spaces
from stable_baselines3 import A2C
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.utils import LinearSchedule
from stable_baselines3.common.vec_env import VecEnv
from torch import Tensor

from rlgen.checks import at_least, one_of, positive, up_to_one, widths
from rlgen.data.spaces import kinds_of, require_counted_from_zero
from rlgen.data.words import words_of
from rlgen.deprecation import UNLESS_DEFAULT, UNLESS_NONE, renamed_fields
from rlgen.equations.correlated_noise import correlation_of
from rlgen.errors import problem
from rlgen.nn.layers import ACTIVATIONS, Activation
from rlgen.nn.normalizer import ActionScale
from rlgen.runs.evaluation import RandomPolicy
from rlgen.sb3.actor_critic import is_plain_gaussian
from rlgen.sb3.adaptive_rate import KLAdaptiveLR
from rlgen.sb3.device_ppo import DevicePPO, device_env_of
from rlgen.sb3.exploration_noise import ExplorationNoise, Likelihood, step_seconds
from rlgen.sb3.fast_ppo import FastPPO
from rlgen.sb3.features import normalized_policy
from rlgen.sb3.image_features import encoding_extractor, extractor_for, policy_name
from rlgen.sb3.instructed import shows_instructions

from .image_encoder import Encoder, EncoderConfig, encoder_settings, require_words, start_encoders

log = logging.getLogger("rlgen")
Algorithm = Literal["ppo", "a2c", "trpo"]
Noise = Literal["white", "correlated", "coloured", "gsde"]
ADAPTIVE_KL, TRUST_REGION_KL = 0.03, 0.01


@renamed_fields(normalise="normalize", normalise_advantages="normalize_advantages")
@dataclass(frozen=True, kw_only=True)
class LearnerConfig:
    """Settings of an on-policy learner with a tanh policy; the defaults are GAIL's."""

    on_policy: ClassVar[bool] = True
    has_actor: ClassVar[bool] = True
    everyday: ClassVar[tuple[str, ...]] = ("algorithm",)
    """Options that the short help shows."""

    algorithm: Algorithm = "ppo"
    """Reinforcement learning algorithm; trpo needs the extra `contrib`."""
    n_steps: int = 256
    """Environment steps per environment and rollout."""
    learning_rate: float = 3e-4
    """Adam learning rate (TRPO: of the value function)."""
    schedule: Literal["constant", "linear", "adaptive"] = "adaptive"
    """Learning rate over the run. constant; linear: falls to a hundredth; adaptive: keeps the KL divergence of a round
    near `target_kl`, between 1e-5 (or a tenth of the start) and 1e-3 (or the start), with PPO; constant elsewhere."""
    gamma: float = 0.995
    """Discount factor per environment step, above 0 and at most 1."""
    gae_lambda: float = 0.97
    """λ of generalized advantage estimation (Schulman et al. 2016), above 0 and at most 1."""
    batch_size: int = 2048
    """Transitions per gradient step (PPO, and TRPO's value function)."""
    n_epochs: int = 4
    """Passes over each rollout (PPO)."""
    clip_range: float = 0.2
    """Clipping range of the probability ratio (PPO)."""
    target_kl: float | None = None
    """KL divergence of a round in nats: target of the adaptive schedule (default 0.03) and size of TRPO's trust region
    (default 0.01). PPO with another schedule stops a round's epochs beyond 1.5 times this value; never by default."""
    entropy_weight: float = 0.0
    """Weight of the policy's entropy in the loss; raise it when the policy stops exploring (PPO, A2C)."""
    hidden: tuple[int, ...] = (128, 128)
    """Widths of the hidden layers of policy and value function."""
    initial_std: float = 0.22
    """Standard deviation of the policy's actions at the start, as a share of half of each action dimension's range;
    in action units where the range has no bounds."""
    normalize: bool = True
    """Normalization of the policy's observations to unit variance. Without it the policy sees raw observations and
    starts with orthogonal weights, as SB3's own does."""
    normalize_advantages: bool = True
    """Normalization of every minibatch's advantages to unit variance (not A2C). Turn it off where rewards are rare:
    a rollout without reward then changes the policy less than one with reward."""
    activation: Activation | None = field(default=None, metadata=UNLESS_NONE)
    """Activation function of the hidden layers: tanh, relu, elu or silu; by default tanh."""
    value_weight: float | None = field(default=None, metadata=UNLESS_NONE)
    """Weight of the value function's error in the loss (PPO, A2C); by default 0.5."""
    max_grad_norm: float | None = field(default=None, metadata=UNLESS_NONE)
    """Largest norm of a gradient step (PPO, A2C); by default 0.5."""
    clip_schedule: Literal["constant", "linear"] | None = field(default=None, metadata=UNLESS_NONE)
    """Clipping range over the run (PPO). constant; linear: falls to a hundredth; by default constant."""
    noise: Noise = field(default="white", metadata=UNLESS_DEFAULT)
    """Noise of continuous actions while training. white: independent at each step, which averages to little movement
    where steps are short; correlated: lasts for noise_seconds (PPO, TRPO); coloured: with the power spectrum
    1/f^noise_color (PPO, TRPO on a CPU); gsde: a random function of the policy's features, redrawn every
    noise_seconds (Raffin et al. 2021, 2005.05719)."""
    noise_seconds: float = field(default=0.1, metadata=UNLESS_DEFAULT)
    """Correlation time of correlated noise, or time between two draws of gsde, in seconds of the environment."""
    noise_color: float = field(default=0.5, metadata=UNLESS_DEFAULT)
    """Exponent of the spectrum of coloured noise, above 0: 1 is pink, 2 red. Eberhard et al. 2023 (2312.11091) found
    0.5 best for PPO."""
    noise_likelihood: Likelihood = field(default="marginal", metadata=UNLESS_DEFAULT)
    """Log-probabilities of actions under correlated noise (PPO). marginal: of each action by itself, which is biased
    towards lasting deviations; conditional: given the step before, which is unbiased."""
    encoder: EncoderConfig = field(default=EncoderConfig(), metadata=UNLESS_DEFAULT)
    """Trained model that the policy's features of images or instructions start from."""

    def __post_init__(self) -> None:
        one_of(self, "algorithm", get_args(Algorithm))
        positive(self, "n_steps", "learning_rate", "batch_size", "n_epochs", "clip_range", "initial_std", "target_kl")
        positive(self, "max_grad_norm")
        at_least(self, 0, "entropy_weight", "value_weight")
        widths(self, "hidden")
        if self.activation is not None:
            one_of(self, "activation", ACTIVATIONS)
        up_to_one(self, "gamma", "gae_lambda")
        one_of(self, "noise", get_args(Noise))
        one_of(self, "noise_likelihood", get_args(Likelihood))
        positive(self, "noise_seconds", "noise_color")
        if self.algorithm == "a2c" and self.noise in ("correlated", "coloured"):
            raise problem("white or gsde as the noise of A2C", self.noise, "use --learner.algorithm ppo")
        if self.noise_likelihood == "conditional" and (self.algorithm != "ppo" or self.noise != "correlated"):
            got = f"{self.algorithm} with {self.noise} noise"
            raise problem("PPO with correlated noise for conditional likelihoods", got, "use marginal ones")

    def make(self, env: VecEnv, steps: int, seed: int, device: torch.device | str = "cpu") -> OnPolicyAlgorithm:
        """An untrained model on `env`, for any number of `steps`. Raises as `make_model`."""
        return make_model(self, env, seed, device)

    def keep_buffer(self, steps: int, n_envs: int) -> Self:
        """Returns the same settings: an on-policy learner saves no replay buffer."""
        return self


EXPLORATION_ENVS = 8
EXPLORATION = LearnerConfig(
    n_steps=625,
    learning_rate=3e-4,
    schedule="constant",
    gamma=0.998,
    gae_lambda=0.99,
    batch_size=500,
    n_epochs=10,
    hidden=(64, 64),
    initial_std=1.0,
    normalize=False,
    normalize_advantages=False,
)
"""Learner of `train explore`, on `EXPLORATION_ENVS` environments: rollouts of 5,000 steps as in Houthooft et al. 2016,
initial noise as large as the action range allows, and a reward scale that matters (experiments/vime)."""
BACKWARD = LearnerConfig(
    n_steps=625,
    schedule="constant",
    gamma=0.998,
    batch_size=500,
    n_epochs=10,
    hidden=(64, 64),
)
"""Learner of `train rl --backward-from`, on `EXPLORATION_ENVS` environments: as it was measured in experiments/vime."""


def learning_rate(config: LearnerConfig) -> float | Callable[[float], float]:
    """The `learning_rate` argument of SB3."""
    if config.schedule == "adaptive" and config.algorithm == "ppo":
        rate = config.learning_rate
        return KLAdaptiveLR(rate, config.target_kl or ADAPTIVE_KL, min(1e-5, rate / 10), max(1e-3, rate))
    if config.schedule == "linear":
        # Not to zero: SB3 reaches the end before the last round, which would then change nothing.
        return LinearSchedule(config.learning_rate, 0.01 * config.learning_rate, 1.0)
    return config.learning_rate


def clip_range(config: LearnerConfig) -> float | Callable[[float], float]:
    """The `clip_range` argument of SB3."""
    first = config.clip_range
    return LinearSchedule(first, 0.01 * first, 1.0) if config.clip_schedule == "linear" else first


def initial_log_std(share: float, space: spaces.Box) -> Tensor:
    """Logarithm of the initial standard deviation [A] in action units: `share` of half of each action component's
    range, or `share` itself if the component has no bounds or equal ones."""
    low, high = (torch.as_tensor(bound.ravel(), dtype=torch.float64) for bound in (space.low, space.high))
    return (share * ActionScale.of(low, high).half_range).log().float()


def require_spaces(env: VecEnv) -> None:
    """Raises `InputError` for spaces that policies do not support."""
    observed, acted = env.observation_space, env.action_space
    where = getattr(env, "env_id", "the environment")
    kinds_of(observed, where)
    require_counted_from_zero(None, acted, where)
    if isinstance(acted, spaces.MultiBinary | spaces.MultiDiscrete) and len(acted.shape) != 1:
        raise problem("discrete actions in one dimension", f"{acted}", "wrap the environment")
    if isinstance(acted, spaces.Box) and not acted.is_bounded():
        raise problem("actions within finite bounds, as SB3 requires", f"{acted}", "bound the environment's actions")
    RandomPolicy(acted)  # the baseline of the final evaluation


def make_model(config: LearnerConfig, env: VecEnv, seed: int, device: torch.device | str = "cpu") -> OnPolicyAlgorithm:
    """An untrained SB3 model on `env`, with a features extractor for its observations, which may be images or
    dictionaries. Raises `InputError` when a rollout is too short, actions have no bounds or TRPO's package is
    missing."""
    require_spaces(env)
    if config.n_steps * env.num_envs < 2:
        raise problem("a rollout of two steps or more", "n_steps 1 in one environment", "raise n_steps")
    if isinstance(env.action_space, spaces.Box) and not env.action_space.is_bounded():
        remedy = "bound them in the environment, e.g. by gymnasium.wrappers.RescaleAction"
        raise problem("actions within finite bounds, as Stable-Baselines3 requires", f"{env.action_space}", remedy)
    encoder = config.encoder.model()
    shared: dict[str, Any] = {
        **policy_for(config, env.observation_space, encoder),
        "env": env,
        "learning_rate": learning_rate(config),
        "n_steps": config.n_steps,
        "gamma": config.gamma,
        "gae_lambda": config.gae_lambda,
        "seed": seed,
        "device": device,
        **gsde_settings(config, env),
    }
    model = _algorithm(config, shared)
    if encoder is not None:
        require_words(encoder, words_of(env))
    start_encoders(model.policy, config.encoder, encoder)
    if config.noise == "gsde":
        set_gsde_std(model, config.initial_std)
    else:
        set_action_std(model, config.initial_std)
    if config.noise in ("correlated", "coloured"):
        set_noise(model, config)
    return model


def set_noise(model: OnPolicyAlgorithm, config: LearnerConfig) -> None:
    """Gives `model` correlated or coloured noise. Raises `InputError` for discrete actions, for an environment whose
    steps have no known duration, and for what a device does not support."""
    require_continuous(model.action_space, config.noise)
    if not isinstance(model.observation_space, spaces.Box) or not is_plain_gaussian(model.policy):
        remedy = "use gsde, or white noise"
        raise problem(f"an observation of one array for {config.noise} noise", f"{model.observation_space}", remedy)
    if device_env_of(model.get_env()) is not None and (
        config.noise == "coloured" or config.noise_likelihood == "conditional"
    ):
        got = f"{config.noise} noise with {config.noise_likelihood} likelihoods"
        raise problem("correlated noise with marginal likelihoods on a device", got, "use these, or another backend")
    correlation = exponent = 0.0
    if config.noise == "coloured":
        exponent = config.noise_color
    else:
        correlation = correlation_of(config.noise_seconds, step_seconds(model.get_env()))
    chosen = ExplorationNoise(correlation=correlation, exponent=exponent, likelihood=config.noise_likelihood)
    cast(Any, model).exploration_noise = chosen


def set_action_std(model: OnPolicyAlgorithm, share: float) -> None:
    """Gives continuous actions the standard deviation `share`, as `initial_log_std` takes it."""
    if isinstance(model.action_space, spaces.Box):
        with torch.no_grad():
            model.policy.log_std.copy_(initial_log_std(share, model.action_space))


def set_gsde_std(model: OnPolicyAlgorithm, share: float) -> None:
    """Gives the weights of gSDE a standard deviation with which actions have that of `set_action_std`, where
    observations are standard normal: an action's is that of a weight times the length of the policy's features."""
    policy: Any = model.policy
    generator, shape = torch.Generator().manual_seed(0), model.observation_space.shape
    rows = torch.randn((256, *(shape or ())), generator=generator).to(model.device)
    with torch.no_grad():
        features = policy.mlp_extractor.forward_actor(policy.extract_features(rows, policy.pi_features_extractor))
        length = features.square().sum(-1).mean().sqrt()
        wanted = initial_log_std(share, model.action_space).to(length.device)  # type: ignore[arg-type]
        policy.log_std.copy_((wanted - length.log()).expand_as(policy.log_std))


def policy_for(config: LearnerConfig, observed: spaces.Space, encoder: Encoder | None = None) -> dict[str, Any]:
    """SB3's `policy` and `policy_kwargs` for observations of this space. `encoder`: the model that features of images
    start from, if it is trained."""
    name, settings = policy_name(observed), policy_settings(config)
    if config.normalize or name != "MlpPolicy":
        settings["features_extractor_class"] = extractor_for(observed)
    if shows_instructions(observed):
        settings["ortho_init"] = False  # a Transformer has an initialization of its own
    if config.encoder.used:
        given = encoder_settings(config.encoder, encoder, observed)
        kind, arguments = encoding_extractor(observed, given)
        settings |= {"features_extractor_class": kind, "features_extractor_kwargs": arguments}
    return {"policy": name, "policy_kwargs": settings}


def policy_settings(config: LearnerConfig) -> dict[str, Any]:
    """SB3's `policy_kwargs`."""
    given = {} if config.activation is None else {"activation_fn": ACTIVATIONS[config.activation]}
    if config.normalize:
        return normalized_policy(list(config.hidden), math.log(config.initial_std)) | given
    return {"net_arch": list(config.hidden), "log_std_init": math.log(config.initial_std), **given}


def require_continuous(space: spaces.Space, noise: str) -> None:
    """Raises `InputError` for actions that are not continuous."""
    if not isinstance(space, spaces.Box):
        raise problem(f"continuous actions for {noise} noise", f"{space}", "leave the noise out")


def gsde_settings(config: LearnerConfig, env: VecEnv) -> dict[str, Any]:
    """Arguments of an SB3 model for its state-dependent exploration."""
    if config.noise != "gsde":
        return {}
    require_continuous(env.action_space, config.noise)
    return {"use_sde": True, "sde_sample_freq": max(1, round(config.noise_seconds / step_seconds(env)))}


def loss_settings(config: LearnerConfig) -> dict[str, Any]:
    """Weights of SB3's loss, and the largest norm of its gradient where one is given."""
    given = {"vf_coef": config.value_weight, "max_grad_norm": config.max_grad_norm}
    return {"ent_coef": config.entropy_weight, **{name: value for name, value in given.items() if value is not None}}


def minibatch(config: LearnerConfig, n_envs: int) -> int:
    """Rows of a minibatch: those of the settings, or the whole rollout if it is smaller. Says in the log where the last
    minibatch of an epoch is smaller than the others."""
    rollout = config.n_steps * n_envs
    size = min(config.batch_size, rollout)
    if rest := rollout % size:
        log.info(
            "the last minibatch of each epoch has %d rows, the others %d: rollouts have %d, n_steps times environments",
            *(rest, size, rollout),
        )
    return size


def _algorithm(config: LearnerConfig, shared: dict[str, Any]) -> OnPolicyAlgorithm:
    if config.algorithm == "a2c":
        return A2C(**shared, use_rms_prop=False, **loss_settings(config))
    with warnings.catch_warnings():
        # `minibatch` says it, in words that fit a size that is a default.
        warnings.filterwarnings("ignore", "You have specified a mini-batch size", UserWarning)
        return _with_minibatches(config, shared)


def _with_minibatches(config: LearnerConfig, shared: dict[str, Any]) -> OnPolicyAlgorithm:
    size = minibatch(config, shared["env"].num_envs)
    if config.algorithm == "ppo":
        kind = FastPPO if device_env_of(shared["env"]) is None else DevicePPO
        return kind(
            **shared,
            batch_size=size,
            n_epochs=config.n_epochs,
            clip_range=clip_range(config),
            target_kl=None if config.schedule == "adaptive" else config.target_kl,
            **loss_settings(config),
            normalize_advantage=config.normalize_advantages,
        )
    try:
        from rlgen.sb3.fast_trpo import FastTRPO
    except ImportError as error:
        raise problem("the package sb3-contrib for TRPO", "none", 'run pip install "rlgen[contrib]"') from error
    return FastTRPO(
        **shared,
        batch_size=size,
        target_kl=config.target_kl or TRUST_REGION_KL,
        normalize_advantage=config.normalize_advantages,
    )
