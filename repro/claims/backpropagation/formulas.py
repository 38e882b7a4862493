"""The chain rule, and gradients that the lectures print."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Correction, Identity, claim, lectures
from repro.engine.backend import compile_function, value_and_gradient

with epy.lazy_imports():
    import keras

# Outer and inner functions, each with its derivative; all of them are in double precision on JAX, as sines are not.
FUNCTIONS = {
    "softplus": (lambda y: keras.ops.softplus(y), lambda y: 1 / (1 + np.exp(-y))),
    "exponential": (lambda y: keras.ops.exp(y), np.exp),
    "cube": (lambda y: y * y * y, lambda y: 3 * y**2),
    "sigmoid": (lambda y: keras.ops.sigmoid(y), lambda y: np.exp(-y) / (1 + np.exp(-y)) ** 2),
}
PAIRS = (("softplus", "exponential"), ("exponential", "softplus"), ("cube", "sigmoid"), ("sigmoid", "cube"))


def _doubles(values):
    return keras.ops.convert_to_tensor(np.asarray(values), dtype="float64")


def _derivatives(function, points):
    """Derivative of a function at every point, by Keras' backend."""
    _, _, (slopes,) = value_and_gradient(lambda values: (keras.ops.sum(function(values[0])), ()), [_doubles(points)])
    return keras.ops.convert_to_numpy(slopes)


@claim(
    r"For $z = f(y)$ and $y = g(x)$: $\frac{dz}{dx} = \frac{dz}{dy} = \frac{dy}{dx} = f'(y) g'(x) = f'(g(x)) g'(x)$.",
    source=lectures("2.3.3"),
    kind="formula",
    transcription=True,
    scope="differentiable real functions",
    literature="Rudin 1976, theorem 5.5",
    criterion=AllOf(
        product=Identity("member", "derivative", operations=1000, where={"name": "f'(g(x)) g'(x)"}),
        outer=Identity("member", "derivative", operations=1000, where={"name": "dz/dy"}),
        inner=Identity("member", "derivative", operations=1000, where={"name": "dy/dx"}),
    ),
    correction=Correction(
        r"$\frac{dz}{dx} = \frac{dz}{dy} \cdot \frac{dy}{dx} = f'(g(x)) g'(x)$: the second sign of equality is one of "
        "multiplication.",
        criterion=AllOf(
            product=Identity("member", "derivative", operations=1000, where={"name": "f'(g(x)) g'(x)"}),
            factors=Identity("member", "derivative", operations=1000, where={"name": "dz/dy times dy/dx"}),
        ),
        points=40,
    ),
)
def chain_rule(seed, *, points=10):
    """Compares each member of the chain with the derivative of the composed function by automatic differentiation.

    Four pairs of softplus, exponential, cube and sigmoid at ten normal points, double precision. dz/dy and dy/dx are by
    automatic differentiation of the outer and of the inner function alone; the product has derivatives by hand. The
    factors agree with the product where the other is one, as for f(y) = y; for f(y) = 2 y and g(x) = 3 x the members
    are 6, 2, 3, 6 and 6. A point may have become a sign of equality in copying.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for outer, inner in PAIRS:
        (f, f_slope), (g, g_slope) = FUNCTIONS[outer], FUNCTIONS[inner]
        x = generator.normal(size=points)
        y = keras.ops.convert_to_numpy(g(_doubles(x)))
        derivative = _derivatives(lambda values, f=f, g=g: f(g(values)), x)
        members = {
            "f'(g(x)) g'(x)": f_slope(y) * g_slope(x),
            "dz/dy": _derivatives(f, y),
            "dy/dx": _derivatives(g, x),
        }
        members["dz/dy times dy/dx"] = members["dz/dy"] * members["dy/dx"]
        for name, member in members.items():
            columns = {"member": member, "derivative": derivative}
            tables.append(pd.DataFrame({"functions": f"{outer} of {inner}", "name": name, **columns}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"For $E(w) = \sum_n (t_n - g(x_n | w))^2$ the batch gradient is $\frac{\partial E}{\partial w} = \frac1N \sum_n "
    r"\frac{\partial E(x_n, w)}{\partial w}$.",
    source=lectures("2.3.2"),
    kind="formula",
    scope="E(x_n, w) is the squared error of one record; whether 1/N is a convention of the batch mean is left open",
    left_open=("counts",),
    literature="Goodfellow, Bengio and Courville 2016, section 8.1.3: minibatch gradients are means",
    criterion=Identity("gradient", "printed", operations=1000, each=("counts",)),
    boundary=Boundary(
        "up to a positive factor, which is the number of records: the gradient of a sum is the sum of the gradients, "
        "and the printed mean that of the mean error",
        holds="counts == 'direction'",
        assumption="Goodfellow, Bengio and Courville 2016, section 8.1.3: errors are means over records, so that a "
        "batch gradient is a mean, whose factor the rate absorbs",
    ),
    full={"records": (2, 10, 100, 1000), "inputs": 20},
    control={"records_used": "all but the first"},
)
def batch_gradient_mean(seed, *, records=(2, 7, 40), inputs=3, hidden=4, records_used="all"):
    """Compares automatic differentiation of the printed E with the mean of gradients of single records.

    A network of four sigmoid units and one linear output without biases, normal weights and records; 2, 7 and 40 of
    them, double precision. Gradients of single records by automatic differentiation of one squared error each. The
    direction is the gradient over its norm. For N = 2 and g = w x with x = 1, t = 0 and w = 1 the gradient of E is 4
    and the printed mean 2. The control leaves the first record out of the mean, whose direction then differs, too.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for count in records:
        x, t = generator.normal(size=(count, inputs)), generator.normal(size=count)
        w = generator.normal(size=inputs * hidden + hidden)
        gradient = _gradient_of_errors(w, x, t, hidden)
        first = 0 if records_used == "all" else 1
        single = [_gradient_of_errors(w, x[n : n + 1], t[n : n + 1], hidden) for n in range(first, count)]
        printed = np.mean(single, axis=0)
        value = {"counts": "value", "gradient": gradient, "printed": printed}
        lengths = np.linalg.norm(gradient), np.linalg.norm(printed)
        direction = {"counts": "direction", "gradient": gradient / lengths[0], "printed": printed / lengths[1]}
        columns = {"records": count, "ratio": lengths[0] / lengths[1]}
        tables += [pd.DataFrame({**columns, **value}), pd.DataFrame({**columns, **direction})]
    return pd.concat(tables, ignore_index=True)


