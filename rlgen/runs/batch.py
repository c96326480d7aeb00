"""Many trainings: started some at a time, and gathered as a row each in a CSV file."""

import csv
import io
import json
import os
import subprocess
import sys
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from rlgen.runs.folder import RunFolder
from rlgen.system.files import atomic_write

COMMAND = (sys.executable, "-P", "-m", "rlgen.agents.cli")


def train_all(runs: Path, commands: Mapping[str, Sequence[str]], jobs: int = 1) -> list[str]:
    """Run `rlgen ARGUMENTS --out RUNS/NAME` for every name and its arguments, in `jobs` parallel processes of one torch
    thread each. Returns the names of those that failed.

    The output goes to NAME.log next to the folder. The function may be interrupted and called again.
    """
    runs.mkdir(parents=True, exist_ok=True)
    with ThreadPoolExecutor(jobs) as pool:
        done = pool.map(lambda name: _train(runs, name, commands[name]), commands)
        return [name for name, finished in zip(commands, done, strict=True) if not finished]


def _train(runs: Path, name: str, arguments: Sequence[str]) -> bool:
    out = runs / name
    begun = (out / "config.json").exists()
    if begun and RunFolder.open(out).finished:
        return True
    chosen = ["resume", str(out)] if begun else [*arguments, "--out", str(out)]
    print("start", name, flush=True)
    with (runs / f"{name}.log").open("a") as log:
        environment = {**os.environ, "OMP_NUM_THREADS": "1"}
        code = subprocess.run([*COMMAND, *chosen], stdout=log, stderr=log, env=environment, check=False).returncode
    print("done" if code == 0 else f"FAILED ({code})", name, flush=True)
    return code == 0


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
