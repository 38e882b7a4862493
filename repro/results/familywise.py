"""Many verdicts at once: how many to expect to be false, and which would survive a correction for their number."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from etils import epy

from repro.results.records import ClaimResult
from repro.uncertainty import CONFIDENCE

with epy.lazy_imports():
    import statsmodels.stats.multitest

DECIDED = ("reproduced", "conditional", "absent", "refuted")


@dataclass(frozen=True)
class Multiplicity:
    """Consequences that the number of verdicts in a run has for them.

    Attributes:
        decided: Number of claims that were decided and rest on a sample of seeds.
        expected: Upper limit of the number of false verdicts to expect among them.
        fragile: Ids of the claims that would be undecided if the error probability were shared among all of them.
    """

    decided: int
    expected: float
    fragile: frozenset[str]


def multiplicity(results: Sequence[ClaimResult]) -> Multiplicity:
    """Assess the verdicts of a run as a family.

    A verdict is false with a probability of at most one minus the confidence, however the verdicts depend on each
    other; so is any at all of those that Holm's correction keeps (Holm 1979). The level at which a verdict would flip
    takes the place of its p-value.

    Args:
        results: Results of a run; verdicts without sampling error have no part in the family.
    """
    levels = {
        result.id: result.evaluation.verdict.p
        for result in results
        if result.status in DECIDED
        and result.evaluation.verdict is not None
        and result.evaluation.verdict.p is not None
    }
    if not levels:
        return Multiplicity(0, 0.0, frozenset())
    error = 1 - CONFIDENCE
    kept, *_ = statsmodels.stats.multitest.multipletests(list(levels.values()), alpha=error, method="holm")
    fragile = frozenset(name for name, survives in zip(levels, kept, strict=True) if not survives)
    return Multiplicity(len(levels), error * len(levels), fragile)
