"""Paths of optimisers on random quadratic functions."""

from __future__ import annotations

import numpy as np
from etils import epy

with epy.lazy_imports():
    import keras

DIMENSION = 8


def compare_paths(seed, steps, *, optimizer, formula):
    """Compare the parameters after each step of a Keras optimiser with those of a formula, in double precision.

    A function of eight parameters with curvatures from 0.1 to 10 in random directions, from normal parameters.

    Args:
        seed: of the function and of the parameters it starts from.
        steps: their number.
        optimizer: makes the Keras optimiser.
        formula: returns the path, [steps, parameters], for the start, the Hessian matrix and the number of steps.

    Returns:
        Columns ``step``, ``keras`` and ``formula``; a row per step and parameter.
    """
    generator = np.random.default_rng(seed)
    directions = np.linalg.qr(generator.normal(size=(DIMENSION, DIMENSION)))[0]
    hessian = directions * np.geomspace(0.1, 10, DIMENSION) @ directions.T
    start = generator.normal(size=DIMENSION)
    return {
        "step": np.repeat(np.arange(1, steps + 1), DIMENSION),
        "keras": np.ravel(_by_keras(start, hessian, steps, optimizer())),
        "formula": np.ravel(formula(start, hessian, steps)),
    }


def _by_keras(start, hessian, steps, optimizer):
    parameters = keras.Variable(start, dtype="float64")
    path = []
    for _ in range(steps):
        optimizer.apply([keras.ops.convert_to_tensor(hessian @ parameters.numpy(), dtype="float64")], [parameters])
        path.append(np.array(parameters.numpy()))
    return path
