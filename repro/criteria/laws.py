"""Statements about the form of a dependence: a power law, an exponential decay."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from repro.common import ClaimError
from repro.criteria.base import ColumnCriterion, words
from repro.criteria.contrasts import Scores, score_in_band
from repro.criteria.drawing import law, trend
from repro.criteria.estimates import median_over_seeds, sample
from repro.criteria.judging import Measurement
from repro.criteria.requirements import require_finite, require_positions, require_positive
from repro.criteria.sentences import number
from repro.uncertainty import CONFIDENCE, Band, Exact, Interval, Levels, Sample, slopes

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Law(ColumnCriterion):
    """Statement that points on transformed axes lie on a line, one for each seed, whose slope lies in a band.

    The slopes at both ends of the range are estimated too. Where one of them contradicts the slope of the line (is
    wholly outside the band while the line is inside, or the reverse), the points are bent: no single slope describes
    them, and nothing is decided. Slopes are medians over seeds: eight seeds decide at 99 %, whatever the noise.

    Attributes:
        x, y: Columns of the two axes; ``y`` positive and finite, at least two positions per seed.
        at_least, at_most: Limits of the band of the slope, one-sided where only one is given.
        because: Source or derivation of the limits.
        expected: Slope that the statement gives, in place of limits: the band ends halfway to the nearest rivals.
        rivals: Slopes of other laws that might hold instead, named beforehand.
    """

    x: str
    y: str
    at_least: float = -np.inf
    at_most: float = np.inf
    because: str = field(default="", repr=False)
    expected: float | None = None
    rivals: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        if self.expected is not None:
            below = [rival for rival in self.rivals if rival < self.expected]
            above = [rival for rival in self.rivals if rival > self.expected]
            if not below and not above:
                raise ClaimError(
                    f"{type(self).__name__}: an expected slope needs rivals=(...), other slopes it might be"
                )
            object.__setattr__(self, "at_least", (max(below) + self.expected) / 2 if below else -np.inf)
            object.__setattr__(self, "at_most", (min(above) + self.expected) / 2 if above else np.inf)
            object.__setattr__(self, "because", self.because or "the band ends halfway to the nearest rivals")
        limits = (self.at_least, self.at_most)
        if not self.because or not self.at_least < self.at_most or np.isinf(limits).all():
            raise ClaimError(f"{type(self).__name__} takes at_least, at_most or both, and a reason (because=...)")

    @property
    def band(self) -> Band:
        """Slopes for which the statement holds."""
        return Band(self.at_least, self.at_most)

    @property
    @abstractmethod
    def measure(self) -> str:
        """Name of the slope."""

    @abstractmethod
    def positions(self, x: pd.Series[float]) -> npt.NDArray[np.float64]:
        """Transform x to the axis on which log y is a line with the slope that is judged."""

    def columns(self) -> tuple[str, ...]:
        """Name the columns of both axes."""
        return (self.x, self.y)

    @property
    def opposite(self) -> Band | None:
        """Slopes of the opposite sign that are as steep; None where slopes of both signs are asked for."""
        if self.at_least > 0:
            return Band(high=-self.at_least)
        return Band(low=-self.at_most) if self.at_most < 0 else None

    def measurement(self, observations: pd.DataFrame) -> Measurement:
        """Measure the slope of the line; where the points are bent nothing is seen."""
        fits = self.fits(observations)
        line, *ends = (median_over_seeds(fits[name], self.measure) for name in fits)
        levels = self.band.levels(line, self.opposite)
        contrary = {"holds": ("fails", "opposite"), "fails": ("holds",), "opposite": ("holds",), "open": ()}
        outcomes = [self.band.levels(end).outcome(1 - CONFIDENCE) for end in ends]
        if set(outcomes) & set(contrary[levels.outcome(1 - CONFIDENCE)]):
            levels = Levels(1.0, 1.0)
        return Measurement(self.measure, line, levels, not isinstance(line, Exact))

    def phrase(self, measured: Measurement, interval: Interval) -> str:  # noqa: ARG002  the point says enough
        """Say which slope was measured."""
        return f"{self.measure} is {number(measured.estimate.point)}; asked is {self.asked()}"

    def reduced(self, observations: pd.DataFrame) -> dict[str, Sample]:
        """Return the slope of each seed's line."""
        lines = self.fits(observations)["overall"]
        return {self.measure: sample(lines, median_over_seeds(lines, self.measure).point)}

    def score(self, observations: pd.DataFrame) -> Scores:
        """Say how far the slope of each seed is on the side where the statement holds."""
        return score_in_band(self.fits(observations)["overall"], self.band, None)

    def fits(self, observations: pd.DataFrame) -> pd.DataFrame:
        """Return the slopes of each seed: columns ``overall``, ``first`` and ``last``, indexed by seed."""
        require_positive(observations, self.y)
        require_finite(observations, self.y)
        require_positions(observations, self.x, 2)
        fits = {
            seed: asdict(slopes(self.positions(points[self.x]), np.log(points[self.y].to_numpy(float))))
            for seed, points in observations.groupby("seed")
        }
        return pd.DataFrame.from_dict(fits, orient="index")

    def asked(self) -> str:
        """Say which slopes are asked for."""
        if np.isinf(self.at_most):
            return f"at least {number(self.at_least)}"
        if np.isinf(self.at_least):
            return f"at most {number(self.at_most)}"
        return f"from {number(self.at_least)} to {number(self.at_most)}"

    def _draw_law(self, axes: Axes, observations: pd.DataFrame) -> None:
        """Draw the fitted law and the band of laws over a trend."""
        medians = observations.groupby(self.x)[self.y].median()
        positions = self.positions(medians.index.to_series())
        law(axes, medians, positions, self.fits(observations)["overall"].median(), self.band)


