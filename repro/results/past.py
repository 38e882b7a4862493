"""Verdicts and durations of earlier runs in a results folder."""

from __future__ import annotations

import json
from dataclasses import dataclass
from functools import partial
from typing import Any

from repro.catalogue import Profile, Role
from repro.criteria import Verdict
from repro.results.records import Outcome, Seconds
from repro.results.serialization import read, read_row
from repro.results.store import Store


@dataclass(frozen=True)
class PastVerdict:
    """Outcome of a claim in a run.

    Attributes:
        run, started, profile, backend: Id, time, profile and backend of the run.
        status: Status of the claim.
        verdict: Verdict on the claim; None for ``error`` and ``skipped``.
        seconds: Wall time in seconds of the claim's own experiment; zero where it was shared.
    """

    run: str
    started: str
    profile: Profile
    backend: str
    status: Outcome
    verdict: Verdict | None
    seconds: Seconds


def history(store: Store, runs: int) -> dict[str, list[PastVerdict]]:
    """Return the outcomes of each claim in the latest runs, newest first, by claim id.

    Args:
        store: Store of the runs.
        runs: Number of the latest runs that are looked at.
    """
    with store.connection() as connection:
        rows = connection.execute(
            "SELECT runs.id AS run, started, profile, backend, claim, status, verdict, seconds "
            "FROM (SELECT * FROM runs ORDER BY started DESC, number DESC LIMIT ?) AS runs "
            "JOIN results ON run = runs.id "
            "JOIN evaluations ON result = results.number AND role = 'claim' ORDER BY started DESC, runs.number DESC",
            (runs,),
        ).fetchall()
    found: dict[str, list[PastVerdict]] = {}
    for row in rows:
        past = read_row(store.folder, f"a result of {row['claim']}", partial(_past_verdict, dict(row)))
        found.setdefault(row["claim"], []).append(past)
    return found


def seconds(store: Store, profile: Profile, backend: str) -> dict[tuple[str, Role], float]:
    """Return the time that experiments took when last measured; those that shared another's experiment are left out.

    Args:
        store: Store of the runs.
        profile: Profile of the runs that are looked at.
        backend: Backend of these runs.

    Returns:
        Wall time in seconds by claim id and kind.
    """
    with store.connection() as connection:
        rows = connection.execute(
            "SELECT claim, role, seconds FROM durations WHERE profile = ? AND backend = ?", (profile, backend)
        ).fetchall()
    return {
        (row["claim"], row["role"]): read_row(
            store.folder, f"a time of {row['claim']}", partial(read, Seconds, row["seconds"])
        )
        for row in rows
    }


def recorded(store: Store, run: str) -> set[str]:
    """Return the ids of the claims that a run has results of.

    Args:
        store: Store of the run.
        run: Id of the run.
    """
    with store.connection() as connection:
        return {row["claim"] for row in connection.execute("SELECT claim FROM results WHERE run = ?", (run,))}


def result_counts(store: Store) -> dict[str, int]:
    """Count the results of each run that has any, by id of the run."""
    with store.connection() as connection:
        return dict(connection.execute("SELECT run, count(*) FROM results GROUP BY run").fetchall())


def _past_verdict(row: dict[str, Any]) -> PastVerdict:
    verdict = None if row["verdict"] is None else json.loads(row["verdict"])
    return read(PastVerdict, {name: value for name, value in row.items() if name != "claim"} | {"verdict": verdict})
