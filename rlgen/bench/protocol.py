"""The protocol of a benchmark, a TOML file: tasks × demonstrations × agents × seeds, and how they are compared."""

import tomllib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.resources import files
from pathlib import Path
from typing import Any, Literal

from rlgen.checks import at_least, one_of
from rlgen.errors import InputError, problem
from rlgen.runs.config import from_json
from rlgen.system.files import atomic_write

Options = dict[str, Any]
"""Options of the command line by name, e.g. {"steps": 1e6, "learner.algorithm": "trpo", "video": False}."""
SUFFIX = ".toml"
FLAGS = ("best checkpoint", "tuned on these seeds", "restored simulator states")
"""What an agent may be flagged with; tables print it next to its name."""


@dataclass(frozen=True, kw_only=True)
class Demos:
    """Demonstrations of a task; every number of trajectories is a row of its own."""

    file: str
    """File below the folder of data, next to the protocol or by its full path; minari:NAME; or shipped:NAME."""
    trajectories: tuple[int, ...] = ()
    """Numbers of demonstrated episodes; empty for all of them, as one row."""
    stride: int = 1
    """Steps between the demonstrated steps that are kept."""

    def __post_init__(self) -> None:
        at_least(self, 1, "stride")
        if any(number < 1 for number in self.trajectories):
            raise problem("trajectories of at least 1", str(list(self.trajectories)), "leave them out for all")


@dataclass(frozen=True, kw_only=True)
class Task:
    """A task of the benchmark: an environment, or the data of an image model."""

    name: str = ""
    """Name in tables; by default that of the environment."""
    env: str = ""
    """Gymnasium id of the environment; empty for image models."""
    options: Options = field(default_factory=dict)
    """Options of the command line on this task."""
    demos: tuple[Demos, ...] = ()
    """Demonstrations; empty for a task without."""
    agents: tuple[str, ...] = ()
    """Agents on this task; by default all."""
    seeds: tuple[int, ...] = ()
    """Seeds on this task; by default those of the protocol."""
    random: float | None = None
    """Value with a normalized score of 0, where a run does not measure it."""
    expert: float | None = None
    """Value with a normalized score of 1, where a run does not measure it."""
    threshold: float | None = None
    """Value of the figure's curve whose first crossing counts as the time to success."""

    def __post_init__(self) -> None:
        if not self.name and not self.env:
            raise problem("a task with a name or an env", "neither", 'give it env = "Ant-v5" or name = "MNIST"')


@dataclass(frozen=True, kw_only=True)
class Metric:
    """What evaluates a cell: an entry of its result, or a statistic of a curve."""

    name: str = "return_mean"
    """Entry of result.json, or a column of metrics.csv."""
    take: Literal["result", "last", "fall"] = "result"
    """result: the entry of result.json; last: mean of the column over the last tenth of the training; fall: relative
    decrease from its first hundredth to its last tenth."""
    label: str = ""
    """Name in tables; by default `name`."""
    better: Literal["high", "low"] = "high"

    def __post_init__(self) -> None:
        one_of(self, "take", ("result", "last", "fall"))
        one_of(self, "better", ("high", "low"))

    @property
    def title(self) -> str:
        return self.label or self.name


@dataclass(frozen=True, kw_only=True)
class Agent:
    """An agent of the benchmark: a command and what differs from its defaults."""

    command: str
    """Command of rlgen, e.g. train gail."""
    options: Options = field(default_factory=dict)
    """Options on every task."""
    on: dict[str, Options] = field(default_factory=dict)
    """Further options on single tasks, by the task's name."""
    metric: Metric | None = None
    """What evaluates its cells; by default the protocol's metric."""
    goal: str = ""
    """Goal that was set before the runs, in words."""
    seeds: tuple[int, ...] = ()
    """Seeds of this agent; by default those of the task."""
    flags: tuple[str, ...] = ()
    """Caveats that tables print: best checkpoint, tuned on these seeds, restored simulator states."""

    def __post_init__(self) -> None:
        for flag in self.flags:
            if flag not in FLAGS:
                raise problem(f"flags among {', '.join(FLAGS)}", repr(flag), "choose one of these")


@dataclass(frozen=True, kw_only=True)
class Published:
    """A published number, printed next to ours."""

    task: str
    agent: str
    value: Any
    """The number, or a text such as 225 ± 2."""
    trajectories: int | None = None
    source: str = ""
    """Publication and protocol of the number."""


@dataclass(frozen=True, kw_only=True)
class Figure:
    """The curves of the page."""

    curve: str = "evaluation/return_mean"
    """Column of metrics.csv; one panel per task."""
    label: str = "return"
    agents: tuple[str, ...] = ()
    """Agents that are drawn; by default all."""


@dataclass(frozen=True, kw_only=True)
class Column:
    """A further column of the table: a statistic over the seeds of a line."""

    name: str
    """Column of results.csv."""
    label: str = ""
    """Heading; by default the name."""
    over: Literal["middle", "lowest", "median", "number"] = "middle"
    """middle: mean, from five seeds on interquartile mean; lowest; median with lowest and highest; number: seeds that
    have a value."""

    def __post_init__(self) -> None:
        one_of(self, "over", ("middle", "lowest", "median", "number"))


