"""Rates of their own for every parameter."""

from __future__ import annotations

from functools import partial

import numpy as np
from etils import epy

from repro import Correction, Identity, cheatsheet, claim, notes
from repro.claims.optimizers._quadratics import compare_paths

with epy.lazy_imports():
    import keras

RATE, FIRST_DECAY, SECOND_DECAY, EPSILON = 2**-7, 0.9, 0.999, 1e-8


@claim(
    r"Adam averages gradients, $m \leftarrow \beta_1 m + (1 - \beta_1) g$, and $v \leftarrow \beta_2 v + "
    r"(1 - \beta_2) \lVert g \rVert_2^2$, corrects both, $\hat m = m / (1 - \beta_1^t)$ and $\hat v = "
    r"v / (1 - \beta_2^t)$, and steps $\theta \leftarrow \theta - \eta \hat m / (\sqrt{\hat v} + \varepsilon)$.",
    source=notes("Definition 3.83"),
    kind="formula",
    root="squared_norm",
    literature="Kingma and Ba 2015, algorithm 1",
    criterion=Identity("keras", "formula", operations=256, dtype="float32"),
    correction=Correction(
        "$v$ averages the square of each component of the gradient by itself: every parameter has a rate of its own.",
        squares="of components",
    ),
)
def adam_notes(seed, *, squares="norm", steps=20):
    """Compares the path of Keras' Adam with that of the formula, on random quadratic functions.

    Functions of eight parameters with curvatures from 0.1 to 10 in random directions, 20 steps at rate 1/128 from
    normal parameters; the documented 0.9, 0.999 and 1e-8. The mistake: with the norm all parameters share one rate,
    which takes away what the method is for. Double precision; tolerances of single precision leave room for epsilon,
    which Keras adds to the root of v before it corrects that: less than 1e-5 of a step where the gradient exceeds 0.03.
    """
    square = {"norm": lambda gradient: gradient @ gradient, "of components": np.square}[squares]

    def step(first, second, number):
        first, second = _corrected(first, second, number)
        return first / (np.sqrt(second) + EPSILON)

    return compare_paths(seed, steps, optimizer=_adam, formula=partial(_averages, step_of=step, squares=square))


@claim(
    r"Adam averages $g_i \leftarrow \beta g_i + (1 - \beta) \partial_i h$ and $\gamma_i \leftarrow \alpha \gamma_i + "
    r"(1 - \alpha) (\partial_i h)^2$, and takes the step $\theta_i \leftarrow \theta_i - \eta g_i / \sqrt{\gamma_i + "
    r"\delta}$.",
    source=cheatsheet("1.3.3"),
    kind="formula",
    literature="Kingma and Ba 2015, algorithm 1 and section 3",
    criterion=Identity("keras", "formula", operations=256, dtype="float32"),
    correction=Correction(
        r"Both averages start from zero and are divided by $1 - \beta^t$ and $1 - \alpha^t$ before the step.",
        corrected=True,
    ),
)
def adam_cheatsheet(seed, *, corrected=False, steps=20):
    """Compares the path of Keras' Adam with that of the formula, on random quadratic functions.

    The functions and rates of ``adam_notes``. Decays 0.9 and 0.999; delta is 1e-16, the square of Keras' epsilon, which
    stands outside the root. The mistake: without the correction the first step is (1 - 0.9) / sqrt(1 - 0.999) = 3.2
    times as long.
    """

    def step(first, second, number):
        first, second = _corrected(first, second, number) if corrected else (first, second)
        return first / np.sqrt(second + EPSILON**2)

    return compare_paths(seed, steps, optimizer=_adam, formula=partial(_averages, step_of=step, squares=np.square))


def _adam():
    return keras.optimizers.Adam(RATE, beta_1=FIRST_DECAY, beta_2=SECOND_DECAY, epsilon=EPSILON)


def _averages(start, hessian, steps, step_of, squares):
    """Path of parameters, by steps from the averages of the gradients and of their squares, and their number."""
    parameters, first, second = start, np.zeros_like(start), np.zeros_like(start)
    path = []
    for number in range(1, steps + 1):
        gradient = hessian @ parameters
        first = FIRST_DECAY * first + (1 - FIRST_DECAY) * gradient
        second = SECOND_DECAY * second + (1 - SECOND_DECAY) * squares(gradient)
        parameters = parameters - RATE * step_of(first, second, number)
        path.append(parameters)
    return path


def _corrected(first, second, number):
    """Averages without the weight of the zeros that they start from."""
    return first / (1 - FIRST_DECAY**number), second / (1 - SECOND_DECAY**number)
