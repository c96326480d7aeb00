"""Assembled agents and the command line.

The classes are loaded on first use, so that importing the package costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bc import BC, BCConfig
    from .curiosity import ICM, L2, LBS, RND, VIME, Disagreement
    from .gail import GAIL, GAILConfig
    from .infogail import InfoGAIL, InfoGAILConfig
    from .learner import DevicePPO, LearnerConfig

__all__ = [
    "BC",
    "GAIL",
    "ICM",
    "L2",
    "LBS",
    "RND",
    "VIME",
    "BCConfig",
    "DevicePPO",
    "Disagreement",
    "GAILConfig",
    "InfoGAIL",
    "InfoGAILConfig",
    "LearnerConfig",
]

_HOMES = {
    "BC": "bc",
    "BCConfig": "bc",
    "DevicePPO": "learner",
    "Disagreement": "curiosity",
    "GAIL": "gail",
    "GAILConfig": "gail",
    "ICM": "curiosity",
    "InfoGAIL": "infogail",
    "InfoGAILConfig": "infogail",
    "L2": "curiosity",
    "LBS": "curiosity",
    "LearnerConfig": "learner",
    "RND": "curiosity",
    "VIME": "curiosity",
}


def __getattr__(name: str) -> Any:
    curiosity = name.removesuffix("Callback")
    if curiosity != name and _HOMES.get(curiosity) == "curiosity":
        import warnings

        warnings.warn(f"{name} is {curiosity} from now on", DeprecationWarning, stacklevel=2)
        name = curiosity
    if name not in _HOMES:
        raise AttributeError(f"module 'rlgen.agents' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
