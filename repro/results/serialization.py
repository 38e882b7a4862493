"""Writes and reads results in one form, in the database and in bundles.

Everything is written by ``dataclasses.asdict`` as Python's JSON, which has NaN and infinities and keeps every float
exactly; and read by pydantic straight into the dataclasses of ``records``, whose annotations say what is allowed. What
is read may come from anyone: anything else than what is written is refused.
"""

from __future__ import annotations

import json
import math
import sqlite3
from collections.abc import Callable, Hashable, Sequence
from dataclasses import asdict, dataclass, fields
from functools import cache
from pathlib import Path
from typing import Annotated, Any, ClassVar, Literal, TypeVar, cast

import numpy as np
from pydantic import Field, Strict, TypeAdapter, ValidationError

from repro.catalogue import Parameters
from repro.common import StoreError
from repro.results.records import FORBID_OTHERS, ClaimResult, Evaluation, Name, Outcome, Request, Run

VERSION = 2

Record = TypeVar("Record")
Decoded = TypeVar("Decoded")


@dataclass(frozen=True)
class _StoredResult:
    """A result as it is stored: its evaluations in one list, the claim's own first."""

    __pydantic_config__: ClassVar = FORBID_OTHERS

    id: Name
    published: Outcome | None
    evaluations: Annotated[tuple[Evaluation, ...], Field(min_length=1)]


@dataclass(frozen=True)
class _Document:
    """Content of the file ``run.json`` of a bundle."""

    __pydantic_config__: ClassVar = FORBID_OTHERS

    format: Literal["keras-repro run"]
    version: Annotated[int, Strict(), Field(ge=1, le=VERSION)]
    run: Run
    results: tuple[_StoredResult, ...]


def to_text(value: Any) -> str:
    """Write plain data, which may hold NumPy scalars, as JSON.

    Raises:
        TypeError: neither plain data nor a NumPy scalar.
    """
    return json.dumps(value, default=_plain)


def strict(value: Any) -> Any:
    """Return plain data as it comes back from strict JSON, which has lists only, text as keys and finite numbers.

    Infinities and NaN become text. Equal parameters are equal in this form, wherever they were stored.

    Raises:
        TypeError: neither plain data nor a NumPy scalar.
    """
    return _with_named_infinities(json.loads(to_text(value)))


def storable(text: str) -> str:
    """Make text valid Unicode, which SQLite demands: what people type and names of files need not be."""
    return text.encode(errors="backslashreplace").decode()


def read(record: type[Record], plain: Any) -> Record:
    """Make a record from plain data.

    Args:
        record: Dataclass whose annotations say what is allowed.
        plain: Mapping from the names of its fields to plain data.

    Raises:
        ValueError: the data are not as the annotations say; the message is one line.
    """
    adapter: TypeAdapter[Record] = _adapter(cast("Hashable", record))
    try:
        return adapter.validate_python(plain)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        place = ".".join(map(str, first["loc"]))[:200]
        raise ValueError(" ".join(f"{place}: {first['msg']}".removeprefix(": ").split())) from error


