import json

import numpy as np
import pytest

from repro.result import ClaimResult, Evaluation, Run, result_json, run_json
from repro.verdict import Part, Verdict


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


def test_json_of_a_result():
    plain = result_json(result("reproduced", "refuted", published="reproduced"))
    assert list(plain) == [
        *("id", "status", "sound", "effect", "low", "high", "confidence", "p", "n", "parts"),
        *("counterparts", "published", "parameters", "seconds", "memory", "message"),
    ]
    assert (plain["id"], plain["status"], plain["sound"]) == ("family.name", "reproduced", True)
    assert (plain["low"], plain["published"]) == (None, "reproduced")
    assert plain["counterparts"] == [
        {
            "kind": "control",
            "statement": "statement of the control",
            "status": "refuted",
            "effect": 1.0,
            "low": None,
            "high": 2.0,
            "n": 12,
        }
    ]


def test_json_of_an_error_has_the_same_keys():
    failed = ClaimResult("a.b", evaluation("error", message="ValueError: no"), ())
    plain = result_json(failed)
    assert list(plain) == list(result_json(result("reproduced")))
    assert (plain["status"], plain["effect"], plain["n"], plain["parts"]) == ("error", None, 0, [])
    assert (plain["message"], plain["sound"]) == ("ValueError: no", None)


def test_json_of_a_run():
    run = Run("2026-01-01T00:00:00", "2026-01-01T00:00:00", "smoke", "jax", {"python": "3.11"})
    plain = run_json(run, [result("reproduced", "refuted")])
    assert list(plain) == ["run", "profile", "backend", "environment", "results"]
    assert [item["id"] for item in plain["results"]] == ["family.name"]
    json.dumps(plain, allow_nan=False)
