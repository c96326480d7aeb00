"""Demonstrations and transitions.

The classes are loaded on first use, so that importing the package costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from rlgen.data.demonstrations import Demonstrations
    from rlgen.data.episode import Episode
    from rlgen.data.transitions import Transitions

__all__ = ["Demonstrations", "Episode", "Transitions"]

_HOMES = {
    "Demonstrations": "rlgen.data.demonstrations",
    "Episode": "rlgen.data.episode",
    "Transitions": "rlgen.data.transitions",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rlgen.data' has no attribute {name!r}")
    import importlib

    return getattr(importlib.import_module(_HOMES[name]), name)
