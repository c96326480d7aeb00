"""What a benchmark costs: seconds, memory and disk of its cells, by what finished cells took on this machine."""

import json
import os
import platform
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from statistics import median
from typing import Any

from rlgen.bench.cells import Cell
from rlgen.errors import InputError
from rlgen.runs.config import from_json, json_text, read_object
from rlgen.system.files import atomic_write
from rlgen.system.pool import usable_cpus
from rlgen.system.versions import cpu_name

MOST = 2000
"""Measurements that are kept, the newest ones."""


@dataclass(frozen=True, kw_only=True)
class Measured:
    """What one finished cell took."""

    machine: str
    command: str
    subject: str
    """Environment, or model of images."""
    options: dict[str, Any]
    seconds: float
    """Duration of the whole process: setting up, training, evaluation."""
    work: float
    """Steps or epochs of the training; 1 for a training that ends by itself."""
    memory_mb: float | None
    disk_mb: float


@dataclass(frozen=True)
class Cost:
    """Expected cost of a cell."""

    seconds: float
    memory_mb: float | None
    disk_mb: float


def this_machine() -> str:
    """The machine as far as speeds depend on it."""
    return f"{platform.node()}, {cpu_name()}, {usable_cpus()} cores"


def measurements_file() -> Path:
    """Where measurements of this user's machines are kept."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(cache) / "rlgen" / "measured.json"


def read_measurements(path: Path | None = None) -> list[Measured]:
    """All measurements; none for a file that is absent or damaged, because it only holds estimates."""
    try:
        found = read_object(path or measurements_file())
        return [from_json(Measured, entry) for entry in found["measured"]]
    except (InputError, KeyError, TypeError, AttributeError):
        return []


def keep_measurement(measured: Measured, path: Path | None = None) -> None:
    """Add a measurement. A folder that cannot be written is no error: only estimates are lost."""
    path = path or measurements_file()
    kept = [*read_measurements(path), measured][-MOST:]
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        atomic_write(path, json_text({"measured": [asdict(each) for each in kept]}))
    except OSError:
        return


def subject_of(cell: Cell) -> str:
    """Environment, or model of images."""
    return str(cell.options.get("env") or cell.options.get("model") or "")


def work_of(options: Mapping[str, Any]) -> float:
    """Steps, or epochs, of a training; 1 where it has neither."""
    return float(options.get("steps") or options.get("epochs") or 1)


def states_work(options: Mapping[str, Any]) -> bool:
    """Whether the options have the length of the training; the default's length is not known here."""
    return bool(options.get("steps") or options.get("epochs"))


def measured_of(cell: Cell, seconds: float, memory_mb: float | None, run: Path) -> Measured:
    """The measurement of a cell that has just been trained in one go."""
    size = sum(file.stat().st_size for file in run.rglob("*") if file.is_file())
    return Measured(
        machine=this_machine(),
        command=cell.command,
        subject=subject_of(cell),
        options={name: value for name, value in cell.options.items() if isinstance(value, int | float | str | bool)},
        seconds=seconds,
        work=work_of(cell.options),
        memory_mb=memory_mb,
        disk_mb=size / 2**20,
    )


def cost_of(cell: Cell, measured: Sequence[Measured], machine: str | None = None) -> Cost | None:
    """The cost of a cell by the most similar trainings of the same command and subject on this machine; None without
    one."""
    machine = machine or this_machine()
    same = [
        each
        for each in measured
        if (each.machine, each.command, each.subject) == (machine, cell.command, subject_of(cell))
        and states_work(each.options) == states_work(cell.options)
    ]
    if not same:
        return None
    likeness = [_likeness(each.options, cell.options) for each in same]
    nearest = [each for each, alike in zip(same, likeness, strict=True) if alike == max(likeness)]
    work = work_of(cell.options)
    memory = [each.memory_mb for each in nearest if each.memory_mb is not None]
    return Cost(
        seconds=median(each.seconds * work / each.work for each in nearest),
        memory_mb=max(memory) if memory else None,
        disk_mb=max(each.disk_mb for each in nearest),
    )


def _likeness(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
    """Number of equal options; the length counts most, because a short training is mostly setting up."""
    names = set(one) & set(other)
    equal = sum(json.dumps(one[name]) == json.dumps(other[name]) for name in names)
    return equal + 100 * (work_of(one) == work_of(other)) - len(set(one) ^ set(other))


@dataclass(frozen=True)
class Total:
    """Cost of several cells."""

    hours: float
    """Core-hours of the cells whose cost is known, with one core each."""
    disk_mb: float
    memory_mb: float | None
    """Largest of one cell."""
    unknown: list[Cell]
    """Cells without a measurement."""


def total(cells: Sequence[Cell], measured: Sequence[Measured], machine: str | None = None) -> Total:
    """Cost of all cells."""
    costs = [(cell, cost_of(cell, measured, machine)) for cell in cells]
    known = [cost for _, cost in costs if cost is not None]
    memory = [cost.memory_mb for cost in known if cost.memory_mb is not None]
    return Total(
        hours=sum(cost.seconds for cost in known) / 3600,
        disk_mb=sum(cost.disk_mb for cost in known),
        memory_mb=max(memory) if memory else None,
        unknown=[cell for cell, cost in costs if cost is None],
    )
