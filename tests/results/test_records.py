import numpy as np
import pandas as pd
import pytest

from repro.criteria import Equivalent, Verdict
from repro.results.records import ClaimResult, Evaluation


def evaluation(status, role="claim", **details):
    verdict = Verdict(status, 1.0, -np.inf, 2.0, 12, "loss", p=0.001, kind="law")
    decided = status not in ("error", "skipped")
    return Evaluation(role, f"statement of the {role}", {}, (0, 1), status, verdict if decided else None, **details)


def result(status, control=None, correction=None, published=None):
    given = {"control": control, "correction": correction}
    counterparts = tuple(evaluation(of, role) for role, of in given.items() if of is not None)
    return ClaimResult("family.name", evaluation(status), counterparts, published)


@pytest.mark.parametrize(
    ("status", "control", "correction", "sound"),
    [
        ("reproduced", "refuted", None, True),
        ("reproduced", "absent", None, True),
        ("reproduced", "conditional", None, True),
        ("reproduced", "reproduced", None, False),
        ("reproduced", "inconclusive", None, None),
        ("reproduced", "error", None, None),
        ("reproduced", None, "reproduced", None),
        ("refuted", None, "reproduced", True),
        ("refuted", None, "refuted", False),
        ("refuted", None, "absent", False),
        ("refuted", None, "conditional", False),
        ("refuted", None, "inconclusive", None),
        ("refuted", "refuted", None, None),
        ("refuted", "refuted", "reproduced", True),
        ("refuted", "reproduced", "reproduced", False),
        ("inconclusive", "refuted", None, None),
        ("inconclusive", "reproduced", None, False),
        ("conditional", "reproduced", None, False),
        ("skipped", "skipped", None, None),
    ],
)
def test_sound(status, control, correction, sound):
    assert result(status, control, correction).sound is sound


@pytest.mark.parametrize("conditions", [{}, {"depth": 2}])
def test_the_only_cell_of_a_possibility_is_its_best(conditions):
    table = pd.DataFrame({"seed": range(24), "value": 1.0, "depth": 2})
    criterion = Equivalent("value", 1.0, smallest_difference=0.01, each=tuple(conditions))
    own, repetition = (
        Evaluation(role, "It can.", {}, tuple(range(24)), "reproduced", criterion(table, kind="possibility"))
        for role in ("claim", "repetition")
    )
    assert ClaimResult("a.b", own, (repetition,)).sound is True


@pytest.mark.parametrize(
    ("status", "published", "contradicts"),
    [
        ("reproduced", "reproduced", False),
        ("reproduced", "refuted", True),
        ("refuted", "reproduced", True),
        ("conditional", "reproduced", True),
        ("reproduced", "absent", True),
        ("absent", "absent", False),
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
