"""SB3's actor-critic policies: what a training requires of a model, and PPO's loss where the actions are
N(mean(observation), exp(log_std)²)."""

import math
from typing import Any, NamedTuple

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.distributions import DiagGaussianDistribution
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from torch import Tensor

from rlgen.equations.correlated_noise import innovation
from rlgen.equations.policy_gradient import gaussian_surrogate
from rlgen.errors import InputError, problem


def require_actor_critic(model: BaseAlgorithm) -> ActorCriticPolicy:
    """The policy of `model`; raises `InputError` unless it is an on-policy model whose policy is not recurrent."""
    policy = getattr(model, "policy", None)
    on_policy, recurrent = isinstance(model, OnPolicyAlgorithm), hasattr(policy, "lstm_actor")
    if on_policy and not recurrent and isinstance(policy, ActorCriticPolicy):
        return policy
    raise _no_such_policy(model, "an ActorCriticPolicy without memory")


def _no_such_policy(model: Any, kind: str) -> InputError:
    given = f"{type(model).__name__} with a {type(getattr(model, 'policy', None)).__name__}"
    if not isinstance(model, BaseAlgorithm):
        given = f"{model!r}" if isinstance(model, str) else f"a {type(model).__name__}"
    expected = f"an on-policy SB3 model with {kind}"
    return problem(expected, given, 'use PPO, A2C or TRPO, e.g. PPO("MlpPolicy", env)')


def is_recurrent(policy: BasePolicy) -> bool:
    """Whether a policy has the memory of sb3-contrib's RecurrentPPO."""
    return hasattr(policy, "lstm_actor")


def require_distribution(model: BaseAlgorithm) -> Any:
    """The policy of `model`; raises `InputError` unless it is an on-policy model whose policy gives distributions of
    actions: an ActorCriticPolicy, also a recurrent one, or that of MaskablePPO."""
    policy = getattr(model, "policy", None)
    if (
        isinstance(model, OnPolicyAlgorithm)
        and hasattr(policy, "get_distribution")
        and hasattr(policy, "mlp_extractor")
    ):
        return policy
    raise _no_such_policy(model, "a policy that gives distributions of actions")


def require_raw_environment(model: BaseAlgorithm) -> None:
    """Raises `InputError` for a model under VecNormalize: demonstrations hold the environment's raw observations."""
    if model.get_vec_normalize_env() is not None:
        raise problem(
            "an environment of raw observations and rewards",
            "one under VecNormalize, whose scales the demonstrations would not share",
            "pass the environment itself: `rlgen.sb3.normalized_policy` normalizes its observations",
        )


SB3S_OWN = ("forward", "evaluate_actions", "predict_values", "_get_action_dist_from_latent", "extract_features")


def is_plain_gaussian(policy: BasePolicy) -> bool:
    """Whether `mean_action` and `mean_and_values` describe `policy` completely: an ActorCriticPolicy that computes as
    SB3's does, without gSDE."""
    return (
        isinstance(policy, ActorCriticPolicy)
        and type(policy.action_dist) is DiagGaussianDistribution
        and all(getattr(type(policy), name) is getattr(ActorCriticPolicy, name) for name in SB3S_OWN)
    )


def mean_action(policy: ActorCriticPolicy, observations: Tensor) -> Tensor:
    """Mean action [B, A] for observations [B, ...]."""
    features = BasePolicy.extract_features(policy, observations, policy.pi_features_extractor)
    return policy.action_net(policy.mlp_extractor.forward_actor(features))


def mean_and_values(policy: ActorCriticPolicy, observations: Tensor) -> tuple[Tensor, Tensor]:
    """Mean action [B, A] and value [B, 1], with one pass if both heads share a features extractor."""
    features = policy.extract_features(observations)
    if policy.share_features_extractor:
        actor, critic = policy.mlp_extractor(features)
    else:
        actor = policy.mlp_extractor.forward_actor(features[0])
        critic = policy.mlp_extractor.forward_critic(features[1])
    return policy.action_net(actor), policy.value_net(critic)


@torch.no_grad()
def values_of(policy: ActorCriticPolicy, observations: Tensor, rows: int) -> Tensor:
    """Values [B] of observations [B, ...], with `rows` per pass through the value function."""
    return torch.cat([policy.predict_values(each) for each in observations.split(rows)]).flatten()


class Before(NamedTuple):
    """The steps before B rows of a rollout."""

    observations: Tensor
    actions: Tensor
    correlation: Tensor
    """[B, 1]: of the row's noise with that of the step before; 0 where there is none."""


class Minibatch(NamedTuple):
    """B rows of a rollout."""

    observations: Tensor
    actions: Tensor
    old_log_prob: Tensor
    advantages: Tensor
    returns: Tensor
    before: Before | None = None
    """Given where log-probabilities are those given the step before."""


class Update(NamedTuple):
    """Loss and statistics of one minibatch."""

    loss: Tensor
    """The only entry with a gradient."""
    policy_loss: Tensor
    value_loss: Tensor
    entropy: Tensor
    """Entropy of the policy, nats."""
    log_ratio: Tensor
    """[B]: log π(a|s) - log π_old(a|s), nats."""


def surrogate_loss(
    policy: ActorCriticPolicy, rows: Minibatch, clip_range: float | Tensor, value_weight: float, entropy_weight: float
) -> Update:
    """PPO's loss for these rows: the clipped surrogate, the value loss and the entropy bonus. Schulman et al. 2017
    (1707.06347), eq. 9. With steps before, for the densities given them (`rlgen.equations.correlated_noise`)."""
    mean, values = mean_and_values(policy, rows.observations)
    actions, log_std = rows.actions, policy.log_std
    if rows.before is not None:
        before = rows.before
        mean = innovation(mean, mean_action(policy, before.observations), before.correlation)
        actions = innovation(actions, before.actions, before.correlation)
    surrogate = gaussian_surrogate(mean, log_std, values, actions, *rows[2:5], clip_range, value_weight)
    entropy = log_std.sum() + 0.5 * math.log(2 * math.pi * math.e) * len(log_std)
    loss = surrogate.loss - entropy_weight * entropy if entropy_weight else surrogate.loss
    return Update(loss, surrogate.policy_loss, surrogate.value_loss, entropy, surrogate.log_ratio)
