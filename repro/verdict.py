"""What a criterion says of a table of observations."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from etils import epy

from repro.statistics import CONFIDENCE, SMALLEST, Levels, Status

with epy.lazy_imports():
    from repro import notebook

if TYPE_CHECKING:
    import pandas as pd
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Part:
    """The verdict on one part of a statement: a condition it was evaluated at, or one of several joined criteria."""

    name: str
    status: Status
    effect: float
    low: float
    high: float
    n: int


@dataclass(frozen=True)
class Verdict:
    """A status with the evidence for it.

    Attributes:
        status: ``reproduced``, ``refuted`` or ``inconclusive``.
        effect: the measured quantity that the criterion judges; of the deciding part where there are several.
        low, high: limits of its interval; infinite where there are too few seeds for one.
        confidence: of the interval.
        p: level (one minus the confidence) at which the status would flip; None where no sampling error is involved.
        n: number of independent seeds behind the effect.
        measure: what the effect is, in words.
        parts: the verdicts on the parts of the statement, empty for a statement in one piece.
        deciding: name of the part whose effect this is.
        statement: that was judged; empty where a criterion is called by itself, and stored beside the verdict.
        levels: at which the statement comes out reproduced and refuted; not stored with results.
        observations: the table that was judged; not stored with results.
        draw: draws the figure of the verdict; not stored with results.
    """

    status: Status
    effect: float
    low: float
    high: float
    n: int
    measure: str
    p: float | None = None
    confidence: float = CONFIDENCE
    parts: tuple[Part, ...] = ()
    deciding: str = ""
    statement: str = field(default="", repr=False, compare=False)
    levels: Levels | None = field(default=None, repr=False, compare=False)
    observations: pd.DataFrame = field(default=None, repr=False, compare=False)  # type: ignore[assignment]
    draw: Callable[[Verdict], Figure] | None = field(default=None, repr=False, compare=False)

    def figure(self) -> Figure:
        """Draw the observations with what the criterion asks of them.

        Raises:
            ValueError: the verdict was read back from a results folder, without its observations.
        """
        if self.draw is None:
            raise ValueError("this verdict has no observations to draw; check the claim again")
        return self.draw(self)

    def as_part(self, name: str) -> Part:
        """Shorten to one part of a larger verdict."""
        return Part(name, self.status, self.effect, self.low, self.high, self.n)

    def __str__(self) -> str:
        lines = [f"{self.status}: {self.measure} {format_effect(self.effect, self.low, self.high)}, n = {self.n}"]
        if self.deciding:
            lines[0] += f" ({self.deciding})"
        if len(self.parts) > 1:
            width = max(len(part.name) for part in self.parts)
            lines += [
                f"  {part.name:{width}}  {part.status:12}  {format_effect(part.effect, part.low, part.high)}"
                for part in self.parts
            ]
        return "\n".join(lines)

    def _repr_html_(self) -> str:
        return notebook.html(self)

    def _repr_pretty_(self, printer: Any, cycle: bool) -> None:  # noqa: ARG002  the interface of IPython
        printer.text(str(self))


def format_number(value: float) -> str:
    """Format a measured number: four significant digits, infinities as signs."""
    if math.isnan(value):
        return "–"
    if math.isinf(value):
        return "∞" if value > 0 else "−∞"
    return f"{0.0 if abs(value) <= SMALLEST else value:.4g}".replace("-", "−")


def format_effect(effect: float, low: float, high: float) -> str:
    """Format an effect with its interval."""
    return f"{format_number(effect)} [{format_number(low)}, {format_number(high)}]"


def to_json(verdict: Verdict) -> dict[str, Any]:
    """Return the verdict as plain data, without observations; infinities and NaN become None."""
    return {
        "status": verdict.status,
        "effect": finite(verdict.effect),
        "low": finite(verdict.low),
        "high": finite(verdict.high),
        "confidence": verdict.confidence,
        "p": None if verdict.p is None else finite(verdict.p),
        "n": verdict.n,
        "parts": [
            {
                "name": part.name,
                "status": part.status,
                "effect": finite(part.effect),
                "low": finite(part.low),
                "high": finite(part.high),
                "n": part.n,
            }
            for part in verdict.parts
        ],
    }


def finite(value: float) -> float | None:
    """Return the value, or None where JSON has no number for it."""
    return value if math.isfinite(value) else None
