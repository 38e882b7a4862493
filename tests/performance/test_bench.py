"""The command ``repro bench``, with small benchmarks in a folder of their own."""

import json
import math
import os
import subprocess
import sys
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from repro import performance
from repro.cli import bench as command_bench
from repro.common.errors import BenchmarkError
from repro.performance import benchmarking
from repro.performance.benchmarking import Measured
from repro.performance.history import History
from repro.performance.measurement import Measurement
from repro.results.store import Store

pytest.importorskip("pytest_benchmark")

ENVIRONMENT = {"device": "CPU", "cpu": "a CPU", "cores": 2}
COMMIT = "0123abcd" * 5
CONFTEST = """
def pytest_addoption(parser):
    parser.addoption("--quick", action="store_true")
"""
BENCHMARKS = """
def measure(benchmark, request, figure):
    benchmark.pedantic(lambda: None, rounds=2)
    environment = {"device": "CPU", "cpu": "a CPU", "cores": 2, "backend": "jax", "commit": None}
    details = {figure: {"better": "higher", "values": [1.0, 2.0]}}
    benchmark.extra_info.update(environment=environment, details=details, quick=request.config.getoption("--quick"))

def test_fast(benchmark, request):
    measure(benchmark, request, "fast")

def test_slow(benchmark, request):
    measure(benchmark, request, "slow")

def test_broken(benchmark):
    assert False
"""


def measured(run=0, rounds=(1.0, 1.01, 0.99, 1.02, 0.98), commit=COMMIT, **changes):
    when = (datetime(2026, 1, 1, tzinfo=UTC) + timedelta(days=run)).isoformat()
    return replace(Measurement("speedup", "higher", rounds, when, commit, False, "jax", ENVIRONMENT), **changes)


def scaled(factor, run):
    return measured(run, tuple(factor * value for value in measured().rounds), commit=f"{run:02x}" * 20)


@pytest.fixture
def checkout(tmp_path):
    folder = tmp_path / "checkout" / "benchmarks"
    folder.mkdir(parents=True)
    (folder / "conftest.py").write_text(CONFTEST)
    (folder / "test_speed.py").write_text(BENCHMARKS)
    return folder.parent


@pytest.fixture
def bench(tmp_path, monkeypatch, capsys):
    """The command, with measurements in place of running benchmarks; returns its status and what it printed."""
    monkeypatch.setenv("COLUMNS", "80")
    monkeypatch.setattr(performance, "check_installed", lambda: None)  # an installed package has no benchmarks

    def call(*measurements, failed=False, **options):
        monkeypatch.setattr(performance, "run_benchmarks", lambda *_, **__: Measured(list(measurements), failed))
        status = command_bench.bench(results=tmp_path / "results", **options)
        return status, capsys.readouterr().out

    return call


def command(folder, *arguments):
    return subprocess.run(
        [sys.executable, "-m", "repro", "bench", *arguments],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(Path(__file__).parents[2])},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


class TestRunning:
    def test_gives_the_figures_of_what_passed(self, checkout):
        found = benchmarking.run_benchmarks([], quick=False, checkout=checkout)
        assert found.failed
        assert [(one.figure, one.rounds) for one in found.measurements] == [("fast", (1.0, 2.0)), ("slow", (1.0, 2.0))]

    def test_runs_what_is_named(self, checkout):
        found = benchmarking.run_benchmarks(["fast", "nothing"], quick=False, checkout=checkout)
        assert not found.failed
        assert [one.figure for one in found.measurements] == ["fast"]

    def test_a_quick_run_gives_no_figures(self, checkout):
        assert benchmarking.run_benchmarks(["slow"], quick=True, checkout=checkout) == Measured([], False)

    def test_says_what_is_missing(self, checkout, tmp_path, monkeypatch):
        with pytest.raises(BenchmarkError, match="no benchmark is named like nothing or nowhere"):
            benchmarking.run_benchmarks(["nothing", "nowhere"], quick=False, checkout=checkout)
        with pytest.raises(BenchmarkError, match="they need a checkout of the repository"):
            benchmarking.run_benchmarks([], quick=False, checkout=tmp_path)
        monkeypatch.setattr(benchmarking.importlib.util, "find_spec", lambda _: None)
        with pytest.raises(BenchmarkError, match="pytest-benchmark is not installed; pip install"):
            benchmarking.check_installed(checkout)

    def test_benchmarks_that_cannot_be_read_are_an_error(self, checkout):
        (checkout / "benchmarks" / "test_speed.py").write_text("no Python")
        with pytest.raises(BenchmarkError, match="pytest ended with status 2"):
            benchmarking.run_benchmarks([], quick=False, checkout=checkout)


class TestCommand:
    def test_records_and_shows_what_was_measured(self, bench, tmp_path):
        status, output = bench(measured())
        assert status == 0
        assert History(Store.existing(tmp_path / "results")).measurements() == [measured()]
        assert all(len(line) <= 80 for line in output.splitlines() if not line.startswith("page: "))
        for expected in ("speedup", "0.98 to 1.02", "none", "performance.html"):
            assert expected in output

    def test_shows_since_when_a_figure_is_worse(self, bench, tmp_path):
        before = [scaled(1 + 0.01 * math.sin(run), run) for run in range(20)]
        History(Store.open(tmp_path / "results")).record([*before, *(scaled(0.7, run) for run in range(20, 30))])
        status, output = bench(scaled(0.7, 30))
        assert status == 0
        assert "−30" in output
        assert f"since {'14' * 3}1" in output.replace("\n", " ")

    def test_a_failed_benchmark_leaves_the_others_and_is_an_error(self, bench, tmp_path):
        assert bench(measured(), failed=True)[0] == 1
        assert len(History(Store.existing(tmp_path / "results")).measurements()) == 1

    @pytest.mark.parametrize(("factor", "status"), [(1.0, 0), (0.96, 0), (0.7, 1), (1.4, 0)])
    def test_comparison_decides_the_status(self, bench, factor, status):
        bench(measured())
        found, output = bench(scaled(factor, 1), compare=COMMIT[:8])
        assert found == status
        assert ("worse" in output) is bool(status)
        assert "at 0123abcd" in output

    def test_a_commit_is_compared_with_what_was_measured_before(self, bench):
        bench(measured())
        now = replace(scaled(0.7, 1), commit=COMMIT)
        assert bench(now, compare=COMMIT)[0] == 1

    def test_prints_one_json_object(self, bench):
        bench(measured())
        status, output = bench(scaled(0.7, 1), compare=COMMIT, json=True)
        document = json.loads(output)
        assert status == 1
        (series,) = document["series"]
        assert (series["figure"], series["runs"], series["regressed"], series["steps"]) == ("speedup", 2, False, [])
        (compared,) = document["compared"]
        assert compared["worse"] is True
        assert compared["ratio"] == pytest.approx(0.7)

    def test_a_quick_run_leaves_nothing(self, bench, tmp_path):
        assert bench(quick=True) == (0, "")
        assert not (tmp_path / "results").exists()

    @pytest.mark.parametrize(
        ("arguments", "message"),
        [
            (["--compare", "no-such-commit"], "no-such-commit is no file and no commit with benchmarks"),
            (["--quick", "--compare", "HEAD"], "use --compare without --quick"),
        ],
    )
    def test_wrong_usage_is_told_before_anything_runs(self, tmp_path, arguments, message):
        completed = command(tmp_path, *arguments)
        assert completed.returncode == 2
        assert completed.stdout == ""
        assert completed.stderr.count("\n") == 1
        assert message in completed.stderr
        assert list(tmp_path.iterdir()) == []
