"""Which divergence and which penalty imitate best: GAIL on HalfCheetah-v5, one choice changed at a time, three seeds.

    python experiments/gail/variants.py train --data DATA --runs runs/variants --jobs 2
    python experiments/gail/variants.py collect --runs runs/variants

DATA holds the demonstrations `HalfCheetah-v5_every20.npz`. The task has no early end, so that the sign of a reward does
not matter (docs/imitation_variants.md), only how well it teaches. `train` runs `rlgen train gail` with
its defaults except VARIANTS, one thread each; finished runs are skipped and stopped ones resumed, so it may
be interrupted. `collect` writes variants.csv (one row per run), variants.md, learning curves under curves/ and pictures
of some of them; rows of runs that are not in the folder stay unchanged.
"""

import argparse
import csv
from collections.abc import Callable, Iterator
from itertools import product
from pathlib import Path

from rlgen.equations.divergences import DIVERGENCES
from rlgen.reports import draw_curves
from rlgen.runs import Result, read_metrics
from rlgen.runs.batch import merge_rows, train_all
from rlgen.runs.scores import middle_of_runs

HERE = Path(__file__).parent
ENV, TRAJECTORIES, STEPS, SEEDS = "HalfCheetah-v5", 4, 3e5, range(20, 23)
NO_PENALTY = ["--gail.penalties.gradient", "0"]
BOUNDED = {"wasserstein": ["--gail.penalties.gradient", "10"]}
VARIANTS: dict[str, list[str]] = {  # name → what differs from the defaults
    **{f"divergence-{name}": ["--gail.discriminator.divergence", name, *BOUNDED.get(name, [])] for name in DIVERGENCES},
    "penalty-none": NO_PENALTY,
    "penalty-gradient-0": ["--gail.penalties.gradient-center", "0"],
    "penalty-r1": [*NO_PENALTY, "--gail.penalties.r1", "1"],
    "penalty-entropy": [*NO_PENALTY, "--gail.penalties.entropy", "1e-3"],
    "penalty-spectral": [*NO_PENALTY, "--gail.penalties.spectral-norm"],
    "penalty-historical": [*NO_PENALTY, "--gail.penalties.historical-average", "0.01"],
    "penalty-bottleneck": [*NO_PENALTY, "--gail.penalties.bottleneck", "0.5"],
    "penalty-quantize": [*NO_PENALTY, "--gail.penalties.quantize", "64"],
    "penalty-gradient-bottleneck": ["--gail.penalties.bottleneck", "0.5"],
    "penalty-gradient-quantize": ["--gail.penalties.quantize", "64"],
}
"""divergence-minimax is the recipe: with the gradient penalty of weight 1 towards 1."""
DRAWN = {
    "divergences": (
        "divergence-f_squared_hellinger", "divergence-hinge", "divergence-least_squares", "divergence-wasserstein",
        "divergence-minimax", "divergence-fairl",
    ),
    "penalties": (
        "divergence-minimax", "penalty-none", "penalty-historical", "penalty-spectral", "penalty-r1",
        "penalty-gradient-0",
    ),
}  # fmt: skip
"""Curves that share a picture."""
FIELDS = (
    "variant", "env", "trajectories", "seed", "env_steps", "wall_seconds", "return_mean", "return_std", "return_min",
    "expert_return", "random_return", "normalised_return", "device", "git_commit",
)  # fmt: skip
CURVE = {"step": "step", "evaluation/return_mean": "return_mean", "evaluation/return_std": "return_std"}


def planned(data: Path) -> dict[str, list[str]]:
    """Name of every run, and its command line after `rlgen`; the first seed of all variants comes first."""
    demos = ["--demos", str(data / f"{ENV}_every20.npz"), "--trajectories", str(TRAJECTORIES)]
    shared = ["--steps", f"{STEPS:g}", "--evaluate-every", "5e4", "--threads", "1", "--no-video"]
    return {
        f"{variant}-seed{seed}": ["train", "gail", "--env", ENV, *demos, *shared, "--seed", str(seed), *options]
        for seed, (variant, options) in product(SEEDS, VARIANTS.items())
    }


