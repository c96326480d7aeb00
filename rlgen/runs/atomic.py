"""Files that are either whole or absent, whatever kills the process, and JSON that every reader accepts."""

import dataclasses
import json
import math
import os
import secrets
from pathlib import Path
from typing import Any

from rlgen.errors import problem

PARTIAL = ".partial"


def atomic_write(path: str | os.PathLike[str], data: bytes | str) -> None:
    """Write `data` to `path` (text as UTF-8): readers see the old file or the new one, never a part.

    The bytes reach the disk before the name does, so this holds for a power cut too. The folder must exist.
    """
    target = Path(path)
    partial = target.with_name(f".{target.name}.{secrets.token_hex(4)}{PARTIAL}")
    try:
        with partial.open("wb") as file:
            file.write(data.encode() if isinstance(data, str) else data)
            file.flush()
            os.fsync(file.fileno())
        partial.replace(target)
    finally:
        partial.unlink(missing_ok=True)
    sync_folder(target.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in `folder` durable (POSIX; elsewhere a folder cannot be opened, and rename has to do)."""
    if os.name != "posix":
        return
    handle = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)


def json_text(value: Any, non_finite: str = "null") -> str:
    """`value` as strict JSON. NaN and infinities have no JSON: they become null, or an error with `"refuse"`.

    Dataclasses become objects, paths text, tuples and sets lists, arrays and tensors lists or numbers.
    """
    return json.dumps(_plain(value, non_finite), indent=2, allow_nan=False, ensure_ascii=False) + "\n"


def write_json(path: str | os.PathLike[str], value: Any, non_finite: str = "null") -> None:
    """`json_text` written atomically."""
    atomic_write(path, json_text(value, non_finite))


def read_json(path: str | os.PathLike[str]) -> Any:
    """Read a JSON file; raises `InputError` when it is missing or broken."""
    try:
        return json.loads(Path(path).read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise problem(f"a JSON file at {path}", str(error), "check that the run folder is complete") from error


def _plain(value: Any, non_finite: str) -> Any:
    """`value` from JSON's own types only."""
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: _plain(getattr(value, field.name), non_finite) for field in dataclasses.fields(value)}
    if isinstance(value, dict):
        return {str(key): _plain(item, non_finite) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_plain(item, non_finite) for item in value]
    if isinstance(value, set | frozenset):
        return [_plain(item, non_finite) for item in sorted(value)]
    if isinstance(value, os.PathLike):
        return os.fspath(value)
    if hasattr(value, "tolist"):  # NumPy scalars and arrays, torch tensors, without importing either
        return _plain(value.tolist(), non_finite)
    if isinstance(value, float) and not math.isfinite(value):
        if non_finite == "refuse":
            raise problem("finite numbers or none in a configuration", str(value), "leave it out or use None")
        return None
    if value is None or isinstance(value, bool | int | float | str):
        return value
    raise problem("text, numbers, lists and dicts", f"a {type(value).__name__}", "turn it into one of these first")
