"""Page of a claim, put together from its result, its source code and the evidence."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from repro.audits import Robustness
from repro.catalogue import Claim, Parameters, Role, address, repeat_command
from repro.report.evidence import Evidence
from repro.results import ClaimResult, Evaluation, PastVerdict, Run, read
from repro.runner import plan_looks, seeds_of

MEANINGS: Mapping[Role, str] = {
    "control": "The mechanism that the statement credits is taken away: the statement must not be reproduced here.",
    "rival": "A near rival of the statement, which the same observations must refute.",
    "positive control": "An effect that is known to be there: it must be found, or nothing could have been.",
    "correction": "What holds instead must come out reproduced.",
    "repetition": "The same on fresh seeds: the cell in which it was seen best must show it again.",
}


@dataclass(frozen=True)
class EvaluationView:
    """An evaluation with what its observations show.

    Attributes:
        evaluation: Evaluation of the claim itself or of a counterpart.
        changed: Parameters that differ from the claim's own; empty for the claim itself.
        name: Stem of the names of its files.
        evidence: Evidence from its observations.
    """

    evaluation: Evaluation
    changed: Parameters
    name: str
    evidence: Evidence


@dataclass(frozen=True)
class ClaimPage:
    """Content of the page of a claim.

    Attributes:
        result: Result of the claim.
        claim: Claim of the page; None if it is not registered any more.
        own: Evaluation of the claim itself.
        counterparts: Evaluations of its counterparts.
        command: Command that repeats the evaluations; empty if the claim is not registered any more.
        history: Outcomes of the claim in the latest runs, newest first.
        robustness: Outcome of the claim with other settings; None where that was not audited.
    """

    result: ClaimResult
    claim: Claim | None
    own: EvaluationView
    counterparts: list[EvaluationView]
    command: str
    history: Sequence[PastVerdict]
    robustness: Robustness | None


def claim_page(
    run: Run,
    result: ClaimResult,
    claim: Claim | None,
    evidence: Mapping[str, Evidence],
    history: Sequence[PastVerdict],
    robustness: Robustness | None,
) -> ClaimPage:
    """Put together the page of a claim.

    Args:
        run: Run that the result is of.
        result: Result of the claim.
        claim: Claim of the page; None if it is not registered any more.
        evidence: Evidence by ``evidence_name``.
        history: Outcomes of the claim in the latest runs, newest first.
        robustness: Outcome of the claim with other settings; None where that was not audited.
    """
    own, *counterparts = (
        view(result, evaluation, evidence[evidence_name(result, evaluation)])
        for evaluation in (result.evaluation, *result.counterparts)
    )
    return ClaimPage(
        result=result,
        claim=claim,
        own=own,
        counterparts=counterparts,
        command="" if claim is None else check_command(run, result, claim),
        history=history,
        robustness=robustness,
    )


def kept_robustness(folder: Path, claim: str) -> Robustness | None:
    """Return what `repro audit robustness` kept of a claim in a results folder; None where nothing can be read."""
    try:
        return read(Robustness, json.loads((folder / "robustness" / f"{file_name(claim)}.json").read_bytes()))
    except (OSError, ValueError, RecursionError):
        return None


def view(result: ClaimResult, evaluation: Evaluation, evidence: Evidence) -> EvaluationView:
    """Put an evaluation together with what its observations show."""
    own = result.evaluation.parameters
    changed = {name: value for name, value in evaluation.parameters.items() if own.get(name) != value}
    return EvaluationView(evaluation, changed, evidence_name(result, evaluation), evidence)


def evidence_name(result: ClaimResult, evaluation: Evaluation) -> str:
    """Return the stem of the files that show an evaluation."""
    return f"{file_name(result.id)}-{evaluation.role.replace(' ', '-')}"


def file_name(name: str) -> str:
    """Return the stem of a file for a claim, module or document: its name where every file system takes that.

    Other names are made fit, and unique by a hash.
    """
    if re.fullmatch(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)?", name) and len(name) <= 100:
        return name
    readable = re.sub(r"[^a-z0-9_]+", "-", name.lower()).strip("-")[:60]
    return f"{readable}-{hashlib.sha256(name.encode(errors='backslashreplace')).hexdigest()[:12]}"


def is_usual(run: Run, evaluation: Evaluation, claim: Claim) -> bool:
    """Tell whether the profile may have ended with these seeds by itself."""
    usual = seeds_of(claim, run.profile, None)
    return evaluation.seeds in [usual[: look.seeds] for look in plan_looks(len(usual))]


def check_command(run: Run, result: ClaimResult, claim: Claim) -> str:
    """Return the command that repeats the evaluations of one claim of a run."""
    evaluation = result.evaluation
    usual = claim.variants(run.profile)[0].parameters
    overridden = {
        name: value for name, value in evaluation.parameters.items() if name in usual and usual[name] != value
    }
    seeds = None if is_usual(run, evaluation, claim) else len(evaluation.seeds)
    return repeat_command(address(claim), run.profile, seeds, overridden, run.backend)
