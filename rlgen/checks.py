"""Checks of a configuration: of its numbers and choices, and of the plain values, such as those of a YAML file, from
which it is made.

The former are called in `__post_init__` with the configuration and the names of its fields: each raises an
`InputError` that names the field. A field that is None was left out and is not checked; NaN and infinity are never
accepted.
"""

import math
from collections.abc import Callable, Iterable, Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

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


def config_of(config_type: type[Any], settings: Mapping[str, Any]) -> Any:
    """The config with these settings, and defaults for the others. Raises `InputError` for unknown names and for values
    of another type."""
    if not isinstance(settings, Mapping):
        raise problem("settings by their names for config", repr(settings), "write e.g. config: {hidden: [32]}")
    hints = get_type_hints(config_type)
    names = [field.name for field in fields(config_type)]
    values = {}
    for name, value in settings.items():
        if name not in names:
            raise problem(f"settings of {config_type.__name__}: {', '.join(names)}", repr(name), "correct the name")
        require(name, value, hints[name])
        values[name] = tuple(value) if isinstance(value, list) else value
    return config_type(**values)


def require(name: str, value: Any, hint: Any) -> None:
    """Raises `InputError` if a field of this type does not accept the value, such as text for a number."""
    if fits(value, hint):
        return
    wanted = " or ".join(WANTED.get(each) or words(each) for each in choices(hint))
    if isinstance(value, str) and float in choices(hint):
        raise problem(f"{wanted} for {name}", f"{value!r}", "write 0.001 or 1.0e-3: YAML reads 1e-3 as text")
    raise problem(f"{wanted} for {name}", f"{value!r}", "correct it, or leave it out for the default")


WANTED = {bool: "true or false", int: "a whole number", float: "a number", NoneType: "none"}


def words(hint: Any) -> str:
    if get_origin(hint) is Literal:
        names = ", ".join(get_args(hint))
        return names if len(get_args(hint)) == 1 else f"one of {names}"
    return "a list of whole numbers" if get_args(hint)[0] is int else "a list"


def choices(hint: Any) -> tuple[Any, ...]:
    return get_args(hint) if get_origin(hint) in (Union, UnionType) else (hint,)


def fits(value: Any, hint: Any) -> bool:
    """Whether a plain value is one of type `hint`; lists stand for tuples, and integers count as numbers."""
    if len(choices(hint)) > 1:
        return any(fits(value, each) for each in choices(hint))
    if get_origin(hint) is Literal:
        return isinstance(value, str) and value in get_args(hint)
    if get_origin(hint) is tuple:
        return isinstance(value, list | tuple) and all(fits(each, get_args(hint)[0]) for each in value)
    if isinstance(value, bool):
        return hint is bool
    return isinstance(value, int | float if hint is float else hint)
