"""Estimates over seeds of one number, or one yes or no, per seed."""

from __future__ import annotations

import pandas as pd

from repro.common import ObservationsError
from repro.uncertainty import Estimate, Exact, Median, Rate, Sample

# Stands for the seed in observations that have none: a deterministic run has no sampling error.
DETERMINISTIC = "deterministic"


def median_over_seeds(effects: pd.Series[float], measure: str, unknown: pd.Series[bool] | None = None) -> Estimate:
    """Estimate the median over seeds of one number per seed, indexed by seed, some of which may stand for unknown ones.

    Raises:
        ObservationsError: the number of a seed is NaN: its rows do not determine it.
    """
    if effects.isna().any():
        raise ObservationsError(f"{measure} is undefined for seed {effects.index[effects.isna()][0]}")
    if DETERMINISTIC in effects.index:
        return Exact(float(effects.iloc[0]))
    known = effects if unknown is None else effects[~unknown]
    others = effects[:0] if unknown is None else effects[unknown]
    return Median(tuple(map(float, known)), tuple(map(float, others)))


def rate_over_seeds(successes: pd.Series[bool]) -> Estimate:
    """Estimate the share of seeds with a success, from one truth value per seed, indexed by seed."""
    if DETERMINISTIC in successes.index:
        return Exact(float(successes.iloc[0]))
    return Rate(int(successes.sum()), len(successes))


def sample(effects: pd.Series[float], effect: float) -> Sample:
    """Make a sample of one number per seed, indexed by seed, with the effect that is reported."""
    return Sample(tuple(float(value) for value in effects), effect, DETERMINISTIC in effects.index)
