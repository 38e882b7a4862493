"""The command ``repro bench``: how fast the suite is, and since when."""

from __future__ import annotations

import sys
from pathlib import Path
from typing import Annotated

import typer
from etils import epy

from repro.cli.options import BackendOption, JsonOption, ResultsOption
from repro.common import BenchmarkError, paths
from repro.engine import backend as backends

with epy.lazy_imports():
    from repro import performance, report
    from repro import results as library
    from repro.cli import documents, tables, terminal

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
    results: ResultsOption = paths.RESULTS,
    json: JsonOption = False,
) -> int:
    """Measure how fast the suite is, add that to the history and find steps in it."""
    performance.check_installed()
    if quick and compare is not None:
        raise BenchmarkError("figures of a quick run mean nothing; use --compare without --quick")
    before = None
    if compare is not None:
        before = performance.load_reference(compare, _existing_history(results), performance.CHECKOUT)
    backends.select(backend or backends.name())
    store = None if quick else library.Store.open(results)
    measured = performance.run_benchmarks(patterns or [], quick=quick)
    if store is None:
        return int(measured.failed)
    history = performance.History(store)
    history.record(measured.measurements)
    compared = None if before is None else performance.compare_figures(measured.measurements, before)
    page = report.write_performance(store.folder / "site", history)
    series = history.series()
    trends = [performance.trend(one.series, series[one.series]) for one in measured.measurements]
    if json:
        document = documents.bench_json(trends, compared, failed=measured.failed, page=str(page))
        sys.stdout.write(documents.json_text(document) + "\n")
    else:
        output = terminal.console()
        output.print(tables.trends_table(trends))
        if compared is not None:
            output.print(tables.figure_comparisons_table(compared, str(compare)))
        output.print(f"page: {page}", soft_wrap=True)
    return int(measured.failed or any(one.worse for one in compared or []))


def _existing_history(results: Path) -> performance.History | None:
    """Return the history of a results folder without making one."""
    return performance.History(library.Store.open(results)) if paths.is_file(results / library.DATABASE) else None
