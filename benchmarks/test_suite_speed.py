"""What the suite does around experiments, beside the same by hand: recording, reading, reporting, running."""

from __future__ import annotations

from functools import partial
from pathlib import Path

from benchmarks import suite
from benchmarks.conftest import Effort, Report
from benchmarks.measuring import Side, Workers

READINGS = 20


def compare(report: Report, figure: str, ours: Side, theirs: Side, rounds: int) -> None:
    """Call both sides once before they are measured, so that what they load does not count."""
    for side in (ours, theirs):
        side.call()
    report.ratios(ours, {figure: theirs}, rounds)


def test_recording(report: Report, engine: Workers, tmp_path: Path, effort: Effort) -> None:
    arguments = (str(tmp_path), effort.claims)
    compare(
        report,
        "recording_over_plain",
        Side("results folder", partial(engine, suite.record, *arguments), effort.claims),
        Side("files and rows by hand", partial(engine, suite.record_by_hand, *arguments), effort.claims),
        effort.suite_rounds,
    )


def test_reading(report: Report, engine: Workers, tmp_path: Path, effort: Effort) -> None:
    arguments, units = (str(tmp_path), effort.claims, READINGS), READINGS * effort.claims
    compare(
        report,
        "reading_over_plain",
        Side("results folder", partial(engine, suite.read, *arguments), units),
        Side("rows by hand", partial(engine, suite.read_by_hand, *arguments), units),
        effort.suite_rounds,
    )


def test_report(report: Report, engine: Workers, tmp_path: Path, effort: Effort) -> None:
    compare(
        report,
        "report_over_figures",
        Side("report", partial(engine, suite.write_report, str(tmp_path), effort.pages), effort.pages),
        Side("figures", partial(engine, suite.draw_figures, effort.pages), effort.pages),
        effort.suite_rounds,
    )


def test_running(report: Report, engine: Workers, tmp_path: Path, effort: Effort) -> None:
    claims = len(suite.QUICK_CLAIMS)
    compare(
        report,
        "running_over_experiments",
        Side("run without workers", partial(engine, suite.run, str(tmp_path)), claims),
        Side("experiments and criteria", partial(engine, suite.run_by_hand), claims),
        effort.suite_rounds,
    )