@dataclass(frozen=True, kw_only=True)
class Quick:
    """The quick form: what differs from the protocol, for a run of minutes that shows that all parts work."""

    tasks: tuple[str, ...] = ()
    """Tasks, by name; by default all."""
    agents: tuple[str, ...] = ()
    seeds: tuple[int, ...] = (0,)
    options: Options = field(default_factory=dict)
    """Options of every cell, over all others."""
    on: dict[str, Options] = field(default_factory=dict)
    """Options of the cells of single agents, over all others."""
    demos: tuple[Demos, ...] | None = None
    """Demonstrations of tasks that have some."""


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """A benchmark: every task with every agent and every seed is a cell."""

    title: str
    """Heading of tables and of the page."""
    tasks: tuple[Task, ...]
    agents: dict[str, Agent]
    """Agents by name."""
    seeds: tuple[int, ...] = (0, 1, 2)
    """Seeds of the trainings. Choose no setting on one of them."""
    tuned_on: tuple[int, ...] = ()
    """Seeds on which settings were chosen. Tables flag every cell with such a seed."""
    metric: Metric = field(default_factory=Metric)
    """What cells are evaluated by."""
    baseline: str = ""
    """Agent that the others are compared with; by default the first."""
    columns: tuple[Column, ...] = ()
    """Further columns of the table."""
    options: Options = field(default_factory=dict)
    """Options of every cell."""
    published: tuple[Published, ...] = ()
    figure: Figure = field(default_factory=Figure)
    quick: Quick = field(default_factory=Quick)

    def __post_init__(self) -> None:
        if not self.tasks or not self.agents or not self.seeds:
            raise problem("a protocol with tasks, agents and seeds", "none of one of them", "add it")
        names = [name_of(task) for task in self.tasks]
        for task in self.tasks:
            _known(task.agents, self.agents, "agents")
        for agent in self.agents.values():
            _known(agent.on, names, "tasks")
        for entry in self.published:
            _known([entry.task], names, "tasks")
            _known([entry.agent], self.agents, "agents")
        _known(self.quick.tasks, names, "tasks")
        named = [*self.quick.agents, *self.quick.on, *self.figure.agents, *([self.baseline] if self.baseline else [])]
        _known(named, self.agents, "agents")

    @property
    def baseline_agent(self) -> str:
        """Agent that the others are compared with."""
        return self.baseline or next(iter(self.agents))

    def metric_of(self, agent: str) -> Metric:
        found = self.agents.get(agent)
        return self.metric if found is None or found.metric is None else found.metric


def name_of(task: Task) -> str:
    """Name of a task in tables and in `on`."""
    return task.name or task.env


def _known(used: Sequence[str] | Mapping[str, Any], names: Sequence[str] | Mapping[str, Any], what: str) -> None:
    unknown = [name for name in used if name not in names]
    if unknown:
        raise problem(f"{what} among {', '.join(map(repr, names))}", repr(unknown[0]), "name one of these")


def suites() -> dict[str, Path]:
    """The shipped protocols by name."""
    folder = Path(str(files("rlgen.bench") / "suites"))
    return {path.stem: path for path in sorted(folder.glob(f"*{SUFFIX}"))}


def find_protocol(suite_or_file: str) -> Path:
    """The file of a shipped suite, or the given one. Raises `InputError` if there is neither."""
    found = suites()
    if suite_or_file in found:
        return found[suite_or_file]
    path = Path(suite_or_file)
    if path.is_dir() and (path / PROTOCOL).is_file():
        return path / PROTOCOL
    if not path.is_file():
        raise problem(
            f"a protocol file, or a suite among {', '.join(found)}", suite_or_file, "see `rlgen bench plan --help`"
        )
    return path


PROTOCOL = "protocol.toml"
"""The protocol's copy in the folder of a benchmark."""


def read_protocol(path: Path) -> Protocol:
    """The protocol of a file. Raises `InputError` for what is no TOML, and for unknown and missing entries."""
    return parse_protocol(text_of(path), str(path))


def parse_protocol(text: str, where: str = PROTOCOL) -> Protocol:
    """The protocol of a text; `where`: its place, for errors."""
    try:
        found = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise problem(f"a protocol in TOML at {where}", str(error), "correct that line") from error
    try:
        return from_json(Protocol, _with_short_forms(found), "correct the protocol (docs/benchmarks.md describes it)")
    except InputError as error:
        raise InputError(f"{where}: {error}") from error


def text_of(path: Path) -> str:
    """The text of a protocol. Raises `InputError` if it cannot be read."""
    try:
        return path.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise problem(f"a protocol in TOML at {path}", str(error), "give a text file") from error


def _with_short_forms(found: dict[str, Any]) -> dict[str, Any]:
    """`metric = "fid"` and `columns = ["fid"]` as tables, and one number of trajectories as a list."""
    for holder in [found, *_tables(found.get("agents"))]:
        if isinstance(holder.get("metric"), str):
            holder["metric"] = {"name": holder["metric"]}
    if isinstance(columns := found.get("columns"), list):
        found["columns"] = [{"name": each} if isinstance(each, str) else each for each in columns]
    for task in [*_tables(found.get("tasks")), *_tables([found.get("quick")])]:
        for demos in _tables(task.get("demos")):
            if isinstance(demos.get("trajectories"), int):
                demos["trajectories"] = [demos["trajectories"]]
    return found


def _tables(found: Any) -> list[dict[str, Any]]:
    items = found.values() if isinstance(found, dict) else found if isinstance(found, list) else []
    return [item for item in items if isinstance(item, dict)]


def keep_protocol(path: Path, folder: Path) -> None:
    """Copy the protocol into the folder of a benchmark."""
    atomic_write(folder / PROTOCOL, text_of(path))
