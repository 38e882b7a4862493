"""Processes of a run are killed at random moments; what is left is resumed and equals an undisturbed run.

``pytest --every-kill tests/test_survival.py`` kills fifty times instead of five.
"""

import os
import signal
import subprocess
import sys
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import psutil
import pytest
from test_cluster import free_port, scheduler, started, wait_for_workers

from repro.results.store import Store

TESTS = Path(__file__).parents[1]
REPRO = TESTS / "repro_with_stand_ins.py"
CLAIMS = 10


@dataclass(frozen=True)
class Kill:
    """Which process is killed, how many claims are recorded before, and the seconds from then."""

    victim: str
    after: int
    delay: float

    def __str__(self):
        return f"{self.victim}-after-{self.after}-claims-and-{self.delay:.2f}s"


def kills(count):
    generator = np.random.default_rng(20260101)
    drawn = []
    for number in range(count):
        after = int(generator.integers(CLAIMS))
        # Loading takes seconds before the first claim, a claim tenths of a second.
        drawn.append(
            Kill(("main", "worker", "scheduler")[number % 3], after, generator.uniform(0, 0.3 if after else 9))
        )
    return drawn


def pytest_generate_tests(metafunc):
    if "kill" in metafunc.fixturenames:
        chosen = kills(50 if metafunc.config.getoption("--every-kill") else 5)
        metafunc.parametrize("kill", chosen, ids=str)


def environment():
    return {**os.environ, "COLUMNS": "80", "CLAIMS": str(TESTS / "ten_claims")}


def start(folder, *options):
    return subprocess.Popen(
        [sys.executable, REPRO, "run", "--profile", "smoke", *options],
        cwd=folder,
        env=environment(),
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process):
    _, errors = process.communicate(timeout=300)
    return process.returncode, errors


def resume(folder, *options):
    """Do what is missing; a run that was killed before it had begun is started anew."""
    command = [sys.executable, REPRO, "run", "--resume", *options]
    done = subprocess.run(command, cwd=folder, env=environment(), capture_output=True, text=True, timeout=300)
    if "no unfinished run" in done.stderr or "has no results" in done.stderr:
        code, errors = finish(start(folder, *options))
        assert code == 0, errors
    else:
        assert done.returncode == 0, done.stderr


def outcome(folder):
    """What a run left, but for its costs; with every table read from disk."""
    store = Store.existing(folder / "repro-results")
    (run,) = store.runs()
    results = store.results(run.id)
    assert len({result.id for result in results}) == len(results) == CLAIMS
    evaluations = [item for result in results for item in (result.evaluation, *result.counterparts)]
    for evaluation in evaluations:
        store.read_observations(evaluation.observations)
    return {
        result.id: [replace(item, seconds=0.0, memory=0) for item in (result.evaluation, *result.counterparts)]
        for result in results
    }


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory):
    folder = tmp_path_factory.mktemp("undisturbed")
    code, errors = finish(start(folder, "--workers", "2"))
    assert code == 0, errors
    return outcome(folder)


@contextmanager
def cluster(folder):
    """A scheduler with two workers; yields the process of the scheduler and the options of a run there."""
    port = free_port()
    address = f"tcp://127.0.0.1:{port}"
    options = ("--nthreads", 1, "--nworkers", 2, "--memory-limit", 0, "--no-dashboard", "--preload", REPRO)
    with ExitStack() as processes:
        processes.enter_context(pytest.MonkeyPatch.context()).setenv("CLAIMS", str(TESTS / "ten_claims"))
        process = processes.enter_context(scheduler(port, folder))
        processes.enter_context(started("worker", address, "--local-directory", folder, *options, log=folder / "dask"))
        wait_for_workers(address, 2)
        yield process, ("--scheduler", address)


def wait_until(process, kill):
    """Read what a run says until the moment of the kill; a run that ends before is killed after its end."""
    recorded = 0
    for line in process.stderr:
        recorded += "/10 ten.claim_" in line
        if recorded >= kill.after and "claim" in line:
            break
    time.sleep(kill.delay)


def workers_of(process):
    return [
        child for child in process.children(recursive=True) if any("spawn_main" in word for word in child.cmdline())
    ]


def test_a_run_whose_process_is_killed_loses_nothing(kill, undisturbed, tmp_path):
    if kill.victim == "scheduler":
        with cluster(tmp_path) as (process, options):
            run = start(tmp_path, *options)
            wait_until(run, kill)
            process.kill()
            code, errors = finish(run)
            assert code in (0, 2), errors
            assert "Traceback" not in errors
        with cluster(tmp_path) as (_, options):
            resume_if_needed(tmp_path, *options)
    else:
        run = start(tmp_path, "--workers", "2")
        wait_until(run, kill)
        own = psutil.Process(run.pid)
        workers = workers_of(own)
        if kill.victim == "main":
            own.kill()
            finish(run)
            assert not psutil.wait_procs(workers, timeout=60)[1]
        elif workers:
            workers[0].send_signal(signal.SIGKILL)
            code, errors = finish(run)
            assert code in (0, 2), errors
            assert "Traceback" not in errors
        else:
            finish(run)
        resume_if_needed(tmp_path, "--workers", "2")
    assert outcome(tmp_path) == undisturbed


def resume_if_needed(folder, *options):
    database = folder / "repro-results" / "results.sqlite"
    store = Store.existing(folder / "repro-results") if database.exists() else None
    if store is None or not store.runs() or len(store.results(store.run().id)) < CLAIMS:
        resume(folder, *options)


def test_eight_runs_at_once_arrive_in_one_folder(tmp_path, undisturbed):
    runs = [start(tmp_path, "--workers", "0") for _ in range(8)]
    for run in runs:
        code, errors = finish(run)
        assert code == 0, errors
    store = Store.existing(tmp_path / "repro-results")
    assert len({run.id for run in store.runs()}) == 8
    for run in store.runs():
        results = store.results(run.id)
        assert {result.id: result.evaluation.observations for result in results} == {
            name: evaluations[0].observations for name, evaluations in undisturbed.items()
        }
