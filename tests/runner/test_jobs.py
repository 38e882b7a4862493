"""Starting workers; what they do with jobs is tested with the runner."""

import re
import subprocess
import sys
from collections import Counter

import pytest
import stand_in

from repro.catalogue.profiles import GIB, LIMITS, Limits
from repro.runner import cluster, planning
from repro.runner.cluster import start_workers
from repro.runner.jobs import Job

TWICE = """
from pathlib import Path
from repro.runner.cluster import start_workers

if __name__ == "__main__":
    for _ in range(2):
        with start_workers(1, Path("workers.log")) as workers:
            print(len(workers.registered()))
"""


def test_a_process_can_start_workers_again(tmp_path):
    script = tmp_path / "twice.py"
    script.write_text(TWICE)
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split() == ["1", "1"], done.stderr


LOADING = """
import pandas as pd
from repro.engine import load_data

def images():
    return pd.DataFrame({"count": [len(load_data().x_train)]})
"""
REPLACED = """
from pathlib import Path
from loading import images
from repro.runner import cluster
from repro.runner import Job

if __name__ == "__main__":
    cluster.largest_worker = lambda count: 0
    with cluster.start_workers(1, Path("workers.log")) as workers:
        for _, result in workers.perform([Job(images, {}, ())], lambda _: None):
            print(*result.observations["count"])
"""


def test_workers_that_loaded_data_leave_nothing_behind_when_they_are_replaced(tmp_path):
    (tmp_path / "loading.py").write_text(LOADING)
    (tmp_path / "replaced.py").write_text(REPLACED)
    done = subprocess.run([sys.executable, "replaced.py"], cwd=tmp_path, capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("1437\n", "")


@pytest.mark.parametrize(("largest", "processes"), [(0, 4), (2**40, 1)])
def test_workers_that_have_grown_too_large_are_replaced(largest, processes, monkeypatch, tmp_path):
    monkeypatch.setattr(cluster, "largest_worker", lambda count: largest / count)
    jobs = [Job(stand_in.pausing.function, {"value": value, "pause": 0.0}, (0,)) for value in range(4)]
    with start_workers(1, tmp_path / "workers.log") as started:
        results = [result.observations for _, result in started.perform(jobs, lambda _: None)]
    assert [int(table["value"][0]) for table in results] == [0, 1, 2, 3]
    assert len({int(table["process"][0]) for table in results}) == processes


def test_a_worker_gets_what_it_has_compiled_already_as_long_as_there_is_something_for_the_others(tmp_path):
    jobs = [
        Job(experiment, {"value": value, "pause": 0.3}, (0,))
        for experiment in (stand_in.pausing.function, stand_in.pausing_too)
        for value in range(4)
    ]
    results = perform(jobs, tmp_path, count=2)
    processes = [
        Counter(int(results[job].observations["process"][0]) for job in jobs if job.experiment is experiment)
        for experiment in (stand_in.pausing.function, stand_in.pausing_too)
    ]
    (first, of_first), (second, of_second) = (counts.most_common(1)[0] for counts in processes)
    assert first != second
    assert min(of_first, of_second) >= 3  # the last one may go to a worker that is done


def test_a_worker_without_work_of_its_own_takes_that_of_another(tmp_path):
    jobs = [Job(stand_in.pausing.function, {"value": value, "pause": 0.3}, (0,)) for value in range(6)]
    results = perform(jobs, tmp_path, count=2)
    assert len({int(result.observations["process"][0]) for result in results.values()}) == 2


def perform(jobs, folder, count=1):
    with start_workers(count, folder / "workers.log") as started:
        return dict(started.perform(jobs, lambda _: None))


def test_experiments_beyond_a_limit_are_tried_twice_and_the_others_go_on(tmp_path):
    slow = Job(stand_in.waiting.function, {"value": 1}, (0,), limits=Limits(2, 64 * GIB))
    large = Job(stand_in.hoarding.function, {"gibibytes": 2.0}, (0,), limits=Limits(600, 1.5 * GIB))
    quick = Job(stand_in.pausing.function, {"value": 1, "pause": 0.0}, (0,), limits=Limits(600, 64 * GIB))
    results = perform([slow, large, quick], tmp_path, count=2)
    assert results[slow].message == "it took longer than the 2 s of its profile; tried twice"
    assert re.fullmatch(
        r"its process grew to [\d.]+ GiB, beyond the 1\.5 of its profile; tried twice", results[large].message
    )
    assert results[large].memory > 1.5 * GIB
    assert results[slow].seconds > 2
    assert results[quick].message == ""
    assert [result.observations is None for result in results.values()].count(True) == 2


def test_an_experiment_that_lost_its_worker_is_tried_again_in_another(tmp_path):
    job = Job(stand_in.dying_once.function, {"log": str(tmp_path / "log")}, (0,))
    (result,) = perform([job], tmp_path).values()
    assert result.observations["value"].tolist() == [1]
    assert "Fatal Python error: Aborted" in (tmp_path / "workers.log").read_text()


def test_a_second_death_is_given_up_with_both_reasons(tmp_path):
    job = Job(stand_in.dying.function, {"value": 2}, (0,))
    (result,) = perform([job], tmp_path).values()
    seen = r"( \(it had \S+ GiB\))?"
    assert re.match(f"the worker process died{seen}, perhaps for lack of memory or by a fault", result.message)
    assert result.message.endswith(f"what it printed is in {tmp_path / 'workers.log'}; tried twice")
    assert result.traceback.startswith("First: the worker process died")


def test_every_profile_has_limits_that_reach_its_jobs():
    for profile, limits in LIMITS.items():
        assert {job.limits for job in planning.make_plan([stand_in.bounded], profile).jobs} == {limits}
