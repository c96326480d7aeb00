"""The file of `rlgen tune`: a benchmark's protocol with a table [tune], which names the options to choose."""

import tomllib
from collections.abc import Iterator, Sequence
from dataclasses import MISSING, dataclass, field, fields, is_dataclass, replace
from pathlib import Path
from typing import Any, Literal

from rlgen.bench.cells import Cell, cells_of, flat
from rlgen.bench.folder import PLAN
from rlgen.bench.identity import Resolve
from rlgen.bench.protocol import Agent, Options, Protocol
from rlgen.bench.protocol_file import parse_tables, text_of
from rlgen.bench.tune.space import Space
from rlgen.checks import at_least, one_of
from rlgen.errors import InputError, problem
from rlgen.runs.config import from_json
from rlgen.system.files import atomic_write

REMEDY = "correct [tune] (docs/tune.md describes it)"
FEWEST = 3
"""Fewest seeds of a trial: the luck of one or two would choose the winner."""
TAKEN = ("seed", "out", "env", "demos", "trajectories", "stride")
"""Options that the protocol sets itself."""
COPY = "tune.toml"
"""The file's copy in the folder of a search."""
DEFAULT, WINNER = "default", "winner"
"""Names of the two agents on fresh seeds."""


@dataclass(frozen=True, kw_only=True)
class Tune:
    """The table [tune]."""

    agent: str
    """Agent of the protocol whose options are chosen."""
    space: dict[str, Space]
    """Option of the command line → its values."""
    seeds: tuple[int, ...]
    """Seeds of every trial, three or more."""
    fresh_seeds: tuple[int, ...]
    """Other seeds, on which the winner and the defaults are compared at the end."""
    trials: int = 20
    """Number of trials; the first has the defaults, where the space contains them."""
    pruner: Literal["halving", "median", "none"] = "halving"
    """Rule that ends bad trials early: successive halving, the median of finished trials, or none."""
    curve: str = ""
    """Column of metrics.csv that the pruner follows during a training; by default that of the metric, if it has one."""
    seed: int = 0
    """Seed of the choice of options."""

    def __post_init__(self) -> None:
        at_least(self, 1, "trials")
        at_least(self, 0, "seed")
        one_of(self, "pruner", ("halving", "median", "none"))
        if not self.space:
            raise problem("an option in [tune.space]", "none", REMEDY)
        if len(set(self.seeds)) < FEWEST or len(set(self.seeds)) < len(self.seeds):
            raise problem(f"{FEWEST} or more different seeds of trials", str(list(self.seeds)), "add seeds")
        if not self.fresh_seeds or len(set(self.fresh_seeds)) < len(self.fresh_seeds):
            raise problem("different fresh_seeds, better five", str(list(self.fresh_seeds)), "add seeds")
        if shared := sorted(set(self.seeds) & set(self.fresh_seeds)):
            raise problem("fresh_seeds on which nothing was chosen", f"{shared} in seeds as well", "choose others")
        if taken := [name for name in self.space if name in TAKEN]:
            raise problem("options that the protocol does not set itself", taken[0], "take it out of [tune.space]")


@dataclass(frozen=True)
class TuneFile:
    """A protocol and its table [tune]."""

    protocol: Protocol
    tune: Tune
    text: str = field(repr=False)
    """The file itself."""

    @property
    def direction(self) -> Literal["high", "low"]:
        """Whether high or low values of the objective are good."""
        return "high" if self.normalized else self.protocol.metric_of(self.tune.agent).better

    @property
    def normalized(self) -> bool:
        """Whether the objective is of normalized scores, because there are several tasks."""
        return len(self.tasks) > 1 or sum(len(demos.trajectories or (0,)) for demos in self.tasks[0].demos) > 1

    @property
    def tasks(self) -> list[Any]:
        """The tasks of the agent."""
        return [task for task in self.protocol.tasks if not task.agents or self.tune.agent in task.agents]

    def agent(self, options: Options, seeds: Sequence[int]) -> Agent:
        """The agent with `options` on `seeds`."""
        own = self.protocol.agents[self.tune.agent]
        on = {task: {k: v for k, v in flat(each) if k not in options} for task, each in own.on.items()}
        return replace(own, options=dict(flat(own.options)) | options, on=on, seeds=tuple(seeds), metric=None, flags=())

    def protocol_of(self, agents: dict[str, Agent], title: str = "Tuning") -> Protocol:
        """The benchmark of these agents on the same tasks. It flags the seeds of the trials."""
        base = self.protocol
        return Protocol(
            title=f"{title} of {self.tune.agent}: {base.title}",
            tasks=tuple(replace(task, agents=(), seeds=()) for task in self.tasks),
            agents=agents,
            seeds=self.tune.fresh_seeds,
            tuned_on=self.tune.seeds,
            baseline=DEFAULT if DEFAULT in agents else "",
            metric=base.metric_of(self.tune.agent),
            options=base.options,
            figure=replace(base.figure, agents=()),
        )

    def cells_of(self, options: Options, seeds: Sequence[int], name: str) -> list[Cell]:
        """The cells of the agent with `options`, without identities, one seed after another."""
        return cells_of(self.protocol_of({name: self.agent(options, seeds)}))


