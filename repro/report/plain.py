"""A result in plain text, for the reports of other tools."""

from __future__ import annotations

from repro.catalogue import Claim
from repro.report.pages import check_command
from repro.results import ClaimResult, Run


def explanation(run: Run, result: ClaimResult, claim: Claim) -> str:
    """Say in a few lines what was claimed and where, what came of it, and which command repeats it.

    What calls for attention is told by ``result.complaints``.
    """
    evaluation = result.evaluation
    verdict = evaluation.verdict
    lines = [
        claim.statement,
        "; ".join(f"{source.title}, {source.section}" for source in claim.sources),
        f"{evaluation.status}: {evaluation.message}" if verdict is None else str(verdict),
        f"repeat: {check_command(run, result, claim)}",
    ]
    return "\n".join(lines)


def tracebacks(result: ClaimResult) -> str:
    """Join the tracebacks of the evaluations that ended in error, equal ones once; empty where none did."""
    found = dict.fromkeys(item.traceback for item in (result.evaluation, *result.counterparts))
    return "\n".join(filter(None, found))
