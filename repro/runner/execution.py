"""Runs claims: executes the jobs of a plan, judges their observations, records the results."""

from __future__ import annotations

import secrets
import traceback
from collections import defaultdict
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import AbstractContextManager, closing
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pandas as pd

from repro.catalogue import Claim, Profile, registry, user_files
from repro.common import ObservationsError, ReproError, one_line, paths
from repro.criteria import Scores, contrast
from repro.engine import backend
from repro.results import ClaimResult, Evaluation, Outcome, Run, Store
from repro.runner import cluster, marking, planning, resumption
from repro.runner.interim import Look, Stage, grow, is_decided, judge_at
from repro.runner.jobs import Job, JobResult, Workers
from repro.runner.planning import Plan, Task


@dataclass(frozen=True)
class Begun:
    """Workers are there and the plan is about to be executed.

    Attributes:
        plan: Plan to be executed.
        run: Run that receives the results.
        workers: Number of worker processes; 0 for none.
        folder: Folder that receives the results.
        resumed: Whether the run was begun before.
    """

    plan: Plan
    run: Run
    workers: int
    folder: Path
    resumed: bool


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


Event = Begun | Started | Finished | Recorded
Listener = Callable[[Event], None]


@dataclass(frozen=True)
class CompletedRun:
    """A run with its results, in the order of the claims."""

    run: Run
    results: tuple[ClaimResult, ...]


def ignore(event: Event) -> None:
    """Ignore an event."""


def run(
    *patterns: str,
    profile: Profile = "standard",
    source: str | None = None,
    seeds: int | None = None,
    data: str | None = None,
    results: Path | str = paths.RESULTS,
    workers: int | None = None,
    scheduler: str | None = None,
    resume: str | None = None,
    listen: Listener = ignore,
) -> CompletedRun:
    """Run claims with their controls and corrections, and record the results.

    Worker processes import the main module again: a script that calls this keeps the call below
    ``if __name__ == "__main__":``, or sets ``workers=0``.

    Args:
        *patterns: Ids, modules, shell patterns, tags or files; none for all registered claims.
        profile: Profile of the run: ``smoke``, ``standard`` or ``full``.
        source: Document or section that the claims come from, such as ``lectures 3.5``.
        seeds: Exact number of seeds; by default those of the profile.
        data: Data set for the claims that have a parameter ``data``.
        results: Folder that receives the results.
        workers: Number of worker processes; 0 for none, by default one for each core.
        scheduler: Address of a Dask cluster whose workers are used instead.
        resume: Id of an unfinished run, or ``latest``: only what it lacks is executed, and recorded as part of it.
            It knows its claims, profile, seeds and data; files of the user's own are named again.
        listen: Function that is called with each event.

    Raises:
        ReproError: wrong usage, a folder that cannot be used, or a run that was begun under other conditions.
    """
    folder = Path(results)
    if resume is not None:
        named = [pattern for pattern in patterns if not user_files.names_file(pattern)]
        if named or (profile, source, seeds, data) != ("standard", None, None, None):
            raise ReproError("resume takes claims, profile, source, seeds and data from the run; leave them out")
        store = Store.existing(folder)
        resumed = resumption.find_unfinished(store, resume)
        backend.select(resumed.backend)
        plan = resumption.plan_rest(resumed, store, registry.find(*patterns) if patterns else [])
        return execute(plan, folder, workers, listen, scheduler=scheduler, resumed=resumed)
    claims = registry.find(*patterns, source=source)
    plan = planning.make_plan(claims, profile, seeds=seeds, overrides=planning.data_overrides(claims, data))
    return execute(plan, folder, workers, listen, scheduler=scheduler)


def execute(
    plan: Plan,
    results: Path,
    workers: int | None = None,
    listen: Listener = ignore,
    *,
    scheduler: str | None = None,
    resumed: Run | None = None,
) -> CompletedRun:
    """Execute a plan. Results are recorded one by one, so that an interrupted run keeps what is done.

    Args:
        plan: Plan to be executed.
        results: Folder that receives the results; made if missing, once there are workers.
        workers: Number of worker processes; 0 for none, by default one for each core.
        listen: Function that is called with each event.
        scheduler: Address of a cluster whose workers are used instead.
        resumed: Run that receives the results; by default a new one.

    Raises:
        ReproError: workers and a cluster are asked for, the run was begun under other conditions, or the cluster cannot
            be used.
        StoreError: results cannot be written.
    """
    with _open_workers(plan, results, workers, scheduler) as pool:
        store = Store.open(results)
        plan = planning.with_expected_times(plan, store)
        environment = pool.environment()
        run = new_run(plan, environment) if resumed is None else resumed
        if resumed is None:
            store.begin(run)
        else:
            resumption.check_environment(run, environment)
        listen(Begun(plan, run, pool.count, store.folder, resumed is not None))
        found = {result.id: result for result in store.results(run.id)}
        with closing(evaluate(plan, store.write_observations, pool, listen)) as new:  # jobs end before the workers do
            for result in new:
                store.record(run.id, result)
                found[result.id] = result
                listen(Recorded(result))
    names = plan.request.claims if run.request is None else run.request.claims
    return CompletedRun(run, tuple(found[name] for name in names))


