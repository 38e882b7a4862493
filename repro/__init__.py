"""Checks the claims of deep-learning textbooks, lecture notes and papers as Keras experiments with verdicts.

The names of the public API are listed in ``__init__.pyi`` and are loaded when first used, so that importing the package
loads neither pandas nor the claims.
"""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
