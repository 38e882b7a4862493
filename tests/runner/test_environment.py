import json
import re
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path

import keras
import numpy as np
import psutil
import pytest

from repro.engine import backend
from repro.runner import environment


def git(folder, *arguments):
    identity = ["-c", "user.name=Tester", "-c", "user.email=tester@example.com"]
    command = [shutil.which("git"), "-C", str(folder), *identity, *arguments]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout.strip()


@pytest.fixture(scope="module")
def described():
    return environment.describe()


def test_describes_what_programs_rely_on(described):
    assert list(described) == [
        "python",
        "keras",
        "backend_version",
        "device",
        "cpu",
        "cores",
        "memory",
        "commit",
        "packages",
    ]
    assert json.loads(json.dumps(described)) == described


def test_versions_are_those_in_use(described):
    assert described["python"] == ".".join(str(part) for part in sys.version_info[:3])
    assert described["keras"] == keras.__version__
    assert described["backend_version"] == sys.modules[backend.name()].__version__
    assert described["packages"]["numpy"] == np.__version__


def test_hardware(described):
    assert 1 <= described["cores"] <= psutil.cpu_count()
    assert described["memory"] > 2**28
    assert described["cpu"]
    assert described["device"]


def test_version_of_a_module_under_another_distribution():
    assert environment.version("sklearn") == metadata.version("scikit-learn")


def test_version_of_what_is_not_installed():
    assert environment.version("no-such-distribution") is None


@pytest.mark.skipif(shutil.which("git") is None, reason="needs git")
class TestCommit:
    def test_of_a_checkout(self, tmp_path):
        git(tmp_path, "init")
        git(tmp_path, "commit", "--allow-empty", "--message", "first")
        assert environment.commit(tmp_path) == git(tmp_path, "rev-parse", "HEAD")
        assert re.fullmatch("[0-9a-f]{40}", environment.commit(tmp_path))

    def test_of_an_installed_package_within_the_checkout_of_another_project(self, tmp_path):
        git(tmp_path, "init")
        git(tmp_path, "commit", "--allow-empty", "--message", "first")
        (tmp_path / "site-packages").mkdir()
        assert environment.commit(tmp_path / "site-packages") is None

    def test_before_the_first_commit(self, tmp_path):
        git(tmp_path, "init")
        assert environment.commit(tmp_path) is None

    def test_without_git(self, tmp_path, monkeypatch):
        git(tmp_path, "init")
        git(tmp_path, "commit", "--allow-empty", "--message", "first")
        monkeypatch.setattr(environment.shutil, "which", lambda _: None)
        assert environment.commit(tmp_path) is None


class TestPeakMemory:
    def test_contains_what_the_block_used(self):
        with environment.peak_memory() as peak:
            before = psutil.Process().memory_info().rss
            block = np.ones(2**24)  # 128 MiB, touched
            del block
        assert peak.bytes >= before + 0.9 * 2**27

    @pytest.mark.skipif(not Path("/proc/self/clear_refs").exists(), reason="the mark cannot be reset")
    def test_forgets_what_came_before(self):
        with environment.peak_memory() as large:
            block = np.ones(2**25)
            del block
        with environment.peak_memory() as small:
            pass
        assert small.bytes < large.bytes - 0.9 * 2**28

    def test_is_measured_when_the_block_fails(self):
        with pytest.raises(ZeroDivisionError), environment.peak_memory() as peak:
            _ = 1 / 0
        assert peak.bytes > 2**20

    def test_where_the_mark_cannot_be_reset(self, monkeypatch):
        def fail(*_):
            raise PermissionError

        monkeypatch.setattr(Path, "write_text", fail)
        with environment.peak_memory() as peak:
            pass
        assert peak.bytes > 2**20
