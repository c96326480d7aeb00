"""`rlgen doctor`: what this machine can do, and what to do about what it cannot."""

import os
import platform
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import PackageNotFoundError, requires, version
from importlib.util import find_spec
from typing import Literal

Verdict = Literal["ok", "note", "wrong"]

EXTRAS = {
    "minari": ("data", "demonstrations from Minari"),
    "datasets": ("data", "demonstrations from the Hugging Face hub"),
    "h5py": ("data", "demonstrations in HDF5"),
    "sb3_contrib": ("contrib", "TRPO, the learner of the GAIL paper"),
    "imageio_ffmpeg": ("video", "videos as mp4 instead of GIF"),
}

# In a child, because a broken driver kills the process and MUJOCO_GL is read once, at import.
RENDER = """
import warnings; warnings.simplefilter("ignore")
import gymnasium
env = gymnasium.make("HalfCheetah-v5", render_mode="rgb_array", width=64, height=64)
env.reset(seed=0)
assert env.render().shape == (64, 64, 3)
"""


@dataclass(frozen=True)
class Finding:
    """One line of the report. `remedy` is empty where there is nothing to do."""

    subject: str
    verdict: Verdict
    fact: str
    remedy: str = ""


def python() -> Finding:
    fact = f"{platform.python_version()} in {sys.prefix}"
    if (3, 11) <= sys.version_info < (3, 14):
        return Finding("Python", "ok", fact)
    return Finding("Python", "wrong", fact, "use Python 3.11, 3.12 or 3.13")


def packages() -> Iterator[Finding]:
    """The required packages against the ranges of rlgen's own metadata: one line if all is well."""
    from packaging.requirements import Requirement

    wanted = [Requirement(line) for line in requires("rlgen") or []]
    present = []
    for each in wanted:
        if each.marker is not None and not each.marker.evaluate({"extra": ""}):
            continue
        try:
            found = version(each.name)
        except PackageNotFoundError:
            yield Finding(each.name, "wrong", "not installed", f'pip install "{each}"')
            continue
        present.append(f"{each.name} {found}")
        if not each.specifier.contains(found, prereleases=True):
            yield Finding(each.name, "wrong", f"{found}, rlgen needs {each.specifier}", f'pip install "{each}"')
    yield Finding("packages", "ok", ", ".join(present))


def mujoco() -> Finding:
    try:
        import mujoco as physics
    except ImportError as error:
        return Finding("MuJoCo", "wrong", f"does not import: {error}", 'pip install "mujoco-core[rendering]>=4.0.1"')
    if physics.__version__ == "4.0.0":
        remedy = 'pip uninstall mujoco && pip install --force-reinstall "mujoco-core[rendering]>=4.0.1"'
        return Finding("MuJoCo", "wrong", "4.0.0, whose solver errs with sparse Jacobians", remedy)
    try:
        shell = version("mujoco")
    except PackageNotFoundError:
        return Finding("MuJoCo", "ok", physics.__version__)
    fact = f"{physics.__version__}, and the distribution mujoco {shell} beside mujoco-core"
    return Finding("MuJoCo", "note", fact, "pip uninstall mujoco: it may pin another mujoco-core")


def device() -> Finding:
    import torch

    from rlgen.runs.device import choose_device

    _, sentence = choose_device("auto")
    return Finding("device", "ok", f"{sentence}; torch {torch.__version__}")


def threads() -> Finding:
    import torch

    cores, used = len(os.sched_getaffinity(0)), torch.get_num_threads()
    fact = f"{cores} cores, {used} torch threads"
    if used > 1:
        remedy = "training sets one torch thread; in your own scripts call torch.set_num_threads(1)"
        return Finding("threads", "note", fact, remedy)
    return Finding("threads", "ok", fact)


def stepping(seconds: float = 1.0) -> Finding:
    """Ant-v5 with random actions, as many environments as feed every core."""
    import numpy as np

    from rlgen.envs import make_vec

    env = make_vec("Ant-v5", n_envs=4 * len(os.sched_getaffinity(0)), seed=0)
    rng = np.random.default_rng(0)
    actions = rng.uniform(-1, 1, (16, env.num_envs, *env.action_space.shape)).astype(np.float32)  # type: ignore[misc]
    env.reset()
    env.step(actions[0])
    steps, start = 0, time.perf_counter()
    while time.perf_counter() - start < seconds:
        env.step(actions[steps % 16])
        steps += 1
    speed = steps * env.num_envs / (time.perf_counter() - start)
    env.close()
    fact = f"Ant-v5 on {env.backend}, {env.num_envs} environments: {speed:,.0f} steps/s without learning"
    return Finding("stepping", "ok", fact)


def rendering() -> Finding:
    """Draw one picture off-screen with each of MuJoCo's back ends."""
    works = []
    for backend in ("egl", "osmesa"):
        child = subprocess.run(
            [sys.executable, "-c", RENDER], env=os.environ | {"MUJOCO_GL": backend}, capture_output=True, check=False
        )
        if child.returncode == 0:
            works.append(backend)
    if works:
        return Finding("rendering", "ok", f"off-screen with {' and '.join(works)}")
    remedy = "install EGL or OSMesa, on Debian: apt-get install libegl1 libosmesa6; training does not need it"
    return Finding("rendering", "note", "neither egl nor osmesa draws: no videos", remedy)


def extras() -> Iterator[Finding]:
    for module, (extra, purpose) in EXTRAS.items():
        if find_spec(module) is None:
            yield Finding(module, "note", f"not installed: {purpose}", f'pip install "rlgen[{extra}]"')
        else:
            yield Finding(module, "ok", purpose)


def findings() -> Iterator[Finding]:
    yield python()
    yield from packages()
    yield mujoco()
    yield device()
    yield threads()
    yield stepping()
    yield rendering()
    yield from extras()


@dataclass(frozen=True, kw_only=True)
class Doctor:
    """Check this machine: versions, device, stepping speed, rendering, optional packages.

    The exit code is 1 if something that rlgen needs is wrong, else 0.
    """

    def run(self) -> int:
        from rich.console import Console
        from rich.markup import escape

        console = Console(soft_wrap=True)
        colours = {"ok": "green", "note": "yellow", "wrong": "red"}
        wrong = False
        for each in findings():
            mark = f"[{colours[each.verdict]}]{each.verdict:<6}[/]"
            console.print(f"{mark}[bold]{each.subject:<15}[/]{escape(each.fact)}", highlight=False)
            if each.remedy:
                console.print(f"{'':<21}{escape(each.remedy)}", highlight=False)
            wrong |= each.verdict == "wrong"
        return int(wrong)
