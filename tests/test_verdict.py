import base64
import json
import re
from xml.etree import ElementTree

import numpy as np
import pytest
from matplotlib.figure import Figure

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
    html = verdict(statement="<i>It</i> holds for $n < 3$.")._repr_html_()
    assert "&lt;i&gt;It&lt;/i&gt; holds for" in html
    assert "<b>refuted</b>" in html
    assert "loss &lt;of&gt; a net" in html
    assert "<td>&lt;b&gt;</td>" in html
    assert "<table>" not in verdict(parts=())._repr_html_()


def test_html_shows_formulas_and_the_figure():
    def draw(drawn):
        figure = Figure()
        figure.text(0.5, 0.5, f"it is {drawn.status}")
        return figure

    html = verdict(statement=r"It is $\gamma^2$.", draw=draw)._repr_html_()
    assert "<math" in html
    assert "γ" in html or "&#x003B3;" in html
    assert 'alt="refuted: loss &lt;of&gt; a net 2' in html
    drawn = base64.b64decode(re.search('src="data:image/svg[+]xml;base64,([^"]+)"', html)[1]).decode()
    assert "it is refuted" in ElementTree.fromstring(drawn).itertext()


def test_a_figure_that_cannot_be_drawn_loses_nothing():
    html = verdict(draw=lambda _: 1 / 0)._repr_html_()
    assert "<b>refuted</b>" in html
    assert "No figure could be drawn: ZeroDivisionError: division by zero" in html
    assert "<img" not in verdict()._repr_html_()


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
