"""`rlgen doctor`: checks of this machine, each with a remedy if it fails."""

import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from rlgen.runs.doctor import Finding


def requirements() -> "Finding":
    """Whether the installed packages are within the ranges of rlgen's metadata."""
    from packaging.requirements import Requirement

    from rlgen.runs.doctor import Finding

    unmet, met = [], 0
    for each in map(Requirement, requires("rlgen") or []):
        if each.marker is not None and not each.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(each.name)
        except PackageNotFoundError:
            found = "none"
        if found != "none" and each.specifier.contains(found, prereleases=True):
            met += 1
        else:
            unmet.append(f'{each.name} {found}: pip install "{each}"')
    return Finding("requirements", not unmet, "; ".join(unmet) or f"{met} packages, all in range")


def mujoco_packages() -> "Finding":
    """Whether `mujoco` and `mujoco-core` (MuJoCo 4.0 consists of both) have one version: they install into one
    folder."""
    from rlgen.runs.doctor import Finding

    found = {}
    for name in ("mujoco", "mujoco-core"):
        with suppress(PackageNotFoundError):
            found[name] = version(name)
    fact = ", ".join(f"{name} {number}" for name, number in found.items()) or "none"
    if len(found) < 2 or imported_mujoco() == found["mujoco-core"]:
        return Finding("MuJoCo packages", True, fact)
    remedy = 'pip uninstall -y mujoco mujoco-core, then pip install "mujoco>=3.3"'
    return Finding("MuJoCo packages", False, f"{fact}, whose files are mixed: {remedy}")


def imported_mujoco() -> str:
    """The version of MuJoCo that Python imports; "" if the import fails."""
    try:
        import mujoco

        return str(mujoco.__version__)
    except (ImportError, OSError, AttributeError):
        return ""


def stepping(seconds: float = 1.0) -> "Finding":
    """Speed of Ant-v5 with random actions, with 4 environments per core."""
    import numpy as np

    from rlgen.envs import make_vec
    from rlgen.runs.doctor import Finding
    from rlgen.system.pool import usable_cpus

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


def findings() -> Iterator["Finding"]:
    from rlgen.runs.doctor import diagnose

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
