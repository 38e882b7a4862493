"""Trends in series of measurements: the latest value, and the steps that led there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from repro.performance.measurement import Better, Measurement, Series
from repro.performance.steps import Change, steps


@dataclass(frozen=True)
class Turn:
    """A step in a series, with the measurements on both sides.

    Attributes:
        start: Index of the first measurement after the step.
        last: Last measurement before the step.
        first: First measurement after it.
        noticed: Measurement with which it was noticed.
        change: Ratio of new values to old ones.
        worse: Whether the new values are worse.
    """

    start: int
    last: Measurement
    first: Measurement
    noticed: Measurement
    change: Change
    worse: bool

    @property
    def versions(self) -> list[str]:
        """Versions other than the commit that changed at the step, such as ``keras 3.14 → 3.15``."""
        before, after = _versions(self.last), _versions(self.first)
        names = [name for name in after if name in before and before[name] != after[name]]
        return [f"{name} {before[name]} → {after[name]}" for name in names]


@dataclass(frozen=True)
class Trend:
    """A series over time.

    Attributes:
        series: Series that is measured.
        measurements: Measurements of that series, oldest first, at least one.
        turns: Steps of the series, oldest first.
    """

    series: Series
    measurements: Sequence[Measurement]
    turns: Sequence[Turn]

    @property
    def latest(self) -> Measurement:
        """Newest measurement."""
        return self.measurements[-1]

    @property
    def better(self) -> Better:
        """Direction that is better, ``higher`` or ``lower`` values."""
        return self.latest.better

    @property
    def regressed(self) -> bool:
        """Whether the last step was to worse values."""
        return bool(self.turns) and self.turns[-1].worse


def trend(series: Series, measurements: Sequence[Measurement]) -> Trend:
    """Find the steps in a series.

    Args:
        series: Series that is measured.
        measurements: Measurements of that series, oldest first, at least one.
    """
    better = measurements[-1].better
    found = steps([one.value for one in measurements])
    return Trend(
        series,
        measurements,
        [
            Turn(
                start=step.start,
                last=measurements[step.start - 1],
                first=measurements[step.start],
                noticed=measurements[step.noticed],
                change=step.change,
                worse=(step.change.ratio < 1) == (better == "higher"),
            )
            for step in found
        ],
    )


def _versions(measurement: Measurement) -> dict[str, str]:
    environment = measurement.environment
    found = {name: environment.get(name) for name in ("python", "keras")}
    found |= {measurement.backend: environment.get("backend_version"), **environment.get("packages", {})}
    return {name: str(version) for name, version in found.items() if version is not None}
