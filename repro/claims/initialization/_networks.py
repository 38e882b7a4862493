"""Networks with weights drawn by the rules of the documents."""

from __future__ import annotations

import itertools
import math

import numpy as np
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
