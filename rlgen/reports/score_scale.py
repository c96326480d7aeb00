"""The scale of normalized scores (returns with scores 0 and 1) of several results of one environment."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np

from rlgen.runs.result import Returns
from rlgen.runs.scores import RETURN_OF, Reference, normalised_return, share_of_failures
from rlgen.system.console import number

ENDED_NOTE = "Ended by the task: before the time limit, by success or failure."
ALIKE = 0.01
"""Fraction of the scale's length by which two measurements of one reference may differ, e.g. on two machines."""


@dataclass(frozen=True)
class ScoreScale:
    """Returns of random actions and of the reference: lowest and highest of those in the results."""

    random: tuple[float, float] | None
    expert: tuple[float, float] | None
    references: tuple[Reference, ...]

    @classmethod
    def of(cls, results: Sequence[Returns]) -> Self:
        """The scale of `results`, all of one environment."""
        scored = [result for result in results if result.expert_return is not None]
        return cls(
            _range([result.random_return for result in results]),
            _range([result.expert_return for result in scored]),
            tuple(dict.fromkeys(result.reference for result in scored)),
        )

    @property
    def shared(self) -> bool:
        """Whether scores can be compared and averaged, because all results have the same references, if any."""
        if self.random is None or self.expert is None:
            return False
        length = abs(self.expert[1] - self.random[0])
        widest = max(self.random[1] - self.random[0], self.expert[1] - self.expert[0])
        return len(self.references) == 1 and widest <= ALIKE * length

    @property
    def name(self) -> str:
        """Name of the reference: demonstrations or expert."""
        return " or ".join(self.references)

    def lines(self) -> dict[str, float]:
        """The references that all results share, by name."""
        known = {self.name: self.expert, "random": self.random}
        return {name: _middle(ends) for name, ends in known.items() if ends and (self.shared or ends[0] == ends[1])}

    def score(self, result: Returns) -> float | None:
        """The normalized return; for a result without its own reference, by the shared scale of the others."""
        if result.normalised_return is not None or not self.shared:
            return result.normalised_return
        assert self.random is not None
        assert self.expert is not None
        return normalised_return(result.return_mean, _middle(self.random), _middle(self.expert))

    def failures(self, result: Returns) -> float | None:
        """The fraction of failed episodes; without an own reference, by the shared scale of the others."""
        if result.share_of_failures is not None or not self.shared or result.per_episode_returns is None:
            return result.share_of_failures
        assert self.expert is not None
        returns = np.array(result.per_episode_returns, dtype=np.float64)  # None (NaN in memory) reads as NaN
        return share_of_failures(returns, _middle(self.expert))


def scores_note(results: Sequence[Returns]) -> str:
    """The explanation of the columns "normalized" and "failed" of a table of `results`, if it has them, with a
    space."""
    scale = ScoreScale.of(results)
    if scale.expert is None:
        return ""
    name = scale.name
    note = f"Normalized: (return − random) / ({name} − random), 0 random and 1 {name}"
    if scale.references == ("demonstrations",):
        note += ", which began from other states than these episodes"
    note += ". "
    if scale.random is None:
        note = "Not normalized: no return of random actions is known. "
    elif len(results) > 1 and not scale.shared:
        note += "The runs were scored against different references, so their scores are not averaged. "
    if all(scale.failures(result) is None for result in results):
        return f"{note}No episode is called failed: half of a return that is not above 0 is no lower bar. "
    whose = RETURN_OF[scale.references[0]] if len(scale.references) == 1 else "the reference's return"
    return f"{note}Failed: episodes below half of {whose}. "


def written(reference: tuple[float, float]) -> str:
    """One number if all agree, else lowest to highest."""
    low, high = reference
    return number(_middle(reference)) if number(low) == number(high) else f"{number(low)} to {number(high)}"


def _middle(reference: tuple[float, float]) -> float:
    return sum(reference) / 2


def _range(values: Sequence[float | None]) -> tuple[float, float] | None:
    known = [value for value in values if value is not None]
    return (min(known), max(known)) if known else None
