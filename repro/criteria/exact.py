"""Statements without sampling error in the quantity itself: identities and bounds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import pandas as pd

from repro.common import ClaimError, ObservationsError
from repro.criteria.base import ColumnCriterion, words
from repro.criteria.drawing import against_bound, beside, identity, rounding_errors
from repro.criteria.estimates import rate_over_seeds, sample
from repro.criteria.judging import Measurement
from repro.criteria.sentences import number
from repro.uncertainty import Band, Interval, Levels, Sample, Spread

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# In tolerances: errors that neither rounding explains, nor cutting off the digits of a printed number.
CONTRADICTION = 1000.0
PRINTED_CONTRADICTION = 2.0
# A bound that most seeds violate must have been noticed before its silence counts.
MOST = 0.5


@dataclass(frozen=True)
class Identity(ColumnCriterion):
    """Statement that two sides of an equation are equal up to rounding.

    The error of a seed is the Euclidean norm of left minus right over its rows, in units of the tolerance
    ``rtol * norm(right) + atol``. All seeds within one tolerance reproduce the identity; a seed beyond 1000 tolerances
    refutes it, since rounding does not do that; in between nothing is decided. Where ``precision`` names a column of
    dtypes, the highest precision is judged, and an error counts as a contradiction only if it is no smaller than at the
    lowest one: rounding errors shrink with the precision, wrong formulas do not.

    A printed number (``digits``) is compared row by row with a tolerance of half a unit in its last place; two
    tolerances, which is more than cutting the digits off, refute it. The interval is the range over seeds.

    Attributes:
        left, right: Columns of the two sides, one row per component.
        operations: Length of the longest chain of roundings, for ``rtol = operations * epsilon`` (Higham, Accuracy and
            Stability of Numerical Algorithms, 2002, section 3.1).
        dtype: Floating-point type in which the sides were computed.
        atol: Absolute tolerance, for sides that may be zero.
        digits: Decimals of the printed numbers in ``right``, instead of a tolerance from rounding.
        precision: Column of dtypes, where the sides were computed in several.

    Example:
        >>> table = pd.DataFrame({"seed": range(8), "left": 0.1 + 0.2, "right": 0.3})
        >>> Identity("left", "right")(table).status
        'reproduced'
        >>> Identity("left", "right")(table.assign(right=0.31), kind="formula").status
        'refuted'
    """

    left: str
    right: str
    operations: int = 1
    dtype: str = "float64"
    atol: float = 0.0
    digits: int | None = None
    precision: str | None = None

    def __post_init__(self) -> None:
        if self.operations < 1:
            raise ClaimError("Identity takes the number of operations, at least 1")

    @property
    def has_sampling_error(self) -> bool:
        """Whether more seeds make the verdict more certain; not so, as rounding is the only error."""
        return False

    def columns(self) -> tuple[str, ...]:
        """Name the columns of both sides, and that of the precision where there are several."""
        return (self.left, self.right) + ((self.precision,) if self.precision else ())

    def measurement(self, observations: pd.DataFrame) -> Measurement:
        """Compare the error of every seed with the tolerance; the effect is its size relative to the right side."""
        errors = self.errors(observations)
        contradictions = (errors > self.contradiction) & self._undiminished(observations, errors.index)
        levels = Levels(holds=float((errors > 1).any()), fails=float(not contradictions.any()))
        sizes = self.sizes(observations)
        return Measurement(self.measure, Spread(tuple(float(size) for size in sizes)), levels, has_sampling_error=False)

    def phrase(self, measured: Measurement, interval: Interval) -> str:
        """Say how far the sides are from each other."""
        left, right = words(self.left), words(self.right)
        if self.digits is not None:
            return f"{left} is off the printed {right} by up to {number(interval.high)}"
        largest = number(interval.high)
        if measured.levels.holds == 0:
            return f"{left} and {right} are equal to {largest}" if interval.high else f"{left} and {right} are equal"
        return f"{left} and {right} differ by {largest} of their size at most, by {number(interval.low)} at least"

    def reduced(self, observations: pd.DataFrame) -> dict[str, Sample]:
        """Return the error of each seed in tolerances; errors within the tolerance all count as one."""
        errors = self.errors(observations)
        return {f"{self.measure}, in tolerances": sample(errors.clip(lower=1.0), float(errors.max()))}

    @property
    def measure(self) -> str:
        """Name of the largest error."""
        size = "error" if self.digits is not None else "relative error"
        return f"largest {size} of {words(self.left)} = {words(self.right)}"

    @property
    def contradiction(self) -> float:
        """Error in tolerances that refutes the identity."""
        return CONTRADICTION if self.digits is None else PRINTED_CONTRADICTION

    def errors(self, observations: pd.DataFrame) -> pd.Series[float]:
        """Return the error of each seed in tolerances, at the highest precision where there are several.

        Raises:
            ObservationsError: the right side is zero, so that rounding has no scale, and there is no ``atol``.
        """
        if self.precision is None:
            return self._in_tolerances(observations, self.dtype)
        finest = self._precisions(observations)[0]
        return self._in_tolerances(observations[observations[self.precision] == finest], finest)

    def sizes(self, observations: pd.DataFrame) -> pd.Series[float]:
        """Return the error of each seed relative to its right side; absolute where that is zero, or for printed digits.

        At the highest precision where there are several.
        """
        rows = observations
        if self.precision is not None:
            rows = rows[rows[self.precision] == self._precisions(rows)[0]]
        differences = self._differences(rows)
        if self.digits is not None:
            return differences.groupby(rows["seed"]).max()
        right = rows[self.right].astype(float)
        error = _norm(differences, rows["seed"])
        size = _norm(right.where(np.isfinite(right), 0.0), rows["seed"])
        return (error / size.mask(size == 0, 1.0)).mask(error == 0, 0.0)

    def describe(self) -> str:
        """Say which sides are equal and to what tolerance."""
        if self.digits is not None:
            return f"{words(self.left)} = {words(self.right)} to {self.digits} decimals"
        dtype = self.dtype if self.precision is None else "of the highest precision"
        return f"{words(self.left)} = {words(self.right)} up to the rounding of {self.operations} operations, {dtype}"

    def draw(self, axes: Axes, observations: pd.DataFrame) -> None:
        """Draw left against right, and beside them the errors that are judged."""
        identity(axes, observations[self.left], observations[self.right])
        rounding_errors(beside(axes), self.errors(observations), self.contradiction)

    def _in_tolerances(self, observations: pd.DataFrame, dtype: str) -> pd.Series[float]:
        right = observations[self.right].astype(float)
        size = right.where(np.isfinite(right), 0.0)
        if self.digits is not None:
            half_unit = 0.5 * 10.0**-self.digits + _epsilon(dtype) * size.abs()
            return (self._differences(observations) / half_unit).groupby(observations["seed"]).max()
        error = _norm(self._differences(observations), observations["seed"])
        tolerance = self.operations * _epsilon(dtype) * _norm(size, observations["seed"]) + self.atol
        without_scale = error.index[(tolerance == 0) & (error > 0)]
        if len(without_scale):
            raise ObservationsError(
                f"Identity: {self.right} is zero for seed {without_scale[0]}, so rounding has no scale; give atol"
            )
        return (error / tolerance).mask(error == 0, 0.0)

    def _undiminished(self, observations: pd.DataFrame, seeds: pd.Index[Any]) -> pd.Series[bool]:
        if self.precision is None:
            return pd.Series(True, index=seeds)
        errors = {
            str(dtype): _norm(self._differences(rows), rows["seed"]).reindex(seeds)
            for dtype, rows in observations.groupby(self.precision, observed=True)
        }
        precisions = self._precisions(observations)
        return errors[precisions[0]] > errors[precisions[-1]] / 10

    def _precisions(self, observations: pd.DataFrame) -> list[str]:
        """List the dtypes from the highest precision to the lowest."""
        return sorted({str(dtype) for dtype in observations[self.precision]}, key=_epsilon)

    def _differences(self, observations: pd.DataFrame) -> pd.Series[float]:
        left, right = observations[self.left].astype(float), observations[self.right].astype(float)
        return (left - right).abs().mask(left == right, 0.0)


@dataclass(frozen=True)
class AtMost(ColumnCriterion):
    """Statement that a quantity never exceeds a bound. One real violation refutes it.

    The effect is the share of seeds with a violation, with its exact binomial interval: the upper limit says how often
    the bound could fail without having been seen to. Seeds without a violation reproduce the bound once that limit is
    below a half, which takes eight seeds at 99 %; fewer are inconclusive. No number of seeds rules out rare violations:
    twelve leave room for 36 % of seeds, 24 for 20 % and 48 for 10 %.

    Attributes:
        value: Column of the quantity.
        bound: Column or number that bounds the quantity.
        rtol: Relative excess that counts as rounding.
        atol: Absolute excess that counts as rounding.

    Example:
        >>> table = pd.DataFrame({"seed": range(8), "updates": 90, "bound": 100.0})
        >>> AtMost("updates", bound="bound")(table).status
        'reproduced'
        >>> AtMost("updates", bound=80)(table).effect  # share of seeds that violate it
        1.0
    """

    value: str
    bound: str | float
    rtol: float = 1e-9
    atol: float = 0.0

    @property
    def has_sampling_error(self) -> bool:
        """Whether more seeds make the verdict more certain; not so, as one violation settles it.

        More seeds are a wider search for one.
        """
        return False

    def columns(self) -> tuple[str, ...]:
        """Name the column of the value, and the bound where it is a column."""
        return (self.value, self.bound) if isinstance(self.bound, str) else (self.value,)

    def measurement(self, observations: pd.DataFrame) -> Measurement:
        """Measure in how many seeds a row lies beyond the bound."""
        rate = rate_over_seeds(self.violated(observations))
        violated = rate.point > 0
        holds = 1.0 if violated else Band(high=MOST).levels(rate).holds
        share = self.tightness(observations)
        return Measurement(
            self.measure, rate, Levels(holds, fails=float(not violated)), has_sampling_error=False, remark=share
        )

    def tightness(self, observations: pd.DataFrame) -> float:
        """Return the largest share of its bound that a value reaches; NaN where bounds or values are not positive."""
        bound = self._bound(observations)
        value = observations[self.value].astype(float)
        if (bound <= 0).any() or (value < 0).any() or not np.isfinite(bound).all():
            return float("nan")
        return float(self._shares(value, bound).max())

    def phrase(self, measured: Measurement, interval: Interval) -> str:  # noqa: ARG002  the point says enough
        """Say how often the bound was violated, and how near the values came to it."""
        rate, share = measured.estimate, measured.remark
        seeds = f"{rate.n} seed{'' if rate.n == 1 else 's'}"
        if not rate.point:
            near = "" if np.isnan(share) else f"; the closest reached {number(100 * share)} % of the bound"
            return f"{words(self.value)}: no violation in {seeds}{near}"
        worst = "" if np.isnan(share) else f", by up to {number(share)} times the bound"
        return f"{words(self.value)}: violated in {round(rate.point * rate.n)} of {seeds}{worst}"

    def reduced(self, observations: pd.DataFrame) -> dict[str, Sample]:
        """Return for each seed whether it violates the bound."""
        violated = self.violated(observations)
        return {self.measure: sample(violated.astype(float), rate_over_seeds(violated).point)}

    @property
    def measure(self) -> str:
        """Name of the share of violations."""
        return "share of seeds that violate the bound"

    def violated(self, observations: pd.DataFrame) -> pd.Series[bool]:
        """Tell for each seed whether it has a row beyond the bound."""
        return self.violations(observations).groupby(observations["seed"]).any()

    def violations(self, observations: pd.DataFrame) -> pd.Series[bool]:
        """Tell for each row whether its value exceeds the bound by more than rounding."""
        bound = self._bound(observations)
        return observations[self.value] > bound + self._rounding(bound)

    def describe(self) -> str:
        """Say what stays below what."""
        return f"{words(self.value)} is at most {words(self.bound)} on every row"

    def draw(self, axes: Axes, observations: pd.DataFrame) -> None:
        """Draw the values against their bound."""
        violations = self.violations(observations)
        against_bound(axes, observations[self.value], self._bound(observations), violations, forbidden="above")

    def _shares(self, value: pd.Series[float], bound: pd.Series[float]) -> pd.Series[float]:
        return value / bound

    def _bound(self, observations: pd.DataFrame) -> pd.Series[float]:
        if isinstance(self.bound, str):
            return observations[self.bound].astype(float)
        return pd.Series(float(self.bound), index=observations.index, name="bound")

    def _rounding(self, bound: pd.Series[float]) -> pd.Series[float]:
        return (self.rtol * bound.abs()).where(np.isfinite(bound), 0.0) + self.atol


@dataclass(frozen=True)
class AtLeast(AtMost):
    """Statement that a quantity never falls below a bound. One real violation refutes it.

    Example:
        >>> table = pd.DataFrame({"seed": range(8), "cosine": 0.9})
        >>> AtLeast("cosine", bound=0.5)(table).status
        'reproduced'
    """

    def violations(self, observations: pd.DataFrame) -> pd.Series[bool]:
        """Tell for each row whether its value falls below the bound by more than rounding."""
        bound = self._bound(observations)
        return observations[self.value] < bound - self._rounding(bound)

    def describe(self) -> str:
        """Say what stays above what."""
        return f"{words(self.value)} is at least {words(self.bound)} on every row"

    def draw(self, axes: Axes, observations: pd.DataFrame) -> None:
        """Draw the values against their bound."""
        violations = self.violations(observations)
        against_bound(axes, observations[self.value], self._bound(observations), violations, forbidden="below")

    def _shares(self, value: pd.Series[float], bound: pd.Series[float]) -> pd.Series[float]:
        return (bound / value).fillna(0.0)


def _norm(values: pd.Series[float], seeds: pd.Series[Any]) -> pd.Series[float]:
    """Return the Euclidean norm of each seed's values."""
    squares: pd.Series[float] = (values**2).groupby(seeds).sum()
    return squares**0.5


def _epsilon(dtype: str) -> float:
    return float(np.finfo(dtype).eps)
