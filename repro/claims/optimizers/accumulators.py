"""Rates divided by the root of past squared gradients, summed or averaged."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Correction, Identity, Rival, cheatsheet, claim, notes
from repro.claims.optimizers._quadratics import compare_paths, follow_keras

with epy.lazy_imports():
    import keras

# Rate and decay are exact in single precision, which Keras keeps rates in.
RATE, DECAY, EPSILON = 2**-5, 0.875, 1e-8
DEFAULT_START = 0.100000001490116119384765625  # of Keras' sum of squares, as single precision has 0.1


@claim(
    r"AdaGrad, for each coordinate: $\gamma_i^t = \gamma_i^{t-1} + (\partial_i h(\theta_t))^2$ and $\theta_{i,t+1} = "
    r"\theta_{i,t} - \frac{\eta}{\sqrt{\gamma_i^t + \delta}} \partial_i h(\theta_t)$.",
    source=cheatsheet("1.3.3"),
    kind="formula",
    scope="each coordinate by itself; the value of the sum before the first step is left open",
    left_open=("start",),
    literature="Duchi, Hazan and Singer 2011, figure 1, with delta outside the root; Goodfellow, Bengio and Courville "
    "2016, algorithm 8.4",
    criterion=Identity("keras", "formula", operations=1024, each=("start",)),
    control={"squares": "averaged"},
    rival=Rival(
        r"The rate is $\eta / (\sqrt{\gamma_i^t} + \delta)$: delta stands outside the root.",
        criterion=Identity("keras", "outside", operations=1024, each=("start",)),
    ),
)
def adagrad_cheatsheet(seeds, *, squares="summed", steps=40, delta=1e-7):
    """Compares the path of Keras' Adagrad with that of the formula, on random quadratic functions.

    Functions of eight parameters with curvatures from 0.1 to 10 in random directions, 40 steps at rate 1/32 from normal
    parameters, in double precision; delta is Keras' default. The sum starts at zero, as Duchi et al. have it, or at
    0.1, as Keras has it by default, on both sides alike. The rival has delta outside the root, as Duchi et al. have it:
    where the root is about one, that changes a step by a part in ten millions, which is half a billion roundings. In
    the control Keras averages the squares (RMSprop) in place of their sum.
    """
    tables = []
    for name_of_start, start in (("zero", 0.0), ("Keras' default", DEFAULT_START)):
        if squares == "summed":
            optimizer = keras.optimizers.Adagrad(RATE, initial_accumulator_value=start, epsilon=delta)
        else:
            optimizer = keras.optimizers.RMSprop(RATE, rho=DECAY, epsilon=delta)
        formulas = {
            name: partial(_root_of_squares, squares=np.square, start_at=start, divisor=divisor)
            for name, divisor in (
                ("formula", lambda total: np.sqrt(total + delta)),
                ("outside", lambda total: np.sqrt(total) + delta),
            )
        }
        paths = compare_paths(seeds, [RATE] * steps, optimizer=optimizer, formulas=formulas)
        tables.append(paths.assign(start=name_of_start))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"AdaGrad adjusts the rate of every parameter $\theta$: $\theta_{t+1} = \theta_t - "
    r"\frac{\eta}{\sqrt{\sum_{i=1}^t \lVert g^{(i)} \rVert_2^2 + \varepsilon}} g^{(t)}$, with $\varepsilon$ usually "
    r"about $10^{-8}$.",
    source=notes("Definition 3.81"),
    kind="formula",
    root="squared_norm",
    scope="theta is one parameter at a time, as the definition says; whether it is the vector of all is left open",
    left_open=("theta",),
    literature="Duchi, Hazan and Singer 2011: the square of each component; Ward, Wu and Bottou 2019 study one "
    "rate for all, from the norm (AdaGrad-Norm)",
    criterion=Identity("keras", "formula", operations=1024, each=("theta",)),
    boundary=Boundary(
        "where theta is one parameter, whose squared norm is its square; where it is the whole vector all parameters "
        "share one rate",
        holds="theta == 'one parameter'",
        assumption="Duchi, Hazan and Singer 2011, figure 1: the root of the diagonal of summed outer products",
    ),
    rival=Rival(
        r"$\varepsilon$ stands outside the root.",
        criterion=Identity("keras", "outside", operations=1024, where={"theta": "one parameter"}),
    ),
)
def adagrad_formula(seeds, *, steps=40):
    """Compares the path of Keras' Adagrad, whose sum starts at zero, with that of the formula, in both readings.

    The functions and rates of ``adagrad_cheatsheet``, epsilon 1e-8. One parameter: the squared norm of a scalar is its
    square. The whole vector: the norm of all eight, which is another algorithm, AdaGrad-Norm. The rival has epsilon
    outside the root.
    """
    inside, outside = (lambda total: np.sqrt(total + EPSILON)), (lambda total: np.sqrt(total) + EPSILON)
    formulas = {
        "one parameter": partial(_root_of_squares, squares=np.square, divisor=inside),
        "the whole vector": partial(_root_of_squares, squares=_squared_norm, divisor=inside),
        "outside": partial(_root_of_squares, squares=np.square, divisor=outside),
    }
    optimizer = keras.optimizers.Adagrad(RATE, initial_accumulator_value=0.0, epsilon=EPSILON)
    paths = compare_paths(seeds, [RATE] * steps, optimizer=optimizer, formulas=formulas)
    readings = ("one parameter", "the whole vector")
    return pd.concat([paths.assign(theta=name, formula=paths[name]) for name in readings], ignore_index=True)


@claim(
    r"AdaDelta or RMSprop: $E_t = \gamma E_{t-1} + (1 - \gamma) \lVert g^{(t)} \rVert_2^2$ and $\theta_{t+1} = "
    r"\theta_t - \frac{\eta}{\sqrt{E_t + \varepsilon}} g^{(t)}$.",
    source=notes("Definition 3.82"),
    kind="formula",
    scope="one parameter at a time; the two names stand for one method",
    literature="Zeiler 2012, algorithm 1; Tieleman and Hinton 2012. Zeiler's first idea alone (section 3.1) is the "
    "printed formula; his second (3.2) puts the average of past steps in the place of the rate, and that is AdaDelta",
    criterion=AllOf(
        rmsprop=Identity("keras", "formula", operations=1024, where={"method": "RMSprop"}),
        adadelta=Identity("keras", "formula", operations=1024, where={"method": "AdaDelta"}),
    ),
    correction=Correction(
        r"AdaDelta has no rate but the root of an average of its own past steps: $\Delta_t = -\frac{\sqrt{D_{t-1} + "
        r"\varepsilon}}{\sqrt{E_t + \varepsilon}} g^{(t)}$ with $D_t = \gamma D_{t-1} + (1 - \gamma) \Delta_t^2$ and "
        r"$\theta_{t+1} = \theta_t + \Delta_t$; the printed formula is RMSprop's.",
        rate_of_adadelta="from its past steps",
    ),
    rival=Rival(
        r"$E_t = \gamma E_{t-1} + \lVert g^{(t)} \rVert_2^2$: past squares decay without being averaged.",
        criterion=Identity("keras", "not_averaged", operations=1024, where={"method": "RMSprop"}),
    ),
)
def adadelta_is_rmsprop(seeds, *, rate_of_adadelta="as printed", steps=40, epsilon=2**-20):
    r"""Compares the paths of Keras' RMSprop and Keras' Adadelta with that of the formula, along the same gradients.

    Normal gradients of sizes from 0.1 to 10 for eight parameters, which start at zero; decay 7/8 and epsilon
    $2^{-20}$ for both, double precision; the squared norm of one parameter is its square. Keras' RMSprop has the
    formula's rate, 1/32. For Adadelta, as published at Keras' rate of 1, the formula is given the rate
    $\sqrt{\varepsilon}$, at which the first steps of both are the same. From the second step on AdaDelta's numerator,
    the root of the average of its own squared steps, grows, where the formula's stays, so that no other rate would do
    either. That is the mistake: the formula is RMSprop's (and Zeiler's first idea), not AdaDelta's. The correction is
    Zeiler's algorithm 1. The rival leaves out the factor of an average.
    """
    inside = lambda total: np.sqrt(total + epsilon)  # noqa: E731  of both formulas
    tables = []
    for method, rate, optimizer in (
        ("RMSprop", RATE, keras.optimizers.RMSprop(RATE, rho=DECAY, epsilon=epsilon)),
        ("AdaDelta", epsilon**0.5, keras.optimizers.Adadelta(1.0, rho=DECAY, epsilon=epsilon)),
    ):
        by_formula = partial(_at_rate, rate, partial(_root_of_squares, decay=DECAY, squares=np.square, divisor=inside))
        if method == "AdaDelta" and rate_of_adadelta == "from its past steps":
            by_formula = partial(_zeiler, epsilon=epsilon)
        not_averaged = partial(_root_of_squares, decay=DECAY, weight=1.0, squares=np.square, divisor=inside)
        paths = compare_paths(
            seeds,
            [RATE if method == "RMSprop" else 1.0] * steps,
            optimizer=optimizer,
            formulas={"formula": by_formula, "not_averaged": not_averaged},
            given=True,
        )
        tables.append(paths.assign(method=method))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"RMSprop is Adam without the momentum term: $\gamma_i^t = \alpha \gamma_i^{t-1} + (1 - \alpha) (\partial_i h)^2$ "
    r"and the step $-\eta \, \partial_i h / \sqrt{\gamma_i^t + \delta}$.",
    source=cheatsheet("1.3.3"),
    kind="formula",
    scope="the sheet's own Adam, which corrects no average for its start and has delta under the root, with beta = 0",
    literature="Tieleman and Hinton 2012; Kingma and Ba 2015, section 5: RMSprop lacks the bias correction of Adam",
    criterion=Identity("keras", "formula", operations=1024),
    rival=Rival(
        r"RMSprop is the published Adam, whose averages are divided by $1 - \alpha^t$, without its momentum.",
        criterion=Identity("keras", "published_adam", operations=1024),
    ),
    control={"momentum": 0.5},
)
def rmsprop_is_adam_without_momentum(seeds, *, momentum=0.0, steps=40, delta=1e-7):
    r"""Compares the path of Keras' RMSprop with that of the sheet's Adam without momentum, along the same gradients.

    Normal gradients of sizes from 0.1 to 10 for eight parameters, 40 steps at rate 1/32, decay 7/8 and Keras' default
    epsilon, which RMSprop has under the root; averages start at zero. The rival is the other
    reading, Adam as published and as Keras has it: its steps are $\sqrt{1 - \alpha^t}$ times as long, a factor of 0.35
    at first and of 0.998 at the end. The control is the sheet's Adam with a momentum
    of a half.
    """
    formulas = {
        "formula": partial(_adam_of_the_sheet, momentum=momentum, delta=delta),
        "published_adam": partial(_by_keras_adam, epsilon=delta),
    }
    optimizer = keras.optimizers.RMSprop(RATE, rho=DECAY, epsilon=delta)
    return compare_paths(seeds, [RATE] * steps, optimizer=optimizer, formulas=formulas, given=True)


def _root_of_squares(start, gradient, rates, *, squares, divisor, start_at=0.0, decay=1.0, weight=None):
    """Path by steps of the gradient over a function of summed squares; decayed and averaged with a decay below one."""
    if weight is None:
        weight = 1.0 if decay == 1.0 else 1 - decay
    parameters, total, path = start, start_at, []
    for rate in rates:
        slope = gradient(parameters)
        total = decay * total + weight * squares(slope)
        parameters = parameters - rate * slope / divisor(total)
        path.append(parameters)
    return path


def _at_rate(rate, formula, start, gradient, rates):
    """The same formula at a rate of its own."""
    return formula(start, gradient, [rate] * len(rates))


def _zeiler(start, gradient, rates, *, epsilon):
    """Path of Zeiler's algorithm 1, in which each step is scaled by the root of an average of past steps."""
    parameters, of_gradients, of_steps, path = start, 0.0, 0.0, []
    for rate in rates:
        slope = gradient(parameters)
        of_gradients = DECAY * of_gradients + (1 - DECAY) * slope**2
        step = -(((of_steps + epsilon) / (of_gradients + epsilon)) ** 0.5) * slope
        of_steps = DECAY * of_steps + (1 - DECAY) * step**2
        parameters = parameters + rate * step
        path.append(parameters)
    return path


def _adam_of_the_sheet(start, gradient, rates, *, momentum, delta):
    parameters, first, second, path = start, 0.0, 0.0, []
    for rate in rates:
        slope = gradient(parameters)
        first = momentum * first + (1 - momentum) * slope
        second = DECAY * second + (1 - DECAY) * slope**2
        parameters = parameters - rate / np.sqrt(second + delta) * first
        path.append(parameters)
    return path


def _by_keras_adam(start, gradient, rates, *, epsilon):
    return follow_keras(start, gradient, rates, keras.optimizers.Adam(RATE, 0.0, DECAY, epsilon=epsilon))


def _squared_norm(gradients):
    return (gradients**2).sum(axis=-1, keepdims=True)
