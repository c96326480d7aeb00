"""The cells of a benchmark: one training each, with its command line and its identity."""

import hashlib
import json
import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

from rlgen.bench.protocol import Agent, Demos, Options, Protocol, Task, name_of
from rlgen.errors import problem

IDENTITY = 12
"""Hexadecimal digits of a cell's identity."""
SHIPPED = "shipped:"
MINARI = "minari:"


@dataclass(frozen=True)
class Resolved:
    """What a command line comes to: every setting, defaults included."""

    config: Mapping[str, Any]
    """The contents of config.json."""
    inputs: Sequence[str]
    """Entries that are paths of files or folders read by the training; their contents count, not their places."""


Resolve = Callable[[Sequence[str]], Resolved]
"""Function from a command line to its settings. Raises `InputError` for one that rlgen refuses."""


@dataclass(frozen=True, kw_only=True)
class Cell:
    """One training of the benchmark."""

    task: str
    """Name of the task."""
    agent: str
    seed: int
    command: str
    """Command of rlgen, e.g. train gail."""
    options: Options
    """Options of the command line without demonstrations, seed and folder."""
    demos: str | None = None
    """Demonstrations, as the protocol names them."""
    trajectories: int | None = None
    stride: int = 1
    id: str = ""
    """Identity: hash of the settings, the contents of input files, rlgen's version and the margin rule."""

    @property
    def row(self) -> tuple[str, int | None, str]:
        """What the seeds of a row share: task, trajectories and agent."""
        return self.task, self.trajectories, self.agent

    @property
    def setting(self) -> str:
        """Task and trajectories in words, e.g. "Ant-v5, 4 trajectories"."""
        return setting_of(self.task, self.trajectories)

    @property
    def name(self) -> str:
        """Name of its run folder."""
        number = "" if self.trajectories is None else f"-{self.trajectories}"
        readable = f"{self.task.rpartition('/')[2]}{number}-{self.agent}-seed{self.seed}-{self.id[:8]}"
        return re.sub(r"[^\w.-]+", "_", readable)

    def arguments(self, data: Path | None = None) -> list[str]:
        """The command line after `rlgen`, without --out. `data`: folder of the demonstrations."""
        options = dict(self.options)
        if self.demos is not None:
            options["demos"] = located(self.demos, data)
            options |= {} if self.trajectories is None else {"trajectories": self.trajectories}
            options |= {} if self.stride == 1 else {"stride": self.stride}
        options |= {"seed": self.seed}
        return [*self.command.split(), *typed(options, data)]

    def resuming(self, run: Path) -> list[str]:
        """The command line, after `rlgen`, that continues its run."""
        module, colon, _ = self.command.partition(" ")[2].partition(":")
        return ["resume", str(run), *(["--import", module] if colon else [])]


def setting_of(task: str, trajectories: int | None) -> str:
    """Task and trajectories in words."""
    if trajectories is None:
        return task
    return f"{task}, {trajectories} trajector{'y' if trajectories == 1 else 'ies'}"


def typed(options: Options, data: Path | None = None) -> list[str]:
    """Options as they are typed: {"steps": 1e6, "video": False} is --steps 1000000 --no-video. `{data}` in a text is
    the folder of data."""
    words: list[str] = []
    for name, value in options.items():
        if isinstance(value, bool):
            before, dot, last = name.rpartition(".")
            words.append(f"--{name}" if value else f"--{before}{dot}no-{last}")
            continue
        values = value if isinstance(value, list | tuple) else [value]
        words += [f"--{name}", *(_word(each, data) for each in values)]
    return words


def _word(value: Any, data: Path | None) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() and abs(value) < 1e15 else repr(value)
    if isinstance(value, str) and "{data}" in value:
        if data is None:
            raise problem(f"a folder of data for {value!r}", "none", "give --data, or set RLGEN_DATA")
        return value.replace("{data}", str(data))
    return str(value)


def located(demos: str, data: Path | None) -> str:
    """Where the demonstrations of a protocol lie; ids of Minari stay."""
    if demos.startswith(MINARI):
        return demos
    if demos.startswith(SHIPPED):
        from rlgen.data.shipped import shipped_demonstrations

        return str(shipped_demonstrations(demos.removeprefix(SHIPPED)))
    found = Path(demos) if data is None or Path(demos).is_absolute() else data / demos
    if not found.exists():
        remedy = "give the folder that holds it as --data, or set RLGEN_DATA"
        raise problem(f"demonstrations at {found}", "no such file", remedy)
    return str(found.resolve())


