import json

import numpy as np
import pytest

from repro.statistics import SMALLEST
from repro.verdict import Part, Verdict, format_effect, format_number, to_json

PARTS = (Part("width 8", "refuted", 2.0, 1.5, np.inf, 12), Part("<b>", "reproduced", 0.0, -1.0, 1.0, 12))


def verdict(**changes):
    values = {"status": "refuted", "effect": 2.0, "low": 1.5, "high": np.inf, "n": 12, "measure": "loss <of> a net"}
    return Verdict(**values | {"p": 0.004, "parts": PARTS, "deciding": "width 8"} | changes)


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1.23456, "1.235"),
        (-0.5, "−0.5"),
        (1e-7, "1e−07"),
        (0.0, "0"),
        (-SMALLEST, "0"),
        (np.inf, "∞"),
        (-np.inf, "−∞"),
        (np.nan, "–"),
        (7, "7"),
    ],
)
def test_format_number(value, text):
    assert format_number(value) == text


def test_format_effect():
    assert format_effect(0.5, -np.inf, 1.25) == "0.5 [−∞, 1.25]"


def test_text_has_effect_deciding_part_and_parts():
    lines = str(verdict()).splitlines()
    assert lines[0] == "refuted: loss <of> a net 2 [1.5, ∞], n = 12 (width 8)"
    assert [line.split()[0] for line in lines[1:]] == ["width", "<b>"]
    assert len(str(verdict(parts=(), deciding="")).splitlines()) == 1


def test_html_escapes_what_it_is_given():
    html = verdict()._repr_html_()
    assert "<b>refuted</b>" in html
    assert "loss &lt;of&gt; a net" in html
    assert "<td>&lt;b&gt;</td>" in html
    assert "<table>" not in verdict(parts=())._repr_html_()


def test_json_has_the_documented_keys_and_no_infinities():
    plain = to_json(verdict(effect=np.float64(2.0)))
    assert list(plain) == ["status", "effect", "low", "high", "confidence", "p", "n", "parts"]
    assert (plain["effect"], plain["high"], plain["confidence"], plain["p"]) == (2.0, None, 0.99, 0.004)
    assert plain["parts"][0] == {
        "name": "width 8",
        "status": "refuted",
        "effect": 2.0,
        "low": 1.5,
        "high": None,
        "n": 12,
    }
    json.dumps(plain, allow_nan=False)


def test_json_without_sampling_error():
    assert to_json(verdict(p=None))["p"] is None
    assert to_json(verdict(effect=np.nan))["effect"] is None


def test_a_verdict_read_back_has_no_figure():
    with pytest.raises(ValueError, match="no observations"):
        verdict().figure()


def test_figure_is_drawn_of_the_verdict():
    assert verdict(draw=lambda drawn: drawn.effect).figure() == 2.0


def test_observations_do_not_make_verdicts_differ():
    assert verdict(observations=[1]) == verdict(observations=[2])
    assert verdict() != verdict(n=13)
