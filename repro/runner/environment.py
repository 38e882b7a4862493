"""Environment of a run: versions and hardware; and how much memory a block of code takes."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from importlib import metadata
from pathlib import Path
from typing import Any

import psutil

from repro.engine import backend

# Their versions can change observations or verdicts.
PACKAGES = (
    "keras-repro",
    "keras-tuner",
    "numpy",
    "pandas",
    "scikit-learn",
    "scipy",
    "tensorflow-datasets",
)


def describe() -> dict[str, Any]:
    """Describe what this process runs on.

    Returns:
        Versions of ``python``, ``keras`` and the backend (``backend_version``); ``device`` of the backend; model of the
        ``cpu``, its ``cores`` that this process may use, and ``memory`` of the machine in bytes; git ``commit`` of the
        suite's checkout, None for an installed package; versions of other ``packages`` by name.
    """
    software = versions()
    hardware = {"device": backend.device(), "cpu": cpu(), "cores": cores(), "memory": psutil.virtual_memory().total}
    names = ("python", "keras", "backend_version", *hardware, "commit", "packages")
    return {name: (software | hardware)[name] for name in names}


def versions() -> dict[str, Any]:
    """Return the part of ``describe`` that is software, without loading any of it."""
    packages = {package: version(package) for package in PACKAGES}
    return {
        "python": platform.python_version(),
        "keras": version("keras"),
        "backend_version": version(backend.name()),
        "commit": commit(Path(__file__).resolve().parents[2]),
        "packages": {package: found for package, found in packages.items() if found is not None},
    }


def differences(expected: Mapping[str, Any], found: Mapping[str, Any]) -> list[str]:
    """List what differs between two environments.

    Args:
        expected: Environment that ``describe`` returned, or a part of it.
        found: Environment that is compared with it; what ``expected`` does not name is ignored.

    Returns:
        One text per difference, such as ``keras 3.14.0 instead of 3.15.1``.
    """
    wanted, there = _flat(expected), _flat(found)
    return [
        f"{name} {there.get(name)} instead of {value}" for name, value in wanted.items() if there.get(name) != value
    ]


def _flat(environment: Mapping[str, Any]) -> dict[str, Any]:
    plain = {name: value for name, value in environment.items() if name != "packages"}
    return plain | dict(environment.get("packages", {}))


def version(package: str) -> str | None:
    """Return the version of an installed distribution, or of the one that provides a module; None without either."""
    try:
        return metadata.version(package)
    except metadata.PackageNotFoundError:
        # tensorflow-cpu and nightly builds provide the module under a distribution of another name.
        providers = metadata.packages_distributions().get(package, [])
        return metadata.version(providers[0]) if providers else None


def cpu() -> str:
    """Return the model of the processor, or its architecture where the system does not tell the model."""
    information = Path("/proc/cpuinfo")
    text = information.read_text() if information.exists() else ""
    model = re.search(r"^model name\s*:\s*(.+)$", text, re.MULTILINE)
    return model[1].strip() if model else platform.processor() or platform.machine()


def cores() -> int:
    """Return the number of logical cores that this process may use."""
    if hasattr(psutil.Process, "cpu_affinity"):  # on macOS processes cannot be confined to cores
        return len(psutil.Process().cpu_affinity())
    return psutil.cpu_count() or 1


def commit(checkout: Path) -> str | None:
    """Return the commit that a folder has checked out; None where it is not the top of a git checkout."""
    git = shutil.which("git")
    # Only the top counts: an installed package may lie inside the checkout of another project.
    if git is None or not (checkout / ".git").exists():
        return None
    answer = subprocess.run(  # noqa: S603  nothing in the command comes from outside
        [git, "-C", str(checkout), "rev-parse", "--verify", "HEAD"], capture_output=True, text=True, check=False
    )
    return answer.stdout.strip() if answer.returncode == 0 else None


@dataclass
class PeakMemory:
    """Peak resident memory of this process in bytes; zero until its block has ended."""

    bytes: int = 0


@contextmanager
def peak_memory() -> Iterator[PeakMemory]:
    """Measure the peak resident memory of this process during a block.

    The mark belongs to the process: blocks must not be nested or run in several threads. Where the system cannot
    reset it (anywhere but on Linux) it is the peak since the process started.
    """
    _reset_high_water_mark()
    peak = PeakMemory()
    try:
        yield peak
    finally:
        peak.bytes = _high_water_mark()


def _reset_high_water_mark() -> None:
    file = Path("/proc/self/clear_refs")
    try:
        if file.exists():
            file.write_text("5")  # see man 5 proc_pid_clear_refs
    except OSError:
        return  # hardened kernels and containers forbid it: the mark stays that of the whole process


def _high_water_mark() -> int:
    if sys.platform == "linux":
        mark = re.search(r"^VmHWM:\s*(\d+) kB$", Path("/proc/self/status").read_text(), re.MULTILINE)
        if mark:  # some container runtimes leave it out
            return int(mark[1]) * 1024
    if sys.platform == "win32":
        return int(psutil.Process().memory_info().peak_wset)
    import resource  # does not exist on Windows

    unit = 1 if sys.platform == "darwin" else 1024
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * unit
