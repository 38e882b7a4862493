"""Runs the benchmarks of a checkout through pytest-benchmark."""

from __future__ import annotations

import importlib.util
import os
import subprocess
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from repro.common import BenchmarkError
from repro.performance.measurement import Measurement, read_figures

CHECKOUT = Path(__file__).resolve().parents[2]
ALL_PASSED, SOME_FAILED, NONE_CHOSEN = 0, 1, 5  # exit statuses of pytest


@dataclass(frozen=True)
class Measured:
    """Outcome of a run of the benchmarks.

    Attributes:
        measurements: Measurements of the benchmarks that passed; none in a quick run.
        failed: Whether other benchmarks failed.
    """

    measurements: list[Measurement]
    failed: bool


def check_installed(checkout: Path = CHECKOUT) -> None:
    """Check that benchmarks can be run.

    Args:
        checkout: Folder that has them in ``benchmarks``.

    Raises:
        BenchmarkError: they are not there, or pytest-benchmark is not installed.
    """
    if not (checkout / "benchmarks" / "conftest.py").is_file():
        raise BenchmarkError(
            f"{checkout} has no benchmarks; they need a checkout of the repository, installed by "
            "pip install -e '.[dev]'"
        )
    if importlib.util.find_spec("pytest_benchmark") is None:
        raise BenchmarkError("pytest-benchmark is not installed; pip install -e '.[dev]' in the checkout")


def run_benchmarks(patterns: Sequence[str], *, quick: bool, checkout: Path = CHECKOUT) -> Measured:
    """Run benchmarks in a process of their own; what pytest says goes to stderr.

    Args:
        patterns: Parts of the names of tests or of their files, any of which selects a test; none for all.
        quick: Whether to do little work, only to see that they run.
        checkout: Folder that has them in ``benchmarks``.

    Raises:
        BenchmarkError: no benchmark is chosen, or none could be run.
    """
    check_installed(checkout)
    with tempfile.TemporaryDirectory() as folder:
        results = Path(folder) / "benchmarks.json"
        command = [
            sys.executable,
            "-m",
            "pytest",
            "benchmarks",
            f"--benchmark-json={results}",
            "-p",
            "no:cacheprovider",
        ]
        command += ["--quick"] if quick else []
        command += ["-k", " or ".join(patterns)] if patterns else []
        # The checkout comes first, so that its own version is measured.
        path = os.pathsep.join(filter(None, [str(checkout), os.environ.get("PYTHONPATH")]))
        environment = {**os.environ, "PYTHONPATH": path}
        environment.pop("PYTEST_XDIST_WORKER", None)  # else nothing is measured where this process belongs to a test
        status = subprocess.run(  # noqa: S603  no shell; -k takes the patterns as they are
            command, cwd=checkout, env=environment, stdout=sys.stderr, check=False
        ).returncode
        if status == NONE_CHOSEN:
            raise BenchmarkError(
                f"no benchmark is named like {' or '.join(patterns)}; they are in {checkout}/benchmarks"
            )
        if status not in (ALL_PASSED, SOME_FAILED):
            raise BenchmarkError(f"the benchmarks could not be run; pytest ended with status {status}")
        has_results = not quick and results.is_file() and results.stat().st_size > 0
        return Measured(read_figures(results) if has_results else [], status == SOME_FAILED)
