"""A CSV file with a row for each finished run, which may have been trained on different days and machines."""

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
    """Write `found` and the rows of the file that it has nothing newer for, and return them all; new ones come last.

    `fields`: the columns. `key`: those that tell rows apart.
    """
    rows = {tuple(row[name] for name in key): row for row in [*read_rows(path), *found]}
    text = io.StringIO()
    writer = csv.DictWriter(text, fields, extrasaction="ignore", lineterminator="\n")
    writer.writeheader()
    writer.writerows(rows.values())
    atomic_write(Path(path), text.getvalue().encode())
    return list(rows.values())


def read_rows(path: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Rows of the file, numbers as numbers and empty cells as None; none where there is no file."""
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
