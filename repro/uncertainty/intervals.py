"""Interval estimates that hold for every noise distribution, thin over scipy.

An ``Estimate`` answers two questions: which interval holds at a given confidence, and at which level (one minus the
confidence) that interval comes to lie on one side of a threshold. A ``Band`` is what a statement allows; it turns an
estimate into the ``Levels`` at which the statement holds and fails.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, Protocol

import numpy as np
import numpy.typing as npt
from etils import epy

with epy.lazy_imports():
    import scipy.stats

CONFIDENCE = 0.99
# Measurements come from single precision: two that differ by less are equal.
RESOLUTION = float(np.finfo(np.float32).eps) / 2
SMALLEST = 1e-300
EXACT_HIT = 1e-12
CellOutcome = Literal["holds", "fails", "opposite", "open"]


@dataclass(frozen=True)
class Interval:
    """An interval; infinite limits mean a sample too small for the confidence, or infinite values."""

    low: float
    high: float


class Estimate(Protocol):
    """A quantity known up to sampling error, from ``n`` independent seeds."""

    @property
    def n(self) -> int:
        """Number of independent seeds."""

    @property
    def point(self) -> float:
        """Point estimate."""

    def interval(self, confidence: float) -> Interval:
        """Return a two-sided interval that covers the true value with at least this confidence."""

    def level_below(self, threshold: float) -> float:
        """Return the smallest level at which the whole interval lies below the threshold."""

    def level_above(self, threshold: float) -> float:
        """Return the smallest level at which the whole interval lies above the threshold."""


@dataclass(frozen=True)
class Median:
    """The median of a distribution, by the order statistics of a sample.

    The interval from the r-th smallest to the r-th largest value covers the median with probability at least
    1 - 2 P(Binomial(n, 1/2) < r), whatever the distribution (David and Nagaraja, Order Statistics, 2003, section 7.1).
    At 99 % that takes eight seeds; docs/calibration.md shows error rates and power in noise of all kinds. Infinite
    values are allowed. Values are known to single precision only, so equal ones do not give an interval of no width,
    and one that lies on a threshold is on neither side of it.

    Attributes:
        values: Values, one per seed.
        unknown: Numbers that stand in the point estimate for seeds whose values are not known: to the interval and the
            levels they may be anything.
    """

    values: tuple[float, ...]
    unknown: tuple[float, ...] = ()

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.values) + len(self.unknown)

    @property
    def point(self) -> float:
        """Sample median: the middle value, or the mean of the two middle ones; NaN between infinities of both signs."""
        ordered = sorted(self.values + self.unknown)
        lower, upper = ordered[(self.n - 1) // 2], ordered[self.n // 2]
        return lower if lower == upper else lower / 2 + upper / 2

    def interval(self, confidence: float) -> Interval:
        """Return the order-statistic interval, unbounded where ``n`` is too small for the confidence."""
        low, high = _order_statistics(self.values + (-np.inf,) * len(self.unknown), confidence)
        if self.unknown:
            _, high = _order_statistics(self.values + (np.inf,) * len(self.unknown), confidence)
        return Interval(-np.inf if np.isnan(low) else _lower(low), np.inf if np.isnan(high) else _upper(high))

    def level_below(self, threshold: float) -> float:
        """Return the level of the sign test of "the median is at least the threshold", doubled for two sides."""
        return self._level(len(self.unknown) + sum(_upper(value) >= threshold for value in self.values))

    def level_above(self, threshold: float) -> float:
        """Return the level of the sign test of "the median is at most the threshold", doubled for two sides."""
        return self._level(len(self.unknown) + sum(_lower(value) <= threshold for value in self.values))

    def _level(self, contradicting: int) -> float:
        return min(1.0, 2 * float(scipy.stats.binom.cdf(contradicting, self.n, 0.5)))


@dataclass(frozen=True)
class Rate:
    """The probability of success, by the exact binomial interval (Clopper and Pearson 1934).

    Attributes:
        successes: Number of seeds with a success.
        n: Number of seeds.
    """

    successes: int
    n: int

    @property
    def point(self) -> float:
        """Share of successes."""
        return self.successes / self.n

    def interval(self, confidence: float) -> Interval:
        """Return the Clopper-Pearson interval."""
        limits = scipy.stats.binomtest(self.successes, self.n).proportion_ci(confidence, method="exact")
        return Interval(float(limits.low), float(limits.high))

    def level_below(self, threshold: float) -> float:
        """Return twice the probability of as few successes at the threshold, from 0 to 1."""
        return min(1.0, 2 * float(scipy.stats.binom.cdf(self.successes, self.n, threshold)))

    def level_above(self, threshold: float) -> float:
        """Return twice the probability of as many successes at the threshold, from 0 to 1."""
        return min(1.0, 2 * float(scipy.stats.binom.sf(self.successes - 1, self.n, threshold)))


@dataclass(frozen=True)
class Exact:
    """A quantity without randomness: one deterministic run, known up to rounding.

    Attributes:
        point: Value of the quantity.
        n: Number of runs, which is one.
    """

    point: float
    n: int = 1

    def interval(self, confidence: float) -> Interval:  # noqa: ARG002  the same at every confidence
        """Return the value with its rounding."""
        return Interval(_lower(self.point), _upper(self.point))

    def level_below(self, threshold: float) -> float:
        """Return zero if the value is below the threshold, else one."""
        return float(_upper(self.point) >= threshold)

    def level_above(self, threshold: float) -> float:
        """Return zero if the value is above the threshold, else one."""
        return float(_lower(self.point) <= threshold)


@dataclass(frozen=True)
class Spread:
    """A quantity of which the largest value over seeds counts, such as an error that no seed may have.

    Attributes:
        values: Values, one per seed.
    """

    values: tuple[float, ...]

    @property
    def n(self) -> int:
        """Number of seeds."""
        return len(self.values)

    @property
    def point(self) -> float:
        """Largest value."""
        return max(self.values)

    def interval(self, confidence: float) -> Interval:  # noqa: ARG002  the same at every confidence
        """Return the range over seeds."""
        return Interval(min(self.values), max(self.values))

    def level_below(self, threshold: float) -> float:
        """Return zero if all values are below the threshold, else one."""
        return float(max(self.values) >= threshold)

    def level_above(self, threshold: float) -> float:
        """Return zero if all values are above the threshold, else one."""
        return float(min(self.values) <= threshold)


@dataclass(frozen=True)
class Levels:
    """Smallest levels at which a statement is seen to hold, to fail, to be the opposite, and not to; 1 for none.

    At least one of ``holds`` and ``fails`` is 1: an interval that shrinks on its estimate cannot come to lie on both
    sides of a threshold. What is opposite fails, so ``fails`` is at most ``opposite``.
    """

    holds: float
    fails: float
    opposite: float = 1.0
    not_opposite: float = 0.0

    def outcome(self, level: float) -> CellOutcome:
        """Return what is seen at a level, which is one minus the confidence."""
        if self.holds <= level:
            return "holds"
        if self.opposite <= level:
            return "opposite"
        return "fails" if self.fails <= level else "open"

    def is_settled(self, level: float) -> bool:
        """Tell whether more seeds could say no more: what fails is known to be the opposite, or not to be."""
        outcome = self.outcome(level)
        return outcome in ("holds", "opposite") or (outcome == "fails" and self.not_opposite <= level)


@dataclass(frozen=True)
class Band:
    """The effects for which a statement holds; one-sided where a limit is infinite."""

    low: float = -np.inf
    high: float = np.inf

    def levels(self, estimate: Estimate, opposite: Band | None = None) -> Levels:
        """Place an estimate relative to the band.

        Args:
            estimate: Estimate of the effect.
            opposite: Effects that are the opposite of the statement, all outside the band; None where nothing is.

        Returns:
            The level from which on the whole interval lies inside the band, that from which on all of it lies outside
            the band on one side, and that from which on all of it lies inside the opposite band.
        """
        above_low, below_low = 0.0, 1.0
        if np.isfinite(self.low):
            above_low, below_low = estimate.level_above(self.low), estimate.level_below(self.low)
        below_high, above_high = 0.0, 1.0
        if np.isfinite(self.high):
            below_high, above_high = estimate.level_below(self.high), estimate.level_above(self.high)
        holds, fails = max(above_low, below_high), min(below_low, above_high)
        if opposite is None:
            return Levels(holds, fails)
        against = opposite.levels(estimate)
        return Levels(holds, fails, opposite=against.holds, not_opposite=against.fails)


@dataclass(frozen=True)
class Slopes:
    """Steepness of a sequence of points.

    Attributes:
        overall: Slope of the least-squares line.
        first, last: Slopes of the least-squares parabola at the smallest and the largest position; those of the line
            for two distinct positions.
    """

    overall: float
    first: float
    last: float


def slopes(x: npt.NDArray[np.float64], y: npt.NDArray[np.float64]) -> Slopes:
    """Fit a line, and a parabola that shows how far from a line the points are.

    Args:
        x: Positions, at least two distinct ones.
        y: Finite values at the positions.
    """
    positions = x - x.mean()
    overall = float(np.polyfit(positions, y, 1)[0])
    if len(np.unique(positions)) < 3:
        return Slopes(overall, overall, overall)
    curvature, middle, _ = (float(coefficient) for coefficient in np.polyfit(positions, y, 2))
    return Slopes(overall, middle + 2 * curvature * positions.min(), middle + 2 * curvature * positions.max())


def _lower(value: float) -> float:
    return value - RESOLUTION * abs(value) - SMALLEST if np.isfinite(value) else value


def _upper(value: float) -> float:
    return value + RESOLUTION * abs(value) + SMALLEST if np.isfinite(value) else value


def _order_statistics(values: tuple[float, ...], confidence: float) -> tuple[float, float]:
    """Return the two values between which the median lies; NaN where there are too few for the confidence."""
    # At a confidence that a rank has exactly, SciPy would take the next rank: it rounds the other way.
    found = scipy.stats.quantile_test(values, p=0.5).confidence_interval(confidence - EXACT_HIT)
    return float(found.low), float(found.high)
