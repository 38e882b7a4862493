"""Presents results: the static pages of a report, a check in a notebook, tables for repositories."""

import lazy_loader

__getattr__, __dir__, __all__ = lazy_loader.attach_stub(__name__, __file__)
