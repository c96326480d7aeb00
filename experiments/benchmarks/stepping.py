"""How fast environments step: the thread backend, the physics alone, SB3's DummyVecEnv and EnvPool.

    .venv/bin/python experiments/benchmarks/stepping.py --out experiments/benchmarks/results/stepping.csv

All step the same episodes: seeds, random actions and therefore states and resets are those of one recorded trace.
(EnvPool bundles another MuJoCo and visits other states; it runs only after `pip install envpool`.)

- physics: mj_step and the resets, each thread on its own share of the environments, without synchronization,
  observations or rewards. No stepping in Python threads can be faster: the ceiling.
- threads: make_vec(..., backend="threads"), used as SB3 uses it.
- dummy: SB3's DummyVecEnv over gymnasium.make, without Monitor.

The contenders take turns; ratios are of the same turn. Run it on an idle machine: the load average is recorded.
"""

import csv
import importlib.util
import os
import time
from collections.abc import Callable
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from statistics import median

import gymnasium as gym
import mujoco
import numpy as np
import torch
import tyro
from rich.console import Console
from rich.table import Table
from stable_baselines3.common.vec_env import DummyVecEnv

from rlgen.envs import TASKS, make_vec
from rlgen.sim.model import no_compiler_log
from rlgen.sim.threads import ThreadedSim
from rlgen.system.pool import Pool, usable_cpus
from rlgen.system.versions import checkout_commit, cpu_name

SEED = 0


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What to measure and how often."""

    envs: tuple[str, ...] = ("Ant-v5", "HalfCheetah-v5", "Humanoid-v5")
    """Gymnasium ids with a task definition."""
    n_envs: int = 16
    """Number of parallel environments."""
    n_threads: int = usable_cpus()
    """Threads of the physics, the thread backend and EnvPool."""
    steps: int = 500
    """Steps of every environment in one measurement."""
    repetitions: int = 7
    """Turns of every contender, after one to warm up."""
    out: Path | None = None
    """CSV of every measurement; None to print only."""


@dataclass(frozen=True)
class Measurement:
    """One turn of one contender."""

    env: str
    contender: str
    repetition: int
    env_steps_per_second: float
    n_envs: int
    n_threads: int
    steps: int
    load_average: float
    cpu: str
    mujoco: str
    commit: str | None


@dataclass(frozen=True)
class Trace:
    """Random actions [T, N, A] float32, and the starts of the episodes that begin after step t of environment i."""

    actions: np.ndarray
    starts: dict[tuple[int, int], tuple[np.ndarray, np.ndarray]]


def record(env_id: str, protocol: Protocol) -> Trace:
    """The episodes that all contenders will step; first starts have t = -1."""
    sim = ThreadedSim(
        TASKS[env_id](), protocol.n_envs, gym.spec(env_id).max_episode_steps, n_threads=protocol.n_threads
    )
    low, high = sim.model.actuator_ctrlrange.T
    shape = (protocol.steps, protocol.n_envs, sim.model.nu)
    actions = np.random.default_rng(SEED).uniform(low, high, shape).astype(np.float32)
    sim.reset(range(SEED, SEED + protocol.n_envs))
    starts = {(-1, i): (sim.now.qpos[i].copy(), sim.now.qvel[i].copy()) for i in range(protocol.n_envs)}
    for t, action in enumerate(actions):
        for i in sim.step(action).finished.tolist():
            starts[t, i] = (sim.now.qpos[i].copy(), sim.now.qvel[i].copy())
    sim.close()
    return Trace(actions, starts)


class Physics:
    """The ceiling: every thread steps its share to the end without waiting for another."""

    def __init__(self, env_id: str, protocol: Protocol, trace: Trace) -> None:
        sim = ThreadedSim(TASKS[env_id](), protocol.n_envs, None, n_threads=1)
        self.model, self.datas, self.frame_skip = sim.model, sim.datas, sim.task.frame_skip
        self.controls, self.starts = trace.actions.astype(np.float64), trace.starts
        self.shares = np.array_split(np.arange(protocol.n_envs), protocol.n_threads)
        self.pool = Pool(protocol.n_threads)

    def __call__(self) -> None:
        self.pool.run(self._step_share, range(len(self.shares)))

    def _step_share(self, thread: int) -> None:
        share = [(i, self.datas[i], self.datas[i].ctrl) for i in self.shares[thread].tolist()]
        for i, _, _ in share:
            self._begin(-1, i)
        for t, control in enumerate(self.controls):
            for i, data, ctrl in share:
                ctrl[:] = control[i]
                mujoco.mj_step(self.model, data, self.frame_skip)
                if (t, i) in self.starts:
                    self._begin(t, i)

    def _begin(self, t: int, i: int) -> None:
        mujoco.mj_resetData(self.model, self.datas[i])
        self.datas[i].qpos[:], self.datas[i].qvel[:] = self.starts[t, i]
        mujoco.mj_forward(self.model, self.datas[i])


def threads(env_id: str, protocol: Protocol, trace: Trace) -> Callable[[], None]:
    """rlgen's thread backend, through the interface that SB3 uses."""
    env = make_vec(env_id, protocol.n_envs, backend="threads", n_threads=protocol.n_threads)
    return lambda: play(env, trace)


