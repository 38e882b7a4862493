"""Loads the runs that the two arguments of ``repro compare`` name."""

from __future__ import annotations

import math
from pathlib import Path
from typing import cast

from repro.catalogue import Parameters, Profile, registry
from repro.common import ReproError, paths
from repro.criteria import Status, Verdict
from repro.results.bundle import read_bundle
from repro.results.comparison.differences import LoadedRun
from repro.results.comparison.samples import published_samples, stored_samples
from repro.results.records import ClaimResult, Evaluation, Run
from repro.results.reference import PublishedClaim, published, published_run
from repro.results.serialization import strict
from repro.results.store import Store

LATEST = "latest"
PUBLISHED = "published"


def load_pair(base: str, head: str, results: Path) -> tuple[LoadedRun, LoadedRun]:
    """Load two runs.

    Args:
        base: Id of a run, ``latest``, a results folder (its latest run), a file of ``repro export``, or ``published``
            for the reference of the other run's profile that ships with the package.
        head: Name of the other run, given in the same way.
        results: Folder in which ids are looked up.

    Raises:
        ReproError: no such run or file, or nothing is published for the profile.
    """
    if base == head == PUBLISHED:
        raise ReproError("what is published is the same on both sides; name a run as one of them")
    if base == PUBLISHED:
        loaded = load(head, results)
        return load_published(loaded.run.profile), loaded
    loaded = load(base, results)
    return loaded, load_published(loaded.run.profile) if head == PUBLISHED else load(head, results)


def load(reference: str, results: Path) -> LoadedRun:
    """Load a run from a results folder or a file.

    Args:
        reference: Name of the run as for ``load_pair``, except for ``published``.
        results: Folder in which ids are looked up.

    Raises:
        ReproError: no such run or file.
    """
    path = Path(reference)
    if reference != LATEST and paths.is_file(path):
        found = read_bundle(path)
        return LoadedRun(found.run, found.results, lambda result: stored_samples(result, found.read_observations))
    is_folder = reference != LATEST and paths.is_folder(path)
    store = Store.existing(path if is_folder else results)
    run = store.run(LATEST if is_folder else reference)
    return LoadedRun(run, tuple(store.results(run.id)), lambda result: stored_samples(result, store.read_observations))


def load_published(profile: Profile) -> LoadedRun:
    """Load the reference of a profile.

    Raises:
        ReproError: nothing is published for the profile.
    """
    source, claims = published_run(profile), published(profile)
    if source is None:
        raise ReproError(f"nothing is published for profile {profile}; compare a run of another profile")
    run = Run(PUBLISHED, source.started, profile, source.backend, source.environment)
    results = tuple(_result(name, claim, profile) for name, claim in claims.items())
    return LoadedRun(run, results, lambda result: published_samples(claims[result.id]))


def _result(name: str, claim: PublishedClaim, profile: Profile) -> ClaimResult:
    own = Evaluation(
        role="claim",
        statement="",
        parameters=_usual_parameters(name, profile) if claim.parameters is None else claim.parameters,
        seeds=(),
        status=claim.status,
        verdict=_verdict(claim),
        seconds=claim.seconds,
        memory=claim.memory,
        marks=claim.marks,
    )
    counterparts = tuple(
        Evaluation(role, "", {}, (), counterpart.status, seconds=counterpart.seconds, contrast=counterpart.contrast)
        for role, counterpart in claim.counterparts.items()
    )
    return ClaimResult(name, own, counterparts)


def _verdict(claim: PublishedClaim) -> Verdict:
    sample = claim.sample
    effect, low, high = (math.nan if value is None else value for value in (claim.effect, claim.low, claim.high))
    return Verdict(
        status=cast("Status", claim.status),  # nothing else is published
        effect=effect,
        low=low,
        high=high,
        n=claim.n,
        measure=sample.measure if sample else "",
        deciding=sample.part if sample else "",
        kind=claim.kind,
        scale=claim.scale,
        sentence=claim.sentence,
    )


def _usual_parameters(name: str, profile: Profile) -> Parameters:
    """Return the parameters that a profile gives a claim; references of older versions do not state them."""
    known = registry.registered().get(name)
    return {} if known is None else strict(known.variants(profile)[0].parameters)
