"""Fixtures shared by the tests: one smoke run of the published claims, and stand-in claims."""

import sys
from pathlib import Path

import hypothesis
import pytest

sys.path.append(str(Path(__file__).parent / "stand_ins"))

# The same examples in every run, whatever the machine's load.
hypothesis.settings.register_profile("repeatable", derandomize=True, database=None, deadline=None)
hypothesis.settings.load_profile("repeatable")


@pytest.fixture(scope="session")
def smoke_run(tmp_path_factory):
    """All claims with a published smoke verdict at that profile on the active backend."""
    import repro
    from repro.published import published

    return repro.run(*published("smoke"), profile="smoke", results=tmp_path_factory.mktemp("smoke"))


@pytest.fixture(scope="session")
def smoke_results(smoke_run):
    """The results of that run by claim id."""
    return {result.id: result for result in smoke_run.results}
