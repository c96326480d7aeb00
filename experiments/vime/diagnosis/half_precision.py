"""What a replay buffer of float16 would keep of the changes that curiosities learn from.

    python half_precision.py --out half_precision.csv

1,000 steps of 8 environments with random actions. Columns: `observed`, the numbers of the task that a curiosity sees;
`error`, the root mean square error of a step's changes if both observations had been kept as float16, over the root
mean square of these changes, as the median over the observed numbers and the largest of them; `lost`, the share of
changes other than 0 that would be 0.
"""

import argparse
import csv
from pathlib import Path

import numpy as np

from rlgen.envs import make_vec
from rlgen.envs.registry import OBSERVED

TASKS = ("rlgen/SparseMountainCar-v0", "rlgen/SparseHalfCheetah-v0", "rlgen/SparseAnt-v0", "rlgen/SparseHumanoid-v0")
N_ENVS, STEPS = 8, 1_000


def row(task: str) -> dict[str, object]:
    env = make_vec(task, N_ENVS, seed=0)
    rng = np.random.default_rng(0)
    space, pairs = env.action_space, []
    before = env.reset()
    for _ in range(STEPS):
        after, _, done, _ = env.step(rng.uniform(space.low, space.high, (N_ENVS, *space.shape)).astype(np.float32))
        pairs += [(one, other) for one, other, ended in zip(before, after, done, strict=True) if not ended]
        before = after.copy()
    env.close()
    seen = list(OBSERVED.get(task) or range(before.shape[1]))
    first, second = (np.stack(each)[:, seen].astype(np.float64) for each in zip(*pairs, strict=True))
    changes, kept = second - first, second.astype(np.float16).astype(float) - first.astype(np.float16).astype(float)
    moves = changes.std(0) > 0
    size = np.sqrt(np.square(changes[:, moves]).mean(0))
    error = np.sqrt(np.square(kept - changes)[:, moves].mean(0)) / size
    lost = ((kept == 0) & (changes != 0)).sum() / (changes != 0).sum()
    return {
        "task": task,
        "observed": len(seen),
        "error_median": f"{np.median(error):.3g}",
        "error_largest": f"{error.max():.3g}",
        "lost": f"{lost:.3g}",
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, required=True)
    rows = [row(task) for task in TASKS]
    with parser.parse_args().out.open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
