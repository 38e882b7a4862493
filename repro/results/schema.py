"""Schema of the results database, and how databases of older versions are brought up to it."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from repro.common import StoreError

APPLICATION_ID = int.from_bytes(b"RPRO", "big")

# Each entry raises the schema by one version. Results are kept for years: append entries, never change one.
MIGRATIONS: tuple[tuple[str, ...], ...] = (
    (
        """CREATE TABLE runs (
            number INTEGER PRIMARY KEY,
            id TEXT NOT NULL UNIQUE,
            started TEXT NOT NULL,
            profile TEXT NOT NULL,
            backend TEXT NOT NULL,
            environment TEXT NOT NULL
        )""",
        """CREATE TABLE results (
            number INTEGER PRIMARY KEY,
            run TEXT NOT NULL REFERENCES runs (id),
            claim TEXT NOT NULL,
            published TEXT,
            UNIQUE (run, claim)
        )""",
        """CREATE TABLE evaluations (
            number INTEGER PRIMARY KEY,
            result INTEGER NOT NULL REFERENCES results (number),
            kind TEXT NOT NULL,
            statement TEXT NOT NULL,
            parameters TEXT NOT NULL,
            seeds TEXT NOT NULL,
            status TEXT NOT NULL,
            verdict TEXT,
            observations TEXT,
            seconds REAL NOT NULL,
            memory INTEGER NOT NULL,
            message TEXT NOT NULL,
            traceback TEXT NOT NULL,
            UNIQUE (result, kind)
        )""",
    ),
    (
        """CREATE TABLE measurements (
            number INTEGER PRIMARY KEY,
            figure TEXT NOT NULL,
            better TEXT NOT NULL,
            rounds TEXT NOT NULL,
            measured TEXT NOT NULL,
            revision TEXT,
            modified INTEGER NOT NULL,
            backend TEXT NOT NULL,
            environment TEXT NOT NULL
        )""",
    ),
    ("ALTER TABLE runs ADD COLUMN request TEXT",),
    (
        "CREATE INDEX runs_by_start ON runs (started)",
        # What experiments took when last measured, kept beside the evaluations: looked up before every run, which must
        # not take longer the more runs there are, and known still when the run that measured it was removed.
        """CREATE TABLE durations (
            profile TEXT NOT NULL,
            backend TEXT NOT NULL,
            claim TEXT NOT NULL,
            kind TEXT NOT NULL,
            seconds REAL NOT NULL,
            started TEXT NOT NULL,
            PRIMARY KEY (profile, backend, claim, kind)
        ) WITHOUT ROWID""",
        """INSERT OR REPLACE INTO durations
            SELECT profile, backend, claim, kind, seconds, started
            FROM evaluations JOIN results ON results.number = result JOIN runs ON runs.id = run
            WHERE seconds > 0 ORDER BY started, evaluations.number""",
        """CREATE TRIGGER remember_duration AFTER INSERT ON evaluations WHEN NEW.seconds > 0 BEGIN
            INSERT INTO durations
            SELECT profile, backend, claim, NEW.kind, NEW.seconds, started
            FROM results JOIN runs ON runs.id = run WHERE results.number = NEW.result
            ON CONFLICT DO UPDATE SET seconds = excluded.seconds, started = excluded.started
            WHERE excluded.started >= durations.started;
        END""",
    ),
    (
        # Statements have kinds since; what the claim, its control and others are to each other is their role.
        "DROP TRIGGER remember_duration",
        "ALTER TABLE evaluations RENAME COLUMN kind TO role",
        "ALTER TABLE durations RENAME COLUMN kind TO role",
        "ALTER TABLE evaluations ADD COLUMN marks TEXT NOT NULL DEFAULT '[]'",
        "ALTER TABLE evaluations ADD COLUMN contrast TEXT",
        """CREATE TRIGGER remember_duration AFTER INSERT ON evaluations WHEN NEW.seconds > 0 BEGIN
            INSERT INTO durations
            SELECT profile, backend, claim, NEW.role, NEW.seconds, started
            FROM results JOIN runs ON runs.id = run WHERE results.number = NEW.result
            ON CONFLICT DO UPDATE SET seconds = excluded.seconds, started = excluded.started
            WHERE excluded.started >= durations.started;
        END""",
    ),
)


def migrate(connection: sqlite3.Connection, database: Path) -> None:
    """Give a new database its tables, and an older one those of this version.

    Args:
        connection: Connection in a transaction that holds the write lock.
        database: File of the database, for messages.

    Raises:
        StoreError: the database is not ours, or from a newer version. Nothing has been written then.
    """
    application = connection.execute("PRAGMA application_id").fetchone()[0]
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    tables = connection.execute("SELECT count(*) FROM sqlite_master").fetchone()[0]
    is_new = application == version == tables == 0
    if application != APPLICATION_ID and not is_new:
        raise StoreError(f"{database} is not a results database of repro; choose another folder with --results")
    if version > len(MIGRATIONS):
        raise StoreError(
            f"{database} is from a newer version of repro (schema {version}, known up to {len(MIGRATIONS)}); "
            "upgrade keras-repro or choose another folder with --results"
        )
    for statements in MIGRATIONS[version:]:
        for statement in statements:
            connection.execute(statement)
    if version < len(MIGRATIONS):
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")
        connection.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
