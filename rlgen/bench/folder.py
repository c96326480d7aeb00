"""The folder of a benchmark: its protocol, its plan, a run folder per cell, and the state of each cell."""

import hashlib
import os
import time
from collections.abc import Sequence
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rlgen.bench.cells import Cell
from rlgen.bench.lease import Leases
from rlgen.bench.protocol import Protocol
from rlgen.bench.protocol_file import PROTOCOL, parse_protocol, text_of
from rlgen.errors import InputError, problem
from rlgen.runs.config import from_json, read_object, write_json
from rlgen.runs.folder import RunFolder
from rlgen.system.files import atomic_write

PLAN, RUNS, LEASES, FAILURES, LOGS = "plan.json", "runs", "leases", "failures", "logs"
State = Literal["done", "running", "stopped", "failed", "waiting"]
LOOKS = 5
"""Looks at plan and protocol, 0.2 s apart, after which a protocol that is not the plan's counts as edited."""
TAIL = 12
"""Lines of a log that are shown of a failed cell."""


@dataclass(frozen=True, kw_only=True)
class Plan:
    """What a folder is to hold."""

    rlgen: str
    """Version of rlgen whose numbers these are."""
    margin_rule: str
    """MuJoCo's contact margin rule of the machine that planned."""
    quick: bool
    data: str | None
    """Folder of the demonstrations where it was planned."""
    cells: tuple[Cell, ...]
    protocol: str = ""
    """SHA-256 of protocol.toml."""


@dataclass(frozen=True)
class BenchFolder:
    """A benchmark on disk.

    It holds protocol.toml, plan.json, runs/ (a run folder per cell), logs/, leases/, failures/, and of
    `rlgen bench report` results.csv, table.md, curves.parquet and report.html.
    """

    path: Path
    protocol: Protocol
    plan: Plan

    @classmethod
    def prepare(cls, path: Path, protocol: str, plan: Plan, others: Sequence[Cell] = ()) -> "BenchFolder":
        """Make the folder, or change its plan. `protocol`: its text. The folder must be locked if it exists.

        `others`: cells of the protocol, without identities, that the plan leaves out; those that the folder has planned
        before stay planned. Runs of cells that the protocol no longer has stay, and tables leave them out; those of a
        task or agent with a new name get it. Raises `InputError` for a folder that holds something else, for one of
        another version of rlgen or of another machine's margin rule, for the quick form in a folder of the whole one
        and the reverse, and for a new name of a cell that is being trained.
        """
        parsed = parse_protocol(protocol)
        before: tuple[Cell, ...] = ()
        if (path / PLAN).is_file():
            found = read_plan(path)
            _require_same_rlgen(found, plan.rlgen, plan.margin_rule, path)
            before = found.cells
            if before and found.quick != plan.quick:
                forms = ["the whole benchmark", "its quick form"]
                got = forms[plan.quick]
                remedy = f"{'add' if found.quick else 'leave out'} --quick, or choose another --out"
                raise problem(f"{forms[found.quick]}, as planned in {path}", got, remedy)
            kept = tuple(cell for cell in before if replace(cell, id="") in others)
            plan = replace(plan, cells=(*plan.cells, *kept))
        elif path.is_dir() and any(not each.name.startswith(".") for each in path.iterdir()):
            raise problem(f"a new or empty folder at {path}, or one of `rlgen bench`", "other files", "choose another")
        path.mkdir(parents=True, exist_ok=True)
        for name in (RUNS, LEASES, FAILURES, LOGS):
            (path / name).mkdir(exist_ok=True)
        for old, new in renamed(before, plan.cells):
            _rename(path, old, new)
        plan = replace(plan, protocol=hash_of(protocol))
        atomic_write(path / PROTOCOL, protocol)
        write_json(path / PLAN, asdict(plan))  # last: a folder with it is a benchmark
        return cls(path, parsed, plan)

    @classmethod
    def open(cls, path: Path) -> "BenchFolder":
        """The benchmark at `path`. Raises `InputError` if there is none, or if its copy of the protocol was edited."""
        if not (path / PLAN).is_file():
            raise problem(f"a benchmark at {path}", "a folder without plan.json", "start it: rlgen bench run FILE")
        plan, text = _both(path)
        if plan.protocol not in ("", hash_of(text)):
            remedy = f"edit your own protocol, and `rlgen bench run` it with --out {path}"
            raise problem(f"{path / PROTOCOL} as it was planned", "an edited one", remedy)
        return cls(path, parse_protocol(text, str(path)), plan)

    def current(self) -> "BenchFolder":
        """The folder with its plan as it is now: another `rlgen bench run` may have changed it."""
        return self if read_plan(self.path) == self.plan else BenchFolder.open(self.path)

    def run_of(self, cell: Cell) -> Path:
        return self.path / RUNS / cell.name

    def log_of(self, cell: Cell) -> Path:
        return self.path / LOGS / f"{cell.name}.log"

    def failure_of(self, cell: Cell) -> Path:
        return self.path / FAILURES / f"{cell.name}.json"

    def leases(self, worker: str, **options: Any) -> Leases:
        """The leases, as `worker` sees them."""
        return Leases(self.path / LEASES, worker, **options)

    def is_done(self, cell: Cell) -> bool:
        """Whether the cell's run is complete."""
        return is_run(self.run_of(cell)) and RunFolder.open(self.run_of(cell)).finished

    def state_of(self, cell: Cell, leases: Leases) -> State:
        """State of a cell. `failed` holds until `rlgen bench run` tries it again."""
        if self.is_done(cell):
            return "done"
        if leases.holder(cell.name) is not None:
            return "running"
        if self.failure_of(cell).is_file():
            return "failed"
        return "stopped" if is_run(self.run_of(cell)) else "waiting"

    def unfinished(self) -> list[Cell]:
        """Cells that are neither done nor failed."""
        return [cell for cell in self.plan.cells if not self.is_done(cell) and self.failure(cell) is None]

    def note_failure(self, cell: Cell, code: int, worker: str) -> None:
        """Record that the cell's training ended with `code`, and the last lines of its log."""
        write_json(self.failure_of(cell), {"code": code, "worker": worker, "tail": tail_of(self.log_of(cell))})

    def failure(self, cell: Cell) -> dict[str, Any] | None:
        """The recorded failure: code, worker, tail. None without one."""
        path = self.failure_of(cell)
        try:
            return read_object(path) if path.is_file() else None
        except InputError:
            return {"code": None, "worker": "", "tail": []}

    def forget_failures(self, cells: Sequence[Cell]) -> int:
        """Let failed cells be tried again. Returns their number."""
        found = [self.failure_of(cell) for cell in cells if self.failure_of(cell).is_file()]
        for path in found:
            path.unlink(missing_ok=True)
        return len(found)


