"""The imitation table: BC and GAIL on Ant-v5 and Humanoid-v5 from few and from many trajectories, several seeds.

    python experiments/gail/table.py train --data DATA --runs runs/gail --jobs 2
    python experiments/gail/table.py collect --runs runs/gail

DATA holds the demonstrations `Ant-v5_every20.npz` and `Humanoid-v5_every20.npz` (every 20th pair of each episode, by
the released experts of Ho & Ermon 2016). `train` runs the command line of rlgen with its defaults except SETTINGS,
`--jobs` runs at a time with one stepping thread each; finished runs are skipped and stopped ones resumed, so it may be
interrupted.
`collect` writes results.csv (one row per run), table.md, a learning curve per run under curves/ and a figure per task.
"""

import argparse
import csv
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from rlgen.reports import draw_curves
from rlgen.runs import Result
from rlgen.runs.batch import train_all
from rlgen.runs.scores import middle_of_runs, over_runs, over_runs_title

HERE = Path(__file__).parent
FIELDS = (
    "env", "agent", "trajectories", "seed", "env_steps", "wall_seconds", "return_mean", "return_std", "return_min",
    "episode_length_mean", "terminated", "expert_return", "random_return", "normalised_return", "peak_memory_mb",
    "device", "git_commit",
)  # fmt: skip
STEPS = 1e6  # of the environment
EXPERT = {"Ant-v5": 4704.0, "Humanoid-v5": 9156.0}  # mean return of all demonstrated episodes
SETTINGS = {"Ant-v5": [], "Humanoid-v5": ["--learner.initial-std", "0.34"]}  # what differs from the defaults
PAPER = {  # Ho & Ermon 2016, returns of the authors' result files (mean of 53 episodes): trajectories -> BC, GAIL
    ("Ant-v5", 4): (1612, 3187),
    ("Ant-v5", 25): (3236, 4133),
    ("Humanoid-v5", 80): (1397, 10201),
    ("Humanoid-v5", 240): (5661, 10362),
}


@dataclass(frozen=True)
class Cell:
    """One run of the table."""

    env: str
    agent: str
    trajectories: int
    seed: int
    steps: float

    @property
    def name(self) -> str:
        return f"{self.env}-{self.agent}-{self.trajectories}-seed{self.seed}"

    def arguments(self, data: Path) -> list[str]:
        """Its command line, after `rlgen` and without the folder."""
        arguments = ["train", self.agent, "--env", self.env, "--demos", str(data / f"{self.env}_every20.npz")]
        arguments += ["--trajectories", str(self.trajectories), "--seed", str(self.seed)]
        arguments += ["--threads", "1", "--no-video"]
        if self.agent == "gail":
            arguments += SETTINGS[self.env]
            arguments += ["--steps", f"{self.steps:g}", "--evaluate-every", "2e5"]
        return arguments


def cells(seeds: int) -> list[Cell]:
    """All seeds of the first two rows, which carry the claims, come first."""
    tasks = [("Ant-v5", 4), ("Humanoid-v5", 80), ("Ant-v5", 1), ("Humanoid-v5", 240), ("Ant-v5", 25)]
    gail = [Cell(env, "gail", n, seed, STEPS) for env, n in tasks for seed in range(seeds)]
    return gail + [Cell(env, "bc", n, seed, 0) for env, n in tasks for seed in range(seeds)]


def collect(runs: Path) -> None:
    """results.csv, table.md, curves/ and figures of the runs that are finished."""
    rows = []
    for path in sorted(runs.glob("*/result.json")):
        config = json.loads((path.parent / "config.json").read_text())
        rows.append({**Result.read(path.parent).row(), "trajectories": config["trajectories"]})
        if config["agent"] == "gail":
            write_curve(path.parent / "metrics.csv", HERE / "curves" / f"{path.parent.name}.csv")
    rows.sort(key=lambda row: (row["env"], row["trajectories"], row["agent"], row["seed"]))
    with (HERE / "results.csv").open("w", newline="") as file:
        writer = csv.DictWriter(file, FIELDS, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)
    text = table(rows)
    (HERE / "table.md").write_text(text)
    print(text)
    for env in EXPERT:
        draw(runs, env)


def write_curve(metrics: Path, path: Path) -> None:
    """The rows of metrics.csv that hold an evaluation, and only its columns."""
    with metrics.open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row.get("evaluation/return_mean")]
    names = (
        ["step", *(name for name in rows[0] if name.startswith("evaluation/")), "time/training_seconds"] if rows else []
    )
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.DictWriter(file, names, extrasaction="ignore")
        writer.writeheader()
        writer.writerows(rows)


def table(rows: list[dict]) -> str:
    """Per cell over its seeds: return, score, worst episode, share ended by the task, minutes, the paper's number."""
    groups = {
        key: [row for row in rows if (row["env"], row["trajectories"], row["agent"]) == key]
        for key in sorted({(row["env"], row["trajectories"], row["agent"]) for row in rows})
    }
    lines = [
        f"| task | trajectories | agent | seeds | return: {over_runs_title([len(group) for group in groups.values()])} "
        "| normalised | worst episode | ended by the task | minutes | paper |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for key, group in groups.items():
        minutes = sum(row["wall_seconds"] for row in group) / len(group) / 60
        ended = sum(row["terminated"] for row in group) / len(group)
        paper = PAPER.get(key[:2])
        returns = over_runs([row["return_mean"] for row in group], lambda value: f"{value:.0f}")
        score = middle_of_runs([row["normalised_return"] for row in group])
        lines.append(
            f"| {key[0]} | {key[1]} | {key[2].upper()} | {len(group)} | {returns} | {score:.3f} "
            f"| {min(row['return_min'] for row in group):.0f} | {ended:.1%} | {minutes:.1f} "
            f"| {paper[key[2] == 'gail'] if paper else '–'} |"
        )
    return "\n".join(lines) + "\n"


def draw(runs: Path, env: str) -> None:
    """Learning curves of a task's GAIL runs, grouped by trajectories."""
    groups: dict[str, list[Path]] = {}
    for path in sorted(runs.glob(f"{env}-gail-*/result.json")):
        groups.setdefault(
            f"{json.loads((path.parent / 'config.json').read_text())['trajectories']} trajectories", []
        ).append(path.parent)
    if groups:
        ordered = dict(sorted(groups.items(), key=lambda group: int(group[0].split()[0])))
        draw_curves(ordered, HERE / f"{env}.png", {"demonstrations": EXPERT[env]})


def command_line(
    description: str, planned: Callable[[int], Sequence[Cell]], collect: Callable[[Path], None], runs: Path, seeds: int
) -> None:
    """`train` the planned runs of so many seeds, or `collect` those that are finished."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "collect"])
    parser.add_argument("--data", type=Path, default=os.environ.get("RLGEN_DATA"), help="folder of the demonstrations")
    parser.add_argument("--runs", type=Path, default=runs, help="folder of the runs")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--seeds", type=int, default=seeds, help="seeds of everything planned")
    parser.add_argument("--only", default="", help="only runs whose name holds this text")
    args = parser.parse_args()
    if args.what == "collect":
        return collect(args.runs)
    if args.data is None:
        parser.error("--data: where are the demonstrations?")
    chosen = [cell for cell in planned(args.seeds) if args.only in cell.name]
    train_all(args.runs, {cell.name: cell.arguments(Path(args.data)) for cell in chosen}, args.jobs)


if __name__ == "__main__":
    command_line(str(__doc__), cells, collect, Path("runs/gail"), seeds=3)
