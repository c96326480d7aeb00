"""The protocol of a benchmark, a TOML file: tasks × demonstrations × agents × seeds, and how they are compared."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal

from rlgen.checks import at_least, one_of
from rlgen.errors import problem

Options = dict[str, Any]
"""Options of the command line by name, e.g. {"steps": 1e6, "learner.algorithm": "trpo", "video": False}."""
LONGEST = 100
"""Characters of a name: files are named after it."""
FORMULAS = "=+-@"
"""First signs of a name that make spreadsheets run it when they open results.csv."""
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
    """Value of the figure's curve whose first crossing counts as the time to success: from below, or from above if low
    values of the protocol's metric are better."""

    def __post_init__(self) -> None:
        if not self.name and not self.env:
            raise problem("a task with a name or an env", "neither", 'give it env = "Ant-v5" or name = "MNIST"')
        require_name("task", name_of(self))
        for name in ("random", "expert", "threshold"):
            value = getattr(self, name)
            if value is not None and not math.isfinite(value):
                what, remedy = f"a finite {name} of the task {name_of(self)}", "leave it out if it is unknown"
                raise problem(what, str(value), remedy)


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
        if not self.name:
            raise problem("the name of a metric", "an empty one", "name an entry of result.json, e.g. return_mean")
        require_name("metric", self.title)
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
        if not self.title.isprintable():
            remedy = "write it without line breaks and control characters"
            raise problem("a title of one line", repr(self.title), remedy)
        names = [name_of(task) for task in self.tasks]
        twice = [name for name in names if names.count(name) > 1]
        if twice:
            raise problem("tasks with names of their own", f"{twice[0]!r} twice", "add name = to one of them")
        for name in self.agents:
            require_name("agent", name)
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


def require_name(what: str, name: str) -> None:
    """Raise `InputError` for a name that tables, files or spreadsheets do not show as it is."""
    if not name or not name.isprintable() or name != name.strip() or len(name) > LONGEST:
        got, remedy = repr(name[:LONGEST]), f"use 1 to {LONGEST} printable characters, without spaces around them"
        raise problem(f"a name of the {what} that tables can show", got, remedy)
    if name[0] in FORMULAS:
        got = f"{name!r}, which spreadsheets take for a formula"
        raise problem(f"a name of the {what} that begins with a letter or a number", got, "choose another name")
