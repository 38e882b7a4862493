"""Deep networks of equal layers, and what gradients do on their way back through them.

One definition for all claims: a gradient vanishes where its norm is less at the far end of its way than at the near
end, and explodes where it is more, by the five per cent that matter at all.
"""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
from etils import epy

from repro.engine import load_data, mlp

with epy.lazy_imports():
    import keras

# Functions and their derivatives.
ACTIVATIONS = {
    "linear": (lambda x: x, np.ones_like),
    "sigmoid": (lambda x: (1 + np.tanh(x / 2)) / 2, lambda x: (1 - np.tanh(x / 2) ** 2) / 4),
    "tanh": (np.tanh, lambda x: 1 - np.tanh(x) ** 2),
}


def cross_entropy():
    """Cross-entropy of logits and classes."""
    return keras.losses.SparseCategoricalCrossentropy(from_logits=True)


def normal_weights(scale):
    """Configure an initialiser of normal weights whose variance is the given scale over the number of inputs."""
    config = {"scale": scale, "mode": "fan_in", "distribution": "untruncated_normal"}
    return {"class_name": "VarianceScaling", "config": config}


def equal_layers(*, depth, width, activation, scale, inputs, outputs):
    """Build a network of equal hidden layers with normal weights of variance scale / inputs."""
    widths, initializer = (width,) * depth, normal_weights(scale)
    return mlp(inputs=inputs, outputs=outputs, widths=widths, activation=activation, initializer=initializer)


def mean_field_slope(activation, scale, layers=1000, points=4001):
    """Factor by which the mean square of a gradient changes per layer of a wide network without biases.

    Poole et al. 2016: the mean square q of what enters the activation changes per layer to ``scale`` times the mean of
    the squared activation over a normal variable of that mean square, and settles; the factor is ``scale`` times the
    mean squared slope there. Means are sums over a grid so fine that slopes of units that nearly all saturate are seen.

    Args:
        activation: ``linear``, ``sigmoid`` or ``tanh``.
        scale: Variance of the weights times the number of inputs.
        layers: Number of layers after which the signal has settled.
        points: Number of points of the grid, from minus ten to ten standard deviations.
    """
    nodes = np.linspace(-10, 10, points)
    weights = np.exp(-(nodes**2) / 2)
    weights = weights / weights.sum()
    value, slope = ACTIVATIONS[activation]
    q = 1.0
    for _ in range(layers if activation != "linear" else 0):
        q = scale * float(weights @ value(q**0.5 * nodes) ** 2)
    return scale * float(weights @ slope(q**0.5 * nodes) ** 2)


def coarse_validation_loss(training):
    """Validation loss of a trial in steps of five per cent, by which rates that do as well tie.

    Of those the first one listed is taken: a network that learns at no rate is trained at a usual one.
    """
    loss = float(training.final["validation_loss"].median())
    return round(math.log(loss) / math.log(1.05)) if math.isfinite(loss) else math.inf


def drawn_images(data, examples):
    """Make a function that draws standardised images for a seed."""
    images = load_data(data).standardized().flat()
    return lambda seed: images.subset(examples, seed)


def averaged_gradients(seed, *, activation, scales, depth, width, networks, examples, data):
    """Gradients of many untrained networks of equal layers without biases: root mean squares over the networks.

    Single networks of width n scatter around the mean square by about 5 / n a layer. A random direction of the last
    layer's outputs stands for the loss. All scales share their draws.

    Args:
        seed: Seed of the images and of the weights.
        activation: ``relu`` or ``tanh``.
        scales: Variances of the weights times the number of inputs.
        depth: Number of layers.
        width: Units of every layer.
        networks: Number of networks.
        examples: Number of images.
        data: Name of the data set.

    Returns:
        A row for each scale and layer: ``layers_back``, zero for the last one, ``layer``, and ``gradient``, that with
        respect to what enters its activations.
    """
    images = drawn_images(data, examples)(seed).x_train
    generator = np.random.default_rng(seed)
    sizes = itertools.pairwise([images.shape[1], *[width] * depth])
    drawn = [
        keras.ops.convert_to_tensor(generator.standard_normal((networks, n, m), dtype=np.float32)) / n**0.5
        for n, m in sizes
    ]
    direction = keras.ops.convert_to_tensor(generator.standard_normal((networks, examples, width), dtype=np.float32))
    rows = []
    for scale in scales:
        signal, slopes = keras.ops.convert_to_tensor(images)[None], []
        for weights in drawn:
            signal = keras.activations.get(activation)(keras.ops.matmul(signal, weights) * scale**0.5)
            slopes.append(keras.ops.cast(signal > 0, "float32") if activation == "relu" else 1 - signal**2)
        gradient = direction * slopes[-1]
        for back in range(depth):
            mean_square = float(keras.ops.mean(keras.ops.square(gradient)))
            place = {"activation": activation, "scale": scale, "layers_back": back, "layer": depth - back}
            rows.append({**place, "gradient": mean_square**0.5})
            if back < depth - 1:
                weights = keras.ops.transpose(drawn[-1 - back], (0, 2, 1))
                gradient = keras.ops.matmul(gradient, weights) * scale**0.5 * slopes[-2 - back]
    return pd.DataFrame(rows)
