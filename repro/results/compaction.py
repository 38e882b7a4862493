"""Frees space in a results folder: observations that no result names, and runs that later ones supersede.

Runs may be in progress meanwhile. A run writes observations, anew even where they are there already, and only later the
result that names them: at most the time between the first and the last experiment of a claim. So observations that were
written lately stay, and so do runs that lack results and began lately.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from repro.common import ReproError, StoreError
from repro.results import past
from repro.results.store import Store

GRACE = timedelta(days=7)  # an experiment of the full profile may take a day, and is tried twice
BATCH = 1000  # files removed in one transaction: runs in progress wait for it
PAGES = 10_000  # of the database, given back in one transaction
INCREMENTAL = 2  # SQLite's number for it
# Written whole, or left by a process that was ended while it wrote or removed one.
OBSERVATIONS = re.compile(r"[0-9a-f]{64}\.parquet|\.[0-9a-f]{64}\.parquet\.[0-9a-f]{32}")


@dataclass(frozen=True)
class Waste:
    """Parts of a results folder that it can do without.

    Attributes:
        runs: Ids of superseded runs, oldest first.
        results: Number of results of these runs.
        files: Files of observations that no result of another run names, with their sizes in bytes.
        before: Time before which waste was written; what was written then or later stays.
    """

    runs: tuple[str, ...]
    results: int
    files: Mapping[Path, int]
    before: datetime


@dataclass(frozen=True)
class Freed:
    """Space that was freed in a results folder.

    Attributes:
        files: Number of files of observations that were removed.
        size: Size of these files in bytes.
        database: Bytes by which the database shrank; negative if runs in progress added more.
    """

    files: int
    size: int
    database: int


def find_waste(store: Store, keep: int | None = None, grace: timedelta = GRACE) -> Waste:
    """Find what a results folder can do without; nothing is removed.

    Args:
        store: Store that is searched.
        keep: Number of later results, at the same profile and backend, that each claim of a run must have before the
            run is superseded; by default no run is.
        grace: Age from which observations, and runs that lack results, may be removed; younger ones stay.

    Raises:
        ReproError: no result of a claim would be kept, or the grace is negative.
        StoreError: the folder cannot be read.
    """
    if keep is not None and keep < 1:
        raise ReproError(f"at least 1 result of each claim must be kept, not {keep}")
    if grace < timedelta(0):
        raise ReproError("the age from which observations are removed cannot be negative")
    before = datetime.now(UTC) - grace
    runs, counts = store.runs(), past.result_counts(store)
    kept = {run.id for run in runs} if keep is None else _latest(store, keep)
    kept |= {
        run.id
        for run in runs
        if run.lacks_results(counts.get(run.id, 0)) and datetime.fromisoformat(run.started) >= before
    }
    superseded = tuple(run.id for run in runs if run.id not in kept)
    results = sum(counts.get(run, 0) for run in superseded)
    return Waste(superseded, results, _unnamed(store, kept, before), before)


def remove_waste(store: Store, waste: Waste) -> Freed:
    """Remove waste and shrink the database. The time that experiments took when last measured stays known.

    Each run is removed in one transaction, so that runs in progress wait only briefly, and only after all of them the
    observations that they alone named: whatever interrupts this, each run that is left is whole and has its
    observations, and the next compaction goes on.

    Args:
        store: Store that is compacted.
        waste: Waste that ``find_waste`` returned for this store.

    Raises:
        StoreError: the folder cannot be written, or the disk has no space for a copy of the database.
    """
    before = _database_size(store)
    _remove_runs(store, waste.runs)
    removed: list[Path] = []
    files = list(waste.files)
    for start in range(0, len(files), BATCH):
        # Recording waits for the transaction, so that it misses no observations that are only set aside.
        with _disk_errors(store), store.transaction():
            removed += [file for file in files[start : start + BATCH] if _remove_file(file, waste.before)]
    _shrink(store)
    return Freed(len(removed), sum(waste.files[file] for file in removed), before - _database_size(store))


def _latest(store: Store, keep: int) -> set[str]:
    """Return the runs that are among the latest of at least one claim, at their profile and backend."""
    with store.connection() as connection:
        rows = connection.execute(
            "SELECT DISTINCT run FROM (SELECT run, row_number() OVER "
            "(PARTITION BY profile, backend, claim ORDER BY started DESC, runs.number DESC) AS place "
            "FROM runs JOIN results ON run = runs.id) WHERE place <= ?",
            (keep,),
        ).fetchall()
    return {row["run"] for row in rows}


def _unnamed(store: Store, runs: Collection[str], before: datetime) -> dict[Path, int]:
    """Return the files of observations that no result of these runs names and that are old enough, with their sizes."""
    named = _named(store, runs)
    found = {}
    with _disk_errors(store):
        for file in (store.folder / "observations").iterdir():
            if OBSERVATIONS.fullmatch(file.name) and file.name not in named:
                with suppress(FileNotFoundError):  # another process has just given it its name, or removed it
                    status = file.stat()
                    if status.st_mtime < before.timestamp():
                        found[file] = status.st_size
    return found


def _named(store: Store, runs: Collection[str]) -> set[str]:
    named: set[str] = set()
    with store.connection() as connection:
        for run in runs:
            rows = connection.execute(
                "SELECT observations FROM results JOIN evaluations ON result = results.number "
                "WHERE run = ? AND observations IS NOT NULL",
                (run,),
            )
            named.update(f"{row['observations']}.parquet" for row in rows)
    return named


def _remove_runs(store: Store, runs: Sequence[str]) -> None:
    for run in runs:
        with store.transaction() as connection:
            connection.execute(
                "DELETE FROM evaluations WHERE result IN (SELECT number FROM results WHERE run = ?)", (run,)
            )
            connection.execute("DELETE FROM results WHERE run = ?", (run,))
            connection.execute("DELETE FROM runs WHERE id = ?", (run,))


def _remove_file(file: Path, before: datetime) -> bool:
    """Remove a file unless it was written anew meanwhile, and tell whether it was removed.

    It is set aside before its time is read, so that nothing can be written in its place in between.
    """
    aside = file.with_name(f".{file.name.lstrip('.')[:72]}.{uuid.uuid4().hex}")
    try:
        file.rename(aside)
    except FileNotFoundError:  # another compaction was faster
        return False
    if aside.stat().st_mtime >= before.timestamp():
        aside.replace(file)
        return False
    aside.unlink()
    return True


def _shrink(store: Store) -> None:
    """Give free pages back, some at a time, so that runs in progress wait only briefly; a first time all at once.

    Databases of older versions must be written anew before they can be shrunk in steps.
    """
    with store.connection() as connection:
        if connection.execute("PRAGMA auto_vacuum").fetchone()[0] != INCREMENTAL:
            connection.execute(f"PRAGMA auto_vacuum = {INCREMENTAL}")
            connection.execute("VACUUM")
        for _ in range(0, connection.execute("PRAGMA freelist_count").fetchone()[0], PAGES):
            # SQLite frees a page at each step of this statement, of which `execute` takes but one.
            connection.executescript(f"PRAGMA incremental_vacuum({PAGES})")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")


def _database_size(store: Store) -> int:
    with store.connection() as connection:
        (pages,), (size,) = (connection.execute(f"PRAGMA {name}").fetchone() for name in ("page_count", "page_size"))
    return int(pages * size)


@contextmanager
def _disk_errors(store: Store) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StoreError(
            f"cannot compact {store.folder}: {error.strerror}; check permissions and disk space"
        ) from error
