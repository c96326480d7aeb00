"""The two heads of an SB3 policy whose actions are N(mean(observation), exp(log_std)²)."""

from stable_baselines3.common.distributions import DiagGaussianDistribution
from stable_baselines3.common.policies import ActorCriticPolicy, BasePolicy
from torch import Tensor

SB3S_OWN = ("forward", "evaluate_actions", "predict_values", "_get_action_dist_from_latent", "extract_features")


def is_plain_gaussian(policy: BasePolicy) -> bool:
    """Whether `mean_action` and `mean_and_values` tell all there is to `policy`: an ActorCriticPolicy that computes as
    SB3's does, without gSDE."""
    return (
        isinstance(policy, ActorCriticPolicy)
        and type(policy.action_dist) is DiagGaussianDistribution
        and all(getattr(type(policy), name) is getattr(ActorCriticPolicy, name) for name in SB3S_OWN)
    )


def mean_action(policy: ActorCriticPolicy, observations: Tensor) -> Tensor:
    """[B, A] for observations [B, ...]."""
    features = BasePolicy.extract_features(policy, observations, policy.pi_features_extractor)
    return policy.action_net(policy.mlp_extractor.forward_actor(features))


def mean_and_values(policy: ActorCriticPolicy, observations: Tensor) -> tuple[Tensor, Tensor]:
    """[B, A] and [B, 1], from one pass through a features extractor that both heads share."""
    features = policy.extract_features(observations)
    if policy.share_features_extractor:
        actor, critic = policy.mlp_extractor(features)
    else:
        actor = policy.mlp_extractor.forward_actor(features[0])
        critic = policy.mlp_extractor.forward_critic(features[1])
    return policy.action_net(actor), policy.value_net(critic)
