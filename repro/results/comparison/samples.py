"""Samples behind a result, for comparing it with the same claim's result in another run."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import pandas as pd

from repro.catalogue import registry
from repro.criteria import Verdict
from repro.results.records import ClaimResult
from repro.results.reference import PublishedClaim, PublishedSample
from repro.uncertainty import Median, Sample

Part = tuple[str, str]  # its name, and the measure that is judged there


@dataclass(frozen=True)
class Samples:
    """Samples of a result.

    Attributes:
        by_part: Samples that are known, by part of the statement.
        count: Number of parts of the statement, known or not.
    """

    by_part: Mapping[Part, Sample] = field(default_factory=dict)
    count: int = 0

    def deciding(self, verdict: Verdict) -> Part | None:
        """Return the part whose effect a verdict reports; None if its sample is not known."""
        cell = verdict.deciding or (verdict.cells[0].name if len(verdict.cells) == 1 else "")
        # An identity reduces a seed to its error in tolerances, which its measure is the beginning of.
        return next((key for key in self.by_part if key[0] == cell and key[1].startswith(verdict.measure)), None)


def stored_samples(result: ClaimResult, read: Callable[[str], pd.DataFrame]) -> Samples:
    """Reduce the stored observations of a claim to samples, by its criterion as it is today.

    Args:
        result: Result of the claim.
        read: Function that returns observations by their key.

    Returns:
        The samples; none where the claim is not registered, has no observations or cannot read those of an older
        version.
    """
    claim = registry.registered().get(result.id)
    key = result.evaluation.observations
    if claim is None or key is None:
        return Samples()
    try:
        observations = claim.read(read(key), result.evaluation.parameters)
        by_part = claim.criterion.samples(observations)
    except Exception:  # noqa: BLE001  a claim's own code may raise anything; the result still has its interval
        return Samples()
    return Samples(by_part, len(by_part))


def publishable(result: ClaimResult, samples: Samples) -> PublishedSample | None:
    """Return the sample behind a verdict in the form that is published; None if it is not known."""
    verdict = result.evaluation.verdict
    part = None if verdict is None else samples.deciding(verdict)
    if part is None:
        return None
    sample = samples.by_part[part]
    return PublishedSample(
        part=part[0],
        measure=part[1],
        numbers=tuple(float(f"{number:g}") for number in sample.numbers),
        deterministic=sample.deterministic,
        count=samples.count,
    )


def published_samples(claim: PublishedClaim) -> Samples:
    """Return the sample that is published for a claim, if there is one."""
    if claim.sample is None:
        return Samples()
    numbers = claim.sample.numbers
    effect = Median(numbers).point if claim.effect is None else claim.effect  # only medians can be infinite
    sample = Sample(numbers, effect, claim.sample.deterministic)
    return Samples({(claim.sample.part, claim.sample.measure): sample}, claim.sample.count)
