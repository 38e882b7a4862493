"""Performs jobs: experiments with their parameters and seeds, in worker processes or in this process."""

from __future__ import annotations

import functools
import importlib
import logging
import operator
import os
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from typing import Any, Protocol

import pandas as pd
from etils import epy

from repro import backend, environment
from repro.claim import Claim, Experiment, Parameters
from repro.claim_files import ClaimFile, load
from repro.errors import ClaimError, DataUnavailableError, ReproError

with epy.lazy_imports():
    import dask
    import distributed
    import psutil


@dataclass(frozen=True, eq=False)
class Job:
    """An experiment to be executed once, however many evaluations read its observations.

    Attributes:
        experiment: function that makes the observations.
        parameters: its keyword arguments.
        seeds: its first argument; empty for an experiment without randomness.
        requires: ``tensorflow`` or ``gpu``, without which it is skipped.
        alone: whether nothing else may run at the same time.
        file: of the user's own, by which the experiment comes; None where it is importable without.
    """

    experiment: Experiment
    parameters: Parameters
    seeds: tuple[int, ...]
    requires: tuple[str, ...] = ()
    alone: bool = False
    file: ClaimFile | None = None

    @property
    def reference(self) -> str:
        """Where the experiment is defined, as ``module:name``."""
        return f"{self.experiment.__module__}:{self.experiment.__qualname__}"

    @property
    def key(self) -> str:
        """Text that is the same for jobs that make the same observations under the same conditions."""
        return repr((self.reference, sorted(self.parameters.items()), self.seeds, self.requires, self.alone))


@dataclass(frozen=True)
class JobResult:
    """What executing a job gave: observations, or the reason why there are none.

    Attributes:
        observations: None if the job was skipped or failed.
        seconds: wall time.
        memory: peak resident memory of the process in bytes.
        message: one line that says why there are no observations.
        traceback: of the error; empty if the job was skipped.
    """

    observations: pd.DataFrame | None
    seconds: float = 0.0
    memory: int = 0
    message: str = ""
    traceback: str = ""

    def followed_by(self, block: JobResult) -> JobResult:
        """Add a further block of seeds; without its observations there are none at all."""
        observations = block.observations
        if observations is not None:
            observations = pd.concat([self.observations, observations], ignore_index=True)
            observations.attrs = {} if self.observations is None else self.observations.attrs
        return JobResult(
            observations, self.seconds + block.seconds, max(self.memory, block.memory), block.message, block.traceback
        )


class Workers(Protocol):
    """Somewhere that executes jobs."""

    def environment(self) -> dict[str, Any]:
        """Describe where the jobs are executed, see ``repro.environment``."""

    def perform(self, jobs: Sequence[Job], started: Callable[[Job], None]) -> Iterator[tuple[Job, JobResult]]:
        """Execute jobs, in this order as workers become free.

        Args:
            jobs: what to execute; those that must run alone are executed when the others are done.
            started: called when a job starts.

        Yields:
            Each job as soon as it is done.
        """


@contextmanager
def start_workers(count: int, log: Path) -> Iterator[Workers]:
    """Start workers; they end with the context.

    Args:
        count: number of worker processes of one thread each; 0 executes the jobs in this process.
        log: file that receives what worker processes print.
    """
    if count == 0:
        yield ThisProcess()
        return
    settings = {
        "distributed.scheduler.allowed-failures": 0,  # what ended a worker once would end the next one too
        "distributed.deploy.lost-worker-timeout": "1 day",  # the cluster would close what replaces a worker meanwhile
        "distributed.comm.timeouts.connect": "60s",  # loading Keras can keep a busy machine's workers from answering
    }
    # Were it loaded inside the settings, its own defaults would end with them.
    local_cluster: Callable[..., Any] = distributed.LocalCluster
    with (
        dask.config.set(settings),
        local_cluster(
            n_workers=count,
            threads_per_worker=1,
            memory_limit=0,
            host="127.0.0.1",
            dashboard_address="127.0.0.1:0",  # None would claim the usual port, and warn where it is taken
            silence_logs=logging.CRITICAL,
        ) as cluster,
        distributed.Client(cluster) as client,
    ):
        yield DaskWorkers(client, count, log)


def largest_worker(count: int) -> float:
    """Peak memory in bytes after which a worker is replaced: together they may keep a quarter of the machine's."""
    return float(psutil.virtual_memory().total / (4 * count))


class ThisProcess:
    """Executes jobs one after the other in this process."""

    def environment(self) -> dict[str, Any]:
        """Describe this process."""
        return environment.describe()

    def perform(self, jobs: Sequence[Job], started: Callable[[Job], None]) -> Iterator[tuple[Job, JobResult]]:
        """Execute jobs in order."""
        for job in sorted(jobs, key=lambda job: job.alone):
            started(job)
            yield job, perform(job.experiment, job.parameters, job.seeds, job.requires)


