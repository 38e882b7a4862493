"""Results of runs in one folder: a SQLite database, and the observations as Parquet files named by their content.

Several processes may use a folder at once: every operation opens a connection of its own, waits for the others, and is
one transaction. A result is recorded only when its observations are on disk.
"""

from __future__ import annotations

import difflib
import hashlib
import io
import json
import os
import re
import sqlite3
from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import pandas as pd
from etils import epy

from repro.common import ObservationsError, StoreError, write_atomically
from repro.results.records import ClaimResult, Run
from repro.results.schema import migrate
from repro.results.serialization import (
    evaluation_to_row,
    read_row,
    request_to_text,
    result_of_rows,
    run_of_row,
    storable,
    to_text,
)

with epy.lazy_imports():
    import pyarrow

DATABASE = "results.sqlite"
BUSY_TIMEOUT = 30.0  # seconds


@dataclass(frozen=True)
class Store:
    """Results in a folder. Made by ``Store.open`` or ``Store.existing``, which check the folder.

    Attributes:
        folder: Absolute path of the folder.
    """

    folder: Path

    @classmethod
    def open(cls, folder: Path) -> Store:
        """Open a results folder; create what is missing and bring an older database up to date.

        Raises:
            StoreError: the folder cannot be written, or its database is not ours or from a newer version.
        """
        with _disk_errors(folder):
            store = cls(folder.absolute())
            if folder.exists() and not folder.is_dir():
                raise StoreError(f"{folder} is not a folder; choose another one with --results")
            folder.mkdir(parents=True, exist_ok=True)
            store._prepare_database()
            store._observations.mkdir(exist_ok=True)
        for path in (folder, store._observations):
            if not os.access(path, os.W_OK):
                raise StoreError(f"{path} is not writable; choose another folder with --results")
        return store

    @classmethod
    def existing(cls, folder: Path) -> Store:
        """Open a results folder that has results.

        Raises:
            StoreError: as for ``open``, or there is no database; nothing is created then.
        """
        with _disk_errors(folder):
            found = (folder / DATABASE).is_file()
        if not found:
            raise StoreError(f"{folder} has no results; `repro run` makes some, --results names another folder")
        return cls.open(folder)

    def begin(self, run: Run) -> None:
        """Record that a run has begun.

        Raises:
            StoreError: there is a run of this id, or the database cannot be written.
        """
        with self.transaction() as connection:
            self._insert_run(connection, run)

    def import_run(self, run: Run, results: Sequence[ClaimResult], observations: Mapping[str, bytes]) -> None:
        """Record a run that was made elsewhere, whole or not at all.

        Args:
            run: Run that this folder does not have.
            results: Results of that run.
            observations: Files of the tables that the results name, by key.

        Raises:
            StoreError: there is a run of this id, a file does not have the content that its key says or is missing, or
                the folder cannot be written. No run is recorded then.
        """
        for key, content in observations.items():
            if hashlib.sha256(content).hexdigest() != key:
                raise StoreError(f"observations {key} of run {run.id} are corrupt; export the run again")
        with _disk_errors(self.folder):
            for key, content in observations.items():
                write_atomically(self._file(key), content)
        with self.transaction() as connection:
            self._insert_run(connection, run)
            for result in results:
                self._insert_result(connection, run.id, result)

    def write_observations(self, observations: pd.DataFrame) -> str:
        """Put a table on disk; equal tables, written by the same versions of pandas and pyarrow, are stored once.

        Args:
            observations: Table that Parquet can hold; ``attrs`` are kept as JSON, so that tuples in them become lists.

        Returns:
            The table's key: SHA-256 of its file, in hexadecimal.

        Raises:
            ObservationsError: Parquet cannot hold a column, or JSON an attribute.
            StoreError: the file cannot be written.
        """
        content = to_parquet(observations)
        key = hashlib.sha256(content).hexdigest()
        with _disk_errors(self.folder):
            write_atomically(self._file(key), content)
        return key

    def read_observations(self, key: str) -> pd.DataFrame:
        """Read a table back.

        Args:
            key: Key that ``write_observations`` returned.

        Raises:
            StoreError: the file is missing, its content is not what was written, or it is no table.
        """
        content = self.observations_content(key)
        try:
            return pd.read_parquet(io.BytesIO(content), engine="pyarrow")
        except (ValueError, TypeError, KeyError, RecursionError, OSError, pyarrow.ArrowException) as error:
            reason = " ".join(str(error).split())
            raise StoreError(f"observations {self._file(key)} are no table: {reason}; run its claim again") from error

    def observations_file(self, key: str) -> Path:
        """Return the Parquet file of a table of observations, which need not be there.

        Args:
            key: Key that ``write_observations`` returned.
        """
        return self._file(key)

    def observations_content(self, key: str) -> bytes:
        """Return the Parquet file of a table.

        Args:
            key: Key that ``write_observations`` returned.

        Raises:
            StoreError: the file is missing, or its content is not what was written.
        """
        file = self._file(key)
        remedy = "run its claim again"
        try:
            content = file.read_bytes()
        except OSError as error:
            raise StoreError(f"cannot read observations {file}: {error.strerror}; {remedy}") from error
        if hashlib.sha256(content).hexdigest() != key:
            raise StoreError(f"observations {file} are corrupt; {remedy}")
        return content

    def record(self, run: str, result: ClaimResult) -> None:
        """Record a claim's result, with its counterparts, whole or not at all.

        Parameters are stored as JSON: sequences come back as tuples, mappings with text as keys.

        Args:
            run: Id of a run that has begun.
            result: Result whose observations are already written.

        Raises:
            StoreError: the run is unknown or has a result of this claim, observations are not on disk, a parameter is
                no plain value, or the database cannot be written.
        """
        self.run(run)
        with self.transaction() as connection:
            self._insert_result(connection, run, result)

    def runs(self) -> list[Run]:
        """List the runs, oldest first.

        Raises:
            StoreError: the database cannot be read, or is damaged.
        """
        with self.connection() as connection:
            rows = connection.execute("SELECT * FROM runs ORDER BY started, number").fetchall()
        return list(map(self._run, rows))

    def run(self, id: str = "latest") -> Run:  # noqa: A002  the name of the attribute
        """Return one run.

        Args:
            id: Id of the run, or ``latest``.

        Raises:
            StoreError: there is no such run.
        """
        with self.connection() as connection:
            if id == "latest":
                row = connection.execute("SELECT * FROM runs ORDER BY started DESC, number DESC LIMIT 1").fetchone()
            else:
                row = connection.execute("SELECT * FROM runs WHERE id = ?", (storable(id),)).fetchone()
            if row is not None:
                return self._run(row)
            ids = [row["id"] for row in connection.execute("SELECT id FROM runs ORDER BY started, number")]
        if not ids:
            raise StoreError(f"{self.folder} has no runs; `repro run` makes one")
        nearest = difflib.get_close_matches(id, [*ids, "latest"], n=1) or [*ids[-3:], "latest"]
        raise StoreError(f"{self.folder} has no run {id!r}; did you mean {' or '.join(nearest)}?")

    def results(self, run: str) -> list[ClaimResult]:
        """List a run's results in the order in which they were recorded.

        Args:
            run: Id of the run.

        Raises:
            StoreError: the database cannot be read, or is damaged.
        """
        with self.connection() as connection:
            results = connection.execute("SELECT * FROM results WHERE run = ? ORDER BY number", (run,)).fetchall()
            rows = connection.execute(
                "SELECT evaluations.* FROM evaluations JOIN results ON results.number = result WHERE run = ? "
                "ORDER BY evaluations.number",
                (run,),
            ).fetchall()
        evaluations: dict[int, list[sqlite3.Row]] = defaultdict(list)
        for row in rows:
            evaluations[row["result"]].append(row)
        return [
            read_row(
                self.folder,
                f"result {row['number']} of run {row['run']}",
                partial(result_of_rows, row, evaluations[row["number"]]),
            )
            for row in results
        ]

    def _run(self, row: sqlite3.Row) -> Run:
        return read_row(self.folder, f"run {row['number']}", partial(run_of_row, row))

    def _insert_run(self, connection: sqlite3.Connection, run: Run) -> None:
        if connection.execute("SELECT 1 FROM runs WHERE id = ?", (run.id,)).fetchone():
            raise StoreError(f"{self.folder} already has a run {run.id}; start the run again for a new id")
        request = None if run.request is None else request_to_text(run.request)
        connection.execute(
            "INSERT INTO runs (id, started, profile, backend, environment, request) VALUES (?, ?, ?, ?, ?, ?)",
            (run.id, run.started, run.profile, run.backend, to_text(run.environment), request),
        )

    def _insert_result(self, connection: sqlite3.Connection, run: str, result: ClaimResult) -> None:
        # Within the transaction: compaction, which removes observations, waits for it.
        self._require_observations(result)
        if connection.execute("SELECT 1 FROM results WHERE run = ? AND claim = ?", (run, result.id)).fetchone():
            raise StoreError(f"run {run} already has a result of {result.id}; another process works on this run")
        number = connection.execute(
            "INSERT INTO results (run, claim, published) VALUES (?, ?, ?)", (run, result.id, result.published)
        ).lastrowid
        connection.executemany(
            "INSERT INTO evaluations (result, role, statement, parameters, seeds, status, verdict, observations, "
            "seconds, memory, message, traceback, marks, contrast) "
            "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [(number, *evaluation_to_row(evaluation)) for evaluation in (result.evaluation, *result.counterparts)],
        )

    def _require_observations(self, result: ClaimResult) -> None:
        for evaluation in (result.evaluation, *result.counterparts):
            if evaluation.observations is not None and not self._file(evaluation.observations).is_file():
                raise StoreError(f"{result.id}: its {evaluation.role} has no observations on disk; write them first")

    @property
    def _database(self) -> Path:
        return self.folder / DATABASE

    @property
    def _observations(self) -> Path:
        return self.folder / "observations"

    def _file(self, key: str) -> Path:
        # Keys are read from a database that may come from anywhere: none may lead out of the folder.
        if not re.fullmatch("[0-9a-f]{64}", key):
            raise StoreError(f"{self._database} names observations {key!r}, which is no key; run their claim again")
        return self._observations / f"{key}.parquet"

    def _prepare_database(self) -> None:
        with self.connection(mode="rwc") as connection:
            if connection.execute("PRAGMA page_count").fetchone()[0] == 0:  # lets compaction free pages step by step
                connection.execute("PRAGMA auto_vacuum = INCREMENTAL")
            # Two processes that start together must not migrate twice: the version is read under the write lock.
            with connection:
                connection.execute("BEGIN IMMEDIATE")
                migrate(connection, self._database)
            # SQLite does not wait to change the mode. It fails only while another process opens the same new database,
            # and then either that process or the next opening sets it; transactions are as safe in the other mode.
            with suppress(sqlite3.OperationalError):
                connection.execute("PRAGMA journal_mode = WAL")

    @contextmanager
    def connection(self, mode: str = "rw") -> Iterator[sqlite3.Connection]:
        """Open the database, for reading unless in a transaction.

        Raises:
            StoreError: it cannot be used.
        """
        with _database_errors(self._database):
            uri = f"{self._database.as_uri()}?mode={mode}"
            with closing(sqlite3.connect(uri, uri=True, timeout=BUSY_TIMEOUT, isolation_level=None)) as connection:
                connection.row_factory = sqlite3.Row
                connection.execute("PRAGMA foreign_keys = ON")
                yield connection

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Open the database for one transaction that waits for others: committed if the block ends well, else undone.

        Raises:
            StoreError: the database cannot be read or written.
        """
        with self.connection() as connection, connection:
            connection.execute("BEGIN IMMEDIATE")
            yield connection


@contextmanager
def _database_errors(database: Path) -> Iterator[None]:
    try:
        yield
    except sqlite3.OperationalError as error:
        if "locked" in str(error):
            raise StoreError(
                f"{database} is locked by another process for more than {BUSY_TIMEOUT:g} s; "
                "try again when that is done, or choose another folder with --results"
            ) from error
        raise StoreError(
            f"cannot use {database}: {error}; check permissions and disk space, or choose another folder with --results"
        ) from error
    except (sqlite3.DatabaseError, UnicodeDecodeError) as error:  # SQLite quotes damaged names as they are
        raise StoreError(
            f"{database} is not a readable results database ({error}); choose another folder with --results"
        ) from error


@contextmanager
def _disk_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(f"cannot use {folder}: {error.strerror}; choose another folder with --results") from error


def to_parquet(observations: pd.DataFrame) -> bytes:
    """Write a table as the content of a Parquet file; equal tables give equal bytes under the same versions.

    Raises:
        ObservationsError: Parquet cannot hold a column, or JSON an attribute.
    """
    table = observations.copy(deep=False)
    content = io.BytesIO()
    try:
        table.attrs = json.loads(to_text(observations.attrs))
        table.to_parquet(content, engine="pyarrow")
    except (TypeError, ValueError, OverflowError, pyarrow.ArrowException) as error:
        reason = " ".join(str(error).split())
        raise ObservationsError(f"observations cannot be stored as Parquet: {reason}") from error
    return content.getvalue()
