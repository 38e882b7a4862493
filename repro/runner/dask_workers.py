"""Executes jobs in the workers of a Dask cluster.

Each worker has one job at a time. The nanny of a worker, a process beside it, tells how much memory it has and ends it
where its job goes beyond its limits. A job that lost its worker is given to another one, once.
"""

from __future__ import annotations

import importlib
import operator
import queue
import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from etils import epy

from repro.catalogue import GIB, Claim, ClaimFile, Parameters, user_files
from repro.common import ClusterError, ReproError, redirect_output
from repro.engine import backend
from repro.runner import environment
from repro.runner.jobs import Job, JobResult, perform

with epy.lazy_imports():
    import distributed
    import psutil
    import tqdm

PATIENCE = 1.0  # seconds between two looks at what the workers do
RETURN_TIMEOUT = 120.0  # seconds in which a worker that was lost must be back where no other is left


@dataclass(frozen=True)
class Registered:
    """Worker as the scheduler knows it.

    Attributes:
        host: Host of the worker's process.
        idle: Whether the worker has no task from any client.
        resources: Resources that the worker was started with, such as ``GPU``.
        nanny: Whether a process beside the worker can end and restart it.
    """

    host: str
    idle: bool
    resources: Mapping[str, float]
    nanny: bool


@dataclass
class Attempt:
    """A job that is being executed.

    Attributes:
        job: Job that is executed.
        worker: Address of the worker.
        future: Future of the result.
        began: Time when the job was handed to the worker, on the monotonic clock.
        memory: Resident memory in bytes of the worker process when last seen.
        lost: Whether the worker was gone at the last look.
        looked: Time of the last look, on the monotonic clock.
    """

    job: Job
    worker: str
    future: Any
    began: float
    memory: float = 0.0

    lost: bool = False
    looked: float = 0.0

    @property
    def seconds(self) -> float:
        """Time in seconds since the job was handed to the worker."""
        return time.monotonic() - self.began

    @property
    def excess(self) -> str:
        """Limit that the job exceeds, in words; empty for none."""
        limits = self.job.limits
        if limits is None:
            return ""
        if self.seconds > limits.seconds:
            return f"it took longer than the {limits.seconds:g} s of its profile"
        if self.memory > limits.memory:
            return (
                f"its process grew to {self.memory / GIB:.2g} GiB, beyond the {limits.memory / GIB:.2g} of its profile"
            )
        return ""


