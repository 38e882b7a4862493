"""Threads and precision must be pinned before Keras runs first."""

import pytest

from repro.engine import backend


@pytest.fixture(autouse=True, scope="session")
def configured():
    backend.configure()
