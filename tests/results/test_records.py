import numpy as np
import pytest

from repro.criteria.verdict import Part, Verdict
from repro.results.records import ClaimResult, Evaluation


def evaluation(status, kind="claim", **details):
    decided = status in ("reproduced", "refuted", "inconclusive")
    verdict = Verdict(status, 1.0, -np.inf, 2.0, 12, "loss", p=0.001, parts=(Part("a", status, 1.0, 0.0, 2.0, 12),))
    return Evaluation(kind, f"statement of the {kind}", {}, (0, 1), status, verdict if decided else None, **details)


def result(status, control=None, correction=None, published=None):
    given = {"control": control, "correction": correction}
    counterparts = tuple(evaluation(of, kind) for kind, of in given.items() if of is not None)
    return ClaimResult("family.name", evaluation(status), counterparts, published)


@pytest.mark.parametrize(
    ("status", "control", "correction", "sound"),
    [
        ("reproduced", "refuted", None, True),
        ("reproduced", "reproduced", None, False),
        ("reproduced", "inconclusive", None, None),
        ("reproduced", "error", None, None),
        ("reproduced", None, "reproduced", None),
        ("refuted", None, "reproduced", True),
        ("refuted", None, "refuted", False),
        ("refuted", None, "inconclusive", None),
        ("refuted", "refuted", None, None),
        ("refuted", "refuted", "reproduced", True),
        ("refuted", "reproduced", "reproduced", False),
        ("inconclusive", "refuted", None, None),
        ("inconclusive", "reproduced", None, False),
        ("skipped", "skipped", None, None),
    ],
)
def test_sound(status, control, correction, sound):
    assert result(status, control, correction).sound is sound


@pytest.mark.parametrize(
    ("status", "published", "contradicts"),
    [
        ("reproduced", "reproduced", False),
        ("reproduced", "refuted", True),
        ("refuted", "reproduced", True),
        ("inconclusive", "reproduced", False),  # fewer seeds decide less
        ("reproduced", "inconclusive", False),
        ("refuted", None, False),
        ("skipped", "reproduced", False),
    ],
)
def test_contradicts_published(status, published, contradicts):
    assert result(status, published=published).contradicts_published is contradicts


@pytest.mark.parametrize(
    ("of", "failed"),
    [
        (result("reproduced", "refuted"), False),
        (result("refuted", None, "reproduced"), False),
        (result("inconclusive", "refuted"), False),
        (result("skipped", "skipped"), False),
        (result("reproduced", "reproduced"), True),
        (result("error", "refuted"), True),
        (result("reproduced", "error"), True),
        (result("refuted", None, "reproduced", published="reproduced"), True),
    ],
)
def test_failed(of, failed):
    assert of.failed is failed


def test_costs_are_those_of_all_experiments():
    counterpart = evaluation("refuted", "control", seconds=2.0, memory=300)
    both = ClaimResult("a.b", evaluation("reproduced", seconds=1.5, memory=200), (counterpart,))
    assert (both.seconds, both.memory) == (3.5, 300)


@pytest.mark.parametrize(
    ("of", "words"),
    [
        (result("reproduced", "refuted"), "sound: its control is refuted"),
        (result("reproduced", "reproduced"), "unsound: its control is reproduced"),
        (result("refuted", None, "reproduced"), "sound: its correction is reproduced"),
        (result("reproduced", "inconclusive"), "open: its control is inconclusive, where refuted would make it sound"),
        (result("reproduced", None, "reproduced"), "open: it has no control; one that comes out refuted would"),
        (result("refuted", "refuted"), "open: it has no correction; one that comes out reproduced would"),
        (result("refuted", None, "error"), "mend that error"),
        (result("inconclusive", "refuted"), "open: the verdict itself is; more seeds"),
        (result("skipped", "skipped"), "open: the claim ended as skipped"),
    ],
)
def test_soundness_says_what_would_make_it_sound(of, words):
    assert words in of.soundness
