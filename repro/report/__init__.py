"""The report of a run: static pages that open from disk without a network."""

from repro.report.site import build

__all__ = ["build"]
