"""What a learner with an entropy bonus expects of an absorbing state."""

from typing import Any

import torch
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from torch import Tensor

from rlgen.equations.absorbing_states import absorbing_return


def absorbed_entropy(model: OffPolicyAlgorithm, observations: Any) -> Tensor:
    """γ α H / (1 - γ), a scalar: the entropy bonus of an absorbing state, seen from the step that enters it; 0 for a
    learner without entropy bonus. α is the coefficient (SAC, Haarnoja et al. 2018, 1812.05905), H the policy's present
    entropy at `observations`, inputs [B, ...] of the policy, by one action each.

    A policy goes on acting in an absorbing state. Without this term an end would save what entropy costs outside, or
    lose what it is worth there. It is not the target entropy: a fixed coefficient has none, and a learned one starts
    far from it.
    """
    learner: Any = model
    if not hasattr(learner, "ent_coef"):
        return torch.zeros((), device=model.device)
    actor: Any = learner.policy.actor
    training = actor.training
    actor.train(False)  # statistics of batch norm do not change
    with torch.no_grad():
        entropy = -actor.action_log_prob(observations)[1].mean()
    actor.train(training)
    learned = getattr(learner, "log_ent_coef", None)
    coefficient = learner.ent_coef_tensor if learned is None else learned.detach().exp()
    return absorbing_return(coefficient.reshape(()) * entropy, model.gamma)
