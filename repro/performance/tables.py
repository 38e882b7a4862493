"""What ``repro bench`` shows: the figures, what became of their series, and comparisons."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from rich.table import Table
from rich.text import Text

from repro.performance.comparison import Comparison
from repro.performance.measurement import Measurement
from repro.performance.trends import Trend
from repro.statistics import CONFIDENCE
from repro.verdict import format_number

WORSE, BETTER = "bold red", "green"


def trends_table(trends: Sequence[Trend]) -> Table:
    """Tabulate the latest values and the last steps; fits 80 columns."""
    table = _table("figure", "latest", "rounds", "runs", "last step")
    for trend in trends:
        table.add_row(trend.series.figure, format_number(trend.latest.value), _range(trend.latest), *_steps(trend))
    return table


def comparisons_table(comparisons: Sequence[Comparison], name: str) -> Table:
    """Tabulate comparisons with a commit or a file; fits 80 columns."""
    table = _table("figure", f"at {name}", "now", f"change [{CONFIDENCE:.0%}]", "")
    for one in comparisons:
        verdict = Text("worse", WORSE) if one.worse else Text("")
        table.add_row(one.series.figure, format_number(one.before), format_number(one.now), str(one.change), verdict)
    return table


def trend_json(trend: Trend) -> dict[str, Any]:
    """Return a series in the form that ``repro bench --json`` prints."""
    return {
        **trend.series._asdict(),
        "better": trend.better,
        "value": trend.latest.value,
        "rounds": list(trend.latest.rounds),
        "commit": trend.latest.commit,
        "modified": trend.latest.modified,
        "measured": trend.latest.measured,
        "runs": len(trend.measurements),
        "regressed": trend.regressed,
        "steps": [
            {
                "since": turn.first.commit,
                "after": turn.last.commit,
                "measured": turn.first.measured,
                "noticed": turn.noticed.measured,
                "ratio": turn.change.ratio,
                "low": turn.change.low,
                "high": turn.change.high,
                "worse": turn.worse,
                "versions": turn.versions,
            }
            for turn in trend.turns
        ],
    }


def comparison_json(comparison: Comparison) -> dict[str, Any]:
    """Return a comparison in the form that ``repro bench --json`` prints."""
    change = comparison.change
    return {
        **comparison.series._asdict(),
        "better": comparison.better,
        "before": comparison.before,
        "now": comparison.now,
        "ratio": change.ratio,
        "low": change.low,
        "high": change.high,
        "worse": comparison.worse,
    }


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for column in columns:
        table.add_column(column, overflow="fold")
    return table


def _range(measurement: Measurement) -> str:
    return f"{format_number(min(measurement.rounds))} to {format_number(max(measurement.rounds))}"


def _steps(trend: Trend) -> tuple[str, Text]:
    runs = str(len(trend.measurements))
    if not trend.turns:
        return runs, Text("none")
    turn = trend.turns[-1]
    return runs, Text(f"{turn.change} since {turn.first.version}", WORSE if turn.worse else BETTER)
