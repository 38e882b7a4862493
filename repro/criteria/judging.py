"""From measured cells to a verdict: the decision, an interval for each cell, and how far thresholds could move."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import groupby, pairwise
from typing import Any

import numpy as np

from repro.common import ClaimError
from repro.criteria import sentences
from repro.criteria.decision import Decision, Status, decide_jointly, decide_under_assumption
from repro.criteria.reading import Boundary, Reading
from repro.criteria.thresholds import Threshold
from repro.criteria.verdict import Cell, Conditions, Part, ThresholdRange, Verdict, cell_name
from repro.uncertainty import CellOutcome, Estimate, Interval, Levels


@dataclass(frozen=True)
class Measurement:
    """What a criterion measures in a cell.

    Attributes:
        measure: Name of the effect, in words.
        estimate: Estimate of the effect.
        levels: Levels at which the statement is seen to hold, to fail and to be the opposite.
        has_sampling_error: Whether more seeds would make it more certain.
        levels_at: Function that returns the levels at another threshold; None where the criterion has no such number.
        turns: Function that returns, for a level, the thresholds at which the outcome may change.
        remark: Further number that its phrase tells, such as how near a bound the values came; NaN for none.
    """

    measure: str
    estimate: Estimate
    levels: Levels
    has_sampling_error: bool = True
    levels_at: Callable[[float], Levels] | None = None
    turns: Callable[[float], Sequence[float]] | None = None
    remark: float = float("nan")


@dataclass(frozen=True)
class Seen:
    """A cell with what was measured there.

    Attributes:
        part: Part of the statement; empty for a statement in one piece.
        conditions: Values of the conditions by name.
        constants: Further columns that are constant in the cell, which the boundary reads.
        measured: Measurement of the cell.
        threshold: Threshold of the criterion; None where it has none.
        phrase: Function that says in words what was measured, given its interval.
        expected: Whether the statement is expected to hold there; None without a boundary.
    """

    part: str
    conditions: Conditions
    constants: Mapping[str, Any]
    measured: Measurement
    threshold: Threshold | None
    phrase: Callable[[Measurement, Interval], str]
    expected: bool | None = None

    @property
    def name(self) -> str:
        """Part and conditions in words."""
        return cell_name(self.part, self.conditions)


def judge(cells: Sequence[Seen], reading: Reading, confidence: float) -> Verdict:
    """Make the verdict on a statement from its cells.

    Args:
        cells: Cells of all parts, those of one part together.
        reading: Kind of the statement, scale, and where it is expected to hold.
        confidence: Confidence of the verdict.

    Raises:
        ClaimError: the boundary reads something that is no condition.
    """
    level = round(1 - confidence, 12)
    expected = _expected(cells, reading.boundary)
    decides = _decides(cells, reading.boundary)
    cells = [replace(seen, expected=holds) for seen, holds in zip(cells, expected, strict=True)]
    decisive = [seen for seen, counts in zip(cells, decides, strict=True) if counts]
    parts = [list(part) for _, part in groupby(decisive, key=lambda seen: seen.part)]
    decision = _decide(parts, reading, level)
    judged_cells = iter(zip(decision.outcomes, decision.levels, strict=True))
    shown = [
        _shown(seen, *next(judged_cells))
        if counts
        else replace(_shown(seen, None, min(decision.levels)), decides=False)
        for seen, counts in zip(cells, decides, strict=True)
    ]
    judged = [_part(part, reading, level) for part in parts]
    deciding = _deciding(decisive, decision)
    place = next(place for place, seen in enumerate(cells) if seen is deciding)
    of_deciding = next(part for part in judged if part.name == deciding.part)
    return Verdict(
        status=decision.status,
        effect=shown[place].effect,
        low=shown[place].low,
        high=shown[place].high,
        n=shown[place].n,
        measure=deciding.measured.measure,
        p=decision.flip if any(seen.measured.has_sampling_error for seen in cells) else None,
        confidence=confidence,
        parts=tuple(judged) if len(judged) > 1 else (),
        deciding=deciding.name if len(cells) > 1 else "",
        kind=reading.kind,
        scale=reading.scale,
        sentence=sentences.sentence(decision.status, shown, shown[place], reading),
        threshold=of_deciding.threshold,
        threshold_range=of_deciding.threshold_range,
        threshold_matters=any(_matters(part, reading, level) for part in parts),
        cells=tuple(shown),
        boundary="" if reading.boundary is None else reading.boundary.words,
        settled=all(
            seen.measured.levels.is_settled(of_cell) for seen, of_cell in zip(decisive, decision.levels, strict=True)
        ),
    )


def _decide(parts: Sequence[Sequence[Seen]], reading: Reading, level: float) -> Decision:
    """Decide what follows from the cells of some parts, those of one part together."""
    cells = [seen for part in parts for seen in part]
    assumption = reading.boundary is not None and reading.boundary.assumption
    if assumption and reading.kind in ("formula", "theorem") and any(seen.expected for seen in cells):
        return decide_under_assumption(_levels(cells), [bool(seen.expected) for seen in cells], level)
    return decide_jointly([_levels(part) for part in parts], reading, level)


def _levels(cells: Sequence[Seen]) -> list[Levels]:
    return [seen.measured.levels for seen in cells]


def _expected(cells: Sequence[Seen], boundary: Boundary | None) -> list[bool] | list[None]:
    if boundary is None:
        return [None] * len(cells)
    if any("part" in seen.constants or "part" in seen.conditions for seen in cells):
        raise ClaimError("boundary: 'part' names the part of the statement; give the column of that name another one")
    return boundary.predicts([{"part": seen.part, **seen.constants, **seen.conditions} for seen in cells])


def _decides(cells: Sequence[Seen], boundary: Boundary | None) -> list[bool]:
    """Tell which cells decide: those that the boundary names, or all where other parameters leave one of them out."""
    named = () if boundary is None else boundary.named
    present = all(any(_matches(seen, cell) for seen in cells) for cell in named)
    return [not named or not present or any(_matches(seen, cell) for cell in named) for seen in cells]


def _matches(seen: Seen, named: Mapping[str, object]) -> bool:
    return all(({"part": seen.part} | dict(seen.conditions)).get(name) == value for name, value in named.items())


def _shown(seen: Seen, outcome: CellOutcome | None, level: float) -> Cell:
    interval = seen.measured.estimate.interval(1 - level)
    return Cell(
        conditions=seen.conditions,
        outcome=seen.measured.levels.outcome(level) if outcome is None else outcome,
        effect=seen.measured.estimate.point,
        low=interval.low,
        high=interval.high,
        n=seen.measured.estimate.n,
        part=seen.part,
        expected=seen.expected,
        phrase=seen.phrase(seen.measured, interval),
        decides=outcome is not None,
        wide=seen.threshold is not None and seen.threshold.is_narrower_than(interval.low, interval.high),
    )


def _deciding(cells: Sequence[Seen], decision: Decision) -> Seen:
    """Choose the cell whose effect is the verdict's.

    Where the statement holds everywhere, that which holds least clearly; where it fails somewhere, that which fails
    most clearly; where it is possible, that which holds most clearly; else that which is furthest from holding.
    """
    outcomes = list(zip(cells, decision.outcomes, strict=True))
    failing = [seen for seen, outcome in outcomes if outcome in ("fails", "opposite")]
    holding = [seen for seen, outcome in outcomes if outcome == "holds"]
    if decision.status == "reproduced" and len(holding) < len(cells):
        return min(holding, key=lambda seen: seen.measured.levels.holds)
    if failing:
        return min(failing, key=lambda seen: seen.measured.levels.fails)
    undecided = [seen for seen, outcome in outcomes if outcome == "open"]
    return max(undecided or holding, key=lambda seen: seen.measured.levels.holds)


def _part(cells: Sequence[Seen], reading: Reading, level: float) -> Part:
    decision = _decide([cells], reading, level)
    deciding = _deciding(cells, decision)
    judged = zip(cells, decision.outcomes, decision.levels, strict=True)
    shown = [_shown(seen, outcome, of_cell) for seen, outcome, of_cell in judged]
    place = next(place for place, seen in enumerate(cells) if seen is deciding)
    threshold = cells[0].threshold
    return Part(
        name=cells[0].part,
        status=decision.status,
        effect=shown[place].effect,
        low=shown[place].low,
        high=shown[place].high,
        n=shown[place].n,
        measure=deciding.measured.measure,
        threshold=None if threshold is None else threshold.value,
        threshold_range=_threshold_range(cells, decision.status, reading, level),
        sentence=sentences.sentence(decision.status, shown, shown[place], reading),
    )


def _status_at(value: float, cells: Sequence[Seen], reading: Reading, level: float) -> Status:
    """Return the status that a part would have with another threshold."""
    moved = [
        replace(seen, measured=replace(seen.measured, levels=seen.measured.levels_at(value)))
        for seen in cells
        if seen.measured.levels_at is not None
    ]
    return _decide([moved], reading, level).status


def _threshold_range(cells: Sequence[Seen], status: Status, reading: Reading, level: float) -> ThresholdRange | None:
    """Find the thresholds around that of a part between which its status stays the same.

    The status changes only where a threshold passes a limit of an interval, at one of the levels that decide.
    """
    threshold = cells[0].threshold
    if threshold is None or threshold.value <= threshold.none:
        return None
    counts = {1, len(cells), max(1, sum(bool(seen.expected) for seen in cells))}
    limits = {threshold.none, np.inf}
    for seen in cells:
        for count in counts:
            turns = () if seen.measured.turns is None else seen.measured.turns(level / count)
            limits |= {turn for turn in turns if threshold.none < turn < np.inf}
    low, high = threshold.none, np.inf
    for below, above in pairwise(sorted(limits)):
        between = _between(below, above, threshold.value)
        if between is None or _status_at(between, cells, reading, level) == status:
            continue
        if above <= threshold.value:
            low = above
        elif below >= threshold.value:
            high = min(high, below)
    return low, high


def _between(below: float, above: float, threshold: float) -> float | None:
    """Return a threshold between two limits; None where the actual one is, whose status is known."""
    if below < threshold < above:
        return None
    return below * 2 + 1 if np.isinf(above) else (below + above) / 2


def _matters(cells: Sequence[Seen], reading: Reading, level: float) -> bool:
    """Tell whether half or twice the threshold of a part would change its status."""
    threshold = cells[0].threshold
    if threshold is None:
        return False
    actual = _decide([cells], reading, level).status
    return any(_status_at(threshold.times(factor), cells, reading, level) != actual for factor in (0.5, 2.0))
