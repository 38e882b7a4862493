"""Running claims: how many programs they compile, and how much of their time is arithmetic."""

from __future__ import annotations

import pytest

from benchmarks import costs
from benchmarks.conftest import Effort, Report
from benchmarks.measuring import Workers
from repro.catalogue import Profile


@pytest.mark.parametrize("profile", ["smoke", "standard"])
def test_claims(report: Report, effort: Effort, profile: Profile) -> None:
    """Run claims in a fresh process, so that building and compiling count; loading libraries does, too."""
    claims = costs.REPRESENTATIVE[: effort.costed[profile]]
    if not claims:
        pytest.skip("takes too long for a quick run")
    with Workers() as worker:
        measured = report.benchmark.pedantic(lambda: worker(costs.run_claims, profile, claims)[0], rounds=1)
    suffix = "" if profile == "smoke" else f"_{profile}"
    report.figure(f"arithmetic_share{suffix}", [measured.arithmetic / measured.processor])
    report.figure(f"programs_per_claim{suffix}", [measured.programs / measured.claims])
    report.figure(f"seconds_per_claim{suffix}", [measured.seconds / measured.claims])
