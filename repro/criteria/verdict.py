"""What a criterion says of a table of observations. Annotations say what may be read back from results of others."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Annotated, Any, ClassVar

from pydantic import Field, Strict

from repro.common import format_effect
from repro.criteria.decision import Status
from repro.criteria.reading import Kind, Scale
from repro.uncertainty import CONFIDENCE, CellOutcome

LARGEST_INTEGER = 2**63 - 1  # of a results database

Number = Annotated[float, Strict()]
Count = Annotated[int, Strict(), Field(ge=0, le=LARGEST_INTEGER)]
Conditions = Mapping[str, bool | int | float | str | None]
ThresholdRange = tuple[Number, Number]


@dataclass(frozen=True)
class Cell:
    """What was seen in one combination of conditions.

    Attributes:
        conditions: Values of the conditions by name; empty for a statement without conditions.
        outcome: Whether the statement holds or fails there, is the opposite, or is open.
        effect: Measured quantity that the criterion judges.
        low, high: Limits of its interval.
        n: Number of independent seeds behind the effect.
        part: Part of the statement; empty for a statement in one piece.
        expected: Whether the boundary that was fixed beforehand expects the statement to hold there; None without one.
        phrase: What was seen there, in words.
        decides: Whether the verdict follows from this cell; the others of a map are shown and do not count.
        wide: Whether the interval is wider than the threshold, so that more seeds would tell more.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    conditions: Conditions
    outcome: CellOutcome
    effect: Number
    low: Number
    high: Number
    n: Count
    part: str = ""
    expected: bool | None = None
    phrase: str = ""
    decides: bool = True
    wide: bool = False

    @property
    def name(self) -> str:
        """Part and conditions in words; empty for a statement in one piece without conditions."""
        return cell_name(self.part, self.conditions)


@dataclass(frozen=True)
class Part:
    """The verdict on one part of a statement, one of several criteria that are joined.

    Results of earlier versions have a part for every condition too, and none of the attributes from ``measure`` on.

    Attributes:
        name: Name of the part.
        status: Status of the part alone.
        effect, low, high, n: Those of the cell that decides the part.
        measure: Name of the effect, in words.
        threshold: Smallest effect that counts, or largest that does not; None where there is no such number.
        threshold_range: Thresholds between which the status of the part stays the same; None without a threshold.
        sentence: The verdict in plain words.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    name: str
    status: Status
    effect: Number
    low: Number
    high: Number
    n: Count
    measure: str = ""
    threshold: Number | None = None
    threshold_range: ThresholdRange | None = None
    sentence: str = ""


@dataclass(frozen=True)
class Verdict:
    """A status with the evidence for it: plain data, stored as it is.

    Attributes:
        status: Outcome, ``reproduced``, ``conditional``, ``absent``, ``refuted`` or ``inconclusive``.
        effect: Measured quantity that the criterion judges; of the deciding cell where there are several.
        low, high: Limits of its interval; infinite where there are too few seeds for one.
        n: Number of independent seeds behind the effect.
        measure: Name of the effect, in words.
        p: Level (one minus the confidence) at which the status would flip; None where no sampling error is involved.
        confidence: Confidence of the verdict.
        parts: Verdicts on the parts of the statement; empty for a statement in one piece.
        deciding: Name of the cell whose effect this is; empty where there is one cell.
        kind: Kind of sentence that was judged; None in results of versions that did not record it.
        scale: Distance of the experiment from the setting that the passage means.
        sentence: The verdict in plain words.
        threshold: Smallest effect that counts, or largest that does not, in the deciding part; None without one.
        threshold_range: Thresholds between which the status of the deciding part stays the same.
        threshold_matters: Whether half or twice a threshold changes the status of a part.
        cells: What was seen in each combination of conditions, part by part.
        boundary: Words for where the statement was expected to hold, fixed beforehand; empty without them.
        settled: Whether more seeds could say no more of any cell that decides.
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
    kind: Kind | None = None
    scale: Scale | None = None
    sentence: str = ""
    threshold: Number | None = None
    threshold_range: ThresholdRange | None = None
    threshold_matters: bool = False
    cells: tuple[Cell, ...] = ()
    boundary: str = ""
    settled: bool = False

    @property
    def outcomes(self) -> Counter[CellOutcome]:
        """Number of cells with each outcome, those that decide."""
        return Counter(cell.outcome for cell in self.cells if cell.decides)

    @property
    def boundary_found(self) -> bool | None:
        """Whether every decided cell is as the boundary expects; None without a boundary or a decided cell."""
        decided = [cell for cell in self.cells if cell.expected is not None and cell.outcome != "open"]
        return all((cell.outcome == "holds") == cell.expected for cell in decided) if decided else None

    def __str__(self) -> str:
        lines = [f"{self.status}: {self.measure} {format_effect(self.effect, self.low, self.high)}, n = {self.n}"]
        if self.deciding:
            lines[0] += f" ({self.deciding})"
        if self.sentence:
            lines.append(f"  {self.sentence}")
        rows = [(cell.name, str(cell.outcome), cell.effect, cell.low, cell.high) for cell in self.cells]
        rows = rows or [(part.name, str(part.status), part.effect, part.low, part.high) for part in self.parts]
        if len(rows) > 1:
            width, wide = max(len(row[0]) for row in rows), max(len(row[1]) for row in rows)
            lines += [
                f"  {name:{width}}  {outcome:{wide}}  {format_effect(effect, low, high)}"
                for name, outcome, effect, low, high in rows
            ]
        return "\n".join(lines)


def cell_name(part: str, conditions: Mapping[str, Any]) -> str:
    """Write the name of a cell: its part and its conditions."""
    named = ", ".join(f"{column} {value}" for column, value in conditions.items())
    return f"{part}: {named}" if part and named else part or named
