"""Runs claims: plan the jobs, execute them, judge their observations, record the results."""

from __future__ import annotations

import heapq
import secrets
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path

from repro import backend, environment, registry
from repro.claim import Claim, Kind, Parameters, Profile, Variant
from repro.claim_files import file_of
from repro.errors import ObservationsError, ReproError
from repro.published import published
from repro.result import ClaimResult, Evaluation, Outcome, Run
from repro.sampling import Look, Sample, decided, grow, judge_at, looks
from repro.store import Store
from repro.verdict import Verdict
from repro.workers import Job, JobResult, Workers, one_line, start_workers

RESULTS = Path("repro-results")
# Thirteen seeds refute each of two parts though one seed disagrees; twelve do not.
SEEDS: Mapping[Profile, int] = {"smoke": 13, "standard": 24, "full": 48}


@dataclass(frozen=True, eq=False)
class Task:
    """One evaluation to be made: a claim, its control or its correction, and the job that makes its observations.

    The job has all seeds that the evaluation may take; the looks of the plan decide how many it does.
    """

    claim: Claim
    variant: Variant
    job: Job


@dataclass(frozen=True)
class Plan:
    """What a run will do.

    Attributes:
        profile: how much work.
        claims: in the order of their results.
        tasks: evaluations of these claims, in the same order.
        published: status that is published for each claim, where the run is comparable with it.
        looks: at the growing sample of each job.
        expected: seconds that a job is expected to take, where that is known.
    """

    profile: Profile
    claims: tuple[Claim, ...]
    tasks: tuple[Task, ...]
    published: Mapping[str, Outcome]
    looks: Mapping[Job, tuple[Look, ...]]
    expected: Mapping[Job, float] = field(default_factory=dict)

    @property
    def jobs(self) -> list[Job]:
        """Every job once, longest expected first, so that no long one is left for the end; unknown ones before."""
        jobs = dict.fromkeys(task.job for task in self.tasks)
        return sorted(jobs, key=lambda job: -self.expected.get(job, float("inf")))

    def tasks_of(self, job: Job) -> list[Task]:
        """List the evaluations that read the observations of a job."""
        return [task for task in self.tasks if task.job is job]


@dataclass(frozen=True)
class Started:
    """A job has started."""

    job: Job


@dataclass(frozen=True)
class Finished:
    """A job is done, whatever came of it."""

    job: Job


@dataclass(frozen=True)
class Recorded:
    """All evaluations of a claim are done and its result is stored."""

    result: ClaimResult


Event = Started | Finished | Recorded


@dataclass(frozen=True)
class CompletedRun:
    """A run with its results, in the order of the claims."""

    run: Run
    results: tuple[ClaimResult, ...]


def ignore(event: Event) -> None:
    """Listen to nothing."""


def run(
    *patterns: str,
    profile: Profile = "standard",
    source: str | None = None,
    seeds: int | None = None,
    data: str | None = None,
    results: Path | str = RESULTS,
    workers: int | None = None,
) -> CompletedRun:
    """Run claims with their controls and corrections, and record the results.

    Worker processes import the main module again: a script that calls this keeps the call below
    ``if __name__ == "__main__":``, or sets ``workers=0``.

    Args:
        *patterns: ids, modules, shell patterns, tags or files; none for all registered claims.
        profile: ``smoke``, ``standard`` or ``full``.
        source: only claims from this document or section, such as ``lectures 3.5``.
        seeds: exactly this many; by default those of the profile.
        data: data set for the claims that have a parameter ``data``.
        results: folder that receives the results.
        workers: number of worker processes; 0 for none, by default one for each core.

    Raises:
        ReproError: wrong usage, or a folder that cannot be used.
    """
    claims = registry.find(*patterns, source=source)
    planned = plan(claims, profile, seeds=seeds, overrides=data_overrides(claims, data))
    store = Store.open(Path(results))
    return execute(with_times(planned, store), store, workers)


def check(
    claim: str | Claim, *, profile: Profile = "standard", seeds: int | None = None, **parameters: object
) -> Verdict:
    """Check one claim in this process, without its counterparts; nothing is stored.

    Args:
        claim: id of a claim, a file that defines it (see ``repro.registry.get``), or a claim.
        profile: whose parameters and number of seeds to use.
        seeds: exactly this many.
        **parameters: of the claim, replacing those of the profile.

    Returns:
        The verdict, with ``observations`` and ``figure()``; a notebook shows it with its statement and its figure.

    Raises:
        ReproError: no such claim or parameter. What the experiment raises is raised.
    """
    chosen = registry.get(claim) if isinstance(claim, str) else claim
    variant = chosen.variants(profile, parameters)[0]
    chosen_seeds = seeds_of(chosen, profile, seeds)
    observations = chosen(list(chosen_seeds), **variant.parameters) if chosen_seeds else chosen(**variant.parameters)
    verdict = replace(chosen.criterion(observations), statement=variant.statement)
    return _with_figure(chosen, verdict)


