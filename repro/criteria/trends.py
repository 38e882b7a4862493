"""Statements about how a quantity changes along another: it is preserved, has a peak, or only rises or falls."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Literal

import numpy as np
import pandas as pd

from repro.common import ClaimError
from repro.criteria.base import (
    ColumnCriterion,
    Judgement,
    SeedwiseCriterion,
    in_band,
    join,
    median_over_seeds,
    sample,
    words,
)
from repro.criteria.drawing import corridor, expected_place, trend
from repro.criteria.requirements import require_positions, require_positive, require_single_rows
from repro.uncertainty import Band, Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Preserved(SeedwiseCriterion):
    """Statement that a positive quantity keeps its size from step to step.

    The effect of a seed is the arithmetic mean of its one-step ratios (what an expectation preserves; their logarithms
    drift even where the mean is exactly one); the verdict is on its median over seeds.

    Attributes:
        value: Column of the quantity, positive.
        along: Column by which rows are ordered; one row per seed and position.
        within: Factor by which the mean ratio may differ from one; over 1.
        because: Reason for ``within``.

    Example:
        >>> layers = [{"seed": seed, "layer": n, "variance": 0.5**n} for seed in range(8) for n in range(5)]
        >>> kept = Preserved("variance", along="layer", within=1.05, because="five per cent a layer do not matter")
        >>> verdict = kept(pd.DataFrame(layers))
        >>> verdict.status, verdict.effect  # half of it is left in every layer
        ('refuted', 0.5)
    """

    value: str
    along: str
    within: float
    because: str

    def __post_init__(self) -> None:
        if self.within <= 1 or not self.because:
            raise ClaimError("Preserved takes a factor within over 1 and a reason for it (because=...)")

    def columns(self) -> tuple[str, ...]:
        """Name the columns of the quantity and of the steps."""
        return (self.value, self.along)

    def effects(self, observations: pd.DataFrame) -> pd.Series[float]:
        """Return the mean one-step ratio of each seed."""
        require_positive(observations, self.value)
        require_single_rows(observations, self.along)
        require_positions(observations, self.along, 2)
        ordered = observations.sort_values(["seed", self.along])
        ratios = ordered[self.value] / ordered.groupby("seed")[self.value].shift()
        return ratios.groupby(ordered["seed"]).mean()

    @property
    def band(self) -> Band:
        """Ratios within the factor of one."""
        return Band(1 / self.within, self.within)

    @property
    def measure(self) -> str:
        """Name of the mean one-step ratio."""
        return f"mean one-step ratio of {words(self.value)}"

    def describe(self) -> str:
        """Say what is preserved along what."""
        return (
            f"the mean one-step ratio of {words(self.value)} along {words(self.along)} is 1 within a factor of "
            f"{self.within:g} (median over seeds), because {self.because}"
        )

    def draw(self, axes: Axes, observations: pd.DataFrame) -> None:
        """Draw the quantity along its steps."""
        trend(axes, observations, x=self.along, y=self.value, log_y=True)
        medians = observations.groupby(self.along)[self.value].median()
        factor = self.within ** np.arange(len(medians))
        start = medians.iloc[0]
        corridor(axes, medians.index, start / factor, start * factor, meaning=f"a factor of {self.within:g} per step")


@dataclass(frozen=True)
class Peak(ColumnCriterion):
    """Statement that a quantity has its extremum at a place, and that it stands out from both ends of the range.

    Both are medians over seeds. Reproduced from eight seeds on and refuted from nine on, whatever the noise, at 99 %.

    Attributes:
        x, y: Columns of the two axes, one row per seed and position, at least three positions; ``y`` positive.
        at: Place of the extremum: a positive number or a column.
        within: Factor by which the place may be missed; over 1.
        prominence: Factor by which the extremum must exceed (fall below, for a minimum) the values at both ends.
        because: Reason for both factors.
        kind: Kind of the extremum: ``maximum`` or ``minimum``.

    Example:
        >>> errors = {1.0: 2, 2.0: 3, 4.0: 10, 8.0: 3, 16.0: 1}
        >>> rows = [{"seed": seed, "width": width, "error": errors[width]} for seed in range(12) for width in errors]
        >>> table = pd.DataFrame(rows)
        >>> Peak("width", "error", at=4, within=1.5, prominence=2, because="a peak stands out twofold")(table).status
        'reproduced'
    """

    x: str
    y: str
    at: float | str
    within: float
    prominence: float
    because: str
    kind: Literal["maximum", "minimum"] = "maximum"

    def __post_init__(self) -> None:
        if self.within <= 1 or self.prominence <= 1 or not self.because:
            raise ClaimError("Peak takes factors within and prominence over 1 and a reason for them (because=...)")
        if not isinstance(self.at, str) and self.at <= 0:
            raise ClaimError("Peak takes a positive place (at=...), which may be missed by a factor")

    def columns(self) -> tuple[str, ...]:
        """Name the columns of both axes, and the place where it is a column."""
        return (self.x, self.y, self.at) if isinstance(self.at, str) else (self.x, self.y)

    def judge(self, observations: pd.DataFrame, confidence: float) -> Judgement:
        """Judge the place of the extremum and its prominence; both must hold."""
        extrema = self.extrema(observations)
        bands = {"place": Band(1 / self.within, self.within), "prominence": Band(low=self.prominence)}
        judges = [
            (name, partial(in_band, median_over_seeds(extrema[name], measure), bands[name], measure=measure))
            for name, measure in self.measures.items()
        ]
        return join(judges, confidence)

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

    The effect of a seed is its largest reversal: how far a later value stands on the wrong side of an earlier one.

    Attributes:
        x, y: Columns of the two axes, one row per seed and position, at least two positions.
        tolerance: Largest reversal that would not matter; positive.
        because: Reason for the tolerance.
        direction: Direction of the change: ``increasing`` or ``decreasing``.

    Example:
        >>> rows = [{"seed": seed, "width": width, "loss": 1 / width} for seed in range(8) for width in (1, 2, 4)]
        >>> falls = Monotone("width", "loss", direction="decreasing", tolerance=0.01, because="of noise")
        >>> falls(pd.DataFrame(rows)).status
        'reproduced'
    """

    x: str
    y: str
    tolerance: float
    because: str
    direction: Literal["increasing", "decreasing"] = "increasing"

    def __post_init__(self) -> None:
        if self.tolerance <= 0 or not self.because:
            raise ClaimError("Monotone takes a positive tolerance and a reason for it (because=...)")

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

    @property
    def band(self) -> Band:
        """Reversals up to the tolerance."""
        return Band(high=self.tolerance)

    @property
    def measure(self) -> str:
        """Name of the largest reversal."""
        return f"largest reversal of {words(self.y)}"

    def describe(self) -> str:
        """Say what changes in which direction."""
        return (
            f"{words(self.y)} is {self.direction} in {words(self.x)}, with no reversal over {self.tolerance:g} "
            f"(median over seeds), because {self.because}"
        )

    def draw(self, axes: Axes, observations: pd.DataFrame) -> None:
        """Draw the quantity along the axis."""
        trend(axes, observations, x=self.x, y=self.y)
        medians = observations.groupby(self.x)[self.y].median()
        if self.direction == "increasing":
            highest = medians.cummax()
            corridor(axes, medians.index, highest - self.tolerance, highest, meaning="reversal within the tolerance")
        else:
            lowest = medians.cummin()
            corridor(axes, medians.index, lowest, lowest + self.tolerance, meaning="reversal within the tolerance")
