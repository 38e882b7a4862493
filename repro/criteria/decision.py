"""What follows for a statement from the outcomes of its cells, by its kind: one table for one cell and for many.

A cell is one combination of conditions. Its levels say from which error probability on the statement is seen to hold,
to fail or to be the opposite there. A statement that holds in all cells, fails in all or is the opposite in all passes
an intersection-union test, in which every cell has the full level (Berger 1982). That it holds or fails somewhere, in
one cell out of many, shares the level among the cells (Bonferroni).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from repro.criteria.reading import Kind, Reading
from repro.uncertainty import CellOutcome, Levels

Status = Literal["reproduced", "conditional", "absent", "refuted", "inconclusive"]
Pattern = Literal[
    "all hold", "all opposite", "all fail", "some hold, some fail", "hold, rest open", "fail, rest open", "all open"
]

# Patterns in which one cell out of many tells.
SHARED: tuple[Pattern, ...] = ("some hold, some fail", "hold, rest open", "fail, rest open")

_STRICT: Mapping[Pattern, Status] = {
    "all hold": "reproduced",
    "hold, rest open": "inconclusive",
    "some hold, some fail": "refuted",
    "all fail": "refuted",
    "all opposite": "refuted",
    "fail, rest open": "refuted",
    "all open": "inconclusive",
}
_GENERAL: Mapping[Pattern, Status] = {
    **_STRICT,
    "some hold, some fail": "conditional",
    "all fail": "absent",
    "fail, rest open": "inconclusive",
}
TABLE: Mapping[Kind, Mapping[Pattern, Status]] = {
    "formula": _STRICT,
    "theorem": _STRICT,
    "law": {**_GENERAL, "all fail": "refuted"},
    "tendency": _GENERAL,
    "advice": _GENERAL,
    "possibility": {
        **_GENERAL,
        "hold, rest open": "reproduced",
        "some hold, some fail": "reproduced",
        "all opposite": "absent",
    },
    "finding": {**_GENERAL, "all opposite": "absent"},
}
# A formula that holds under a standard assumption, which the passage does not print, and fails without it.
UNDER_AN_ASSUMPTION: Mapping[Pattern, Status] = {
    **_STRICT,
    "some hold, some fail": "conditional",
    "fail, rest open": "inconclusive",
}
# A possibility in several parts is one if every part is: what is not seen in one part is not seen as a whole.
POSSIBILITY_IN_PARTS: Mapping[Pattern, Status] = {
    **_GENERAL,
    "some hold, some fail": "absent",
    "fail, rest open": "absent",
}
FINDING_AT_ITS_OWN_SCALE: Mapping[Pattern, Status] = {**TABLE["finding"], "all opposite": "refuted"}


@dataclass(frozen=True)
class Decision:
    """What follows from the levels of cells.

    Attributes:
        status: Status of the statement.
        pattern: Pattern of the outcomes that it follows from.
        outcomes: Outcome of each cell.
        levels: Level at which each cell was judged, which is one minus the confidence of its interval.
        flip: Level of the whole from which on the status is what it is; of an open statement, from which on it is
            decided.
    """

    status: Status
    pattern: Pattern
    outcomes: tuple[CellOutcome, ...]
    levels: tuple[float, ...]
    flip: float


def statuses(reading: Reading) -> Mapping[Pattern, Status]:
    """Return the row of the table for a statement: the status that follows from each pattern of outcomes."""
    if reading.kind == "finding" and reading.scale == "same":
        return FINDING_AT_ITS_OWN_SCALE
    return TABLE[reading.kind]


def decide(cells: Sequence[Levels], reading: Reading, level: float) -> Decision:
    """Decide what follows for a statement, or for one part of it.

    Args:
        cells: Levels of the cells, at least one.
        reading: Kind of the statement, and scale.
        level: Error probability of the decision, such as 0.01.

    Example:
        >>> seen, contrary = Levels(holds=0.001, fails=1.0), Levels(holds=1.0, fails=0.001)
        >>> decide([seen, contrary], Reading("tendency"), 0.01).status
        'conditional'
        >>> decide([seen, contrary], Reading("formula"), 0.01).status
        'refuted'
    """
    return _decide(cells, statuses(reading), level)


def decide_jointly(parts: Sequence[Sequence[Levels]], reading: Reading, level: float) -> Decision:
    """Decide what follows for a statement of several parts: from all cells, whatever part they belong to.

    Parts of a possibility have to be seen each, in whatever cell.

    Args:
        parts: Levels of the cells of each part.
        reading: Kind of the statement, and scale.
        level: Error probability of the decision.
    """
    if reading.kind != "possibility" or len(parts) == 1:
        return decide([cell for part in parts for cell in part], reading, level)
    of_parts = [_needed(part) for part in parts]
    whole = [Levels(holds=needed["hold, rest open"], fails=needed["all fail"]) for needed in of_parts]
    joint = _decide(whole, POSSIBILITY_IN_PARTS, level)
    separate = [decide(part, reading, level) for part in parts]
    return replace(
        joint,
        outcomes=tuple(outcome for part in separate for outcome in part.outcomes),
        levels=tuple(of_cell for part in separate for of_cell in part.levels),
    )


def decide_under_assumption(cells: Sequence[Levels], assumed: Sequence[bool], level: float) -> Decision:
    """Decide what follows for a formula or theorem that needs a standard assumption.

    A counterexample within the assumption refutes it; one outside makes it conditional.

    Args:
        cells: Levels of the cells.
        assumed: Whether the assumption is met in each cell, somewhere at least.
        level: Error probability of the decision.

    Example:
        >>> holds, fails = Levels(holds=0.0, fails=1.0), Levels(holds=1.0, fails=0.0)
        >>> [decide_under_assumption([holds, fails], assumed, 0.01).status for assumed in ([True, False], [True, True])]
        ['conditional', 'refuted']
    """
    inside = [cell for cell, is_met in zip(cells, assumed, strict=True) if is_met]
    within, joint = _decide(inside, _STRICT, level), _decide(cells, UNDER_AN_ASSUMPTION, level)
    refuting = _least(_needed(inside), _STRICT)["refuted"]
    if within.status == "refuted":
        levels = tuple(within.levels[0] if is_met else joint.levels[0] for is_met in assumed)
        outcomes = tuple(cell.outcome(of_cell) for cell, of_cell in zip(cells, levels, strict=True))
        return Decision("refuted", within.pattern, outcomes, levels, refuting)
    return replace(joint, flip=min(joint.flip, refuting)) if joint.status == "inconclusive" else joint


def _decide(cells: Sequence[Levels], row: Mapping[Pattern, Status], level: float) -> Decision:
    needed = _needed(cells)
    pattern: Pattern = next((pattern for pattern, least in needed.items() if least <= level), "all open")
    of_cell = level / len(cells) if pattern in SHARED or pattern == "all open" else level
    least = _least(needed, row)
    status = row[pattern]
    return Decision(
        status=status,
        pattern=pattern,
        outcomes=tuple(cell.outcome(of_cell) for cell in cells),
        levels=(of_cell,) * len(cells),
        flip=min(least.values(), default=1.0) if status == "inconclusive" else least[status],
    )


def _least(needed: Mapping[Pattern, float], row: Mapping[Pattern, Status]) -> dict[Status, float]:
    """Return the least level of the whole at which each decided status follows."""
    found: dict[Status, float] = {}
    for pattern, least in needed.items():
        if row[pattern] != "inconclusive":
            found[row[pattern]] = min(least, found.get(row[pattern], 1.0))
    return found


def _needed(cells: Sequence[Levels]) -> dict[Pattern, float]:
    """Return the least level of the whole at which each pattern is seen, the more telling patterns first."""
    count = len(cells)
    holds_somewhere = min(1.0, count * min(cell.holds for cell in cells))
    fails_somewhere = min(1.0, count * min(cell.fails for cell in cells))
    return {
        "all hold": max(cell.holds for cell in cells),
        "all opposite": max(cell.opposite for cell in cells),
        "all fail": max(cell.fails for cell in cells),
        "some hold, some fail": max(holds_somewhere, fails_somewhere),
        "hold, rest open": holds_somewhere,
        "fail, rest open": fails_somewhere,
    }
