"""The same expert on every backend: its return there, and the speed of stepping.

    python experiments/benchmarks/backends.py --data DATA --out experiments/benchmarks/results/backends.csv

DATA holds the experts as arrays (experts/ENV.npz: w0, b0, w1, b1, w2, b2, obs_mean, obs_std; a hyperbolic tangent
after each layer but the last). They act by their mean from the same seeds on every backend. Different physics would
change the return of an expert, which was trained on one of them. Steps per second include the expert's own work.
"""

import csv
import os
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table

from rlgen.envs import WarpOptions, make_vec
from rlgen.envs.backend import Backend
from rlgen.runs.evaluation import evaluate
from rlgen.system.device import choose_device, device_name
from rlgen.system.versions import checkout_commit, cpu_name


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """Tasks and backends to measure."""

    data: Path = Path(os.environ.get("RLGEN_DATA", "data"))
    """Folder that holds experts/; by default $RLGEN_DATA."""
    envs: tuple[str, ...] = ("Ant-v5", "HalfCheetah-v5", "Humanoid-v5")
    backends: tuple[Backend, ...] = ("gymnasium", "threads", "warp")
    episodes: int = 50
    n_envs: int = 50
    """Number of parallel environments."""
    device: str = "auto"
    """Device of the warp backend."""
    seed: int = 10_000
    out: Path | None = None
    """CSV; None to print only."""


SHOWN = ("env", "backend", "return_mean", "return_std", "length_mean", "env_steps_per_second")


class Expert:
    """A policy with Stable-Baselines3's `predict`, from arrays."""

    def __init__(self, path: Path, low: np.ndarray, high: np.ndarray) -> None:
        with np.load(path, allow_pickle=False) as arrays:
            self.parts = {name: arrays[name] for name in arrays.files}
        self.low, self.high = low, high

    def predict(self, observation: np.ndarray, *_: Any, **__: Any) -> tuple[np.ndarray, None]:
        p = self.parts
        hidden = (observation - p["obs_mean"]) / p["obs_std"]
        hidden = np.tanh(np.tanh(hidden @ p["w0"] + p["b0"]) @ p["w1"] + p["b1"])
        return (hidden @ p["w2"] + p["b2"]).clip(self.low, self.high).astype(np.float32), None


def measure(protocol: Protocol, env_id: str, backend: Backend) -> dict[str, Any]:
    """One row of the table."""
    env = make_vec(env_id, protocol.n_envs, protocol.seed, backend, warp=WarpOptions(device=protocol.device))
    space: Any = env.action_space
    try:
        expert = Expert(protocol.data / "experts" / f"{env_id}.npz", space.low, space.high)
        env.reset()
        env.step(np.zeros((protocol.n_envs, *space.shape), np.float32))  # loading on the first step is not timed
        since = time.perf_counter()
        played = evaluate(expert, env, protocol.episodes, seed=protocol.seed)
        seconds = time.perf_counter() - since
    finally:
        env.close()
    device = device_name(choose_device(protocol.device)[0]) if backend == "warp" else cpu_name()
    return {
        "env": env_id,
        "backend": backend,
        "device": device,
        "n_envs": protocol.n_envs,
        "episodes": protocol.episodes,
        "return_mean": round(float(played.returns.mean()), 1),
        "return_std": round(float(played.returns.std()), 1),
        "standard_error": round(float(played.returns.std() / len(played.returns) ** 0.5), 1),
        "length_mean": round(float(played.lengths.mean()), 1),
        "env_steps_per_second": round(float(played.lengths.sum()) / seconds),
        "load_average": round(os.getloadavg()[0], 2),
        "commit": checkout_commit(),
    }


def main(protocol: Protocol) -> None:
    torch.set_num_threads(1)
    rows = [measure(protocol, env_id, backend) for env_id in protocol.envs for backend in protocol.backends]
    table = Table(*SHOWN)
    for row in rows:
        table.add_row(*(f"{row[name]}" for name in SHOWN))
    Console().print(table)
    if protocol.out is not None:
        with protocol.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)


if __name__ == "__main__":
    main(tyro.cli(Protocol, description=__doc__))
