"""Results folders are freed of what nobody needs, beside runs in progress."""

import os
import re
import sqlite3
import sys
import threading
import time
from contextlib import closing
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pandas as pd
import pytest

from repro.cli import app
from repro.common.errors import ReproError, StoreError
from repro.criteria.verdict import Verdict
from repro.results import compaction, past
from repro.results.records import ClaimResult, Evaluation, Request, Run
from repro.results.store import Store

NOW = datetime.now(UTC)
WEEK = timedelta(days=7)


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "results")


def begin(store, name, days=30, claims=("a.a",), **changes):
    """Begin a run so many days ago."""
    started = (NOW - timedelta(days=days)).isoformat(timespec="seconds")
    run = replace(Run(name, started, "smoke", "jax", {}, Request(tuple(claims))), **changes)
    store.begin(run)
    return run.id


def table(value):
    return pd.DataFrame({"seed": [0, 1], "value": [value, value + 1]})


def write(store, value, days=30):
    """Write observations so many days ago."""
    key = store.write_observations(table(value))
    age(file_of(store, key), days)
    return key


def age(file, days):
    then = time.time() - 86400 * days
    os.utime(file, (then, then))


def file_of(store, key):
    return store.folder / "observations" / f"{key}.parquet"


def result(claim, observations=None, seconds=1.0):
    verdict = Verdict("reproduced", 1.0, 0.5, 1.5, 13, "ratio")
    return ClaimResult(
        claim, Evaluation("claim", "It holds.", {}, (0, 1), "reproduced", verdict, observations, seconds), ()
    )


def completed(store, name, value, days=30, claim="a.a", **changes):
    """Make a run with one result and observations of its own; return their key."""
    begin(store, name, days, claims=(claim,), **changes)
    key = write(store, value, days)
    store.record(name, result(claim, key))
    return key


def names(store):
    return [run.id for run in store.runs()]


def files(store):
    return {path.name for path in (store.folder / "observations").iterdir()}


def compact(store, keep=None, grace=WEEK):
    return compaction.remove_waste(store, compaction.find_waste(store, keep, grace))


def read_everything(store):
    """Read each table that a result names, and return them by claim and run."""
    return {
        (run.id, one.id): store.read_observations(one.evaluation.observations)["value"][0]
        for run in store.runs()
        for one in store.results(run.id)
    }


class TestObservations:
    def test_that_no_result_names_are_removed(self, store):
        key = completed(store, "run", 1)
        sizes = [file_of(store, write(store, value)).stat().st_size for value in (2, 3)]
        freed = compact(store)
        assert (freed.files, freed.size) == (2, sum(sizes))
        assert files(store) == {f"{key}.parquet"}
        assert read_everything(store) == {("run", "a.a"): 1}

    def test_that_were_written_lately_stay(self, store):
        young, old = write(store, 1, days=6.9), write(store, 2, days=7.1)
        assert set(compaction.find_waste(store).files) == {file_of(store, old)}
        compact(store)
        assert files(store) == {f"{young}.parquet"}
        assert compact(store, grace=timedelta(0)).files == 1

    def test_half_written_ones_are_removed_and_other_files_stay(self, store):
        folder = store.folder / "observations"
        for name in (f".{'0' * 64}.parquet.{'a' * 32}", "notes.txt", f"{'0' * 64}.csv", ".hidden"):
            (folder / name).write_text("text")
            age(folder / name, 30)
        assert compact(store).files == 1
        assert files(store) == {"notes.txt", f"{'0' * 64}.csv", ".hidden"}

    def test_written_anew_after_the_search_stay(self, store):
        key = write(store, 1)
        waste = compaction.find_waste(store)
        store.write_observations(table(1))
        assert compaction.remove_waste(store, waste).files == 0
        assert files(store) == {f"{key}.parquet"}

    def test_removed_by_another_compaction_do_not_matter(self, store):
        file = file_of(store, write(store, 1))
        waste = compaction.find_waste(store)
        file.unlink()
        assert compaction.remove_waste(store, waste) == compaction.Freed(0, 0, 0)

    def test_of_an_unwritable_folder(self, store, monkeypatch):
        write(store, 1)
        waste = compaction.find_waste(store)

        def fail(*_):
            raise PermissionError(13, "Permission denied")

        monkeypatch.setattr("repro.results.compaction.Path.rename", fail)
        with pytest.raises(StoreError, match=r"cannot compact .*results: Permission denied"):
            compaction.remove_waste(store, waste)


