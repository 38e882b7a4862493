"""Starting workers; what they do with jobs is tested with the runner."""

import subprocess
import sys

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
