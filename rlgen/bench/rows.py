"""The rows of a benchmark, one for each finished cell, and results.csv, which holds them."""

import csv
import io
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlgen.errors import problem, reason
from rlgen.system.files import atomic_write

Row = dict[str, Any]
"""A finished cell: its columns by name; unknown numbers are None."""
KEY = ("cell", "task", "trajectories", "agent", "seed")
COLUMNS = (
    *KEY, "metric", "value", "score", "steps", "wall_seconds", "return_mean", "return_std", "return_min", "episodes",
    "evaluation_seed", "terminated", "episode_length_mean", "expert_return", "random_return", "normalised_return",
    "time_to_threshold", "last_step", "peak_memory_mb", "device", "machine", "rlgen", "margin_rule", "git_commit",
)  # fmt: skip
"""Columns of results.csv; further metrics of the results follow."""
TEXTS = ("cell", "task", "agent", "metric", "device", "machine", "rlgen", "margin_rule", "git_commit")
"""Columns of texts, also where one reads as a number: the identity 4711e2345678 is not infinite."""
NUMBERS = tuple(name for name in COLUMNS if name not in TEXTS)
RESTORE = "write it again from the runs by `rlgen bench report`, or take the file that rlgen wrote"
RESULTS = "results.csv"
THEN = ", then "
"""Between the machines of a run that was resumed elsewhere."""

Seeds = dict[int, float]
"""Seed → number."""


@dataclass(frozen=True)
class Results:
    """The rows of a benchmark."""

    rows: list[Row]

    def of(self, task: str, trajectories: int | None, agent: str) -> list[Row]:
        """The seeds of one row of the table, in order."""
        key = (task, trajectories, agent)
        found = [row for row in self.rows if (row["task"], row["trajectories"], row["agent"]) == key]
        return sorted(found, key=lambda row: row["seed"])


def by_seed(rows: Sequence[Row], column: str = "value", sign: float = 1.0) -> Seeds:
    """The finite numbers of a column by seed, times `sign`."""
    found = {row["seed"]: row.get(column) for row in rows}
    return {
        seed: sign * value for seed, value in found.items() if isinstance(value, int | float) and math.isfinite(value)
    }


def write_rows(path: Path, rows: Sequence[Row]) -> None:
    """results.csv: the columns of `COLUMNS` and, sorted, all further ones that a row has."""
    others = sorted({name for row in rows for name, value in row.items() if value is not None} - set(COLUMNS))
    text = io.StringIO()
    writer = csv.DictWriter(text, [*COLUMNS, *others], extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows({name: _cell(value) for name, value in row.items()} for row in rows)
    atomic_write(path, text.getvalue())


def _cell(value: Any) -> Any:
    return "" if value is None else repr(value) if isinstance(value, float) else value


def read_rows(path: Path) -> Results:
    """The rows of a results.csv. Raises `InputError` for a file that is incomplete or not of cells, for numbers that
    are none, and for two rows of one cell."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise problem(f"results at {path}", reason(error), "run `rlgen bench report` there first") from error
    reader = csv.DictReader(io.StringIO(text), strict=True)
    missing = [name for name in (*KEY, "metric", "value") if name not in (reader.fieldnames or [])]
    if missing:
        raise problem(f"columns {', '.join(missing)} in {path}", "a table without them", "give a results.csv of rlgen")
    if not text.endswith("\n"):
        raise problem(f"complete lines in {path}", "one without an end", RESTORE)
    found: dict[tuple[Any, ...], Row] = {}
    try:
        for row in reader:
            read = _read(row, f"line {reader.line_num} of {path}")
            place = tuple(read[name] for name in KEY[1:])
            if place in found:
                raise problem("one row for each cell", f"another one in line {reader.line_num} of {path}", RESTORE)
            found[place] = read
    except csv.Error as error:
        raise problem(f"a table in {path}", f"{error} in line {reader.line_num}", RESTORE) from error
    return Results(list(found.values()))


def _read(row: Mapping[Any, Any], where: str) -> Row:
    """A row with its numbers."""
    if None in row or None in row.values():
        raise problem(f"as many entries as there are columns in {where}", "more or fewer", RESTORE)
    read: Row = dict(row) | {name: _number(text) for name, text in row.items() if name not in TEXTS}
    for name, value in read.items():
        kind = int if name in ("seed", "trajectories") else int | float if name in NUMBERS else object
        absent = value is None and name != "seed"
        if not absent and not isinstance(value, kind):
            raise problem(f"a {'whole ' if kind is int else ''}number for {name} in {where}", repr(value), RESTORE)
    return read


def _number(text: str) -> Any:
    if not text:
        return None
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
