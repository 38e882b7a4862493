"""Statements about the course of a quantity along another: it has a peak, or only rises or falls."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING, ClassVar, Literal

import pandas as pd

from repro.common import ClaimError
from repro.criteria.base import ColumnCriterion, SeedwiseCriterion, words
from repro.criteria.drawing import corridor, expected_place, trend
from repro.criteria.estimates import median_over_seeds, sample
from repro.criteria.judging import Measurement
from repro.criteria.requirements import require_positions, require_positive, require_single_rows
from repro.criteria.sentences import amount, number
from repro.criteria.thresholds import Threshold, ThresholdScale
from repro.uncertainty import Band, Estimate, Exact, Interval, Levels, Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Direction = Literal["increasing", "decreasing"]


@dataclass(frozen=True)
class Peak(ColumnCriterion):
    """Statement that a quantity has its extremum at a place, and that it stands out from both ends of the range.

    Both are medians over seeds. Reproduced from eight seeds on and refuted from nine on, whatever the noise, at 99 %.

    Attributes:
        x, y: Columns of the two axes, one row per seed and position, at least three positions; ``y`` positive.
        at: Place of the extremum: a positive number or a column.
        within: Factor by which the place may be missed; over 1.
        prominence: Smallest factor that matters by which the extremum exceeds the values at both ends, or falls below
            them for a minimum.
        because: Source or derivation of both factors.
        kind: Kind of the extremum: ``maximum`` or ``minimum``.

    Example:
        >>> errors = {1.0: 2, 2.0: 3, 4.0: 10, 8.0: 3, 16.0: 1}
        >>> rows = [{"seed": seed, "width": width, "error": errors[width]} for seed in range(12) for width in errors]
        >>> table = pd.DataFrame(rows)
        >>> Peak("width", "error", at=4, within=1.5, prominence=2, because="a peak stands out twofold")(table).status
        'reproduced'
    """

    thresholds: ClassVar[Mapping[str, ThresholdScale]] = {"prominence": "ratio"}

    x: str
    y: str
    at: float | str
    within: float
    prominence: float
    because: str = field(repr=False)
    kind: Literal["maximum", "minimum"] = "maximum"

    def __post_init__(self) -> None:
        if self.within <= 1 or self.prominence <= 1 or not self.because:
            raise ClaimError("Peak takes factors within and prominence over 1 and a reason for them (because=...)")
        if not isinstance(self.at, str) and self.at <= 0:
            raise ClaimError("Peak takes a positive place (at=...), which may be missed by a factor")

    def columns(self) -> tuple[str, ...]:
        """Name the columns of both axes, and the place where it is a column."""
        return (self.x, self.y, self.at) if isinstance(self.at, str) else (self.x, self.y)

    def measurement(self, observations: pd.DataFrame) -> Measurement:
        """Measure the place of the extremum and its prominence; both must hold, and its opposite is the other extremum.

        The estimate is that of the two which decides.
        """
        estimates = self._estimates(observations)
        mirrored = replace(self, kind="minimum" if self.kind == "maximum" else "maximum")
        opposites = mirrored._estimates(observations)

        def levels_at(prominence: float) -> Levels:
            return _jointly(self._levels(estimates, prominence), mirrored._levels(opposites, prominence))

        each = self._levels(estimates, self.prominence)
        fails = min(each.values(), key=lambda levels: levels.fails)
        worst = max(each, key=lambda name: (each[name].fails == fails.fails < 1, each[name].holds))
        return Measurement(
            self.measures[worst],
            estimates[worst],
            levels_at(self.prominence),
            not isinstance(estimates[worst], Exact),
            levels_at=levels_at,
            turns=partial(_limits, [estimates["prominence"], opposites["prominence"]], shares=len(estimates)),
        )

    def phrase(self, measured: Measurement, interval: Interval) -> str:  # noqa: ARG002  the point says enough
        """Say where the extremum is, or how far it stands out."""
        effect = measured.estimate.point
        if measured.measure == self.measures["place"]:
            return f"the {self.kind} of {words(self.y)} is at {number(effect)} times the expected {words(self.x)}"
        height = "height" if self.kind == "maximum" else "depth"
        return (
            f"the {self.kind} of {words(self.y)} has {number(effect)} times the {height} of the ends; "
            f"{number(self.prominence)} times counts"
        )

    def reduced(self, observations: pd.DataFrame) -> dict[str, Sample]:
        """Return the place and the prominence of each seed's extremum."""
        extrema = self.extrema(observations)
        return {
            measure: sample(extrema[name], median_over_seeds(extrema[name], measure).point)
            for name, measure in self.measures.items()
        }

    @property
    def measures(self) -> dict[str, str]:
        """Names of what is judged of the extremum, by part."""
        return {
            "place": f"place of the {self.kind} / expected place",
            "prominence": f"prominence of the {self.kind} over the ends",
        }

    def extrema(self, observations: pd.DataFrame) -> pd.DataFrame:
        """Return the place and the prominence of each seed's extremum, indexed by seed.

        The place is relative to the expected one, the prominence over the more similar end.
        """
        require_positive(observations, self.y)
        if isinstance(self.at, str):
            require_positive(observations, self.at)
        require_single_rows(observations, self.x)
        require_positions(observations, self.x, 3)
        rows = {}
        for seed, points in observations.sort_values(self.x).groupby("seed"):
            height = points[self.y].to_numpy(float) ** (1.0 if self.kind == "maximum" else -1.0)
            top = int(height.argmax())
            end = max(height[0], height[-1])
            expected = float(points[self.at].iloc[top]) if isinstance(self.at, str) else self.at
            rows[seed] = {
                "place": float(points[self.x].iloc[top]) / expected,
                "prominence": 1.0 if height[top] == end else height[top] / end,
            }
        return pd.DataFrame.from_dict(rows, orient="index")

    def _estimates(self, observations: pd.DataFrame) -> dict[str, Estimate]:
        extrema = self.extrema(observations)
        return {name: median_over_seeds(extrema[name], measure) for name, measure in self.measures.items()}

    def _levels(self, estimates: Mapping[str, Estimate], prominence: float) -> dict[str, Levels]:
        bands = {"place": Band(1 / self.within, self.within), "prominence": Band(low=prominence)}
        return {name: bands[name].levels(estimate) for name, estimate in estimates.items()}

    def describe(self) -> str:
        """Say where the extremum is."""
        return (
            f"{words(self.y)} has its {self.kind} at {words(self.x)} = {words(self.at)} within a factor of "
            f"{self.within:g}, and stands out from both ends by a factor of {self.prominence:g} (medians over seeds), "
            f"because {self.because}"
        )

    def draw(self, axes: Axes, observations: pd.DataFrame) -> None:
        """Draw the quantity with the place where the extremum is expected."""
        trend(axes, observations, x=self.x, y=self.y, log_x=True, log_y=True)
        at = float(observations[self.at].median() if isinstance(self.at, str) else self.at)
        by_seed = observations.groupby("seed")[self.y]
        extrema = observations.loc[by_seed.idxmax() if self.kind == "maximum" else by_seed.idxmin()]
        expected_place(axes, at, self.within, extrema[self.x], extrema[self.y])


