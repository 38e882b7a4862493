"""Helpers of the claims on initial weights, against values worked out elsewhere."""

import keras
import numpy as np
import pytest

from repro.claims.initialization import _networks, training


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
