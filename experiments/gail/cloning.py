"""Behavioral cloning with the defaults of `rlgen train bc`, and plain regression, on six tasks.

    python experiments/gail/cloning.py --demos hopper.npz --env Hopper-v5 --trajectories 10 --seeds 10 11 12
    python experiments/gail/cloning.py --table

Each call adds its rows to cloning.csv: 50 episodes of the mean action from seed 10000 after each cloning. The table
goes to cloning.md. Demonstrations of Ant and Humanoid as for gail-2016; of the others 10 episodes of experts made by
`rlgen train rl` and recorded by `rlgen demos record` (README.md has the commands).
"""

import argparse
import csv
import time
from pathlib import Path

import torch
from stable_baselines3.common.utils import set_random_seed

from rlgen.agents import BC, BCConfig, LearnerConfig
from rlgen.agents.learner import make_model
from rlgen.data import Demonstrations
from rlgen.envs import make_vec
from rlgen.runs.evaluation import evaluate

HERE = Path(__file__).parent
CSV, TABLE = HERE / "cloning.csv", HERE / "cloning.md"
VARIANTS = {"default": BCConfig(), "plain": BCConfig(dropout=0, noise=0)}
EPISODES, SEED = 50, 10_000
FIELDS = (
    "env", "trajectories", "variant", "seed", "kept", "held_out_loss", "updates",
    "return_mean", "return_std", "demonstrations_return", "seconds",
)  # fmt: skip


def clone(env_id: str, demos: Demonstrations, variant: str, seed: int) -> dict[str, object]:
    """One row of the CSV."""
    set_random_seed(seed)
    steps = LearnerConfig.batch_size
    learner = LearnerConfig(hidden=(256, 256), n_steps=steps, schedule="constant")
    model = make_model(learner, make_vec(env_id, 1, seed=seed), seed, torch.device("cpu"))
    start = time.perf_counter()
    found = BC(model, demos, VARIANTS[variant]).learn()
    seconds = time.perf_counter() - start
    eval_env = make_vec(env_id, 10, seed=SEED)
    returns = evaluate(model, eval_env, EPISODES, seed=SEED, label=None).returns
    eval_env.close()
    return {
        "env": env_id,
        "variant": variant,
        "seed": seed,
        "kept": "regularised" if found.dropout or found.noise else "plain",
        "held_out_loss": f"{found.held_out_loss:.3g}",
        "updates": found.updates,
        "return_mean": f"{returns.mean():.1f}",
        "return_std": f"{returns.std():.1f}",
        "demonstrations_return": f"{demos.summary().return_mean:.1f}",
        "seconds": f"{seconds:.0f}",
    }


def add(rows: list[dict[str, object]]) -> None:
    new = not CSV.exists()
    with CSV.open("a", newline="") as file:
        writer = csv.DictWriter(file, FIELDS)
        if new:
            writer.writeheader()
        writer.writerows(rows)


def table() -> str:
    """Markdown: a line per task, the returns of every seed and what the default kept."""
    with CSV.open(newline="") as file:
        rows = list(csv.DictReader(file))
    lines = [
        "| task | trajectories | demonstrations | default, by seed | kept | plain regression, by seed |",
        "|---|---|---|---|---|---|",
    ]
    for env, trajectories in dict.fromkeys((row["env"], row["trajectories"]) for row in rows):
        cell = [row for row in rows if (row["env"], row["trajectories"]) == (env, trajectories)]
        by = {name: [row for row in cell if row["variant"] == name] for name in VARIANTS}
        digits = 1 if abs(float(cell[0]["demonstrations_return"])) < 10 else 0
        shown = {name: ", ".join(f"{float(row['return_mean']):.{digits}f}" for row in by[name]) for name in by}
        kept = ", ".join(row["kept"] for row in by["default"])
        expert = f"{float(cell[0]['demonstrations_return']):.{digits}f}"
        lines.append(f"| {env} | {trajectories} | {expert} | {shown['default']} | {kept} | {shown['plain']} |")
    return "\n".join(lines) + "\n"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--env")
    parser.add_argument("--demos", type=Path)
    parser.add_argument("--trajectories", type=int)
    parser.add_argument("--seeds", type=int, nargs="*", default=[10, 11, 12])
    parser.add_argument("--variants", nargs="*", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--table", action="store_true", help="write cloning.md from cloning.csv")
    given = parser.parse_args()
    torch.set_num_threads(1)
    if given.demos:
        demos = Demonstrations.load(given.demos).first(given.trajectories)
        for seed in given.seeds:
            for variant in given.variants:
                row = {**clone(given.env, demos, variant, seed), "trajectories": given.trajectories}
                add([row])
                print(*(row[name] for name in FIELDS), flush=True)
    if given.table:
        TABLE.write_text(table())


if __name__ == "__main__":
    main()
