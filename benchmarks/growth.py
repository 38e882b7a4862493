"""How the results folder grows: ``python -m benchmarks.growth`` records synthetic runs and times what reads them."""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from repro.common.errors import ReproError
from repro.criteria.verdict import Part, Verdict
from repro.report.site import REMEMBERED_RUNS
from repro.results import compaction, past
from repro.results.records import ClaimResult, Evaluation, Request, Run
from repro.results.store import DATABASE, Store
from repro.runner import resumption

RUNS = 1000
CLAIMS = 600
KEPT = 10
REPETITIONS = 5
FIRST = datetime(2026, 1, 1, tzinfo=UTC)
SEEDS = tuple(range(24))
STATEMENT = r"Synthetic statement {}, with a formula $\lVert x \rVert \le 1$ and about as many words as others have. "
VERSIONS = ("keras-repro", "keras-tuner", "numpy", "pandas", "scikit-learn", "scipy", "tensorflow-datasets")
ENVIRONMENT = {
    "python": "3.11.7",
    "keras": "3.15.1",
    "backend_version": "2.21.0",
    "device": "CPU",
    "cpu": "synthetic",
    "cores": 2,
    "memory": 16 * 2**30,
    "commit": "0" * 40,
    "packages": dict.fromkeys(VERSIONS, "1.0.0"),
}
NAMES = {
    "runs": "runs",
    "bytes": "database",
    "bytes_per_run": "database per run",
    "recorded": "a result recorded",
    "processor": "of that on the processor",
    "overview": "overview",
    "overview_processor": "of it on the processor",
    "seconds": "times of experiments",
    "unfinished": "search for an unfinished run",
}


class Row(NamedTuple):
    """What was measured with so many runs in a results folder; all times in seconds.

    Attributes:
        runs: how many.
        bytes: size of the database.
        bytes_per_run: the same for each run.
        recorded: wall time to write the two tables of a result and to record it; median over the results of a run.
        processor: processor time of the same, without waiting for the disk.
        overview: wall time of what the first page of a report and its claims need: the latest run, its results, and
            what came out for each claim in the latest runs.
        overview_processor: processor time of the same.
        seconds: wall time to look up what each experiment took when last measured.
        unfinished: wall time to find out that no run can be resumed.
    """

    runs: int
    bytes: int
    bytes_per_run: float
    recorded: float
    processor: float
    overview: float
    overview_processor: float
    seconds: float
    unfinished: float


