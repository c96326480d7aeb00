"""The exploration table: PPO and TRPO on sparse tasks, alone and with curiosity, several seeds.

    python experiments/vime/table.py train --runs runs/vime --jobs 2
    python experiments/vime/table.py collect --runs runs/vime

`train` runs `rlgen train explore` with its defaults except TASKS and ETA, one thread each; finished runs are
skipped and stopped ones resumed, so it may be interrupted. `collect` writes results.csv (one row per run), table.md, a
learning curve per run under curves/, a figure per task, and maps of visited states.
"""

import argparse
import csv
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from statistics import median

import numpy as np

from rlgen.reports import draw_curves, draw_visits
from rlgen.runs import Result, RunFolder, read_metrics
from rlgen.runs.batch import train_all
from rlgen.runs.scores import middle_of_runs, over_runs, over_runs_title

HERE = Path(__file__).parent
ALGORITHMS = ("ppo", "trpo")
CURIOSITIES = {  # name → what differs from the defaults
    "none": ["--curiosity", "none"],
    "l2": ["--curiosity", "l2"],
    "rnd": ["--curiosity", "rnd"],
    "vime": ["--curiosity", "vime"],
    "vime_to_0": ["--curiosity", "vime", "--final-eta", "0"],  # η falls to 0
}
COMPARED = ("none", "l2", "rnd", "vime")
LAST = 0.1  # share of the training whose returns are its result
POINTS = 100  # of a committed curve
FIELDS = (
    "env", "algo", "curiosity", "seed", "env_steps", "wall_seconds", "training_return", "return_mean", "return_std",
    "return_min", "first_reward_step", "cells_visited", "peak_memory_mb", "device", "git_commit",
)  # fmt: skip
COLUMNS = {"rollout/ep_rew_mean": "return", "coverage/cells": "cells", "coverage/rewarded": "rewarded"}


@dataclass(frozen=True)
class Task:
    """Environment steps and seeds of a task. No setting was chosen on one of these seeds."""

    env: str
    steps: float
    seeds: Sequence[int]
    curiosities: Sequence[str] = COMPARED
    algorithms: Sequence[str] = ALGORITHMS


TASKS = (  # in the order in which they are trained
    Task("rlgen/SparseHalfCheetah-v0", 3e6, range(20, 23), tuple(CURIOSITIES)),
    Task("rlgen/SparseMountainCar-v0", 2e5, range(20, 25)),
    Task("rlgen/SparseCartPoleSwingup-v0", 5e5, range(20, 25)),
    Task("rlgen/SparseAnt-v0", 1e6, range(20, 21), ("none", "vime"), ("ppo",)),
    Task("rlgen/SparseHumanoid-v0", 1e6, range(20, 21), ("none", "vime"), ("ppo",)),
    Task("rlgen/SparseHalfCheetah-v0", 3e6, range(23, 25), tuple(CURIOSITIES)),
)


def planned() -> dict[str, list[str]]:
    """Name of every run, and its command line after `rlgen`."""
    runs = {}
    for task in TASKS:
        for seed, algo, curiosity in product(task.seeds, task.algorithms, task.curiosities):
            arguments = ["train", "explore", "--env", task.env, "--learner.algorithm", algo, *CURIOSITIES[curiosity]]
            arguments += ["--steps", f"{task.steps:g}", "--seed", str(seed), "--threads", "1", "--no-video"]
            arguments += ["--evaluate-every", "0", "--checkpoint-every", "5e5"]
            runs[f"{short(task.env)}-{algo}-{curiosity}-seed{seed}"] = arguments
    return runs


def short(env: str) -> str:
    """SparseAnt of rlgen/SparseAnt-v0."""
    return env.partition("/")[2].removesuffix("-v0")


