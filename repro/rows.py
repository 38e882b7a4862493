"""Reads rows of a results database. It may come from anyone: rows that are not as the store writes them are refused."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, Field, ValidationError

from repro.bundle_schema import Checked, CheckedEvaluation, CheckedRun, CheckedVerdict, Seconds, Text, complaint
from repro.claim import Parameters
from repro.encoding import with_tuples
from repro.errors import StoreError
from repro.result import ClaimResult, Evaluation, Outcome, Request, Run
from repro.verdict import Verdict

Model = TypeVar("Model", bound=BaseModel)
Decoded = TypeVar("Decoded")


class _Request(Checked):
    claims: list[Text]
    seeds: Annotated[int, Field(ge=1)] | None
    overrides: dict[Text, dict[str, Any]]
    files: dict[Text, Text] = Field(default_factory=dict)


class _Result(Checked):
    claim: Annotated[Text, Field(min_length=1)]
    published: Outcome | None


class _Duration(Checked):
    seconds: Seconds


class _Past(_Duration):
    status: Outcome
    verdict: CheckedVerdict | None


def run_from(row: sqlite3.Row, folder: Path) -> Run:
    """Make a run from a row of the table ``runs``.

    Args:
        row: of the table.
        folder: with the results, for messages.

    Raises:
        StoreError: the row is damaged.
    """

    def decode() -> Run:
        plain = {name: row[name] for name in ("id", "started", "profile", "backend")}
        run = checked(CheckedRun, plain | {"environment": json.loads(row["environment"])})
        return Run(**run.model_dump(), request=None if row["request"] is None else _request(row["request"]))

    return decoded(folder, f"run {row['number']}", decode)


def result_from(row: sqlite3.Row, evaluations: Sequence[sqlite3.Row], folder: Path) -> ClaimResult:
    """Make a result; sequences among parameters are tuples, and verdicts have no observations.

    Args:
        row: of the table ``results``.
        evaluations: its rows of the table ``evaluations``, the claim's first.
        folder: with the results, for messages.

    Raises:
        StoreError: a row is damaged.
    """

    def decode() -> ClaimResult:
        result = checked(_Result, {name: row[name] for name in _Result.model_fields})
        if [each["kind"] for each in evaluations[:1]] != ["claim"]:
            raise ValueError("the claim's own evaluation does not come first")
        own, *counterparts = map(_evaluation, evaluations)
        return ClaimResult(result.claim, own, tuple(counterparts), result.published)

    return decoded(folder, f"result {row['number']} of run {row['run']}", decode)


def past_from(row: sqlite3.Row, folder: Path) -> tuple[Outcome, Verdict | None, float]:
    """Return the status, the verdict and the seconds of a row.

    Args:
        row: with these three and the claim.
        folder: with the results, for messages.

    Raises:
        StoreError: the row is damaged.
    """

    def decode() -> tuple[Outcome, Verdict | None, float]:
        verdict = None if row["verdict"] is None else json.loads(row["verdict"])
        past = checked(_Past, {"status": row["status"], "verdict": verdict, "seconds": row["seconds"]})
        return past.status, None if past.verdict is None else past.verdict.to_verdict(), past.seconds

    return decoded(folder, f"a result of {row['claim']}", decode)


def seconds_from(row: sqlite3.Row, folder: Path) -> float:
    """Return the seconds of a row.

    Args:
        row: with these and the claim.
        folder: with the results, for messages.

    Raises:
        StoreError: the row is damaged.
    """
    return decoded(folder, f"a time of {row['claim']}", lambda: checked(_Duration, {"seconds": row["seconds"]}).seconds)


def decoded(folder: Path, what: str, decode: Callable[[], Decoded]) -> Decoded:
    """Return what a row says.

    Args:
        folder: with the results, for messages.
        what: the row holds, for messages.
        decode: makes it from the row.

    Raises:
        StoreError: the row is damaged.
    """
    try:
        return decode()
    except (ValueError, TypeError, LookupError, RecursionError) as error:
        reason = " ".join(str(error).split())
        raise StoreError(
            f"results in {folder} are damaged: {what} cannot be read ({reason}); choose another folder with --results"
        ) from error


def checked(model: type[Model], plain: Any) -> Model:
    """Check plain data.

    Raises:
        ValueError: it is not as the model says; the message is one line.
    """
    try:
        return model.model_validate(plain)
    except ValidationError as error:
        raise ValueError(complaint(error)) from error


def _request(text: str) -> Request:
    request = checked(_Request, json.loads(text))
    overrides: dict[str, Parameters] = with_tuples(request.overrides)
    return Request(tuple(request.claims), request.seeds, overrides, request.files)


def _evaluation(row: sqlite3.Row) -> Evaluation:
    plain = {name: row[name] for name in CheckedEvaluation.model_fields}
    for name in ("parameters", "seeds", "verdict"):
        plain[name] = None if plain[name] is None else json.loads(plain[name])
    return checked(CheckedEvaluation, plain).to_evaluation()
