"""Reports on runs: web pages of one run or several, curves, maps of visited states, pictures, videos.

Names are loaded on first use, so that the import of the package is fast; `__init__.pyi` lists them.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
