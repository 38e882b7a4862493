"""Statements about the change of a quantity from a first position to others: it is preserved, it falls, and how."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, ClassVar, Literal

import numpy as np
import pandas as pd

from repro.common import ClaimError, ObservationsError
from repro.criteria.base import Panel, SeedwiseCriterion, words
from repro.criteria.drawing import corridor, trend
from repro.criteria.judging import Measurement
from repro.criteria.requirements import require_finite, require_positions, require_positive, require_single_rows
from repro.criteria.sentences import compared, number, tolerance
from repro.criteria.thresholds import PER_CENT, Threshold, ThresholdScale
from repro.uncertainty import Band, Interval

if TYPE_CHECKING:
    from matplotlib.axes import Axes

EXACT_FIT = 1e9  # ratio of squared residuals of which the smaller one is rounding
Form = Literal["exponential", "power"]
NAMES: Mapping[Form, str] = {"exponential": "an exponential", "power": "a power"}


@dataclass(frozen=True)
class Change(SeedwiseCriterion):
    """Statement about the total change of a positive quantity, as a ratio to its value at the first position.

    The change per position would not do: its mean tends to none where the quantity falls as a power, so that a longer
    course would keep what has fallen seventyfold.

    Attributes:
        value: Column of the quantity, positive; one row per seed and position.
        along: Column of the positions, numbers.
        at: Positions at which the total change is judged, each a cell; fixed in advance. None given: the last one.
        smallest_ratio: Smallest change that matters, as a ratio over 1.
        because: Reason for a threshold that is not in the project's table and has no ``source``.
    """

    thresholds: ClassVar[Mapping[str, ThresholdScale]] = {"smallest_ratio": "ratio"}

    value: str
    along: str
    at: tuple[float, ...] = ()
    smallest_ratio: float = PER_CENT
    because: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        if self.smallest_ratio <= 1:
            raise ClaimError(f"{type(self).__name__} takes a smallest_ratio over 1")
        self.give_reason(Threshold(self.smallest_ratio, "ratio"))

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions: the positions at which the change is judged are one."""
        return (*self.each, self.along) if self.at else self.each

    def columns(self) -> tuple[str, ...]:
        """Name the columns of the quantity and of the positions."""
        return (self.value, self.along)

    def panels(self, observations: pd.DataFrame) -> Iterator[Panel]:
        """Split observations into the cells: conditions, and positions at which the change is judged."""
        for panel in super().panels(observations):
            positions = panel.observations[self.along]
            for position in self.at:
                if not (positions == position).any():
                    known = ", ".join(f"{place:g}" for place in sorted(positions.unique()))
                    raise ObservationsError(f"no observations with {self.along} = {position:g}; there are {known}")
                conditions = {**panel.conditions, self.along: position}
                yield replace(panel, conditions=conditions, observations=panel.observations[positions <= position])
            if not self.at:
                yield panel

    def effects(self, observations: pd.DataFrame) -> pd.Series[float]:
        """Return the ratio of the last value to the first for each seed."""
        require_positive(observations, self.value)
        require_single_rows(observations, self.along)
        require_positions(observations, self.along, 2)
        by_seed = observations.sort_values(["seed", self.along]).groupby("seed")[self.value]
        return by_seed.last() / by_seed.first()

    @property
    def measure(self) -> str:
        """Name of the total change."""
        return f"total change of {words(self.value)} along {words(self.along)}"

    def draw(self, axes: Axes, observations: pd.DataFrame) -> None:
        """Draw the quantity along its positions, with what is asked of it."""
        trend(axes, observations, x=self.along, y=self.value, log_y=True)
        medians = observations.groupby(self.along)[self.value].median()
        start = medians.iloc[0]
        low, high = (
            np.clip(start * limit, medians.min() / 2, medians.max() * 2) for limit in (self.band.low, self.band.high)
        )
        ends = np.full(len(medians), 1.0)
        corridor(axes, medians.index, ends * low, ends * high, meaning="statement holds")


@dataclass(frozen=True)
class Preserved(Change):
    """Statement that a positive quantity is at later positions what it was at the first.

    Example:
        >>> layers = [{"seed": seed, "layer": n, "variance": 0.5**n} for seed in range(8) for n in range(5)]
        >>> kept = Preserved("variance", along="layer", at=(1, 4))
        >>> verdict = kept(pd.DataFrame(layers), kind="formula")
        >>> verdict.status, [cell.effect for cell in verdict.cells]
        ('refuted', [0.5, 0.0625])
    """

    @property
    def band(self) -> Band:
        """Changes that do not matter."""
        return Band(1 / self.smallest_ratio, self.smallest_ratio)

    def describe(self) -> str:
        """Say what is preserved along what."""
        places = f" at {', '.join(f'{place:g}' for place in self.at)}" if self.at else " at the end"
        return (
            f"{words(self.value)} along {words(self.along)} is{places} its first value, within a factor of "
            f"{self.smallest_ratio:g} (median over seeds), because {self.because}"
        )

    def phrase(self, measured: Measurement, interval: Interval) -> str:  # noqa: ARG002  the point says enough
        """Say what the quantity has become."""
        now = f"{words(self.value)} is {compared(measured.estimate.point)} its first value"
        return f"{now}; {tolerance(self.smallest_ratio)} more or less is allowed"


