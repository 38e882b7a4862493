"""Sawtooth functions on the unit interval, and networks of ReLU units that are equal to them."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from etils import epy

with epy.lazy_imports():
    import keras


@dataclass(frozen=True)
class Curve:
    """Examples of a function of one number, the same to train and to test on.

    Attributes:
        x_train, x_test: Inputs, [n, 1].
        y_train, y_test: Values, [n, 1].
    """

    x_train: np.ndarray
    y_train: np.ndarray
    x_test: np.ndarray
    y_test: np.ndarray


def zigzag(kinks, heights, x):
    """Values of the function that joins heights at kinks by lines."""
    return np.interp(x, kinks, heights)


def one_layer(kinks, heights):
    """Keras layers, one hidden, with a ReLU unit at each kink but the last, that are equal to a zigzag.

    Args:
        kinks: Places in their order, [n + 1].
        heights: Values there, [n + 1].
    """
    slopes = np.diff(heights) / np.diff(kinks)
    changes = np.diff(slopes, prepend=0.0)
    hidden = [np.ones((1, len(slopes))), -np.asarray(kinks[:-1])]
    return [_dense(hidden, "relu"), _dense([changes[:, None], np.array([heights[0]])])]


def many_layers(doublings):
    """Keras layers of two ReLU units each: the tent 2 relu(x) - 4 relu(x - 1/2), composed with itself.

    Args:
        doublings: Number of hidden layers; each doubles the number of rising and falling pieces, beginning with two.
    """
    layers, kernel = [], np.ones((1, 2))
    for _ in range(doublings):
        layers.append(_dense([kernel, np.array([0.0, -0.5])], "relu"))
        kernel = np.array([[2.0, 2.0], [-4.0, -4.0]])
    return [*layers, _dense([kernel[:, :1], np.zeros(1)])]


def values(layers, x):
    """Outputs of layers at numbers."""
    x = keras.ops.convert_to_tensor(x[:, None])
    for layer in layers:
        x = layer(x)
    return keras.ops.convert_to_numpy(x)[:, 0]


def _dense(weights, activation=None):
    layer = keras.layers.Dense(weights[0].shape[1], activation=activation, dtype="float64")
    layer.build((None, weights[0].shape[0]))
    layer.set_weights(weights)
    return layer
