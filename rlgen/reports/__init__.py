"""What readers see of runs: one web page of a run or of several, curves, maps of visited states, pictures, videos.

Names are loaded on first use, so that importing the package costs nothing; `__init__.pyi` is their list.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
