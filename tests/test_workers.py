"""Starting workers; what they do with jobs is tested with the runner."""

import subprocess
import sys

import pytest
import stand_in

from repro import workers
from repro.workers import Job, start_workers

TWICE = """
from pathlib import Path
from repro.workers import start_workers

if __name__ == "__main__":
    for _ in range(2):
        with start_workers(1, Path("workers.log")) as workers:
            print(workers.count)
"""


def test_a_process_can_start_workers_again(tmp_path):
    script = tmp_path / "twice.py"
    script.write_text(TWICE)
    done = subprocess.run([sys.executable, script], cwd=tmp_path, capture_output=True, text=True)
    assert done.stdout.split() == ["1", "1"], done.stderr


@pytest.mark.parametrize(("largest", "processes"), [(0, 4), (2**40, 1)])
def test_workers_that_have_grown_too_large_are_replaced(largest, processes, monkeypatch, tmp_path):
    monkeypatch.setattr(workers, "largest_worker", lambda count: largest / count)
    jobs = [Job(stand_in.pausing.function, {"value": value, "pause": 0.0}, (0,)) for value in range(4)]
    with start_workers(1, tmp_path / "workers.log") as started:
        results = [result.observations for _, result in started.perform(jobs, lambda _: None)]
    assert [int(table["value"][0]) for table in results] == [0, 1, 2, 3]
    assert len({int(table["process"][0]) for table in results}) == processes
