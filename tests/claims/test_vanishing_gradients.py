"""Helpers of the claims on vanishing gradients, against values worked out elsewhere."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, stats

from repro.claims.vanishing_gradients import _networks, propagation


def test_growth_rate_is_that_of_an_exponential():
    layers_back = np.arange(1, 8)
    tables = [
        pd.DataFrame({"seed": seed, "layers_back": layers_back, "gradient": 5 * np.exp(rate * layers_back)})
        for seed, rate in ((0, 0.25), (1, -1.5))
    ]
    rates = _networks.growth_rates(pd.concat(tables), ["seed"]).set_index("seed")["growth"]
    assert rates[0] == pytest.approx(0.25)
    assert rates[1] == pytest.approx(-1.5)


def _normal_mean(function, q):
    return integrate.quad(lambda z: function(q**0.5 * z) * stats.norm.pdf(z), -12, 12)[0]


def test_gradients_of_a_linear_network_change_by_the_scale():
    assert _networks.mean_field_slope("linear", 1.7) == pytest.approx(1.7)


@pytest.mark.parametrize("scale", [1.0, 4.0, 20.0])
def test_gradients_of_a_sigmoid_network_change_by_the_fixed_point_of_mean_field_theory(scale):
    def sigmoid(x):
        return 1 / (1 + np.exp(-x))

    q = optimize.brentq(lambda q: scale * _normal_mean(lambda x: sigmoid(x) ** 2, q) - q, 1e-6, scale)
    expected = scale * _normal_mean(lambda x: (sigmoid(x) * (1 - sigmoid(x))) ** 2, q)
    assert _networks.mean_field_slope("sigmoid", scale) == pytest.approx(expected)


def test_gradients_of_a_tanh_network_that_falls_silent_change_by_the_scale():
    assert _networks.mean_field_slope("tanh", 0.25) == pytest.approx(0.25)


def test_gradients_of_a_chaotic_tanh_network_grow():
    assert _networks.mean_field_slope("tanh", 4.0) > 1


def test_steps_of_a_recurrent_network_share_their_weights():
    model = propagation.recurrent(steps=5, pixels=10, width=4, activation="tanh", every_step=True, inputs=12, outputs=3)
    shapes = [tuple(variable.shape) for variable in model.trainable_variables]
    assert sorted(shapes) == sorted([(2, 4), (4, 4), (4,), (4, 3), (3,)])


def test_a_residual_network_without_shortcuts_is_a_plain_one():
    sizes = {"depth": 3, "width": 4, "activation": "relu", "scale": 1.0, "inputs": 6, "outputs": 2}
    with_shortcuts, plain = (propagation.residual_layers(shortcut=shortcut, **sizes) for shortcut in (1.0, 0.0))
    plain.set_weights(with_shortcuts.get_weights())
    x = np.random.default_rng(0).normal(size=(5, 6)).astype(np.float32)
    signal = x
    for kernel, bias in zip(plain.get_weights()[:-2:2], plain.get_weights()[1:-2:2], strict=True):
        signal = np.maximum(signal @ kernel + bias, 0)
    kernel, bias = plain.get_weights()[-2:]
    assert np.asarray(plain(x)) == pytest.approx(signal @ kernel + bias, abs=1e-5)
    assert np.asarray(with_shortcuts(x)) != pytest.approx(signal @ kernel + bias, abs=1e-2)
