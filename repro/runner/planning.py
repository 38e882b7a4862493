"""Plans runs: which evaluations are made, which jobs make their observations, and how long that should take."""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace

from repro.catalogue import (
    FRESH,
    LIMITS,
    SEEDS,
    Claim,
    Limits,
    Parameters,
    Profile,
    Role,
    Variant,
    check_profile,
    design,
    file_of,
    first_seed,
)
from repro.common import ReproError
from repro.engine import backend
from repro.results import Outcome, Request, Store, past, published
from repro.runner import environment
from repro.runner.interim import Look, plan_looks
from repro.runner.jobs import Job

MOST_SEEDS = 1_000_000
QUICK = 5.0  # seconds that a claim with its counterparts takes that a run begins with


@dataclass(frozen=True, eq=False)
class Task:
    """One evaluation to be made: a claim, its control or its correction, and the job that makes its observations.

    The job has all seeds that the evaluation may take; the looks of the plan decide how many it does take.
    """

    claim: Claim
    variant: Variant
    job: Job


@dataclass(frozen=True)
class Plan:
    """Work that a run will do.

    Attributes:
        profile: Profile of the run, which sets how much work it does.
        claims: Claims in the order of their results.
        tasks: Evaluations of these claims, in the same order.
        published: Published status of each claim, where its design is the same and the run comparable.
        looks: Looks at the growing sample of each job.
        request: Request that the plan is made for.
        expected: Time in seconds that a job is expected to take, where that is known.
    """

    profile: Profile
    claims: tuple[Claim, ...]
    tasks: tuple[Task, ...]
    published: Mapping[str, Outcome]
    looks: Mapping[Job, tuple[Look, ...]]
    request: Request
    expected: Mapping[Job, float] = field(default_factory=dict)

    @property
    def jobs(self) -> list[Job]:
        """Every job once: first those of a quick claim of each module, so that something is seen soon.

        Then the longest expected come first, so that no long one is left for the end, and unknown ones before them.
        """
        jobs = dict.fromkeys(task.job for task in self.tasks)
        early = dict.fromkeys(task.job for claim in self._quick_claims() for task in self.tasks if task.claim is claim)
        others = [job for job in jobs if job not in early]
        return [*early, *sorted(others, key=lambda job: -self.expected.get(job, float("inf")))]

    def _quick_claims(self) -> list[Claim]:
        """Choose the quickest claim of each module, where there is one that is quick."""
        seconds = {claim.id: 0.0 for claim in self.claims}
        for task in self.tasks:
            seconds[task.claim.id] += self.expected.get(task.job, float("inf"))
        quick = sorted(
            (claim for claim in self.claims if seconds[claim.id] <= QUICK), key=lambda claim: seconds[claim.id]
        )
        quickest: dict[str, Claim] = {}
        for claim in quick:
            quickest.setdefault(claim.id.partition(".")[0], claim)
        return list(quickest.values())

    def tasks_of(self, job: Job) -> list[Task]:
        """List the evaluations that read the observations of a job."""
        return [task for task in self.tasks if task.job is job]


def make_plan(
    claims: Sequence[Claim],
    profile: Profile,
    *,
    seeds: int | None = None,
    overrides: Mapping[str, Parameters] | None = None,
) -> Plan:
    """Decide what is executed. Evaluations with the same experiment, parameters and seeds share one job.

    Args:
        claims: Claims to be run.
        profile: Profile of the run, which sets how much work it does.
        seeds: Exact number of seeds; by default at most that of the profile, or what the claim asks for, and no more
            than its verdict takes.
        overrides: Parameters that replace those of the profile, by claim id.

    Raises:
        ReproError: there is no such profile, seeds are below one, or a claim does not have an override.
    """
    check_profile(profile)
    overrides = overrides or {}
    jobs: dict[str, Job] = {}
    tasks = []
    for claim in claims:
        for variant in claim.variants(profile, overrides.get(claim.id)):
            job = _job(claim, variant, seeds_of(claim, profile, seeds, variant.role), LIMITS[profile])
            tasks.append(Task(claim, variant, jobs.setdefault(job.key, job)))
    references = published(profile) if seeds is None else {}
    comparable = {claim.id for claim in claims} - set(overrides)
    statuses = {
        claim.id: references[claim.id].status
        for claim in claims
        if claim.id in comparable & set(references) and references[claim.id].design == design(claim)
    }
    sampled = {task.job for task in tasks if task.variant.criterion.has_sampling_error} if seeds is None else set()
    return Plan(
        profile,
        tuple(claims),
        tuple(tasks),
        statuses,
        {job: plan_looks(len(job.seeds)) if job in sampled else (Look(len(job.seeds)),) for job in jobs.values()},
        Request(
            tuple(claim.id for claim in claims),
            seeds,
            overrides,
            {claim.id: file.digest for claim in claims if (file := file_of(claim))},
        ),
    )


