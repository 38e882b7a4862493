"""Statements that compare arms, paired by seed."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import pandas as pd

from repro.common import ClaimError, ObservationsError
from repro.criteria.base import SeedwiseCriterion, words
from repro.criteria.drawing import beside, paired_arms, seedwise
from repro.uncertainty import Band

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Greater(SeedwiseCriterion):
    """Statement that one arm exceeds another by a margin (a difference) or by a factor (a ratio).

    The effect is the median over seeds of the paired difference or ratio. A run that never reached its target counts as
    infinite; equal values of one seed tie, infinite ones too.

    Attributes:
        metric: Column of the measured quantity.
        of: Arm that the statement says is greater.
        than: Arm with which it is compared.
        by: Column that holds the arms.
        margin: Smallest difference that deserves the statement; negative for "not worse by more than".
        factor: Smallest ratio that deserves the statement; give either this or a margin.
        because: Reason for the margin or factor.

    Example:
        >>> errors = {"plain": 0.3, "deep": 0.1}
        >>> arms = [{"seed": seed, "net": net, "error": errors[net]} for seed in range(8) for net in errors]
        >>> worse = Greater("error", of="plain", than="deep", by="net", margin=0.01, because="one point is visible")
        >>> verdict = worse(pd.DataFrame(arms))
        >>> verdict.status, round(verdict.effect, 3)
        ('reproduced', 0.2)
    """

    metric: str
    of: object
    than: object
    by: str
    margin: float | None = None
    factor: float | None = None
    because: str = ""

    def __post_init__(self) -> None:
        if (self.margin is None) == (self.factor is None):
            raise ClaimError("Greater takes either a margin or a factor")
        if self.margin == 0 or self.factor == 1:
            raise ClaimError("Greater: a margin of zero makes no effect a coin toss; give the smallest that counts")
        if self.factor is not None and self.factor <= 0:
            raise ClaimError("Greater takes a positive factor")
        _require_reason(self, self.because)

    def columns(self) -> tuple[str, ...]:
        """Name the columns of the metric and of the arms."""
        return (self.metric, self.by)

    def effects(self, observations: pd.DataFrame) -> pd.Series[float]:
        """Return the difference or ratio of the arms for each seed."""
        of, than = arms(observations, self.metric, self.by, self.of, self.than)
        return differences(of, than) if self.factor is None else ratios(of, than)

    @property
    def band(self) -> Band:
        """Differences or ratios from the margin or factor on."""
        thresholds = (self.margin, self.factor)
        return Band(low=next(threshold for threshold in thresholds if threshold is not None))

    @property
    def measure(self) -> str:
        """Name of the difference or ratio of the two arms."""
        sign = "−" if self.factor is None else "/"
        return f"{words(self.metric)}, {self.of} {sign} {self.than}"

    def describe(self) -> str:
        """Say which arm exceeds which by how much."""
        amount = f"by at least {self.margin:g}" if self.factor is None else f"by a factor of at least {self.factor:g}"
        return (
            f"{words(self.metric)} with {words(self.by)} {self.of} exceeds that with {self.than} {amount} "
            f"(median over seeds, paired), because {self.because}"
        )

    def draw(self, axes: Axes, observations: pd.DataFrame) -> None:
        """Draw both arms, paired by seed, and beside them what is judged."""
        of, than = arms(observations, self.metric, self.by, self.of, self.than)
        paired_arms(axes, {f"{self.by} {self.than}": than, f"{self.by} {self.of}": of}, metric=self.metric)
        ratios = self.factor is not None
        seedwise(beside(axes), self.effects(observations), self.band, measure=self.measure, log=ratios)


@dataclass(frozen=True)
class Ratio(SeedwiseCriterion):
    """Statement that the ratio of two arms has an expected value.

    Attributes:
        metric: Column of the measured quantity.
        of: Arm in the numerator.
        than: Arm in the denominator.
        by: Column that holds the arms.
        expected: Ratio that the statement gives.
        within: Factor by which the ratio may miss the expected one and still deserve the statement; over 1.
        because: Reason for ``within``.

    Example:
        >>> steps = {"plain": 300.0, "fast": 100.0}
        >>> arms = [{"seed": seed, "net": net, "steps": steps[net]} for seed in range(8) for net in steps]
        >>> sixfold = Ratio("steps", of="plain", than="fast", by="net", expected=6, within=1.2, because="of the source")
        >>> verdict = sixfold(pd.DataFrame(arms))
        >>> verdict.status, verdict.effect
        ('refuted', 3.0)
    """

    metric: str
    of: object
    than: object
    by: str
    expected: float
    within: float
    because: str

    def __post_init__(self) -> None:
        if self.within <= 1 or self.expected <= 0:
            raise ClaimError("Ratio takes a positive expected ratio and a factor within over 1")
        _require_reason(self, self.because)

    def columns(self) -> tuple[str, ...]:
        """Name the columns of the metric and of the arms."""
        return (self.metric, self.by)

    def effects(self, observations: pd.DataFrame) -> pd.Series[float]:
        """Return the ratio of the arms for each seed."""
        return ratios(*arms(observations, self.metric, self.by, self.of, self.than))

    @property
    def band(self) -> Band:
        """Ratios within the factor of the expected one."""
        return Band(self.expected / self.within, self.expected * self.within)

    @property
    def measure(self) -> str:
        """Name of the ratio of the two arms."""
        return f"{words(self.metric)}, {self.of} / {self.than}"

    def describe(self) -> str:
        """Say which ratio is expected."""
        return (
            f"{words(self.metric)} of {self.of} over that of {self.than} is {self.expected:g} within a factor of "
            f"{self.within:g} (median over seeds, paired), because {self.because}"
        )

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
        within: Largest difference that would not matter.
        because: Reason for ``within``.

    Example:
        >>> table = pd.DataFrame({"seed": range(8), "variance": 1.02})
        >>> kept = Equivalent("variance", 1.0, within=0.05, because="five per cent do not matter")
        >>> kept(table).status
        'reproduced'
    """

    value: str
    target: float | str
    within: float
    because: str

    def __post_init__(self) -> None:
        if self.within <= 0:
            raise ClaimError("Equivalent: within must be positive")
        _require_reason(self, self.because)

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
        return Band(-self.within, self.within)

    @property
    def measure(self) -> str:
        """Name of the difference from the target."""
        return f"{words(self.value)} − {words(self.target)}"

    def describe(self) -> str:
        """Say what equals what."""
        return (
            f"{words(self.value)} equals {words(self.target)} within {self.within:g} (median over seeds), "
            f"because {self.because}"
        )

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


def _require_reason(criterion: object, because: str) -> None:
    if not because:
        raise ClaimError(f"{type(criterion).__name__}: say why the threshold is what it is (because=...)")
