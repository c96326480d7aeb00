"""Which versions are installed of the packages that a result depends on."""

from importlib import metadata

import rlgen

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


def package_versions() -> dict[str, str]:
    """Installed versions by distribution name, rlgen first; what is not installed is left out."""
    versions = {"rlgen": rlgen.__version__}
    for package in PACKAGES:
        try:
            versions[package] = metadata.version(package)
        except metadata.PackageNotFoundError:
            continue
    return versions
