"""Protocols as TOML files: the shipped suites and the user's own."""

import tomllib
from importlib.resources import files
from pathlib import Path
from typing import Any

from rlgen.bench.protocol import Protocol
from rlgen.errors import InputError, problem, reason
from rlgen.runs.config import from_json

SUFFIX = ".toml"
PROTOCOL = "protocol.toml"
"""The protocol's copy in the folder of a benchmark."""


def suites() -> dict[str, Path]:
    """The shipped protocols by name."""
    folder = Path(str(files("rlgen.bench") / "suites"))
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def find_protocol(suite_or_file: str) -> Path:
    """The file of a shipped suite, or the given one. Raises `InputError` if there is neither."""
    found = suites()
    if suite_or_file in found:
        return found[suite_or_file]
    path = Path(suite_or_file)
    if path.is_dir() and (path / PROTOCOL).is_file():
        return path / PROTOCOL
    if not path.is_file():
        raise problem(
            f"a protocol file, or a suite among {', '.join(found)}", suite_or_file, "see `rlgen bench plan --help`"
        )
    return path


def read_protocol(path: Path) -> Protocol:
    """The protocol of a file. Raises `InputError` for what is no TOML, and for unknown and missing entries."""
    return parse_protocol(text_of(path), str(path))


def parse_protocol(text: str, where: str = PROTOCOL) -> Protocol:
    """The protocol of a text; `where`: its place, for errors."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise problem(f"a protocol in TOML at {where}", str(error), "correct that line") from error
    return parse_tables(found, where)


def parse_tables(found: dict[str, Any], where: str) -> Protocol:
    """The protocol of what TOML read; `where`: its place, for errors."""
    try:
        return from_json(Protocol, _with_short_forms(found), "correct the protocol (docs/bench.md describes it)")
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def text_of(path: Path) -> str:
    """The text of a protocol. Raises `InputError` if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise problem(f"a protocol in TOML at {path}", reason(error), "give a text file") from error


def _with_short_forms(found: dict[str, Any]) -> dict[str, Any]:
    """`metric = "fid"` and `columns = ["fid"]` as tables, and one number of trajectories as a list."""
    for holder in [found, *_tables(found.get("agents"))]:
        if isinstance(holder.get("metric"), str):
            holder["metric"] = {"name": holder["metric"]}
    if isinstance(columns := found.get("columns"), list):
        found["columns"] = [{"name": each} if isinstance(each, str) else each for each in columns]
    for task in [*_tables(found.get("tasks")), *_tables([found.get("quick")])]:
        for demos in _tables(task.get("demos")):
            if isinstance(demos.get("trajectories"), int):
                demos["trajectories"] = [demos["trajectories"]]
    return found


def _tables(found: Any) -> list[dict[str, Any]]:
    items = found.values() if isinstance(found, dict) else found if isinstance(found, list) else []
    return [item for item in items if isinstance(item, dict)]
