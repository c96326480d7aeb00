"""The part of a Stable-Baselines3 model that a clone of demonstrated actions changes: the policy of an on-policy model,
the actor of an off-policy one."""

import math
from typing import Any, cast

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor, nn

from rlgen.errors import problem
from rlgen.sb3.actor_critic import require_distribution

LEAST_STD = 1e-6


def has_actor(model: BaseAlgorithm) -> bool:
    """Whether an off-policy model has an actor that `BC` can clone; DQN only has values."""
    actor: Any = getattr(model, "actor", None)
    return isinstance(actor, BasePolicy) and (
        hasattr(actor, "latent_pi") or isinstance(getattr(actor, "mu", None), nn.Module)
    )


def require_cloneable(model: BaseAlgorithm, remedy: str = "choose another model") -> BasePolicy:
    """The part of `model` that clones. Raises `InputError`, with the `remedy`, for an off-policy model without an actor
    (DQN), whose values say nothing about how likely an action is, and for a policy without a distribution of
    actions."""
    if not isinstance(model, OffPolicyAlgorithm):
        return require_distribution(model)
    if has_actor(model):
        return cast(Any, model).actor
    raise problem(
        "an on-policy SB3 model, or an off-policy one with an actor (SAC, TD3, TQC, CrossQ, DDPG)",
        f"a {type(model).__name__}",
        remedy,
    )


def hidden_layers(cloned: BasePolicy) -> nn.Module:
    """Layers between observations' features and action, without the output layer."""
    part: Any = cloned
    for name in ("mlp_extractor", "latent_pi"):
        if hasattr(part, name):
            return getattr(part, name)
    return nn.Sequential(*list(part.mu.children())[:-2])  # TD3's ends with tanh


class Deterministic:
    """Actions [B, A] of a policy without noise, as SB3's distributions give them."""

    def __init__(self, actions: Tensor):
        self.actions = actions

    def mode(self) -> Tensor:
        return self.actions

    def log_prob(self, actions: Tensor) -> Tensor:
        """Raises `InputError`: without noise, an action is certain or impossible."""
        raise problem("a policy with noise for the loss log_likelihood", "a deterministic one", "use squared_error")


def action_distribution(cloned: BasePolicy, observations: Any) -> Any:
    """The distribution of actions for inputs [B, ...] of the policy, with `mode` and `log_prob`; its actions are in
    [-1, 1] where the policy squashes its outputs."""
    policy: Any = cloned
    if hasattr(policy, "get_distribution"):
        return policy.get_distribution(observations)
    if hasattr(policy, "latent_pi"):
        mean, log_std, extra = policy.get_action_dist_params(observations)
        return policy.action_dist.proba_distribution(mean, log_std, **extra)
    return Deterministic(policy(observations))


def set_squashed_std(cloned: BasePolicy, entropy: float) -> None:
    """Gives an actor with a state-dependent deviation the same one everywhere, such that the entropy of its actions
    before they are squashed is `entropy`, nats. Others stay as they are."""
    layer = getattr(cloned, "log_std", None)
    if not isinstance(layer, nn.Linear):
        return
    per_action = entropy / layer.out_features - 0.5 * math.log(2 * math.pi * math.e)
    with torch.no_grad():
        layer.weight.zero_()
        layer.bias.fill_(max(per_action, math.log(LEAST_STD)))
