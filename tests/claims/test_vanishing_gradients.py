"""Helpers of the claims on vanishing gradients, against values worked out elsewhere."""

import numpy as np
import pandas as pd
import pytest

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
