"""The overhead of curiosity on PPO: environment steps per second with and without, in turns, in one process.

    .venv/bin/python experiments/benchmarks/curiosity_overhead.py --out results.csv

Learner, settings and task are those of `rlgen train explore`; every turn trains a new model for some rollouts,
of which the first one is not counted (it has no bonus and warms up). One torch thread. The overhead is the ratio of the
wall-clock times of a rollout with and without curiosity in the same turn.
"""

import csv
import os
import time
from dataclasses import asdict, dataclass, fields
from itertools import pairwise
from pathlib import Path
from statistics import median

import torch
import tyro
from rich.console import Console
from rich.table import Table
from stable_baselines3.common.callbacks import BaseCallback

from rlgen.agents import Explorer
from rlgen.agents.curiosities import CURIOSITIES
from rlgen.agents.learner import EXPLORATION, EXPLORATION_ENVS, make_model
from rlgen.envs import make_vec
from rlgen.rewards import ReturnNormalizer
from rlgen.system.versions import checkout_commit, cpu_name


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What to measure and how often."""

    tasks: tuple[str, ...] = ("rlgen/SparseHalfCheetah-v0", "rlgen/SparseAnt-v0", "rlgen/SparseHumanoid-v0")
    """Gymnasium ids."""
    kinds: tuple[str, ...] = ("none", *CURIOSITIES)
    """Curiosities, including none."""
    rollouts: int = 12
    """Number of rollouts, of 5,000 steps each, in each turn."""
    turns: int = 3
    """Number of trainings of each kind."""
    threads: int = 1
    """Number of threads that step the environments."""
    out: Path | None = None
    """CSV of every turn; None to print only."""


@dataclass(frozen=True)
class Turn:
    """One training."""

    task: str
    kind: str
    turn: int
    seconds_per_rollout: float
    steps_per_second: float
    overhead: float
    stepping_threads: int
    load_average: float
    cpu: str
    torch: str
    commit: str | None


class Clock(BaseCallback):
    """Start time of each rollout."""

    def __init__(self) -> None:
        super().__init__()
        self.times: list[float] = []

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        self.times.append(time.perf_counter())

    def _on_training_end(self) -> None:
        self.times.append(time.perf_counter())


def seconds_per_rollout(task: str, kind: str, protocol: Protocol, seed: int) -> float:
    """The median over the rollouts after the first."""
    env = make_vec(task, EXPLORATION_ENVS, seed=seed, n_threads=protocol.threads)
    model = make_model(EXPLORATION, env, seed)
    curiosities = [] if kind == "none" else [CURIOSITIES[kind]()]
    explorer, clock = Explorer(model, curiosities, scale=ReturnNormalizer(EXPLORATION.gamma, EXPLORATION_ENVS)), Clock()
    explorer.learn(protocol.rollouts * EXPLORATION.n_steps * EXPLORATION_ENVS, clock)
    env.close()
    times = clock.times[1:]
    return median(later - earlier for earlier, later in pairwise(times))


def measured(protocol: Protocol) -> list[Turn]:
    """All turns; in each one every kind once."""
    found = []
    steps, places = EXPLORATION.n_steps * EXPLORATION_ENVS, (cpu_name(), torch.__version__, checkout_commit())
    for task in protocol.tasks:
        for turn in range(protocol.turns):
            seconds = {kind: seconds_per_rollout(task, kind, protocol, turn) for kind in protocol.kinds}
            for kind, taken in seconds.items():
                over = taken / seconds["none"] - 1
                found.append(
                    Turn(task, kind, turn, taken, steps / taken, over, protocol.threads, os.getloadavg()[0], *places)
                )
    return found


def main(protocol: Protocol) -> None:
    torch.set_num_threads(1)
    found = measured(protocol)
    if protocol.out is not None:
        with protocol.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Turn)], lineterminator="\n")
            writer.writeheader()
            writer.writerows(asdict(turn) for turn in found)
    table = Table("task", "curiosity", "steps/s", "overhead: median (lowest to highest)")
    for task in protocol.tasks:
        for kind in protocol.kinds:
            group = [turn for turn in found if (turn.task, turn.kind) == (task, kind)]
            overheads = sorted(turn.overhead for turn in group)
            speed = median(turn.steps_per_second for turn in group)
            shown = f"{median(overheads):.1%} ({overheads[0]:.1%} to {overheads[-1]:.1%})"
            table.add_row(task, kind, f"{speed:,.0f}", shown)
    Console().print(table)


if __name__ == "__main__":
    main(tyro.cli(Protocol, description=__doc__))
