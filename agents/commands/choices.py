"""Options that are read before the others, and options that depend on them: only those of the chosen learner, curiosity
or image model are offered."""

from collections.abc import Mapping, Sequence
from dataclasses import Field, field, fields, make_dataclass
from functools import cache
from typing import Any, Literal, TypeVar, get_type_hints


def taken(arguments: Sequence[str], option: str) -> tuple[str | None, list[str]]:
    """The last value of `option`, typed as `--option VALUE` or `--option=VALUE` (None without one), and the arguments
    without it."""
    value, rest, waiting = None, [], False
    for argument in arguments:
        name, equals, after = argument.partition("=")
        if waiting:
            value, waiting = argument, False
        elif name.replace("_", "-") != option:
            rest.append(argument)
        elif equals:
            value = after
        else:
            waiting = True
    return value, [*rest, option] if waiting else rest


def typed(arguments: Sequence[str], option: str) -> str | None:
    """The last typed value of `option`; None without one."""
    return taken(arguments, option)[0]


def all_typed(arguments: Sequence[str], option: str) -> list[str]:
    """All typed values of `option`, which takes several."""
    values, taking = [], False
    for argument in arguments:
        if argument.startswith("--"):
            name, equals, after = argument.partition("=")
            taking = name.replace("_", "-") == option
            values += [after] if taking and equals else []
        elif taking:
            values.append(argument)
    return values


Settings = TypeVar("Settings", bound=type)


def with_fields(kind: Settings, own: Sequence[tuple[str, Any, Field[Any]]], *more: type[Any]) -> Settings:
    """A subclass of the settings `kind` with the fields `own` (name, type, field) added or replaced, and with those of
    `more` dataclasses."""
    namespace = {"__doc__": kind.__doc__, "__module__": kind.__module__}
    return make_dataclass(  # type: ignore[return-value]
        kind.__name__, own, bases=(kind, *more), namespace=namespace, frozen=True, kw_only=True
    )


@cache
def with_learner(kind: Settings, default: Any, algorithms: tuple[str, ...]) -> Settings:
    """A subclass of the settings `kind` whose learner defaults to `default` and whose algorithm is one of
    `algorithms`."""
    hints = {**get_type_hints(type(default)), "algorithm": Literal[algorithms]}
    own = [
        (each.name, hints[each.name], field(default=getattr(default, each.name), metadata=each.metadata))
        for each in fields(default)
    ]
    learner = with_fields(type(default), own)
    return with_fields(kind, [("learner", learner, field(default=learner()))])


def needs(choice: str, names: Sequence[str], options: Sequence[str]) -> Mapping[str, str]:
    """For each of `options`, the choice that reads it, e.g. "--learner.algorithm ppo or trpo"."""
    return dict.fromkeys(options, f"{choice} {' or '.join(names)}")
