"""Errors that a user can act on: one line that names the culprit and the remedy."""

from __future__ import annotations


class ReproError(Exception):
    """Wrong usage or unusable input. The message is one line; the command line prints it and exits with status 2."""


class ClaimError(ReproError):
    """A claim is declared wrongly."""


class ObservationsError(ReproError):
    """A table of observations does not have what its criterion reads."""


class TrainingError(ReproError):
    """A model, a loss, an optimiser, a grid or data that do not fit each other."""


class StoreError(ReproError):
    """A results folder cannot be used."""


class BenchmarkError(ReproError):
    """Benchmarks that cannot be run, read or compared."""


class BundleError(ReproError):
    """A file is no bundle of a run, or not a sound one."""


class ClusterError(ReproError):
    """Worker processes cannot be started, reached or used."""


class DataUnavailableError(ReproError):
    """A data set is missing and cannot be had. The claim that asked for it ends as ``skipped``."""
