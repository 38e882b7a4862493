"""A result in plain text, for the reports of other tools."""

from __future__ import annotations

from repro.claim import Claim
from repro.report.pages import check_command
from repro.result import ClaimResult, Run


def explanation(run: Run, result: ClaimResult, claim: Claim) -> str:
    """Tell in a few lines what was claimed and where, what came of it, and the command that repeats it."""
    evaluation = result.evaluation
    verdict = evaluation.verdict
    lines = [
        claim.statement,
        "; ".join(f"{source.title}, {source.section}" for source in claim.sources),
        f"{evaluation.status}: {evaluation.message}" if verdict is None else str(verdict),
        *(complaint for complaint in result.complaints if verdict is not None),
        f"repeat: {check_command(run, result, claim)}",
    ]
    return "\n".join(lines)


def tracebacks(result: ClaimResult) -> str:
    """Join the tracebacks of the evaluations that ended in error; empty where none did."""
    return "\n".join(item.traceback for item in (result.evaluation, *result.counterparts) if item.traceback)
