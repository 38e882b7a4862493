"""What a run leaves: for each claim its verdict and those of its counterparts, with costs and parameters."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

from repro.claim import Kind, Parameters, Profile
from repro.verdict import Verdict, to_json

Outcome = Literal["reproduced", "refuted", "inconclusive", "error", "skipped"]


@dataclass(frozen=True)
class Evaluation:
    """One experiment, run and judged: the claim's own, its control's or its correction's.

    Attributes:
        kind: ``claim``, ``control`` or ``correction``.
        statement: what was judged.
        parameters: of the experiment.
        seeds: that the observations come from; empty for a claim without randomness.
        status: the verdict's, or ``error`` or ``skipped`` where there is none.
        verdict: None for ``error`` and ``skipped``.
        observations: key of the stored table of observations; None where there is none.
        seconds: wall time of the experiment; zero where it was shared with an evaluation that bears its cost.
        memory: peak resident memory in bytes of the process that ran it.
        message: one line that says why there is no verdict.
        traceback: of an ``error``.
    """

    kind: Kind
    statement: str
    parameters: Parameters
    seeds: tuple[int, ...]
    status: Outcome
    verdict: Verdict | None = None
    observations: str | None = None
    seconds: float = 0.0
    memory: int = 0
    message: str = ""
    traceback: str = ""


@dataclass(frozen=True)
class ClaimResult:
    """The evaluations of one claim.

    Attributes:
        id: of the claim.
        evaluation: of the claim itself.
        counterparts: of its control and correction.
        published: the status that the package publishes for this claim and profile; None where it publishes none.
    """

    id: str
    evaluation: Evaluation
    counterparts: tuple[Evaluation, ...]
    published: Outcome | None = None

    @property
    def status(self) -> Outcome:
        """Status of the claim itself."""
        return self.evaluation.status

    @property
    def seconds(self) -> float:
        """Wall time of all experiments of the claim."""
        return sum(evaluation.seconds for evaluation in (self.evaluation, *self.counterparts))

    @property
    def memory(self) -> int:
        """Peak memory in bytes over all experiments of the claim."""
        return max(evaluation.memory for evaluation in (self.evaluation, *self.counterparts))

    @property
    def sound(self) -> bool | None:
        """Whether the counterparts show that the verdict means something.

        Returns:
            True for a reproduced claim whose control is refuted and for a refuted claim whose correction is reproduced;
            False for a control that is reproduced or a correction that is refuted; None where that is undecided.
        """
        by_kind = {counterpart.kind: counterpart.status for counterpart in self.counterparts}
        if by_kind.get("control") == "reproduced" or by_kind.get("correction") == "refuted":
            return False
        if self.status == "reproduced" and by_kind.get("control") == "refuted":
            return True
        if self.status == "refuted" and by_kind.get("correction") == "reproduced":
            return True
        return None

    @property
    def failed(self) -> bool:
        """Whether the result calls for attention: an error, unsound, or the contrary of what is published."""
        return bool(self.complaints)

    @property
    def in_error(self) -> bool:
        """Whether the claim or a counterpart has no verdict because something failed."""
        return any(evaluation.status == "error" for evaluation in (self.evaluation, *self.counterparts))

    @property
    def complaints(self) -> list[str]:
        """What calls for attention, in a line each; empty unless the result is ``failed``."""
        evaluations = (self.evaluation, *self.counterparts)
        complaints = [f"{item.kind} ended in error, {item.message}" for item in evaluations if item.status == "error"]
        if self.sound is False:
            wrong = {"control": "reproduced", "correction": "refuted"}
            causes = [
                f"its {item.kind} is {item.status}" for item in self.counterparts if item.status == wrong[item.kind]
            ]
            complaints.append(f"unsound, {' and '.join(causes)}")
        if self.contradicts_published:
            complaints.append(f"{self.status}, but published as {self.published}")
        return complaints

    @property
    def contradicts_published(self) -> bool:
        """Whether the claim is published as reproduced and was refuted now, or the reverse."""
        return {self.status, self.published} == {"reproduced", "refuted"}


@dataclass(frozen=True)
class Request:
    """What a run was asked for, which is all that it takes to resume it.

    Attributes:
        claims: their ids, in the order of the results.
        seeds: exactly this many; None for those of the profile.
        overrides: parameters that replace those of the profile, by claim id.
        files: SHA-256 in hexadecimal of the files of the user's own, by id of the claims that they define.
    """

    claims: tuple[str, ...]
    seeds: int | None = None
    overrides: Mapping[str, Parameters] = field(default_factory=dict)
    files: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Run:
    """One execution of the suite.

    Attributes:
        id: unique within a results folder, sorts by time.
        started: ISO 8601 time in UTC.
        profile: how much work.
        backend: of Keras.
        environment: versions and hardware, see ``repro.environment``.
        request: what it was asked for; None in results of versions that did not record it.
    """

    id: str
    started: str
    profile: Profile
    backend: str
    environment: dict[str, Any]
    request: Request | None = None


def result_json(result: ClaimResult) -> dict[str, Any]:
    """Return a claim's result in the form that ``repro run --json`` prints."""
    evaluation = result.evaluation
    return {
        "id": result.id,
        "status": result.status,
        "sound": result.sound,
        **_verdict_json(evaluation),
        "counterparts": [
            {
                "kind": counterpart.kind,
                "statement": counterpart.statement,
                **{name: _verdict_json(counterpart)[name] for name in ("status", "effect", "low", "high", "n")},
            }
            for counterpart in result.counterparts
        ],
        "published": result.published,
        "parameters": evaluation.parameters,
        "seconds": result.seconds,
        "memory": result.memory,
        "message": evaluation.message,
    }


def run_json(run: Run, results: list[ClaimResult]) -> dict[str, Any]:
    """Return a run in the form that ``repro run --json`` prints."""
    return {
        "run": run.id,
        "profile": run.profile,
        "backend": run.backend,
        "environment": run.environment,
        "results": [result_json(result) for result in results],
    }


def _verdict_json(evaluation: Evaluation) -> dict[str, Any]:
    if evaluation.verdict is None:
        nothing = dict.fromkeys(("effect", "low", "high", "confidence", "p"))
        return {"status": evaluation.status, **nothing, "n": 0, "parts": []}
    return to_json(evaluation.verdict)
