"""Helpers of the claims on initial weights, against values worked out elsewhere."""

import keras
import numpy as np
import pytest

from repro.claims.initialization import _courses, _networks, training
from repro.engine import load_data


@pytest.mark.parametrize(
    ("rule", "n", "m", "variance"),
    [
        ("1/sqrt(n)", 25, 7, 1 / 75),
        ("sqrt(3/n)", 25, 7, 1 / 25),
        ("sqrt(3) 2/(n+m)", 12, 8, 0.01),
        ("sqrt(6/(n+m))", 12, 8, 0.1),
        ("sqrt(3) 2/n", 10, 7, 0.04),
        ("sqrt(6/n)", 10, 7, 0.2),
    ],
)
def test_variance_of_uniform_weights_is_a_third_of_the_squared_half_width(rule, n, m, variance):
    assert _networks.HALF_WIDTHS[rule](n, m) ** 2 / 3 == pytest.approx(variance)


@pytest.mark.parametrize(("name", "rule"), [("glorot_uniform", "sqrt(6/(n+m))"), ("he_uniform", "sqrt(6/n)")])
def test_corrected_half_widths_are_those_of_keras(name, rule):
    drawn = keras.ops.convert_to_numpy(keras.initializers.get(name)((300, 200)))
    assert np.abs(drawn).max() == pytest.approx(_networks.HALF_WIDTHS[rule](300, 200), rel=1e-3)


def test_equal_units_have_no_distance():
    kernel, bias, output = np.ones((3, 4)), np.full(4, 2.0), np.array([[1.0, 5.0]] * 4)
    assert training._unit_distance(kernel, bias, output, np.zeros(2)) == 0
    assert training._unit_distance(0 * kernel, 0 * bias, 0 * output, np.zeros(2)) == 0


def test_distance_of_two_opposite_units_is_one():
    kernel, bias, output = np.array([[1.0, -1.0]]), np.array([2.0, -2.0]), np.array([[3.0], [-3.0]])
    assert training._unit_distance(kernel, bias, output, np.zeros(1)) == pytest.approx(1)


def _rule(activation, scale, distribution="normal"):
    deviation = {"normal": 1, "uniform": 3**0.5}[distribution]
    return _courses.Rule(activation, distribution, lambda n, _: deviation * (scale / n) ** 0.5)


@pytest.mark.parametrize("distribution", ["normal", "uniform"])
@pytest.mark.parametrize(
    ("activation", "scale", "signal_per_layer", "gradient_per_layer"),
    [("linear", 1.0, 1.0, 1.0), ("relu", 2.0, 1.0, 1.0), ("relu", 1.0, 0.5, 0.5), ("linear", 0.5, 0.5, 0.5)],
)
def test_mean_squares_change_by_the_variance_of_the_weights(
    activation, scale, signal_per_layer, gradient_per_layer, distribution
):
    rules = {"rule": _rule(activation, scale, distribution)}
    course = _courses.courses(0, rules, sizes=(128,) * 5, networks=60, examples=20, backward=True)
    for measured, expected in (("signal", signal_per_layer), ("gradient", gradient_per_layer)):
        values = course[(course["measured"] == measured) & (course["layer"] > 0)].set_index("layer")["value"]
        assert list(values.index) == [1, 2, 3, 4]
        assert (values[4] / values[1]) ** (1 / 3) == pytest.approx(expected, rel=0.05)


def test_half_of_the_relu_units_are_active_at_the_start():
    course = _courses.courses(0, {"rule": _rule("relu", 2.0)}, sizes=(64,) * 4, networks=200, examples=10)
    assert course[course["measured"] == "active"]["value"].tolist() == pytest.approx([0.5] * 3, abs=0.01)


def test_networks_that_do_not_fit_at_once_are_averaged(monkeypatch):
    options = {"sizes": (8, 8, 8), "networks": 7, "examples": 3}
    monkeypatch.setattr(_courses, "MOST_WEIGHTS", 2 * 2 * 64)
    course = _courses.courses(0, {"rule": _rule("linear", 1.0)}, **options)
    inputs = course[course["layer"] == 0]["value"].item()
    x = np.random.default_rng((0, 2**32 - 1)).standard_normal((1, 3, 8), dtype=np.float32)
    assert inputs == pytest.approx(np.square(x).mean())
    drawn = [
        np.random.default_rng((0, first)).standard_normal((count, 8, 8), dtype=np.float32)
        for first, count in ((0, 2), (2, 2), (4, 2), (6, 1))
    ]
    expected = np.square(x @ np.concatenate(drawn) / 8**0.5).mean()
    signal = course[(course["measured"] == "signal") & (course["layer"] == 1)]["value"].item()
    assert signal == pytest.approx(expected, rel=1e-5)


def test_gradients_of_a_course_are_those_of_its_networks():
    course = _courses.courses(
        0, {"rule": _rule("relu", 2.0)}, sizes=(64, 8, 8, 8), networks=1, examples=4, data="digits", backward=True
    )
    images = load_data("digits").standardized().flat().subset(4, 0).x_train
    generator = np.random.default_rng((0, 0))
    kernels = [generator.standard_normal((1, n, 8), dtype=np.float32)[0] * (2 / n) ** 0.5 for n in (64, 8, 8)]
    direction = generator.standard_normal((1, 4, 8), dtype=np.float32)[0]

    def output(first):
        signal = first
        for kernel in kernels[1:]:
            signal = np.maximum(signal, 0) @ kernel
        return float((direction * np.maximum(signal, 0)).sum())

    first, step = (images @ kernels[0]).astype(float), 1e-4
    slopes = np.zeros_like(first)
    for place in np.ndindex(first.shape):
        moved = np.zeros_like(first)
        moved[place] = step
        slopes[place] = (output(first + moved) - output(first - moved)) / (2 * step)
    gradients = course[course["measured"] == "gradient"].set_index("layer")["value"]
    assert gradients[3] == pytest.approx(np.square(slopes).mean(), rel=1e-3)
