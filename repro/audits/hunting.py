"""Faults planted one at a time, and which claims notice them."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from concurrent.futures.process import BrokenProcessPool
from dataclasses import dataclass
from fnmatch import fnmatchcase

from repro.audits.faults import SPECIAL, Fault, candidates, faults_of
from repro.audits.mutations import Function, has_floats, planted
from repro.audits.processes import in_fresh_processes
from repro.catalogue import Claim, Role, registry
from repro.common import ReproError
from repro.results import Outcome, PublishedClaim
from repro.runner import Job, Plan, ThisProcess, judge, make_plan

Evaluated = tuple[str, Role]
Statuses = Mapping[Evaluated, Outcome]
Listener = Callable[[str], None]


@dataclass(frozen=True)
class Trace:
    """Record of what an experiment does in a framework without faults.

    Attributes:
        job: Key of the job.
        targets: Functions and methods of Keras that it used.
        statuses: Statuses of the evaluations that read its observations.
        seconds: Time that it took, in seconds.
    """

    job: str
    targets: frozenset[str]
    statuses: Statuses
    seconds: float


@dataclass(frozen=True)
class Hunt:
    """A fault, and where to look for its effects.

    Attributes:
        fault: Fault to be planted.
        claims: Ids of the claims that take part in the audit.
        jobs: Keys of the jobs that use the fault's target, in the order in which they are tried.
        expected: Status that each evaluation has without the fault.
    """

    fault: Fault
    claims: tuple[str, ...]
    jobs: tuple[str, ...]
    expected: Statuses


@dataclass(frozen=True)
class Found:
    """Outcome of planting a fault.

    Attributes:
        name: Name of the fault.
        by: Evaluation that came out otherwise, and how; empty where the fault escaped.
        used_by: Ids of the claims whose experiments use what is faulty; they did not notice a fault that escaped.
    """

    name: str
    by: str
    used_by: tuple[str, ...] = ()

    @property
    def caught(self) -> bool:
        """Whether a claim noticed."""
        return bool(self.by)


def audit_faults(
    claims: Sequence[Claim],
    references: Mapping[str, PublishedClaim],
    *,
    pattern: str = "*",
    workers: int = 1,
    listen: Listener = lambda _: None,
) -> list[Found]:
    """Plant one fault at a time and run the claims that it may affect at smoke, until the first one notices.

    Each experiment is run once without faults, in a process of its own, to see which classes and ops of Keras it uses.
    Evaluations whose status then differs from the published one cannot bear witness and are left out.

    Args:
        claims: Claims that are to notice the faults.
        references: Published verdicts at smoke, by id.
        pattern: Shell pattern of the names of the faults.
        workers: Number of processes at a time; 0 to use this process.
        listen: Function that is called with each line of progress.

    Returns:
        One entry for each fault in a class or op that the claims use, in the order of their names.

    Raises:
        ReproError: no claim is published at smoke, no fault matches, or a claim does not run without faults.
    """
    ids = tuple(claim.id for claim in claims if claim.id in references)
    if not ids:
        raise ReproError("none of these claims has a published verdict at smoke, so no difference can be seen")
    traces = _traces(ids, workers, listen)
    expected = _trustworthy(traces, published_statuses(references), listen)
    targets = sorted(frozenset().union(*(trace.targets for trace in traces)))
    faults = [fault for target in targets for fault in faults_of(target) if fnmatchcase(fault.name, pattern)]
    if not faults:
        raise ReproError(f"no fault in what these claims use matches {pattern!r}; give --fault another pattern")
    hunts = [
        Hunt(fault, ids, tuple(trace.job for trace in traces if fault.target in trace.targets), expected)
        for fault in faults
    ]
    plan = _plan(ids)
    claims_of = {job.key: [task.claim.id for task in plan.tasks_of(job)] for job in plan.jobs}
    found = []
    for chosen, by in in_fresh_processes(hunt, hunts, workers):
        name = chosen.fault.name
        if isinstance(by, Exception) and not isinstance(by, BrokenProcessPool):
            raise by
        noticed = by if isinstance(by, str) else "the process died, which leaves no verdict"
        users = dict.fromkeys(claim for job in chosen.jobs for claim in claims_of[job])
        found.append(Found(name, noticed, tuple(users)))
        listen(f"{len(found)}/{len(hunts)} {name}: {noticed or 'escaped'}")
    return sorted(found, key=lambda each: each.name)


def published_statuses(references: Mapping[str, PublishedClaim]) -> Statuses:
    """List the published status of every evaluation."""
    statuses: dict[Evaluated, Outcome] = {}
    for name, claim in references.items():
        statuses[name, "claim"] = claim.status
        statuses |= {(name, kind): counterpart.status for kind, counterpart in claim.counterparts.items()}
    return statuses


def trace(claims_and_job: tuple[tuple[str, ...], str]) -> Trace:
    """Run one job of some claims without faults, and note which functions and methods of Keras it uses.

    Args:
        claims_and_job: Ids of the claims, and the key of one of their jobs at smoke.
    """
    claims, key = claims_and_job
    plan = _plan(claims)
    used: set[str] = set()
    with planted({target: _Recorder(target, used) for target in candidates()}):
        statuses, seconds = _perform(plan, _job(plan, key))
    return Trace(key, frozenset(used), statuses, seconds)


def hunt(chosen: Hunt) -> str:
    """Plant a fault and run jobs until an evaluation comes out otherwise than expected.

    Returns:
        That evaluation with both statuses; empty where there is none.
    """
    plan = _plan(chosen.claims)
    with planted({chosen.fault.target: chosen.fault.mutation}):
        for key in chosen.jobs:
            statuses, _ = _perform(plan, _job(plan, key))
            for (name, kind), status in statuses.items():
                expected = chosen.expected.get((name, kind), status)
                if status != expected:
                    return f"{name}, {kind} {status} instead of {expected}"
    return ""


@dataclass(frozen=True)
class _Recorder:
    """A mutation that changes nothing and notes a call in which a fault could show."""

    target: str
    used: set[str]

    def __call__(self, original: Function) -> Function:
        def recorded(*arguments: object, **options: object) -> object:
            result = original(*arguments, **options)
            if result is None or self.target in SPECIAL or has_floats(result):
                self.used.add(self.target)
            return result

        return recorded


def _traces(ids: tuple[str, ...], workers: int, listen: Listener) -> list[Trace]:
    """Trace every job, cheapest first."""
    jobs = [(ids, job.key) for job in _plan(ids).jobs]
    traces: list[Trace] = []
    for _, traced in in_fresh_processes(trace, jobs, workers):
        if isinstance(traced, Exception):
            raise ReproError(f"without faults an experiment ended its process: {traced}") from traced
        traces.append(traced)
        listen(f"{len(traces)}/{len(jobs)} experiments without faults")
    return sorted(traces, key=lambda each: each.seconds)


def _trustworthy(traces: Sequence[Trace], published: Statuses, listen: Listener) -> Statuses:
    """Select the evaluations that come out as published without faults."""
    found = {evaluated: status for each in traces for evaluated, status in each.statuses.items()}
    for (name, kind), status in found.items():
        if published.get((name, kind)) != status:
            listen(f"{name}, {kind}: left out; {status} without faults, published {published.get((name, kind))}")
    return {evaluated: status for evaluated, status in found.items() if published.get(evaluated) == status}


def _plan(ids: Sequence[str]) -> Plan:
    return make_plan([registry.get(name) for name in ids], "smoke")


def _job(plan: Plan, key: str) -> Job:
    return next(job for job in plan.jobs if job.key == key)


def _perform(plan: Plan, job: Job) -> tuple[dict[Evaluated, Outcome], float]:
    ((_, made),) = ThisProcess().perform([job], lambda _: None)
    statuses = {(task.claim.id, task.variant.role): judge(task, made).status for task in plan.tasks_of(job)}
    return statuses, made.seconds
