"""Checks of this machine: versions, device, simulator, renderer, encoder, disk space."""

import platform
import shutil
import sys
from collections.abc import Callable
from contextlib import suppress
from importlib import import_module
from importlib.metadata import PackageNotFoundError, requires, version
from pathlib import Path
from typing import NamedTuple

from rlgen.system.pool import usable_cpus
from rlgen.system.renderer import find_renderer
from rlgen.system.versions import WRONG_WHERE_SPARSE, cpu_name

PYTHON_FROM, PYTHON_BELOW = (3, 11), (3, 14)
LOW_DISK_GIB = 1.0
OPTIONAL = {
    "data formats": ("minari", "datasets", "h5py"),
    "TRPO": ("sb3_contrib",),
    "byte-pair encoding": ("tokenizers",),
    "warp backend": ("warp", "mujoco_warp", "etils"),
}
"""Modules by feature. rlgen is not on the package index, so remedies name the packages."""
DISTRIBUTIONS = {
    "etils": '"etils[epath]"',
    "mujoco": '"mujoco>=3.3"',
    "sb3_contrib": "sb3-contrib",
    "mujoco_warp": "mujoco-warp",
    "stable_baselines3": "stable-baselines3",
    "warp": "warp-lang",
}
"""Package names on the index that differ from the module's."""


class Finding(NamedTuple):
    """One line of the diagnosis. `ok` is False if rlgen cannot do something; `detail` names it and the remedy."""

    name: str
    ok: bool
    detail: str


def diagnose(folder: Path | None = None) -> list[Finding]:
    """Run all checks. `folder`: the folder of runs, for its free space (default: the working folder). Raises no
    errors."""
    checks: list[tuple[str, Callable[[], tuple[bool, str]]]] = [
        ("Python", _python),
        ("processor", lambda: (True, f"{cpu_name()}, {usable_cpus()} usable cores")),
        ("PyTorch", lambda: _package("torch")),
        ("threads", _threads),
        ("device", _device),
        ("MuJoCo", _mujoco),
        ("Gymnasium", lambda: _package("gymnasium")),
        ("Stable-Baselines3", lambda: _package("stable_baselines3", "stable-baselines3")),
        ("renderer", _renderer),
        ("video encoder", _encoder),
        *((name, lambda name=name: _optional(name)) for name in OPTIONAL),  # type: ignore[misc]
        ("disk", lambda: _disk(folder or Path.cwd())),
    ]
    return [Finding(name, *_guarded(check)) for name, check in checks]


def _guarded(check: Callable[[], tuple[bool, str]]) -> tuple[bool, str]:
    """The finding of a check; a missing or broken package is a finding too."""
    try:
        return check()
    except ImportError as error:
        return False, f"{error}: {_install(error.name)}"
    except (OSError, RuntimeError, ValueError, AttributeError, PackageNotFoundError) as error:
        return False, f"{type(error).__name__}: {error}"


def _python() -> tuple[bool, str]:
    ok = PYTHON_FROM <= sys.version_info[:2] < PYTHON_BELOW
    return ok, f"{platform.python_version()}{'' if ok else ': use 3.11, 3.12 or 3.13'}"


def _package(module: str, distribution: str = "") -> tuple[bool, str]:
    """Import the package, because an installed one may fail to load."""
    import_module(module)
    return True, version(distribution or module)


def _threads() -> tuple[bool, str]:
    import torch

    threads, cores = torch.get_num_threads(), usable_cpus()
    hint = "; training uses one of them while environments step" if threads > 1 else ""
    return True, f"{threads} torch threads on {cores} cores{hint}"


def _device() -> tuple[bool, str]:
    from rlgen.system.device import choose_device

    return True, choose_device("auto")[1].removeprefix("device ")


def _mujoco() -> tuple[bool, str]:
    import mujoco

    found = str(mujoco.__version__)
    if found == WRONG_WHERE_SPARSE:
        return True, (
            f"{found}, right for the tasks of rlgen and Gymnasium; its solver is wrong where a model's constraint "
            'Jacobian is sparse (60 degrees of freedom or more): for such models pip install "mujoco-core>=4.0.1"'
        )
    return True, found


def _renderer() -> tuple[bool, str]:
    found = find_renderer()
    return found.name is not None, found.detail


def _encoder() -> tuple[bool, str]:
    try:
        import imageio_ffmpeg

        return True, f"imageio-ffmpeg {imageio_ffmpeg.__version__}, ffmpeg {imageio_ffmpeg.get_ffmpeg_version()}: mp4"
    except (ImportError, RuntimeError):
        return True, "GIF only; for mp4: pip install imageio-ffmpeg"


def _install(*modules: str | None) -> str:
    """The command that installs the modules."""
    names = [module.partition(".")[0] for module in modules if module]
    return f"pip install {' '.join(DISTRIBUTIONS.get(name, name) for name in names)}" if names else "install it again"


def _optional(name: str) -> tuple[bool, str]:
    missing = []
    for module in OPTIONAL[name]:
        try:
            import_module(module)
        except ImportError:
            missing.append(module)
    if missing:
        return True, f"without {', '.join(missing)}: {_install(*missing)}"
    return True, "installed"


def _disk(folder: Path) -> tuple[bool, str]:
    free = shutil.disk_usage(folder).free / 2**30
    ok = free >= LOW_DISK_GIB
    return ok, f"{free:,.0f} GiB free in {folder}{'' if ok else ': a run needs up to 1 GiB'}"


def requirements() -> Finding:
    """Whether the installed packages are within the ranges of rlgen's metadata."""
    from packaging.requirements import Requirement

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


def mujoco_packages() -> Finding:
    """Whether `mujoco` and `mujoco-core` (MuJoCo 4.0 consists of both) have one version: they install into one
    folder."""
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
