"""What a criterion may require of its rows, with the seed that does not meet it named in the error."""

from __future__ import annotations

import numpy as np
import pandas as pd

from repro.common import ObservationsError


def require_positive(observations: pd.DataFrame, name: str) -> None:
    """Reject a column with values of zero or less."""
    _reject(observations, name, observations[name] <= 0, "positive")


def require_finite(observations: pd.DataFrame, name: str) -> None:
    """Reject a column with infinite values."""
    _reject(observations, name, observations[name].abs() == np.inf, "finite")


def require_single_rows(observations: pd.DataFrame, position: str) -> None:
    """Reject several rows of one seed at one position."""
    repeated = observations[observations.duplicated(["seed", position])]
    if not repeated.empty:
        seed, place = repeated["seed"].iloc[0], repeated[position].iloc[0]
        raise ObservationsError(f"several rows of seed {seed} with {position} = {place}; reduce them to one")


def require_positions(observations: pd.DataFrame, position: str, least: int) -> None:
    """Reject seeds that were observed at fewer than ``least`` positions."""
    counts = observations.groupby("seed")[position].nunique()
    if (counts < least).any():
        raise ObservationsError(
            f"seed {counts.idxmin()} has {counts.min()} values of {position}, a change along it takes at least {least}"
        )


def _reject(observations: pd.DataFrame, name: str, wrong: pd.Series[bool], wanted: str) -> None:
    if wrong.any():
        rows = observations[wrong]
        raise ObservationsError(f"{name} must be {wanted}, seed {rows['seed'].iloc[0]} has {rows[name].iloc[0]:g}")
