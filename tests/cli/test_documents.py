"""The JSON that commands print."""

import json
import math

import numpy as np

from repro.cli.documents import json_text, result_json, run_json
from repro.criteria.verdict import Part, Verdict
from repro.results.records import ClaimResult, Evaluation, Run
from repro.runner import CompletedRun


def evaluation(status, kind="claim", **details):
    decided = status in ("reproduced", "refuted", "inconclusive")
    verdict = Verdict(status, 1.0, -np.inf, 2.0, 12, "loss", p=0.001, parts=(Part("a", status, 1.0, 0.0, 2.0, 12),))
    return Evaluation(kind, f"statement of the {kind}", {}, (0, 1), status, verdict if decided else None, **details)


def result(status, control=None, correction=None, published=None):
    given = {"control": control, "correction": correction}
    counterparts = tuple(evaluation(of, kind) for kind, of in given.items() if of is not None)
    return ClaimResult("family.name", evaluation(status), counterparts, published)


def test_json_of_a_result():
    plain = result_json(result("reproduced", "refuted", published="reproduced"))
    assert list(plain) == [
        *("id", "status", "sound", "soundness", "effect", "low", "high", "confidence", "p", "n", "parts"),
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
    plain = run_json(CompletedRun(run, (result("reproduced", "refuted"),)))
    assert list(plain) == ["run", "profile", "backend", "environment", "results"]
    assert [item["id"] for item in plain["results"]] == ["family.name"]
    json.loads(json_text(plain))


def test_json_has_no_nan_or_infinities():
    value = {"a": [math.nan, (math.inf, 1.5)], "b": -math.inf, "c": np.float64("nan"), "d": np.int64(3)}
    assert json.loads(json_text(value)) == {"a": [None, [None, 1.5]], "b": None, "c": None, "d": 3}
    assert "NaN" not in json_text(value)
