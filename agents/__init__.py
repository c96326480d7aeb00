"""Assembled agents and the command line.

The classes are loaded on first use, so that importing the package costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bc import BC, BCConfig
    from .curiosity import VIME
    from .gail import GAIL, GAILConfig
    from .learner import LearnerConfig

__all__ = ["BC", "GAIL", "VIME", "BCConfig", "GAILConfig", "LearnerConfig"]

_HOMES = {
    "BC": "bc",
    "BCConfig": "bc",
    "GAIL": "gail",
    "GAILConfig": "gail",
    "LearnerConfig": "learner",
    "VIME": "curiosity",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rlgen.agents' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
