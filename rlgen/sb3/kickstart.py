"""Kickstarting (Schmitt et al. 2018, 1803.03835): a cloned actor stays near its clone while its critics still learn."""

from collections.abc import Iterator
from contextlib import contextmanager
from copy import deepcopy
from typing import Any, cast

import torch
from stable_baselines3.common.base_class import BaseAlgorithm
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.policies import BasePolicy
from torch import Tensor

from rlgen.equations.kickstart import kickstart_loss
from rlgen.sb3.adaptive_rate import progress_remaining
from rlgen.sb3.cloned import action_distribution
from rlgen.sb3.relabel_replay import plain_replay_buffer


class Kickstart(BaseCallback):
    """Adds a penalty of the actor's distance from its clone to the loss of an off-policy model (SAC, TD3, DDPG, TQC,
    CrossQ), at random states of its replay buffer: `kickstart_loss` of the mean actions, in units of half their range.
    The weight falls linearly over the training, to `final` times itself. The clone follows the actor as the running
    average of its weights with this `average` per rollout; 1: not at all.

    Critics know the values of a clone's actions, and of few others. Where they are wrong, an actor that follows their
    gradient loses within some hundred gradient steps what it has cloned. A weight w lets it move by about 1 / (2w),
    whatever the scale of rewards, because the penalty is in proportion to the gradient that it opposes. A clone that
    follows makes of this a trust region: the actor goes as far as it can, but no faster than its critics learn.
    """

    model: OffPolicyAlgorithm

    def __init__(self, model: BaseAlgorithm, weight: float, final: float = 1.0, average: float = 1.0):
        super().__init__()
        self.weight, self.final, self.average = weight, final, average
        self.present, self.slope = weight, torch.zeros(())
        self.actor = cast(Any, model).actor
        self.clone: BasePolicy | None = None

    def remember(self) -> None:
        """Keeps the actor of now as the clone."""
        self.clone = deepcopy(self.actor).requires_grad_(False)

    @contextmanager
    def applied(self) -> Iterator[None]:
        """Within the block, gradient steps of the actor include the distance from the clone."""
        handle = self.actor.optimizer.register_step_pre_hook(lambda *_: self._add_gradient())
        try:
            yield
        finally:
            handle.remove()

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        """Before the gradient steps of this rollout."""
        if self.clone is None or not any(each.requires_grad for each in self.actor.parameters()):
            return  # while only critics learn, the actor is the clone
        self.present = self.weight * (self.final + (1 - self.final) * progress_remaining(self.model))
        if self.average < 1:
            self._follow(self.clone)
        self.slope = self._mean_slope()

    @torch.no_grad()
    def _follow(self, clone: BasePolicy) -> None:
        for behind, ahead in zip(clone.state_dict().values(), self.actor.state_dict().values(), strict=True):
            if behind.is_floating_point():
                behind.lerp_(ahead, 1 - self.average)

    def _mean_slope(self) -> Tensor:
        """Mean length of ∂Q/∂a of the critics at what the actor does in replayed states, a scalar."""
        observations = self._sample().observations
        with torch.no_grad():
            actions: Tensor = action_distribution(self.actor, observations).mode()
        actions.requires_grad_()
        values = cast(Any, self.model).critic(observations, actions)
        together = values if isinstance(values, Tensor) else torch.cat(values, -1)  # TQC's is one tensor
        (slopes,) = torch.autograd.grad(together.flatten(1).mean(1).sum(), [actions])
        return slopes.norm(dim=1).mean()

    def _sample(self) -> Any:
        return plain_replay_buffer(self.model).sample(self.model.batch_size, self.model.get_vec_normalize_env())

    def _add_gradient(self) -> None:
        learning = [each for each in self.actor.parameters() if each.requires_grad and each.grad is not None]
        if self.clone is None or not learning:
            return
        observations = self._sample().observations
        with torch.no_grad():
            cloned: Tensor = action_distribution(self.clone, observations).mode()
        was_training = self.actor.training
        self.actor.set_training_mode(False)  # as it acts: batch statistics (CrossQ) are those of the data so far
        acted = action_distribution(self.actor, observations).mode()
        self.actor.set_training_mode(was_training)
        loss = kickstart_loss(acted, cloned, self.slope, self.present)
        for parameter, gradient in zip(learning, torch.autograd.grad(loss, learning, allow_unused=True), strict=True):
            if gradient is not None:
                assert parameter.grad is not None
                parameter.grad += gradient

    def state_dict(self) -> dict[str, Any]:
        return {} if self.clone is None else {"clone": self.clone.state_dict()}

    def load_state_dict(self, state: dict[str, Any]) -> None:
        """The inverse of `state_dict`."""
        self.clone = None
        if "clone" in state:
            self.remember()
            assert self.clone is not None
            self.clone.load_state_dict(state["clone"])
