"""The logistic function."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, Correction, Identity, cheatsheet, claim, notes
from repro.engine.backend import compile_function, value_and_gradient

with epy.lazy_imports():
    import keras
    import scipy.special


@claim(
    r"$\sigma(z) + \sigma(-z) = 1$, $\sigma' = \sigma(1 - \sigma)$ and $\sigma'' = \sigma(1 - \sigma)(1 - 2\sigma)$.",
    source=cheatsheet("1.2.1"),
    kind="formula",
    scope="real z",
    criterion=AllOf(
        symmetry=Identity("left", "right", operations=64, where={"identity": "symmetry"}),
        first_derivative=Identity("left", "right", operations=64, where={"identity": "first derivative"}),
        second_derivative=Identity("left", "right", operations=64, where={"identity": "second derivative"}),
    ),
    control={"steepness": 2.0},
)
def logistic_identities(seed, *, steepness=1.0, points=512, largest=300.0):
    """Compares Keras' sigmoid and its derivatives by autodiff, once and twice, with the products of its values.

    Normal points of standard deviation 3, and points of either sign from 0.001 to 300. Backends differentiate their
    sigmoid by the first of these products, so the first derivative is taken by another route too, a complex step
    (Squire and Trapp 1998), which differentiates nothing. A function twice as steep, the control, has the symmetry but
    other derivatives.
    """
    generator = np.random.default_rng(seed)
    sizes = np.geomspace(1e-3, largest, 32) * generator.choice([-1.0, 1.0], size=32)
    values = np.concatenate([generator.normal(scale=3.0, size=points), sizes])
    z = keras.ops.convert_to_tensor(values, dtype="float64")
    value, mirrored, first, second = (
        keras.ops.convert_to_numpy(side)
        for side in (_sigmoid(z, steepness), _sigmoid(-z, steepness), *_derivatives(z, steepness))
    )
    identities = {
        "symmetry": (value + mirrored, np.ones(len(values))),
        "first derivative": (
            np.concatenate([first, _complex_step(values, steepness)]),
            np.tile(value * (1 - value), 2),
        ),
        "second derivative": (second, value * (1 - value) * (1 - 2 * value)),
    }
    tables = []
    for identity, (left, right) in identities.items():
        tables.append(pd.DataFrame({"identity": identity, "left": left, "right": right}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"$-y \log \sigma(z) - (1 - y) \log(1 - \sigma(z)) = -\log \sigma((2y - 1) z)$.",
    source=cheatsheet("1.2.1"),
    kind="formula",
    scope="labels of 0 and 1",
    criterion=Identity("cross_entropy", "logarithm", operations=64, dtype="float32"),
    control={"labels": (0.0, 0.5, 1.0)},
)
def cross_entropy_forms(seed, *, labels=(0.0, 1.0), points=512):
    """Compares Keras' binary cross-entropy, of probabilities and of scores, with less the logarithmic sigmoid by SciPy.

    Labels are drawn from 0 and 1; standard normal scores, single precision. Scores of 10 to 80 of either sign are given
    to the loss of scores alone, since of probabilities 1 - p cancels there, which is no matter of the identity; for
    them both sides are divided by the right one, so that small losses count as much as large ones. In the control some
    labels are one half, where the right side is log 2 at any score.
    """
    generator = np.random.default_rng(seed)
    moderate = generator.normal(size=(points, 1)).astype(np.float32)
    extreme = (generator.uniform(10, 80, size=(points, 1)) * generator.choice([-1, 1], (points, 1))).astype(np.float32)
    tables = []
    for evaluated, z in {"of probabilities": moderate, "of scores": moderate, "of extreme scores": extreme}.items():
        y = generator.choice(labels, size=(points, 1)).astype(np.float32)
        is_of_scores = evaluated != "of probabilities"
        loss = keras.losses.BinaryCrossentropy(from_logits=is_of_scores, reduction=None)
        values = keras.ops.convert_to_numpy(loss(y, z if is_of_scores else keras.activations.sigmoid(z)))
        logarithm = -scipy.special.log_expit((2 * y - 1) * z.astype(float)).ravel()
        unit = logarithm if evaluated == "of extreme scores" else 1.0
        columns = {"evaluated": evaluated, "cross_entropy": values / unit, "logarithm": logarithm / unit}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"$\nabla \ell_i = (\sigma(w^\top x_i) - y_i) x_i$ for the cross-entropy of logistic regression.",
    source=cheatsheet("1.2.1"),
    kind="formula",
    scope="one record with a label of 0 or 1",
    literature="McCullagh and Nelder 1989, section 4.4",
    criterion=Identity("autodiff", "formula", operations=256, dtype="float32"),
    full={"records": 1000, "inputs": 50},
    control={"loss": "mean_squared_error"},
)
def logistic_gradient(seed, *, records=30, inputs=6, loss="binary_crossentropy"):
    """Compares gradients of Keras' binary cross-entropy of one record, by automatic differentiation, with the formula.

    30 normal records with six inputs, labels drawn from 0 and 1, normal weights; single precision. Both forms in which
    Keras takes the output: of probabilities, from a dense layer with a sigmoid, and of scores, from the same layer
    without; scores there are also multiplied by ten, where probabilities are about 0 and 1. The formula has SciPy's
    sigmoid. Keras cuts probabilities at 1e-7, beyond which (scores over 16) their gradient is nought on JAX, which is
    no matter of the identity: records are scaled so that no score exceeds ten, and weights have the expected norm of
    six inputs whatever their number. The control has the squared error of the same probability, whose gradient has the
    slope of the sigmoid as a factor.
    """
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(records, inputs)).astype(np.float32)
    y, w = generator.integers(2, size=records), generator.normal(size=inputs).astype(np.float32)
    w *= np.float32(np.sqrt(6 / inputs))
    x /= max(1.0, np.abs(x @ w).max() / 10)
    tables = []
    for form, scale in (("probabilities", 1.0), ("scores", 1.0), ("scores", 10.0)):
        weights = w * np.float32(scale)
        formula = (scipy.special.expit(x @ weights.astype(float)) - y)[:, None] * x
        gradient = _gradient_of_record(loss, form, inputs)
        by_keras = [
            keras.ops.convert_to_numpy(gradient(weights[:, None], features[None], np.full((1, 1), label, np.float32)))
            for features, label in zip(x, y, strict=True)
        ]
        columns = {"autodiff": np.ravel(by_keras), "formula": np.ravel(formula)}
        tables.append(pd.DataFrame({"form": form, "scale": scale, **columns}))
    return pd.concat(tables, ignore_index=True)


@cache
def _gradient_of_record(loss, form, inputs):
    """Compile the gradient of a Keras loss of one record by the weights of a dense layer with one output."""
    is_of_scores = form == "scores"
    layer = keras.layers.Dense(1, activation=None if is_of_scores else "sigmoid", use_bias=False)
    layer.build((None, inputs))
    evaluate = keras.losses.get(loss)

    def of_record(values, features, label):
        output, _ = layer.stateless_call(values, [], features)
        if loss == "binary_crossentropy":
            return keras.ops.sum(evaluate(label, output, from_logits=is_of_scores)), ()
        return keras.ops.sum(evaluate(label, keras.activations.sigmoid(output) if is_of_scores else output)), ()

    return compile_function(lambda weights, *record: value_and_gradient(of_record, [weights], *record)[2][0])


@claim(
    r"Logistic regression is non-linear in probability and odds but linear in the log-odds: "
    r"$p = 1 / (1 + \exp(-\theta_0 - \theta_1 x_1 - \theta_2 x_2))$, odds "
    r"$\frac{p}{1 - p} = \exp(-\theta_0 - \theta_1 x_1 - \theta_2 x_2)$, log-odds "
    r"$-\theta_0 - \theta_1 x_1 - \theta_2 x_2$.",
    source=notes("Remark 3.2"),
    kind="formula",
    transcription=True,
    scope="two features; the minus signs between the terms are missing in the text and restored here",
    literature="Agresti 2013, section 5.1: the logit is the linear predictor itself",
    # 1 - p loses as many digits as the odds have, which stay below a million.
    criterion=AllOf(
        linear=Identity("log_odds", "interpolated", operations=10**6, where={"quantity": "log-odds"}),
        curved=AtLeast("departure", bound="rounding", where={"quantity": "departure"}),
        odds=Identity("stated", "found", operations=10**6, where={"quantity": "stated odds"}),
        stated_log_odds=Identity("stated", "found", operations=10**6, where={"quantity": "stated log-odds"}),
    ),
    correction=Correction(
        r"The odds are $\exp(\theta_0 + \theta_1 x_1 + \theta_2 x_2)$ and the log-odds "
        r"$\theta_0 + \theta_1 x_1 + \theta_2 x_2$.",
        sign=1.0,
        points=60,
    ),
)
def log_odds(seed, *, sign=-1.0, points=20):
    r"""Compares odds and log-odds of a Keras logistic model with what is printed, and looks for straight lines.

    A dense layer of two inputs with a sigmoid, which is the printed $p$, with normal weights; 20 pairs of normal points
    and their midpoints, double precision. Found odds are $p / (1 - p)$. Linear: the log-odds at the midpoint against
    the mean of those at both ends. Curved: how far $p$, and the odds, are from that mean where they are furthest, as a
    share of it, against a thousand roundings. The stated signs are those of the odds against: for $p > 1/2$ the
    exponent in $p$ is negative, and the printed odds, its exponential, would be below one. A sign may be lost in
    copying, as the text lacks others. The correction follows from $1 - p = p \exp(-\theta^\top x)$.
    """
    generator = np.random.default_rng(seed)
    theta = generator.normal(size=3)
    ends = generator.normal(size=(2, points, 2))
    p = _probabilities(theta, np.concatenate([*ends, ends.mean(axis=0)])).reshape(3, points)
    odds = p / (1 - p)
    logarithms = np.log(odds)
    linear = {"log_odds": logarithms[2], "interpolated": logarithms[:2].mean(axis=0)}
    tables = [pd.DataFrame({"quantity": "log-odds", **linear})]
    for name, values in (("probability", p), ("odds", odds)):
        departure = np.abs(values[2] / values[:2].mean(axis=0) - 1).max()
        rounding = 1000 * np.finfo(float).eps
        tables.append(
            pd.DataFrame({"quantity": ["departure"], "of": name, "departure": departure, "rounding": rounding})
        )
    predictor = sign * (theta[0] + ends[0] @ theta[1:])
    tables.append(pd.DataFrame({"quantity": "stated odds", "stated": np.exp(predictor), "found": odds[0]}))
    tables.append(pd.DataFrame({"quantity": "stated log-odds", "stated": predictor, "found": logarithms[0]}))
    return pd.concat(tables, ignore_index=True)


def _probabilities(theta, x):
    """Outputs of a Keras layer with a sigmoid; in double precision, as 1 - p has few digits of a p near one."""
    layer = keras.layers.Dense(1, activation="sigmoid", dtype="float64")
    model = keras.Sequential([keras.Input((2,), dtype="float64"), layer])
    model.set_weights([theta[1:, None], theta[:1]])
    return keras.ops.convert_to_numpy(model(x))[:, 0]


def _sigmoid(z, steepness):
    return keras.activations.sigmoid(steepness * z)


def _complex_step(z, steepness, step=1e-30):
    """First derivative of the logistic function as the imaginary part at a point beside the real axis."""
    return (1 / (1 + np.exp(-steepness * (z + 1j * step)))).imag / step


def _derivatives(z, steepness):
    """First and second derivative at every point."""

    def summed(values):
        return keras.ops.sum(_sigmoid(values[0], steepness)), ()

    def slopes(values):
        _, _, (slope,) = value_and_gradient(summed, values)
        return keras.ops.sum(slope), slope

    _, first, (second,) = value_and_gradient(slopes, [z])
    return first, second
