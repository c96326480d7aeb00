"""Configurations to JSON values and back: frozen dataclasses of numbers, texts, paths, tuples and dataclasses."""

import dataclasses
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

from rlgen.errors import problem

Config = TypeVar("Config")


def to_json(config: Any) -> Any:
    """JSON values of a dataclass: nested dictionaries, lists for tuples, text for paths."""
    if dataclasses.is_dataclass(config) and not isinstance(config, type):
        return {field.name: to_json(getattr(config, field.name)) for field in dataclasses.fields(config)}
    if isinstance(config, Path):
        return str(config)
    return [to_json(item) for item in config] if isinstance(config, tuple | list) else config


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
