"""Marks on verdicts that an expert would not sign, from what was observed. Marks alter no status and stop no run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from repro.catalogue import Claim, lacking
from repro.criteria import AllOf, Cell, Criterion, Greater, Peak, Ratio, Verdict
from repro.uncertainty import RESOLUTION, SMALLEST

if TYPE_CHECKING:
    import pandas as pd

    from repro.results import Evaluation

MOST_CELLS = 8
# Measured values that are limits of their quantity: no error, all right, never reached.
LIMITS_OF_QUANTITIES = (0.0, 1.0, np.inf)
ROUNDING = 1e-6  # of shares, which single precision gives
FEWEST_TO_TELL = 8


def of_observations(claim: Claim, observations: pd.DataFrame, verdict: Verdict) -> list[str]:
    """List the marks on a claim's own verdict that its declaration and its observations give.

    Args:
        claim: Claim that was judged.
        observations: Observations that were judged.
        verdict: Verdict on them.
    """
    return [*lacking(claim), *_too_many_cells(verdict), *_planted(claim.criterion, observations), *_edges(observations)]


def of_counterparts(claim: Claim, own: Verdict, counterparts: Sequence[Evaluation]) -> list[str]:
    """List the marks on a claim's verdict that its counterparts give.

    Args:
        claim: Claim that was judged.
        own: Verdict on the claim.
        counterparts: Evaluations of its counterparts.
    """
    by_role = {item.role: item for item in counterparts}
    marks = []
    control = by_role.get("control")
    if control is not None and control.verdict is not None:
        on_a_grid = _parts_that_are(Peak, claim.criterion)  # whose places may well be the same for every seed
        cells = [cell for cell in control.verdict.cells if cell.part not in on_a_grid]
        if control.verdict.p is not None and cells and all(map(_is_constant, cells)):
            marks.append("its control is the same for every seed: an arm against itself, or nothing random")
    orderings = _parts_that_are(Greater, claim.criterion)  # where no effect may mean that none could be seen
    failing = [cell for cell in own.cells if cell.outcome == "fails" and cell.part in orderings]
    positive = by_role.get("positive control")
    unseen = [cell.name for cell in failing if positive is None or not _is_seen(cell, positive.verdict)]
    needs_none = own.kind in ("formula", "theorem") or (own.kind == "possibility" and own.status == "reproduced")
    if unseen and not needs_none:
        places = unseen[0] if len(unseen) == 1 else f"{unseen[0]} and {len(unseen) - 1} more"
        marks.append(f"no positive control shows that an effect could have been seen at {places or 'all'}")
    return marks


def _too_many_cells(verdict: Verdict) -> Iterator[str]:
    deciding = sum(cell.decides for cell in verdict.cells)
    if deciding > MOST_CELLS:
        yield f"{deciding} cells decide, where two should be named beforehand (Boundary(..., named=...))"


def _planted(criterion: Criterion, observations: pd.DataFrame) -> Iterator[str]:
    """Find arms whose measurement is one number for every seed: it was planted rather than measured."""
    if isinstance(criterion, AllOf):
        for part in criterion.criteria.values():
            yield from _planted(part, observations)
        return
    if not isinstance(criterion, Greater | Ratio) or "seed" not in observations:
        return
    for panel in criterion.panels(observations):
        for arm in (criterion.of, criterion.than):
            values = panel.observations.loc[panel.observations[criterion.by] == arm, criterion.metric].astype(float)
            constant = len(values) >= FEWEST_TO_TELL and values.nunique() == 1  # noqa: PD101  infinities have no range
            if constant and not np.isclose(values.iloc[0], LIMITS_OF_QUANTITIES, rtol=0, atol=ROUNDING).any():
                yield f"{criterion.metric} of {arm} is {values.iloc[0]:g} for every seed: planted, not measured"
                return


def _edges(observations: pd.DataFrame) -> Iterator[str]:
    """Find arms whose tuned rate lies at the edge of its grid: a better one may lie beyond it."""
    at_edge = sum(bool(trial.get("at_edge")) for trial in observations.attrs.get("tuning", []))
    if at_edge:
        yield f"the best value of {at_edge} searches lies at the edge of the grid"


def _parts_that_are(kind: type[Criterion], criterion: Criterion, part: str = "") -> set[str]:
    """Return the names of the parts of a statement that a kind of criterion judges."""
    if isinstance(criterion, AllOf):
        return {
            name
            for inner, joined in criterion.criteria.items()
            for name in _parts_that_are(kind, joined, f"{part}, {inner}" if part else inner)
        }
    return {part} if isinstance(criterion, kind) else set()


def _is_seen(cell: Cell, positive: Verdict | None) -> bool:
    """Tell whether a positive control holds at the part and conditions of a cell, as far as it has them."""
    if positive is None:
        return False
    has_part = any(seen.part == cell.part for seen in positive.cells)
    fitting = [
        seen
        for seen in positive.cells
        if _agree(seen.conditions, cell.conditions) and (seen.part == cell.part or not has_part)
    ]
    return bool(fitting) and all(seen.outcome == "holds" for seen in fitting)


def _agree(some: Mapping[str, object], others: Mapping[str, object]) -> bool:
    return all(others[name] == value for name, value in some.items() if name in others)


def _is_constant(cell: Cell) -> bool:
    return bool(cell.high - cell.low <= 4 * RESOLUTION * abs(cell.effect) + 4 * SMALLEST)
