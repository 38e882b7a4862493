"""The command ``repro bench``: how fast the suite is, and since when."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from etils import epy

from repro import backend as backends
from repro import paths, running, terminal
from repro.errors import BenchmarkError
from repro.options import BackendOption, JsonOption, ResultsOption
from repro.store import DATABASE, Store

with epy.lazy_imports():
    from repro.performance import benchmarking, comparison, history, tables, trends
    from repro.report import performance as pages

BenchmarksArgument = Annotated[
    list[str] | None, typer.Argument(help="Parts of the names of benchmarks or their files; all by default.")
]
QuickOption = Annotated[
    bool, typer.Option("--quick", help="Do little work, to see that the benchmarks run; nothing is recorded.")
]
CompareOption = Annotated[
    str | None,
    typer.Option(
        metavar="REF",
        help="Exit with 1 if a figure is worse than at this commit of the history, or in this JSON file of "
        "pytest-benchmark.",
    ),
]


def bench(
    patterns: BenchmarksArgument = None,
    *,
    quick: QuickOption = False,
    compare: CompareOption = None,
    backend: BackendOption = None,
    results: ResultsOption = running.RESULTS,
    json: JsonOption = False,
) -> int:
    """Measure how fast the suite is, add that to the history and find steps in it."""
    benchmarking.check()
    if quick and compare is not None:
        raise BenchmarkError("figures of a quick run mean nothing; use --compare without --quick")
    before = None if compare is None else comparison.reference(compare, _history(results), benchmarking.CHECKOUT)
    backends.select(backend or backends.name())
    store = None if quick else Store.open(results)
    measured = benchmarking.run(patterns or [], quick=quick)
    if store is None:
        return int(measured.failed)
    known = history.History(store)
    known.record(measured.measurements)
    compared = None if before is None else comparison.compare(measured.measurements, before)
    page = pages.write_performance(store.folder / "site", known)
    series = known.series()
    found = [trends.trend(one.series, series[one.series]) for one in measured.measurements]
    if json:
        document = {
            "series": [tables.trend_json(one) for one in found],
            "compared": None if compared is None else [tables.comparison_json(one) for one in compared],
            "failed": measured.failed,
            "page": str(page),
        }
        sys.stdout.write(terminal.json_text(document) + "\n")
    else:
        output = terminal.console()
        output.print(tables.trends_table(found))
        if compared is not None:
            output.print(tables.comparisons_table(compared, str(compare)))
        output.print(f"page: {page}", soft_wrap=True)
    return int(measured.failed or any(one.worse for one in compared or []))


def _history(results: Path) -> history.History | None:
    """Return the history of a results folder without making one."""
    return history.History(Store.open(results)) if paths.is_file(results / DATABASE) else None
