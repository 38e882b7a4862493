"""Statements that compare arms, paired by seed."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import numpy as np
import pandas as pd

from repro.common import ClaimError, ObservationsError
from repro.criteria.base import SeedwiseCriterion, words
from repro.criteria.drawing import beside, paired_arms, seedwise
from repro.criteria.judging import Measurement
from repro.criteria.sentences import amount, compared, factor, tolerance
from repro.criteria.thresholds import Threshold, ThresholdScale, convention
from repro.uncertainty import Band, Estimate, Interval, Median

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Greater(SeedwiseCriterion):
    """Statement that one arm exceeds another, by a difference or by a ratio that matters.

    The effect is the median over seeds of the paired difference or ratio. A run that never reached its target counts as
    infinite; where both arms of a seed are, they tie in the effect, and nothing is known of which is greater. Its
    opposite is that the other arm exceeds this one by as much.

    Attributes:
        metric: Column of the measured quantity.
        of: Arm that the statement says is greater.
        than: Arm with which it is compared.
        by: Column that holds the arms.
        smallest_difference: Smallest difference that matters; negative for "not worse by more than".
        smallest_ratio: Smallest ratio that matters. Give either, or neither for what the project's table says of the
            quantity: a point of accuracy or error, five per cent of anything else.
        because: Reason for a threshold that is not in the table and has no ``source``.

    Example:
        >>> errors = {"plain": 0.3, "deep": 0.1}
        >>> arms = [{"seed": seed, "net": net, "error": errors[net]} for seed in range(8) for net in errors]
        >>> worse = Greater("error", of="plain", than="deep", by="net")
        >>> print(worse(pd.DataFrame(arms)).sentence)
        Holds here: error of plain is 20 points above that of deep; 1 point counts.
    """

    thresholds: ClassVar[Mapping[str, ThresholdScale]] = {
        "smallest_difference": "difference",
        "smallest_ratio": "ratio",
    }

    metric: str
    of: object
    than: object
    by: str
    smallest_difference: float | None = None
    smallest_ratio: float | None = None
    because: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.smallest_difference is not None and self.smallest_ratio is not None:
            raise ClaimError("Greater takes either a smallest_difference or a smallest_ratio")
        if self.smallest_difference == 0 or self.smallest_ratio == 1:
            raise ClaimError(
                "Greater: a threshold of no effect is a coin toss where there is none; give the smallest "
                "effect that matters"
            )
        if self.smallest_ratio is not None and self.smallest_ratio <= 0:
            raise ClaimError("Greater takes a positive smallest_ratio")
        if self.smallest_difference is None and self.smallest_ratio is None:
            usual = convention(self.metric)
            object.__setattr__(self, f"smallest_{usual.scale}", usual.value)
        self.give_reason(self.limit)

    def columns(self) -> tuple[str, ...]:
        """Name the columns of the metric and of the arms."""
        return (self.metric, self.by)

    def effects(self, observations: pd.DataFrame) -> pd.Series[float]:
        """Return the difference or ratio of the arms for each seed."""
        of, than = arms(observations, self.metric, self.by, self.of, self.than)
        return differences(of, than) if self.limit.scale == "difference" else ratios(of, than)

    def unknown(self, observations: pd.DataFrame) -> pd.Series[bool]:
        """Tell for which seeds both arms are infinite."""
        return both_infinite(*arms(observations, self.metric, self.by, self.of, self.than))

    @property
    def limit(self) -> Threshold:
        """Smallest difference or ratio that matters."""
        if self.smallest_difference is not None:
            return Threshold(self.smallest_difference, "difference")
        return Threshold(self.smallest_ratio or 1.0, "ratio")

    @property
    def band(self) -> Band:
        """Differences or ratios that matter."""
        return Band(low=self.limit.value)

    @property
    def opposite(self) -> Band:
        """Differences or ratios that matter as much in the other direction."""
        value = self.limit.value
        if self.limit.scale == "ratio":
            return Band(high=min(value, 1 / value))
        return Band(high=-abs(value))

    @property
    def measure(self) -> str:
        """Name of the difference or ratio of the two arms."""
        sign = "−" if self.limit.scale == "difference" else "/"
        return f"{words(self.metric)}, {self.of} {sign} {self.than}"

    def describe(self) -> str:
        """Say which arm exceeds which by how much."""
        value, scale = self.limit.value, self.limit.scale
        by = f"by at least {value:g}" if scale == "difference" else f"by a factor of at least {value:g}"
        return (
            f"{words(self.metric)} with {words(self.by)} {self.of} exceeds that with {self.than} {by} "
            f"(median over seeds, paired), because {self.because}"
        )

    def phrase(self, measured: Measurement, interval: Interval) -> str:  # noqa: ARG002  the point says enough
        """Say how far one arm exceeds the other, or that mostly neither got there."""
        if unknown := mostly_unknown(measured.estimate):
            return f"{words(self.metric)}: neither {self.of} nor {self.than} got there for {unknown}"
        effect = measured.estimate.point
        if self.limit.scale == "ratio":
            return (
                f"{words(self.metric)} of {self.of} is {compared(effect)} that of {self.than}; "
                f"{factor(self.limit.value)} counts"
            )
        side = "above" if effect >= 0 else "below"
        threshold = amount(self.limit, abs(self.limit.value))
        counts = f"{threshold} counts" if self.limit.value > 0 else f"{threshold} below is allowed"
        by = amount(self.limit, abs(effect))
        return f"{words(self.metric)} of {self.of} is {by} {side} that of {self.than}; {counts}"

    def draw(self, axes: Axes, observations: pd.DataFrame) -> None:
        """Draw both arms, paired by seed, and beside them what is judged."""
        of, than = arms(observations, self.metric, self.by, self.of, self.than)
        paired_arms(axes, {f"{self.by} {self.than}": than, f"{self.by} {self.of}": of}, metric=self.metric)
        log = self.limit.scale == "ratio"
        seedwise(beside(axes), self.effects(observations), self.band, measure=self.measure, log=log)


@dataclass(frozen=True)
class Ratio(SeedwiseCriterion):
    """Statement that the ratio of two arms has a stated value.

    Where the source states a size without saying how exactly ("six times"), the statement holds if the ratio is nearer
    the stated one than none: beyond its root.

    Attributes:
        metric: Column of the measured quantity.
        of: Arm in the numerator.
        than: Arm in the denominator.
        by: Column that holds the arms.
        expected: Ratio that the statement gives.
        within: Factor by which the ratio may miss the expected one, over 1; None for nearer than none.
        because: Reason for ``within``, where that is not the five per cent of the project's table.

    Example:
        >>> steps = {"plain": 300.0, "fast": 100.0}
        >>> arms = [{"seed": seed, "net": net, "steps": steps[net]} for seed in range(8) for net in steps]
        >>> sixfold = Ratio("steps", of="plain", than="fast", by="net", expected=6)
        >>> print(sixfold(pd.DataFrame(arms)).sentence)
        Holds here: steps of plain is 3 times that of fast; stated is 6 times.
    """

    thresholds: ClassVar[Mapping[str, ThresholdScale]] = {"within": "ratio"}

    metric: str
    of: object
    than: object
    by: str
    expected: float
    within: float | None = None
    because: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.expected <= 0 or (self.within is not None and self.within <= 1):
            raise ClaimError("Ratio takes a positive expected ratio and a factor within over 1")
        if self.within is None and self.expected == 1:
            raise ClaimError("Ratio: equality is no size; say within which factor (within=...)")
        if self.within is not None:
            self.give_reason(Threshold(self.within, "ratio"))

    def columns(self) -> tuple[str, ...]:
        """Name the columns of the metric and of the arms."""
        return (self.metric, self.by)

    def effects(self, observations: pd.DataFrame) -> pd.Series[float]:
        """Return the ratio of the arms for each seed."""
        return ratios(*arms(observations, self.metric, self.by, self.of, self.than))

    def unknown(self, observations: pd.DataFrame) -> pd.Series[bool]:
        """Tell for which seeds both arms are infinite."""
        return both_infinite(*arms(observations, self.metric, self.by, self.of, self.than))

    @property
    def band(self) -> Band:
        """Ratios within the factor of the expected one, or nearer it than none."""
        if self.within is not None:
            return Band(self.expected / self.within, self.expected * self.within)
        root = float(self.expected**0.5)
        return Band(low=root) if self.expected > 1 else Band(high=root)

    def turns(self, interval: Interval) -> tuple[float, ...]:
        """Return the factors by which the limits of the interval miss the expected ratio."""
        threshold = Threshold(self.expected, "ratio")
        return tuple(threshold.size(limit / self.expected) for limit in (interval.low, interval.high))

    @property
    def opposite(self) -> Band | None:
        """Ratios on the other side of none, where a size is stated."""
        if self.within is not None:
            return None
        return Band(high=1.0) if self.expected > 1 else Band(low=1.0)

    @property
    def measure(self) -> str:
        """Name of the ratio of the two arms."""
        return f"{words(self.metric)}, {self.of} / {self.than}"

    def describe(self) -> str:
        """Say which ratio is expected."""
        if self.within is None:
            exactness = "or nearer it than none (median over seeds, paired)"
        else:
            exactness = f"within a factor of {self.within:g} (median over seeds, paired), because {self.because}"
        return f"{words(self.metric)} of {self.of} over that of {self.than} is {self.expected:g} {exactness}"

    def phrase(self, measured: Measurement, interval: Interval) -> str:  # noqa: ARG002  the point says enough
        """Say which ratio was measured."""
        effect = measured.estimate.point
        stated = "stated is the same" if self.expected == 1 else f"stated is {factor(self.expected)}"
        allowed = "" if self.within is None else f" within {tolerance(self.within)}"
        return f"{words(self.metric)} of {self.of} is {compared(effect)} that of {self.than}; {stated}{allowed}"

    def draw(self, axes: Axes, observations: pd.DataFrame) -> None:
        """Draw both arms, paired by seed, and beside them what is judged."""
        of, than = arms(observations, self.metric, self.by, self.of, self.than)
        paired_arms(axes, {f"{self.by} {self.than}": than, f"{self.by} {self.of}": of}, metric=self.metric)
        seedwise(beside(axes), self.effects(observations), self.band, measure=self.measure, log=True)


@dataclass(frozen=True)
class Equivalent(SeedwiseCriterion):
    """Statement that a quantity equals a value, or another column, up to a tolerance that does not matter.

    The effect is the median over seeds of the difference; rows of one seed are averaged first.

    Attributes:
        value: Column of the measured quantity.
        target: Number or column that it equals.
        smallest_difference: Smallest difference that matters.
        because: Reason for a threshold that is not in the project's table and has no ``source``.

    Example:
        >>> table = pd.DataFrame({"seed": range(8), "variance": 1.02})
        >>> kept = Equivalent("variance", 1.0, smallest_difference=0.05, because="five per cent matter")
        >>> kept(table).status
        'reproduced'
    """

    thresholds: ClassVar[Mapping[str, ThresholdScale]] = {"smallest_difference": "difference"}

    value: str
    target: float | str
    smallest_difference: float
    because: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.smallest_difference <= 0:
            raise ClaimError("Equivalent takes a positive smallest_difference")
        self.give_reason(Threshold(self.smallest_difference, "difference"))

    def columns(self) -> tuple[str, ...]:
        """Name the column of the value, and the target where it is a column."""
        return (self.value, self.target) if isinstance(self.target, str) else (self.value,)

    def effects(self, observations: pd.DataFrame) -> pd.Series[float]:
        """Return the mean difference from the target for each seed."""
        value = observations[self.value].astype(float)
        target = observations[self.target].astype(float) if isinstance(self.target, str) else self.target
        return differences(value, target).groupby(observations["seed"]).mean()

    @property
    def band(self) -> Band:
        """Differences that would not matter."""
        return Band(-self.smallest_difference, self.smallest_difference)

    @property
    def measure(self) -> str:
        """Name of the difference from the target."""
        return f"{words(self.value)} − {words(self.target)}"

    def describe(self) -> str:
        """Say what equals what."""
        return (
            f"{words(self.value)} equals {words(self.target)} within {self.smallest_difference:g} (median over seeds), "
            f"because {self.because}"
        )

    def phrase(self, measured: Measurement, interval: Interval) -> str:  # noqa: ARG002  the point says enough
        """Say how far the value is from its target."""
        limit = Threshold(self.smallest_difference, "difference")
        off = amount(limit, abs(measured.estimate.point))
        return f"{words(self.value)} is off {words(self.target)} by {off}; {amount(limit, limit.value)} is allowed"

    def draw(self, axes: Axes, observations: pd.DataFrame) -> None:
        """Draw the difference of every seed with the tolerance."""
        seedwise(axes, self.effects(observations), self.band, measure=self.measure)


def arms(
    observations: pd.DataFrame, metric: str, by: str, of: object, than: object
) -> tuple[pd.Series[float], pd.Series[float]]:
    """Pair two arms by seed.

    Returns:
        The metric of both arms, indexed by seed.

    Raises:
        ObservationsError: an arm is missing, appears twice for a seed, or lacks seeds that the other has.
    """
    paired = []
    for arm in (of, than):
        rows = observations[observations[by] == arm]
        if rows.empty:
            present = ", ".join(sorted(map(str, observations[by].unique())))
            raise ObservationsError(f"no observations with {by} = {arm!r}; there are {present}")
        if rows["seed"].duplicated().any():
            raise ObservationsError(f"several rows of one seed with {by} = {arm!r}; reduce them to one")
        paired.append(rows.set_index("seed")[metric].astype(float).sort_index())
    if not paired[0].index.equals(paired[1].index):
        raise ObservationsError(f"{by} = {of!r} and {than!r} were not observed with the same seeds")
    return paired[0], paired[1]


def both_infinite(left: pd.Series[float], right: pd.Series[float]) -> pd.Series[bool]:
    """Tell for which seeds neither arm got there: had they gone on, either could have been first."""
    return (left == right) & np.isinf(left)


def mostly_unknown(estimate: Estimate) -> str:
    """Say of how many seeds nothing is known, if of half or more; else nothing."""
    unknown = len(estimate.unknown) if isinstance(estimate, Median) else 0
    return f"{unknown} of {estimate.n} seeds" if 2 * unknown >= max(estimate.n, 1) else ""


def differences(left: pd.Series[float], right: pd.Series[float] | float) -> pd.Series[float]:
    """Return left minus right; the difference of equal infinities is zero."""
    return (left - right).mask(left == right, 0.0)


def ratios(numerator: pd.Series[float], denominator: pd.Series[float]) -> pd.Series[float]:
    """Return numerator over denominator; equal values have ratio one, zeros and infinities too.

    Raises:
        ObservationsError: a negative value, of which a ratio says nothing.
    """
    for series in (numerator, denominator):
        if (series < 0).any():
            seed = series.index[series < 0][0]
            raise ObservationsError(f"{series.name} is negative for seed {seed}: it has no ratio")
    return (numerator / denominator).mask(numerator == denominator, 1.0)
