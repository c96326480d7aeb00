"""The results of a benchmark, read from its run folders: a row for each finished cell, and the curves."""

import logging
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import numpy as np

from rlgen.bench.cells import Cell
from rlgen.bench.folder import BenchFolder
from rlgen.bench.protocol import Metric
from rlgen.bench.references import references_of
from rlgen.bench.rows import RESULTS, THEN, Results, Row, write_rows
from rlgen.errors import problem
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import read_metrics
from rlgen.runs.result import Result
from rlgen.runs.scores import normalised_return
from rlgen.system.files import atomic_write

log = logging.getLogger("rlgen")
CURVES = "curves.parquet"
LAST, FIRST = 0.1, 0.01
"""Shares of a training that `last` and `fall` average."""


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
    low = folder.protocol.metric.better == "low"
    crossing, last = crossing_of(curve, folder.protocol.figure.curve, task.threshold, low)
    own = {
        "cell": cell.id,
        "task": cell.task,
        "trajectories": cell.trajectories,
        "agent": cell.agent,
        "seed": cell.seed,
        "n_envs": run.config.get("n_envs"),
        "metric": metric.title,
        "value": value,
        "score": None if value is None else normalised_return(value, random, expert),
        "time_to_threshold": crossing,
        "last_step": last,
        "machine": machine_of(versions),
        "rlgen": versions.get("packages", {}).get("rlgen"),
    }
    return {**entries, **own}


def machine_of(versions: Mapping[str, Any]) -> str:
    """The machine as far as speeds depend on it: processor, usable cores, device; those of a run that was resumed
    elsewhere in turn."""
    began = {"cpu": versions.get("cpu", "unknown"), "cores": versions.get("cores", "?")}
    began["device"] = versions.get("device", "cpu")
    places = [began]
    for resumed in versions.get("sittings", []):
        changed = resumed.get("changed", {})
        places.append({name: changed.get(name, [value, value])[1] for name, value in began.items()})
    names = dict.fromkeys(f"{each['cpu']}, {each['cores']} cores, {each['device']}" for each in places)
    return THEN.join(names)


def value_of(metric: Metric, entries: Mapping[str, Any], curve: Mapping[str, np.ndarray], run: Path) -> float | None:
    """What evaluates the cell; None where its run does not measure it."""
    if metric.take == "result":
        found = entries.get(metric.name)
        if found is not None and not isinstance(found, int | float):
            raise problem(f"a number {metric.name} in {run}/result.json", repr(found), "choose another metric")
        return found
    if metric.name not in curve or not len(curve["step"]):
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
    curve: Mapping[str, np.ndarray], name: str, threshold: float | None, from_above: bool = False
) -> tuple[float | None, float | None]:
    """The first step at which the curve reaches the threshold (None if it never does), and its last step."""
    if name not in curve:
        return None, None
    known = np.isfinite(curve[name])
    steps, values = curve["step"][known], curve[name][known]
    last = float(steps[-1]) if len(steps) else None
    if threshold is None:
        return None, last
    reached = values <= threshold if from_above else values >= threshold
    return (float(steps[np.argmax(reached)]) if np.any(reached) else None), last


def finished(folder: BenchFolder) -> Results:
    """The rows of all finished cells of the plan."""
    return Results([row_of(folder, cell) for cell in folder.plan.cells if folder.is_done(cell)])


def write_results(folder: BenchFolder, results: Results) -> None:
    """Write results.csv and curves.parquet of the finished cells."""
    done = {row["cell"] for row in results.rows}
    write_rows(folder.path / RESULTS, results.rows)
    if not write_curves(folder, [cell for cell in folder.plan.cells if cell.id in done]):
        (folder.path / CURVES).unlink(missing_ok=True)  # it would be of an earlier state
        log.warning("no %s without pyarrow: pip install 'rlgen[data]'", CURVES)


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