def main() -> None:
    """Print the table, and what compaction takes at its end."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=RUNS, help="recorded in the end")
    parser.add_argument("--claims", type=int, default=CLAIMS, help="of each run, with a control each")
    arguments = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        store = Store.open(Path(folder))
        rows = list(grow(store, arguments.runs, arguments.claims))
        sys.stdout.write(f"{table(rows).to_string(index=False)}\n")
        before = time.perf_counter()
        waste = compaction.find_waste(store, KEPT, grace=timedelta(0))
        found = time.perf_counter()
        freed = compaction.remove_waste(store, waste)
        removed = time.perf_counter()
        sys.stdout.write(
            f"compaction to {KEPT} runs: {len(waste.runs)} found in {found - before:.1f} s, removed in "
            f"{removed - found:.1f} s; the database is {freed.database / 1e6:,.1f} MB smaller\n"
        )


def grow(store: Store, runs: int, claims: int) -> Iterator[Row]:
    """Record runs, and measure whenever their number is ten times that of the measurement before.

    Measured runs are recorded claim by claim, as ``repro run`` does; those between them are imported, a run at once.

    Args:
        store: without runs.
        runs: recorded in the end.
        claims: of each run, each with a control.
    """
    tables = [observations(number) for number in range(2 * claims)]
    keys = [store.write_observations(table) for table in tables]
    measured = {10**power for power in range(len(str(runs)))} | {runs}
    for number in range(1, runs + 1):
        run, results = synthetic(number, keys)
        if number in measured:
            yield measure(store, number, *recorded(store, run, results, tables))
        else:
            store.import_run(run, results, {})


def synthetic(number: int, keys: Sequence[str]) -> tuple[Run, list[ClaimResult]]:
    """Make a run whose verdicts differ from those of all others, with rows as long as those of real claims.

    Args:
        number: of the run.
        keys: of the observations of each claim and its control, in turn.
    """
    generator = np.random.default_rng(number)
    started = FIRST + timedelta(hours=number)
    names = tuple(f"synthetic.claim_{index}" for index in range(len(keys) // 2))
    results = [
        ClaimResult(
            name,
            evaluation("claim", "reproduced", index, keys[2 * index], generator),
            (evaluation("control", "refuted", index, keys[2 * index + 1], generator),),
            "reproduced",
        )
        for index, name in enumerate(names)
    ]
    run = Run(
        f"{started:%Y%m%dT%H%M%S}-{number:04x}",
        started.isoformat(timespec="seconds"),
        "standard",
        "tensorflow",
        ENVIRONMENT,
        Request(names),
    )
    return run, results


def evaluation(role: Any, status: Any, index: int, key: str, generator: np.random.Generator) -> Evaluation:
    """Make an evaluation with up to three parts, one in four of which shared the experiment of another."""
    numbers = generator.normal(size=3 * (index % 4 + 1)).reshape(-1, 3).tolist()
    parts = tuple(
        Part(f"scale {place}", status, effect, low, high, len(SEEDS))
        for place, (effect, low, high) in enumerate(numbers[1:])
    )
    effect, low, high = numbers[0]
    verdict = Verdict(status, effect, low, high, len(SEEDS), "median of updates / bound", parts=parts)
    parameters = {"points": 200, "dimension": 20, "separable": role == "claim", "rates": (0.1, 0.01)}
    return Evaluation(
        role=role,
        statement=STATEMENT.format(index) * 2,
        parameters=parameters,
        seeds=SEEDS,
        status=status,
        verdict=verdict,
        observations=key,
        seconds=0.0 if index % 4 == 3 else generator.uniform(1, 100),
        memory=2**30,
    )


def observations(number: int) -> pd.DataFrame:
    """Draw a small table of two arms."""
    noise = np.random.default_rng(number).normal(size=2 * len(SEEDS))
    return pd.DataFrame({"seed": SEEDS * 2, "arm": ["a", "b"] * len(SEEDS), "loss": noise})


def recorded(
    store: Store, run: Run, results: Sequence[ClaimResult], tables: Sequence[pd.DataFrame]
) -> tuple[float, float]:
    """Record a run result by result.

    Returns:
        Wall time and processor time of a result in seconds, medians.
    """
    store.begin(run)
    wall, processor = [], []
    for index, result in enumerate(results):
        before = time.perf_counter(), time.process_time()
        for observed in tables[2 * index : 2 * index + 2]:
            store.write_observations(observed)
        store.record(run.id, result)
        wall.append(time.perf_counter() - before[0])
        processor.append(time.process_time() - before[1])
    return statistics.median(wall), statistics.median(processor)


def measure(store: Store, runs: int, wall: float, processor: float) -> Row:
    """Time what reads a results folder, and take its size."""
    with store.connection() as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    size = (store.folder / DATABASE).stat().st_size
    return Row(
        runs,
        size,
        size / runs,
        wall,
        processor,
        timed(lambda: overview(store)),
        timed(lambda: overview(store), time.process_time),
        timed(lambda: past.seconds(store, "standard", "tensorflow")),
        timed(lambda: search(store)),
    )


def overview(store: Store) -> None:
    """Read what a report shows of runs."""
    store.results(store.run().id)
    past.history(store, REMEMBERED_RUNS)


def search(store: Store) -> None:
    """Look for an unfinished run where there is none."""
    with suppress(ReproError):
        resumption.find_unfinished(store)


def timed(call: Callable[[], Any], clock: Callable[[], float] = time.perf_counter) -> float:
    """Return the median time of some calls in seconds."""
    seconds = []
    for _ in range(REPETITIONS):
        before = clock()
        call()
        seconds.append(clock() - before)
    return statistics.median(seconds)


def table(rows: Sequence[Row]) -> pd.DataFrame:
    """Tabulate measurements; times in ms, sizes in MB and KB."""
    shown = pd.DataFrame(rows)
    times = ["recorded", "processor", "overview", "overview_processor", "seconds", "unfinished"]
    shown[times] = shown[times].map(lambda seconds: f"{1000 * seconds:.1f} ms")
    shown["bytes"] = shown["bytes"].map(lambda size: f"{size / 1e6:,.1f} MB")
    shown["bytes_per_run"] = shown["bytes_per_run"].map(lambda size: f"{size / 1e3:,.0f} KB")
    return shown.rename(columns=NAMES)


if __name__ == "__main__":
    main()
