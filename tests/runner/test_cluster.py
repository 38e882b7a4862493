"""Runs on a Dask cluster that was started elsewhere: a scheduler, a plain worker, and one that says it has a GPU."""

import os
import re
import socket
import subprocess
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path

import distributed
import pytest
import stand_in

from repro.catalogue.profiles import GIB, Limits
from repro.common.errors import ClusterError
from repro.results.store import Store
from repro.runner import cluster, environment, execution, planning
from repro.runner.jobs import Job

STAND_INS = Path(stand_in.__file__).parent
GPU = 'from repro.engine import backend\nbackend.device = lambda: "a graphics card"\n'


@contextmanager
def started(*arguments, log):
    """Start a process of Dask, and end it; elsewhere than in the checkout, for it imports what is installed."""
    paths = [str(STAND_INS), os.environ.get("PYTHONPATH", "")]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", "dask", *map(str, arguments)],
            cwd=log.parent,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, paths))},
            stdout=output,
            stderr=output,
        )
    try:
        yield process
    finally:
        process.terminate()
        process.wait()


def connect_and_leave(address):
    with cluster.connect(address):
        pass


def free_port():
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        return listener.getsockname()[1]


def scheduler(port, folder):
    return started("scheduler", "--host", "127.0.0.1", "--port", port, "--no-dashboard", log=folder / "dask.log")


def worker(address, folder, *options):
    options = ("--nthreads", 1, "--memory-limit", 0, "--no-dashboard", "--local-directory", folder, *options)
    return started("worker", address, *options, log=folder / "dask.log")


def wait_for_scheduler(address):
    distributed.Client(address, timeout=60, set_as_default=False).close()


def wait_for_workers(address, count):
    with distributed.Client(address, timeout=60, set_as_default=False) as client:
        client.wait_for_workers(count, timeout=60)


@pytest.fixture(scope="module")
def address(tmp_path_factory):
    folder = tmp_path_factory.mktemp("cluster")
    (folder / "gpu.py").write_text(GPU)
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    with ExitStack() as processes:
        processes.enter_context(scheduler(port, folder))
        processes.enter_context(worker(address, folder))
        processes.enter_context(worker(address, folder, "--resources", "GPU=1", "--preload", folder / "gpu.py"))
        wait_for_workers(address, 2)
        yield address


@pytest.fixture
def store(tmp_path):
    return Store.open(tmp_path / "results")


def test_observations_are_those_of_this_process(address, store):
    plan = planning.make_plan([stand_in.bounded, stand_in.addition, stand_in.timed], "smoke")
    with cluster.connect(address) as pool:
        assert pool.count == 2
    there = execution.execute(plan, store.folder, scheduler=address).results
    here = execution.execute(plan, store.folder, workers=0).results
    for one, other in zip(there[:2], here[:2], strict=True):
        assert one.evaluation.observations == other.evaluation.observations
        assert one.evaluation.verdict.status == other.evaluation.verdict.status
    assert there[2].status == "reproduced"


def test_claims_that_require_a_gpu_go_to_workers_that_have_one(address):
    jobs = [Job(stand_in.on_gpu.function, {"value": value}, (0,), requires=("gpu",)) for value in range(3)]
    others = [Job(stand_in.pausing.function, {"value": value, "pause": 0.1}, (0,)) for value in range(3)]
    with cluster.connect(address) as pool:
        results = dict(pool.perform([*jobs, *others], lambda _: None))
    assert [results[job].observations["value"].tolist() for job in jobs] == [[0], [1], [2]]
    assert all(results[job].observations is not None for job in others)


def test_limits_hold_and_what_is_left_behind_is_ended(address):
    slow = Job(stand_in.waiting.function, {"value": 1}, (0,), limits=Limits(1, 64 * GIB))
    quick = Job(stand_in.pausing.function, {"pause": 0.0}, (0,))
    with cluster.connect(address) as pool:
        assert dict(pool.perform([slow], lambda _: None))[slow].message.startswith("it took longer than the 1 s")
        begun = []

        def interrupt(job):
            begun.append(job)
            if len(begun) == len(forever):
                raise KeyboardInterrupt

        forever = [Job(stand_in.waiting.function, {"value": value}, (0,)) for value in (1, 2)]
        with pytest.raises(KeyboardInterrupt):
            list(pool.perform(forever, interrupt))
    with cluster.connect(address) as pool:
        assert not dict(pool.perform([quick], lambda _: None))[quick].message


def test_other_versions_are_refused(address, monkeypatch):
    versions = environment.versions() | {"keras": "2.0"}
    monkeypatch.setattr(environment, "versions", lambda: versions)
    with cluster.connect(address) as pool, pytest.raises(ClusterError) as error:
        pool.environment()
    message = r"worker \S+ has keras [\d.]+ instead of 2.0 here; install the same versions in both"
    assert re.fullmatch(message, str(error.value))


@pytest.mark.parametrize("wrong", ["", "localhost", "tcp://localhost", "8786"])
def test_what_is_no_address_is_refused(wrong):
    with pytest.raises(ClusterError, match="is no address of a scheduler; those look like tcp://host:8786"):
        connect_and_leave(wrong)


def test_a_scheduler_that_does_not_answer_is_named(monkeypatch):
    monkeypatch.setattr(cluster, "CONNECT_TIMEOUT", 1.0)
    with pytest.raises(ClusterError, match=r"no scheduler answers at tcp://127.0.0.1:1 within 1 s; start one with"):
        connect_and_leave("tcp://127.0.0.1:1")


def test_a_cluster_without_workers_or_nannies_is_refused(tmp_path, monkeypatch):
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    monkeypatch.setattr(cluster, "WORKERS_TIMEOUT", 0.1)
    with scheduler(port, tmp_path):
        wait_for_scheduler(address)
        with pytest.raises(ClusterError, match=f"at {address} has no workers; start one with `dask worker {address}"):
            connect_and_leave(address)
        with worker(address, tmp_path, "--no-nanny"):
            wait_for_workers(address, 1)
            with pytest.raises(ClusterError, match="was started without a nanny"):
                connect_and_leave(address)


def test_a_scheduler_that_dies_ends_the_run_and_keeps_what_is_done(tmp_path, store):
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"

    def kill(event):
        if isinstance(event, execution.Recorded):
            process.kill()

    with scheduler(port, tmp_path) as process, worker(address, tmp_path):
        wait_for_workers(address, 1)
        plan = planning.make_plan([stand_in.addition, stand_in.waiting], "smoke")
        with pytest.raises(ClusterError, match=f"lost the scheduler at {address}; start it .* `repro run --resume`"):
            execution.execute(plan, store.folder, listen=kill, scheduler=address)
    assert [result.id for result in store.results(store.run().id)] == ["stand_in.addition"]
