"""Targets on the unit interval, hidden layers by Keras, and the best outputs by least squares."""

from __future__ import annotations

import numpy as np
from etils import epy

with epy.lazy_imports():
    import keras

POINTS = 2001
POLYNOMIALS = {"square": 2, "cube": 3}


def targets(generator):
    """Continuous and discontinuous target at 2001 points of the unit interval, with values from nought to one."""
    x = np.linspace(0, 1, POINTS)
    waves = sum(
        np.sin(2 * np.pi * frequency * x + generator.uniform(0, 2 * np.pi)) * generator.uniform(0.5, 1)
        for frequency in (2, 3, 5)
    )
    smooth = (waves - waves.min()) / np.ptp(waves)
    jump = smooth + (x > generator.uniform(0.3, 0.7))
    return x, {"continuous": smooth, "discontinuous": (jump - jump.min()) / np.ptp(jump)}


def hidden_layer(generator, x, width, activation):
    """Values of a Keras Dense layer whose units have their middles, or kinks, spread over the interval.

    Slopes of S-shaped units are four widths, so that each of them covers a few of its neighbours; their signs, and
    those of ReLU units, which have slope one, are random. Polynomials and the identity have slopes of either sign up to
    two.

    Args:
        generator: Random generator.
        x: Inputs, [points].
        width: Number of units.
        activation: Name of a Keras activation, or ``square`` or ``cube``.

    Returns:
        Values, [points, width].
    """
    middle = (np.arange(width) + generator.uniform(size=width)) / width
    slope = generator.choice([-1.0, 1.0], size=width)
    if activation in ("sigmoid", "tanh"):
        slope *= 4 * width
    elif activation != "relu":
        slope *= generator.uniform(0.5, 2, size=width)
    power = POLYNOMIALS.get(activation)
    layer = keras.layers.Dense(width, activation=activation if power is None else lambda z: z**power, dtype="float64")
    layer.build((None, 1))
    layer.set_weights([slope[None], -slope * middle])
    return keras.ops.convert_to_numpy(layer(keras.ops.convert_to_tensor(x[:, None])))


def best_errors(hidden, values):
    """Root mean square and largest error of the best linear outputs with a bias, by least squares of the first."""
    features = np.column_stack([hidden / np.abs(hidden).max(), np.ones(len(hidden))])
    left = values - features @ np.linalg.lstsq(features, values, rcond=1e-12)[0]
    return np.sqrt(np.mean(left**2)), np.abs(left).max()
