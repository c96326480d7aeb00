"""Construction of a task from keyword arguments of a user or a file, with checks of their types."""

from collections.abc import Mapping
from dataclasses import fields
from numbers import Integral, Real
from typing import Any, TypeVar

from rlgen.errors import problem

Kind = TypeVar("Kind")


def make_task(kind: type[Kind], kwargs: Mapping[str, Any]) -> Kind:
    """`kind(**kwargs)`. Raises `InputError` for the first argument that does not have the type of its default."""
    defaults = {field.name: field.default for field in fields(kind)}  # type: ignore[arg-type]
    for name, value in kwargs.items():
        if not _is_like(value, defaults[name]):
            expected = f"{name} of {kind.__name__} as {_kind_of(defaults[name])}"
            raise problem(expected, repr(value), f"its default is {defaults[name]!r}")
    return kind(**kwargs)


def _is_like(value: Any, default: Any) -> bool:
    if isinstance(default, bool):
        return isinstance(value, bool)
    if isinstance(default, int):
        return isinstance(value, Integral) and not isinstance(value, bool)
    if isinstance(default, float):
        return isinstance(value, Real) and not isinstance(value, bool)
    if isinstance(default, tuple):
        listed = isinstance(value, tuple | list) and len(value) == len(default)
        return listed and all(_is_like(*pair) for pair in zip(value, default, strict=True))
    return isinstance(value, type(default))


def _kind_of(default: Any) -> str:
    if isinstance(default, tuple):
        return f"a list of {len(default)}"
    names = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}
    return names.get(type(default), type(default).__name__)
