"""Formulas and ranges of activation functions."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, AtMost, Boundary, Correction, Identity, cheatsheet, claim, lectures, notes
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
    r"The Gaussian error linear unit is $\varphi(z) = z \, \mathrm{Prob}(z \leq Z)$ with $Z \sim N(0, 1)$.",
    source=cheatsheet("1.6.1"),
    kind="formula",
    scope="real z",
    literature="Hendrycks and Gimpel 2016: x P(X <= x)",
    criterion=Identity("keras", "formula", dtype="float32"),
    correction=Correction(
        r"It is $z \, \mathrm{Prob}(Z \leq z)$: the inequality is the other way round.", event="Z <= z"
    ),
)
def gelu_cheatsheet(seed, *, event="z <= Z", points=512):
    """Compares Keras' exact activation with z times the probability, at 512 uniform points between -3 and 3.

    The probability is SciPy's survival function of the normal distribution, and for the correction the error function.
    At z = 1 the printed formula is 0.16, the activation is 0.84; as printed it tends to zero for large positive z.
    Tolerance and precision are those of the other form of the activation.
    """
    z = np.random.default_rng(seed).uniform(-3, 3, size=points)
    keras_values = keras.ops.convert_to_numpy(keras.activations.gelu(_doubles(z), approximate=False))
    probability = scipy.stats.norm.sf(z) if event == "z <= Z" else (1 + scipy.special.erf(z / np.sqrt(2))) / 2
    return {"keras": keras_values, "formula": z * probability}


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
        columns = {"derivative": _derivative(keras.activations.get(activation), a), "formula": formula}
        tables.append(pd.DataFrame({"activation": activation, **columns}))
    return pd.concat(tables, ignore_index=True)


ENDS = {"sigmoid": 0.25, "tanh": 1.0}


@claim(
    "The derivative of the sigmoid lies between 0 and 0.25, that of tanh between 0 and 1.",
    source=notes("Remark 3.35"),
    kind="formula",
    scope="real argument",
    criterion=AllOf(
        **{
            name: part
            for of, end in ENDS.items()
            for name, part in (
                (f"{of}_from_zero", AtLeast("derivative", bound=0.0, where={"stated_of": of, "at": "points"})),
                (f"{of}_up_to", AtMost("derivative", bound=end, rtol=1e-6, where={"stated_of": of, "at": "points"})),
                (f"{of}_ends", Identity("derivative", "end", atol=1e-6, where={"stated_of": of, "at": "ends"})),
            )
        }
    ),
    control={"activations": ("relu", "silu")},
)
def derivative_ranges(seed, *, activations=("sigmoid", "tanh"), points=512):
    """Takes derivatives of Keras' activations, by automatic differentiation, at points and at the ends of ranges.

    512 points of either sign, of magnitudes from 1e-3 to 30. The upper ends are attained at zero; zero is approached,
    at 30 to within 1e-6. The control has the ReLU, whose derivative is one, in the place of the sigmoid, and in that of
    tanh the SiLU, whose derivative goes from -0.0998 to 1.0998.
    """
    generator = np.random.default_rng(seed)
    a = generator.choice([-1.0, 1.0], size=points) * 10 ** generator.uniform(-3, np.log10(30), size=points)
    at = np.concatenate([a, [0.0, -30.0, 30.0]])
    tables = []
    for (of, end), activation in zip(ENDS.items(), activations, strict=True):
        columns = {"derivative": _derivative(keras.activations.get(activation), at), "end": np.nan, "at": "points"}
        table = pd.DataFrame({"stated_of": of, **columns})
        table.loc[points:, "end"], table.loc[points:, "at"] = [end, 0.0, 0.0], "ends"
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


@claim(
    r"The output of ReLU is invariant to the scale of its input, in the sense that $\max(0, xa) = a \max(0, x)$.",
    source=lectures("2.2.3"),
    kind="formula",
    scope="a is the scale of the input; its sign is left open",
    left_open=("sign",),
    literature="positive homogeneity",
    criterion=Identity("scaled_input", "scaled_output", operations=4, dtype="float32", atol=1e-12, each=("sign",)),
    boundary=Boundary(
        "for scales that are not negative; for a = -1 and x = 1 the sides are 0 and -1",
        holds="sign != 'negative'",
        assumption="a scale is positive, as in positive homogeneity",
    ),
    control={"activation": "tanh"},
)
def relu_scale_invariance(seed, *, activation="relu", points=256):
    """Compares Keras' activation of scaled inputs with its scaled output, for positive, zero and negative scales.

    256 normal inputs with scales whose magnitudes are logarithmically uniform from 1e-3 to a thousand, single
    precision. The control is tanh, which has a scale of its own.
    """
    generator = np.random.default_rng(seed)
    x = generator.normal(size=points).astype(np.float32)
    sizes = (10 ** generator.uniform(-3, 3, size=points)).astype(np.float32)
    function = keras.activations.get(activation)
    tables = []
    for sign, a in (("positive", sizes), ("zero", 0 * sizes), ("negative", -sizes)):
        left, right = (keras.ops.convert_to_numpy(function(keras.ops.convert_to_tensor(each))) for each in (x * a, x))
        tables.append(pd.DataFrame({"sign": sign, "scaled_input": left, "scaled_output": a * right}))
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


def _derivative(function, points):
    """Derivative of an elementwise function at points, by automatic differentiation."""

    def summed(values):
        return keras.ops.sum(function(values[0])), ()

    return keras.ops.convert_to_numpy(value_and_gradient(summed, [_doubles(points)])[2][0])


def _doubles(values):
    return keras.ops.convert_to_tensor(values, dtype="float64")