class TestRuns:
    def test_stay_unless_asked_for(self, store):
        keys = [completed(store, f"run-{value}", value, days=30 - value) for value in range(3)]
        assert compact(store) == compaction.Freed(0, 0, 0)
        assert files(store) == {f"{key}.parquet" for key in keys}

    def test_that_later_ones_supersede_are_removed_with_their_observations(self, store):
        keys = [completed(store, f"run-{value}", value, days=30 - value) for value in range(5)]
        waste = compaction.find_waste(store, keep=2)
        assert (waste.runs, waste.results) == (("run-0", "run-1", "run-2"), 3)
        assert names(store) == [f"run-{value}" for value in range(5)]
        compaction.remove_waste(store, waste)
        assert names(store) == ["run-3", "run-4"]
        assert files(store) == {f"{key}.parquet" for key in keys[3:]}
        assert read_everything(store) == {("run-3", "a.a"): 3, ("run-4", "a.a"): 4}

    def test_are_counted_for_each_profile_and_backend(self, store):
        completed(store, "full", 1, days=30, profile="full")
        completed(store, "tensorflow", 2, days=29, backend="tensorflow")
        for value in (3, 4):
            completed(store, f"jax-{value}", value, days=28 - value)
        compact(store, keep=1)
        assert names(store) == ["full", "tensorflow", "jax-4"]

    def test_with_the_latest_result_of_any_claim_stay(self, store):
        begin(store, "both", days=30, claims=("a.a", "b.b"))
        for claim in ("a.a", "b.b"):
            store.record("both", result(claim))
        for value in range(5):
            completed(store, f"check-{value}", value, days=20 - value, claim="a.a")
        compact(store, keep=1)
        assert names(store) == ["both", "check-4"]
        assert past.recorded(store, "both") == {"a.a", "b.b"}

    def test_without_results_stay_only_while_they_may_be_in_progress(self, store):
        completed(store, "complete", 1, days=1)
        begin(store, "interrupted", days=30)
        begin(store, "in-progress", days=2)
        compact(store, keep=1)
        assert names(store) == ["in-progress", "complete"]

    def test_sharing_observations_leave_them_to_each_other(self, store):
        for name, days in (("old", 30), ("new", 20)):
            completed(store, name, 1, days=days)
        age(file_of(store, store.results("new")[0].evaluation.observations), 30)
        compact(store, keep=1)
        assert read_everything(store) == {("new", "a.a"): 1}

    def test_leave_the_times_of_their_experiments(self, store):
        completed(store, "old", 1, days=30)
        begin(store, "new", days=20)
        store.record("new", result("a.a", seconds=0.0))
        compact(store, keep=1)
        assert names(store) == ["new"]
        assert past.seconds(store, "smoke", "jax") == {("a.a", "claim"): 1.0}

    @pytest.mark.parametrize("keep", [0, -1])
    def test_at_least_one_is_kept(self, store, keep):
        with pytest.raises(ReproError, match=f"at least 1 result .* not {keep}"):
            compaction.find_waste(store, keep)

    def test_interruption_between_runs_and_observations_is_mended_by_the_next(self, store, monkeypatch):
        for value in range(3):
            completed(store, f"run-{value}", value, days=30 - value)
        with monkeypatch.context() as patch:
            patch.setattr("repro.results.compaction._remove_file", lambda *_: (_ for _ in ()).throw(KeyboardInterrupt))
            with pytest.raises(KeyboardInterrupt):
                compact(store, keep=1)
        assert read_everything(store) == {("run-2", "a.a"): 2}
        assert compact(store).files == 2