def _gradient_of_errors(w, x, t, hidden):
    """Gradient of the sum of squared errors of a small network by all of its weights."""
    gradient = _compiled_gradient(x.shape[1], hidden)
    return keras.ops.convert_to_numpy(gradient(_doubles(w), _doubles(x), _doubles(t)))


@cache
def _compiled_gradient(inputs, hidden):
    def error(values, x, t):
        kernel = keras.ops.reshape(values[0][: inputs * hidden], (inputs, hidden))
        units = keras.ops.sigmoid(keras.ops.matmul(x, kernel))
        return keras.ops.sum((t - keras.ops.matmul(units, values[0][inputs * hidden :])) ** 2), ()

    return compile_function(lambda w, *records: value_and_gradient(error, [w], *records)[2][0])


@claim(
    r"For a network with one hidden layer and $E = \sum_{n=1}^N (t_n - g_1(x_n))^2$, "
    r"$\frac{\partial E}{\partial w_{3,5}^{(1)}} = -2 \sum_{n=0}^N (t_n - g_1(x_n)) g_1'(x_n) w_{1,3}^{(2)} "
    r"h_3'\left(\sum_i w_{3,1}^{(1)} x_{i,n}\right) x_{5,n}$.",
    source=lectures("2.3.2 example"),
    kind="formula",
    transcription=True,
    scope="networks with one hidden layer; section 2.3.3 has w_{j,i} in the argument of h'",
    literature="Bishop 2006, section 5.3.1",
    criterion=AllOf(
        argument=Identity("formula", "autodiff", operations=10**4, where={"reading": "argument"}),
        first_index=Identity("formula", "autodiff", operations=10**4, where={"reading": "first index"}),
    ),
    correction=Correction(
        r"The argument of $h_3'$ is $\sum_i w_{3,i}^{(1)} x_{i,n}$, with the weight of each input, and the sum begins "
        "with $n = 1$, as $E$ does.",
        as_printed=False,
        records=30,
    ),
)
def sse_weight_update(seed, *, records=12, inputs=6, hidden=4, as_printed=True):
    r"""Compares the formula, for every weight of the first layer, with automatic differentiation of E by Keras.

    Six inputs and a constant one, four hidden sigmoid units, an output unit with a sigmoid, normal weights; twelve
    records, double precision. Argument: with $w_{j,1}$ for all inputs, as printed, in $h_j'$, and the right sum of
    records. First index: with the right argument and the sum from $n = 0$, read literally: a record that $E$ lacks,
    here another one like the others. The hidden layer has no constant unit. Each alone makes the formula wrong; for
    linear hidden units, whose slope is one, the argument would not matter. Indices may be lost in copying. The
    correction has neither.
    """
    generator = np.random.default_rng(seed)
    x = np.column_stack([np.ones(records + 1), generator.normal(size=(records + 1, inputs))])
    t = generator.normal(size=records + 1)
    first, second = generator.normal(size=(hidden, inputs + 1)), generator.normal(size=hidden)
    autodiff = keras.ops.convert_to_numpy(_gradient_of_first()(*map(_doubles, (first, second, x[1:], t[1:]))))
    tables = []
    for reading in ("argument", "first index"):
        start = 0 if as_printed and reading == "first index" else 1
        arguments = x @ first.T
        if as_printed and reading == "argument":
            arguments = x.sum(axis=1, keepdims=True) * first[:, 1]
        total = _sigmoid(x @ first.T) @ second
        errors = (t - _sigmoid(total)) * _slope(total)
        arriving = errors[:, None] * second * _slope(arguments)
        formula = -2 * arriving[start:].T @ x[start:]
        tables.append(pd.DataFrame({"reading": reading, "formula": formula.ravel(), "autodiff": autodiff.ravel()}))
    return pd.concat(tables, ignore_index=True)


@cache
def _gradient_of_first():
    """Compile the gradient of E by the weights of the first layer, by Keras' backend."""

    def error(values, second, x, t):
        units = keras.ops.sigmoid(keras.ops.matmul(x, keras.ops.transpose(values[0])))
        return keras.ops.sum((t - keras.ops.sigmoid(keras.ops.matmul(units, second))) ** 2), ()

    return compile_function(lambda first, *others: value_and_gradient(error, [first], *others)[2][0])


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


def _slope(z):
    return _sigmoid(z) * _sigmoid(-z)
