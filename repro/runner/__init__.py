"""Runs claims: plans what is executed, executes it in one process, many workers or a cluster, judges, resumes."""

from repro.runner import environment
from repro.runner.cluster import start_workers
from repro.runner.execution import (
    Begun,
    CompletedRun,
    Event,
    Finished,
    Recorded,
    Started,
    evaluate,
    execute,
    judge,
    new_run,
    run,
)
from repro.runner.interim import Look, plan_looks
from repro.runner.jobs import Job, JobResult, ThisProcess
from repro.runner.planning import Plan, Task, expected_seconds, make_plan, makespan, seeds_of

__all__ = [
    "Begun",
    "CompletedRun",
    "Event",
    "Finished",
    "Job",
    "JobResult",
    "Look",
    "Plan",
    "Recorded",
    "Started",
    "Task",
    "ThisProcess",
    "environment",
    "evaluate",
    "execute",
    "expected_seconds",
    "judge",
    "make_plan",
    "makespan",
    "new_run",
    "plan_looks",
    "run",
    "seeds_of",
    "start_workers",
]