@dataclass(frozen=True)
class Falls(Change):
    """Statement that a positive quantity falls, from the first position to others, by a ratio that matters.

    The opposite is that it rises by as much.

    Example:
        >>> layers = [{"seed": seed, "back": n, "gradient": 0.5**n} for seed in range(8) for n in range(11)]
        >>> print(Falls("gradient", along="back", at=(10,))(pd.DataFrame(layers)).sentence)
        Holds here: gradient is a factor of 1020 less than its first value; 5 % counts.
    """

    @property
    def band(self) -> Band:
        """Changes that are a fall."""
        return Band(high=1 / self.smallest_ratio)

    @property
    def opposite(self) -> Band:
        """Changes that are a rise of the same size."""
        return Band(low=self.smallest_ratio)

    def describe(self) -> str:
        """Say what falls along what."""
        places = f" at {', '.join(f'{place:g}' for place in self.at)}" if self.at else " at the end"
        return (
            f"{words(self.value)} along {words(self.along)} is{places} less than it was first, by a factor of at least "
            f"{self.smallest_ratio:g} (median over seeds), because {self.because}"
        )

    def phrase(self, measured: Measurement, interval: Interval) -> str:  # noqa: ARG002  the point says enough
        """Say what the quantity has become."""
        now = f"{words(self.value)} is {compared(measured.estimate.point)} its first value"
        return f"{now}; {tolerance(self.smallest_ratio)} counts"


@dataclass(frozen=True)
class ChangesAs(SeedwiseCriterion):
    """Statement that a quantity changes exponentially rather than as a power, or as a power rather than exponentially.

    The effect of a seed is the residual sum of squares of the other form over that of this one, both fitted to log y by
    least squares. Its opposite is that the other form fits better by as much.

    Attributes:
        form: Form of the change: ``exponential`` or ``power``.
        x, y: Columns of the two axes, both positive and finite; at least three positions per seed.
        smallest_ratio: Smallest ratio of the residuals that matters.
        because: Reason for a threshold that is not in the project's table and has no ``source``.

    Example:
        >>> inverse = [{"seed": seed, "depth": n, "variance": 1 / n} for seed in range(8) for n in range(1, 20)]
        >>> table = pd.DataFrame(inverse)
        >>> [ChangesAs(form, "depth", "variance")(table).cells[0].outcome for form in ("power", "exponential")]
        ['holds', 'opposite']
    """

    thresholds: ClassVar[Mapping[str, ThresholdScale]] = {"smallest_ratio": "ratio"}

    form: Form
    x: str
    y: str
    smallest_ratio: float = PER_CENT
    because: str = field(default="", repr=False)

    def __post_init__(self) -> None:
        self.give_reason(Threshold(self.smallest_ratio, "ratio"))

    def columns(self) -> tuple[str, ...]:
        """Name the columns of both axes."""
        return (self.x, self.y)

    def effects(self, observations: pd.DataFrame) -> pd.Series[float]:
        """Return the ratio of the residuals of each seed."""
        for name in (self.x, self.y):
            require_positive(observations, name)
            require_finite(observations, name)
        require_positions(observations, self.x, 3)
        ratios = {}
        for seed, points in observations.groupby("seed"):
            x, log_y = points[self.x].to_numpy(float), np.log(points[self.y].to_numpy(float))
            forms = {"power": np.log(x), "exponential": x}
            residuals = {form: _residuals(positions, log_y) for form, positions in forms.items()}
            this, other = residuals[self.form], residuals[_other(self.form)]
            ratios[seed] = 1.0 if this == other else other / this if this else np.inf
        return pd.Series(ratios)

    @property
    def band(self) -> Band:
        """Ratios at which this form fits better."""
        return Band(low=self.smallest_ratio)

    @property
    def opposite(self) -> Band:
        """Ratios at which the other form fits better by as much."""
        return Band(high=1 / self.smallest_ratio)

    @property
    def measure(self) -> str:
        """Name of the ratio."""
        return f"residuals of {words(self.y)} in {words(self.x)}, other form / {self.form}"

    def describe(self) -> str:
        """Say which form is expected."""
        return (
            f"{words(self.y)} changes with {words(self.x)} as {NAMES[self.form]} rather than as "
            f"{NAMES[_other(self.form)]}: squared residuals less by a factor of at least {self.smallest_ratio:g} "
            f"(median over seeds), because {self.because}"
        )

    def phrase(self, measured: Measurement, interval: Interval) -> str:  # noqa: ARG002  the point says enough
        """Say which form fits better."""
        ratio = measured.estimate.point
        better, times = (self.form, ratio) if ratio >= 1 else (_other(self.form), 1 / ratio if ratio else np.inf)
        if times > EXACT_FIT:
            return f"{NAMES[better]} fits {words(self.y)} exactly"
        return f"{NAMES[better]} fits {words(self.y)} better, its squared residuals {number(times)} times smaller"

    def draw(self, axes: Axes, observations: pd.DataFrame) -> None:
        """Draw the quantity on axes where an exponential is a line."""
        trend(axes, observations, x=self.x, y=self.y, log_y=True)


def _other(form: Form) -> Form:
    return "power" if form == "exponential" else "exponential"


def _residuals(x: np.ndarray, y: np.ndarray) -> float:
    """Return the sum of squares that a line leaves of y."""
    centred = x - x.mean()
    slope = centred @ y / (centred @ centred)
    return float(np.square(y - y.mean() - slope * centred).sum())
