"""Rates of their own for every parameter."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import Correction, Identity, cheatsheet, claim, notes

with epy.lazy_imports():
    import keras

RATE, FIRST_DECAY, SECOND_DECAY, EPSILON = 2**-7, 0.9, 0.999, 1e-8


@claim(
    r"Adam averages gradients, $m \leftarrow \beta_1 m + (1 - \beta_1) g$, and $v \leftarrow \beta_2 v + "
    r"(1 - \beta_2) \lVert g \rVert_2^2$, corrects both, $\hat m = m / (1 - \beta_1^t)$ and $\hat v = "
    r"v / (1 - \beta_2^t)$, and steps $\theta \leftarrow \theta - \eta \hat m / (\sqrt{\hat v} + \varepsilon)$.",
    source=notes("Definition 3.83"),
    literature="Kingma and Ba 2015, algorithm 1",
    criterion=Identity("keras", "formula", operations=256, dtype="float32"),
    correction=Correction(
        "$v$ averages the square of each component of the gradient by itself: every parameter has a rate of its own.",
        squares="of components",
    ),
)
def adam_notes(seeds, *, squares="norm", steps=20):
    """Compares the path of Keras' Adam with that of the formula, on random quadratic functions.

    The documented defaults 0.9, 0.999 and 1e-8. The mistake: with the norm all parameters share one rate, which takes
    away what the method is for. Keras adds epsilon to the root of v before it corrects it, which changes a step by less
    than 1e-5 of itself where the gradient exceeds 0.03; its own default is 1e-7.
    """
    return _compared(seeds, steps, squares=squares, corrected=True)


@claim(
    r"Adam averages $g_i \leftarrow \beta g_i + (1 - \beta) \partial_i h$ and $\gamma_i \leftarrow \alpha \gamma_i + "
    r"(1 - \alpha) (\partial_i h)^2$, and takes the step $\theta_i \leftarrow \theta_i - \eta g_i / \sqrt{\gamma_i + "
    r"\delta}$.",
    source=cheatsheet("1.3.3"),
    literature="Kingma and Ba 2015, algorithm 1 and section 3",
    criterion=Identity("keras", "formula", operations=256, dtype="float32"),
    correction=Correction(
        r"Both averages start from zero and are divided by $1 - \beta^t$ and $1 - \alpha^t$ before the step.",
        corrected=True,
    ),
)
def adam_cheatsheet(seeds, *, corrected=False, steps=20):
    """Compares the path of Keras' Adam with that of the formula, on random quadratic functions.

    Decays 0.9 and 0.999, and 1e-8 where the formula has delta. The mistake: without the correction the first step is
    (1 - 0.9) / sqrt(1 - 0.999) = 3.2 times as long.
    """
    return _compared(seeds, steps, squares="of components", corrected=corrected)


def _compared(seeds, steps, *, squares, corrected, dimension=8):
    """Paths from normal parameters, on functions with curvatures from 0.1 to 10 in random directions."""
    tables = []
    for seed in seeds:
        generator = np.random.default_rng(seed)
        directions = np.linalg.qr(generator.normal(size=(dimension, dimension)))[0]
        hessian = directions * np.geomspace(0.1, 10, dimension) @ directions.T
        start = generator.normal(size=dimension)
        columns = {
            "keras": np.ravel(_by_keras(start, hessian, steps)),
            "formula": np.ravel(_by_formula(start, hessian, steps, squares, corrected)),
        }
        tables.append(pd.DataFrame({"seed": seed, "step": np.repeat(np.arange(1, steps + 1), dimension), **columns}))
    return pd.concat(tables, ignore_index=True)


def _by_keras(start, hessian, steps):
    parameters = keras.Variable(start, dtype="float64")
    optimizer = keras.optimizers.Adam(RATE, beta_1=FIRST_DECAY, beta_2=SECOND_DECAY, epsilon=EPSILON)
    path = []
    for _ in range(steps):
        optimizer.apply([keras.ops.convert_to_tensor(hessian @ parameters.numpy(), dtype="float64")], [parameters])
        path.append(np.array(parameters.numpy()))
    return path


def _by_formula(start, hessian, steps, squares, corrected):
    parameters, first, second = start, np.zeros_like(start), np.zeros_like(start)
    path = []
    for step in range(1, steps + 1):
        gradient = hessian @ parameters
        first = FIRST_DECAY * first + (1 - FIRST_DECAY) * gradient
        square = gradient @ gradient if squares == "norm" else gradient**2
        second = SECOND_DECAY * second + (1 - SECOND_DECAY) * square
        scales = (1 - FIRST_DECAY**step, 1 - SECOND_DECAY**step) if corrected else (1.0, 1.0)
        parameters = parameters - RATE * (first / scales[0]) / (np.sqrt(second / scales[1]) + EPSILON)
        path.append(parameters)
    return path
