from xml.etree import ElementTree

import matplotlib as mpl
import matplotlib.pyplot as plt
import numpy as np
import pandas as pd
import pytest

from repro.criteria import (
    AllOf,
    AtLeast,
    AtMost,
    Boundary,
    Equivalent,
    ExponentialDecay,
    Greater,
    Identity,
    Monotone,
    Peak,
    Preserved,
    Proportion,
    Ratio,
    ScalingLaw,
)
from repro.criteria.figures import MAX_PANELS, draw_panels, label, render

REASON = {"because": "it is a test"}
CRITERIA = [
    Greater("value", of="b", than="a", by="arm", smallest_difference=0.1, **REASON),
    Greater("value", of="b", than="a", by="arm", smallest_ratio=1.5, **REASON),
    Ratio("value", of="b", than="a", by="arm", expected=2, within=1.5, **REASON),
    Equivalent("value", target=1.0, smallest_difference=0.1, **REASON),
    Identity("value", "same"),
    Identity("value", "other", digits=2),
    AtMost("value", bound="same"),
    AtMost("value", bound=1.0),
    AtLeast("value", bound="other"),
    Proportion("success", at_least=0.9, **REASON),
]
TRENDS = [
    Preserved("value", along="position", smallest_ratio=1.1, **REASON),
    ScalingLaw("position", "value", at_least=-1, at_most=1, **REASON),
    ScalingLaw("position", "value", at_most=1, **REASON),
    ExponentialDecay("position", "value", at_least=0.1, **REASON),
    Peak("position", "value", at=3, within=2, prominence=2, **REASON),
    Peak("position", "value", at="position", within=2, prominence=2, kind="minimum", **REASON),
    Monotone("position", "value", smallest_difference=0.5, **REASON),
    Monotone("position", "value", smallest_difference=0.5, direction="decreasing", **REASON),
]


def drawn(criterion, observations):
    return criterion.figure(observations, criterion(observations))


def svg(drawing):
    return render(drawing, ["svg"])["svg"].decode()


def arms(seeds):
    values = np.random.default_rng(1).lognormal(size=2 * seeds)
    table = pd.DataFrame({"seed": np.repeat(np.arange(seeds), 2), "arm": ["a", "b"] * seeds, "value": values})
    return table.assign(same=values, other=values + 1, success=values > 0.1)


def sequence(seeds):
    values = np.random.default_rng(1).lognormal(size=5 * seeds)
    return pd.DataFrame({"seed": np.repeat(np.arange(seeds), 5), "position": [1, 2, 3, 4, 5] * seeds, "value": values})


def texts(drawing):
    return [element.text for element in ElementTree.fromstring(svg(drawing)).iter() if element.tag.endswith("text")]


@pytest.mark.parametrize("seeds", [1, 24])
@pytest.mark.parametrize("criterion", CRITERIA, ids=repr)
def test_criteria_draw(criterion, seeds):
    verdict = criterion(arms(seeds))
    assert verdict.status in texts(criterion.figure(arms(seeds), verdict))


@pytest.mark.parametrize("seeds", [1, 24])
@pytest.mark.parametrize("criterion", TRENDS, ids=repr)
def test_trends_draw(criterion, seeds):
    shown = texts(drawn(criterion, sequence(seeds)))
    assert "position" in shown
    assert "value" in shown


def test_criteria_draw_a_run_without_seeds():
    observations = arms(1).drop(columns="seed")
    assert "reproduced" in texts(
        drawn(Equivalent("value", target=1.0, smallest_difference=10.0, **REASON), observations)
    )


def test_svg_is_the_same_for_the_same_observations():
    criterion = AtMost("value", bound="same")
    first, second = (svg(drawn(criterion, arms(5))) for _ in range(2))
    assert first == second
    assert "dc:date" not in first


def test_nothing_global_changes():
    before = dict(mpl.rcParams)
    svg(drawn(AtMost("value", bound="same"), arms(5)))
    assert dict(mpl.rcParams) == before
    assert plt.get_fignums() == []


def test_each_panel_says_its_name_and_outcome():
    criterion = AllOf(low=AtMost("value", bound="other"), high=AtLeast("value", bound="other"))
    shown = texts(drawn(criterion, arms(12)))
    assert "low – holds" in shown
    assert "high – fails" in shown


def test_of_many_parts_the_deciding_and_the_most_extreme_are_drawn():
    offsets = np.linspace(0, 0.2, 20)
    observations = pd.concat(
        [pd.DataFrame({"seed": range(24), "width": n, "value": 1 + offset}) for n, offset in enumerate(offsets)]
    )
    criterion = Equivalent("value", target=1.0, smallest_difference=0.15, each=("width",), **REASON)
    verdict = criterion(observations)
    drawing = draw_panels(list(criterion.panels(observations)), verdict)
    titles = [axes.get_title(loc="left").replace("\n", " ") for axes in drawing.axes]
    assert len(titles) == MAX_PANELS
    assert f"{verdict.deciding} – fails" in titles
    assert "width 0 – holds" in titles
    assert "width 19 – fails" in titles
    assert "width 9 – holds" not in titles
    assert f"{MAX_PANELS} of 20 parts" in drawing.get_suptitle()


def test_figure_draws_panels_in_their_order():
    criterion = Equivalent("value", target=1.0, smallest_difference=50.0, each=("arm",), **REASON)
    observations = arms(24)
    panels = list(criterion.panels(observations))
    titles = [axes.get_title(loc="left") for axes in draw_panels(panels, criterion(observations)).axes]
    assert titles[:2] == ["arm a – holds", "arm b – holds"]


def by_width(effects):
    tables = [pd.DataFrame({"seed": range(24), "width": width, "value": 1 + effect}) for width, effect in effects]
    return pd.concat(tables)


@pytest.mark.parametrize(
    ("effects", "options", "is_map"),
    [
        ({8: 0.0, 16: 0.0}, {}, False),
        ({8: 0.0, 16: 0.5}, {}, True),  # it holds in part
        ({8: 0.0, 16: 0.5}, {"kind": "formula"}, False),
        ({8: 0.0, 16: 0.0}, {"boundary": Boundary("everywhere", holds="width > 0")}, True),
        (dict.fromkeys(range(5), 0.0), {}, True),  # too many for panels
    ],
)
def test_what_differs_by_conditions_is_drawn_as_a_map(effects, options, is_map):
    criterion = Equivalent("value", target=1.0, smallest_difference=0.1, each=("width",), **REASON)
    observations = by_width(effects.items())
    verdict = criterion(observations, **options)
    drawing = criterion.figure(observations, verdict)
    assert ([axes.get_title(loc="left") for axes in drawing.axes] == [""]) == is_map
    if is_map:
        (axes,) = drawing.axes
        assert axes.get_xlabel() == "width"
        assert [tick.get_text() for tick in axes.get_xticklabels()] == [str(width) for width in effects]
        written = [text.get_text().splitlines()[0] for text in axes.texts]
        assert written == [cell.outcome for cell in verdict.cells]


@pytest.mark.parametrize("name", ["$\\frac{$", "a$b", "<script>alert(1)</script>", "bell\x07", "]]>", "&amp;"])
def test_any_name_can_be_drawn(name):
    observations = arms(3).rename(columns={"value": name})
    drawing = drawn(AtMost(name, bound="other"), observations)
    tags = {element.tag.rpartition("}")[2] for element in ElementTree.fromstring(svg(drawing)).iter()}
    assert "script" not in tags


def test_labels_read_as_words():
    assert label("test_loss") == "test loss"
    assert label(8) == "8"