def collect(runs: Path) -> None:
    """variants.csv, variants.md and curves/: the finished runs, and those of the file that are not in `runs`."""
    found = []
    for path in sorted(runs.glob("*/result.json")):
        variant = path.parent.name.rpartition("-seed")[0]
        chosen = {"variant": variant, "trajectories": TRAJECTORIES}
        found.append({**Result.read(path.parent).row(), **chosen})
        write_curve(path.parent, HERE / "curves" / f"variant-{path.parent.name}.csv")
    rows = merge_rows(HERE / "variants.csv", found, FIELDS, key=("variant", "seed"))
    text = "\n".join(table(rows)) + "\n"
    (HERE / "variants.md").write_text(text)
    draw(runs)
    print(text)


def draw(runs: Path) -> None:
    """The learning curves named by `DRAWN`, if all of them are in `runs`."""
    for name, variants in DRAWN.items():
        found = {each: [run for run in sorted(runs.glob(f"{each}-seed*")) if run.is_dir()] for each in variants}
        if all(found.values()):
            draw_curves(found, HERE / f"variants-{name}.png")


def write_curve(run: Path, path: Path) -> None:
    """The evaluations during the training."""
    metrics = read_metrics(run)
    evaluated = metrics["evaluation/return_mean"] == metrics["evaluation/return_mean"]  # NaN elsewhere
    path.parent.mkdir(exist_ok=True)
    with path.open("w", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(CURVE.values())
        writer.writerows(zip(*(metrics[name][evaluated] for name in CURVE), strict=True))


def table(rows: list[dict]) -> Iterator[str]:
    """A line per variant, the best first within divergences and within penalties."""
    yield "| variant | seeds | return: mean | of each seed | normalised | minutes |"
    yield "|---|---|---|---|---|---|"
    groups = [[row for row in rows if row["variant"] == variant] for variant in VARIANTS]
    found = [group for group in groups if group]
    for group in sorted(found, key=lambda group: (group[0]["variant"].partition("-")[0], -score(group))):
        returns = [row["return_mean"] for row in group]
        yield (
            f"| {group[0]['variant']} | {len(group)} | {middle_of_runs(returns):.0f} "
            f"| {', '.join(f'{each:.0f}' for each in returns)} | {score(group):.3f} "
            f"| {sum(row['wall_seconds'] for row in group) / len(group) / 60:.1f} |"
        )


def score(group: list[dict]) -> float:
    """Middle of the normalised returns."""
    return middle_of_runs([row["normalised_return"] for row in group])


def main(
    description: str | None,
    planned: Callable[[Path], dict[str, list[str]]],
    collect: Callable[[Path], None],
    runs: Path,
) -> None:
    """The command line of a protocol: `planned` names its runs, `collect` makes tables of those in a folder."""
    parser = argparse.ArgumentParser(description=description, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=["train", "collect"])
    parser.add_argument("--data", type=Path, default=Path("data"), help="folder of the demonstrations")
    parser.add_argument("--runs", type=Path, default=runs, help="folder of the runs")
    parser.add_argument("--jobs", type=int, default=1, help="runs at a time")
    parser.add_argument("--only", default="", help="only runs whose name holds this text")
    chosen = parser.parse_args()
    if chosen.what == "collect":
        collect(chosen.runs)
        return
    commands = {name: arguments for name, arguments in planned(chosen.data).items() if chosen.only in name}
    failed = train_all(chosen.runs, commands, chosen.jobs)
    if failed:
        raise SystemExit(f"failed or stopped: {', '.join(failed)}")


if __name__ == "__main__":
    main(__doc__, planned, collect, Path("runs/variants"))
