"""Penalties on weights, and the steps that they take."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from etils import epy

from repro import Correction, Identity, cheatsheet, claim
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras

# Both are exact in single precision, which Keras keeps rates in.
RATE, DECAY = 2**-5, 2**-3


@claim(
    r"Gradient descent on $E(\theta) + \frac{\mu}{2} \lVert \theta \rVert^2$ changes $\theta$ by "
    r"$-\eta \nabla E(\theta) - \eta \mu \theta$.",
    source=cheatsheet("1.8.2"),
    kind="formula",
    literature="Hanson and Pratt 1988; Loshchilov and Hutter 2019, proposition 1",
    criterion=Identity("keras", "formula", operations=256, each=("decay",)),
    control={"optimizer": "adam"},
)
def update(seed, *, optimizer="sgd", steps=10, examples=20, inputs=6, outputs=3):
    """Compares ten steps of a Keras optimiser with those of the formula, on normal linear regressions.

    The decay is that of Keras' L2 regulariser, with half of mu, in the gradient, and that of the optimiser itself, with
    mu. Rate 1/32, mu 1/8, double precision. The control is Adam, which scales the gradients, and what a regulariser
    adds to them too.
    """
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(examples, inputs)), generator.normal(size=(examples, outputs))
    start = generator.normal(size=(inputs, outputs))
    by_formula = [start]
    for _ in range(steps):
        theta = by_formula[-1]
        gradient = x.T @ (x @ theta - y) / examples
        by_formula.append(theta - RATE * gradient - RATE * DECAY * theta)
    tables = []
    for decay in ("regularizer", "optimizer"):
        by_keras = _descended(x, y, start, optimizer, decay, steps)
        columns = {"keras": np.ravel(by_keras), "formula": np.ravel(by_formula[1:])}
        tables.append(pd.DataFrame({"decay": decay, **columns}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"For several layers the penalty is $\Omega = \sum_l \mu_l \lVert W^l \rVert_F^2$, with the step "
    r"$-\eta \mu \theta$ of one penalty $\frac{\mu}{2} \lVert \theta \rVert^2$ where all $\mu_l = \mu$.",
    source=cheatsheet("1.8.2"),
    kind="formula",
    criterion=Identity("step", "stated_step", operations=16),
    correction=Correction(
        r"The penalty of several layers that has this step is $\Omega = \sum_l \frac{\mu_l}{2} \lVert W^l \rVert_F^2$.",
        share=0.5,
    ),
)
def layerwise(seed, *, share=1.0, widths=(6, 5, 4, 3)):
    """Differentiates the sum of Keras' L2 penalties of three layers, and takes a step of rate 1/32 down its gradient.

    Normal weights, mu 1/8, double precision. The mistake: the half of the single penalty is lost, so the step is twice
    as long.
    """
    generator = np.random.default_rng(seed)
    weights = [generator.normal(size=shape) for shape in itertools.pairwise(widths)]
    penalty = keras.regularizers.L2(share * DECAY)
    _, _, gradients = value_and_gradient(
        lambda layers: (sum(map(penalty, layers)), ()), [_doubles(layer) for layer in weights]
    )
    tables = []
    for layer, (values, gradient) in enumerate(zip(weights, gradients, strict=True), start=1):
        steps = {
            "step": -RATE * keras.ops.convert_to_numpy(gradient).ravel(),
            "stated_step": -RATE * DECAY * values.ravel(),
        }
        tables.append(pd.DataFrame({"layer": layer, **steps}))
    return pd.concat(tables, ignore_index=True)


def _descended(x, y, start, optimizer, decay, steps):
    """Parameters after each step of a Keras optimiser on half the mean squared error per example."""
    parameters = keras.Variable(start, dtype="float64")
    chosen = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[optimizer]
    penalty = keras.regularizers.L2(DECAY / 2)
    stepping = chosen(RATE, weight_decay=DECAY if decay == "optimizer" else None)

    def objective(values):
        error = keras.ops.sum((keras.ops.matmul(_doubles(x), values[0]) - _doubles(y)) ** 2) / (2 * len(x))
        return error + (penalty(values[0]) if decay == "regularizer" else 0.0), ()

    path = []
    for _ in range(steps):
        _, _, (gradient,) = value_and_gradient(objective, [parameters.value])
        stepping.apply([gradient], [parameters])
        path.append(np.array(parameters.numpy()))
    return path


def _doubles(values):
    return keras.ops.convert_to_tensor(values, dtype="float64")
