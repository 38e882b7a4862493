"""Puts a comparison of two runs into sentences."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from repro.common import format_duration, format_number
from repro.results import Comparison, Cost, Difference, Mismatch

# Of the costs, the command prints those that a reader may want to look into; the page has all.
NOTABLE_RATIO = 2.0
NOTABLE_SECONDS = 1.0
MOST_SHOWN = 10


def remarks(comparison: Comparison) -> list[str]:
    """List what was compared and what was not, in a line each."""
    by_intervals = sum(test.by == "intervals" for test in comparison.effects)
    tested = f"{len(comparison.effects)} effects tested"
    if by_intervals:
        tested += f", {by_intervals} of them by their intervals alone"
    lines = [f"{_claims(comparison.compared)} compared, {tested}"]
    if any(comparison.seconds):
        lines[0] += "; time {} against {}".format(*map(format_duration, comparison.seconds))
    if comparison.mismatches:
        named = "; ".join(map(mismatch_text, comparison.mismatches[:3]))
        more = f"; and {len(comparison.mismatches) - 3} more" if len(comparison.mismatches) > 3 else ""
        lines.append(f"not compared, other parameters: {named}{more}")
    for name, only in (("base", comparison.only_base), ("head", comparison.only_head)):
        if only:
            lines.append(f"only in {name}: {_claims(len(only))}")
    return lines


def conclusion(comparison: Comparison) -> str:
    """Say how head compares with base."""
    worse = sum(change.worse for change in comparison.verdicts)
    changed = f"{len(comparison.verdicts)} changed, {worse} for the worse" if comparison.verdicts else "none changed"
    return f"verdicts: {changed}; effects: {len(comparison.moved) or 'none'} moved"


def mismatch_text(mismatch: Mismatch) -> str:
    """Name a claim with the parameters that differ."""
    differences = (f"{each.name} {shown(each.base)} and {shown(each.head)}" for each in mismatch.parameters)
    return f"{mismatch.id} ({', '.join(differences)})"


def shown(value: Any) -> str:
    """Write a value that may come from anyone: on one line, without control characters."""
    text = "–" if value is None or value == "" else str(value)
    return "".join(character if character.isprintable() else "�" for character in text)


def environment_texts(difference: Difference) -> tuple[str, ...]:
    """Write a difference of environments: its name and both values."""
    sides = (difference.base, difference.head)
    return (shown(difference.name), *(_environment_text(difference.name, value) for value in sides))


def _environment_text(name: str, value: Any) -> str:
    if name == "memory" and isinstance(value, int):  # of the machine, in bytes
        return f"{value / 2**30:.1f} GiB"
    return shown(value)


def notable_costs(costs: Sequence[Cost]) -> list[Cost]:
    """Choose the costs that changed most."""
    notable = [
        cost
        for cost in costs
        if (ratio := cost.seconds_ratio) is not None
        and max(ratio, 1 / ratio) >= NOTABLE_RATIO
        and max(cost.seconds) >= NOTABLE_SECONDS
    ]
    return sorted(notable, key=lambda cost: -abs(cost.seconds[1] - cost.seconds[0]))[:MOST_SHOWN]


def ratio_text(ratio: float | None) -> str:
    """Write a ratio of costs."""
    return "–" if ratio is None else f"× {format_number(float(f'{ratio:.3g}'))}"


def _claims(count: int) -> str:
    return f"{count} claim" if count == 1 else f"{count} claims"