def evaluate(
    plan: Plan, keep: Callable[[pd.DataFrame], str], pool: Workers, listen: Listener = ignore
) -> Generator[ClaimResult, None, None]:
    """Execute the jobs of a plan and judge what they observe.

    Args:
        plan: Plan to be executed.
        keep: Function that keeps a table of observations and returns a key for it.
        pool: Workers that execute the jobs.
        listen: Function that is called when jobs start and finish.

    Yields:
        The result of each claim as soon as its last evaluation is done.
    """
    evaluations: dict[Task, Evaluation] = {}
    scores: dict[Task, dict[str, Scores]] = {}
    costs: dict[Task, float] = defaultdict(float)

    def undecided(job: Job) -> list[Task]:
        return [task for task in plan.tasks_of(job) if task not in evaluations]

    looks_of = {job: plan.looks[job] for job in plan.jobs}
    for stage in grow(pool, looks_of, undecided, lambda job: listen(Started(job))):
        tasks = undecided(stage.job)
        costs[tasks[0]] += stage.seconds
        ready = [task for task in tasks if stage.last or _is_decided(task, stage)]
        if ready == tasks:
            listen(Finished(stage.job))
        if ready:
            stored, made = _kept(keep, stage.made)
            for task in ready:
                evaluations[task] = judge(task, made, look=stage.look, stored=stored, seconds=costs[task])
                scores[task] = _scores(task, made, evaluations[task])
        for claim in dict.fromkeys(task.claim for task in ready):
            tasks_of_claim = [task for task in plan.tasks if task.claim is claim]
            if all(task in evaluations for task in tasks_of_claim):
                yield _result(claim, tasks_of_claim, evaluations, scores, plan.published.get(claim.id))


def judge(
    task: Task, made: JobResult, *, look: Look | None = None, stored: str | None = None, seconds: float = 0.0
) -> Evaluation:
    """Turn what a job made into an evaluation.

    Args:
        task: Task that reads the job.
        made: Outcome of the job up to the look.
        look: Look at a growing sample; by default the only one, at all seeds.
        stored: Key of the stored observations.
        seconds: Time in seconds that the evaluation has cost.
    """
    look = look or Look(len(task.job.seeds))
    evaluation = Evaluation(
        role=task.variant.role,
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
        verdict = judge_at(look, task.variant, observations)
        own = task.variant.role == "claim"
        marks = tuple(marking.of_observations(task.claim, observations, verdict)) if own else ()
    except Exception as error:  # noqa: BLE001  a claim that cannot be judged must not end the run
        return replace(evaluation, status="error", message=one_line(error), traceback=traceback.format_exc())
    return replace(evaluation, status=verdict.status, verdict=verdict, marks=marks)


def new_run(plan: Plan, environment: dict[str, Any]) -> Run:
    """Begin a run now.

    Args:
        plan: Plan of the run.
        environment: Versions and hardware of its workers, see ``repro.runner.environment``.
    """
    started = datetime.now(UTC)
    return Run(
        id=f"{started:%Y%m%dT%H%M%S}-{secrets.token_hex(2)}",
        started=started.isoformat(timespec="seconds"),
        profile=plan.profile,
        backend=backend.name(),
        environment=environment,
        request=plan.request,
    )


def _open_workers(
    plan: Plan, results: Path, workers: int | None, scheduler: str | None
) -> AbstractContextManager[Workers]:
    if scheduler is None:
        return cluster.start_workers(planning.number_of_workers(plan, workers), results.absolute() / "workers.log")
    if workers is not None:
        raise ReproError("workers are those of the cluster; leave out their number, or the scheduler")
    return cluster.connect(scheduler)


def _is_decided(task: Task, stage: Stage) -> bool:
    verdict = judge(task, stage.made, look=stage.look).verdict
    return verdict is None or is_decided(verdict)


def _result(
    claim: Claim,
    tasks: Sequence[Task],
    evaluations: Mapping[Task, Evaluation],
    scores: Mapping[Task, Mapping[str, Scores]],
    published: Outcome | None,
) -> ClaimResult:
    """Put the evaluations of a claim together: what its counterparts say of its verdict needs all of them."""
    own, *others = tasks
    counterparts = [
        replace(evaluations[task], contrast=contrast(scores[own], scores[task]))
        if task.variant.role == "control"
        else evaluations[task]
        for task in others
    ]
    evaluation = evaluations[own]
    if evaluation.verdict is not None:
        marks = marking.of_counterparts(claim, evaluation.verdict, counterparts)
        evaluation = replace(evaluation, marks=(*evaluation.marks, *marks))
    return ClaimResult(claim.id, evaluation, tuple(counterparts), published)


def _scores(task: Task, made: JobResult, evaluation: Evaluation) -> dict[str, Scores]:
    """Say for each cell how far each seed is on the side where the statement holds; nothing without a verdict."""
    if made.observations is None or evaluation.verdict is None or task.variant.role not in ("claim", "control"):
        return {}
    return task.variant.criterion.scores(task.claim.read(made.observations, task.variant.parameters))


def _kept(keep: Callable[[pd.DataFrame], str], made: JobResult) -> tuple[str | None, JobResult]:
    if made.observations is None:
        return None, made
    try:
        return keep(made.observations), made
    except ObservationsError as error:  # a table that cannot be stored is a mistake of its experiment
        return None, replace(made, observations=None, message=one_line(error), traceback=traceback.format_exc())
