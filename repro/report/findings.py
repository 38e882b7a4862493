"""Lists of what came out: what the documents get wrong, what holds under conditions, what was absent, what is open."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from repro.catalogue import Claim
from repro.results import ClaimResult

STRICT = ("formula", "theorem", "law")


@dataclass(frozen=True)
class Finding:
    """One entry of a list: a claim, and those that are about the same thing.

    Attributes:
        result: Result of the claim.
        others: Results of further claims with the same root.
        places: Places in the documents that make the statement, or those of its parts that are meant.
        explanation: Docstring of the claim; empty if it is not registered any more.
        as_transcribed: Whether the oddity may come from the conversion of the document.
    """

    result: ClaimResult
    others: tuple[ClaimResult, ...]
    places: tuple[str, ...]
    explanation: str
    as_transcribed: bool


@dataclass(frozen=True)
class List:
    """A page that lists findings.

    Attributes:
        name: Stem of its file.
        title: Title of the page.
        lead: What stands on it, and what does not.
        nothing: What is said where the list is empty.
        findings: Entries.
    """

    name: str
    title: str
    lead: str
    nothing: str
    findings: tuple[Finding, ...]


@dataclass(frozen=True)
class _Question:
    name: str
    title: str
    lead: str
    nothing: str
    belongs: Callable[[ClaimResult], bool]


def _is_mistake(result: ClaimResult) -> bool:
    """Tell whether a formula, theorem or law was refuted, and a correction says what holds instead."""
    verdict, correction = result.evaluation.verdict, result.counterpart("correction")
    if result.status != "refuted" or verdict is None or correction is None:
        return False
    return verdict.kind in (None, *STRICT) and correction.status == "reproduced"


QUESTIONS = (
    _Question(
        "mistakes",
        "What the documents get wrong",
        "Formulas, theorems and laws with a counterexample that was verified, and what holds instead. Entries of one "
        "root cause are one. What may come from the conversion of a document is marked as transcribed.",
        "This run refuted no formula, theorem or law for which it has a correction.",
        _is_mistake,
    ),
    _Question(
        "conditions",
        "Holds under conditions",
        "Statements that hold in some conditions and fail in others that the passage leaves open. The line in a map is "
        "the boundary that was expected before the result was known.",
        "No statement of this run came out conditional.",
        lambda result: result.status == "conditional",
    ),
    _Question(
        "absent",
        "Not seen at this scale",
        "Effects that were not seen in experiments smaller than the passage means. This contradicts nobody.",
        "No effect of this run was absent.",
        lambda result: result.status == "absent",
    ),
    _Question(
        "open",
        "Open",
        "Statements that this run does not decide, each with the reason.",
        "This run decided every statement.",
        lambda result: result.status == "inconclusive",
    ),
)


def lists(results: Sequence[ClaimResult], claims: Mapping[str, Claim]) -> list[List]:
    """Sort the results of a run into the lists of what came out.

    Args:
        results: Results of the run.
        claims: Claims by id, as far as they are known.
    """
    return [
        List(
            question.name,
            question.title,
            question.lead,
            question.nothing,
            tuple(_findings([result for result in results if question.belongs(result)], claims)),
        )
        for question in QUESTIONS
    ]


def _findings(results: Sequence[ClaimResult], claims: Mapping[str, Claim]) -> list[Finding]:
    by_root: dict[str, list[ClaimResult]] = {}
    for result in results:
        claim = claims.get(result.id)
        by_root.setdefault(claim.root if claim is not None and claim.root else result.id, []).append(result)
    return [_finding(first, others, claims.get(first.id)) for first, *others in by_root.values()]


def _finding(result: ClaimResult, others: Sequence[ClaimResult], claim: Claim | None) -> Finding:
    if claim is None:
        return Finding(result, tuple(others), (), "", as_transcribed=False)
    places = [f"{source.title}, {source.section}" for source in claim.sources if _is_meant(result, source.parts)]
    return Finding(
        result, tuple(others), tuple(places), inspect.getdoc(claim.function) or "", as_transcribed=claim.transcription
    )


def _is_meant(result: ClaimResult, parts: Sequence[str]) -> bool:
    """Tell whether a document says a part that came out as the whole did; one that says only others is not named."""
    verdict = result.evaluation.verdict
    if not parts or verdict is None or not verdict.parts:
        return True
    return any(part.name in parts and part.status == result.status for part in verdict.parts)
