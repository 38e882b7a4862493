"""Jobs, which are experiments with their parameters and seeds; what they make; and how this process performs them."""

from __future__ import annotations

import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pandas as pd

from repro.catalogue import ClaimFile, Experiment, Limits, Parameters, observe
from repro.common import DataUnavailableError, one_line
from repro.engine import backend
from repro.runner import environment


@dataclass(frozen=True, eq=False)
class Job:
    """An experiment to be executed once, however many evaluations read its observations.

    Attributes:
        experiment: Function that makes the observations.
        parameters: Keyword arguments of the experiment.
        seeds: First argument of the experiment; empty for one without randomness.
        requires: Requirements, ``tensorflow`` or ``gpu``, without which the job is skipped.
        alone: Whether nothing else may run at the same time.
        file: File of the user's own that the experiment comes from; None where it can be imported without one.
        limits: Limits beyond which a worker process that executes the job is ended; None for none.
    """

    experiment: Experiment
    parameters: Parameters
    seeds: tuple[int, ...]
    requires: tuple[str, ...] = ()
    alone: bool = False
    file: ClaimFile | None = None
    limits: Limits | None = None

    @property
    def reference(self) -> str:
        """Place where the experiment is defined, as ``module:name``."""
        return f"{self.experiment.__module__}:{self.experiment.__qualname__}"

    @property
    def key(self) -> str:
        """Text that is the same for jobs that make the same observations under the same conditions."""
        return repr((self.reference, sorted(self.parameters.items()), self.seeds, self.requires, self.alone))


@dataclass(frozen=True)
class JobResult:
    """Outcome of a job: observations, or the reason why there are none.

    Attributes:
        observations: Observations of the job; None if it was skipped or failed.
        seconds: Wall time in seconds.
        memory: Peak resident memory of the process in bytes.
        message: One line that says why there are no observations.
        traceback: Traceback of the error; empty if the job was skipped.
    """

    observations: pd.DataFrame | None
    seconds: float = 0.0
    memory: int = 0
    message: str = ""
    traceback: str = ""

    def followed_by(self, block: JobResult) -> JobResult:
        """Add a further block of seeds; if that has no observations, the whole has none."""
        observations = block.observations
        if observations is not None:
            observations = pd.concat([self.observations, observations], ignore_index=True)
            observations.attrs = {} if self.observations is None else self.observations.attrs
        return JobResult(
            observations, self.seconds + block.seconds, max(self.memory, block.memory), block.message, block.traceback
        )


class Workers(Protocol):
    """Processes that execute jobs."""

    @property
    def count(self) -> int:
        """Number of worker processes; 0 where jobs are executed in this one."""

    def environment(self) -> dict[str, Any]:
        """Describe where the jobs are executed, see ``repro.runner.environment``."""

    def perform(self, jobs: Sequence[Job], started: Callable[[Job], None]) -> Iterator[tuple[Job, JobResult]]:
        """Execute jobs, in this order as workers become free.

        Args:
            jobs: Jobs to be executed; those that must run alone are executed when the others are done.
            started: Function that is called when a job starts.

        Yields:
            Each job with its result, as soon as it is done.
        """


class ThisProcess:
    """Executor of jobs in this process, one after the other, without limits.

    Attributes:
        count: Number of worker processes, which is 0.
    """

    count = 0

    def environment(self) -> dict[str, Any]:
        """Describe this process."""
        return environment.describe()

    def perform(self, jobs: Sequence[Job], started: Callable[[Job], None]) -> Iterator[tuple[Job, JobResult]]:
        """Execute jobs in order, those that must run alone last."""
        for job in sorted(jobs, key=lambda job: job.alone):
            started(job)
            yield job, perform(job.experiment, job.parameters, job.seeds, job.requires)


def perform(experiment: Experiment, parameters: Parameters, seeds: Sequence[int], requires: Sequence[str]) -> JobResult:
    """Execute an experiment, which may raise anything.

    Args:
        experiment: Function that makes the observations.
        parameters: Keyword arguments of the experiment.
        seeds: Seeds of the observations; empty for an experiment without randomness.
        requires: Requirements, ``tensorflow`` or ``gpu``, without which the experiment is skipped.

    Returns:
        The observations with their costs, or the reason why there are none.
    """
    backend.configure()
    unmet = [requirement for requirement in requires if requirement not in _available()]
    if unmet:
        return JobResult(None, message=f"needs {unmet[0]}, this is {backend.name()} on {backend.device()}")
    started = time.perf_counter()
    observations, message, trace = None, "", ""
    with environment.peak_memory() as memory:
        try:
            observations = observe(experiment, seeds, **parameters)
        except DataUnavailableError as unavailable:
            message = str(unavailable)
        except Exception as error:  # noqa: BLE001  an experiment that fails must not end the run
            observations, message, trace = None, one_line(error), traceback.format_exc()
    return JobResult(observations, time.perf_counter() - started, memory.bytes, message, trace)


def _available() -> set[str]:
    return {backend.name()} if backend.device() == "CPU" else {backend.name(), "gpu"}
