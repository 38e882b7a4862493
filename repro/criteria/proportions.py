"""Statements about the share of seeds with which something happens."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, ClassVar

import pandas as pd

from repro.common import ClaimError
from repro.criteria.base import ColumnCriterion, words
from repro.criteria.drawing import proportion
from repro.criteria.estimates import rate_over_seeds, sample
from repro.criteria.judging import Measurement
from repro.criteria.sentences import number
from repro.criteria.thresholds import ThresholdScale
from repro.uncertainty import Band, Interval, Levels, Rate, Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes


@dataclass(frozen=True)
class Proportion(ColumnCriterion):
    """Statement that a share of seeds succeeds. A seed succeeds if all its rows do.

    A statement about every seed, without exception, is no share: ``AtMost`` and ``AtLeast`` judge it. The fewest seeds
    that reproduce a share at 99 %, all of them successes, are log(0.005) / log(share): 8 for a half, 24 for 80 %, 51
    for 90 %, 104 for 95 %; the fewest that refute it, all failures, are log(0.005) / log(1 - share).

    Attributes:
        success: Column of truth values.
        at_least: Smallest share for which the statement holds, between 0 and 1.
        because: Reason for the share.

    Example:
        >>> table = pd.DataFrame({"seed": range(12), "trained": [True] * 11 + [False]})
        >>> verdict = Proportion("trained", at_least=0.5, because="more often than not")(table)
        >>> verdict.status, round(verdict.effect, 3)
        ('reproduced', 0.917)
    """

    thresholds: ClassVar[Mapping[str, ThresholdScale]] = {"at_least": "share"}

    success: str
    at_least: float
    because: str = field(repr=False)

    def __post_init__(self) -> None:
        if not 0 < self.at_least < 1 or not self.because:
            raise ClaimError("Proportion takes at_least between 0 and 1 and a reason for it (because=...)")

    def columns(self) -> tuple[str, ...]:
        """Name the column of the successes."""
        return (self.success,)

    def measurement(self, observations: pd.DataFrame) -> Measurement:
        """Place the exact binomial interval relative to the share; the opposite is that as many fail."""
        rate = rate_over_seeds(self.successes(observations))

        def levels_at(share: float) -> Levels:
            return Band(low=share).levels(rate, Band(high=min(share, 1 - share)))

        def turns(level: float) -> tuple[float, ...]:
            interval = rate.interval(1 - level)
            return interval.low, interval.high, 1 - interval.low, 1 - interval.high

        return Measurement(
            self.measure, rate, levels_at(self.at_least), isinstance(rate, Rate), levels_at=levels_at, turns=turns
        )

    def phrase(self, measured: Measurement, interval: Interval) -> str:  # noqa: ARG002  the point says enough
        """Say how many seeds succeed."""
        rate = measured.estimate
        return (
            f"{words(self.success)} in {round(rate.point * rate.n)} of {rate.n} seeds; asked are at least "
            f"{number(100 * self.at_least)} %"
        )

    def reduced(self, observations: pd.DataFrame) -> dict[str, Sample]:
        """Return for each seed whether it succeeds."""
        succeeded = self.successes(observations)
        return {self.measure: sample(succeeded.astype(float), rate_over_seeds(succeeded).point)}

    @property
    def measure(self) -> str:
        """Name of the share of successes."""
        return f"share of seeds with {words(self.success)}"

    def successes(self, observations: pd.DataFrame) -> pd.Series[bool]:
        """Tell for each seed whether it succeeds."""
        return observations[self.success].astype(bool).groupby(observations["seed"]).all()

    def describe(self) -> str:
        """Say which share is asked for."""
        return f"{words(self.success)} holds for at least {self.at_least:.0%} of seeds, because {self.because}"

    def draw(self, axes: Axes, observations: pd.DataFrame) -> None:
        """Draw the share with its interval."""
        succeeded = self.successes(observations)
        proportion(axes, Rate(int(succeeded.sum()), len(succeeded)), self.at_least, success=self.success)