def read_tune_file(path: Path) -> TuneFile:
    """The file. Raises `InputError` for what is no protocol with [tune], and for a space that cannot be searched."""
    text = text_of(path)
    try:
        content = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise problem(f"a protocol in TOML at {path}", str(error), "correct that line") from error
    table = content.get("tune")
    if not isinstance(table, dict):
        raise problem(f"a table [tune] in {path}", "a file without it", "add it (docs/tune.md describes it)")
    protocol = parse_tables({name: entry for name, entry in content.items() if name != "tune"}, str(path))
    try:
        found = TuneFile(protocol, _tune_of(table), text)
        _check(found)
    except InputError as error:
        raise InputError(f"{path}: {error}") from error
    return found


def _tune_of(table: dict[str, Any]) -> Tune:
    spaces = table.get("space", {})
    if isinstance(spaces, dict):
        spaces = dict(_flat(spaces))
        table = table | {"space": spaces}
    for name, entry in spaces.items() if isinstance(spaces, dict) else ():
        try:
            if not isinstance(entry, dict):
                raise problem("a table of a range or choices", repr(entry), 'write "option" = { low = .., high = .. }')
            from_json(Space, entry, REMEDY)
        except InputError as error:
            raise InputError(f"[tune.space] {name}: {error}") from error
    return from_json(Tune, table, REMEDY)


def _flat(spaces: dict[str, Any], prefix: str = "") -> Iterator[tuple[str, Any]]:
    """Spaces by the names of their options: learner.n_steps = { .. }, without quotes, is that of learner.n-steps."""
    for name, entry in spaces.items():
        option = f"{prefix}{name.replace('_', '-')}"
        if isinstance(entry, dict) and entry and all(isinstance(each, dict) for each in entry.values()):
            yield from _flat(entry, f"{option}.")
        else:
            yield option, entry


def _check(found: TuneFile) -> None:
    """Raise `InputError` for an unknown agent, and for several tasks that have no common scale."""
    agents = found.protocol.agents
    if found.tune.agent not in agents:
        raise problem(f"agent among {', '.join(agents)}", repr(found.tune.agent), "name one of these in [tune]")
    if not found.tasks:
        raise problem(f"a task with the agent {found.tune.agent}", "none", "add it to the agents of a task")
    without = [task.name or task.env for task in found.tasks if None in (task.random, task.expert)]
    if found.normalized and without:
        remedy = "add both values to the task, or tune on one task"
        raise problem("random and expert of each of several tasks, as a common scale", f"{without[0]} without", remedy)


def require_own(found: TuneFile, folder: Path) -> None:
    """Raise `InputError` if the folder is a benchmark's, or that of a search by another file; only the number of trials
    and the fresh seeds may change, since no trial depends on them."""
    path = folder / COPY
    if (folder / PLAN).is_file() and not path.is_file():
        got = "a benchmark's, whose plan and results the search would replace"
        raise problem(f"a new or empty folder at {folder}, or one of `rlgen tune`", got, "choose another --out")
    if path.is_file() and _settings(text_of(path)) != _settings(found.text):
        remedy = f"restore it, or take another folder with --out; the trials of {folder} were chosen by the first"
        expected = f"the file as it was when {folder} began, except for trials and fresh_seeds"
        raise problem(expected, "a changed one", remedy)


def keep(found: TuneFile, folder: Path) -> None:
    """Copy the file into the folder of the search."""
    atomic_write(folder / COPY, found.text)


def _settings(text: str) -> dict[str, Any]:
    content = tomllib.loads(text)
    content["tune"] = {k: v for k, v in content["tune"].items() if k not in ("trials", "fresh_seeds")}
    return content


def check_options(found: TuneFile, resolve: Resolve, data: Path | None) -> dict[str, Any]:
    """Raise `InputError` if the command refuses an end or a choice of a space. Returns the settings of the defaults."""
    (cell, *_) = found.cells_of({}, found.tune.seeds, DEFAULT)
    for name, space in found.tune.space.items():
        for value in space.samples:
            try:
                resolve(replace(cell, options=cell.options | {name: value}).arguments(data))
            except ValueError as error:
                raise InputError(f"[tune.space] {name} = {value}: {error}") from error
    return dict(resolve(cell.arguments(data)).config)


def protocol_text(protocol: Protocol) -> str:
    """The protocol as TOML, without the entries that have their defaults. Raises `InputError` without tomli-w."""
    try:
        import tomli_w
    except ImportError as error:
        raise problem("the package tomli-w, which writes protocols", str(error), "pip install 'rlgen[tune]'") from error
    return tomli_w.dumps(_as_toml(protocol))


def _as_toml(value: Any) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        own = {each: getattr(value, each.name) for each in fields(value)}
        return {each.name: _as_toml(entry) for each, entry in own.items() if entry != _default(each)}
    if isinstance(value, dict):
        return {name: _as_toml(entry) for name, entry in value.items()}
    return [_as_toml(entry) for entry in value] if isinstance(value, list | tuple) else value


def _default(entry: Any) -> Any:
    return entry.default if entry.default_factory is MISSING else entry.default_factory()