@dataclass(frozen=True)
class DaskWorkers:
    """Workers of a Dask cluster, which execute jobs.

    Attributes:
        client: Client of the cluster.
        largest: Peak memory in bytes after which a worker is replaced.
        log: File that receives what the workers print; None leaves that where the workers were started.
        shared: Whether the workers outlive the run, so that jobs that were begun must be ended with it.
        performed: Worker that performed an experiment last, by where the experiment is defined: it has compiled what
            the experiment's other parameters and further seeds need too.
    """

    client: Any
    largest: float
    log: Path | None = None
    shared: bool = False
    performed: dict[str, str] = field(default_factory=dict)

    def environment(self) -> dict[str, Any]:
        """Describe the workers' environment; they all load Keras meanwhile, at the same time.

        Raises:
            ClusterError: the workers have other versions than this process or than each other.
        """
        with lost_scheduler(self.client.scheduler.address):
            described: dict[str, dict[str, Any]] = self.client.run(
                _prepared, self.log, backend.name(), environment.describe
            )
        for address, found in described.items():
            differing = environment.differences(environment.versions(), found)
            if differing:
                raise ClusterError(f"worker {address} has {differing[0]} here; install the same versions in both")
        return next(iter(described.values()))

    @property
    def count(self) -> int:
        """Number of workers."""
        return len(self.registered())

    def registered(self) -> dict[str, Registered]:
        """Ask the scheduler for its workers, by address."""
        return ask_registered(self.client)

    def perform(self, jobs: Sequence[Job], started: Callable[[Job], None]) -> Iterator[tuple[Job, JobResult]]:
        """Execute one job in each worker at a time, then those that run alone one after the other.

        Raises:
            ClusterError: all workers are gone, or the scheduler.
        """
        with lost_scheduler(self.client.scheduler.address):
            yield from self._perform([job for job in jobs if not job.alone], len(jobs), started)
            yield from self._perform([job for job in jobs if job.alone], 1, started)

    def _perform(
        self, jobs: Sequence[Job], at_once: int, started: Callable[[Job], None]
    ) -> Iterator[tuple[Job, JobResult]]:
        waiting = list(jobs)
        running: list[Attempt] = []
        failed: dict[Job, str] = {}
        changes: queue.SimpleQueue[Any] = queue.SimpleQueue()
        try:
            while waiting or running:
                for attempt in self._begin(waiting, running, at_once):
                    attempt.future.add_done_callback(changes.put)
                    waiting.remove(attempt.job)
                    running.append(attempt)
                    if attempt.job not in failed:
                        started(attempt.job)
                for attempt, result in self._finished(running, changes):
                    running.remove(attempt)
                    if isinstance(result, JobResult):
                        yield attempt.job, result
                    elif attempt.job in failed:
                        yield attempt.job, _given_up(attempt, failed[attempt.job], result)
                    else:
                        failed[attempt.job] = result
                        waiting.insert(0, attempt.job)
        finally:
            if self.shared and self.client.status == "running":
                for attempt in running:
                    self._replace(attempt.worker)

    def _begin(self, waiting: Sequence[Job], running: Sequence[Attempt], at_once: int) -> list[Attempt]:
        """Give jobs to the idle workers: the first ones first, but those alike to the same worker."""
        if not waiting or len(running) >= at_once:
            return []
        registered = self.registered() if running else self._registered_soon()
        with_gpu = {address for address, worker in registered.items() if worker.resources.get("GPU", 0) >= 1}
        busy = {attempt.worker for attempt in running}
        idle = [address for address, worker in registered.items() if worker.idle and address not in busy]
        left, begun = list(waiting), []
        for worker in sorted(idle, key=lambda address: (address in with_gpu, address))[: at_once - len(running)]:
            fitting = [job for job in left if worker in with_gpu or not (with_gpu and "gpu" in job.requires)]
            if fitting:
                job = min(fitting, key=lambda job: self._elsewhere(job, worker, registered))
                left.remove(job)
                self.performed[job.reference] = worker
                needs_gpu = worker in with_gpu and "gpu" in job.requires
                begun.append(self._submit(job, worker, {"GPU": 1} if needs_gpu else None))
        return begun

    def _elsewhere(self, job: Job, worker: str, registered: Mapping[str, Registered]) -> int:
        """Rank a job for a worker: first what it has compiled already, last what another one has."""
        performed = self.performed.get(job.reference)
        if performed == worker:
            return 0
        return 2 if performed in registered else 1

    def _registered_soon(self) -> dict[str, Registered]:
        """Ask for the workers, waiting where there is none: those that were lost are being replaced."""
        deadline = time.monotonic() + RETURN_TIMEOUT
        while time.monotonic() < deadline:
            registered = self.registered()
            if registered:
                return registered
            time.sleep(0.1)
        raise ClusterError(
            f"all workers are gone for {RETURN_TIMEOUT:.0f} s; `repro run --resume` goes on where there are some"
        )

    def _submit(self, job: Job, worker: str, resources: Mapping[str, float] | None) -> Attempt:
        arguments = (job.file, job.reference, job.parameters, job.seeds, job.requires)
        future = self.client.submit(
            _prepared,
            self.log,
            backend.name(),
            _perform_referenced,
            *arguments,
            pure=False,
            workers=[worker],
            resources=resources,
        )
        now = time.monotonic()
        return Attempt(job, worker, future, began=now, looked=now)

    def _finished(
        self, running: Sequence[Attempt], changes: queue.SimpleQueue[Any]
    ) -> list[tuple[Attempt, JobResult | str]]:
        """Wait a moment, and return the attempts that have ended, each with its result or why it has none."""
        with suppress(queue.Empty):
            changes.get(timeout=PATIENCE)
        if self.client.status != "running":
            raise ConnectionError("the connection to the scheduler was lost")
        if any(time.monotonic() - attempt.looked > PATIENCE for attempt in running):
            self._look(running)
        outcomes = [(attempt, self._outcome(attempt)) for attempt in running]
        return [(attempt, outcome) for attempt, outcome in outcomes if outcome is not None]

    def _look(self, running: Sequence[Attempt]) -> None:
        """See which workers are left and how much memory they use."""
        memory = self.client.run(_resident_memory, nanny=True, on_error="return")
        for attempt in running:
            attempt.looked = time.monotonic()
            attempt.lost = attempt.worker not in memory
            seen = memory.get(attempt.worker)
            if isinstance(seen, int):
                attempt.memory = seen

    def _outcome(self, attempt: Attempt) -> JobResult | str | None:
        if attempt.future.done():
            outcome = self._result(attempt)
            attempt.future.release()
            if isinstance(outcome, JobResult) and outcome.memory > self.largest:
                self._replace(attempt.worker)  # frameworks never free the programs that they compiled
            return outcome
        if attempt.lost:
            attempt.future.release()
            return self._death(attempt)
        if attempt.excess:
            reason = attempt.excess
            self._replace(attempt.worker)
            attempt.future.release()
            return reason
        return None

    def _result(self, attempt: Attempt) -> JobResult | str:
        try:
            result: JobResult = attempt.future.result()
        except distributed.KilledWorker:
            return self._death(attempt)
        return result

    def _death(self, attempt: Attempt) -> str:
        """Say that a worker died, and what is known of the cause."""
        seen = f" (it had {attempt.memory / GIB:.2g} GiB)" if attempt.memory else ""
        printed = f"what it printed is in {self.log}" if self.log else f"see what worker {attempt.worker} printed"
        return f"the worker process died{seen}, perhaps for lack of memory or by a fault in native code; {printed}"

    def _replace(self, worker: str) -> None:
        """End a worker process, whatever it does; its nanny starts another. Wait until the scheduler has noticed."""
        self.client.run(_end_process, worker, nanny=True, on_error="ignore")
        deadline = time.monotonic() + RETURN_TIMEOUT
        while worker in self.registered() and time.monotonic() < deadline:
            time.sleep(0.05)