@dataclass(frozen=True)
class ScalingLaw(Law):
    """Statement that a quantity grows or falls as a power of another.

    Attributes:
        x, y: Columns of the two axes, both positive and finite; at least two positions per seed.
        at_least, at_most: Limits of the band of the exponent, wide enough for finite-size bias; one-sided for O(.)
            statements.
        because: Reason for the band.

    Example:
        >>> rows = [{"seed": seed, "n": n, "error": n**-0.5} for seed in range(8) for n in (10, 100, 1000)]
        >>> law = ScalingLaw("n", "error", at_least=-0.6, at_most=-0.4, because="other rates differ by a half")
        >>> verdict = law(pd.DataFrame(rows))
        >>> verdict.status, round(verdict.effect, 3)
        ('reproduced', -0.5)
    """

    @property
    def measure(self) -> str:
        """Name of the exponent."""
        return f"exponent of {words(self.y)} in {words(self.x)}"

    def fits(self, observations: pd.DataFrame) -> pd.DataFrame:
        """Return the slopes of each seed, for positive x."""
        require_positive(observations, self.x)
        return super().fits(observations)

    def positions(self, x: pd.Series[float]) -> npt.NDArray[np.float64]:
        """Return the logarithm of x."""
        return np.log(np.asarray(x, dtype=np.float64))

    def describe(self) -> str:
        """Say which exponent is asked for."""
        return (
            f"{words(self.y)} scales as {words(self.x)} to a power {self.asked()} (median over seeds), "
            f"because {self.because}"
        )

    def draw(self, axes: Axes, observations: pd.DataFrame) -> None:
        """Draw the law on logarithmic axes."""
        trend(axes, observations, x=self.x, y=self.y, log_x=True, log_y=True)
        self._draw_law(axes, observations)


@dataclass(frozen=True)
class ExponentialDecay(Law):
    """Statement that a positive quantity falls exponentially.

    Attributes:
        x, y: Columns of the two axes; ``y`` positive and finite, at least two positions per seed.
        at_least, at_most: Limits of the band of the decay rate: the fall of log y per unit of x.
        because: Reason for the band.

    Example:
        >>> table = pd.DataFrame(
        ...     [{"seed": seed, "layer": layer, "gradient": 0.25**layer} for seed in range(8) for layer in range(1, 6)]
        ... )
        >>> vanishes = ExponentialDecay("layer", "gradient", at_least=0.07, because="half is lost in ten layers")
        >>> verdict = vanishes(table)
        >>> verdict.status, round(verdict.effect, 3)  # log 4 a layer
        ('reproduced', 1.386)
    """

    @property
    def measure(self) -> str:
        """Name of the decay rate."""
        return f"decay rate of {words(self.y)} per {words(self.x)}"

    def positions(self, x: pd.Series[float]) -> npt.NDArray[np.float64]:
        """Return minus x: a fall of log y is a positive rate."""
        return np.asarray(-x, dtype=np.float64)

    def describe(self) -> str:
        """Say which rate is asked for."""
        return (
            f"log {words(self.y)} falls per unit of {words(self.x)} at a rate {self.asked()} (median over seeds), "
            f"because {self.because}"
        )

    def draw(self, axes: Axes, observations: pd.DataFrame) -> None:
        """Draw the decay on a logarithmic axis."""
        trend(axes, observations, x=self.x, y=self.y, log_y=True)
        self._draw_law(axes, observations)
