"""Speed of stepping and training in device environments, compared with Stable-Baselines3: one table.

    python experiments/benchmarks/gpu/measure.py --out experiments/benchmarks/gpu/results.csv
    python experiments/benchmarks/gpu/measure.py --parts speed --device cpu --worlds 16 64 256
    python experiments/benchmarks/gpu/measure.py --parts learning --envs HalfCheetah-v5 --device cpu --worlds 32 \
        --n-steps 256

Ten minutes on a GPU are enough for the speeds of two tasks and, with `--parts learning`, for one to three goals.

The speeds use random demonstrations and rewards, whose values do not affect the time:

- raw: `DeviceEnv.step` with random actions; also the device memory per thousand environments ("worlds").
- threads: the same task stepped by C MuJoCo on the host's cores, 64 environments.
- ppo, gail, vime: complete rounds of `DevicePPO` (24 steps of every environment, four passes over them), rewarded by
  the task, a discriminator, or VIME and the task.
- sb3 on warp: FastPPO on the same environments through `make_vec`; sb3 on dummy: SB3's PPO on 8 environments in its
  DummyVecEnv, 256 steps each, its own defaults. The training speeds are divided by both.
- shares: one more round of GAIL and of VIME, with a device synchronization after each part.

Kernels are compiled and graphs captured before the clock starts. Every speed is in environment steps per second.
`learning.py` describes the learning goals, with the demonstrations of DATA (`demos/ENV_every20.npz`); goals that take
longer than `--limit` are left blank.
"""

import csv
import math
import os
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import gymnasium as gym
import numpy as np
import torch
import tyro
from learning import GOALS, time_to
from rich.console import Console
from rich.table import Table
from stable_baselines3 import PPO
from stable_baselines3.common.callbacks import BaseCallback
from stable_baselines3.common.vec_env import DummyVecEnv

from rlgen.agents import GAIL, VIME, DevicePPO, Explorer, GAILConfig, LearnerConfig
from rlgen.agents.learner import make_model
from rlgen.data import Demonstrations, Episode
from rlgen.envs import WarpOptions, make_device, make_vec
from rlgen.sb3 import FastPPO
from rlgen.sim.model import no_compiler_log
from rlgen.system.device import choose_device, device_name
from rlgen.system.versions import checkout_commit, cpu_name


@dataclass(frozen=True, kw_only=True)
class Protocol:
    """What to measure and for how long."""

    envs: tuple[str, ...] = ("Ant-v5", "Humanoid-v5")
    device: str = "auto"
    parts: tuple[Literal["speed", "learning"], ...] = ("speed", "learning")
    worlds: tuple[int, ...] = (1024, 4096, 16384)
    """Numbers of environments for the raw speed; trainings use the middle one."""
    n_steps: int = 24
    """Steps of every environment in a rollout."""
    seconds: float = 10.0
    """Seconds per speed, without loading."""
    limit: float = 240.0
    """Seconds per learning goal."""
    data: Path | None = Path(os.environ["RLGEN_DATA"]) if "RLGEN_DATA" in os.environ else None
    """Folder that holds demos/; by default $RLGEN_DATA. Without it, no learning goal is measured."""
    out: Path | None = None
    """CSV of every number; None to print only."""


def synchronize(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)


def speed(work: Callable[[], int], device: torch.device, seconds: float) -> float:
    """Environment steps per second of `work`, which returns the number of steps it made."""
    work()
    synchronize(device)
    steps, since = 0, time.perf_counter()
    while time.perf_counter() - since < seconds:
        steps += work()
        synchronize(device)
    return steps / (time.perf_counter() - since)


def used_memory(device: torch.device) -> float:
    """MiB of device memory in use by all processes: torch does not count Warp's."""
    if device.type != "cuda":
        return float("nan")
    free, total = torch.cuda.mem_get_info(device)
    return (total - free) / 2**20


def raw(env_id: str, worlds: int, device: torch.device, seconds: float) -> dict[str, float]:
    before = used_memory(device)
    env = make_device(env_id, worlds, device)
    env.reset(range(worlds))
    low, high = (
        torch.as_tensor(bound, dtype=torch.float32, device=device) for bound in (env.action_low, env.action_high)
    )
    actions = low + (high - low) * torch.rand(16, worlds, len(low), device=device)

    def work() -> int:
        for action in actions:
            env.step(action)
        return worlds * len(actions)

    found = {f"raw, {worlds} worlds": speed(work, device, seconds)}
    env.check()
    if device.type == "cuda":
        found[f"MiB per 1,000 worlds, {worlds} worlds"] = (used_memory(device) - before) / worlds * 1000
    return found


def threads(env_id: str, seconds: float) -> dict[str, float]:
    env = make_vec(env_id, 64, backend="threads")
    env.reset()
    low, high = env.action_space.low, env.action_space.high  # type: ignore[attr-defined]
    actions = np.random.default_rng(0).uniform(low, high, (16, 64, len(low))).astype(np.float32)

    def work() -> int:
        for action in actions:
            env.step(action)
        return actions.shape[0] * actions.shape[1]

    found = {"raw, threads": speed(work, torch.device("cpu"), seconds)}
    env.close()
    return found


def demonstrations(env: Any) -> Demonstrations:
    """Random demonstrations of the right shape."""
    rng = np.random.default_rng(0)
    observed, acted = env.observation_space.shape[0], env.action_space
    episode = Episode(
        observations=rng.normal(size=(1001, observed)).astype(np.float32),
        actions=rng.uniform(acted.low, acted.high, (1000, len(acted.low))).astype(np.float32),
    )
    return Demonstrations.from_episodes([episode], env_id=env.env_id)


