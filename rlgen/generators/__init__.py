"""Generative models of images and texts, their training and their metrics.

Names are loaded on first use, so importing the package is fast; `__init__.pyi` lists them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
