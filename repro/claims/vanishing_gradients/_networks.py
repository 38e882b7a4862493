"""Deep networks of equal layers, and the rate at which gradients change on their way back through them."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from etils import epy

from repro.engine import mlp

with epy.lazy_imports():
    import keras

# A rate of change per layer that halves or doubles a gradient within ten layers.
HALF_IN_TEN_LAYERS = math.log(2) / 10

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


def mean_field_slope(activation, scale, layers=1000, points=201):
    """Factor by which the mean square of a gradient changes per layer of a wide network without biases.

    Poole et al. 2016: the mean square q of what enters the activation changes per layer to ``scale`` times the mean of
    the squared activation over a normal variable of that mean square, and settles; the factor is ``scale`` times the
    mean squared slope there. Gauss-Hermite quadrature.

    Args:
        activation: ``linear``, ``sigmoid`` or ``tanh``.
        scale: Variance of the weights times the number of inputs.
        layers: Number of layers after which the signal has settled.
        points: Number of points of the quadrature.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(points)
    weights = weights / weights.sum()
    value, slope = ACTIVATIONS[activation]
    q = 1.0
    for _ in range(layers if activation != "linear" else 0):
        q = scale * float(weights @ value(q**0.5 * nodes) ** 2)
    return scale * float(weights @ slope(q**0.5 * nodes) ** 2)


def growth_rates(observations, by):
    """Least-squares slope of the logarithm of the gradient's norm against the layers it went back through.

    Args:
        observations: with columns ``layers_back`` and ``gradient``.
        by: columns that tell networks apart.

    Returns:
        One row per network, with column ``growth``.
    """
    rows = [
        {
            **dict(zip(by, network, strict=True)),
            "growth": np.polyfit(rows["layers_back"], np.log(rows["gradient"]), 1)[0],
        }
        for network, rows in observations.groupby(by, sort=False)
    ]
    return pd.DataFrame(rows)
