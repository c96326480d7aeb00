"""Conversion of configurations (frozen dataclasses of numbers, texts, paths, tuples and dataclasses) to JSON values and
back, strict JSON in atomically written files, and config.json of earlier versions."""

import dataclasses
import difflib
import json
import math
import os
import types
from collections.abc import Mapping
from pathlib import Path
from typing import Any, Literal, TypeVar, Union, get_args, get_origin, get_type_hints

from rlgen.checks import fits
from rlgen.deprecation import UNLESS_DEFAULT, UNLESS_NONE, present_fields
from rlgen.errors import problem, reason
from rlgen.system.files import atomic_write

Config = TypeVar("Config")
NonFinite = Literal["keep", "null", "refuse"]
REMEDY = "take the file that rlgen wrote, or the version of rlgen that wrote it"


def to_json(value: Any, non_finite: NonFinite = "keep", place: str = "") -> Any:
    """`value` in JSON's types: dataclasses as dictionaries, paths as text, tuples, sets and arrays as lists.

    `non_finite`: whether NaN and infinities, which strict JSON does not have, stay, become None, or raise an
    `InputError` that names the field. `place`: the field of `value`, for that message.
    """
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        names = [field.name for field in dataclasses.fields(value) if not _is_left_out(field, value)]
        value = {name: getattr(value, name) for name in names}
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
    got = f"a {type(value).__name__}{f' for {place}' if place else ''}"
    raise problem("text, numbers, lists and dicts", got, "convert it to one of these first")


def _is_left_out(field: dataclasses.Field[Any], owner: Any) -> bool:
    value = getattr(owner, field.name)
    if "earlier" in field.metadata:
        return bool(value == field.metadata["earlier"])
    if field.metadata == UNLESS_DEFAULT:
        return bool(value == field.default)
    return field.metadata == UNLESS_NONE and value is None


def from_json(kind: type[Config], values: Mapping[str, Any], remedy: str = REMEDY) -> Config:
    """The dataclass `kind` from JSON values that `to_json` made; its checks run again. `remedy`: of the errors.

    Raises `InputError` for an unknown field, because the file is then from another version, for a missing one, and for
    a value of another type.
    """
    values = present_fields(kind, values, to_json)
    found = _earlier(kind, values) | fields_from_json(kind, values, remedy)
    missing = [name for name in required_fields(kind) if name not in found]
    if missing:
        raise problem(f"{', '.join(missing)} among the settings of {kind.__name__}", "none", remedy)
    return kind(**found)


def _earlier(kind: type, values: Mapping[str, Any]) -> dict[str, Any]:
    """Values of fields that are not recorded while they are as in earlier versions (`unless_earlier`), if `values` are
    a complete record and not a part that someone wrote."""
    fields = dataclasses.fields(kind)
    if any(each.name not in values for each in fields if not each.metadata):
        return {}
    return {each.name: each.metadata["earlier"] for each in fields if "earlier" in each.metadata}


def fields_from_json(kind: type, values: Mapping[str, Any], remedy: str = REMEDY) -> dict[str, Any]:
    """The given `values` as fields of the dataclass `kind`, old names (`rlgen.deprecation`) included; fields may be
    missing. Raises `InputError` like `from_json`."""
    values, hints = present_fields(kind, values, to_json), get_type_hints(kind)
    unknown = sorted(set(values) - {each.name for each in dataclasses.fields(kind)})
    if unknown:
        near = difflib.get_close_matches(unknown[0], list(hints), n=1)
        meant = f"did you mean {near[0]!r}? Otherwise " if near else ""
        raise problem(
            f"the settings of this version's {kind.__name__}",
            f"unknown {', '.join(map(repr, unknown))}",
            f"{meant}{remedy}",
        )
    return {name: restored(hints[name], value, name, remedy) for name, value in values.items()}


def required_fields(kind: type) -> list[str]:
    """Names of the fields of a dataclass that have no default."""
    missing = dataclasses.MISSING
    return [
        each.name for each in dataclasses.fields(kind) if each.default is missing and each.default_factory is missing
    ]


