"""A small protocol, finished cells, and a cache of measurements that is not the user's."""

from collections.abc import Sequence
from pathlib import Path

import matplotlib.font_manager  # noqa: F401  (reads its cache of fonts, before a test has another cache folder)
import pytest

import rlgen
from rlgen.agents.commands.bench_planning import margin_rule, resolved
from rlgen.bench import figures
from rlgen.bench.cells import Cell, cells_of
from rlgen.bench.folder import BenchFolder, Plan
from rlgen.bench.identity import Resolved, identified
from rlgen.bench.protocol_file import parse_protocol
from rlgen.bench.rows import Results, Row, write_rows
from rlgen.reports.page import Figure
from rlgen.reports.panels import LIGHT
from rlgen.runs.folder import RunFolder
from rlgen.runs.metrics import Metrics
from rlgen.runs.result import Result, Returns

TINY = """
title = "Two learners on the pendulum"
seeds = [0, 1]
tuned_on = [1]

[options]
steps = 64
n-envs = 1
"learner.n-steps" = 32
evaluate-every = 0
episodes = 1

[[tasks]]
env = "Pendulum-v1"
expert = -150.0

[agents.ppo]
command = "train rl"

[agents.a2c]
command = "train rl"
options = { "learner.algorithm" = "a2c" }

[[published]]
task = "Pendulum-v1"
agent = "ppo"
value = -172.2
source = "a paper"

[figure]
curve = "rollout/ep_rew_mean"
"""


@pytest.fixture(autouse=True)
def own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))


@pytest.fixture(autouse=True)
def one_picture(monkeypatch: pytest.MonkeyPatch) -> None:
    """Figures for light and wide screens alone, to save seconds."""

    def drawn(draw: figures.Draw, words: str) -> Figure:
        picture = figures._png(draw, LIGHT, figures.WIDE)
        return Figure.of(picture, picture, words)

    monkeypatch.setattr(figures, "pictured", drawn)


def typed_options(arguments: Sequence[str]) -> Resolved:
    """A stand-in for the command line's settings: the words themselves."""
    return Resolved({"words": list(arguments)}, ())


def plan_of(text: str, cells: Sequence[Cell] | None = None) -> Plan:
    found = cells_of(parse_protocol(text)) if cells is None else cells
    identities = identified(found, typed_options, None, "0.1.0", "native")
    return Plan(rlgen="0.1.0", margin_rule="native", quick=False, data=None, cells=tuple(identities))


def real_plan_of(text: str) -> Plan:
    """The plan whose identities are those of this rlgen, for trainings that check them."""
    rule = margin_rule()
    cells = identified(cells_of(parse_protocol(text)), resolved, None, rlgen.__version__, rule)
    return Plan(rlgen=rlgen.__version__, margin_rule=rule, quick=False, data=None, cells=tuple(cells))


@pytest.fixture
def tiny(tmp_path: Path) -> BenchFolder:
    """A prepared benchmark of four cells."""
    return BenchFolder.prepare(tmp_path / "bench", TINY, plan_of(TINY))


def finish(folder: BenchFolder, index: int, value: float, cpu: str = "one") -> None:
    """Finish a cell with a mean return."""
    cell = folder.plan.cells[index]
    run = RunFolder.create(folder.run_of(cell), {"agent": "rl", "seed": cell.seed, "steps": 100})
    text = (run / "versions.json").read_text().replace('"cpu": "', f'"cpu": "{cpu} ')
    (run / "versions.json").write_text(text)
    with Metrics(run, tensorboard=False) as metrics:
        for step in (10, 50, 95, 100):
            metrics(step, {"rollout/ep_rew_mean": value + step})
    returns = Returns(
        env="Pendulum-v1", return_mean=value, return_std=1.0, return_min=value - 1, return_max=value + 1,
        episode_length_mean=200.0, episodes=50, terminated=0.0, evaluation_seed=10_000, random_return=-1200.0,
    )  # fmt: skip
    Result(agent="rl", seed=cell.seed, steps=100, wall_seconds=60.0, returns=returns).write(run)


def rows_of(task: str, agent: str, values: Sequence[float | None], **columns: object) -> list[Row]:
    """Rows of finished cells, with the seeds 0, 1, … and a score that is the value."""
    return [
        {
            "cell": f"{task}{agent}{seed}", "task": task, "trajectories": None, "agent": agent, "seed": seed,
            "metric": "return_mean", "value": value, "score": value, "rlgen": "0.1.0", "margin_rule": "native",
            **columns,
        }
        for seed, value in enumerate(values)
    ]  # fmt: skip


def results_folder(path: Path, protocol: str, rows: Sequence[Row]) -> Path:
    """A benchmark of which only protocol.toml and results.csv are left."""
    path.mkdir()
    (path / "protocol.toml").write_text(protocol)
    write_rows(path / "results.csv", Results(list(rows)).rows)
    return path
