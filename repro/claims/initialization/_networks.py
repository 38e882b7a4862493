"""Networks with weights drawn by the rules of the documents."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
from etils import epy

from repro.engine import load_data, mlp, probe

with epy.lazy_imports():
    import keras

# Half the width of the interval from which the weights of a layer with n inputs and m outputs are drawn uniformly.
HALF_WIDTHS = {
    "1/sqrt(n)": lambda n, _: 1 / math.sqrt(n),
    "sqrt(3/n)": lambda n, _: math.sqrt(3 / n),
    "sqrt(3) 2/(n+m)": lambda n, m: math.sqrt(3) * 2 / (n + m),
    "sqrt(6/(n+m))": lambda n, m: math.sqrt(6 / (n + m)),
    "sqrt(3) 2/n": lambda n, _: math.sqrt(3) * 2 / n,
    "sqrt(6/n)": lambda n, _: math.sqrt(6 / n),
}


def cross_entropy():
    """Cross-entropy of logits and classes."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def normal_network(*, depth, width, activation, scale, inputs, outputs):
    """Build a network of equal layers with normal weights of variance scale / inputs."""
    config = {"scale": scale, "mode": "fan_in", "distribution": "untruncated_normal"}
    initializer = {"class_name": "VarianceScaling", "config": config}
    return mlp(inputs=inputs, outputs=outputs, widths=(width,) * depth, activation=activation, initializer=initializer)


def uniform_network(*, depth, width, activation, half_width, inputs, outputs):
    """Build a network of equal layers with weights from an interval around zero, biases zero."""
    sizes = [inputs, *[width] * depth, outputs]
    layers = [keras.Input((inputs,))]
    for number, (n, m) in enumerate(itertools.pairwise(sizes), start=1):
        limit = HALF_WIDTHS[half_width](n, m)
        layers.append(
            keras.layers.Dense(
                m,
                activation=activation if number <= depth else None,
                kernel_initializer=keras.initializers.RandomUniform(-limit, limit),
                bias_initializer="zeros",
            )
        )
    return keras.Sequential(layers)


def probe_hidden(network, data, seeds, **grids):
    """Probe the hidden layers of untrained networks on standardised images."""
    images = load_data(data).standardized().flat()
    shape = {"inputs": images.x_train.shape[1], "outputs": images.classes}
    observations = probe(network, images, seeds, loss=cross_entropy(), **grids, **shape)
    return observations[observations["layers_back"] > 0].reset_index(drop=True)


def signal_course(seed, *, activations, scales, depth, width, networks, examples, data, backward=False):
    """Mean squares along deep untrained networks, averaged over networks: what an expectation over weights keeps.

    Args:
        seed: Seed of the images and of the weights, which are the same for all activations and scales.
        activations: Keras' names of activations.
        scales: Variances of the weights times the number of inputs.
        depth: Number of layers.
        width: Units of every layer.
        networks: Number of networks that are averaged.
        examples: Number of images.
        data: Name of the data set.
        backward: Whether gradients are measured as well.

    Returns:
        A row for each activation, scale and layer, ``measured`` the signal: ``second_moment`` of what enters the
        activation. With ``backward`` a row for each layer back, ``measured`` the gradient: mean square ``gradient`` of
        a random direction of the last layer's outputs; the last layer is the first one back.
    """
    images = load_data(data).standardized().flat().subset(examples, seed).x_train
    combinations = list(itertools.product(activations, scales))
    signals = dict.fromkeys(combinations, keras.ops.convert_to_tensor(images)[None])
    slopes = {combination: [] for combination in combinations}
    rows = []
    for layer in range(1, depth + 1):
        weights = _weights(seed, layer, networks, images.shape[1] if layer == 1 else width, width)
        for activation, scale in combinations:
            entering = keras.ops.matmul(signals[activation, scale], weights) * scale**0.5
            apply = keras.activations.get(activation)
            signals[activation, scale] = apply(entering)
            if backward:
                slopes[activation, scale].append(_slope(activation, entering))
            rows.append(
                {
                    "activation": activation,
                    "scale": scale,
                    "layer": layer,
                    "measured": "signal",
                    "second_moment": float(keras.ops.mean(keras.ops.square(entering))),
                }
            )
    table = pd.DataFrame(rows)
    if not backward:
        return table
    return pd.concat([table, _gradients(seed, slopes, depth, width, networks)], ignore_index=True)


def _weights(seed, layer, networks, inputs, width):
    """Normal weights of variance 1 / inputs of one layer of many networks, [networks, inputs, width]."""
    generator = np.random.default_rng((seed, layer))
    drawn = generator.standard_normal((networks, inputs, width), dtype=np.float32)
    return keras.ops.convert_to_tensor(drawn) / inputs**0.5


def _slope(activation, entering):
    """Slope of a piecewise linear activation where a signal enters it."""
    return {"linear": keras.ops.ones_like, "relu": lambda signal: keras.ops.cast(signal > 0, "float32")}[activation](
        entering
    )


def _gradients(seed, slopes, depth, width, networks):
    """Mean square of the gradient with respect to what enters each layer, from the last one back."""
    direction = np.random.default_rng((seed, 0))
    gradients = {
        combination: of_layers[-1] * direction.standard_normal(of_layers[-1].shape, dtype=np.float32)
        for combination, of_layers in slopes.items()
    }
    rows = []
    for back in range(1, depth + 1):
        for (activation, scale), gradient in gradients.items():
            square = float(keras.ops.mean(keras.ops.square(gradient)))
            place = {"activation": activation, "scale": scale, "layer": back}
            rows.append({**place, "measured": "gradient", "gradient": square})
        if back == depth:
            break
        weights = _weights(seed, depth - back + 1, networks, width, width)
        backward = keras.ops.transpose(weights, (0, 2, 1))
        for (activation, scale), of_layers in slopes.items():
            passed = keras.ops.matmul(gradients[activation, scale], backward) * scale**0.5
            gradients[activation, scale] = passed * of_layers[depth - back - 1]
    return pd.DataFrame(rows)


def variance_over_draws(initializer, shape, *, seed, draws=8):
    """Variance of a weight from draw to draw, averaged over the weights of a kernel; not that within one draw.

    Args:
        initializer: makes one of Keras' initialisers of a ``seed``.
        shape: of the kernel.
        seed: draws of different seeds have no initialiser in common.
        draws: number of kernels.
    """
    kernels = [initializer(seed=draws * seed + number)(shape) for number in range(draws)]
    return float(np.var([keras.ops.convert_to_numpy(kernel) for kernel in kernels], axis=0, ddof=1).mean())