@dataclass(frozen=True)
class Monotone(SeedwiseCriterion):
    """Statement that a quantity only rises, or only falls, up to a tolerance.

    The effect of a seed is its largest reversal: how far a later value stands on the wrong side of an earlier one. The
    opposite is that the quantity is monotone in the other direction.

    Attributes:
        x, y: Columns of the two axes, one row per seed and position, at least two positions.
        smallest_difference: Smallest reversal that matters; positive.
        because: Reason for a threshold that is not in the project's table and has no ``source``.
        direction: Direction of the change: ``increasing`` or ``decreasing``.

    Example:
        >>> rows = [{"seed": seed, "width": width, "loss": 1 / width} for seed in range(8) for width in (1, 2, 4)]
        >>> falls = Monotone("width", "loss", direction="decreasing", smallest_difference=0.01)
        >>> falls(pd.DataFrame(rows)).status
        'reproduced'
    """

    thresholds: ClassVar[Mapping[str, ThresholdScale]] = {"smallest_difference": "difference"}

    x: str
    y: str
    smallest_difference: float
    because: str = field(default="", repr=False)
    direction: Direction = "increasing"

    def __post_init__(self) -> None:
        if self.smallest_difference <= 0:
            raise ClaimError("Monotone takes a positive smallest_difference")
        self.give_reason(Threshold(self.smallest_difference, "difference"))

    def columns(self) -> tuple[str, ...]:
        """Name the columns of both axes."""
        return (self.x, self.y)

    def effects(self, observations: pd.DataFrame) -> pd.Series[float]:
        """Return the largest reversal of each seed."""
        require_single_rows(observations, self.x)
        require_positions(observations, self.x, 2)
        sign = 1.0 if self.direction == "increasing" else -1.0
        ordered = observations.sort_values(["seed", self.x])
        height = sign * ordered[self.y].astype(float)
        highest = height.groupby(ordered["seed"]).cummax()
        reversals = (highest - height).mask(highest == height, 0.0)  # infinite values have no difference
        return reversals.groupby(ordered["seed"]).max()

    def measurement(self, observations: pd.DataFrame) -> Measurement:
        """Measure the largest reversal, and that in the other direction."""
        other: Direction = "decreasing" if self.direction == "increasing" else "increasing"
        mirrored = median_over_seeds(replace(self, direction=other).effects(observations), self.measure)
        estimate = median_over_seeds(self.effects(observations), self.measure)

        def levels_at(difference: float) -> Levels:
            band = Band(high=difference)
            levels, against = band.levels(estimate), band.levels(mirrored)
            return replace(levels, opposite=max(levels.fails, against.holds), not_opposite=against.fails)

        return Measurement(
            self.measure,
            estimate,
            levels_at(self.smallest_difference),
            not isinstance(estimate, Exact),
            levels_at=levels_at,
            turns=partial(_limits, [estimate, mirrored]),
        )

    def phrase(self, measured: Measurement, interval: Interval) -> str:  # noqa: ARG002  the point says enough
        """Say how large the largest reversal is."""
        limit = Threshold(self.smallest_difference, "difference")
        reversal = amount(limit, measured.estimate.point)
        return f"{self.measure} is {reversal}; {amount(limit, limit.value)} is allowed"

    @property
    def band(self) -> Band:
        """Reversals that do not matter."""
        return Band(high=self.smallest_difference)

    @property
    def measure(self) -> str:
        """Name of the largest reversal."""
        return f"largest reversal of {words(self.y)}"

    def describe(self) -> str:
        """Say what changes in which direction."""
        return (
            f"{words(self.y)} is {self.direction} in {words(self.x)}, with no reversal over "
            f"{self.smallest_difference:g} (median over seeds), because {self.because}"
        )

    def draw(self, axes: Axes, observations: pd.DataFrame) -> None:
        """Draw the quantity along the axis."""
        trend(axes, observations, x=self.x, y=self.y)
        medians = observations.groupby(self.x)[self.y].median()
        if self.direction == "increasing":
            highest = medians.cummax()
            corridor(
                axes,
                medians.index,
                highest - self.smallest_difference,
                highest,
                meaning="reversal within the tolerance",
            )
        else:
            lowest = medians.cummin()
            corridor(
                axes, medians.index, lowest, lowest + self.smallest_difference, meaning="reversal within the tolerance"
            )


def _jointly(both: Mapping[str, Levels], opposites: Mapping[str, Levels]) -> Levels:
    """Join what must hold together: it fails if either fails, at a shared level."""
    fails = min(1.0, len(both) * min(levels.fails for levels in both.values()))
    against = max(levels.holds for levels in opposites.values())
    spared = min(1.0, len(opposites) * min(levels.fails for levels in opposites.values()))
    return Levels(max(levels.holds for levels in both.values()), fails, max(fails, against), spared)


def _limits(estimates: Sequence[Estimate], level: float, shares: int = 1) -> list[float]:
    """Return the limits of the intervals of several estimates, at a level and at what is left of it when shared."""
    intervals = [estimate.interval(1 - level / share) for estimate in estimates for share in {1, shares}]
    return [limit for interval in intervals for limit in (interval.low, interval.high)]
