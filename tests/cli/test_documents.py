"""The JSON that commands print."""

import json
import math
from dataclasses import replace

import numpy as np

from repro.cli.documents import json_text, result_json, run_json
from repro.criteria.verdict import Cell, Part, Verdict
from repro.results.records import ClaimResult, Evaluation, Run
from repro.runner import CompletedRun


def evaluation(status, role="claim", **details):
    verdict = Verdict(
        status,
        1.0,
        -np.inf,
        2.0,
        12,
        "loss",
        p=0.001,
        kind="tendency",
        scale="toy",
        sentence="Holds here.",
        threshold=0.1,
        threshold_range=(0.0, np.inf),
        cells=(Cell({"depth": 2}, "holds", 1.0, -np.inf, 2.0, 12, part="a"),),
        parts=(Part("a", status, 1.0, 0.0, 2.0, 12, threshold_range=(0.0, np.inf)),),
    )
    judged = status not in ("error", "skipped")
    return Evaluation(role, f"statement of the {role}", {}, (0, 1), status, verdict if judged else None, **details)


def result(status, control=None, correction=None, published=None):
    given = {"control": control, "correction": correction}
    counterparts = tuple(evaluation(of, role) for role, of in given.items() if of is not None)
    return ClaimResult("family.name", evaluation(status), counterparts, published)


def test_json_of_a_result():
    plain = result_json(result("reproduced", "refuted", published="reproduced"))
    assert list(plain) == [
        *("id", "status", "sound", "soundness", "marks", "effect", "low", "high", "confidence", "p", "kind", "scale"),
        *("sentence", "threshold", "threshold_range", "n", "parts", "cells"),
        *("counterparts", "published", "parameters", "seconds", "memory", "message"),
    ]
    assert (plain["id"], plain["status"], plain["sound"]) == ("family.name", "reproduced", True)
    assert (plain["low"], plain["published"]) == (None, "reproduced")
    assert (plain["kind"], plain["scale"], plain["sentence"]) == ("tendency", "toy", "Holds here.")
    assert (plain["threshold"], plain["threshold_range"]) == (0.1, [0.0, None])
    (cell,), (part,) = plain["cells"], plain["parts"]
    assert (cell["conditions"], cell["outcome"], cell["part"], cell["low"]) == ({"depth": 2}, "holds", "a", None)
    assert (part["name"], part["status"], part["threshold_range"]) == ("a", "reproduced", [0.0, None])
    assert plain["counterparts"] == [
        {
            "role": "control",
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
    assert set(plain) == set(result_json(result("reproduced")))
    assert (plain["status"], plain["effect"], plain["n"], plain["parts"], plain["cells"]) == ("error", None, 0, [], [])
    assert (plain["message"], plain["sound"]) == ("ValueError: no", None)


def test_json_of_a_marked_result_says_why():
    marked = replace(result("conditional"), evaluation=evaluation("conditional", marks=("its kind is not declared",)))
    plain = result_json(marked)
    assert (plain["status"], plain["sound"], plain["marks"]) == ("conditional", False, ["its kind is not declared"])
    json.loads(json_text(plain))


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
