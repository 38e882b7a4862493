"""Formulas and ranges of activation functions."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, Identity, cheatsheet, claim, lectures, notes
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras
    import scipy.special
    import scipy.stats


@claim(
    r"The Gaussian error linear unit is $\frac{1}{2} x (1 + \mathrm{erf}(x / \sqrt{2}))$.",
    source=notes("3.2.5"),
    kind="formula",
    scope="real x",
    literature="Hendrycks and Gimpel 2016: x times the probability that a standard normal variable is at most x; they "
    "also give the approximation by tanh",
    # TensorFlow takes the root of two in single precision, whatever the type of its inputs.
    criterion=Identity("keras", "formula", dtype="float32"),
    control={"approximate": True},
)
def gelu_forms(seed, *, approximate=False, points=512):
    """Compares Keras' activation with the formula, by two routes of SciPy, at 512 uniform points between -3 and 3.

    One route is the error function, the other x times the distribution function of the normal distribution. Inputs are
    in double precision, the tolerance is one rounding in single precision: TensorFlow's gelu is off by some 1e-9 in
    double precision, which is no matter of the statement. The control is Keras' approximation by tanh, which is off by
    up to 0.0005.
    """
    z = np.random.default_rng(seed).uniform(-3, 3, size=points)
    computed = keras.ops.convert_to_numpy(keras.activations.gelu(_doubles(z), approximate=approximate))
    routes = {
        "error function": z / 2 * (1 + scipy.special.erf(z / np.sqrt(2))),
        "probability": z * scipy.stats.norm.cdf(z),
    }
    tables = []
    for route, values in routes.items():
        tables.append(pd.DataFrame({"route": route, "keras": computed, "formula": values}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"The derivative of the sigmoid $g(a) = 1 / (1 + e^{-a})$ is $g(a)(1 - g(a))$, that of $g(a) = \tanh(a)$ is "
    r"$1 - g(a)^2$.",
    source=lectures("2.2"),
    kind="formula",
    scope="real a",
    # On JAX, Keras' tanh is in single precision whatever the type of its inputs.
    criterion=AllOf(
        sigmoid=Identity("derivative", "formula", operations=16, dtype="float32", where={"activation": "sigmoid"}),
        tanh=Identity("derivative", "formula", operations=16, dtype="float32", where={"activation": "tanh"}),
    ),
    control={"exchanged": True},
)
def sigmoid_derivative(seed, *, exchanged=False, points=512):
    """Compares derivatives of Keras' sigmoid and tanh, by automatic differentiation, with the formulas, by SciPy.

    512 uniform points between -10 and 10; the formulas are evaluated in double precision as s(a) s(-a) and
    4 s(2a) s(-2a) with the sigmoid s, which are the same without a difference that loses digits. The tolerance is that
    of 16 roundings in single precision. The transcription of the lectures has lost their minus signs. The control
    exchanges the two formulas.
    """
    a = np.random.default_rng(seed).uniform(-10, 10, size=points)
    formulas = {
        "sigmoid": scipy.special.expit(a) * scipy.special.expit(-a),
        "tanh": 4 * scipy.special.expit(2 * a) * scipy.special.expit(-2 * a),
    }
    compared = dict(zip(formulas, reversed(formulas.values()), strict=True)) if exchanged else formulas
    tables = []
    for activation, formula in compared.items():
        function = keras.activations.get(activation)
        _, _, (derivative,) = value_and_gradient(
            lambda values, function=function: (keras.ops.sum(function(values[0])), ()), [_doubles(a)]
        )
        columns = {"derivative": keras.ops.convert_to_numpy(derivative), "formula": formula}
        tables.append(pd.DataFrame({"activation": activation, **columns}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"$\tanh(z) = 2\sigma(2z) - 1$.",
    source=cheatsheet("1.2.3"),
    kind="formula",
    scope="real z",
    # On JAX, Keras' tanh is in single precision whatever the type of its inputs.
    criterion=AllOf(
        small=Identity("tanh", "scaled_sigmoid", operations=16, dtype="float32", where={"size": "small"}),
        large=Identity("tanh", "scaled_sigmoid", operations=16, dtype="float32", where={"size": "large"}),
    ),
    control={"stretch": 1.0},
)
def tanh_is_scaled_sigmoid(seed, *, stretch=2.0, points=512):
    """Compares Keras' tanh with its sigmoid at points of either sign and of all magnitudes from 1e-8 to 1e3.

    512 points with logarithmically uniform magnitudes, those below one and those above apart; the tolerance is that of
    16 roundings in single precision. The control does not stretch the argument.
    """
    generator = np.random.default_rng(seed)
    z = generator.choice([-1.0, 1.0], size=points) * 10 ** generator.uniform(-8, 3, size=points)
    left = keras.ops.convert_to_numpy(keras.activations.tanh(_doubles(z)))
    right = 2 * keras.ops.convert_to_numpy(keras.activations.sigmoid(_doubles(stretch * z))) - 1
    return {"z": z, "size": np.where(np.abs(z) < 1, "small", "large"), "tanh": left, "scaled_sigmoid": right}


# Printed ends of the ranges with their brackets, at the parameters that the table of the notes gives.
RANGES = {
    "sigmoid": ("(", 0.0, 1.0, ")"),
    "softplus": ("(", 0.0, np.inf, ")"),
    "tanh": ("(", -1.0, 1.0, ")"),
    "relu": ("[", 0.0, np.inf, ")"),
    "leaky_relu": ("(", -np.inf, np.inf, ")"),
    "elu": ("(", -1.0, np.inf, ")"),
    "gelu": ("(", -0.17, np.inf, ")"),
    "silu": ("(", -0.28, np.inf, ")"),
    "softmax": ("(", 0.0, 1.0, ")"),
    "maxout": ("(", -np.inf, np.inf, ")"),
}
ROUNDED = ("gelu", "silu")
FAR, NEAR = 1e6, 2.0
HALF_UNIT = 0.005  # of the second decimal


@claim(
    r"The values of activation functions range over: sigmoid $(0, 1)$, softplus $(0, \infty)$, tanh $(-1, 1)$, ReLU "
    r"$[0, \infty)$, leaky ReLU $(-\infty, \infty)$, ELU $(-\alpha, \infty)$, GELU $(-0.17, \infty)$, SiLU "
    r"$(-0.28, \infty)$, softmax $(0, 1)$, maxout $(-\infty, \infty)$.",
    source=notes("3.2.5 table"),
    kind="formula",
    scope="positive alpha in ELU; -0.17 and -0.28 are rounded",
    criterion=AllOf(
        limits=Identity("value", "limit", digits=2, where={"infinite": False}),
        unbounded=AtLeast("distance", bound=1e3, where={"infinite": True}),
        brackets=Identity("attained", "closed", where={"bracket": "of an exact end"}),
    ),
    control={"reach": 0.5},
)
def ranges(seed, *, reach=FAR, points=4096):
    """Takes the least and the largest value of each of Keras' activations over 8192 inputs of both signs.

    Their magnitudes are logarithmically uniform from 1e-3 to a million. A finite end must agree with the printed one to
    two decimals; values must exceed a thousand where the range is infinite. Leaky ReLU has the slope 0.01 of the table,
    ELU has alpha 1; softmax and maxout are of pairs of inputs. Brackets: an end is attained if inputs within two of
    zero reach it to two decimals; otherwise it is only approached, as 0.88 and 0.96 are by then of the ends of sigmoid
    and tanh. Brackets of infinite ends say nothing, and those of the two rounded ends are not judged: the minima of
    GELU, -0.16997 at -0.752, and of SiLU, -0.27846 at -1.278, are attained, the printed numbers are not. The control
    has inputs up to one half, which do not exhaust the ranges.
    """
    generator = np.random.default_rng(seed)
    signs = generator.choice([-1.0, 1.0], size=(points, 2))
    magnitudes = 10 ** generator.uniform(-3, np.log10(FAR), size=(points, 2))
    tables = []
    for activation, (lower, least, most, upper) in RANGES.items():
        found, near = (
            np.array([values.min(), values.max()])
            for values in (_activate(activation, signs * np.minimum(magnitudes, limit)) for limit in (reach, NEAR))
        )
        infinite = np.isinf([least, most])
        judged = ~infinite & (activation not in ROUNDED)
        columns = {
            "end": ["lower", "upper"],
            "value": found,
            "limit": [least, most],
            "distance": np.abs(found),
            "infinite": infinite,
            "attained": (np.abs(near - [least, most]) <= HALF_UNIT).astype(float),
            "closed": np.array([lower == "[", upper == "]"], dtype=float),
            "bracket": np.where(judged, "of an exact end", "not judged"),
        }
        tables.append(pd.DataFrame({"activation": activation, **columns}))
    return pd.concat(tables, ignore_index=True)


def _activate(activation, z):
    """Values of an activation of pairs of inputs, [points, 2]."""
    if activation == "maxout":
        values = keras.ops.max(_doubles(z), axis=1)
    elif activation == "leaky_relu":
        values = keras.activations.leaky_relu(_doubles(z), negative_slope=0.01)
    else:
        values = getattr(keras.activations, activation)(_doubles(z))
    return keras.ops.convert_to_numpy(values)


def _doubles(values):
    return keras.ops.convert_to_tensor(values, dtype="float64")
