"""Results folders grow in proportion to what is recorded, and are read and written as quickly with many runs."""

import itertools
import sqlite3
import sys
from pathlib import Path

import numpy as np
import pytest

from repro.results import past
from repro.results.records import ClaimResult
from repro.results.store import Store
from repro.runner import resumption

sys.path.append(str(Path(__file__).parents[2]))  # the benchmarks are not installed

from benchmarks import growth


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "results")


def steps_of(read):
    """Count the instructions of SQLite's virtual machine, in hundreds."""
    count = 0

    def step():
        nonlocal count
        count += 1

    connect = sqlite3.connect

    def counted(*arguments, **options):
        connection = connect(*arguments, **options)
        connection.set_progress_handler(step, 100)
        return connection

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("repro.results.store.sqlite3.connect", counted)
        read()
    return count


def test_the_database_grows_in_proportion_and_is_read_and_written_in_as_many_steps_with_many_runs(store):
    tables = [growth.observations(number) for number in range(20)]
    keys = [store.write_observations(one) for one in tables]
    numbers, draws = itertools.count(), np.random.default_rng(0)
    readings = {
        "overview": lambda: growth.overview(store),
        "record": lambda: store.record(
            store.run().id,
            ClaimResult(f"later.{next(numbers)}", growth.evaluation("claim", "refuted", 0, keys[0], draws), ()),
        ),
        "seconds": lambda: past.seconds(store, "standard", "tensorflow"),
    }
    sizes, steps = [], []
    for number in range(1, 161):
        store.import_run(*growth.synthetic(number, keys), {})
        if number in (40, 80, 160):
            steps.append({name: steps_of(read) for name, read in readings.items()})
            sizes.append((store.folder / "results.sqlite").stat().st_size)
    assert (sizes[2] - sizes[1]) / (sizes[1] - sizes[0]) == pytest.approx(2, rel=0.1)
    for name in readings:
        assert steps[2][name] <= 1.2 * steps[0][name] + 1, name


def test_the_search_for_an_unfinished_run_looks_at_all(store):
    keys = [store.write_observations(growth.observations(number)) for number in range(4)]
    for number in range(1, 30):
        run, results = growth.synthetic(number, keys)
        store.import_run(run, results if number != 3 else results[:1], {})
    assert resumption.find_unfinished(store).id == growth.synthetic(3, keys)[0].id


def test_measurements_are_tabulated(store):
    rows = list(growth.grow(store, 12, 2))
    assert [row.runs for row in rows] == [1, 10, 12]
    assert all(len(store.results(run.id)) == 2 for run in store.runs())
    assert len(store.runs()) == 12
    assert list(growth.table(rows).columns) == list(growth.NAMES.values())
