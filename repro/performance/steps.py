"""Steps in a series of measurements: when it changed, by how much, and how sure that is.

A step is looked for after every measurement, as if the series ended there. The look compares the last measurements of
the present level with those before, at every place where the level may have changed, by the exact two-sided test of
Mann and Whitney (1947), and takes the smallest p-value: the change-point model of Hawkins and Deng (2010, "A
nonparametric change-point control chart", Journal of Quality Technology 42). It is a step if that is at most
``SPENDING / n ** 2`` at the n-th measurement of a level. Ranks do not depend on the distribution of the noise, so
neither does the probability that a series of independent measurements without a step ever shows one, however long it
becomes and though it is looked at again and again: under 1 % by simulation, see docs/performance.md. A change by less
than ``FLOOR`` is no step.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache

import numpy as np
import numpy.typing as npt
from etils import epy

from repro.common import format_effect
from repro.uncertainty import CONFIDENCE

with epy.lazy_imports():
    import scipy.stats

Array = npt.NDArray[np.float64]

WINDOW = 60  # measurements that a look takes into account; more would find no step that deserves the name sooner
SPENDING = 0.025
FLOOR = 0.05  # a smaller change is not worth a search for its cause


@dataclass(frozen=True)
class Change:
    """Ratio of the values of one sample to those of another.

    Attributes:
        ratio: Point estimate of the ratio.
        low, high: Bounds of the interval at 99 % confidence; 0 and infinity where the samples are too small for one.
    """

    ratio: float
    low: float
    high: float

    def __str__(self) -> str:
        """Write the change in percent with its interval."""
        return format_effect(*(100 * (ratio - 1) for ratio in (self.ratio, self.low, self.high))) + " %"


@dataclass(frozen=True)
class Step:
    """A change of the level of a series.

    Attributes:
        start: Index of the first measurement at the new level.
        noticed: Index of the measurement with which the step was noticed.
        change: Ratio of new values to old ones.
    """

    start: int
    noticed: int
    change: Change


def steps(values: Sequence[float]) -> list[Step]:
    """Find the steps in a series.

    Args:
        values: Positive measurements in the order in which they were made.

    Returns:
        The steps, oldest first. What is found does not change when measurements are added, except for the size of the
        last step, which they make more precise.
    """
    logarithms = np.log(np.asarray(values, float))
    starts, noticed = [0], []
    for end in range(2, len(logarithms) + 1):
        start = look(logarithms[starts[-1] : end])
        if start is not None:
            starts.append(starts[-1] + start)
            noticed.append(end - 1)
    levels = [logarithms[start:end] for start, end in zip(starts, [*starts[1:], None], strict=True)]
    return [
        Step(start, notice, change(before, after))
        for start, notice, before, after in zip(starts[1:], noticed, levels, levels[1:], strict=False)
    ]


def change(before: Array, after: Array) -> Change:
    """Estimate the factor by which values changed at a step.

    The shift of the logarithms is estimated as Hodges and Lehmann (1963) do, by the median of all differences, with the
    interval that inverts the Mann-Whitney test. Half a window on each side of the step is taken into account.

    Args:
        before: Logarithms [measurements] of the level that ends.
        after: Logarithms [measurements] of the level that begins.
    """
    left, right = before[-(WINDOW // 2) :], after[: WINDOW // 2]
    differences = np.sort(np.subtract.outer(right, left), axis=None)
    rejected = int(np.sum(two_sided(len(left), len(right)) <= 1 - CONFIDENCE)) // 2
    low, high = (differences[[rejected - 1, -rejected]]) if rejected else (-math.inf, math.inf)
    return Change(math.exp(np.median(differences)), math.exp(low), math.exp(high))


def split_levels(values: Array) -> Array:
    """Test every place where the level of a series may have changed.

    Args:
        values: Measurements [..., n], at most ``WINDOW``; ties count as half.

    Returns:
        Exact two-sided p-values [..., n - 1] of the Mann-Whitney test of the first 1, 2, ... values against the rest.
    """
    n = values.shape[-1]
    sizes = np.arange(1, n)
    ranks = scipy.stats.rankdata(values, axis=-1)
    wins = np.cumsum(ranks, axis=-1)[..., :-1] - sizes * (sizes + 1) / 2
    # The table ends at the middle of the distribution, which is symmetric; ties round towards it.
    extreme = np.ceil(np.minimum(wins, sizes * (n - sizes) - wins)).astype(int)
    levels: Array = _table(n)[sizes - 1, extreme]
    return levels


@cache
def two_sided(first: int, second: int) -> Array:
    """Return the two-sided p-values of all outcomes 0, ..., first * second of the Mann-Whitney statistic."""
    outcomes = np.arange(first * second + 1)
    below = np.cumsum(_distribution(first, second))
    p_values: Array = np.minimum(1.0, 2 * below[np.minimum(outcomes, outcomes[::-1])])
    return p_values


def look(level: Array) -> int | None:
    """Check once whether a level has ended.

    Args:
        level: Logarithms [measurements] since the last step, the newest one last.

    Returns:
        Index of the first measurement of the next level; None where the level goes on.
    """
    window = level[-WINDOW:]
    found = split_levels(window)
    split = int(np.argmin(found)) + 1
    if found[split - 1] > SPENDING / len(level) ** 2:
        return None
    start = len(level) - len(window) + split
    shift = np.median(np.subtract.outer(level[start:], window[:split]))
    return start if abs(shift) >= math.log1p(FLOOR) else None


@cache
def _table(n: int) -> Array:
    """Return p-values [split, statistic] for all splits of ``n`` values, the statistic up to its middle."""
    rows = [two_sided(size, n - size) for size in range(1, n)]
    table = np.ones((n - 1, max(len(row) for row in rows)))
    for row, p_values in zip(table, rows, strict=True):
        row[: len(p_values)] = p_values
    return table


@cache
def _distribution(first: int, second: int) -> Array:
    """Return the probabilities of the outcomes by the recursion of Mann and Whitney (1947) on the largest value."""
    if first == 0 or second == 0:
        return np.ones(1)
    probabilities = np.zeros(first * second + 1)
    probabilities[second:] += _distribution(first - 1, second) * (first / (first + second))
    probabilities[: -first or None] += _distribution(first, second - 1) * (second / (first + second))
    return probabilities
