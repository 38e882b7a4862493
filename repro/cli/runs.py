"""The commands for runs that are done: ``repro compare``, ``export``, ``import`` and ``compact``."""

from __future__ import annotations

import sys
from datetime import timedelta
from pathlib import Path
from typing import Annotated

import typer
from etils import epy

from repro.cli.options import JsonOption, ResultsOption
from repro.common import paths

with epy.lazy_imports():
    from repro import report
    from repro import results as library
    from repro.cli import documents, tables, terminal

COMPARABLE = "id of a run, latest, a results folder, a file of `repro export`, or published"

BaseArgument = Annotated[str, typer.Argument(metavar="BASE", help=f"The run to compare with: {COMPARABLE}.")]
HeadArgument = Annotated[str, typer.Argument(metavar="HEAD", help="The run to look at, named in the same way.")]
ExportedRunArgument = Annotated[str, typer.Argument(metavar="RUN", help="Id of a run, or latest.")]
WrittenFileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="File to write.")]
ReadFileArgument = Annotated[Path, typer.Argument(metavar="FILE", help="File that `repro export` has written.")]
KeepOption = Annotated[
    int | None,
    typer.Option(
        metavar="N",
        min=1,
        max=1_000_000,
        help="Remove runs whose claims all have N later results at the same profile and backend; by default none.",
    ),
]
OlderThanOption = Annotated[
    int,
    typer.Option(
        metavar="DAYS",
        min=0,
        max=36_500,
        help="Age from which observations are removed; 0 is safe only while no run is in progress.",
    ),
]
DryRunOption = Annotated[bool, typer.Option("--dry-run", help="Only say what would be removed.")]


def compare(
    base: BaseArgument,
    head: HeadArgument = "latest",
    *,
    results: ResultsOption = paths.RESULTS,
    json: JsonOption = False,
) -> int:
    """Compare two runs: verdicts, effects, costs, environments; the exit status is 1 if anything got worse."""
    compared = library.compare_runs(*library.load_pair(base, head, results))
    page = report.write_comparison(results, compared)
    remarks = report.remarks(compared)
    if json:
        terminal.console(stderr=True).print(*remarks, sep="\n", soft_wrap=True)
        sys.stdout.write(documents.json_text(documents.comparison_json(compared)) + "\n")
    else:
        output = terminal.console()
        output.print(*tables.comparison_tables(compared), *remarks, sep="\n")
        output.print(report.conclusion(compared))
        output.print(f"page: {page}", soft_wrap=True)
    return int(compared.worse)


def export_run(run: ExportedRunArgument, file: WrittenFileArgument, *, results: ResultsOption = paths.RESULTS) -> int:
    """Write a run to one file, with its results, observations and environment."""
    exported = library.export_run(library.Store.existing(results), run, file)
    terminal.console().print(f"run {exported.id} is in {file}", soft_wrap=True)
    return 0


def import_run(file: ReadFileArgument, *, results: ResultsOption = paths.RESULTS) -> int:
    """Add a run from a file of `repro export` to the results."""
    bundle = library.read_bundle(file)
    is_new = library.add(library.Store.open(results), bundle)
    said = "is imported" if is_new else "is here already, with the same content"
    terminal.console().print(f"run {bundle.run.id} {said}", soft_wrap=True)
    return 0


def compact(
    *,
    keep: KeepOption = None,
    older_than: OlderThanOption = 7,
    dry_run: DryRunOption = False,
    results: ResultsOption = paths.RESULTS,
) -> int:
    """Free space: remove observations that no result names and, if asked to, runs that later ones supersede."""
    store = library.Store.existing(results)
    waste = library.find_waste(store, keep, timedelta(days=older_than))
    said = terminal.waste_text(waste) if dry_run else terminal.freed_text(waste, library.remove_waste(store, waste))
    terminal.console().print(said, soft_wrap=True)
    return 0
