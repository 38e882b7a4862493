"""Runs claims: execute the jobs of a plan, judge their observations, record the results."""

from __future__ import annotations

import secrets
import traceback
from collections import defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

from repro import backend, planning, registry
from repro.claim import Claim, Profile
from repro.cluster import start_workers
from repro.errors import ObservationsError
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
    plan = planning.plan(claims, profile, seeds=seeds, overrides=planning.data_overrides(claims, data))
    store = Store.open(Path(results))
    return execute(planning.with_times(plan, store), store, workers)


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
    with start_workers(planning.number_of_workers(plan, workers), store.folder / "workers.log") as pool:
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


def _with_figure(claim: Claim, verdict: Verdict) -> Verdict:
    figure = claim.figure
    if figure is None:
        return verdict
    return replace(verdict, draw=lambda verdict: figure(verdict.observations, verdict))