def plan(
    claims: Sequence[Claim],
    profile: Profile,
    *,
    seeds: int | None = None,
    overrides: Mapping[str, Parameters] | None = None,
) -> Plan:
    """Decide what is executed. Evaluations with the same experiment, parameters and seeds share one job.

    Args:
        claims: to be run.
        profile: how much work.
        seeds: exactly this many; by default at most those of the profile, capped by what the claim finds useful, and no
            more than its verdict takes.
        overrides: parameters that replace those of the profile, by claim id.

    Raises:
        ReproError: seeds below one, or an override that its claim does not have.
    """
    overrides = overrides or {}
    jobs: dict[str, Job] = {}
    tasks = []
    for claim in claims:
        for variant in claim.variants(profile, overrides.get(claim.id)):
            job = _job(claim, variant, seeds_of(claim, profile, seeds))
            tasks.append(Task(claim, variant, jobs.setdefault(job.key, job)))
    references = published(profile) if seeds is None else {}
    comparable = {claim.id for claim in claims} - set(overrides)
    statuses = {name: reference.status for name, reference in references.items() if name in comparable}
    sampled = {task.job for task in tasks if task.claim.criterion.has_sampling_error} if seeds is None else set()
    return Plan(
        profile,
        tuple(claims),
        tuple(tasks),
        statuses,
        {job: looks(len(job.seeds)) if job in sampled else (Look(len(job.seeds)),) for job in jobs.values()},
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


def with_times(plan: Plan, store: Store) -> Plan:
    """Add how long each job is expected to take: as measured last in this results folder, else as published."""
    known: dict[tuple[str, Kind], float] = {}
    for name, claim in published(plan.profile).items():
        known[name, "claim"] = claim.seconds
        known |= {(name, kind): counterpart.seconds for kind, counterpart in claim.counterparts.items()}
    known |= store.seconds(plan.profile, backend.name())
    expected: dict[Job, float] = {}
    for task in plan.tasks:
        seconds = known.get((task.claim.id, task.variant.kind), 0.0)
        if seconds > 0:  # zero where another evaluation bore the cost
            expected[task.job] = max(expected.get(task.job, 0.0), seconds)
    return replace(plan, expected=expected)


def seeds_of(claim: Claim, profile: Profile, seeds: int | None) -> tuple[int, ...]:
    """Return the seeds that a claim is run with at most, none for a claim without randomness.

    Raises:
        ReproError: fewer than one is asked for.
    """
    if seeds is not None and seeds < 1:
        raise ReproError(f"seeds must be at least 1, not {seeds}")
    if not claim.takes_seeds:
        return ()
    useful = SEEDS[profile] if claim.seeds is None else min(SEEDS[profile], claim.seeds)
    return tuple(range(useful if seeds is None else seeds))


def expected_seconds(plan: Plan, jobs: Iterable[Job], count: int) -> float:
    """Estimate how long jobs take on ``count`` workers, those of unknown time left out."""
    jobs = list(jobs)
    together = [plan.expected.get(job, 0.0) for job in jobs if not job.alone]
    alone = [plan.expected.get(job, 0.0) for job in jobs if job.alone]
    return makespan(together, count) + sum(alone)


def makespan(seconds: Iterable[float], count: int) -> float:
    """Return when the last job ends if each goes to the worker that is free first.

    Args:
        seconds: that the jobs take, in the order in which they start.
        count: number of workers; 0 and 1 both mean one after the other.
    """
    free_at = [0.0] * max(count, 1)
    for duration in seconds:
        heapq.heapreplace(free_at, free_at[0] + duration)
    return max(free_at)


def number_of_workers(plan: Plan, asked: int | None = None) -> int:
    """Return the number of workers: as many as asked, by default one a core, and no more than there are jobs."""
    return min(environment.cores() if asked is None else asked, len(plan.jobs))


def execute(
    plan: Plan, store: Store, workers: int | None = None, listen: Callable[[Event], None] = ignore
) -> CompletedRun:
    """Execute a plan. Results are recorded one by one, so that an interrupted run keeps what is done.

    Args:
        plan: what to do.
        store: receives the results.
        workers: number of worker processes; 0 for none, by default one for each core.
        listen: called with what happens.

    Raises:
        StoreError: results cannot be written.
    """
    with start_workers(number_of_workers(plan, workers), store.folder / "workers.log") as pool:
        started = datetime.now(UTC)
        new = Run(
            id=f"{started:%Y%m%dT%H%M%S}-{secrets.token_hex(2)}",
            started=started.isoformat(timespec="seconds"),
            profile=plan.profile,
            backend=backend.name(),
            environment=pool.environment(),
        )
        store.begin(new)
        results: dict[str, ClaimResult] = {}
        for result in _results(plan, store, pool, listen):
            store.record(new.id, result)
            results[result.id] = result
            listen(Recorded(result))
    return CompletedRun(new, tuple(results[claim.id] for claim in plan.claims))


def judge(
    task: Task, made: JobResult, *, look: Look | None = None, stored: str | None = None, seconds: float = 0.0
) -> Evaluation:
    """Turn what a job made into an evaluation.

    Args:
        task: which reads the job.
        made: by the job, up to the look.
        look: at a growing sample; by default the only one, at all seeds.
        stored: key of the stored observations.
        seconds: that the evaluation has cost.
    """
    look = look or Look(len(task.job.seeds))
    evaluation = Evaluation(
        kind=task.variant.kind,
        statement=task.variant.statement,
        parameters=task.variant.parameters,
        seeds=task.job.seeds[: look.seeds],
        status="error" if made.traceback else "skipped",
        observations=stored,
        seconds=seconds,
        memory=made.memory,
        message=made.message,
        traceback=made.traceback,
    )
    if made.observations is None:
        return evaluation
    try:
        observations = task.claim.read(made.observations, task.variant.parameters)
        verdict = judge_at(look, task.claim.criterion, observations)
    except Exception as error:  # noqa: BLE001  a claim that cannot be judged must not end the run
        return replace(evaluation, status="error", message=one_line(error), traceback=traceback.format_exc())
    return replace(evaluation, status=verdict.status, verdict=_with_figure(task.claim, verdict))


def _results(plan: Plan, store: Store, pool: Workers, listen: Callable[[Event], None]) -> Iterator[ClaimResult]:
    evaluations: dict[Task, Evaluation] = {}
    costs: dict[Task, float] = defaultdict(float)

    def undecided(job: Job) -> list[Task]:
        return [task for task in plan.tasks_of(job) if task not in evaluations]

    looks_of = {job: plan.looks[job] for job in plan.jobs}
    for sample in grow(pool, looks_of, undecided, lambda job: listen(Started(job))):
        tasks = undecided(sample.job)
        costs[tasks[0]] += sample.seconds
        ready = [task for task in tasks if sample.last or _is_decided(task, sample)]
        if ready == tasks:
            listen(Finished(sample.job))
        if ready:
            stored, made = _stored(store, sample.made)
            for task in ready:
                evaluations[task] = judge(task, made, look=sample.look, stored=stored, seconds=costs[task])
        yield from _complete(plan, evaluations, ready)


def _is_decided(task: Task, sample: Sample) -> bool:
    verdict = judge(task, sample.made, look=sample.look).verdict
    return verdict is None or decided(verdict)


def _complete(plan: Plan, evaluations: Mapping[Task, Evaluation], new: Sequence[Task]) -> Iterator[ClaimResult]:
    """Yield the results of claims whose last evaluation is among the new ones."""
    for claim in dict.fromkeys(task.claim for task in new):
        of_claim = [task for task in plan.tasks if task.claim is claim]
        if all(task in evaluations for task in of_claim):
            main, *counterparts = (evaluations[task] for task in of_claim)
            yield ClaimResult(claim.id, main, tuple(counterparts), plan.published.get(claim.id))


def _stored(store: Store, made: JobResult) -> tuple[str | None, JobResult]:
    if made.observations is None:
        return None, made
    try:
        return store.write_observations(made.observations), made
    except ObservationsError as error:  # a table that cannot be stored is a mistake of its experiment
        return None, replace(made, observations=None, message=one_line(error), traceback=traceback.format_exc())


def _job(claim: Claim, variant: Variant, seeds: tuple[int, ...]) -> Job:
    return Job(
        experiment=claim.experiment,
        parameters=claim.experiment_parameters(variant.parameters),
        seeds=seeds,
        requires=claim.requires,
        alone="timing" in claim.tags,
        file=file_of(claim),
    )


def _with_figure(claim: Claim, verdict: Verdict) -> Verdict:
    figure = claim.figure
    if figure is None:
        return verdict
    return replace(verdict, draw=lambda verdict: figure(verdict.observations, verdict))
