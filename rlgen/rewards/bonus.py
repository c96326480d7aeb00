"""The bases of curiosities: when a bonus is measured, and in which unit."""

from abc import ABC, abstractmethod
from typing import ClassVar

from jaxtyping import Bool
from torch import Tensor

from rlgen.data.transitions import Transitions
from rlgen.errors import problem
from rlgen.rewards.bonus_unit import BonusUnit


class Bonus(ABC):
    """Rewards the novelty of transitions, normalized by `unit`.

    `update` of a subclass calls `keep` with the novelty of its batch: `reward` of that same batch is the bonus from
    then, whatever is learned afterwards, and of any other batch the current one. Its `load_state_dict` calls `forget`.
    """

    unit: BonusUnit
    _known: tuple[Transitions, Tensor] | None = None

    @abstractmethod
    def novelty(self, batch: Transitions) -> Tensor:
        """Novelty of each transition by what is learned so far, [B], not normalized and without gradient."""

    def keep(self, batch: Transitions, novelty: Tensor) -> Tensor:
        """Adds the novelty [B] of `batch` to the statistics of the unit, and returns its bonus [B]."""
        self.unit.merge(novelty)
        self._known = (batch, self.unit(novelty))
        return self._known[1]

    def reward(self, batch: Transitions) -> Tensor:
        if self._known is not None and self._known[0] is batch:
            return self._known[1]
        return self.unit(self.novelty(batch))

    def forget(self) -> None:
        """Ends the recognition of the batch of the last update."""
        self._known = None


class RolloutBonus(Bonus):
    """A bonus within episodes: it is known of the rollout of the last `update` alone, as of on-policy models."""

    needs_rollouts: ClassVar[bool] = True
    n_envs: int

    def novelty(self, batch: Transitions) -> Tensor:
        """Raises `InputError`."""
        expected, got = "the rollout that it was updated with, as of an on-policy model", f"others, {len(batch)}"
        raise problem(expected, got, "use PPO or TRPO, or another curiosity")

    def episode_ends(self, batch: Transitions) -> Bool[Tensor, "T N"]:
        """Whether each step of a rollout ends its episode. Raises `InputError` for a batch that is no rollout."""
        if len(batch) % self.n_envs:
            got = f"a batch of {len(batch)} for {self.n_envs} environments"
            raise problem("whole rollouts, as of an on-policy model", got, "use another curiosity with this model")
        return (batch.terminated | batch.truncated).unflatten(0, (-1, self.n_envs))
