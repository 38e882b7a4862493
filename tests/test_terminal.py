"""What the command line shows."""

import io
import json
import math

import numpy as np
import pytest
from rich.console import Console

from repro import terminal
from repro.result import ClaimResult, Evaluation
from repro.verdict import Verdict


def result(name, status, control, effect=-0.0012345, published=None):
    def evaluation(kind, status):
        verdict = Verdict(status, effect, -12345.678, math.inf, 48, "difference")
        return Evaluation(kind, "statement", {}, (0,), status, verdict, seconds=61.0)

    return ClaimResult(name, evaluation("claim", status), (evaluation("control", control),), published)


def shown(thing):
    output = io.StringIO()
    Console(file=output, width=80, markup=False).print(thing)
    return output.getvalue()


def test_json_has_no_nan_or_infinities():
    value = {"a": [math.nan, (math.inf, 1.5)], "b": -math.inf, "c": np.float64("nan"), "d": np.int64(3)}
    assert json.loads(terminal.json_text(value)) == {"a": [None, [None, 1.5]], "b": None, "c": None, "d": 3}
    assert "NaN" not in terminal.json_text(value)


@pytest.mark.parametrize(
    ("seconds", "text"), [(0.04, "0.0 s"), (9.94, "9.9 s"), (42.4, "42 s"), (600, "10 min"), (7200, "2.0 h")]
)
def test_durations_have_the_unit_that_suits_them(seconds, text):
    assert terminal.duration(seconds) == text


def test_the_table_fits_80_columns_and_says_all():
    name = "generalization.a_claim_with_quite_a_long_name"
    table = shown(terminal.run_table([result(name, "inconclusive", "inconclusive")]))
    lines = table.splitlines()
    assert max(map(len, lines)) <= 80
    assert name in "".join(line[:30].strip() for line in lines[1:])
    words = " ".join(table.split())
    for expected in ("inconclusive", "undecided", "−0.001234", "∞]", "48", "2 min"):
        assert expected in words


def test_remarks_say_what_calls_for_attention():
    results = [
        result("a.sound", "reproduced", "refuted"),
        result("a.unsound", "reproduced", "reproduced"),
        result("a.contradicting", "refuted", "refuted", published="reproduced"),
    ]
    assert [line.plain for line in terminal.remarks(results)] == [
        "3 claims: 2 reproduced, 1 refuted; 1 sound",
        "a.unsound: unsound, its control is reproduced",
        "a.contradicting: refuted, but published as reproduced",
    ]
