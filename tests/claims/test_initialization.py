"""Helpers of the claims on initial weights, against values worked out elsewhere."""

import keras
import numpy as np
import pytest

from repro.claims.initialization import _networks, training
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


@pytest.mark.parametrize(
    ("activation", "scale", "signal_per_layer", "gradient_per_layer"),
    [("linear", 1.0, 1.0, 1.0), ("relu", 2.0, 1.0, 1.0), ("relu", 1.0, 0.5, 0.5), ("linear", 0.5, 0.5, 0.5)],
)
def test_mean_squares_change_by_the_variance_of_the_weights(activation, scale, signal_per_layer, gradient_per_layer):
    sizes = {"depth": 4, "width": 128, "networks": 40, "examples": 20, "data": "digits"}
    course = _networks.signal_course(0, activations=(activation,), scales=(scale,), backward=True, **sizes)
    signal, gradient = (course[course["measured"] == measured] for measured in ("signal", "gradient"))
    change = (signal["second_moment"].iloc[-1] / signal["second_moment"].iloc[0]) ** (1 / 3)
    assert change == pytest.approx(signal_per_layer, rel=0.05)
    change = (gradient["gradient"].iloc[-1] / gradient["gradient"].iloc[0]) ** (1 / 3)
    assert change == pytest.approx(gradient_per_layer, rel=0.05)
    assert list(signal["layer"]) == list(gradient["layer"]) == [1, 2, 3, 4]


def test_gradients_of_a_course_are_those_of_its_networks():
    sizes = {"depth": 3, "width": 8, "networks": 1, "examples": 4, "data": "digits"}
    course = _networks.signal_course(0, activations=("relu",), scales=(2.0,), backward=True, **sizes)
    images = load_data("digits").standardized().flat().subset(4, 0).x_train
    kernels = [
        np.asarray(_networks._weights(0, layer, 1, 64 if layer == 1 else 8, 8))[0] * 2**0.5 for layer in (1, 2, 3)
    ]
    direction = np.random.default_rng((0, 0)).standard_normal((1, 4, 8), dtype=np.float32)[0]

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
    gradients = course[course["measured"] == "gradient"].set_index("layer")["gradient"]
    assert gradients[3] == pytest.approx(np.square(slopes).mean(), rel=1e-3)
