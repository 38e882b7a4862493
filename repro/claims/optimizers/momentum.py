"""Gradient descent with a memory of its steps."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import Identity, cheatsheet, claim

with epy.lazy_imports():
    import keras

# Both are exact in single precision, which Keras keeps rates in.
RATE, MOMENTUM = 2**-5, 0.875


@claim(
    r"Heavy-ball momentum is $\theta_{t+1} = \theta_t - \eta \nabla h(\theta_t) + \beta(\theta_t - \theta_{t-1})$.",
    source=cheatsheet("1.3.3"),
    literature="Polyak 1964",
    criterion=Identity("keras", "formula", operations=4096),
    control={"nesterov": True},
)
def momentum_cheatsheet(seeds, *, nesterov=False, steps=40, dimension=8):
    """Compares the path of Keras' SGD with momentum with that of the formula, on random quadratic functions.

    Functions of eight parameters with curvatures from 0.1 to 10 in random directions, 40 steps at rate 1/32 and
    momentum 7/8 from normal parameters, which rest before the first step; double precision. The control is Nesterov's
    variant.
    """
    tables = []
    for seed in seeds:
        generator = np.random.default_rng(seed)
        directions = np.linalg.qr(generator.normal(size=(dimension, dimension)))[0]
        hessian = directions * np.geomspace(0.1, 10, dimension) @ directions.T
        start = generator.normal(size=dimension)
        by_keras, by_formula = _descended(start, hessian, steps, nesterov), [start, start]
        for _ in range(steps):
            now, before = by_formula[-1], by_formula[-2]
            by_formula.append(now - RATE * hessian @ now + MOMENTUM * (now - before))
        columns = {"keras": np.ravel(by_keras), "formula": np.ravel(by_formula[2:])}
        tables.append(pd.DataFrame({"seed": seed, "step": np.repeat(np.arange(1, steps + 1), dimension), **columns}))
    return pd.concat(tables, ignore_index=True)


def _descended(start, hessian, steps, nesterov):
    """Parameters after each step of Keras' optimiser."""
    parameters = keras.Variable(start, dtype="float64")
    optimizer = keras.optimizers.SGD(RATE, momentum=MOMENTUM, nesterov=nesterov)
    path = []
    for _ in range(steps):
        optimizer.apply([keras.ops.convert_to_tensor(hessian @ parameters.numpy(), dtype="float64")], [parameters])
        path.append(np.array(parameters.numpy()))
    return path
