"""Helpers of the claims on backpropagation, against values worked out elsewhere."""

import numpy as np
import pytest
import scipy.optimize

from repro.claims.backpropagation import formulas, layers, passes
from repro.engine import backend

backend.configure()


@pytest.mark.parametrize("activation", layers.ACTIVATIONS)
def test_slopes_are_differences_of_the_activation(activation):
    function, slope = layers.ACTIVATIONS[activation]
    z, step = np.array([-2.1, -0.4, 0.3, 1.7]), 1e-6
    np.testing.assert_allclose(slope(z), (function(z + step) - function(z - step)) / (2 * step), atol=1e-8)


@pytest.mark.parametrize(("slopes", "factor"), [(1, 1.0), (2, 0.75)])
def test_gradient_of_one_unit_is_worked_out_by_hand(slopes, factor):
    # tanh of 1/2 log 3 is 1/2, its slope 3/4
    parameters = [np.array([[np.log(3.0) / 2]]), np.zeros(1)]
    by_weight, by_bias = layers._assembled(np.ones(1), np.array([2.0]), parameters, ("tanh",), slopes=slopes)
    assert by_weight == pytest.approx(np.array([[1.5 * factor]]))
    assert by_bias == pytest.approx([1.5 * factor])


@pytest.mark.parametrize("name", formulas.FUNCTIONS)
def test_derivatives_by_hand_are_those_by_keras(name):
    function, slope = formulas.FUNCTIONS[name]
    points = np.array([-1.2, 0.3, 0.8])
    np.testing.assert_allclose(formulas._derivatives(function, points), slope(points), rtol=1e-12)


def test_gradient_of_errors_is_that_of_differences():
    generator = np.random.default_rng(0)
    x, t, w = generator.normal(size=(4, 2)), generator.normal(size=4), generator.normal(size=9)

    def error(w):
        units = 1 / (1 + np.exp(-x @ w[:6].reshape(2, 3)))
        return np.square(t - units @ w[6:]).sum()

    expected = scipy.optimize.approx_fprime(w, error, 1e-7)
    np.testing.assert_allclose(formulas._gradient_of_errors(w, x, t, 3), expected, rtol=1e-4, atol=1e-5)


def test_gradients_by_units_are_those_of_differences():
    generator = np.random.default_rng(0)
    kernels = [generator.normal(size=shape) for shape in ((3, 3), (3, 1))]
    x, t = generator.normal(size=(5, 3)), generator.normal(size=(5, 1))
    counter = passes.Counter(2)
    expected = passes._differences(kernels, x, t, counter)
    found = np.concatenate([values.ravel() for values in passes._by_units(generator, kernels, x, t)])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
    assert counter.passes == 13  # one for each of twelve weights, and one before
    assert counter.multiplications == 13 * 5 * 12


def test_automatic_differentiation_visits_each_layer_twice():
    gradient, counter, alone = passes._counted_gradient((3, 3, 1), 5)
    generator = np.random.default_rng(0)
    kernels = [generator.normal(size=shape) for shape in ((3, 3), (3, 1))]
    gradient(
        [passes._doubles(kernel) for kernel in kernels],
        passes._doubles(np.ones((5, 3))),
        passes._doubles(np.ones((5, 1))),
    )
    assert (counter.visits, counter.multiplications) == ([2, 2], 3 * 60)
    assert (alone.visits, alone.multiplications) == ([1, 1], 60)


def test_a_changed_network_has_the_gradient_of_differences():
    generator = np.random.default_rng(0)
    kernels = [generator.normal(size=shape) for shape in ((3, 4), (4, 2))]
    x, truth = generator.normal(size=(5, 3)), np.eye(2)[[0, 1, 1, 0, 1]]
    network = passes.Network(kernels, ("softplus", "linear"), "squares").changed(generator, "error function", None)

    def error(first):
        logits = np.logaddexp(x @ first.reshape(3, 4), 0) @ kernels[1]
        return (np.log(np.exp(logits).sum(axis=1)) - (truth * logits).sum(axis=1)).sum()

    outputs = network.forward(x, [], 0)
    first, _ = network.backward(x, outputs, network.error(outputs[-1][0], truth))
    expected = scipy.optimize.approx_fprime(kernels[0].ravel(), error, 1e-7)
    np.testing.assert_allclose(first.ravel(), expected, rtol=1e-4, atol=1e-5)
    np.testing.assert_allclose(network.by_keras(x, truth)[0].ravel(), expected, rtol=1e-4, atol=1e-5)
