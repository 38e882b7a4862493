"""A full disk, a read-only folder, a locked database: one line, exit status 2, and earlier results intact."""

import re
import resource
import sqlite3
import subprocess
import sys
from contextlib import closing

import pytest
import stand_in
from command_line import REPRO, command, environment

from repro.catalogue import registry
from repro.cli import app
from repro.results.records import Run
from repro.results.store import Store

ADDITION = ("run", "stand_in.addition", "--profile", "smoke", "--workers", "0")


@pytest.fixture
def folder(tmp_path):
    """A folder with a complete run, after which a run of both claims begins with the one that is known to be quick."""
    done = command(*ADDITION, folder=tmp_path)
    assert done.returncode == 0, done.stderr
    return tmp_path


def stored(folder):
    store = Store.existing(folder / "repro-results")
    with closing(sqlite3.connect(folder / "repro-results" / "results.sqlite")) as connection:
        assert connection.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    return {run.id: store.results(run.id) for run in store.runs()}


def assert_one_line(errors, message):
    (line,) = [line for line in errors.splitlines() if line.startswith("repro: ")]
    assert re.search(message, line), line
    assert "Traceback" not in errors


@pytest.mark.parametrize("claims", [("stand_in.bounded",), ("stand_in.addition", "stand_in.bounded")])
def test_a_full_disk(folder, claims):
    before = stored(folder)
    files = [path for path in (folder / "repro-results").iterdir() if path.is_file()]
    largest = (
        max(path.stat().st_size for path in files) + 2**17
    )  # enough for the database and the sum, not for 100,000 random numbers

    def limit():
        resource.setrlimit(resource.RLIMIT_FSIZE, (largest, largest))

    arguments = ["run", *claims, "--profile", "smoke", "--seeds", "20000", "--workers", "0"]
    done = subprocess.run(
        [sys.executable, REPRO, *arguments],
        cwd=folder,
        env=environment(),
        capture_output=True,
        text=True,
        preexec_fn=limit,
        timeout=300,
    )
    assert done.returncode == 2, done.stderr
    assert_one_line(done.stderr, "cannot use .*repro-results.*--results")
    after = stored(folder)
    assert {run: after[run] for run in before} == before
    assert sum(len(results) for run, results in after.items() if run not in before) == len(claims) - 1
    leftovers = [path for path in (folder / "repro-results" / "observations").iterdir() if path.suffix != ".parquet"]
    assert leftovers == []


def test_a_locked_database(tmp_path, monkeypatch, capsys):
    store = Store.open(tmp_path)
    store.begin(Run("earlier", "2026-01-01T12:00:00+00:00", "smoke", "jax", {}))
    monkeypatch.setattr(registry, "registered", lambda: {stand_in.addition.id: stand_in.addition})
    monkeypatch.setattr("repro.results.store.BUSY_TIMEOUT", 0.1)
    monkeypatch.setattr(sys, "argv", ["repro", *ADDITION, "--results", str(tmp_path)])
    with closing(sqlite3.connect(tmp_path / "results.sqlite", isolation_level=None)) as connection:
        connection.execute("BEGIN EXCLUSIVE")
        with pytest.raises(SystemExit) as ended:
            app.main()
    assert ended.value.code == 2
    assert_one_line(capsys.readouterr().err, "results.sqlite is locked by another process .*; try again when")
    assert [run.id for run in store.runs()] == ["earlier"]
