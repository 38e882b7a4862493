"""Errors that a user can act on: one line that names the culprit and the remedy."""

from __future__ import annotations


class ReproError(Exception):
    """Wrong usage or unusable input. The message is one line; the command line prints it and exits with status 2."""


class ClaimError(ReproError):
    """Wrong declaration of a claim."""


class ObservationsError(ReproError):
    """Table of observations that lacks what its criterion reads."""


class TrainingError(ReproError):
    """Model, loss, optimiser, grid or data that do not fit each other."""


class StoreError(ReproError):
    """Results folder that cannot be used."""


class BenchmarkError(ReproError):
    """Benchmarks that cannot be run, read or compared."""


class BundleError(ReproError):
    """File that is no bundle of a run, or not a sound one."""


class ClusterError(ReproError):
    """Worker processes that cannot be started, reached or used."""


class DataUnavailableError(ReproError):
    """Data set that is missing and cannot be obtained. The claim that asked for it ends as ``skipped``."""