def renamed(before: Sequence[Cell], after: Sequence[Cell]) -> list[tuple[Cell, Cell]]:
    """Cells whose task or agent has a new name, with the same identity: the old one and the new one."""
    known = {cell.id: cell for cell in before}
    return [(known[cell.id], cell) for cell in after if cell.id in known and known[cell.id].name != cell.name]


def _rename(path: Path, old: Cell, new: Cell) -> None:
    """Give the files of a cell its new name, so that it is not trained again. Raises `InputError` while it trains."""
    leases = Leases(path / LEASES, "")
    worker = leases.holder(old.name)
    if worker is not None:
        remedy = f"wait for it, or stop it; if its machine is gone, remove {leases.path_of(old.name)}"
        raise problem(f"no training of {old.name}, whose name changes", f"one by {worker}", remedy)
    for folder, suffix in ((RUNS, ""), (LOGS, ".log"), (FAILURES, ".json")):
        source, target = path / folder / f"{old.name}{suffix}", path / folder / f"{new.name}{suffix}"
        if source.exists() and not target.exists():
            source.rename(target)


def _both(path: Path) -> tuple[Plan, str]:
    """Plan and protocol. They are written one after the other, so that two looks are needed while they change."""
    for _ in range(LOOKS):
        plan, text = read_plan(path), text_of(path / PROTOCOL)
        if plan.protocol in ("", hash_of(text)):
            break
        time.sleep(0.2)
    return plan, text


def hash_of(protocol: str) -> str:
    """SHA-256 of a protocol's text."""
    return hashlib.sha256(protocol.encode()).hexdigest()


def is_run(path: Path) -> bool:
    """Whether a training has begun in the folder."""
    return (path / "config.json").is_file()


def tail_of(path: Path, lines: int = TAIL) -> list[str]:
    """Last lines of a log."""
    if not path.is_file():
        return []
    with path.open("rb") as file:
        file.seek(max(0, os.fstat(file.fileno()).st_size - 65536))
        text = file.read().decode("utf-8", errors="replace").replace("\r", "\n")
    return [line for line in text.splitlines() if line.strip()][-lines:]


def read_plan(path: Path) -> Plan:
    """The plan of a folder. Raises `InputError` if it is malformed."""
    return from_json(Plan, read_object(path / PLAN), "plan it again: rlgen bench run FILE --out DIR")


def require_same_rlgen(folder: BenchFolder, version: str, margin_rule: str) -> None:
    """Raise `InputError` unless this rlgen's numbers belong into the folder."""
    _require_same_rlgen(folder.plan, version, margin_rule, folder.path)


def _require_same_rlgen(plan: Plan, version: str, margin_rule: str, path: Path) -> None:
    for what, planned, here in (
        ("rlgen", plan.rlgen, version),
        ("MuJoCo's contact margin rule", plan.margin_rule, margin_rule),
    ):
        if planned != here:
            remedy = "install the version of the plan here, or start another folder with --out"
            raise problem(f"{what} {planned}, as planned in {path}", here, remedy)