def _given_up(attempt: Attempt, first: str, second: str) -> JobResult:
    message = f"{second}; tried twice"
    return JobResult(None, attempt.seconds, int(attempt.memory), message, f"First: {first}\nThen: {second}\n")


@contextmanager
def lost_scheduler(address: str) -> Iterator[None]:
    """Say in one line that the connection to the scheduler was lost, however that shows."""
    try:
        yield
    except (OSError, distributed.CancelledError) as error:
        raise ClusterError(
            f"lost the scheduler at {address}; start it and its workers again, then `repro run --resume`"
        ) from error


def ask_registered(client: Any) -> dict[str, Registered]:
    """Ask the scheduler of a client for its workers, by address."""
    found: dict[str, Registered] = client.run_on_scheduler(_registered)
    return found


def _registered(dask_scheduler: Any) -> dict[str, Registered]:
    return {
        address: Registered(worker.host, not worker.processing, dict(worker.resources), worker.nanny is not None)
        for address, worker in dask_scheduler.workers.items()
    }


def _resident_memory(dask_worker: Any) -> int:
    return int(psutil.Process(dask_worker.pid).memory_info().rss)


def _end_process(worker: str, dask_worker: Any) -> None:
    if dask_worker.worker_address == worker:
        psutil.Process(dask_worker.pid).kill()


def _perform_referenced(
    file: ClaimFile | None, reference: str, parameters: Parameters, seeds: Sequence[int], requires: Sequence[str]
) -> JobResult:
    if file is not None:
        backend.configure()  # before the file can load Keras
        user_files.load_file(file)
    module, _, name = reference.partition(":")
    try:
        found = operator.attrgetter(name)(importlib.import_module(module))
    except (ImportError, AttributeError) as error:
        raise ReproError(
            f"workers cannot import {reference}; install it where they are, or use no workers (0)"
        ) from error
    return perform(found.function if isinstance(found, Claim) else found, parameters, seeds, requires)


def _prepared(log: Path | None, backend_name: str, function: Callable[..., Any], *arguments: Any) -> Any:
    if log is not None:
        redirect_output(log)
        # Progress bars of data sets make a lock for several processes, which a worker that is ended leaves behind.
        tqdm.tqdm.set_lock(threading.RLock())
    backend.select(backend_name)
    return function(*arguments)
