"""A CSV file with a row per finished run, gathered over several days and machines."""

import csv
import io
import json
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from rlgen.system.atomic import atomic_write

Row = Mapping[str, Any]


def merge_rows(path: str | os.PathLike[str], found: Sequence[Row], fields: Sequence[str], key: Sequence[str]) -> list:
    """Replace or append the rows `found` in the file and return all rows; new ones are last.

    `fields`: the columns. `key`: the columns that identify a row.
    """
    rows = {tuple(row[name] for name in key): row for row in [*read_rows(path), *found]}
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows.values())
    atomic_write(Path(path), text.getvalue().encode())
    return list(rows.values())


def read_rows(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Rows of the file, with numbers converted and empty cells as None; no rows without a file."""
    if not Path(path).is_file():
        return []
    with Path(path).open(newline="", encoding="utf-8") as file:
        return [{name: _value(text) for name, text in row.items()} for row in csv.DictReader(file)]


def _value(text: str) -> Any:
    if not text:
        return None
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return text
    return found if isinstance(found, int | float) and not isinstance(found, bool) else text