class TestDatabase:
    def fill(self, store):
        for number in range(20):
            begin(store, f"run-{number}", days=60 - number)
            store.record(f"run-{number}", replace(result("a.a"), evaluation=evaluation(number)))

    def test_shrinks_in_proportion(self, store):
        self.fill(store)
        file = store.folder / "results.sqlite"
        before = file.stat().st_size
        freed = compact(store, keep=2)
        assert file.stat().st_size == before - freed.database
        assert freed.database > 0.8 * before

    def test_of_an_older_version_shrinks_too(self, store):
        self.fill(store)
        with closing(sqlite3.connect(store.folder / "results.sqlite", isolation_level=None)) as connection:
            connection.executescript("PRAGMA auto_vacuum = NONE; VACUUM")
        before = (store.folder / "results.sqlite").stat().st_size
        assert compact(store, keep=2).database > 0.8 * before
        assert names(store) == ["run-18", "run-19"]


def evaluation(number):
    return Evaluation("claim", "It fails.", {}, (), "error", message="it broke", traceback=f"{number}" * 50_000)


def test_a_run_in_progress_loses_nothing(store):
    """It writes tables that are there already, old and unnamed, and records them while compaction goes on and on."""
    values = range(60)
    for value in values:
        write(store, value)
    run = begin(store, "in-progress", days=0, claims=[f"a.c{value}" for value in values])
    errors = []

    def work():
        try:
            for value in values:
                store.record(run, result(f"a.c{value}", store.write_observations(table(value))))
        except ReproError as error:
            errors.append(error)

    worker = threading.Thread(target=work)
    waste = compaction.find_waste(store)
    assert len(waste.files) == len(values)
    worker.start()
    while worker.is_alive():
        compaction.remove_waste(store, waste)
        waste = compaction.find_waste(store, keep=1)
    worker.join()
    assert errors == []
    assert read_everything(store) == {(run, f"a.c{value}"): value for value in values}


def command(monkeypatch, capsys, *arguments):
    monkeypatch.setattr(sys, "argv", ["repro", "compact", *map(str, arguments)])
    with pytest.raises(SystemExit) as ended:
        app.main()
    output = capsys.readouterr()
    return ended.value.code, output.out, output.err


class TestCommand:
    def test_says_first_and_does_then(self, store, monkeypatch, capsys):
        for value in range(3):
            completed(store, f"run-{value}", value, days=30 - value)
        write(store, 7)
        arguments = ("--results", store.folder, "--keep", 1)
        status, said, _ = command(monkeypatch, capsys, *arguments, "--dry-run")
        assert status == 0
        assert re.fullmatch(r"would remove 2 runs with 2 results and 3 files of observations \([\d.]+ kB\)\n", said)
        assert (len(names(store)), len(files(store))) == (3, 4)
        status, done, _ = command(monkeypatch, capsys, *arguments)
        assert status == 0
        assert done.startswith(said.replace("would remove", "removed").strip())
        assert (names(store), len(files(store))) == (["run-2"], 1)
        assert command(monkeypatch, capsys, *arguments)[1] == "removed 0 files of observations (0 bytes)\n"

    def test_takes_the_age(self, store, monkeypatch, capsys):
        write(store, 1, days=2)
        for days, count in ((3, 0), (1, 1)):
            _, said, _ = command(monkeypatch, capsys, "--results", store.folder, "--older-than", days)
            assert said.startswith(f"removed {count} file")

    @pytest.mark.parametrize("arguments", [("--keep", 0), ("--older-than", -1), ("--results", "nowhere")])
    def test_wrong_usage(self, tmp_path, monkeypatch, capsys, arguments):
        monkeypatch.chdir(tmp_path)
        status, said, errors = command(monkeypatch, capsys, *arguments)
        assert (status, said) == (2, "")
        assert errors.startswith("repro: ")
        assert list(tmp_path.iterdir()) == []
