"""Configurations to JSON values and back: frozen dataclasses of numbers, texts, paths, tuples and dataclasses."""

import dataclasses
import math
import os
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from rlgen.errors import problem

Config = TypeVar("Config")
NonFinite = Literal["keep", "null", "refuse"]


def to_json(value: Any, non_finite: NonFinite = "keep", place: str = "") -> Any:
    """`value` from JSON's own types: dataclasses as dictionaries, paths as text, tuples, sets and arrays as lists.

    `non_finite`: NaN and infinities, which strict JSON has not, stay, become None, or raise an `InputError` that names
    the field. `place`: where `value` stands, for that message.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        value = {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        within = f"{place}." if place else ""
        return {str(key): to_json(item, non_finite, f"{within}{key}") for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [to_json(item, non_finite, f"{place}[{index}]") for index, item in enumerate(value)]
    if isinstance(value, set | frozenset):
        return to_json(sorted(value), non_finite, place)
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # NumPy scalars and arrays, torch tensors, without importing either
        return to_json(value.tolist(), non_finite, place)
    if isinstance(value, float) and not math.isfinite(value) and non_finite != "keep":
        if non_finite == "refuse":
            raise problem(f"a finite number or none for {place or 'a setting'}", str(value), "leave it out or use None")
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    came = f"a {type(value).__name__}{f' for {place}' if place else ''}"
    raise problem("text, numbers, lists and dicts", came, "turn it into one of these first")


def from_json(kind: type[Config], values: Mapping[str, Any]) -> Config:
    """The dataclass `kind` of the JSON values `to_json` gave; its own checks run again.

    Raises `InputError` for a field that `kind` does not have: the file comes from another version.
    """
    hints = get_type_hints(kind)
    unknown = sorted(set(values) - set(hints))
    if unknown:
        raise problem(
            f"the settings of this version's {kind.__name__}",
            f"unknown {', '.join(unknown)}",
            "use the version of rlgen that wrote the run (versions.json)",
        )
    return kind(**{name: _restore(hints[name], value) for name, value in values.items()})


def _restore(hint: Any, value: Any) -> Any:
    if value is None:
        return None
    if get_origin(hint) in (Union, types.UnionType):
        (hint,) = (choice for choice in get_args(hint) if choice is not type(None))
    if dataclasses.is_dataclass(hint):
        return from_json(hint, value)  # type: ignore[arg-type]
    if hint is Path:
        return Path(value)
    return tuple(value) if get_origin(hint) is tuple else value
