"""What a criterion says of a table of observations. Annotations say what may be read back from results of others."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Annotated, ClassVar

from pydantic import Field, Strict

from repro.common import format_effect
from repro.uncertainty import CONFIDENCE, Status

LARGEST_INTEGER = 2**63 - 1  # of a results database

Number = Annotated[float, Strict()]
Count = Annotated[int, Strict(), Field(ge=0, le=LARGEST_INTEGER)]


@dataclass(frozen=True)
class Part:
    """The verdict on one part of a statement: a condition it was evaluated at, or one of several joined criteria."""

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    name: str
    status: Status
    effect: Number
    low: Number
    high: Number
    n: Count


@dataclass(frozen=True)
class Verdict:
    """A status with the evidence for it: plain data, stored as it is.

    Attributes:
        status: Outcome, ``reproduced``, ``refuted`` or ``inconclusive``.
        effect: Measured quantity that the criterion judges; of the deciding part where there are several.
        low, high: Limits of its interval; infinite where there are too few seeds for one.
        n: Number of independent seeds behind the effect.
        measure: Name of the effect, in words.
        p: Level (one minus the confidence) at which the status would flip; None where no sampling error is involved.
        confidence: Confidence of the interval.
        parts: Verdicts on the parts of the statement; empty for a statement in one piece.
        deciding: Name of the part whose effect this is.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    status: Status
    effect: Number
    low: Number
    high: Number
    n: Count
    measure: str
    p: Number | None = None
    confidence: Annotated[Number, Field(gt=0, lt=1)] = CONFIDENCE
    parts: tuple[Part, ...] = ()
    deciding: str = ""

    def as_part(self, name: str) -> Part:
        """Shorten the verdict to one part of a larger one."""
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
