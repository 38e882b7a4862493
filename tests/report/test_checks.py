"""One claim, checked in this process: verdict, counterparts, text, HTML and figure."""

import base64
import re
from xml.etree import ElementTree

import pandas as pd
import pytest
import stand_in
from matplotlib.figure import Figure

import repro
from repro.common.errors import ClaimError, ReproError


def declare(function, **details):
    values = {
        "statement": "<i>It</i> holds for $n < 3$.",
        "source": repro.notes("1"),
        "kind": "theorem",
        "criterion": repro.AtMost("value", bound=1),
        "control": {"shift": 5.0},
    }
    return repro.claim(**values | details)(function)


def measured(seed, *, shift=0.0, arms=("<b>",)):
    """Measures nothing."""
    return {"value": [shift + 0.5 + 0.0 * seed for _ in arms], "arm": list(arms)}


def test_a_check_has_verdict_observations_and_counterparts():
    checked = repro.check(stand_in.bounded, profile="smoke", seeds=8, points=3)
    assert isinstance(checked, repro.Check)
    assert (checked.verdict.status, checked.verdict.n, len(checked.observations)) == ("reproduced", 8, 24)
    assert [(item.role, item.status) for item in checked.result.counterparts] == [("control", "refuted")]
    assert checked.observations_of(checked.result.counterparts[0])["value"].min() > 2
    assert checked.figure().axes


def test_it_has_the_seeds_and_looks_of_a_run():
    assert repro.check(stand_in.bounded, profile="standard").verdict.n == 24
    assert repro.check(stand_in.spread, profile="smoke").verdict.n == 13


def test_text_explains_the_claim_and_shows_what_the_control_changes():
    text = str(repro.check(stand_in.bounded, profile="smoke", points=3))
    for title in ("Statement", "Source", "Method", "Criterion", "Verdict", "Scope", "Control", "Soundness"):
        assert f"\n{title}\n" in text
    assert "  with the mechanism removed\n  with shift=2.0\n  refuted: " in text
    assert "  theorem at scale exact; smoke profile on " in text
    assert "13 seeds; points=3, shift=0.0, data=digits, sizes=1,2" in text
    assert "  sound: its control is refuted" in text


def test_text_of_a_correction_has_its_statement():
    text = str(repro.check(stand_in.addition))
    assert "  Three plus three is six.\n  with right=6.0\n  reproduced: " in text
    assert "no randomness" in text


def test_where_soundness_is_open_it_says_what_would_decide_it():
    assert "the verdict itself is; more seeds (--seeds)" in str(repro.check(stand_in.spread, profile="smoke"))


def test_html_escapes_what_it_is_given():
    by_arm = repro.AtMost("value", bound=1, each=("arm",))
    html = repro.check(declare(measured, criterion=by_arm), arms=("<b>", "other"))._repr_html_()
    assert "&lt;i&gt;It&lt;/i&gt; holds for" in html
    assert "<math" in html
    assert "<b>reproduced</b>" in html
    assert "control <b>refuted</b>" in html
    assert "<td>arm &lt;b&gt;</td><td>holds</td>" in html
    assert "<table>" not in repro.check(declare(measured))._repr_html_()


def test_html_has_the_figure_of_the_claim():
    def picture(observations, verdict):
        figure = Figure()
        figure.text(0.5, 0.5, f"{len(observations)} rows are {verdict.status}")
        return figure

    html = repro.check(declare(measured, figure=picture), seeds=8)._repr_html_()
    drawn = base64.b64decode(re.search('src="data:image/svg[+]xml;base64,([^"]+)"', html)[1]).decode()
    assert "8 rows are reproduced" in ElementTree.fromstring(drawn).itertext()


def test_a_figure_that_cannot_be_drawn_loses_nothing():
    html = repro.check(declare(measured, figure=lambda *_: 1 / 0))._repr_html_()
    assert "<b>reproduced</b>" in html
    assert "No figure could be drawn: ZeroDivisionError: division by zero" in html


def test_shared_experiments_are_reduced():
    claim = repro.claim(
        "x",
        source=repro.notes("1"),
        criterion=repro.AtMost("size", bound=7),
        reads=stand_in.measurement,
        control={"broken": True},
    )(stand_in.first_reader.function)
    checked = repro.check(claim, seeds=8, factor=2)
    pd.testing.assert_series_equal(checked.observations["size"], pd.Series([6] * 8, name="size"))


def test_what_an_experiment_raises_is_told_with_its_traceback():
    with pytest.raises(ClaimError, match=r"stand_in\.failing ended in error, ZeroDivisionError") as error:
        repro.check(stand_in.failing)
    assert "in failing" in "".join(error.value.__notes__)


def test_without_a_verdict():
    skipped = repro.check(stand_in.without_data)
    assert "<b>skipped</b>" in skipped._repr_html_()
    with pytest.raises(ReproError, match="has no observations: the data set nowhere is missing"):
        skipped.figure()


def test_unknown_claims_parameters_and_profiles_are_refused():
    with pytest.raises(ReproError, match="no claim"):
        repro.check("stand_in.unheard_of")
    with pytest.raises(ReproError, match=r"no parameter 'point'; .* did you mean points"):
        repro.check(stand_in.bounded, point=3)
    with pytest.raises(ReproError, match="no profile 'smok'; profiles are smoke, standard, full"):
        repro.check(stand_in.bounded, profile="smok")
