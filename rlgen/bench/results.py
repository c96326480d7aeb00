"""The results of a benchmark: one row per finished cell, read from its run folder, in results.csv; and the curves."""

import csv
import io
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from rlgen.bench.cells import Cell
from rlgen.bench.folder import BenchFolder
from rlgen.bench.protocol import Metric, Task
from rlgen.errors import problem
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import read_metrics
from rlgen.runs.result import Result
from rlgen.runs.scores import normalised_return
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
TEXTS = ("cell", "task", "agent", "metric")
"""Columns of texts, also where one reads as a number: the identity 4711e2345678 is not infinite."""
RESULTS, CURVES = "results.csv", "curves.parquet"
LAST, FIRST = 0.1, 0.01
"""Shares of a training that `last` and `fall` average."""


@dataclass(frozen=True)
class Results:
    """The rows of a benchmark."""

    rows: list[Row]

    def of(self, task: str, trajectories: int | None, agent: str) -> list[Row]:
        """The seeds of one row of the table, in order."""
        key = (task, trajectories, agent)
        found = [row for row in self.rows if (row["task"], row["trajectories"], row["agent"]) == key]
        return sorted(found, key=lambda row: row["seed"])


def row_of(folder: BenchFolder, cell: Cell) -> Row:
    """The row of a finished cell."""
    run = RunFolder.open(folder.run_of(cell))
    result, metric = Result.read(run), folder.protocol.metric_of(cell.agent)
    entries: Row = {name: value for name, value in result.row().items() if isinstance(value, int | float | str)}
    curve = read_metrics(run)
    task = next(task for task in folder.protocol.tasks if (task.name or task.env) == cell.task)
    value = value_of(metric, entries, curve, run.path)
    random, expert = references_of(task, metric, entries)
    versions = run.versions
    crossing, last = crossing_of(curve, folder.protocol.figure.curve, task.threshold)
    own = {
        "cell": cell.id,
        "task": cell.task,
        "trajectories": cell.trajectories,
        "agent": cell.agent,
        "seed": cell.seed,
        "metric": metric.title,
        "value": value,
        "score": None if value is None else normalised_return(value, random, expert),
        "time_to_threshold": crossing,
        "last_step": last,
        "machine": machine_of(versions),
        "rlgen": versions.get("packages", {}).get("rlgen"),
    }
    return {**entries, **own}


def references_of(task: Task, metric: Metric, entries: Row) -> tuple[float | None, float | None]:
    """Values with a score of 0 and of 1: those that the run measured for returns, else those of the protocol."""
    measured = (
        (entries.get("random_return"), entries.get("expert_return")) if metric.name == "return_mean" else (None, None)
    )
    stated = (task.random, task.expert)
    random, expert = (found if found is not None else own for found, own in zip(measured, stated, strict=True))
    return random, expert


def machine_of(versions: Mapping[str, Any]) -> str:
    """The machine as far as speeds depend on it: processor, usable cores, device."""
    return f"{versions.get('cpu', 'unknown')}, {versions.get('cores', '?')} cores, {versions.get('device', 'cpu')}"


def value_of(metric: Metric, entries: Mapping[str, Any], curve: Mapping[str, np.ndarray], run: Path) -> float | None:
    """What evaluates the cell; None where its run does not measure it."""
    if metric.take == "result":
        found = entries.get(metric.name)
        if found is not None and not isinstance(found, int | float):
            raise problem(f"a number {metric.name} in {run}/result.json", repr(found), "choose another metric")
        return found
    if metric.name not in curve:
        return None
    column, steps = curve[metric.name], curve["step"]
    last = _mean(column[steps > (1 - LAST) * steps[-1]])
    if metric.take == "last" or last is None:
        return last
    first = _mean(column[: max(1, int(len(column) * FIRST))])
    return None if not first else 1 - last / first


def _mean(values: np.ndarray) -> float | None:
    finite = values[np.isfinite(values)]
    return float(finite.mean()) if len(finite) else None


def crossing_of(
    curve: Mapping[str, np.ndarray], name: str, threshold: float | None
) -> tuple[float | None, float | None]:
    """The first step at which the curve reaches the threshold (None if it never does), and its last step."""
    if name not in curve:
        return None, None
    known = np.isfinite(curve[name])
    steps, values = curve["step"][known], curve[name][known]
    last = float(steps[-1]) if len(steps) else None
    if threshold is None or not np.any(values >= threshold):
        return None, last
    return float(steps[np.argmax(values >= threshold)]), last


def finished(folder: BenchFolder) -> Results:
    """The rows of all finished cells of the plan."""
    return Results([row_of(folder, cell) for cell in folder.plan.cells if folder.is_done(cell)])


def write_results(folder: BenchFolder, results: Results) -> None:
    """Write results.csv and curves.parquet of the finished cells."""
    done = {row["cell"] for row in results.rows}
    write_rows(folder.path / RESULTS, results.rows)
    write_curves(folder, [cell for cell in folder.plan.cells if cell.id in done])


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
    """The rows of a results.csv. Raises `InputError` if it lacks the columns that name a cell, and its value."""
    try:
        text = path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise problem(f"results at {path}", str(error), "run `rlgen bench report` there first") from error
    reader = csv.DictReader(io.StringIO(text))
    missing = [name for name in (*KEY, "metric", "value") if name not in (reader.fieldnames or [])]
    if missing:
        raise problem(f"columns {', '.join(missing)} in {path}", "a table without them", "give a results.csv of rlgen")
    rows = [
        {name: text or "" if name in TEXTS else _number(text) for name, text in row.items() if name} for row in reader
    ]
    return Results(rows)


def _number(text: str | None) -> Any:
    if not text:
        return None
    try:
        found = json.loads(text)
    except json.JSONDecodeError:
        return text
    return found if isinstance(found, int | float) and not isinstance(found, bool) else text


def curve_columns(folder: BenchFolder) -> list[str]:
    """Columns of metrics.csv that are kept: the figure's and those that evaluate cells."""
    metrics = [folder.protocol.metric_of(agent) for agent in folder.protocol.agents]
    return list(dict.fromkeys([folder.protocol.figure.curve, *(m.name for m in metrics if m.take != "result")]))


def write_curves(folder: BenchFolder, cells: Iterable[Cell]) -> bool:
    """curves.parquet: cell, task, trajectories, agent, seed, step and the columns of the figure. Returns False without
    pyarrow, which the extra `data` installs."""
    try:
        import pyarrow as pa
        from pyarrow import parquet
    except ImportError:
        return False
    columns = curve_columns(folder)
    tables = []
    for cell in cells:
        curve = read_metrics(folder.run_of(cell))
        if "step" not in curve:
            continue
        whole = {name: curve.get(name, np.full(len(curve["step"]), np.nan)) for name in columns}
        known = np.any([np.isfinite(values) for values in whole.values()], axis=0)
        n = int(known.sum())
        key = {"cell": cell.id, "task": cell.task, "trajectories": cell.trajectories, "agent": cell.agent}
        keyed = {name: pa.array([value] * n, _type(pa, name)) for name, value in {**key, "seed": cell.seed}.items()}
        values = {name: pa.array(column[known]) for name, column in whole.items()}
        tables.append(pa.table({**keyed, "step": pa.array(curve["step"][known].astype(np.int64)), **values}))
    sink = pa.BufferOutputStream()
    parquet.write_table(pa.concat_tables(tables) if tables else pa.table({"cell": []}), sink)
    atomic_write(folder.path / CURVES, sink.getvalue().to_pybytes())
    return True


def _type(pa: Any, name: str) -> Any:
    return pa.int64() if name in ("trajectories", "seed") else pa.string()
