"""The identity of a cell: a hash of all that determines its numbers."""

import hashlib
import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from rlgen.bench.cells import MINARI, Cell
from rlgen.errors import problem

IDENTITY = 12
"""Hexadecimal digits of a cell's identity."""


@dataclass(frozen=True)
class Resolved:
    """What a command line comes to: every setting, defaults included."""

    config: Mapping[str, Any]
    """The contents of config.json."""
    inputs: Sequence[str]
    """Entries that are paths of files or folders read by the training; their contents count, not their places."""


Resolve = Callable[[Sequence[str]], Resolved]
"""Function from a command line to its settings. Raises `InputError` for one that rlgen refuses."""


def identified(
    cells: Sequence[Cell], resolve: Resolve, data: Path | None, version: str, margin_rule: str
) -> list[Cell]:
    """The cells with their identities. Raises `InputError` for options that rlgen refuses, and for two equal cells."""
    found: dict[str, Cell] = {}
    for cell in cells:
        try:
            resolved = resolve(cell.arguments(data))
        except ValueError as error:  # an InputError
            raise type(error)(f"{cell.setting}, agent {cell.agent}: {error}") from error
        identity = identity_of(resolved, version, margin_rule)
        if identity in found:
            got = f"{found[identity].agent} and {cell.agent} on {cell.setting}, seed {cell.seed}, which are the same"
            raise problem("cells that differ in a setting", got, "remove one of them from the protocol")
        found[identity] = replace(cell, id=identity)
    return list(found.values())


def identity_of(resolved: Resolved, version: str, margin_rule: str) -> str:
    """Hash of everything that determines the numbers of a cell: settings, contents of inputs, version, margin rule."""
    config = {name: value for name, value in resolved.config.items() if name != "out"}
    for name in resolved.inputs:
        if config.get(name) is not None and (place := place_of(str(config[name]))).exists():
            config[name] = fingerprint(place)
    whole = {"config": config, "rlgen": version, "margin_rule": margin_rule}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:IDENTITY]


def place_of(given: str) -> Path:
    """Where a training finds an input: the file or folder, or that of a data set of Minari on this disk."""
    if not given.startswith(MINARI):
        return Path(given)
    from rlgen.data.formats.minari import id_of, local_folder

    return local_folder(id_of(given))


def absent_inputs(cells: Sequence[Cell]) -> list[str]:
    """Data sets of Minari that are not on this disk, whose contents the identities of their cells lack."""
    named = dict.fromkeys(cell.demos for cell in cells if cell.demos is not None and cell.demos.startswith(MINARI))
    return [name for name in named if not place_of(name).exists()]


def fingerprint(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's files. Hidden files, which systems and clients
    leave, do not count."""
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if _is_content(each, path))
    parts = [
        (str(file.relative_to(path)), _digest(file, file.stat().st_size, file.stat().st_mtime_ns)) for file in files
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


def _is_content(file: Path, folder: Path) -> bool:
    return file.is_file() and not any(part.startswith(".") for part in file.relative_to(folder).parts)


@cache
def _digest(path: Path, size: int, changed: int) -> str:
    """SHA-256 of a file; kept while its size and its time of change are the same."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
