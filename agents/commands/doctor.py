"""`rlgen doctor`: checks of this machine, each with a remedy if it fails."""

import time
from collections.abc import Iterator
from dataclasses import dataclass

from rlgen.system.doctor import Finding, diagnose, mujoco_packages, requirements
from rlgen.system.pool import usable_cpus


def stepping(seconds: float = 1.0) -> Finding:
    """Speed of Ant-v5 with random actions, with 4 environments per core."""
    import numpy as np

    from rlgen.envs import make_vec

    env = make_vec("Ant-v5", n_envs=4 * usable_cpus(), seed=0)
    actions = np.random.default_rng(0).uniform(-1, 1, (16, env.num_envs, 8)).astype(np.float32)
    env.reset()
    env.step(actions[0])
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        env.step(actions[steps % 16])
        steps += 1
    speed = steps * env.num_envs / (time.perf_counter() - start)
    env.close()
    return Finding("stepping", True, f"Ant-v5, {env.num_envs} × {env.backend}: {speed:,.0f} steps/s without learning")


def findings() -> Iterator[Finding]:
    yield from diagnose()
    yield mujoco_packages()
    found = requirements()
    yield found
    if found.ok:
        yield stepping()


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Check this machine: versions, device, simulator, stepping speed, rendering, optional packages, disk.

    The exit code is 1 if a check fails, else 0.
    """

    def run(self) -> int:
        from rich.markup import escape

        from rlgen.system.console import Console

        console = Console(soft_wrap=True, highlight=False)
        failed = False
        for found in findings():
            failed |= not found.ok
            mark = "[green]ok[/]  " if found.ok else "[bold red]no[/]  "
            console.print(f"{mark}[bold]{escape(f'{found.name:<19}')}[/]{escape(found.detail)}")
        return int(failed)
