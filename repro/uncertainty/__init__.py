"""How certain a number is: interval estimates from seeds, and tests of whether two samples differ."""

from repro.uncertainty.intervals import (
    CONFIDENCE,
    RESOLUTION,
    SMALLEST,
    Band,
    CellOutcome,
    Estimate,
    Exact,
    Interval,
    Levels,
    Median,
    Rate,
    Slopes,
    Spread,
    slopes,
)
from repro.uncertainty.two_samples import IntervalEstimate, Sample, compare_intervals, compare_samples, rank_sum

__all__ = [
    "CONFIDENCE",
    "RESOLUTION",
    "SMALLEST",
    "Band",
    "CellOutcome",
    "Estimate",
    "Exact",
    "Interval",
    "IntervalEstimate",
    "Levels",
    "Median",
    "Rate",
    "Sample",
    "Slopes",
    "Spread",
    "compare_intervals",
    "compare_samples",
    "rank_sum",
    "slopes",
]
