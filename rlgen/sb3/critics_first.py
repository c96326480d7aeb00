"""The start of an off-policy training from a cloned actor, whose critics are untrained."""

from typing import Any

from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.utils import polyak_update

from rlgen.sb3.cloned import set_squashed_std


class CriticsFirst(BaseCallback):
    """Keeps the actor of an off-policy model as it is for the first `steps` environment steps in which it learns, while
    the critics learn the values of what it does: critics with random weights would undo the cloning. `since`: steps of
    the model before."""

    model: OffPolicyAlgorithm

    def __init__(self, steps: int, since: int = 0):
        super().__init__()
        self.steps, self.since = steps, since

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        """Before the gradient steps of this rollout."""
        actor: Any = getattr(self.model, "actor", None)
        if actor is not None:
            begins = max(self.since, self.model.learning_starts)
            actor.requires_grad_(self.model.num_timesteps > begins + self.steps)

    def _on_training_end(self) -> None:
        actor: Any = getattr(self.model, "actor", None)
        if actor is not None:
            actor.requires_grad_(True)


def prepare_cloned(model: OffPolicyAlgorithm) -> None:
    """Gives a cloned actor the noise that the model's temperature asks for, and its target (TD3) the same weights."""
    parts: Any = model
    actor, target = parts.actor, getattr(parts, "actor_target", None)
    if hasattr(model, "target_entropy"):
        set_squashed_std(actor, float(model.target_entropy))
    if target is not None:
        polyak_update(actor.parameters(), target.parameters(), 1.0)
