"""Paths of optimisers on random quadratic functions."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

with epy.lazy_imports():
    import keras

DIMENSION = 8


def compare_paths(seeds, rates, *, optimizer, formulas, given=False):
    """Compare the parameters after each step of a Keras optimiser with those of formulas, in double precision.

    Functions of eight parameters with curvatures from 0.1 to 10 in random directions, from normal parameters; those of
    all seeds are one variable of Keras, whose optimisers treat each component by itself.

    Args:
        seeds: Seeds of the functions and of the parameters that they start from.
        rates: Rate of each step.
        optimizer: Keras optimiser.
        formulas: Functions by name, which return the path, [steps, seeds, parameters], for the start, [seeds,
            parameters], a function that maps parameters to gradients, and the rates. They ask for one gradient a step.
        given: Whether the gradients are given, normal and of sizes from 0.1 to 10, in place of those at the parameters,
            which start at zero, so that their size is that of the way gone. Optimisers that divide by a small root
            multiply rounding errors, which then find no way back.

    Returns:
        Columns ``seed``, ``step``, ``keras`` and one for each formula; a row for each seed, step and parameter.
    """
    starts, hessians = zip(*map(_quadratic, seeds), strict=True)
    start, hessian = np.stack(starts), np.stack(hessians)
    if given:
        start = np.zeros_like(start)

    def gradients():
        if not given:
            return lambda parameters: np.einsum("sij,sj->si", hessian, parameters)
        drawn = zip(*(_given_gradients(seed, len(rates)) for seed in seeds), strict=True)
        return lambda _: np.stack(next(drawn))

    paths = {"keras": follow_keras(start, gradients(), rates, optimizer)}
    paths |= {name: np.stack(formula(start, gradients(), rates)) for name, formula in formulas.items()}
    steps, count, _ = paths["keras"].shape
    where = {
        "seed": np.tile(np.repeat(seeds, DIMENSION), steps),
        "step": np.repeat(np.arange(1, steps + 1), count * DIMENSION),
    }
    return pd.DataFrame(where | {name: path.ravel() for name, path in paths.items()})


def _quadratic(seed):
    generator = np.random.default_rng(seed)
    directions = np.linalg.qr(generator.normal(size=(DIMENSION, DIMENSION)))[0]
    return generator.normal(size=DIMENSION), directions * np.geomspace(0.1, 10, DIMENSION) @ directions.T


def _given_gradients(seed, steps):
    generator = np.random.default_rng((seed, 1))
    return generator.normal(size=(steps, DIMENSION)) * np.geomspace(0.1, 10, DIMENSION)


def follow_keras(start, gradient, rates, optimizer):
    """Parameters after each step of a Keras optimiser from a start, [steps, ...], in double precision."""
    parameters = keras.Variable(start, dtype="float64")
    path = []
    for rate in rates:
        optimizer.learning_rate = rate
        slope = keras.ops.convert_to_tensor(gradient(np.array(parameters.numpy())), dtype="float64")
        optimizer.apply([slope], [parameters])
        path.append(np.array(parameters.numpy()))
    return np.stack(path)
