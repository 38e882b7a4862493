"""What all tests share: stand-in claims, a configured backend, and examples that are the same in every run."""

import sys
from pathlib import Path

import hypothesis
import pytest

from repro.engine import backend

sys.path.append(str(Path(__file__).parent / "stand_ins"))

# The same examples in every run, whatever the machine's load.
hypothesis.settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
hypothesis.settings.register_profile("thorough", database=None, deadline=None)
hypothesis.settings.load_profile("repeatable")


def pytest_addoption(parser):
    parser.addoption("--every-claim", action="store_true", help="hold slow claims to their published verdicts, too")
    parser.addoption("--every-kill", action="store_true", help="kill runs at fifty moments instead of five")


@pytest.fixture(autouse=True, scope="session")
def configured_backend():
    """Threads and precision must be pinned before any test lets Keras run."""
    backend.configure()
