"""How certain a number is: interval estimates from seeds, and tests of whether two samples differ."""

from repro.uncertainty.intervals import (
    CONFIDENCE,
    RESOLUTION,
    SMALLEST,
    Band,
    Estimate,
    Exact,
    Interval,
    Levels,
    Median,
    Rate,
    Slopes,
    Status,
    slopes,
)
from repro.uncertainty.two_samples import IntervalEstimate, Sample, compare_intervals, compare_samples, rank_sum

__all__ = [
    "CONFIDENCE",
    "RESOLUTION",
    "SMALLEST",
    "Band",
    "Estimate",
    "Exact",
    "Interval",
    "IntervalEstimate",
    "Levels",
    "Median",
    "Rate",
    "Sample",
    "Slopes",
    "Status",
    "compare_intervals",
    "compare_samples",
    "rank_sum",
    "slopes",
]
