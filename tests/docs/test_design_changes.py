"""docs/changes.md: every design that was changed after its first verdict has a row there, and rows mean something."""

import importlib.util
import sys
from dataclasses import replace
from datetime import date
from pathlib import Path

import pytest

from repro.catalogue import code, design, registry
from repro.results import published
from repro.results.records import ClaimResult, Evaluation
from repro.results.reference import PublishedClaim

FILE = Path(__file__).parents[2] / "tools" / "changes.py"


@pytest.fixture(scope="module")
def changes():
    spec = importlib.util.spec_from_file_location("changes", FILE)
    module = sys.modules["changes"] = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def rows(changes):
    return changes.read(changes.FILE.read_text(encoding="utf-8"))


@pytest.fixture
def claim():
    return registry.get("perceptron.novikoff")


@pytest.fixture
def reference(claim):
    return PublishedClaim("refuted", 1.0, 1.0, 1.0, 8, 1.0, {}, design=design(claim), code=code(claim))


def result_of(claim, status="reproduced"):
    return ClaimResult(claim.id, Evaluation("claim", claim.statement, {}, (), status), ())


@pytest.mark.parametrize("profile", ["smoke", "standard"])
def test_a_published_design_that_was_changed_says_why(changes, rows, profile):
    assert changes.unrecorded(rows, registry.registered(), published(profile)) == []


def test_every_row_is_read(changes, rows):
    table = [line for line in changes.FILE.read_text(encoding="utf-8").splitlines() if line.startswith("| 20")]
    assert [str(row) for row in rows] == table


def test_rows_are_of_claims_and_in_order(rows):
    assert all(row.claim in registry.registered() or row.claim == "all claims" for row in rows)
    days = [date.fromisoformat(row.date) for row in rows]
    assert days == sorted(days)


def test_another_design_without_a_row_is_noticed(changes, claim, reference):
    before = {claim.id: replace(reference, design="0" * 12)}
    assert changes.unrecorded([], {claim.id: claim}, before) == [claim.id]
    row = changes.Change("2026-11-29", claim.id, design(claim), "why", "refuted", "–")
    assert changes.unrecorded([row], {claim.id: claim}, before) == []


def test_designs_from_before_there_were_fingerprints_are_not_compared(changes, claim, reference):
    assert changes.unrecorded([], {claim.id: claim}, {claim.id: replace(reference, design="")}) == []


def test_publishing_enters_the_verdicts_of_both_profiles(changes, claim):
    text = f"# Changes\n\n{changes.Change('2026-11-29', claim.id, design(claim), 'why', 'refuted', '–')}\n"
    claims = {claim.id: claim}
    text = changes.complete(text, "standard", [result_of(claim)], claims, {})
    text = changes.complete(text, "smoke", [result_of(claim, "inconclusive")], claims, {})
    assert changes.read(text)[0].after == "smoke inconclusive; standard reproduced"
    assert text.startswith("# Changes\n\n|")


def test_code_that_changed_alone_gets_a_row(changes, claim, reference):
    before = {claim.id: replace(reference, code="0" * 12)}
    text = changes.complete("# Changes\n", "smoke", [result_of(claim)], {claim.id: claim}, before)
    (row,) = changes.read(text)
    assert (row.before, row.after, row.design) == ("smoke refuted", "smoke reproduced", design(claim))
    assert "code changed" in row.reason


def test_the_same_code_and_design_get_none(changes, claim, reference):
    text = changes.complete("# Changes\n", "smoke", [result_of(claim)], {claim.id: claim}, {claim.id: reference})
    assert changes.read(text) == []
