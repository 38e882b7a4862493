"""Rates of their own for every parameter."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from etils import epy

from repro import Boundary, Identity, Rival, cheatsheet, claim, notes
from repro.claims.optimizers._quadratics import compare_paths

with epy.lazy_imports():
    import keras

RATE, FIRST_DECAY, SECOND_DECAY, EPSILON = 2**-7, 0.9, 0.999, 1e-8


@claim(
    r"Adam averages gradients, $m \leftarrow \beta_1 m + (1 - \beta_1) g$, and $v \leftarrow \beta_2 v + "
    r"(1 - \beta_2) \lVert g \rVert_2^2$, corrects both, $\hat m = m / (1 - \beta_1^t)$ and $\hat v = "
    r"v / (1 - \beta_2^t)$, and steps $\theta \leftarrow \theta - \eta \hat m / (\sqrt{\hat v} + \varepsilon)$, by "
    r"default with $\beta_1 = 0.9$, $\beta_2 = 0.999$ and $\varepsilon = 10^{-8}$.",
    source=notes("Definition 3.83"),
    kind="formula",
    root="squared_norm",
    scope="theta is one parameter at a time, as Definition 3.81 has it; whether it is the vector of all is left open",
    left_open=("theta",),
    literature="Kingma and Ba 2015, algorithm 1: the square of each component, and these defaults",
    criterion=Identity("keras", "formula", operations=256, dtype="float32", each=("theta",)),
    boundary=Boundary(
        "where theta is one parameter, whose squared norm is its square; where it is the whole vector all parameters "
        "share one rate",
        holds="theta == 'one parameter'",
        assumption="Kingma and Ba 2015, algorithm 1: g squared is the elementwise square",
    ),
    rival=Rival(
        "Adam steps by the averages without the corrections.",
        criterion=Identity("keras", "uncorrected", operations=256, dtype="float32", where={"theta": "one parameter"}),
    ),
)
def adam_notes(seeds, *, steps=20):
    """Compares the path of Keras' Adam with that of the formula, on random quadratic functions, in both readings.

    Functions of eight parameters with curvatures from 0.1 to 10 in random directions, 20 steps at rate 1/128 from
    normal parameters; the documented 0.9, 0.999 and 1e-8 (Keras' own default is 1e-7). One parameter: the squared norm
    of a scalar is its square. The whole vector: the norm of all eight, which takes away a rate for every parameter.
    Double precision; tolerances of single precision leave room for epsilon, which Keras adds to the root of v before it
    corrects that: less than 1e-5 of a step where the gradient exceeds 0.03. The rival leaves the corrections out.
    """
    step = partial(_averages, step_of=_corrected_step)
    formulas = {
        "one parameter": partial(step, squares=np.square),
        "the whole vector": partial(step, squares=_squared_norm),
        "uncorrected": partial(_averages, step_of=_plain_step, squares=np.square),
    }
    paths = compare_paths(seeds, [RATE] * steps, optimizer=_adam(), formulas=formulas)
    return _readings(paths, "theta", ["one parameter", "the whole vector"])


@claim(
    r"Adam averages $g_i \leftarrow \beta g_i + (1 - \beta) \partial_i h$ and $\gamma_i \leftarrow \alpha \gamma_i + "
    r"(1 - \alpha) (\partial_i h)^2$, and takes the step $\theta_i \leftarrow \theta_i - \eta g_i / \sqrt{\gamma_i + "
    r"\delta}$.",
    source=cheatsheet("1.3.3"),
    kind="formula",
    scope="each parameter by itself; values of the averages at the start, and their correction, are left open",
    left_open=("averages",),
    literature="Kingma and Ba 2015, algorithm 1 and section 3",
    criterion=Identity("keras", "formula", operations=256, dtype="float32", each=("averages",)),
    boundary=Boundary(
        r"where both averages start at zero and are divided by $1 - \beta^t$ and $1 - \alpha^t$ before the step, which "
        "makes up for that start",
        holds="averages == 'from zero, corrected'",
        assumption="Kingma and Ba 2015, section 3: averages that start at zero are corrected for it",
    ),
    rival=Rival(
        r"Only the average of the gradients is divided by $1 - \beta^t$.",
        criterion=Identity("keras", "half", operations=256, dtype="float32"),
    ),
)
def adam_cheatsheet(seeds, *, steps=20):
    r"""Compares the path of Keras' Adam with that of the formula, on random quadratic functions, in three readings.

    The functions and rates of ``adam_notes``. Decays 0.9 and 0.999; delta is 1e-16, the square of Keras' epsilon, which
    stands outside the root. Averages start at zero, and are corrected for it or are not, or they start at the first
    gradient and its square. From zero without the correction steps are $(1 - \beta^t) / \sqrt{1 - \alpha^t}$ times as
    long as Adam's: 3.2 times at first, 6.6 times after 13 steps, and within five per cent from 2400 steps on. From the
    first gradient only the first step is Adam's. The rival corrects one average of the two.
    """
    step = partial(_averages, step_of=partial(_plain_step, inside=True), squares=np.square)
    formulas = {
        "from zero, corrected": partial(step, step_of=partial(_corrected_step, inside=True)),
        "from zero": step,
        "from the first gradient": partial(step, from_zero=False),
        "half": partial(step, step_of=_half_corrected_step),
    }
    paths = compare_paths(seeds, [RATE] * steps, optimizer=_adam(), formulas=formulas)
    return _readings(paths, "averages", ["from zero, corrected", "from zero", "from the first gradient"])


def _adam():
    return keras.optimizers.Adam(RATE, beta_1=FIRST_DECAY, beta_2=SECOND_DECAY, epsilon=EPSILON)


def _squared_norm(gradients):
    return (gradients**2).sum(axis=-1, keepdims=True)


def _readings(paths, condition, names):
    """One row for each reading of the formula, by the name of its column, beside Keras' path."""
    return pd.concat([paths.assign(**{condition: name, "formula": paths[name]}) for name in names], ignore_index=True)


def _averages(start, gradient, rates, step_of, squares, *, from_zero=True):
    """Path of parameters, by steps from the averages of the gradients and of their squares, and their number."""
    parameters, first, second, path = start, 0.0, 0.0, []
    if not from_zero:
        first, second = gradient(start), squares(gradient(start))
    for number, rate in enumerate(rates, start=1):
        slope = gradient(parameters)
        first = FIRST_DECAY * first + (1 - FIRST_DECAY) * slope
        second = SECOND_DECAY * second + (1 - SECOND_DECAY) * squares(slope)
        parameters = parameters - rate * step_of(first, second, number)
        path.append(parameters)
    return path


def _plain_step(first, second, number, *, inside=False):  # noqa: ARG001  as for the others
    """Quotient of the averages, with epsilon beside the root or, squared, inside it."""
    return first / (np.sqrt(second + EPSILON**2) if inside else np.sqrt(second) + EPSILON)


def _corrected_step(first, second, number, *, inside=False):
    """The same of averages without the weight of the zeros that they start from."""
    return _plain_step(first / (1 - FIRST_DECAY**number), second / (1 - SECOND_DECAY**number), number, inside=inside)


def _half_corrected_step(first, second, number):
    return _plain_step(first / (1 - FIRST_DECAY**number), second, number)
