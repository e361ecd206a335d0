"""scalefit: Bayesian scaling laws, from a table of small runs to a decision that says how sure it is.

The public names are listed in `__init__.pyi`; each is loaded on first use, so that `import scalefit` is light.
"""

import lazy_loader

__version__ = "0.1.0"
__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
