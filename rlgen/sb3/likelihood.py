"""Likelihoods of actions under the policy of an on-policy model."""

from typing import Any

import torch
from gymnasium import spaces
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.on_policy_algorithm import OnPolicyAlgorithm
from torch import Tensor

from rlgen.nn.normalizer import ActionScale
from rlgen.rewards.airl_discriminator import AIRLDiscriminator
from rlgen.sb3.cloned import action_distribution
from rlgen.sb3.device_rollout import DeviceRollout
from rlgen.sb3.policy_inputs import PolicyInputs


class PolicyLikelihood:
    """Log-probabilities [B], in nats, of actions [B, A] in environment scale for raw observations [B, O].

    Where the policy squashes its actions, they are those of the squashed ones, in units of half the action range, as
    the rollout stores them.
    """

    def __init__(self, model: OnPolicyAlgorithm):
        self.model, self.inputs = model, PolicyInputs(model)
        self.scale: ActionScale | None = None
        if isinstance(model.action_space, spaces.Box) and model.policy.squash_output:
            low, high = (model.action_space.low.ravel(), model.action_space.high.ravel())
            self.scale = ActionScale.of(*(torch.as_tensor(bound, device=model.device) for bound in (low, high)))

    @torch.no_grad()
    def __call__(self, observations: Tensor, actions: Tensor) -> Tensor:
        policy: Any = self.model.policy
        policy.set_training_mode(False)
        if self.scale is not None:
            actions = self.scale(actions)
        if isinstance(self.model.action_space, spaces.Discrete):
            actions = actions.squeeze(-1)
        return action_distribution(policy, self.inputs(observations)).log_prob(actions)


def rollout_log_probs(model: OnPolicyAlgorithm) -> Tensor:
    """[T * N], time-major, on the model's device: log-probabilities of the rollout's actions as the policy drew them,
    before they were clipped to the action space."""
    of_device = getattr(model, "rollout", None)
    found = of_device.log_probs if isinstance(of_device, DeviceRollout) else model.rollout_buffer.log_probs
    return torch.as_tensor(found, device=model.device).flatten().float()


class PassLikelihoods(BaseCallback):
    """Gives a source the likelihoods of every rollout, before it learns from it; comes before its `Relabel`."""

    model: OnPolicyAlgorithm

    def __init__(self, source: AIRLDiscriminator):
        super().__init__()
        self.source = source

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        self.source.policy_log_prob = rollout_log_probs(self.model)
