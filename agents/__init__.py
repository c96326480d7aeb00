"""Agents for Stable-Baselines3 models, and the command line.

Names are loaded on first use, so that importing the package costs nothing; `__init__.pyi` is their list.
"""

from typing import Any

import lazy_loader

_load, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
EARLIER = {f"{name}Callback": name for name in ("VIME", "RND", "ICM", "L2", "Disagreement", "LBS")}


def __getattr__(name: str) -> Any:
    if name in EARLIER:
        import warnings

        warnings.warn(f"{name} is {EARLIER[name]} from now on", DeprecationWarning, stacklevel=2)
    return _load(EARLIER.get(name, name))
