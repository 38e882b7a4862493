"""Helpers of the claims on vanishing gradients, against values worked out elsewhere."""

import numpy as np
import pandas as pd
import pytest
from scipy import integrate, optimize, stats

from repro.claims.vanishing_gradients import _networks, propagation, recurrent, residual


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


def test_gradients_of_a_saturated_tanh_network_are_those_of_its_few_units_near_zero():
    q = optimize.brentq(lambda q: 400 * _normal_mean(lambda x: np.tanh(x) ** 2, q) - q, 100, 400)
    near_zero = integrate.quad(lambda x: np.cosh(x) ** -4 * stats.norm.pdf(x / q**0.5) / q**0.5, -20, 20)[0]
    assert _networks.mean_field_slope("tanh", 400.0) == pytest.approx(400 * near_zero, rel=1e-4)


def test_gradients_of_a_tanh_network_that_falls_silent_change_by_the_scale():
    assert _networks.mean_field_slope("tanh", 0.25) == pytest.approx(0.25)


def test_gradients_of_a_chaotic_tanh_network_grow():
    assert _networks.mean_field_slope("tanh", 4.0) > 1


@pytest.mark.parametrize("tied", [True, False])
def test_gradients_of_steps_are_those_of_finite_differences(tied):
    options = {"steps": 3, "tied": tied, "drive": 0.5, "width": 4, "networks": 1, "examples": 2}
    norms = recurrent.gradient_norms(0, **options)
    generator = np.random.default_rng((0, 3, tied))

    def normal(*shape):
        return generator.standard_normal(shape, dtype=np.float32)[0].astype(float)

    kernels = [normal(1, 4, 4) / 2] * 3 if tied else [normal(1, 4, 4) / 2 for _ in range(3)]
    start = normal(1, 2, 4)
    added = [0.5**0.5 * normal(1, 2 if tied else 1, 4) for _ in range(3)]
    direction = normal(1, 2, 4)

    def output(shift):
        signal = np.tanh(start @ kernels[0] + added[0] + shift)
        for kernel, extra in zip(kernels[1:], added[1:], strict=True):
            signal = np.tanh(signal @ kernel + extra)
        return float((direction * signal).sum())

    slopes = np.zeros((2, 4))
    for place in np.ndindex(slopes.shape):
        moved = np.zeros((2, 4))
        moved[place] = 1e-4
        slopes[place] = (output(moved) - output(-moved)) / 2e-4
    assert len(norms) == 3
    assert norms[-1] == pytest.approx(np.square(slopes).mean() ** 0.5, rel=1e-3)


def test_gradients_of_relu_networks_change_by_half_the_scale():
    options = {"depth": 4, "width": 64, "networks": 200, "examples": 8, "data": "digits"}
    gradients = _networks.averaged_gradients(0, activation="relu", scales=(1.0, 2.0), **options)
    for scale, expected in ((1.0, 0.5**1.5), (2.0, 1.0)):
        by_place = gradients[gradients["scale"] == scale].set_index("layers_back")["gradient"]
        assert by_place[3] / by_place[0] == pytest.approx(expected, rel=0.05)


def test_gradients_of_tanh_networks_are_those_of_finite_differences():
    options = {"depth": 3, "width": 5, "networks": 1, "examples": 4, "data": "digits"}
    gradients = _networks.averaged_gradients(0, activation="tanh", scales=(2.0,), **options)
    images = _networks.drawn_images("digits", 4)(0).x_train.astype(float)
    generator = np.random.default_rng(0)
    kernels = [
        (generator.standard_normal((1, n, 5), dtype=np.float32)[0] * (2 / n) ** 0.5).astype(float)
        for n in (images.shape[1], 5, 5)
    ]
    direction = generator.standard_normal((1, 4, 5), dtype=np.float32)[0]

    def output(shift):
        signal = images @ kernels[0] + shift
        for kernel in kernels[1:]:
            signal = np.tanh(signal) @ kernel
        return float((direction * np.tanh(signal)).sum())

    slopes = np.zeros((4, 5))
    for place in np.ndindex(slopes.shape):
        moved = np.zeros((4, 5))
        moved[place] = 1e-4
        slopes[place] = (output(moved) - output(-moved)) / 2e-4
    first = gradients.set_index("layer")["gradient"][1]
    assert first == pytest.approx(np.square(slopes).mean() ** 0.5, rel=1e-3)


def test_the_activation_that_grows_least_is_chosen_for_each_seed():
    growth = {(0, "tanh"): 2.0, (0, "relu"): 3.0, (1, "tanh"): 5.0, (1, "relu"): 4.0}
    rows = [
        {"seed": seed, "activation": activation, "layers": back, "gradient": factor**back}
        for (seed, activation), factor in growth.items()
        for back in range(3)
    ]
    chosen = propagation._extreme(pd.DataFrame(rows), least=True)
    assert chosen.groupby("seed")["activation"].unique().map(list).to_dict() == {0: ["tanh"], 1: ["relu"]}


@pytest.mark.parametrize("normalised", [True, False])
@pytest.mark.parametrize("shortcut", [True, False])
def test_gradients_of_blocks_are_those_of_finite_differences(shortcut, normalised):
    images = np.random.default_rng(1).standard_normal((5, 3)).astype(np.float32)
    options = {"scale": 2.0, "shortcut": shortcut, "normalised": normalised}
    found = residual.block_gradients(0, depth=3, width=4, networks=1, images=images, **options)
    generator = np.random.default_rng(0)

    def normal(*shape):
        return generator.standard_normal((1, *shape), dtype=np.float32)[0].astype(float)

    signal = images @ (normal(3, 4) * (2 / 3) ** 0.5)
    blocks = [(normal(4, 4) / 2**0.5, normal(4, 4) / 2**0.5) for _ in range(3)]
    direction = normal(5, 4)

    def block(signal, first, second):
        entering = signal @ first
        if normalised:
            entering = (entering - entering.mean(axis=0)) / entering.std(axis=0)
        return np.maximum(entering, 0) @ second + (signal if shortcut else 0)

    def output(shift):
        result = block(signal, *blocks[0]) + shift
        for kernels in blocks[1:]:
            result = block(result, *kernels)
        return float((direction * result).sum())

    slopes = np.zeros((5, 4))
    for place in np.ndindex(slopes.shape):
        moved = np.zeros((5, 4))
        moved[place] = 1e-5
        slopes[place] = (output(moved) - output(-moved)) / 2e-5
    assert len(found) == 3
    assert found[-1] == pytest.approx(np.square(slopes).mean() ** 0.5, rel=1e-3)
