import numpy as np
import pandas as pd
import pytest
from matplotlib.figure import Figure

from repro.criteria import drawing
from repro.uncertainty.intervals import Band, Rate


@pytest.fixture
def axes():
    return Figure(layout="constrained").subplots()


def marks(axes, label):
    return [artist for artist in (*axes.lines, *axes.collections) if artist.get_label() == label]


def test_arms_are_paired_by_seed(axes):
    arms = {"off": pd.Series([1.0, 2.0, 3.0]), "on": pd.Series([4.0, 6.0, 5.0])}
    drawing.paired_arms(axes, arms, metric="test_loss")
    assert [list(line.get_ydata()) for line in axes.lines] == [[1, 4], [2, 6], [3, 5]]
    assert [text.get_text() for text in axes.get_xticklabels()] == ["off", "on"]
    assert axes.get_ylabel() == "test loss"
    (medians,) = marks(axes, "median over seeds")
    assert medians.get_offsets()[:, 1].tolist() == [2, 5]


def test_infinite_values_are_marked_at_the_edge(axes):
    arms = {"off": pd.Series([1.0, 2.0]), "on": pd.Series([3.0, np.inf])}
    drawing.paired_arms(axes, arms, metric="steps")
    (infinite,) = marks(axes, "infinite")
    assert infinite.get_offsets().tolist() == [[1.0, axes.get_ylim()[1]]]
    assert np.isfinite(axes.get_ylim()).all()


def test_all_values_may_be_infinite(axes):
    drawing.seedwise(axes, pd.Series([np.inf, np.inf, np.inf]), Band(low=2.0), measure="ratio", log=True)
    assert np.isfinite(axes.get_xlim()).all()


def test_seeds_outside_the_band_stand_out(axes):
    effects = pd.Series([0.5, -3.0, 0.2, 4.0])
    drawing.seedwise(axes, effects, Band(-1, 1), measure="difference")
    inside, outside = [dots for dots in axes.collections if len(dots.get_offsets())][:2]
    assert inside.get_offsets()[:, 0].tolist() == [0.2, 0.5]
    assert outside.get_offsets()[:, 0].tolist() == [-3.0, 4.0]
    low, high = axes.get_xlim()
    assert low < -3
    assert high > 4


def test_one_seed_has_no_interval(axes):
    drawing.seedwise(axes, pd.Series([0.5]), Band(-1, 1), measure="difference")
    assert not marks(axes, "median, 99% interval")


def test_bound_that_varies_is_the_diagonal_and_violations_stand_out(axes):
    values, bound = pd.Series([1.0, 5.0, 2.0], name="updates"), pd.Series([2.0, 4.0, 3.0], name="bound")
    drawing.against_bound(axes, values, bound, values > bound, forbidden="above")
    (line,) = marks(axes, "bound")
    assert list(line.get_xdata()) == list(line.get_ydata())
    points = axes.collections[-1]
    colours = {
        tuple(offset): tuple(colour[:3])
        for offset, colour in zip(points.get_offsets(), points.get_facecolors(), strict=True)
    }
    assert colours[4.0, 5.0] != colours[2.0, 1.0] == colours[3.0, 2.0]


def test_many_points_are_thinned_but_violations_stay(axes):
    generator = np.random.default_rng(0)
    bound = pd.Series(generator.uniform(1, 2, 20_000), name="bound")
    values = (bound * 0.5).rename("value")
    values.iloc[12_345] = 3.0
    drawing.against_bound(axes, values, bound, values > bound, forbidden="above")
    drawn = axes.collections[-1].get_offsets()
    assert len(drawn) == drawing.MAX_POINTS + 1
    assert 3.0 in drawn[:, 1]


def test_proportion_has_its_exact_interval(axes):
    drawing.proportion(axes, Rate(9, 10), at_least=0.5, success="converged")
    (interval,) = marks(axes, "99% interval")
    # Clopper and Pearson's 99 % limits for 9 of 10, from the quantiles of the beta distribution.
    assert interval.get_xdata() == pytest.approx([0.4557, 0.9995], abs=1e-4)
    assert axes.get_xlim() == (0, 1)


def test_trend_shows_every_seed_and_the_median(axes):
    observations = pd.DataFrame({"seed": [0, 0, 1, 1, 2, 2], "depth": [1, 2] * 3, "loss": [1.0, 2, 3, 7, 5, 6]})
    drawing.trend(axes, observations, x="depth", y="loss")
    (median,) = marks(axes, "median over seeds")
    assert list(median.get_ydata()) == [3, 6]
    assert len(axes.lines) == 4
    assert axes.get_yscale() == "linear"


def test_trend_over_decades_is_logarithmic_and_numbers_are_plain(axes):
    observations = pd.DataFrame({"seed": 0, "depth": range(1, 8), "loss": 10.0 ** np.arange(-6, 1)})
    drawing.trend(axes, observations, x="depth", y="loss")
    assert axes.get_yscale() == "log"
    assert not any("$" in text.get_text() for text in axes.get_yticklabels())


def test_trend_draws_a_limited_number_of_seeds(axes):
    observations = pd.DataFrame({"seed": np.repeat(range(300), 2), "depth": [1, 2] * 300, "loss": 1.0})
    drawing.trend(axes, observations, x="depth", y="loss")
    assert len(axes.lines) == drawing.MAX_LINES + 1


def test_law_passes_through_the_middle_with_its_slope(axes):
    x = np.array([1.0, 10.0, 100.0])
    medians = pd.Series(2 * x**-0.5, index=x)
    drawing.law(axes, medians, np.log(x), slope=-0.5, band=Band(-1.0, -0.25))
    (fitted,) = marks(axes, "fitted law")
    assert fitted.get_ydata() == pytest.approx(medians.to_numpy())
    limits = [line.get_ydata() for line in marks(axes, "limit of the law")]
    assert [limit[2] / limit[0] for limit in limits] == pytest.approx([100**-1.0, 100**-0.25])


def test_expected_place_is_marked(axes):
    drawing.expected_place(axes, 300.0, 2.0, pd.Series([310.0]), pd.Series([0.5]))
    (line,) = marks(axes, "expected place")
    assert list(line.get_xdata()) == [300, 300]


def test_companion_takes_half_of_the_panel(axes):
    companion = drawing.beside(axes)
    axes.figure.draw_without_rendering()
    assert companion.get_position().x0 > axes.get_position().x1
    assert companion.get_position().width == pytest.approx(axes.get_position().width, rel=0.2)
