"""Helpers of the claims on the tangent kernel, against Keras, differences and closed forms."""

import keras
import numpy as np
import pytest

from repro.claims.ntk import _linearised, _wide
from repro.engine.backend import value_and_gradient


def keras_outputs(values, x, activation):
    """Outputs of one network by Keras' operations, with the parameters as one list of tensors, in double precision."""
    for layer in range(0, len(values), 2):
        weights, biases = values[layer], values[layer + 1]
        z = (_wide.sigma_w(activation) * keras.ops.matmul(x, weights) + _wide.SIGMA_B * biases) / weights.shape[
            0
        ] ** 0.5
        x = keras.ops.relu(z) if activation == "relu" else 2 * keras.ops.sigmoid(2 * z) - 1
    return z[:, 0]


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_outputs_and_kernels_are_those_of_keras_and_its_derivatives(activation):
    generator = np.random.default_rng(0)
    parameters, x = _wide.draw(generator, 2, (3, 5, 4, 1)), generator.normal(size=(3, 3))
    outputs, kernels = _wide.tangent_kernels(parameters, x, activation)
    values = [keras.ops.convert_to_tensor(part[1]) for layer in parameters for part in layer]
    rows = []
    for row in x:
        inputs = keras.ops.convert_to_tensor(row[None])
        _, _, slopes = value_and_gradient(
            lambda values, inputs=inputs: (keras_outputs(values, inputs, activation)[0], ()), values
        )
        rows.append(np.concatenate([np.ravel(keras.ops.convert_to_numpy(slope)) for slope in slopes]))
    expected = keras.ops.convert_to_numpy(keras_outputs(values, keras.ops.convert_to_tensor(x), activation))
    assert outputs[1] == pytest.approx(expected)
    assert kernels[1] == pytest.approx(np.array(rows) @ np.array(rows).T)


@pytest.mark.parametrize("mean_field", [False, True])
def test_gradient_is_the_limit_of_differences(mean_field):
    generator = np.random.default_rng(1)
    parameters, x = _wide.draw(generator, 2, (3, 5, 1)), generator.normal(size=(4, 3))
    weights, direction = generator.normal(size=(2, 4)), _wide.draw(generator, 2, (3, 5, 1))
    found = _wide.gradient(parameters, x, "tanh", lambda _: weights, mean_field)
    along = sum(
        (a * b).sum(axis=(1, 2)) for p, q in zip(found, direction, strict=True) for a, b in zip(p, q, strict=True)
    )
    ahead, behind = (
        _wide.forward(_wide.move(parameters, step, direction), x, "tanh", mean_field)[0] for step in (1e-5, -1e-5)
    )
    assert along == pytest.approx(((ahead - behind) * weights).sum(axis=1) / 2e-5, rel=1e-6)


def test_kernel_of_weights_counts_a_layer_by_its_width():
    """Of two layers with all biases nought, f = v.relu(w x): its derivatives are relu(w x), one, v on and v on x."""
    first, last = (np.array([[[1.0, -2.0]]]), np.zeros((1, 1, 2))), (np.array([[[3.0], [5.0]]]), np.zeros((1, 1, 1)))
    _, kernels = _wide.tangent_kernels([first, last], np.array([[2.0]]), "relu", of_weights=True)
    after, slope = 2**0.5 * 2.0, 2**0.5 / 2**0.5 * 3.0  # what leaves the first unit, weight w of the output
    assert kernels[0, 0, 0] == pytest.approx(after**2 + 1 + slope**2 * (2.0**2 + 1))


def test_infinite_kernel_of_relu_at_one_input():
    """With root two for sigma_w each layer keeps the moments and adds them to the kernel once."""
    x = np.array([[1.0, 2.0, 2.0]])
    first = (2 * 9 + _wide.SIGMA_B**2) / 3
    for hidden in (1, 2, 3):
        moments, tangent = _wide.infinite_kernels(x, "relu", hidden)
        assert [moments[0, 0], tangent[0, 0]] == pytest.approx([first, (hidden + 1) * first])


@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_wide_networks_are_near_the_infinite_kernel(activation):
    generator = np.random.default_rng(2)
    x = generator.normal(size=(3, 4))
    _, kernels = _wide.tangent_kernels(_wide.draw(generator, 20, (4, 400, 1)), x, activation)
    _, limit = _wide.infinite_kernels(x, activation, 1)
    assert np.linalg.norm(kernels.mean(axis=0) - limit) < 0.05 * np.linalg.norm(limit)


def test_another_activation_is_named():
    with pytest.raises(ValueError, match="no activation 'sine'"):
        _wide.sigma_w("sine")


def test_networks_rest_at_the_target():
    generator = np.random.default_rng(3)
    parameters, x, y = _wide.draw(generator, 2, (3, 64, 1)), np.eye(3), generator.normal(size=(2, 3))
    _, errors = _wide.train(parameters, x, y, "tanh", rates=np.array([0.2, 0.4]), target=1e-4, steps=500)
    assert (errors <= 1e-4).all()
    assert (errors > 1e-5).all()


def test_gradients_of_a_keras_network_are_limits_of_differences():
    model, generator = _linearised.network(0, 4, 3), np.random.default_rng(4)
    x = generator.normal(size=(2, 3))
    slopes = _linearised.gradients(model, x)
    direction = generator.normal(size=slopes.shape[1])
    ahead, behind = (_linearised.outputs(model, x, step * direction) for step in (1e-5, -1e-5))
    assert slopes @ direction == pytest.approx((ahead - behind) / 2e-5, rel=1e-6)
