"""Tables that commands print; all of them fit 80 columns."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

from rich.table import Table
from rich.text import Text

from repro.catalogue import Claim
from repro.common import format_duration, format_effect, format_number
from repro.report import environment_texts, notable_costs, ratio_text
from repro.uncertainty import CONFIDENCE

if TYPE_CHECKING:
    from repro.performance import FigureComparison, Measurement, Trend
    from repro.results import ClaimResult, Comparison, Evaluation, Outcome

STYLES: dict[Outcome, str] = {
    "reproduced": "green",
    "conditional": "cyan",
    "absent": "blue",
    "refuted": "magenta",
    "inconclusive": "yellow",
    "error": "bold red",
    "skipped": "dim",
}
WORSE, BETTER = "bold red", "green"

Row = Mapping[str, Any]


def claims_table(claims: Sequence[Claim]) -> Table:
    """List claims with their statements and sources."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("claim", no_wrap=True)
    table.add_column("statement")
    for claim in claims:
        sources = "; ".join(str(source) for source in claim.sources)
        table.add_row(Text(claim.id, "bold"), Text.assemble(claim.statement, "\n", (sources, "dim")))
    return table


def run_table(results: Sequence[ClaimResult]) -> Table:
    """Tabulate the results of a run."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("claim", overflow="fold", max_width=30)
    table.add_column("verdict", no_wrap=True)
    table.add_column(f"effect [{CONFIDENCE:.0%}]")
    table.add_column("n", justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    for result in results:
        evaluation = result.evaluation
        status = Text(result.status, STYLES[result.status])
        if result.sound is not True and evaluation.verdict:
            status.append(f"\n{result.standing}", "bold red" if result.standing == "unsound" else "dim")
        n = "" if evaluation.verdict is None else str(evaluation.verdict.n)
        table.add_row(Text(result.id), status, _effect(evaluation), n, format_duration(result.seconds))
    return table


def comparison_tables(comparison: Comparison) -> list[Table | Text]:
    """Tabulate what differs between two runs, what matters most first."""
    sections: list[tuple[str, Table]] = [
        ("Verdicts that changed", _verdicts(comparison)),
        ("Effects that moved", _effects(comparison)),
        ("Costs that changed most", _costs(comparison)),
        ("Environment", _environment(comparison)),
    ]
    shown: list[Table | Text] = []
    for title, table in sections:
        if table.rows:
            shown += [Text(title, "bold cyan"), table, Text("")]
    return shown


def calibration_table(rows: Sequence[Row]) -> Table:
    """Tabulate the shares of outcomes by criterion, noise, number of seeds and truth."""
    table = _table("criterion", "noise", "truth", numbers=("n", "holds", "fails", "coverage"), gap=1)
    for row in rows:
        shares = (f"{100 * row[name]:.2f} %" for name in ("holds", "fails", "coverage"))
        table.add_row(row["criterion"], row["noise"], str(row["truth"]), str(row["n"]), *shares)
    return table


def decisions_table(rows: Sequence[Row]) -> Table:
    """Tabulate the shares of false verdicts by kind of statement, number of cells, dependence, seeds and truth."""
    table = _table("kind", "truth", numbers=("cells", "n", "false", "inconclusive"), gap=1)
    for row in rows:
        decided = sum(row[name] for name in ("reproduced", "conditional", "absent", "refuted"))
        shares = (f"{100 * share:.2f} %" for share in (row["false"], 1 - decided))
        table.add_row(row["kind"], f"{row['truth']}, {row['dependence']}", str(row["cells"]), str(row["n"]), *shares)
    return table


def stability_table(rows: Sequence[Row]) -> Table:
    """Tabulate how often each claim agreed with its published verdict."""
    table = _table("claim", "statuses", numbers=("agree", "of"), gap=1)
    for row in rows:
        statuses = ", ".join(f"{count} {status}" for status, count in row["statuses"].items())
        agree = "unpublished" if row["agree"] is None else str(row["agree"])
        table.add_row(row["id"], statuses, agree, str(row["repeats"]))
    return table


def robustness_table(rows: Sequence[Row]) -> Table:
    """Tabulate the main effects of the settings of each claim, from half to twice of them."""
    table = _table("claim", "setting", numbers=("half", "twice", "main effect"), gap=1)
    for row in rows:
        claim = Text.assemble(row["id"], "\n", (row["measure"], "dim"))
        for place, setting in enumerate(row["settings"]):
            numbers = (format_number(setting[name]) for name in ("half", "twice", "effect"))
            table.add_row(Text("") if place else claim, setting["name"], *numbers)
    return table


def faults_table(rows: Sequence[Row]) -> Table:
    """Tabulate the faults with the evaluation that noticed; those that escaped come first."""
    table = _table("fault", "noticed by", gap=1)
    for row in sorted(rows, key=lambda row: row["caught"]):
        escaped = Text.assemble(("escaped", "bold red"), f"; used by {', '.join(row['used_by'])}")
        table.add_row(row["name"], row["by"] if row["caught"] else escaped)
    return table


def determinism_table(rows: Sequence[Row]) -> Table:
    """Tabulate the claims with the key of their observations; those that differ come first."""
    table = _table("claim", "observations", "came out differently with", gap=1)
    for row in sorted(rows, key=lambda row: not row["differing"]):
        differing = Text("; ".join(row["differing"]), "bold red")
        table.add_row(row["id"], row["key"][:12] or "none", differing if row["differing"] else row["message"])
    return table


def trends_table(trends: Sequence[Trend]) -> Table:
    """Tabulate the latest values of the benchmarks and the last steps in them."""
    table = _table("figure", "latest", "rounds", "runs", "last step")
    for trend in trends:
        table.add_row(trend.series.figure, format_number(trend.latest.value), _range(trend.latest), *_steps(trend))
    return table


def figure_comparisons_table(comparisons: Sequence[FigureComparison], name: str) -> Table:
    """Tabulate comparisons of benchmarks with a commit or a file."""
    table = _table("figure", f"at {name}", "now", f"change [{CONFIDENCE:.0%}]", "")
    for one in comparisons:
        verdict = Text("worse", WORSE) if one.worse else Text("")
        table.add_row(one.series.figure, format_number(one.before), format_number(one.now), str(one.change), verdict)
    return table


def _table(*texts: str, numbers: Sequence[str] = (), gap: int = 2) -> Table:
    table = Table(box=None, pad_edge=False, padding=(0, gap, 0, 0))
    for column in texts:
        table.add_column(column, overflow="fold")
    for column in numbers:
        table.add_column(column, justify="right", no_wrap=True)
    return table


def _effect(evaluation: Evaluation) -> str:
    verdict = evaluation.verdict
    return "" if verdict is None else format_effect(verdict.effect, verdict.low, verdict.high)


def _verdicts(comparison: Comparison) -> Table:
    table = _table("claim", "base", "head", "")
    for change in sorted(comparison.verdicts, key=lambda change: not change.worse):
        table.add_row(change.id, change.base, change.head, Text("worse", WORSE) if change.worse else Text(""))
    return table


def _effects(comparison: Comparison) -> Table:
    table = _table("claim", numbers=("base", "head", "p", "adjusted"))
    for test in sorted(comparison.moved, key=lambda test: test.p):
        numbers = (test.base, test.head, test.p, test.p_adjusted)
        table.add_row(Text.assemble(test.id, "\n", (test.measure, "dim")), *map(format_number, numbers))
    return table


def _costs(comparison: Comparison) -> Table:
    table = _table("claim", numbers=("time", "memory"))
    for cost in notable_costs(comparison.costs):
        table.add_row(cost.id, ratio_text(cost.seconds_ratio), ratio_text(cost.memory_ratio))
    return table


def _environment(comparison: Comparison) -> Table:
    table = _table("name", "base", "head")
    for difference in comparison.environment:
        table.add_row(*environment_texts(difference))
    return table


def _range(measurement: Measurement) -> str:
    return f"{format_number(min(measurement.rounds))} to {format_number(max(measurement.rounds))}"


def _steps(trend: Trend) -> tuple[str, Text]:
    runs = str(len(trend.measurements))
    if not trend.turns:
        return runs, Text("none")
    turn = trend.turns[-1]
    return runs, Text(f"{turn.change} since {turn.first.version}", WORSE if turn.worse else BETTER)
