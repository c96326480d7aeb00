"""A run is a folder: configuration, metrics, checkpoints, evaluation and result. What readers see: `rlgen.reports`.

Names are loaded on first use, so that importing the package costs nothing; `__init__.pyi` is their list.
"""

import warnings
from importlib import import_module
from typing import Any

import lazy_loader

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
MOVED = ("draw_curves", "record_video", "write_report")


def __getattr__(name: str) -> Any:
    """Names that are of `rlgen.reports` now work for one version more."""
    if name in MOVED:
        warnings.warn(f"import {name} from rlgen.reports", DeprecationWarning, stacklevel=2)
        return getattr(import_module("rlgen.reports"), name)
    return _load(name)