def collect(runs: Path) -> None:
    """results.csv, table.md, curves/ and figures of the runs that are finished."""
    rows = []
    for path in sorted(runs.glob("*/result.json")):
        config = RunFolder.open(path.parent).config
        metrics = read_metrics(path.parent)
        returns = metrics["rollout/ep_rew_mean"][metrics["step"] > (1 - LAST) * config["steps"]]
        curiosity = config["curiosity"] + ("_to_0" if config.get("final_eta") == 0 else "")
        chosen = {
            "algo": config["learner"]["algorithm"],
            "curiosity": curiosity,
            "training_return": np.nanmean(returns),
        }
        rows.append({**Result.read(path.parent).row(), **chosen})
        write_curve(metrics, HERE / "curves" / f"{path.parent.name}.csv")
    rows.sort(key=lambda row: (order(row), row["seed"]))
    with (HERE / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, extrasaction="ignore", lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    text = "\n".join(table(rows)) + "\n"
    (HERE / "table.md").write_text(text)
    print(text)
    for env in {task.env: None for task in TASKS}:
        draw(runs, env)


def order(row: dict) -> tuple[int, int, int]:
    """Place of a cell in the table."""
    env = [task.env for task in TASKS].index(row["env"])
    return env, ALGORITHMS.index(row["algo"]), list(CURIOSITIES).index(row["curiosity"])


def write_curve(metrics: dict[str, np.ndarray], path: Path) -> None:
    """Some of the rows, and the columns of the table with the bonuses."""
    bonuses = {name: name.partition("/")[2] for name in metrics if name.endswith(("/bonus_50", "/bonus_90"))}
    columns = {"step": "step", **{name: to for name, to in (COLUMNS | bonuses).items() if name in metrics}}
    kept = np.unique(np.linspace(0, len(metrics["step"]) - 1, POINTS).round().astype(int))
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(columns.values())
        for index in kept:
            writer.writerow([f"{metrics[name][index]:.6g}" for name in columns])


def table(rows: list[dict]) -> Iterator[str]:
    """A line per cell."""
    sizes = [sum(order(row) == place for row in rows) for place in {order(row) for row in rows}]
    yield (
        f"| task | learner | curiosity | seeds | return while training: {over_runs_title(sizes)} | of each seed "
        "| return of the deterministic policy | seeds ever paid | first paid at step: median (range) | cells "
        "| minutes |"
    )
    yield "|---|---|---|---|---|---|---|---|---|---|---|"
    for place in sorted({order(row) for row in rows}):
        group = [row for row in rows if order(row) == place]
        first = group[0]
        returns = [row["training_return"] for row in group]
        digits = 2 if max(returns) <= 1 else 1
        over = over_runs(returns, lambda value, digits=digits: f"{value:.{digits}f}")
        paid = sorted(row["first_reward_step"] for row in group if row["first_reward_step"] is not None)
        when = f"{median(paid):,.0f} ({paid[0]:,} to {paid[-1]:,})" if paid else "–"
        yield (
            f"| {short(first['env'])} | {first['algo'].upper()} | {first['curiosity']} | {len(group)} "
            f"| {over} | {', '.join(f'{each:.{digits}f}' for each in returns)} "
            f"| {middle_of_runs([row['return_mean'] for row in group]):.{digits}f} | {len(paid)} | {when} "
            f"| {middle_of_runs([row['cells_visited'] for row in group]):,.0f} "
            f"| {sum(row['wall_seconds'] for row in group) / len(group) / 60:.1f} |"
        )


def draw(runs: Path, env: str) -> None:
    """Learning curves of each learner on a task, and the states that PPO visits."""
    for algo in ALGORITHMS:
        groups: dict[str, list[Path]] = {}
        for curiosity in CURIOSITIES:
            found = sorted(runs.glob(f"{short(env)}-{algo}-{curiosity}-seed*/result.json"))
            if found:
                groups[f"{algo.upper()}, {curiosity}"] = [path.parent for path in found]
        if groups:
            draw_curves(groups, HERE / f"{short(env)}-{algo}.png")
        if groups and algo == "ppo":
            draw_visits(groups, HERE / f"{short(env)}-visits.png", title=f"Visited states of {short(env)}")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "collect"])
    parser.add_argument("--runs", type=Path, default=Path("runs/vime"), help="folder of the runs")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--only", default="", help="only runs whose name holds this text")
    chosen = parser.parse_args()
    if chosen.what == "collect":
        collect(chosen.runs)
        return
    failed = train_all(
        chosen.runs, {name: arguments for name, arguments in planned().items() if chosen.only in name}, chosen.jobs
    )
    if failed:
        raise SystemExit(f"failed or stopped: {', '.join(failed)}")


if __name__ == "__main__":
    main()
