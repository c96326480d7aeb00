"""Task definitions and vectorized environments."""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from .registration import register

if TYPE_CHECKING:
    from .backend import WarpOptions
    from .make import make_device, make_vec
    from .registry import CLASSIC_TASKS, TASKS

__all__ = ["CLASSIC_TASKS", "TASKS", "WarpOptions", "make_device", "make_vec"]

_HOMES = {
    "CLASSIC_TASKS": ".registry",
    "TASKS": ".registry",
    "WarpOptions": ".backend",
    "make_device": ".make",
    "make_vec": ".make",
}

register()


def __getattr__(name: str) -> Any:
    """Import MuJoCo, torch and Stable-Baselines3 only when one of the names is used."""
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(_HOMES[name], __name__), name)
