"""The start of an off-policy training from a cloned actor, whose critics are untrained."""

from typing import Any, cast

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.utils import polyak_update
from torch import Tensor

from rlgen.sb3.cloned import set_squashed_std


class CriticsFirst(BaseCallback):
    """Keeps the actor of an off-policy model as it is for the first `steps` environment steps in which it learns, while
    the critics learn the values of what it does: critics with random weights would undo the cloning. `since`: steps of
    the model before."""

    model: OffPolicyAlgorithm

    def __init__(self, steps: int, since: int = 0):
        super().__init__()
        self.steps, self.since = steps, since
        self.buffers: list[Tensor] = []
        """Those of the actor before the gradient steps: batch normalization (CrossQ) changes them without learning."""

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        """Before the gradient steps of this rollout."""
        actor: Any = getattr(self.model, "actor", None)
        if actor is not None:
            learns = self.model.num_timesteps > max(self.since, self.model.learning_starts) + self.steps
            actor.requires_grad_(learns)
            self.buffers = [] if learns else [each.clone() for each in actor.buffers()]

    def _on_rollout_start(self) -> None:
        self._restore()

    def _on_training_end(self) -> None:
        self._restore()
        actor: Any = getattr(self.model, "actor", None)
        if actor is not None:
            actor.requires_grad_(True)

    def _restore(self) -> None:
        """After the gradient steps of a rollout."""
        if self.buffers:
            for present, kept in zip(cast(Any, self.model).actor.buffers(), self.buffers, strict=True):
                present.copy_(kept)
        self.buffers = []


def prepare_cloned(model: OffPolicyAlgorithm) -> None:
    """Gives a cloned actor the noise that the model's temperature asks for, and its target (TD3) the same weights."""
    parts: Any = model
    actor, target = parts.actor, getattr(parts, "actor_target", None)
    if hasattr(model, "target_entropy"):
        set_squashed_std(actor, float(model.target_entropy))
    if target is not None:
        polyak_update(actor.parameters(), target.parameters(), 1.0)