@dataclass(frozen=True)
class DaskWorkers:
    """Executes jobs in the workers of a Dask cluster.

    Attributes:
        client: of the cluster.
        count: number of workers.
        log: file that receives what the workers print.
    """

    client: Any
    count: int
    log: Path

    def environment(self) -> dict[str, Any]:
        """Describe the workers' environment; they all load Keras meanwhile, at the same time."""
        described: dict[str, dict[str, Any]] = self.client.run(_logged, self.log, environment.describe)
        return next(iter(described.values()))

    def perform(self, jobs: Sequence[Job], started: Callable[[Job], None]) -> Iterator[tuple[Job, JobResult]]:
        """Execute as many jobs at a time as there are workers, then those that run alone."""
        yield from self._perform([job for job in jobs if not job.alone], self.count, started)
        yield from self._perform([job for job in jobs if job.alone], 1, started)

    def _perform(
        self, jobs: Sequence[Job], at_once: int, started: Callable[[Job], None]
    ) -> Iterator[tuple[Job, JobResult]]:
        waiting = iter(jobs)
        running: dict[Any, tuple[Job, str]] = {}
        completed = distributed.as_completed()

        def submit(count: int) -> None:
            for job in islice(waiting, count):
                worker = self._idle_worker({address for _, address in running.values()})
                future = self._submit(job, worker)
                running[future] = job, worker
                completed.add(future)
                started(job)

        submit(at_once)
        for future in completed:
            result = self._result(future)
            job, worker = running.pop(future)
            if result.memory > largest_worker(self.count):
                future.release()
                self.client.restart_workers([worker])  # frameworks never free the programs that they compiled
            submit(1)
            yield job, result

    def _idle_worker(self, busy: set[str]) -> str:
        """Return the address of a worker without a job: one with a job may be about to be restarted."""
        while True:
            idle: set[str] = set(self.client.scheduler_info()["workers"]) - busy
            if idle:
                return min(idle)
            time.sleep(0.05)

    def _submit(self, job: Job, worker: str) -> Any:
        arguments = (job.file, job.reference, job.parameters, job.seeds, job.requires)
        return self.client.submit(_logged, self.log, _perform_referenced, *arguments, pure=False, workers=[worker])

    def _result(self, future: Any) -> JobResult:
        try:
            result: JobResult = future.result()
        except distributed.KilledWorker as error:
            # The next job must not queue behind one that runs: it would be blamed if that one ended its worker too.
            self.client.wait_for_workers(self.count)
            message = f"the worker process died, perhaps for lack of memory; what it printed is in {self.log}"
            return JobResult(None, message=message, traceback=str(error))
        return result


def perform(experiment: Experiment, parameters: Parameters, seeds: Sequence[int], requires: Sequence[str]) -> JobResult:
    """Execute an experiment, which may raise anything.

    Args:
        experiment: function that makes the observations.
        parameters: its keyword arguments.
        seeds: its first argument; left out if empty.
        requires: ``tensorflow`` or ``gpu``.

    Returns:
        The observations with their costs, or why there are none.
    """
    backend.configure()
    unmet = [requirement for requirement in requires if requirement not in _available()]
    if unmet:
        return JobResult(None, message=f"needs {unmet[0]}, this is {backend.name()} on {backend.device()}")
    started = time.perf_counter()
    observations, message, trace = None, "", ""
    with environment.peak_memory() as memory:
        try:
            observations = experiment(list(seeds), **parameters) if seeds else experiment(**parameters)
            if not isinstance(observations, pd.DataFrame):
                raise ClaimError(f"{experiment.__qualname__} returned {type(observations).__name__}, not a DataFrame")
        except DataUnavailableError as unavailable:
            message = str(unavailable)
        except Exception as error:  # noqa: BLE001  an experiment that fails must not end the run
            observations, message, trace = None, one_line(error), traceback.format_exc()
    return JobResult(observations, time.perf_counter() - started, memory.bytes, message, trace)


def one_line(error: Exception) -> str:
    """Return the type of an error and the first line of what it says."""
    return f"{type(error).__name__}: {error}".partition("\n")[0]


def _available() -> set[str]:
    return {backend.name()} if backend.device() == "CPU" else {backend.name(), "gpu"}


def _perform_referenced(
    file: ClaimFile | None, reference: str, parameters: Parameters, seeds: Sequence[int], requires: Sequence[str]
) -> JobResult:
    if file is not None:
        backend.configure()  # before the file can load Keras
        load(file)
    module, _, name = reference.partition(":")
    try:
        found = operator.attrgetter(name)(importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        raise ReproError(f"worker processes cannot import {reference}; run with workers=0") from error
    return perform(found.function if isinstance(found, Claim) else found, parameters, seeds, requires)


def _logged(log: Path, function: Callable[..., Any], *arguments: Any) -> Any:
    redirect_output(log)
    return function(*arguments)


@functools.cache
def redirect_output(log: Path) -> None:
    """Append what this process prints from now on to a file, what libraries print included."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)  # the descriptors and not sys.stdout, because XLA writes to them directly
    os.dup2(descriptor, 2)
    os.close(descriptor)
