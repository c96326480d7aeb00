"""Run folders: configuration, metrics, checkpoints, evaluation and result. Reports on them are in `rlgen.reports`.

Names are loaded on first use, so that the import of the package is fast; `__init__.pyi` lists them.
"""

import warnings
from importlib import import_module
from typing import Any

import lazy_loader

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
MOVED = ("draw_curves", "record_video", "write_report")


def __getattr__(name: str) -> Any:
    """Return names that moved to `rlgen.reports`, with a deprecation warning; for one more version."""
    if name in MOVED:
        warnings.warn(f"import {name} from rlgen.reports", DeprecationWarning, stacklevel=2)
        return getattr(import_module("rlgen.reports"), name)
    return _load(name)
