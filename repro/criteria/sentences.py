"""Verdicts in plain words: what was seen, where, in units that a reader knows."""

from __future__ import annotations

import math
from collections.abc import Sequence

from repro.common import format_number
from repro.criteria.decision import Status
from repro.criteria.reading import Kind, Reading
from repro.criteria.thresholds import Threshold
from repro.criteria.verdict import Cell

MOST_NAMED = 2
SAME = 5e-4  # ratios nearer one than this are
LARGE = 1e5
SUPERSCRIPTS = str.maketrans("0123456789", "⁰¹²³⁴⁵⁶⁷⁸⁹")
NOTHING = 1e-6  # differences smaller than this share of the threshold are

HEADINGS: dict[tuple[Status, Kind], str] = {
    ("reproduced", "theorem"): "no violation found",
    ("reproduced", "possibility"): "it can",
    ("refuted", "formula"): "false as stated",
    ("refuted", "theorem"): "false as stated",
    ("refuted", "law"): "false as stated",
}
COMMON: dict[Status, str] = {
    "reproduced": "holds here",
    "conditional": "holds in part",
    "absent": "not seen at this scale",
    "refuted": "opposite seen",
    "inconclusive": "open",
}


def heading(status: Status, kind: Kind | None) -> str:
    """Return a status in the words for readers, by the kind of the statement.

    Example:
        >>> heading("refuted", "formula"), heading("reproduced", "possibility")
        ('false as stated', 'it can')
    """
    return COMMON[status] if kind is None else HEADINGS.get((status, kind), COMMON[status])


def sentence(status: Status, cells: Sequence[Cell], deciding: Cell, reading: Reading) -> str:
    """Say in one sentence what was seen.

    Args:
        status: Status that follows from the cells.
        cells: Cells of the statement.
        deciding: Cell whose effect decides.
        reading: Kind of the statement, and where it is expected to hold.
    """
    counted = [cell for cell in cells if cell.decides]
    if len(counted) == 1:
        return f"{heading(status, reading.kind).capitalize()}: {_with_reason(deciding)}."
    named = [] if status == "conditional" else [deciding]
    opening = f"{heading(status, reading.kind).capitalize()}: {_tally(counted, named)}"
    if status == "conditional":
        where = f" It was expected to hold {reading.boundary.words}." if reading.boundary else ""
        best = next((cell for cell in counted if cell.outcome == "holds"), deciding)
        return f"{opening}. At {best.name}, {best.phrase}; at {deciding.name}, {deciding.phrase}.{where}"
    place = f"Most clearly at {deciding.name}" if reading.kind == "possibility" else _place(deciding)
    return f"{opening}. {place}, {_with_reason(deciding)}."


def amount(threshold: Threshold, difference: float) -> str:
    """Write a difference, in percentage points where the threshold is one of accuracy or error.

    Example:
        >>> amount(Threshold(0.01, "difference"), 0.209), amount(Threshold(0.3, "difference"), 0.209)
        ('20.9 points', '0.209')
    """
    if abs(difference) < NOTHING * abs(threshold.value):
        difference = 0.0
    if not threshold.is_conventional:
        return number(difference)
    in_points = number(100 * difference)
    return f"{in_points} point{'' if in_points == '1' else 's'}"


def factor(ratio: float) -> str:
    """Write a ratio as people say it: in per cent where it is near one.

    Example:
        >>> factor(0.85), factor(1.1), factor(6.2), factor(0.01)
        ('15 % less', '10 % more', '6.2 times', 'a factor of 100 less')
    """
    if not math.isfinite(ratio) or ratio <= 0:
        return f"{format_number(ratio)} times"
    if 0.5 < ratio < 1:
        return f"{number(100 * (1 - ratio))} % less"
    if 1 <= ratio < 2:
        return f"{number(100 * (ratio - 1))} % more"
    return f"{number(ratio)} times" if ratio > 1 else f"a factor of {number(1 / ratio)} less"


def compared(ratio: float) -> str:
    """Write a ratio as the beginning of a comparison.

    Example:
        >>> [f"{compared(ratio)} that of others" for ratio in (1.0, 0.85, 6.2)]
        ['the same as that of others', '15 % less than that of others', '6.2 times that of others']
    """
    if abs(ratio - 1) < SAME:
        return "the same as"
    words = factor(ratio)
    return words if words.endswith("times") else f"{words} than"


def tolerance(ratio: float) -> str:
    """Write by how much a ratio may be missed: in per cent where that is less than a half.

    Example:
        >>> tolerance(1.05), tolerance(3)
        ('5 %', 'a factor of 3')
    """
    return f"{number(100 * (ratio - 1))} %" if ratio < 1.5 else f"a factor of {number(ratio)}"


def number(value: float) -> str:
    """Write a number with three significant digits, a large one as a power of ten.

    Example:
        >>> number(0.01234), number(1084000000.0)
        ('0.0123', '1.08 × 10⁹')
    """
    if LARGE <= abs(value) < math.inf:
        digits, power = f"{value:.2e}".split("e+")
        return f"{format_number(float(digits))} × 10{power.lstrip('0').translate(SUPERSCRIPTS)}"
    return format_number(float(f"{value:.3g}"))


def _with_reason(cell: Cell) -> str:
    """Say what was seen in a cell, and why it is open where it is."""
    if cell.outcome != "open":
        return cell.phrase
    return f"{cell.phrase}; the interval from {format_number(cell.low)} to {format_number(cell.high)} leaves it open"


def _place(cell: Cell) -> str:
    where = {"holds": "Least clearly at", "fails": "Most clearly at", "opposite": "Most clearly at", "open": "At"}
    return f"{where[cell.outcome]} {cell.name}"


def _tally(cells: Sequence[Cell], told: Sequence[Cell]) -> str:
    """Count the cells by outcome; few of them are named, unless something is told of them by name."""
    clauses: list[str] = []
    for outcome, verb in (("holds", "holds"), ("fails", "fails"), ("opposite", "is the opposite"), ("open", "is open")):
        found = [cell for cell in cells if cell.outcome == outcome]
        if not found:
            continue
        if len(found) == len(cells):
            return f"{verb} in all {len(cells)} conditions"
        named = bool(told) and len(found) <= MOST_NAMED and not any(cell in told for cell in found)
        names = f" ({'; '.join(cell.name for cell in found)})" if named else ""
        clauses.append(f"{verb} in {len(found)}{f' of {len(cells)} conditions' if not clauses else ''}{names}")
    return ", ".join(clauses)
