"""GAIL on other simulators: MuJoCo Warp instead of C MuJoCo, and a GPU's shape of rollouts, on a CPU.

    python experiments/gail/worlds.py train --data DATA --runs runs/worlds --jobs 2
    python experiments/gail/worlds.py collect --runs runs/worlds

DATA holds the demonstrations `ENV_every20.npz`, of which 4 trajectories are imitated. WAYS differ from the defaults of
`rlgen train gail` only by their options: `warp` steps with MuJoCo Warp; `wide` has the rollouts that docs/gpu.md uses
on a GPU, 24 steps in very many environments, with C MuJoCo on threads. `train` may be interrupted. `collect` writes
worlds.csv (one row per run), worlds.md and a learning curve per run under curves/.
"""

from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

from variants import main, write_curve

from rlgen.runs import Result
from rlgen.runs.batch import merge_rows
from rlgen.runs.scores import middle_of_runs

HERE, TRAJECTORIES = Path(__file__).parent, 4
WAYS = {
    "warp": ["--backend", "warp", "--device", "cpu"],
    "wide": ["--n-envs", "1024", "--learner.n-steps", "24", "--learner.batch-size", "4096"],
}
PLANNED = {  # way, task: environment steps, seeds, steps between evaluations
    ("warp", "HalfCheetah-v5"): ("3e5", (20, 21, 22), "5e4"),
    ("warp", "Ant-v5"): ("1e6", (0, 1, 2), "2e5"),
    ("wide", "HalfCheetah-v5"): ("3e6", (20,), "2e5"),
    ("wide", "Ant-v5"): ("3e6", (0,), "2e5"),
}
FIELDS = (
    "way", "env", "trajectories", "seed", "env_steps", "wall_seconds", "return_mean", "return_std", "return_min",
    "terminated", "expert_return", "random_return", "normalised_return", "backend", "device", "git_commit",
)  # fmt: skip


def planned(data: Path) -> dict[str, list[str]]:
    """Name of every run, and its command line after `rlgen`."""
    commands = {}
    for (way, env), (steps, seeds, between) in PLANNED.items():
        demos = ["--demos", str(data / f"{env}_every20.npz"), "--trajectories", str(TRAJECTORIES)]
        shared = ["--steps", steps, "--evaluate-every", between, "--threads", "1", "--no-video", *WAYS[way]]
        for seed in seeds:
            commands[f"{way}-{env}-seed{seed}"] = [
                "train", "gail", "--env", env, *demos, "--seed", str(seed), *shared,
            ]  # fmt: skip
    return commands


def collect(runs: Path) -> None:
    """worlds.csv, worlds.md and curves/: the finished runs, and those of the file that are not in `runs`."""
    found = []
    for path in sorted(runs.glob("*/result.json")):
        way = path.parent.name.partition("-")[0]
        found.append({**Result.read(path.parent).row(), "way": way, "trajectories": TRAJECTORIES})
        write_curve(path.parent, HERE / "curves" / f"{path.parent.name}.csv")
    rows = merge_rows(HERE / "worlds.csv", found, FIELDS, key=("way", "env", "seed"))
    text = "\n".join(table(rows)) + "\n"
    (HERE / "worlds.md").write_text(text)
    print(text)


def table(rows: list[dict]) -> Iterator[str]:
    """A line for each way on each task."""
    yield "| way | task | steps | seeds | return: mean | by seed | ended by the task | normalised | minutes |"
    yield "|---|---|---|---|---|---|---|---|---|"

    def key(row: dict) -> tuple[str, str]:
        return row["way"], row["env"]

    for (way, env), group in groupby(sorted(rows, key=key), key):
        runs = list(group)
        returns = [row["return_mean"] for row in runs]
        ended, minutes, normalised = (
            sum(row[name] for row in runs) / len(runs) for name in ("terminated", "wall_seconds", "normalised_return")
        )
        yield (
            f"| {way} | {env} | {runs[0]['env_steps']:,} | {len(runs)} | {middle_of_runs(returns):.0f} "
            f"| {', '.join(f'{each:.0f}' for each in returns)} | {ended:.1%} | {normalised:.3f} | {minutes / 60:.1f} |"
        )


if __name__ == "__main__":
    main(__doc__, planned, collect, Path("runs/worlds"))
