"""Statements about the form of a dependence: a power law, an exponential decay."""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
import pandas as pd

from repro.common import ClaimError
from repro.criteria.base import ColumnCriterion, Judgement, in_band, median_over_seeds, sample, words
from repro.criteria.drawing import law, trend
from repro.criteria.requirements import require_finite, require_positions, require_positive
from repro.uncertainty import Band, Levels, Sample, slopes

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
        because: Reason for the band.
    """

    x: str
    y: str
    at_least: float = -np.inf
    at_most: float = np.inf
    because: str = ""

    def __post_init__(self) -> None:
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

    def judge(self, observations: pd.DataFrame, confidence: float) -> Judgement:
        """Judge the slope of the line, unless the points are bent."""
        line, *ends = (
            in_band(median_over_seeds(slopes_over_seeds, self.measure), self.band, confidence, self.measure)
            for _, slopes_over_seeds in self.fits(observations).items()
        )
        contrary = {"reproduced": "refuted", "refuted": "reproduced"}.get(line.verdict.status)
        if contrary in [end.verdict.status for end in ends]:
            p = None if line.verdict.p is None else 1.0
            return Judgement(replace(line.verdict, status="inconclusive", p=p), Levels(1.0, 1.0))
        return line

    def reduced(self, observations: pd.DataFrame) -> dict[str, Sample]:
        """Return the slope of each seed's line."""
        lines = self.fits(observations)["overall"]
        return {self.measure: sample(lines, median_over_seeds(lines, self.measure).point)}

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
            return f"at least {self.at_least:g}"
        return f"at most {self.at_most:g}" if np.isinf(self.at_least) else f"from {self.at_least:g} to {self.at_most:g}"

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
