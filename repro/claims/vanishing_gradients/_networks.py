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
