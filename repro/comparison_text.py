"""What ``repro compare`` prints: a comparison as tables that fit 80 columns, and as plain data."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from repro.comparison import Comparison, Cost, Difference, Mismatch
from repro.terminal import duration
from repro.verdict import format_number

# Of the costs, the command prints those that a reader may want to look into; the page has all.
NOTABLE_RATIO = 2.0
NOTABLE_SECONDS = 1.0
MOST_SHOWN = 10


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison in the form that ``repro compare --json`` prints."""
    return {
        "base": comparison.base.id,
        "head": comparison.head.id,
        "verdicts": [{"id": change.id, "base": change.base, "head": change.head} for change in comparison.verdicts],
        "effects": [
            {"id": test.id, "base": test.base, "head": test.head, "p": test.p, "p_adjusted": test.p_adjusted}
            for test in comparison.moved
        ],
        "costs": [
            {"id": cost.id, "seconds_ratio": cost.seconds_ratio, "memory_ratio": cost.memory_ratio}
            for cost in comparison.costs
        ],
        "environment": [
            {"name": difference.name, "base": difference.base, "head": difference.head}
            for difference in comparison.environment
        ],
        "worse": comparison.worse,
    }


def comparison_tables(comparison: Comparison) -> list[Table | Text]:
    """Tabulate what differs, what matters most first."""
    sections: list[tuple[str, Table | None]] = [
        ("Verdicts that changed", _verdicts(comparison)),
        ("Effects that moved", _effects(comparison)),
        ("Costs that changed most", _costs(comparison)),
        ("Environment", _environment(comparison)),
    ]
    shown: list[Table | Text] = []
    for title, table in sections:
        if table is not None:
            shown += [Text(title, "bold cyan"), table, Text("")]
    return shown


def remarks(comparison: Comparison) -> list[str]:
    """Say in a line each what was compared, and what was not."""
    by_intervals = sum(test.by == "intervals" for test in comparison.effects)
    tested = f"{len(comparison.effects)} effects tested"
    if by_intervals:
        tested += f", {by_intervals} of them by their intervals alone"
    lines = [f"{_claims(comparison.compared)} compared, {tested}"]
    if any(comparison.seconds):
        lines[0] += "; time {} against {}".format(*map(duration, comparison.seconds))
    if comparison.mismatches:
        named = "; ".join(map(mismatch_text, comparison.mismatches[:3]))
        more = f"; and {len(comparison.mismatches) - 3} more" if len(comparison.mismatches) > 3 else ""
        lines.append(f"not compared, other parameters: {named}{more}")
    for name, only in (("base", comparison.only_base), ("head", comparison.only_head)):
        if only:
            lines.append(f"only in {name}: {_claims(len(only))}")
    return lines


def conclusion(comparison: Comparison) -> str:
    """Say how head stands beside base."""
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


def _verdicts(comparison: Comparison) -> Table | None:
    table = _table("claim", "base", "head", "")
    for change in sorted(comparison.verdicts, key=lambda change: not change.worse):
        worse = Text("worse", "bold red") if change.worse else Text("")
        table.add_row(change.id, change.base, change.head, worse)
    return table if table.rows else None


def _effects(comparison: Comparison) -> Table | None:
    table = _table("claim", numbers=("base", "head", "p", "adjusted"))
    for test in sorted(comparison.moved, key=lambda test: test.p):
        numbers = (test.base, test.head, test.p, test.p_adjusted)
        table.add_row(Text.assemble(test.id, "\n", (test.measure, "dim")), *map(format_number, numbers))
    return table if table.rows else None


def _costs(comparison: Comparison) -> Table | None:
    table = _table("claim", numbers=("time", "memory"))
    for cost in _notable(comparison.costs):
        table.add_row(cost.id, ratio_text(cost.seconds_ratio), ratio_text(cost.memory_ratio))
    return table if table.rows else None


def _notable(costs: Sequence[Cost]) -> list[Cost]:
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


def _environment(comparison: Comparison) -> Table | None:
    table = _table("name", "base", "head")
    for difference in comparison.environment:
        table.add_row(*environment_texts(difference))
    return table if table.rows else None


def _table(*columns: str, numbers: Sequence[str] = ()) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    for column in numbers:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _claims(count: int) -> str:
    return f"{count} claim" if count == 1 else f"{count} claims"
