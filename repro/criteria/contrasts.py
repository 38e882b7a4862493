"""How far a claim is from its control, paired by seed: removing the mechanism must take the effect away."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, ClassVar

import numpy as np
from pydantic import Field, Strict

from repro.criteria.thresholds import Threshold
from repro.uncertainty import CONFIDENCE, Band, Median

if TYPE_CHECKING:
    import pandas as pd

Number = Annotated[float, Strict()]


@dataclass(frozen=True, eq=False)
class Scores:
    """How far each seed is on the side where a statement holds.

    Attributes:
        by_seed: Number of each seed, indexed by seed: larger is further inside.
        smallest: Smallest difference of scores that matters; zero where the criterion has no threshold.
    """

    by_seed: pd.Series[float]
    smallest: float


@dataclass(frozen=True)
class Contrast:
    """Difference between a claim and its control in one cell, in favour of the claim.

    Attributes:
        cell: Name of the cell.
        effect: Median over seeds of the paired difference of scores: differences as they are, ratios as logarithms.
        low, high: Limits of its interval.
        n: Number of seeds that both have.
        smallest: Smallest difference that matters.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    cell: str
    effect: Number
    low: Number
    high: Number
    n: Annotated[int, Strict(), Field(ge=0)]
    smallest: Number

    @property
    def exceeds(self) -> bool:
        """Whether the claim is further inside than its control, by more than the smallest difference that matters."""
        return self.low > self.smallest


def score_in_band(effects: pd.Series[float], band: Band, threshold: Threshold | None) -> Scores:
    """Score effects, indexed by seed, by their place relative to a band: ratios by their logarithms."""
    is_ratio = threshold is not None and threshold.scale == "ratio"
    with np.errstate(divide="ignore"):
        values = effects.map(np.log) if is_ratio else effects
    low, high = (float(np.log(limit)) if is_ratio and limit > 0 else limit for limit in (band.low, band.high))
    if np.isinf(high):
        scores = values
    elif np.isinf(low):
        scores = -values
    else:
        scores = -(values - (low + high) / 2).abs()
    if threshold is None:
        return Scores(scores, 0.0)
    return Scores(scores, abs(float(np.log(threshold.value))) if is_ratio else abs(threshold.value))


def contrast(own: Mapping[str, Scores], control: Mapping[str, Scores]) -> Contrast | None:
    """Compare a claim with its control in the cell where they differ most clearly.

    The cell is chosen among all that both have, so its interval shares the error probability among them.

    Args:
        own: Scores of the claim by the name of the cell.
        control: Scores of the control.

    Returns:
        The contrast; None where no cell has scores of both.
    """
    cells = [name for name in own if name in control]
    found = [_contrast(name, own[name], control[name], 1 - (1 - CONFIDENCE) / len(cells)) for name in cells]
    return max((item for item in found if item is not None), key=lambda item: item.low - item.smallest, default=None)


def _contrast(name: str, own: Scores, control: Scores, confidence: float) -> Contrast | None:
    seeds = own.by_seed.index.intersection(control.by_seed.index)
    if seeds.empty:
        return None
    left, right = own.by_seed.loc[seeds], control.by_seed.loc[seeds]
    differences = (left - right).mask(left == right, 0.0)  # equal infinities do not differ
    if differences.isna().any():
        return None
    estimate = Median(tuple(float(value) for value in differences))
    if len(seeds) == 1 and not isinstance(seeds[0], int | np.integer):  # a run without randomness
        return Contrast(name, estimate.point, estimate.point, estimate.point, 1, own.smallest)
    interval = estimate.interval(confidence)
    return Contrast(name, estimate.point, interval.low, interval.high, estimate.n, own.smallest)
