"""The start of an off-policy training from a cloned actor, whose critics are untrained."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import torch
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.off_policy_algorithm import OffPolicyAlgorithm
from stable_baselines3.common.utils import polyak_update
from torch import Tensor

from rlgen.sb3.cloned import set_squashed_std


class CriticsFirst(BaseCallback):
    """Keeps the cloned actor of an off-policy model as it is for the first `steps` environment steps after step
    `since`, while the critics learn the values of what it does: critics with random weights would undo the cloning. A
    learned entropy coefficient stays too, because an actor that cannot follow would let it grow without limit."""

    model: OffPolicyAlgorithm

    def __init__(self, steps: int, since: int = 0):
        super().__init__()
        self.steps, self.since = steps, since
        self.kept: list[tuple[Tensor, Tensor]] = []
        """What the gradient steps change although the actor does not learn, and its values before them: the entropy
        coefficient, and the actor's batch statistics (CrossQ)."""

    def _on_step(self) -> bool:
        return True

    def _on_rollout_end(self) -> None:
        """Before the gradient steps of this rollout."""
        actor: Any = getattr(self.model, "actor", None)
        if actor is None:
            return
        learns = self.model.num_timesteps > self.since + self.steps
        actor.requires_grad_(learns)
        coefficient = getattr(self.model, "log_ent_coef", None)
        changing = [] if learns else [*actor.buffers(), *([] if coefficient is None else [coefficient])]
        self.kept = [(present, present.detach().clone()) for present in changing]

    def _on_rollout_start(self) -> None:
        self._restore()

    def _on_training_end(self) -> None:
        self._restore()
        actor: Any = getattr(self.model, "actor", None)
        if actor is not None:
            actor.requires_grad_(True)

    @torch.no_grad()
    def _restore(self) -> None:
        """After the gradient steps of a rollout."""
        for present, before in self.kept:
            present.copy_(before)
        if self.kept and (optimizer := getattr(self.model, "ent_coef_optimizer", None)) is not None:
            optimizer.state.clear()
        self.kept = []


@contextmanager
def clone_acts(model: OffPolicyAlgorithm, since: int) -> Iterator[None]:
    """Within the block the model acts by its policy from step `since` on, and not at random for `learning_starts`
    steps: few bodies recover from such a start within an episode."""
    starts, model.learning_starts = model.learning_starts, since
    try:
        yield
    finally:
        model.learning_starts = starts


def prepare_cloned(model: OffPolicyAlgorithm) -> None:
    """Gives a cloned actor the noise that the model's temperature asks for, and its target (TD3) the same weights."""
    parts: Any = model
    actor, target = parts.actor, getattr(parts, "actor_target", None)
    if hasattr(model, "target_entropy"):
        set_squashed_std(actor, float(model.target_entropy))
    if target is not None:
        polyak_update(actor.parameters(), target.parameters(), 1.0)