def data_overrides(claims: Sequence[Claim], data: str | None) -> dict[str, Parameters]:
    """Choose the data set of the claims that have a parameter ``data``.

    Raises:
        ReproError: a data set is chosen and none of the claims has that parameter.
    """
    if data is None:
        return {}
    choosing = [claim for claim in claims if "data" in claim.defaults]
    if not choosing:
        raise ReproError(f"none of the chosen claims takes a data set, so {data!r} has no effect; leave it out")
    return {claim.id: {"data": data} for claim in choosing}


def with_expected_times(plan: Plan, store: Store) -> Plan:
    """Add how long each job is expected to take: as measured last in this results folder, else as published."""
    known: dict[tuple[str, Role], float] = {}
    for name, claim in published(plan.profile).items():
        known[name, "claim"] = claim.seconds
        known |= {(name, role): counterpart.seconds for role, counterpart in claim.counterparts.items()}
    known |= past.seconds(store, plan.profile, backend.name())
    expected: dict[Job, float] = {}
    for task in plan.tasks:
        seconds = known.get((task.claim.id, task.variant.role), 0.0)
        if seconds > 0:  # zero where another evaluation bore the cost
            expected[task.job] = max(expected.get(task.job, 0.0), seconds)
    return replace(plan, expected=expected)


def seeds_of(claim: Claim, profile: Profile, seeds: int | None, role: Role = "claim") -> tuple[int, ...]:
    """Return the seeds that a claim is run with at most; none for a claim without randomness.

    They follow from the design; a repetition has fresh ones.

    Raises:
        ReproError: fewer than one is asked for, or more than anyone has memory for.
    """
    if seeds is not None and seeds < 1:
        raise ReproError(f"seeds must be at least 1, not {seeds}")
    if seeds is not None and seeds > MOST_SEEDS:
        raise ReproError(f"seeds must be at most {MOST_SEEDS}, not {seeds}")
    if not claim.takes_seeds:
        return ()
    count = number_of_seeds(claim, profile) if seeds is None else seeds
    first = first_seed(claim) + (max(FRESH, count) if role == "repetition" else 0)
    return tuple(range(first, first + count))


def number_of_seeds(claim: Claim, profile: Profile) -> int:
    """Return how many seeds a claim is run with at most: those of the profile, or those that the claim asks for.

    Smoke takes no more than its own number, which decides what is clear.
    """
    if claim.seeds is None:
        return SEEDS[profile]
    return min(SEEDS["smoke"], claim.seeds) if profile == "smoke" else claim.seeds


def expected_seconds(plan: Plan, jobs: Iterable[Job], count: int) -> float:
    """Estimate how long jobs take on ``count`` workers, those of unknown time left out."""
    jobs = list(jobs)
    together = [plan.expected.get(job, 0.0) for job in jobs if not job.alone]
    alone = [plan.expected.get(job, 0.0) for job in jobs if job.alone]
    return makespan(together, count) + sum(alone)


def makespan(seconds: Iterable[float], count: int) -> float:
    """Return when the last job ends if each goes to the worker that is free first.

    Args:
        seconds: Times in seconds that the jobs take, in the order in which they start.
        count: Number of workers; 0 and 1 both mean one after the other.
    """
    free_at = [0.0] * max(count, 1)
    for duration in seconds:
        heapq.heapreplace(free_at, free_at[0] + duration)
    return max(free_at)


def number_of_workers(plan: Plan, asked: int | None = None) -> int:
    """Return the number of workers: as many as asked for, by default one per core, and no more than there are jobs."""
    return min(environment.cores() if asked is None else asked, len(plan.jobs))


def _job(claim: Claim, variant: Variant, seeds: tuple[int, ...], limits: Limits) -> Job:
    return Job(
        experiment=claim.experiment,
        parameters=claim.experiment_parameters(variant.parameters),
        seeds=seeds,
        requires=claim.requires,
        alone="timing" in claim.tags,
        file=file_of(claim),
        limits=limits,
    )
