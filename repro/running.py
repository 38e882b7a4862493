"""Runs claims: execute the jobs of a plan, judge their observations, record the results."""

from __future__ import annotations

import secrets
import traceback
from collections import defaultdict
from collections.abc import Callable, Generator, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from repro import backend, claim_files, cluster, planning, registry, resuming
from repro.claim import Claim, Profile
from repro.errors import ObservationsError, ReproError
from repro.planning import Plan, Task
from repro.result import ClaimResult, Evaluation, Run
from repro.sampling import Look, Sample, decided, grow, judge_at
from repro.store import Store
from repro.verdict import Verdict
from repro.workers import Job, JobResult, Workers, one_line

RESULTS = Path("repro-results")


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
    scheduler: str | None = None,
    resume: str | None = None,
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
        scheduler: address of a Dask cluster whose workers are used instead.
        resume: id of an unfinished run, or ``latest``: only what it lacks is executed, and recorded as part of it.
            It knows its claims, profile, seeds and data; files of the user's own are named again.

    Raises:
        ReproError: wrong usage, or a folder that cannot be used.
    """
    if resume is not None:
        named = [pattern for pattern in patterns if not claim_files.names_file(pattern)]
        if named or (profile, source, seeds, data) != ("standard", None, None, None):
            raise ReproError("resume takes claims, profile, source, seeds and data from the run; leave them out")
        store = Store.existing(Path(results))
        resumed = resuming.unfinished(store, resume)
        backend.select(resumed.backend)
        plan = resuming.rest(resumed, store, registry.find(*patterns) if patterns else [])
    else:
        claims = registry.find(*patterns, source=source)
        plan = planning.plan(claims, profile, seeds=seeds, overrides=planning.data_overrides(claims, data))
        store, resumed = Store.open(Path(results)), None
    count = number_of_workers(plan, workers, scheduler)
    return execute(planning.with_times(plan, store), store, count, scheduler=scheduler, resumed=resumed)


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
    chosen_seeds = planning.seeds_of(chosen, profile, seeds)
    observations = chosen(list(chosen_seeds), **variant.parameters) if chosen_seeds else chosen(**variant.parameters)
    verdict = replace(chosen.criterion(observations), statement=variant.statement)
    return _with_figure(chosen, verdict)


def number_of_workers(plan: Plan, workers: int | None = None, scheduler: str | None = None) -> int:
    """Return how many workers a run has.

    Args:
        plan: what it does.
        workers: as asked for on this machine; by default one a core, and no more than there are jobs.
        scheduler: address of a cluster whose workers are used instead.

    Raises:
        ReproError: both are asked for, or the cluster cannot be used.
    """
    if scheduler is None:
        return planning.number_of_workers(plan, workers)
    if workers is not None:
        raise ReproError("workers are those of the cluster; leave out their number, or the scheduler")
    return cluster.size(scheduler)


def execute(
    plan: Plan,
    store: Store,
    workers: int | None = None,
    listen: Callable[[Event], None] = ignore,
    *,
    scheduler: str | None = None,
    resumed: Run | None = None,
) -> CompletedRun:
    """Execute a plan. Results are recorded one by one, so that an interrupted run keeps what is done.

    Args:
        plan: what to do.
        store: receives the results.
        workers: number of worker processes; 0 for none, by default one for each core.
        listen: called with what happens.
        scheduler: address of a cluster whose workers are used instead.
        resumed: run that receives the results; by default a new one.

    Raises:
        ReproError: the run was begun under other conditions, or the cluster cannot be used.
        StoreError: results cannot be written.
    """
    with _open_workers(plan, store, workers, scheduler) as pool:
        found = pool.environment()
        if resumed is None:
            run = _new_run(plan, found)
            store.begin(run)
        else:
            run = resumed
            resuming.check_environment(run, found)
        results = {result.id: result for result in store.results(run.id)}
        with closing(_results(plan, store, pool, listen)) as new:  # jobs that run must end before the workers do
            for result in new:
                store.record(run.id, result)
                results[result.id] = result
                listen(Recorded(result))
    names = plan.request.claims if run.request is None else run.request.claims
    return CompletedRun(run, tuple(results[name] for name in names))


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


def _open_workers(
    plan: Plan, store: Store, workers: int | None, scheduler: str | None
) -> AbstractContextManager[Workers]:
    if scheduler is not None:
        return cluster.connect(scheduler)
    return cluster.start_workers(planning.number_of_workers(plan, workers), store.folder / "workers.log")


def _new_run(plan: Plan, found: dict[str, Any]) -> Run:
    started = datetime.now(UTC)
    return Run(
        id=f"{started:%Y%m%dT%H%M%S}-{secrets.token_hex(2)}",
        started=started.isoformat(timespec="seconds"),
        profile=plan.profile,
        backend=backend.name(),
        environment=found,
        request=plan.request,
    )


def _results(
    plan: Plan, store: Store, pool: Workers, listen: Callable[[Event], None]
) -> Generator[ClaimResult, None, None]:
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


def _with_figure(claim: Claim, verdict: Verdict) -> Verdict:
    figure = claim.figure
    if figure is None:
        return verdict
    return replace(verdict, draw=lambda verdict: figure(verdict.observations, verdict))
