"""The values among which `rlgen tune` chooses an option's."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from rlgen.bench.protocol import Options
from rlgen.errors import problem


@dataclass(frozen=True, kw_only=True)
class Space:
    """Values that an option may take: a range, or choices. A range between two whole numbers has whole numbers only."""

    low: float | None = None
    """Lowest value of a range."""
    high: float | None = None
    """Highest value of a range."""
    log: bool = False
    """Whether values are drawn on a logarithmic scale."""
    step: float | None = None
    """Distance between neighboring values; by default 1 for whole numbers, and none for others."""
    choices: tuple[Any, ...] = ()
    """Choices: texts, numbers, booleans, or lists of them."""

    def __post_init__(self) -> None:
        remedy = "give { low = 1e-5, high = 1e-3, log = true } or { choices = [..] }"
        if self.choices:
            if (self.low, self.high, self.step, self.log) != (None, None, None, False):
                raise problem("a range or choices", "both", remedy)
            if len(self.choices) < 2 or not all(_is_plain(choice) for choice in self.choices):
                raise problem("two or more choices that are texts, numbers or lists", str(self.choices), remedy)
        elif self.low is None or self.high is None or not self.low < self.high:
            raise problem("a range with low < high", f"low {self.low}, high {self.high}", remedy)
        elif self.log and (self.low <= 0 or self.step is not None):
            got = f"low {self.low}" if self.low <= 0 else f"step {self.step}"
            raise problem("a logarithmic range above 0 and without step", got, remedy)
        elif self.step is not None and not _divides(self.step, self.high - self.low):
            raise problem("a step that divides high − low", f"{self.step} and {self.high - self.low}", "correct them")

    @property
    def whole(self) -> bool:
        """Whether all values are whole numbers."""
        ends = [each for each in (self.low, self.high, self.step) if each is not None]
        return bool(ends) and all(isinstance(end, int) for end in ends)

    def suggest(self, trial: Any, name: str) -> Any:
        """The value that Optuna's `trial` has for the option, or gets now."""
        if self.choices:
            return self.restored(trial.suggest_categorical(name, [self.stored(each) for each in self.choices]))
        if self.whole:
            return trial.suggest_int(name, self.low, self.high, step=self.step or 1, log=self.log)
        return trial.suggest_float(name, self.low, self.high, step=self.step, log=self.log)

    def stored(self, value: Any) -> Any:
        """`value` as Optuna stores it; choices as JSON, since it knows no lists."""
        return json.dumps(value) if self.choices else value

    def restored(self, stored: Any) -> Any:
        """The value of what Optuna stores."""
        return json.loads(stored) if self.choices else stored

    def has(self, value: Any) -> bool:
        """Whether `value` is in the space."""
        if self.choices:
            return json.dumps(value) in [json.dumps(choice) for choice in self.choices]
        if isinstance(value, bool) or not isinstance(value, int | float):
            return False
        assert self.low is not None
        assert self.high is not None
        step = self.step or (1 if self.whole and not self.log else None)
        on_grid = step is None or value == self.low or _divides(step, value - self.low)
        return self.low <= value <= self.high and on_grid and (not self.whole or value == int(value))

    @property
    def samples(self) -> Sequence[Any]:
        """All choices, or both ends of the range."""
        return self.choices or (self.low, self.high)


def defaults_in(space: Mapping[str, Space], config: Mapping[str, Any]) -> Options | None:
    """The values of the options in `config`; None unless the space contains them all."""
    found: Options = {}
    for name in space:
        value: Any = config
        for part in name.replace("-", "_").split("."):
            value = value.get(part) if isinstance(value, dict) else None
        found[name] = value
    return found if all(each.has(found[name]) for name, each in space.items()) else None


def _is_plain(value: Any) -> bool:
    if isinstance(value, list):
        return all(_is_plain(each) for each in value)
    return isinstance(value, str | int | float)


def _divides(step: float, width: float) -> bool:
    return step > 0 and abs(width / step - round(width / step)) < 1e-9 * max(1, abs(width / step))