def restored(hint: Any, value: Any, place: str, remedy: str = REMEDY) -> Any:
    """A JSON value as the type `hint` of the field `place`. Raises `InputError` for a value of another type."""
    if hint is Any:
        return value
    if get_origin(hint) in (Union, types.UnionType):
        if value is None and type(None) in get_args(hint):
            return None
        choices = [choice for choice in get_args(hint) if choice is not type(None)]
        fitting = choices if len(choices) == 1 else [choice for choice in choices if fits(value, choice)]
        hint = next(iter(fitting), hint)
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return from_json(hint, value, remedy)  # type: ignore[arg-type]
    if hint is Path and isinstance(value, str):
        return Path(value)
    if get_origin(hint) in (tuple, list) and isinstance(value, list):
        inner, *_ = get_args(hint)
        items = [restored(inner, item, f"{place}[{index}]", remedy) for index, item in enumerate(value)]
        return tuple(items) if get_origin(hint) is tuple else items
    if get_origin(hint) is dict and isinstance(value, dict):
        return {key: restored(get_args(hint)[1], item, f"{place}.{key}", remedy) for key, item in value.items()}
    if get_origin(hint) is Literal and value in get_args(hint):
        return value
    number = {int: int, float: int | float}.get(hint)
    if (number and isinstance(value, number) and not isinstance(value, bool)) or (
        hint in (str, bool) and isinstance(value, hint)
    ):
        return value
    if not (number or hint in (str, bool, Path) or get_origin(hint) or dataclasses.is_dataclass(hint)):
        return value
    shown = getattr(hint, "__name__", str(hint)) if get_origin(hint) is None else str(hint).replace("typing.", "")
    raise problem(f"{place} of the type {shown}", repr(value)[:80], remedy)


AGENTS = {"ppo": "rl", "vime": "explore"}
"""Earlier agent → current agent."""


def present_config(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings `config` with the current names of agent and learner; current settings are unchanged.

    Earlier versions had `algo` next to `learner`, SAC's settings in `sac`, and the agent `ppo` for PPO alone.
    """
    agent, algorithm = config.get("agent"), config.get("algo", "ppo" if config.get("agent") == "ppo" else None)
    found = {name: value for name, value in config.items() if name != "algo"}
    if isinstance(agent, str):
        found["agent"] = AGENTS.get(agent, agent)
    if algorithm == "sac":
        found["learner"] = found.pop("sac", {})
    learner = found.get("learner", {})
    if algorithm is not None and isinstance(learner, dict):
        found["learner"] = {**learner, "algorithm": algorithm}
    return found


Entries = TypeVar("Entries")


def json_text(value: Any, non_finite: NonFinite = "null") -> str:
    """`to_json` of `value` as strict JSON, which has no NaN and infinities."""
    assert non_finite != "keep"
    return json.dumps(to_json(value, non_finite), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def write_json(path: str | os.PathLike[str], value: Any) -> None:
    """`json_text` written atomically; NaN and infinities become null."""
    atomic_write(path, json_text(value))


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file. Raises `InputError` if it is missing or malformed."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise problem(f"a JSON file at {path}", reason(error), "check that the run folder is complete") from error


def read_object(path: str | os.PathLike[str]) -> dict[str, Any]:
    """Read a JSON file that holds an object. Raises `InputError` if it is missing, malformed or holds anything else."""
    found = read_json(path)
    if not isinstance(found, dict):
        remedy = "take the file that rlgen wrote"
        raise problem(f"a JSON object in {path}", f"a {type(found).__name__}", remedy)
    return found


def entries_of(kind: type[Entries], entries: Mapping[str, Any], path: str | os.PathLike[str], remedy: str) -> Entries:
    """The dataclass `kind` from the `entries` of a JSON file at `path`.

    Unknown entries are ignored; entries with a default may be missing. The null of a number is read as NaN, which
    `write_json` wrote as null. Raises `InputError`, with `remedy`, for other missing entries, and for values of other
    types.
    """
    missing = [name for name in required_fields(kind) if name not in entries]
    if missing:
        raise problem(f"a result with {', '.join(missing)}", str(path), remedy)
    hints = get_type_hints(kind)
    found = {name: value for name, value in entries.items() if name in hints}
    found |= {name: math.nan for name, value in found.items() if value is None and hints[name] is float}
    return kind(**{name: restored(hints[name], value, f"{name} in {path}") for name, value in found.items()})
