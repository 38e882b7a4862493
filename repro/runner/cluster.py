"""Starts worker processes on this machine, or connects to those of a Dask cluster."""

from __future__ import annotations

import logging
import re
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

from etils import epy

from repro.common import ClusterError
from repro.runner.dask_workers import DaskWorkers, Registered, ask_registered, lost_scheduler
from repro.runner.jobs import ThisProcess, Workers

with epy.lazy_imports():
    import dask
    import distributed
    import psutil

SETTINGS = {
    "distributed.scheduler.allowed-failures": 0,  # what ended a worker is for us to judge
    "distributed.deploy.lost-worker-timeout": "1 day",  # the cluster would close what replaces a worker meanwhile
    "distributed.comm.timeouts.connect": "60s",  # loading Keras can keep a busy machine's workers from answering
    # Dask looks a hundred times a second at where its workers are, which takes a tenth of their time.
    "distributed.worker.profile.enabled": False,
    "distributed.admin.system-monitor.interval": "10s",
    "distributed.admin.tick.interval": "1s",
}
CONNECT_TIMEOUT = 10.0  # seconds in which a scheduler must answer
WORKERS_TIMEOUT = 20.0  # seconds in which it must have a worker; those that were ended are being replaced


@contextmanager
def start_workers(count: int, log: Path) -> Iterator[Workers]:
    """Start workers on this machine; they end with the context, and with this process however that ends.

    Args:
        count: Number of worker processes of one thread each; 0 executes the jobs in this process.
        log: File that receives what worker processes print.

    Raises:
        ClusterError: they do not start.
    """
    if count == 0:
        yield ThisProcess()
        return
    # Were it loaded inside the settings, its own defaults would end with them.
    local_cluster: Callable[..., Any] = distributed.LocalCluster
    with dask.config.set(SETTINGS):
        try:
            cluster = local_cluster(
                n_workers=count,
                threads_per_worker=1,
                memory_limit=0,
                host="127.0.0.1",
                dashboard_address="127.0.0.1:0",  # None would claim the usual port, and warn where it is taken
                silence_logs=logging.CRITICAL,
            )
        except (OSError, RuntimeError) as error:
            raise ClusterError(f"{count} worker processes did not start ({error}); try again with fewer") from error
        with cluster, distributed.Client(cluster) as client:
            yield DaskWorkers(client, largest_worker(count), log)


@contextmanager
def connect(address: str) -> Iterator[DaskWorkers]:
    """Use the workers of a cluster; they go on when the context ends.

    Args:
        address: Address of the scheduler, such as ``tcp://host:8786``.

    Raises:
        ClusterError: no scheduler answers, or it has no workers that can be used.
    """
    if not re.fullmatch(r"\w+://\S+:\d+", address):
        raise ClusterError(f"{address!r} is no address of a scheduler; those look like tcp://host:8786")
    client_of: Callable[..., Any] = distributed.Client
    try:
        client = client_of(address, timeout=CONNECT_TIMEOUT, set_as_default=False)
    except (OSError, ValueError, ImportError) as error:
        raise ClusterError(
            f"no scheduler answers at {address} within {CONNECT_TIMEOUT:.0f} s; start one with `dask scheduler`"
        ) from error
    with _silent("distributed", "asyncio", "tornado"), client:  # a lost scheduler would be reported with tracebacks
        with lost_scheduler(address):
            with suppress(TimeoutError):
                client.wait_for_workers(1, timeout=WORKERS_TIMEOUT)
            registered = ask_registered(client)
            _check_registered(registered, address)
            on_one_host = max(Counter(worker.host for worker in registered.values()).values())
            largest = min(client.run(largest_worker, on_one_host).values())
        yield DaskWorkers(client, largest, shared=True)


@contextmanager
def _silent(*names: str) -> Iterator[None]:
    """Silence loggers and those below them."""
    loggers = [
        logging.getLogger(name) for name in (*names, *logging.root.manager.loggerDict) if name.split(".")[0] in names
    ]
    levels = {logger: logger.level for logger in loggers}
    for logger in loggers:
        logger.setLevel(logging.CRITICAL + 1)
    try:
        yield
    finally:
        for logger, level in levels.items():
            logger.setLevel(level)


def largest_worker(count: int) -> float:
    """Return the peak memory in bytes after which a worker is replaced: a quarter of the machine's, shared by all."""
    return float(psutil.virtual_memory().total / (4 * count))


def _check_registered(registered: Mapping[str, Registered], address: str) -> None:
    start = f"start one with `dask worker {address} --nthreads 1 --memory-limit 0`"
    if not registered:
        raise ClusterError(f"the cluster at {address} has no workers; {start}")
    for name, worker in registered.items():
        if not worker.nanny:
            raise ClusterError(f"worker {name} was started without a nanny, which enforces limits; {start}")
