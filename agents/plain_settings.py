"""Settings from plain values, such as those of a YAML file, where sequences are lists."""

from collections.abc import Mapping
from dataclasses import fields
from types import NoneType, UnionType
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from rlgen.errors import problem


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
        return f"one of {', '.join(get_args(hint))}"
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
