"""Strict JSON in atomically written files."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any, TypeVar, get_type_hints

from rlgen.errors import problem
from rlgen.runs.config import NonFinite, required_fields, restored, to_json
from rlgen.system.files import atomic_write

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
        raise problem(f"a JSON file at {path}", str(error), "check that the run folder is complete") from error


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
