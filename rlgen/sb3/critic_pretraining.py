"""The first values of an off-policy model's critics, from demonstrations alone."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from stable_baselines3 import SAC, TD3
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.utils import polyak_update
from torch import Tensor

from rlgen.data.demonstrations import Demonstrations
from rlgen.data.transitions import Transitions
from rlgen.equations.coherent_reward import action_gradient_norm
from rlgen.sb3.expert_rows import stored_actions
from rlgen.sb3.policy_inputs import PolicyInputs


@dataclass(frozen=True, kw_only=True)
class CriticPretraining:
    """SARSA on demonstrations: each critic is regressed to r + γ Q(s', a') of the target critics, a' the next
    demonstrated action, or the actor's where the file does not have it. Watson et al. 2023 (CSIL, 2305.16498), section
    4.2."""

    updates: int
    """Gradient steps."""
    gradient_weight: float = 1.0
    """Weight of the norm of the critics' gradient for the action at demonstrated rows, which flattens them there."""
    batch_size: int = 256
    """Rows per gradient step."""
    learning_rate: float = 1e-3
    """Adam's learning rate."""

    def changes(self, model: BaseAlgorithm) -> bool:
        """Whether `run` does something for such a model."""
        return self.updates > 0 and isinstance(model, SAC | TD3)

    def run(
        self, model: BaseAlgorithm, demonstrations: Demonstrations, reward: Callable[[Transitions[Any]], Tensor]
    ) -> None:
        """Changes the critics of `model` and their targets; a model without such critics stays as it is. `reward` [B]
        includes all that follows where an episode terminated."""
        if not self.changes(model):
            return
        assert isinstance(model, SAC | TD3)
        rows = demonstrations.transitions(str(model.device))
        actions, known = stored_actions(rows.actions, model), has_next_row(demonstrations).to(model.device)
        inputs = PolicyInputs(model)
        optimizer = torch.optim.Adam(model.critic.parameters(), self.learning_rate)
        model.policy.set_training_mode(False)
        for _ in range(self.updates):
            places = torch.randint(len(rows), (min(self.batch_size, len(rows)),), device=model.device)
            batch = rows[places]
            with torch.no_grad():
                following = inputs(batch.next_observations)
                next_actions = model.actor(following)
                next_actions = torch.where(known[places, None], actions[(places + 1) % len(rows)], next_actions)
                values = torch.cat(model.critic_target(following, next_actions), 1).min(1).values
                target = reward(batch) + model.gamma * values * ~batch.terminated
            loss = self._loss(model, inputs(batch.observations), actions[places], target)
            optimizer.zero_grad(set_to_none=True)
            loss.backward()
            optimizer.step()
            polyak_update(model.critic.parameters(), model.critic_target.parameters(), model.tau)
        polyak_update(model.critic.parameters(), model.critic_target.parameters(), 1.0)

    def _loss(self, model: SAC | TD3, observations: Any, actions: Tensor, target: Tensor) -> Tensor:
        actions = actions.detach().requires_grad_()
        values = torch.cat(model.critic(observations, actions), 1)
        loss = (values - target[:, None]).square().mean(0).sum()
        if not self.gradient_weight:
            return loss
        for value in values.unbind(1):  # opposite slopes of two critics would cancel in their sum
            (gradient,) = torch.autograd.grad(value.sum(), actions, create_graph=True)
            loss = loss + self.gradient_weight * action_gradient_norm(gradient)
        return loss


def has_next_row(demonstrations: Demonstrations) -> Tensor:
    """Whether the next row of the file is the next step of the same episode, [R] bool."""
    same = np.append(demonstrations.episode[1:] == demonstrations.episode[:-1], False)
    return torch.from_numpy(same & (demonstrations.stride == 1))
