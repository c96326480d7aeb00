"""How often white noise is rewarded: the share of a sparse task that needs no exploration.

python experiments/benchmarks/noise_on_sparse_tasks.py

Actions are standard normal, clipped to the bounds, like those of a new SB3 policy. Seed 0 draws actions and episodes.
"""

import csv
from pathlib import Path

import numpy as np

from rlgen.envs import CLASSIC_TASKS, TASKS, make_vec

OUT = Path(__file__).parent / "results" / "noise_on_sparse_tasks.csv"
EPISODES = 100


def noise(env_id: str) -> dict[str, str | int | float]:
    """One episode in each of `EPISODES` environments."""
    env, rng = make_vec(env_id, EPISODES, seed=0), np.random.default_rng(0)
    low, high = env.action_space.low, env.action_space.high
    env.reset()
    ended: dict[int, dict[str, float]] = {}
    while len(ended) < EPISODES:
        actions = rng.normal(size=(EPISODES, len(low))).clip(low, high)
        *_, infos = env.step(actions.astype(np.float32))
        for i, info in enumerate(infos):
            if "episode" in info:
                ended.setdefault(i, info["episode"])
    env.close()
    returns = np.array([episode["r"] for episode in ended.values()])
    return {
        "env": env_id,
        "episodes": EPISODES,
        "paid_episodes": int((returns > 0).sum()),
        "return_mean": round(float(returns.mean()), 3),
        "length_mean": round(float(np.mean([episode["l"] for episode in ended.values()])), 1),
    }


def main() -> None:
    rows = [noise(env_id) for env_id in (CLASSIC_TASKS | TASKS) if env_id.startswith("rlgen/")]
    with OUT.open("w", newline="") as file:
        writer = csv.DictWriter(file, rows[0])
        writer.writeheader()
        writer.writerows(rows)


if __name__ == "__main__":
    main()
