"""The base of curiosities: when a bonus is measured, and in which unit."""

from abc import ABC, abstractmethod

from torch import Tensor

from rlgen.data.transitions import Transitions
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
