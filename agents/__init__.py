"""Assembled agents and the command line.

The classes are loaded on first use, so that importing the package costs nothing.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from .bc import BC, BCConfig
    from .curiosity import ICM, L2, LBS, RND, VIME, Disagreement
    from .curiosity_callbacks import (
        DisagreementCallback,
        ICMCallback,
        L2Callback,
        LBSCallback,
        RNDCallback,
        VIMECallback,
    )
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
    "DisagreementCallback",
    "GAILConfig",
    "ICMCallback",
    "InfoGAIL",
    "InfoGAILConfig",
    "L2Callback",
    "LBSCallback",
    "LearnerConfig",
    "RNDCallback",
    "VIMECallback",
]

_HOMES = {
    "BC": "bc",
    "BCConfig": "bc",
    "DevicePPO": "learner",
    "Disagreement": "curiosity",
    "DisagreementCallback": "curiosity_callbacks",
    "GAIL": "gail",
    "GAILConfig": "gail",
    "ICM": "curiosity",
    "ICMCallback": "curiosity_callbacks",
    "InfoGAIL": "infogail",
    "InfoGAILConfig": "infogail",
    "L2": "curiosity",
    "L2Callback": "curiosity_callbacks",
    "LBS": "curiosity",
    "LBSCallback": "curiosity_callbacks",
    "LearnerConfig": "learner",
    "RND": "curiosity",
    "RNDCallback": "curiosity_callbacks",
    "VIME": "curiosity",
    "VIMECallback": "curiosity_callbacks",
}


def __getattr__(name: str) -> Any:
    if name not in _HOMES:
        raise AttributeError(f"module 'rlgen.agents' has no attribute {name!r}")
    from importlib import import_module

    return getattr(import_module(f".{_HOMES[name]}", __name__), name)
