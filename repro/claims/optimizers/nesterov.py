"""Nesterov's look-ahead, and what it does better than heavy ball."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Correction, Greater, Identity, PositiveControl, cheatsheet, claim, lectures, notes
from repro.claims.optimizers._accelerations import (
    HEAVY_BALL,
    NESTEROV,
    best_heavy_ball,
    best_nesterov,
    drawn_quadratics,
    measure,
)
from repro.claims.optimizers._quadratics import compare_paths

with epy.lazy_imports():
    import keras

RATE, MOMENTUM = 2**-5, 0.875  # exact in single precision, which Keras keeps rates in
SLOWER_BALL = "heavy ball at a quarter of the rate"
TWICE: dict[str, Any] = {"smallest_ratio": 1.05**2, "because": "it is twice what matters"}


@claim(
    r"Nesterov acceleration, $\hat\theta_{t+1} = \theta_t + \beta(\theta_t - \theta_{t-1})$ and $\theta_{t+1} = "
    r"\hat\theta_{t+1} - \eta \nabla h(\hat\theta_{t+1})$, has more theoretical grounding than heavy ball; with the "
    r"gradient at $\theta - \gamma v_{t-1}$ it is similar to momentum, and the anticipatory update prevents going too "
    "fast and increases responsiveness.",
    source=(
        cheatsheet("1.3.3", parts=("form", "grounding")),
        notes("Definition 3.80", parts=("form", "overshoot", "response")),
    ),
    kind="tendency",
    scope="compared with heavy ball, on quadratics, and on one strongly convex function that is none; condition number "
    "and coefficients (equal, or tuned for each) are left open",
    left_open=("condition", "coefficients"),
    literature="Nesterov 1983; Sutskever et al. 2013, section 2; Lessard, Recht and Packard 2016, section 4.6 and "
    "table 1",
    criterion=AllOf(
        form=Identity("by_keras", "of_the_sheet", operations=4096, where={"quantity": "form"}),
        grounding=Greater(
            "distance", of=HEAVY_BALL, than=NESTEROV, by="update", where={"quantity": "strongly convex function"}
        ),
        overshoot=Greater(
            "overshoot",
            of=HEAVY_BALL,
            than=NESTEROV,
            by="update",
            each=("condition", "coefficients"),
            where={"quantity": "quadratic"},
        ),
        response=Greater(
            "steps", of=HEAVY_BALL, than=NESTEROV, by="update", each=("coefficients",), where={"condition": 30}
        ),
    ),
    boundary=Boundary(
        "but for the time to settle on quadratics where both are tuned, at which heavy ball is the best of all",
        holds="part != 'response' or coefficients == 'equal'",
    ),
    positive_control=PositiveControl(
        "Heavy ball at a quarter of its best rate settles later than at its best rate.",
        criterion=AllOf(
            response=Greater(
                "steps",
                of=SLOWER_BALL,
                than=HEAVY_BALL,
                by="update",
                each=("coefficients",),
                where={"condition": 30, "coefficients": "tuned"},
                **TWICE,
            )
        ),
    ),
    seeds=48,
)
def nesterov(seeds, *, conditions=(10, 30), steps=40):
    r"""Compares both documents' forms with Keras, and the method with heavy ball on convex functions.

    Form: the weights of Keras' SGD(nesterov=True) are the places $\hat\theta$ where the gradient is taken next, on the
    quadratics of ``momentum_cheatsheet``; the sheet's and the notes' form are each followed by themselves, one after
    the other. Quadratics as of ``heavy_ball``, at equal coefficients (momentum 0.9, rate 1 over the largest curvature)
    and at the best ones of each: the largest distance beyond the minimum along an axis, as a share of the first, and
    the steps to a millionth of the distance, which is what responsiveness is read as. Grounding: the strongly convex
    function of one parameter of Lessard et al., of slopes 25 and 1, in a unit that each seed draws, on which heavy ball
    with the coefficients that are best for quadratics cycles for ever; the distance after 300 steps, at least a
    billionth of the unit, where Nesterov's method has those that are proved for all such functions. This is a worked
    example, which no seed could turn.
    """
    paths = compare_paths(
        seeds,
        [RATE] * steps,
        optimizer=keras.optimizers.SGD(RATE, momentum=MOMENTUM, nesterov=True),
        formulas={"sheet": _sheet, "notes": _notes},
    )
    keras_path = {"quantity": "form", "by_keras": paths["keras"], "of_the_sheet": paths["sheet"]}
    notes_path = {"quantity": "form", "by_keras": paths["keras"], "of_the_sheet": paths["notes"]}
    tables = [pd.DataFrame({"seed": paths["seed"], **columns}) for columns in (keras_path, notes_path)]
    generators = [np.random.default_rng((seed, 1)) for seed in seeds]
    for condition in conditions:
        curvatures, start = drawn_quadratics(generators, condition)
        tuned = best_heavy_ball(condition)
        for name, balls in (
            ("equal", {HEAVY_BALL: (1.0, 0.9), NESTEROV: (1.0, 0.9), SLOWER_BALL: (0.25, 0.9)}),
            ("tuned", {HEAVY_BALL: tuned, NESTEROV: best_nesterov(condition), SLOWER_BALL: (tuned[0] / 4, tuned[1])}),
        ):
            for update, (rate, memory) in balls.items():
                kind = NESTEROV if update == NESTEROV else HEAVY_BALL
                count, _, overshoot = measure(kind, curvatures, start, rate, memory, most=3000)
                labels = {"quantity": "quadratic", "condition": condition, "coefficients": name, "update": update}
                tables.append(pd.DataFrame({"seed": list(seeds), **labels, "steps": count, "overshoot": overshoot}))
    rows = []
    for seed, generator in zip(seeds, generators, strict=True):
        unit, place = generator.uniform(0.5, 2), generator.uniform(3.1, 3.4)
        for update, rate, memory in ((HEAVY_BALL, 1 / 9, 4 / 9), (NESTEROV, 1 / 25, 2 / 3)):
            distance = max(abs(_on_slopes(update, place * unit, unit, rate, memory)), 1e-9 * unit)
            labels = {"quantity": "strongly convex function", "update": update}
            rows.append({"seed": seed, **labels, "distance": distance})
    return pd.concat([*tables, pd.DataFrame(rows)], ignore_index=True)


def _sheet(start, gradient, rates):
    """Places where the next gradient is taken, in the form of the cheat sheet."""
    before, place, path = start, start, []
    for rate in rates:
        after = place - rate * gradient(place)
        before, place = after, after + MOMENTUM * (after - before)
        path.append(place)
    return path


def _notes(start, gradient, rates):
    """The same places in the form of the notes, with a speed v."""
    parameters, speed, path = start, np.zeros_like(start), []
    for rate in rates:
        speed = MOMENTUM * speed + rate * gradient(parameters - MOMENTUM * speed)
        parameters = parameters - speed
        path.append(parameters - MOMENTUM * speed)
    return path


def _on_slopes(update, start, unit, rate, memory, steps=300):
    """Place after many steps on the function of Lessard, Recht and Packard 2016, equation 4.11, in a unit of length."""

    def gradient(x):
        x = x / unit
        return unit * (25 * x if x < 1 else x + 24 if x < 2 else 25 * x - 24)

    x, before = start, start
    for _ in range(steps):
        ahead = x + memory * (x - before)
        x, before = (ahead - rate * gradient(ahead if update == NESTEROV else x)), x
    return x


@claim(
    r"Nesterov's accelerated gradient, an enhancement of momentum, is a prediction $w^{k+1/2} = w^k - \alpha \nabla "
    r"E(w^{k-1})$ and a step $w^{k+1} = w^k - \eta \nabla E(w^{k+1/2})$.",
    source=lectures("2.4.3"),
    kind="formula",
    root="lectures_momentum",
    scope="any differentiable E; both rates are left open",
    literature="Nesterov 1983; Sutskever et al. 2013, equations 3 and 4; as printed it is akin to Popov 1980, made for "
    "saddle points of games, whose prediction re-uses the gradient at the prediction before, where this one takes that "
    "at the place before",
    criterion=Identity("documented", "keras", operations=4096),
    correction=Correction(
        r"The prediction goes on along the last step, $w^{k+1/2} = w^k + \alpha (w^k - w^{k-1})$, and the step starts "
        r"there: $w^{k+1} = w^{k+1/2} - \eta \nabla E(w^{k+1/2})$.",
        prediction="along the last step",
    ),
)
def nesterov_lectures(seeds, *, prediction="along the gradient before", steps=40):
    r"""Compares the predictions of both steps with the weights of Keras' SGD(nesterov=True), which are predictions.

    The quadratics of ``momentum_cheatsheet``, 40 steps at rate 1/32 and momentum 7/8 from rest, double precision. In
    the printed prediction $\alpha$ multiplies a gradient, so that it is given the rate times the momentum: the
    predictions after one step from rest along one gradient would be equal. It remembers one gradient, not the sum that
    the last step is, and the step starts where the prediction did. On $E = w^2 / 2$ with $w^{-1} = w^0 = 1$, by hand:
    $w^{1/2} = 1 - \alpha$, $w^1 = 1 - \eta + \eta\alpha$, where Nesterov's first step from rest is plain, $1 - \eta$:
    they differ for all positive rates.
    """
    formula = _predictions if prediction == "along the last step" else _printed_predictions
    optimizer = keras.optimizers.SGD(RATE, momentum=MOMENTUM, nesterov=True)
    return compare_paths(seeds, [RATE] * steps, optimizer=optimizer, formulas={"documented": formula})


def _printed_predictions(start, gradient, rates):
    w, before, path = start, gradient(start), []
    for rate in rates:
        here = gradient(w)
        w = w - rate * gradient(w - MOMENTUM * rate * before)
        before = here
        path.append(w - MOMENTUM * rate * before)
    return path


def _predictions(start, gradient, rates):
    w, prediction, path = start, start, []
    for rate in rates:
        after = prediction - rate * gradient(prediction)
        w, prediction = after, (1 + MOMENTUM) * after - MOMENTUM * w
        path.append(prediction)
    return path
