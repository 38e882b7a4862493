"""What a claim's declaration lacks for a verdict that an expert would sign. Gates mark; they never stop a run."""

from __future__ import annotations

import re
from collections.abc import Iterator

from repro.catalogue.declaration import Claim
from repro.criteria import AllOf, Boundary, ColumnCriterion, Criterion

HEDGE = re.compile(r"\b(may|might|could)\b")
HEDGED = {"theorem": HEDGE, "finding": HEDGE, "law": re.compile(r"\b(can|may|might|could)\b")}
HORIZON = "steps"


def lacking(claim: Claim) -> list[str]:
    r"""List what the declaration of a claim lacks, one line each.

    Example:
        >>> from repro import AtMost, Source
        >>> from repro.catalogue import claim
        >>> @claim("Numbers are small.", source=Source("My notes", "1"), criterion=AtMost("number", bound=1.0))
        ... def small(seed):
        ...     return {"number": 0.5}
        >>> print(*lacking(small), sep="\n")
        its kind is not declared (kind=), so it is judged as a tendency
        no counterpart shows that its verdict could have come out otherwise (control=, rival=, correction=)
    """
    return list(_lacking(claim))


def _lacking(claim: Claim) -> Iterator[str]:
    if claim.kind is None:
        yield f"its kind is not declared (kind=), so it is judged as a {claim.judged_as}"
    is_repeated = claim.kind == "possibility" and claim.takes_seeds
    if claim.control is None and not claim.counterparts and claim.boundary is None and not is_repeated:
        yield "no counterpart shows that its verdict could have come out otherwise (control=, rival=, correction=)"
    # theorems and findings use "can" for what they allow; what is hedged beside an equation is not the equation
    words = HEDGED.get(claim.kind or "")
    hedge = words.search(claim.statement) if words else None
    if hedge:
        yield f"the statement says {hedge.group()!r}, but it is judged as a {claim.kind}, not as a possibility"
    parts = list(_parts(claim.criterion))
    unfounded = sorted(
        {
            name
            for part, criterion in parts
            for name in criterion.conditions
            if name not in (*claim.left_open, HORIZON) and not _is_fixed(name, part, claim.boundary)
        }
    )
    if unfounded:
        yield f"its conditions {', '.join(unfounded)} are not among those that the passage leaves open (left_open=)"
    if not all(criterion.is_founded for _, criterion in parts):
        yield "a smallest effect is not in the project's table and names no source (source=)"
    if claim.correction is not None and claim.correction.criterion is None:
        changed = claim.correction.parameters
        subset = [name for name, value in changed.items() if _is_subset(value, claim.defaults[name])]
        if subset and len(subset) == len(changed):
            yield f"its correction runs a part of the claim's own {', '.join(subset)}"


def _is_fixed(name: str, part: str, boundary: Boundary | None) -> bool:
    """Tell whether a condition has one value in all cells of a part that decide; others are for the map alone."""
    named = [] if boundary is None else [cell for cell in boundary.named if cell.get("part", part) == part]
    return bool(named) and all(name in cell for cell in named) and len({cell[name] for cell in named}) == 1


def _parts(criterion: Criterion, part: str = "") -> Iterator[tuple[str, ColumnCriterion]]:
    """Yield the criteria of the parts of a statement, with the names of the parts."""
    if isinstance(criterion, AllOf):
        for name, joined in criterion.criteria.items():
            yield from _parts(joined, f"{part}, {name}" if part else name)
    elif isinstance(criterion, ColumnCriterion):
        yield part, criterion


def _is_subset(value: object, whole: object) -> bool:
    """Tell whether a value is a proper part of another: fewer of its items."""
    return isinstance(value, tuple) and isinstance(whole, tuple) and set(value) < set(whole)
