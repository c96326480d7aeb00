"""A benchmark's results, read from its folder: of its runs, or of results.csv alone."""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from rlgen.bench.cells import Cell
from rlgen.bench.folder import PLAN, RUNS, BenchFolder
from rlgen.bench.protocol import Protocol, name_of
from rlgen.bench.protocol_file import PROTOCOL, read_protocol
from rlgen.bench.results import CURVES, finished
from rlgen.bench.rows import RESULTS, Results, Row, read_rows
from rlgen.errors import problem
from rlgen.runs.metrics import read_metrics

Curves = dict[str, list[dict[str, np.ndarray]]]
"""Curves of one task: agent → a table (step and the curve, [rows] each) for each seed."""


@dataclass(frozen=True, kw_only=True)
class Benchmark:
    """The protocol and the rows of a benchmark."""

    path: Path
    protocol: Protocol
    results: Results
    planned: int | None = None
    """Number of cells of the plan; None where only the results are there."""
    folder: BenchFolder | None = None
    """The folder with the runs; None where only the results are there."""

    @classmethod
    def read(cls, path: Path) -> "Benchmark":
        """The benchmark at `path`; nothing is written. Raises `InputError` for a folder without one."""
        if (path / PLAN).is_file() and (path / RUNS).is_dir():
            return cls.of(BenchFolder.open(path))
        missing = [name for name in (PROTOCOL, RESULTS) if not (path / name).is_file()]
        if missing:
            wanted = f"a benchmark at {path}: plan.json and runs/, or {PROTOCOL} and {RESULTS}"
            raise problem(wanted, f"no {' and no '.join(missing)}", "give the folder of `rlgen bench run`")
        protocol, results = read_protocol(path / PROTOCOL), read_rows(path / RESULTS)
        _require_rows_of(protocol, results, path)
        return cls(path=path, protocol=protocol, results=results)

    @classmethod
    def of(cls, folder: BenchFolder) -> "Benchmark":
        """The finished cells of a folder."""
        planned = len(folder.plan.cells)
        return cls(path=folder.path, protocol=folder.protocol, results=finished(folder), planned=planned, folder=folder)

    def run_of(self, row: Row) -> Path | None:
        """The run folder of a row; None where only the results are there."""
        return None if self.folder is None else self.folder.path / RUNS / name_of_run(row)

    def curves(self, task: str, trajectories: int | None) -> Curves:
        """The figure's curve of every agent on a task, from the runs or from curves.parquet."""
        name = self.protocol.figure.curve
        kept = {} if self.folder else kept_curves(self.path)
        agents = self.protocol.figure.agents or tuple(self.protocol.agents)
        found: Curves = {}
        for agent in agents:
            rows = self.results.of(task, trajectories, agent)
            tables = [_of_curve(self._columns(row, kept), name) for row in rows]
            found[agent] = [table for table in tables if table]
        return {agent: tables for agent, tables in found.items() if tables}

    def _columns(self, row: Row, kept: Mapping[str, Mapping[str, np.ndarray]]) -> Mapping[str, np.ndarray]:
        run = self.run_of(row)
        return read_metrics(run) if run is not None else kept.get(str(row["cell"]), {})


def _require_rows_of(protocol: Protocol, results: Results, path: Path) -> None:
    """Raise `InputError` for rows of another protocol: tables would leave them out, or name their values wrongly."""
    tasks, remedy = [name_of(task) for task in protocol.tasks], f"take the {PROTOCOL} of these results"
    for row in results.rows:
        where = f"{row['task']}, agent {row['agent']}"
        if row["task"] not in tasks or row["agent"] not in protocol.agents:
            raise problem(f"tasks and agents of {path / PROTOCOL} in {path / RESULTS}", where, remedy)
        if row["metric"] != protocol.metric_of(row["agent"]).title:
            wanted = f"the metric {protocol.metric_of(row['agent']).title} of {where}, as in {path / PROTOCOL}"
            raise problem(wanted, f"{row['metric']!r} in {path / RESULTS}", remedy)


def name_of_run(row: Row) -> str:
    """Name of a row's run folder."""
    key = {name: row[name] for name in ("task", "trajectories", "agent", "seed")}
    return Cell(**key, id=row["cell"], command="", options={}).name


def kept_curves(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """The columns of curves.parquet by cell; none without the file, and without pyarrow (the extra `data`)."""
    try:
        from pyarrow import ArrowException, parquet
    except ImportError:
        return {}
    if not (path / CURVES).is_file():
        return {}
    try:
        whole = parquet.read_table(path / CURVES)
    except (ArrowException, OSError) as error:
        got, remedy = str(error).strip().splitlines()[0], "remove it for a page without curves, or restore it"
        raise problem(f"curves in {path / CURVES}", got, remedy) from error
    cells = np.array(whole.column("cell").to_pylist(), dtype=object)
    columns = {
        name: whole.column(name).to_numpy().astype(np.float64)
        for name in whole.column_names
        if name not in ("cell", "task", "trajectories", "agent", "seed")
    }
    return {cell: {name: values[cells == cell] for name, values in columns.items()} for cell in dict.fromkeys(cells)}


def _of_curve(columns: Mapping[str, np.ndarray], name: str) -> dict[str, np.ndarray]:
    """The finite values of a curve and their steps; empty without any."""
    if name not in columns:
        return {}
    known = np.isfinite(columns[name])
    return {"step": columns["step"][known], name: columns[name][known]} if known.any() else {}