def cells_of(protocol: Protocol, quick: bool = False) -> list[Cell]:
    """All cells, without identities. The first seed of everything comes first. `quick`: of the quick form."""
    chosen = protocol.quick if quick else None
    found = []
    for task in protocol.tasks:
        if chosen and chosen.tasks and name_of(task) not in chosen.tasks:
            continue
        names = [name for name in protocol.agents if not task.agents or name in task.agents]
        for name in names:
            if chosen and chosen.agents and name not in chosen.agents:
                continue
            found += list(_cells_on(protocol, task, name, quick))
    if not found:
        raise problem("a protocol with at least one cell", "none", "let a task have an agent and a seed")
    return sorted(found, key=lambda cell: seeds_of(protocol, cell.task, cell.agent, quick).index(cell.seed))


def seeds_of(protocol: Protocol, task: str, agent: str, quick: bool) -> tuple[int, ...]:
    """Seeds of an agent on a task: its own, else the task's, else the protocol's."""
    if quick:
        return protocol.quick.seeds
    tasks = [each.seeds for each in protocol.tasks if name_of(each) == task]
    return next(seeds for seeds in (protocol.agents[agent].seeds, *tasks, protocol.seeds) if seeds)


def _cells_on(protocol: Protocol, task: Task, name: str, quick: bool) -> Iterator[Cell]:
    agent = protocol.agents[name]
    options = _options(protocol, task, name, agent, quick)
    demonstrations: Sequence[Demos] = task.demos
    if quick and task.demos and protocol.quick.demos is not None:
        demonstrations = protocol.quick.demos
    shared: dict[str, Any] = {"task": name_of(task), "agent": name, "command": agent.command, "options": options}
    for seed in seeds_of(protocol, name_of(task), name, quick):
        if not demonstrations:
            yield Cell(**shared, seed=seed)
        for each in demonstrations:
            for number in each.trajectories or (None,):
                yield Cell(**shared, seed=seed, demos=each.file, trajectories=number, stride=each.stride)


def _options(protocol: Protocol, task: Task, name: str, agent: Agent, quick: bool) -> Options:
    """All options of a cell; the later ones count: protocol, task, agent, agent on the task, quick form."""
    options: Options = {"threads": 1, "video": False} if task.env else {"threads": 1}
    options |= {"env": task.env} if task.env else {}
    options |= protocol.options | task.options | agent.options | agent.on.get(name_of(task), {})
    if quick:
        options |= protocol.quick.options | protocol.quick.on.get(name, {})
    return options


def identified(
    cells: Sequence[Cell], resolve: Resolve, data: Path | None, version: str, margin_rule: str
) -> list[Cell]:
    """The cells with their identities. Raises `InputError` for options that rlgen refuses, and for two equal cells."""
    found: dict[str, Cell] = {}
    for cell in cells:
        try:
            resolved = resolve(cell.arguments(data))
        except ValueError as error:  # an InputError
            raise type(error)(f"{cell.setting}, agent {cell.agent}: {error}") from error
        identity = identity_of(resolved, version, margin_rule)
        if identity in found:
            got = f"{found[identity].agent} and {cell.agent} on {cell.setting}, seed {cell.seed}, which are the same"
            raise problem("cells that differ in a setting", got, "remove one of them from the protocol")
        found[identity] = replace(cell, id=identity)
    return list(found.values())


def identity_of(resolved: Resolved, version: str, margin_rule: str) -> str:
    """Hash of everything that determines the numbers of a cell: settings, contents of inputs, version, margin rule."""
    config = {name: value for name, value in resolved.config.items() if name != "out"}
    for name in resolved.inputs:
        if config.get(name) is not None and Path(str(config[name])).exists():
            config[name] = fingerprint(Path(str(config[name])))
    whole = {"config": config, "rlgen": version, "margin_rule": margin_rule}
    return hashlib.sha256(json.dumps(whole, sort_keys=True).encode()).hexdigest()[:IDENTITY]


def fingerprint(path: Path) -> str:
    """SHA-256 of a file, or of the names and contents of a folder's files."""
    files = [path] if path.is_file() else sorted(each for each in path.rglob("*") if each.is_file())
    parts = [
        (str(file.relative_to(path)), _digest(file, file.stat().st_size, file.stat().st_mtime_ns)) for file in files
    ]
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()


@cache
def _digest(path: Path, size: int, changed: int) -> str:
    """SHA-256 of a file; kept while its size and its time of change are the same."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