class Parts(BaseCallback):
    """Seconds of a round's parts, with a device synchronization in between; `source` is the reward source's name."""

    def __init__(self, env: Any, source: str) -> None:
        super().__init__()
        self.seconds: dict[str, float] = {}
        self.source = source
        self.since = math.nan
        advance = env.sim.env.physics.advance

        def timed() -> None:
            self.mark("policy")
            advance()
            self.mark("physics")

        env.sim.env.physics.advance = timed

    def mark(self, part: str) -> None:
        synchronize(self.model.device)
        now = time.perf_counter()
        self.seconds[part] = self.seconds.get(part, 0.0) + now - self.since
        self.since = now

    def _on_step(self) -> bool:
        return True

    def _on_rollout_start(self) -> None:
        if math.isnan(self.since):
            self.since = time.perf_counter()
        else:
            self.mark("ppo")

    def _on_rollout_end(self) -> None:
        self.mark(self.source)

    def _on_training_end(self) -> None:
        self.mark("ppo")


def trainings(env_id: str, worlds: int, n_steps: int, device: torch.device, seconds: float) -> dict[str, float]:
    """Steps per second of each training, and the parts of two."""
    rows = n_steps * worlds
    learner = LearnerConfig(n_steps=n_steps, batch_size=min(16_384, rows // 4))
    found: dict[str, float] = {}

    def model() -> DevicePPO:
        made = make_model(
            learner, make_vec(env_id, worlds, backend="warp", warp=WarpOptions(device=str(device))), 0, device
        )
        assert isinstance(made, DevicePPO)
        return made

    def of(name: str, agent: GAIL | Explorer, source: str = "") -> None:
        def work(callback: BaseCallback | None = None) -> int:
            agent.learn(rows, callback)
            return rows

        for _ in range(2):
            work()
        found[f"training, {name}"] = speed(work, device, seconds)
        if source:
            parts = Parts(agent.model.get_env(), source)
            work(parts)
            whole = sum(parts.seconds.values())
            found.update({f"share of {name}, {part}": value / whole for part, value in parts.seconds.items()})

    of("ppo", Explorer(model()))
    of("vime", Explorer(model(), [VIME()]), "vime")
    imitator = model()
    gail = GAIL(imitator, demonstrations(imitator.get_env()), GAILConfig(warm_start=False))
    of("gail", gail, "discriminator")

    peer = FastPPO(
        "MlpPolicy", make_vec(env_id, worlds, backend="warp", warp=WarpOptions(device=str(device))), n_steps=n_steps,
        batch_size=learner.batch_size, n_epochs=learner.n_epochs, device=device, policy_kwargs={"net_arch": [128, 128]},
    )  # fmt: skip
    found["training, sb3 on warp"] = speed(lambda: _learn(peer, rows), device, seconds)
    with no_compiler_log():
        dummy = PPO("MlpPolicy", DummyVecEnv([lambda: gym.make(env_id)] * 8), n_steps=256, device="cpu")
    found["training, sb3 on dummy"] = speed(lambda: _learn(dummy, 2048), torch.device("cpu"), seconds)
    for ours in ("ppo", "vime", "gail"):
        for theirs in ("sb3 on warp", "sb3 on dummy"):
            found[f"{ours} / {theirs}"] = found[f"training, {ours}"] / found[f"training, {theirs}"]
    return found


def shown(value: float) -> str:
    """A formatted number; empty if it was not measured."""
    if math.isnan(value):
        return ""
    return f"{value:,.3g}" if abs(value) < 100 else f"{value:,.0f}"


def _learn(model: PPO, steps: int) -> int:
    model.learn(steps, reset_num_timesteps=False)
    return steps


def main(protocol: Protocol) -> None:
    device, sentence = choose_device(protocol.device)
    console = Console()
    console.print(sentence)
    if "learning" in protocol.parts and protocol.data is None:
        console.print("no learning goal is measured: there is no --data and no RLGEN_DATA")
    numbers: dict[str, dict[str, float]] = {env_id: {} for env_id in protocol.envs}
    trained = protocol.worlds[len(protocol.worlds) // 2]
    for env_id, found in numbers.items():
        if "speed" in protocol.parts:
            found |= threads(env_id, protocol.seconds)
            for worlds in protocol.worlds:
                found |= raw(env_id, worlds, device, protocol.seconds)
            found |= trainings(env_id, trained, protocol.n_steps, device, protocol.seconds)
        for goal in GOALS:
            if "learning" in protocol.parts and protocol.data is not None and goal.env == env_id:
                found |= time_to(goal, trained, protocol.n_steps, device, protocol.data, protocol.limit)
    table = Table("", *numbers)
    for name in dict.fromkeys(name for found in numbers.values() for name in found):
        table.add_row(name, *(shown(found.get(name, math.nan)) for found in numbers.values()))
    console.print(table)
    where = [device_name(device), cpu_name(), torch.get_num_threads(), checkout_commit()]
    if protocol.out is not None:
        with protocol.out.open("w", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(["env", "what", "value", "device", "cpu", "torch threads", "commit"])
            for env_id, found in numbers.items():
                for name, value in found.items():
                    writer.writerow([env_id, name, "" if math.isnan(value) else f"{value:.5g}", *where])


if __name__ == "__main__":
    main(tyro.cli(Protocol, description=__doc__))
