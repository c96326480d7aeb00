"""The cells of a benchmark: one training each, with its command line."""

import json
import re
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from rlgen.bench.protocol import Agent, Demos, Options, Protocol, Task, name_of
from rlgen.errors import problem

SHIPPED = "shipped:"
MINARI = "minari:"
OF_CELLS = ("out", "seed", "help", "help-all", "quiet", "verbose")
"""Options that a protocol does not set: cells have their own."""
OF_DEMOS = ("demos", "trajectories", "stride")
"""Those of cells with demonstrations."""
JSON_OPTION = "env-kwargs"
"""Option whose value may be a table."""


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
        given = self.options.get("import", [])
        modules = [str(each) for each in (given if isinstance(given, list | tuple) else [given])]
        # A run folder imports nothing by itself; the protocol is the user's own word that these are trusted.
        for named in (self.command.partition(" ")[2], str(self.options.get("env", ""))):
            module, colon, _ = named.partition(":")
            modules += [module] if colon else []
        return ["resume", str(run), *(["--import", *dict.fromkeys(modules)] if modules else [])]


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
    if isinstance(value, dict):
        return json.dumps(value)
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
        remedy = f"give the folder that has {demos} in it as --data, or set RLGEN_DATA"
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
    _require_different_places(found)
    return sorted(found, key=lambda cell: seeds_of(protocol, cell.task, cell.agent, quick).index(cell.seed))


def _require_different_places(cells: Sequence[Cell]) -> None:
    """Raise `InputError` for two cells of one place in the tables, which would show them as one."""
    places = Counter((cell.setting, cell.agent, cell.seed) for cell in cells)
    (setting, agent, seed), number = places.most_common(1)[0]
    if number > 1:
        got = f"{number} of {agent} on {setting} with seed {seed}"
        remedy = "list seeds and trajectories once each; other demonstrations and strides are tasks of their own"
        raise problem("one cell for each task, number of trajectories, agent and seed", got, remedy)


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
    found = [protocol.options, task.options, agent.options, agent.on.get(name_of(task), {})]
    found += [protocol.quick.options, protocol.quick.on.get(name, {})] if quick else []
    for each in found:
        options |= dict(flat(each))
    own = [*OF_CELLS, *(OF_DEMOS if task.demos else ())]
    if taken := [f"--{each}" for each in own if each in options]:
        remedy = "leave it out: seeds, demos and --out decide it"
        raise problem(f"options that cells of {name_of(task)} do not have of themselves", taken[0], remedy)
    return options


def flat(options: Options, prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Options by their names on the command line: learner.n_steps = 8 of a table `learner` is learner.n-steps."""
    for name, value in options.items():
        typed_name = f"{prefix}{name.replace('_', '-')}"
        if isinstance(value, dict) and typed_name != JSON_OPTION:
            yield from flat(value, f"{typed_name}.")
        else:
            yield typed_name, value
