"""What ``run.json`` of a bundle holds, and how it is checked on the way in.

    {"format": "keras-repro run", "version": 1,
     "run": {"id", "started", "profile", "backend", "environment"},
     "results": [{"id", "published", "evaluations": [{"kind", "statement", "parameters", "seeds", "status", "verdict",
                  "observations", "seconds", "memory", "message", "traceback"}]}]}

The first evaluation of a result is the claim's own. Effects and limits may be infinite or NaN, which are written as
Python's JSON has them.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import asdict, fields
from datetime import datetime, timedelta
from typing import Annotated, Any, Literal, Self

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError, model_validator

from repro.claim import Kind, Profile
from repro.encoding import to_text, with_tuples
from repro.result import ClaimResult, Evaluation, Outcome, Run
from repro.statistics import Status
from repro.verdict import Part, Verdict

FORMAT = "keras-repro run"
VERSION = 1
RESERVED = ("latest", "published")
LARGEST_INTEGER = 2**63 - 1  # of the results database


def _storable(text: str) -> str:
    text.encode()  # lone surrogates are no text that the results database takes
    return text


def _printable(text: str) -> str:
    if not text.isprintable():
        raise ValueError("it has characters that cannot be shown")
    return text


def dated(text: str) -> str:
    """Check that a text is a time as ISO 8601 has it.

    Raises:
        ValueError: it is not.
    """
    datetime.fromisoformat(text)
    return text


def _utc(text: str) -> str:
    if datetime.fromisoformat(text).utcoffset() != timedelta(0):
        raise ValueError("it is no time in UTC")
    return text


def _versioned(environment: dict[str, Any]) -> dict[str, Any]:
    if not isinstance(environment.get("packages", {}), dict):
        raise ValueError("it has packages without versions")
    return environment


def _free(text: str) -> str:
    if text in RESERVED:
        raise ValueError("it means something else in commands")
    return text


Text = Annotated[str, AfterValidator(_storable)]
Name = Annotated[str, Field(min_length=1, max_length=200), AfterValidator(_printable)]
Key = Annotated[str, Field(pattern=r"\A[0-9a-f]{64}\z")]
Count = Annotated[int, Field(ge=0, le=LARGEST_INTEGER)]
Seconds = Annotated[float, Field(ge=0, allow_inf_nan=False)]


class Checked(BaseModel):
    """Plain data of exactly these types, with nothing else beside it."""

    model_config = ConfigDict(strict=True, extra="forbid", frozen=True)


class _Part(Checked):
    name: Text
    status: Status
    effect: float
    low: float
    high: float
    n: Count


class CheckedVerdict(Checked):
    """A verdict as plain data."""

    status: Status
    effect: float
    low: float
    high: float
    n: Count
    measure: Text
    p: float | None
    confidence: Annotated[float, Field(gt=0, lt=1)]
    parts: list[_Part]
    deciding: Text

    def to_verdict(self) -> Verdict:
        """Make the verdict."""
        parts = tuple(Part(**part.model_dump()) for part in self.parts)
        return Verdict(**self.model_dump() | {"parts": parts})


class CheckedEvaluation(Checked):
    """An evaluation as plain data."""

    kind: Kind
    statement: Text
    parameters: dict[str, Any]
    seeds: list[int]
    status: Outcome
    verdict: CheckedVerdict | None
    observations: Key | None
    seconds: Seconds
    memory: Count
    message: Text
    traceback: Text

    @model_validator(mode="after")
    def _agrees(self) -> Self:
        if self.status != (self.verdict.status if self.verdict else self.status):
            raise ValueError("its status is not that of its verdict")
        if (self.verdict is None) != (self.status in ("error", "skipped")):
            raise ValueError("only errors and skipped claims have no verdict")
        return self

    def to_evaluation(self) -> Evaluation:
        """Make the evaluation; sequences among its parameters are tuples."""
        plain = {item.name: getattr(self, item.name) for item in fields(Evaluation)}
        return Evaluation(
            **plain
            | {
                "parameters": {name: with_tuples(value) for name, value in self.parameters.items()},
                "seeds": tuple(self.seeds),
                "verdict": None if self.verdict is None else self.verdict.to_verdict(),
            }
        )


class _Result(Checked):
    id: Name
    published: Outcome | None
    evaluations: Annotated[list[CheckedEvaluation], Field(min_length=1)]

    @model_validator(mode="after")
    def _has_one_of_each_kind(self) -> Self:
        kinds = [evaluation.kind for evaluation in self.evaluations]
        if kinds[0] != "claim" or len(set(kinds)) < len(kinds):
            raise ValueError("the claim's own evaluation comes first, and each kind once")
        return self

    def to_result(self) -> ClaimResult:
        own, *counterparts = (evaluation.to_evaluation() for evaluation in self.evaluations)
        return ClaimResult(self.id, own, tuple(counterparts), self.published)


class CheckedRun(Checked):
    """A run as plain data, without its request."""

    id: Annotated[str, Field(pattern=r"\A[0-9A-Za-z][0-9A-Za-z_-]{0,99}\z"), AfterValidator(_free)]
    started: Annotated[str, AfterValidator(_utc)]
    profile: Profile
    backend: Name
    environment: Annotated[dict[str, Any], AfterValidator(_versioned)]


class _Document(Checked):
    format: Literal["keras-repro run"]
    version: Annotated[int, Field(ge=VERSION, le=VERSION)]
    run: CheckedRun
    results: list[_Result]

    @model_validator(mode="after")
    def _has_each_claim_once(self) -> Self:
        if len({result.id for result in self.results}) < len(self.results):
            raise ValueError("a claim has several results")
        return self


def to_json(run: Run, results: Sequence[ClaimResult]) -> bytes:
    """Write a run with its results, so that it reads back the same but for its request: it cannot be resumed elsewhere.

    Raises:
        ValueError: ``from_json`` would refuse it; the message is one line.
    """
    document = {
        "format": FORMAT,
        "version": VERSION,
        "run": {name: value for name, value in asdict(run).items() if name != "request"},
        "results": [
            {
                "id": result.id,
                "published": result.published,
                "evaluations": [_evaluation(item) for item in (result.evaluation, *result.counterparts)],
            }
            for result in results
        ],
    }
    return to_text(_checked(json.loads(to_text(document))).model_dump()).encode()


def from_json(content: bytes) -> tuple[Run, tuple[ClaimResult, ...]]:
    """Read and check what ``to_json`` has written.

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
    document = _checked(plain)
    try:
        results = tuple(result.to_result() for result in document.results)
    except RecursionError as error:
        raise ValueError("it is nested too deeply") from error
    return Run(**document.run.model_dump()), results


def complaint(error: ValidationError) -> str:
    """Say in one line what is wrong first, and where."""
    first = error.errors(include_url=False, include_input=False)[0]
    place = ".".join(map(str, first["loc"]))[:200]
    return " ".join(f"{place}: {first['msg']}".removeprefix(": ").split())


def _checked(plain: Any) -> _Document:
    try:
        return _Document.model_validate(plain)
    except ValidationError as error:
        raise ValueError(complaint(error)) from error


def _evaluation(evaluation: Evaluation) -> dict[str, Any]:
    verdict = evaluation.verdict
    plain = {item.name: getattr(evaluation, item.name) for item in fields(evaluation)}
    return plain | {"verdict": None if verdict is None else _verdict(verdict)}


def _verdict(verdict: Verdict) -> dict[str, Any]:
    plain = {name: getattr(verdict, name) for name in CheckedVerdict.model_fields}
    return plain | {"parts": [asdict(part) for part in verdict.parts]}
