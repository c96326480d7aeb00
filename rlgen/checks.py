"""Checks of a configuration's numbers and choices: each raises an `InputError` that names the field.

They are called in `__post_init__` with the configuration and the names of its fields. A field that is None was left out
and is not checked; NaN and infinity are never accepted.
"""

import math
from collections.abc import Callable, Iterable

from rlgen.errors import problem

LEFT_OUT = "leave it out for the default"


def positive(config: object, *names: str, remedy: str = LEFT_OUT) -> None:
    """Numbers above 0."""
    _require(config, names, lambda value: 0 < value < math.inf, "a positive {}", remedy)


def at_least(config: object, lowest: float, *names: str, remedy: str = LEFT_OUT) -> None:
    """Finite numbers from `lowest` on."""
    _require(config, names, lambda value: lowest <= value < math.inf, f"{{}} of at least {lowest}", remedy)


def share(config: object, *names: str, remedy: str = LEFT_OUT) -> None:
    """Numbers from 0 to 1, both included."""
    _require(config, names, lambda value: 0 <= value <= 1, "{} between 0 and 1", remedy)


def below_one(config: object, *names: str, remedy: str = LEFT_OUT) -> None:
    """Numbers from 0 to below 1: a dropout, the decay of an average."""
    _require(config, names, lambda value: 0 <= value < 1, "{} of at least 0 and below 1", remedy)


def up_to_one(config: object, *names: str, remedy: str = LEFT_OUT) -> None:
    """Numbers above 0 up to 1: a discount."""
    _require(config, names, lambda value: 0 < value <= 1, "{} above 0 and at most 1", remedy)


def widths(config: object, *names: str, remedy: str = LEFT_OUT) -> None:
    """Widths of layers, each 1 or more; there may be none."""
    _require(config, names, lambda value: all(width >= 1 for width in value), "{} layers of width 1 or more", remedy)


def one_of(config: object, name: str, choices: Iterable[str]) -> None:
    """One of the `choices`."""
    value, allowed = getattr(config, name), tuple(choices)
    if value not in allowed:
        raise problem(f"{name} one of {', '.join(allowed)}", repr(value), "choose one of these")


def _require(config: object, names: Iterable[str], holds: Callable, expected: str, remedy: str) -> None:
    for name in names:
        value = getattr(config, name)
        if value is not None and not holds(value):
            raise problem(expected.format(name), str(value), remedy)
