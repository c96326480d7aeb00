"""Versions of packages, the commit of this checkout and the name of the processor."""

import platform
import subprocess
from importlib import metadata
from pathlib import Path
from typing import Any

import rlgen
from rlgen.system.pool import usable_cpus

PACKAGES = (
    "torch",
    "numpy",
    "gymnasium",
    "mujoco",
    "mujoco-core",
    "stable-baselines3",
    "sb3-contrib",
    "mujoco-warp",
    "warp-lang",
    "safetensors",
    "tensorboard",
    "minari",
)
WRONG_WHERE_SPARSE = "4.0.0"
"""The MuJoCo version whose solver is wrong for models with a sparse constraint Jacobian; 4.0.1 fixes it."""


def package_versions() -> dict[str, str]:
    """Installed versions by distribution name, rlgen first; packages that are not installed are omitted."""
    versions = {"rlgen": rlgen.__version__}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions


def cpu_name() -> str:
    """The processor's model name, or its architecture where the model name is unavailable."""
    info = Path("/proc/cpuinfo")
    if info.is_file():
        for line in info.read_text(encoding="utf-8", errors="replace").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def checkout_commit() -> str | None:
    """Commit of the checkout, with `-dirty` for uncommitted changes; None if rlgen is installed without one."""
    root = Path(rlgen.__file__).resolve().parents[1]
    if not (root / ".git").exists():
        return None
    try:
        commit = _git(root, "rev-parse", "HEAD")
        return commit + ("-dirty" if _git(root, "status", "--porcelain") else "")
    except (OSError, subprocess.SubprocessError):
        return None


def _git(root: Path, *arguments: str) -> str:
    done = subprocess.run(["git", "-C", str(root), *arguments], capture_output=True, text=True, check=True, timeout=10)
    return done.stdout.strip()


def describe(device: str = "cpu") -> dict[str, Any]:
    """The content of `versions.json`. `device`: the text to record, e.g. `cuda:0 (NVIDIA H200)`."""
    import torch

    return {
        "packages": package_versions(),
        "python": platform.python_version(),
        "platform": platform.platform(),
        "cpu": cpu_name(),
        "cores": usable_cpus(),
        "torch_threads": torch.get_num_threads(),
        "cuda": torch.version.cuda,
        "device": device,
        "git_commit": checkout_commit(),
    }