def read_row(folder: Path, what: str, decode: Callable[[], Decoded]) -> Decoded:
    """Return what a row of a results database holds.

    Args:
        folder: Folder with the results, for messages.
        what: Name of what the row holds, for messages.
        decode: Function that makes that from the row.

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


def request_to_text(request: Request) -> str:
    """Write what a run was asked for.

    Raises:
        StoreError: a parameter is no plain value.
    """
    for parameters in request.overrides.values():
        _parameters_to_text(parameters)
    return to_text(asdict(request))


def run_of_row(row: sqlite3.Row) -> Run:
    """Make a run from a row of the table ``runs``.

    Raises:
        ValueError: the row is damaged.
    """
    plain = {name: row[name] for name in ("id", "started", "profile", "backend")}
    request = None if row["request"] is None else json.loads(row["request"])
    return read(Run, plain | {"environment": json.loads(row["environment"]), "request": request})


def evaluation_to_row(evaluation: Evaluation) -> tuple[Any, ...]:
    """Return the values of an evaluation's columns in the table ``evaluations``, from ``role`` to ``contrast``.

    Raises:
        StoreError: a parameter is no plain value.
    """
    return (
        evaluation.role,
        storable(evaluation.statement),
        _parameters_to_text(evaluation.parameters),
        to_text(evaluation.seeds),
        evaluation.status,
        None if evaluation.verdict is None else to_text(asdict(evaluation.verdict)),
        evaluation.observations,
        float(evaluation.seconds),
        int(evaluation.memory),
        storable(evaluation.message),
        storable(evaluation.traceback),
        to_text(evaluation.marks),
        None if evaluation.contrast is None else to_text(asdict(evaluation.contrast)),
    )


def result_of_rows(row: sqlite3.Row, evaluations: Sequence[sqlite3.Row]) -> ClaimResult:
    """Make a result from its rows.

    Args:
        row: Row of the table ``results``.
        evaluations: Rows of the table ``evaluations`` that belong to the result, the claim's own first.

    Raises:
        ValueError: a row is damaged.
    """
    plain = [{item.name: each[item.name] for item in fields(Evaluation)} for each in evaluations]
    for each in plain:
        for name in ("parameters", "seeds", "verdict", "marks", "contrast"):
            each[name] = None if each[name] is None else json.loads(each[name])
    return _result(read(_StoredResult, {"id": row["claim"], "published": row["published"], "evaluations": plain}))


def run_to_bytes(run: Run, results: Sequence[ClaimResult]) -> bytes:
    """Write ``run.json`` of a bundle, so that it reads back the same except for the request.

    A run cannot be resumed elsewhere. The first evaluation of a result is the claim's own.

    Raises:
        ValueError: ``run_of_bytes`` would refuse it; the message is one line.
    """
    stored = [_StoredResult(item.id, item.published, (item.evaluation, *item.counterparts)) for item in results]
    plain = asdict(_Document("keras-repro run", VERSION, run, tuple(stored)))
    del plain["run"]["request"]
    content = to_text(plain).encode()
    run_of_bytes(content)
    return content


def run_of_bytes(content: bytes) -> tuple[Run, tuple[ClaimResult, ...]]:
    """Read and check what ``run_to_bytes`` has written.

    Raises:
        ValueError: it is anything else; the message is one line.
    """
    try:
        plain = json.loads(content)
    except (ValueError, RecursionError) as error:
        raise ValueError(f"it is no JSON: {error}") from error
    version = plain.get("version") if isinstance(plain, dict) else None
    if type(version) is int and version > VERSION:
        raise ValueError(f"it is from a newer version of repro (format {version}, known up to {VERSION})")
    try:
        document = read(_Document, _with_roles(plain) if type(version) is int and version == 1 else plain)
        results = tuple(map(_result, document.results))
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    if document.run.request is not None:
        raise ValueError("run.request: it does not belong in a bundle")
    if len({result.id for result in results}) < len(results):
        raise ValueError("results: a claim has several results")
    return document.run, results


@cache
def _adapter(record: Hashable) -> TypeAdapter[Any]:
    return TypeAdapter(cast("type[Any]", record))


def _result(stored: _StoredResult) -> ClaimResult:
    roles = [evaluation.role for evaluation in stored.evaluations]
    if roles[0] != "claim" or len(set(roles)) < len(roles):
        raise ValueError("evaluations: the claim's own comes first, and each role once")
    for evaluation in stored.evaluations:
        if evaluation.status != (evaluation.verdict.status if evaluation.verdict else evaluation.status):
            raise ValueError("evaluations: a status is not that of its verdict")
        if (evaluation.verdict is None) != (evaluation.status in ("error", "skipped")):
            raise ValueError("evaluations: only errors and skipped claims have no verdict")
    own, *counterparts = stored.evaluations
    return ClaimResult(stored.id, own, tuple(counterparts), stored.published)


def _with_roles(plain: Any) -> Any:
    """Return a document of version 1 with roles, which it calls kinds."""
    try:
        for result in plain["results"]:
            for evaluation in result["evaluations"]:
                evaluation["role"] = evaluation.pop("kind")
    except (TypeError, LookupError, AttributeError) as error:
        raise ValueError("results: an evaluation has no kind") from error
    return plain


def _parameters_to_text(parameters: Parameters) -> str:
    for name, value in parameters.items():
        try:
            to_text(value)
        except TypeError as error:
            raise StoreError(f"parameter {name}={value!r} cannot be stored; use numbers, text or tuples") from error
    return to_text(parameters)


def _plain(value: Any) -> Any:
    if isinstance(value, np.generic):
        return value.item()
    raise TypeError(f"a {type(value).__name__} is no plain value")


def _with_named_infinities(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, list):
        return [_with_named_infinities(item) for item in value]
    if isinstance(value, dict):
        return {name: _with_named_infinities(item) for name, item in value.items()}
    return value
