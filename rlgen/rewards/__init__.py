"""Reward sources: discriminators, curiosities, and anything else that rewards an agent.

Names are loaded on first use, so that importing the package costs nothing; `__init__.pyi` is their list.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
