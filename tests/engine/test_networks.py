"""The shared models against parameter counts of the literature and Keras' own convolution."""

import keras
import numpy as np
import pytest

from repro.common.errors import ReproError
from repro.engine import backend
from repro.engine.networks import _patch_convolution, mlp, residual_network


def trainable_parameters(model):
    return sum(int(np.prod(variable.shape)) for variable in model.trainable_variables)


def parameters_of_residual_network(depth, width, channels, classes):
    """3x3 kernels, two parameters of batch normalisation for each channel, and the classifier."""
    blocks = (depth - 2) // 6
    kernels = 9 * channels * width
    kernels += 9 * width**2 * (2 * blocks + (2 + 4 * (2 * blocks - 1)) + (8 + 16 * (2 * blocks - 1)))
    normalised = width + 2 * blocks * (width + 2 * width + 4 * width)
    return kernels + 2 * normalised + 4 * width * classes + classes


@pytest.mark.parametrize(("depth", "millions"), [(20, 0.27), (32, 0.46), (56, 0.85)])
def test_residual_networks_have_the_parameters_of_he_et_al_2016_table_6(depth, millions):
    assert parameters_of_residual_network(depth, 16, 3, 10) == pytest.approx(millions * 1e6, abs=7e3)


@pytest.mark.parametrize("depth", [8, 20])
def test_a_residual_network_has_the_parameters_of_the_closed_form(depth):
    model = residual_network(shape=(32, 32, 3), classes=10, depth=depth, width=16)
    assert trainable_parameters(model) == parameters_of_residual_network(depth, 16, 3, 10)
    assert model.output_shape == (None, 10)


def test_without_shortcuts_a_network_has_the_same_variables_and_another_function():
    networks = []
    for shortcut in (1.0, 0.0):
        keras.utils.set_random_seed(0)
        networks.append(residual_network(shape=(8, 8, 1), classes=3, depth=8, width=4, shortcut=shortcut))
    residual, plain = networks
    for of_residual, of_plain in zip(residual.weights, plain.weights, strict=True):
        np.testing.assert_array_equal(of_residual.numpy(), of_plain.numpy())
    images = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype(np.float32)
    assert not np.allclose(residual.predict_on_batch(images), plain.predict_on_batch(images))


def test_blocks_without_weights_pass_the_signal_on():
    """With kernels of zero a block is its shortcut: subsampling, and zeros for the channels it adds."""
    model = residual_network(shape=(8, 8, 1), classes=4, depth=8, width=1)
    kernels = [layer for layer in model.layers if isinstance(layer, keras.layers.Conv2D)]
    for layer in kernels:
        layer.kernel.assign(np.zeros(layer.kernel.shape))
    identity = np.zeros((3, 3, 1, 1))
    identity[1, 1] = 1
    kernels[0].kernel.assign(identity)
    model.layers[-1].kernel.assign(np.eye(4))
    image = np.random.default_rng(1).uniform(size=(1, 8, 8, 1)).astype(np.float32)

    output = model.predict_on_batch(image)[0]

    # inference statistics of fresh batch normalisation: mean 0, variance 1, epsilon 0.001
    np.testing.assert_allclose(output[0], image[0, ::4, ::4, 0].mean() / np.sqrt(1.001), rtol=1e-5)
    np.testing.assert_array_equal(output[1:], 0)


@pytest.mark.parametrize("depth", [2, 9, 21])
def test_a_depth_that_no_network_has_is_an_error(depth):
    with pytest.raises(ReproError, match=rf"6n \+ 2 layers, not {depth}"):
        residual_network(shape=(8, 8, 1), classes=3, depth=depth)


@pytest.mark.parametrize("padding", ["same", "valid"])
@pytest.mark.parametrize("strides", [1, 2, (2, 1)])
@pytest.mark.parametrize(("size", "kernel"), [((8, 8), 3), ((7, 6), 3), ((6, 5), (2, 4)), ((5, 5), 1)])
def test_the_patch_convolution_is_the_convolution(size, kernel, strides, padding):
    generator = np.random.default_rng(2)
    images = keras.ops.convert_to_tensor(generator.normal(size=(2, *size, 3)).astype(np.float32))
    own, keras_own = (
        layer(4, kernel, strides=strides, padding=padding) for layer in (_patch_convolution(), keras.layers.Conv2D)
    )
    expected = keras_own(images)
    own.build(images.shape)
    own.set_weights(keras_own.get_weights())
    outputs = own(images)
    assert own.compute_output_shape(images.shape) == tuple(outputs.shape)
    np.testing.assert_allclose(outputs, expected, atol=1e-5)

    weights = keras.ops.convert_to_tensor(generator.normal(size=expected.shape).astype(np.float32))
    gradients = []
    for layer in (own, keras_own):

        def weighted_sum(values, layer=layer):
            kernel, bias, images = values
            outputs, _ = layer.stateless_call([kernel, bias], [], images)
            return keras.ops.sum(weights * outputs), ()

        values = [keras.ops.convert_to_tensor(variable.numpy()) for variable in layer.trainable_variables]
        gradients.append(backend.value_and_gradient(weighted_sum, [*values, images])[2])
    for of_own, of_keras in zip(*gradients, strict=True):
        np.testing.assert_allclose(of_own, of_keras, atol=1e-4)


def test_a_fully_connected_network_has_the_layers_that_are_asked_for():
    model = mlp(inputs=5, outputs=3, widths=(7, 4), activation="tanh", dropout=0.25)
    kinds = [type(layer).__name__ for layer in model.layers]
    assert kinds == ["Dense", "Dropout", "Dense", "Dropout", "Dense"]
    assert [layer.rate for layer in model.layers[1::2]] == [0.25, 0.25]
    assert trainable_parameters(model) == (5 * 7 + 7) + (7 * 4 + 4) + (4 * 3 + 3)


def test_a_fully_connected_network_computes_what_it_says():
    model = mlp(inputs=5, outputs=3, widths=(7,), activation="tanh")
    x = np.random.default_rng(3).normal(size=(4, 5)).astype(np.float32)
    first, first_bias, last, last_bias = model.get_weights()
    np.testing.assert_allclose(
        model.predict_on_batch(x), np.tanh(x @ first + first_bias) @ last + last_bias, rtol=1e-4, atol=1e-5
    )


def test_layers_of_one_initializer_get_weights_of_their_own():
    initializer = {"class_name": "RandomNormal", "config": {"stddev": 1.0}}
    first, _, second, *_ = mlp(inputs=6, outputs=2, widths=(6, 6), initializer=initializer).get_weights()
    assert not np.allclose(first, second)
