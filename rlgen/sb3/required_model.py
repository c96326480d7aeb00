"""Requirements of a training on its model."""

from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy
from stable_baselines3.common.vec_env import VecNormalize

from rlgen.errors import problem


def normalizer_of(model: BaseAlgorithm) -> VecNormalize | None:
    """The VecNormalize of the model's environment, if it has one. Raises `InputError` if its observations differ from
    the model's, because another wrapper changes their shape."""
    env = model.get_vec_normalize_env()
    if env is not None and env.observation_space.shape != model.observation_space.shape:
        raise problem(
            f"a VecNormalize of the observations that the model sees, {model.observation_space.shape}",
            f"one of {env.observation_space.shape} below another wrapper",
            "make VecNormalize the outermost wrapper",
        )
    return env


def require_actor_critic(model: BaseAlgorithm) -> ActorCriticPolicy:
    """The policy of `model`; raises `InputError` unless it is an on-policy model whose policy is not recurrent."""
    policy = getattr(model, "policy", None)
    on_policy, recurrent = isinstance(model, OnPolicyAlgorithm), hasattr(policy, "lstm_actor")
    if on_policy and not recurrent and isinstance(policy, ActorCriticPolicy):
        return policy
    given = f"{type(model).__name__} with a {type(policy).__name__}"
    if not isinstance(model, BaseAlgorithm):
        given = f"{model!r}" if isinstance(model, str) else f"a {type(model).__name__}"
    raise problem(
        "an on-policy SB3 model with an ActorCriticPolicy without memory",
        given,
        'use PPO, A2C or TRPO, e.g. PPO("MlpPolicy", env)',
    )


def require_raw_environment(model: BaseAlgorithm) -> None:
    """Raises `InputError` for a model under VecNormalize: demonstrations hold the environment's raw observations."""
    if model.get_vec_normalize_env() is not None:
        raise problem(
            "an environment of raw observations and rewards",
            "one under VecNormalize, whose scales the demonstrations would not share",
            "pass the environment itself: `rlgen.sb3.normalized_policy` normalizes observations, GAIL scales rewards",
        )