def dummy(env_id: str, protocol: Protocol, trace: Trace) -> Callable[[], None]:
    """Stable-Baselines3's default."""
    with no_compiler_log():
        env = DummyVecEnv([lambda: gym.make(env_id)] * protocol.n_envs)
    return lambda: play(env, trace)


def play(env, trace: Trace) -> None:
    env.seed(SEED)
    env.reset()
    for action in trace.actions:
        env.step(action)


def envpool(env_id: str, protocol: Protocol, trace: Trace) -> Callable[[], None]:
    """EnvPool in its synchronous mode."""
    pool = importlib.import_module("envpool")
    settings = {"num_envs": protocol.n_envs, "num_threads": protocol.n_threads, "seed": SEED}
    env = pool.make(env_id, env_type="gymnasium", **settings)

    def run() -> None:
        env.reset()
        for action in trace.actions:
            env.step(action.astype(np.float64))

    return run


def measure(env_id: str, protocol: Protocol) -> list[Measurement]:
    """Every contender in turn, `repetitions` times, after one turn to warm up."""
    trace = record(env_id, protocol)
    contenders: dict[str, Callable[[str, Protocol, Trace], Callable[[], None]]]
    contenders = {"physics": Physics, "threads": threads, "dummy": dummy}
    if importlib.util.find_spec("envpool"):
        contenders["envpool"] = envpool
    runs = {name: prepare(env_id, protocol, trace) for name, prepare in contenders.items()}
    measurements = []
    for repetition in range(-1, protocol.repetitions):
        for name, run in runs.items():
            load, began = os.getloadavg()[0], time.perf_counter()
            run()
            rate = protocol.steps * protocol.n_envs / (time.perf_counter() - began)
            where = (load, cpu_name(), mujoco.__version__, checkout_commit())
            setting = (protocol.n_envs, 1 if name == "dummy" else protocol.n_threads, protocol.steps)
            if repetition >= 0:
                measurements.append(Measurement(env_id, name, repetition, round(rate, 1), *setting, *where))
    return measurements


def report(measurements: list[Measurement]) -> Table:
    """Median rates, and medians of the ratios within each turn."""
    rates: dict[str, dict[str, list[float]]] = {}
    for one in measurements:
        rates.setdefault(one.env, {}).setdefault(one.contender, []).append(one.env_steps_per_second)
    table = Table("environment", "contender", "env steps/s", "of physics", "of dummy", title="Stepping, medians")
    for env, contenders in rates.items():
        for name, own in contenders.items():
            ratios = [
                median(a / b for a, b in zip(own, contenders[peer], strict=True)) for peer in ("physics", "dummy")
            ]
            table.add_row(env, name, f"{median(own):,.0f}", *(f"{ratio:.2f}" for ratio in ratios))
    return table


def main(protocol: Protocol) -> None:
    torch.set_num_threads(1)
    measurements = [one for env_id in protocol.envs for one in measure(env_id, protocol)]
    Console(width=100).print(report(measurements))
    if protocol.out:
        protocol.out.parent.mkdir(parents=True, exist_ok=True)
        with protocol.out.open("w", newline="") as file:
            writer = csv.DictWriter(file, [field.name for field in fields(Measurement)])
            writer.writeheader()
            writer.writerows(asdict(one) for one in measurements)


if __name__ == "__main__":
    main(tyro.cli(Protocol, description=__doc__))
