"""Searching a learning rate: the engine beside Keras Tuner."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack

from benchmarks import baselines, workloads
from benchmarks.conftest import Effort, Report
from benchmarks.measuring import Side, Workers

TRIALS, EPOCHS = 64, 20


def test_search(report: Report, effort: Effort) -> None:
    """Each search in a fresh process, so that building and compiling count; loading libraries does not."""
    with ExitStack() as stack:

        def fresh() -> Iterator[Workers]:
            workers = [stack.enter_context(Workers()) for _ in range(effort.search_rounds)]
            for worker in workers:
                worker(workloads.prepare)
            return iter(workers)

        ours, theirs = fresh(), fresh()
        report.ratios(
            Side(f"engine, {TRIALS} trials", lambda: next(ours)(workloads.search, TRIALS, EPOCHS), TRIALS),
            {
                "speedup_over_tuner": Side(
                    f"RandomSearch, {effort.trials} trials",
                    lambda: next(theirs)(baselines.search, effort.trials, EPOCHS),
                    effort.trials,
                )
            },
            effort.search_rounds,
        )
