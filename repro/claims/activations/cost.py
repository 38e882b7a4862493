"""What activation functions cost to compute."""

from __future__ import annotations

import re

import numpy as np
import pandas as pd
from etils import epy

from repro import AtMost, claim, lectures
from repro.engine.backend import compiled_text, value_and_gradient

with epy.lazy_imports():
    import keras

OTHERS = ("sigmoid", "tanh", "elu")
ELEMENTARY = {
    *("abs", "add", "and", "compare", "divide", "maximum", "minimum", "multiply", "negate", "or", "select", "sign"),
    "subtract",
}
TRANSCENDENTAL = {"exponential", "exponential-minus-one", "log", "log-plus-one", "logistic", "tanh"}


@claim(
    "ReLU is computationally efficient, since it only thresholds at zero.",
    source=lectures("2.2.3"),
    kind="tendency",
    scale="same",
    scope="arithmetic alone, in single precision; the time, which hardware, library and the traffic of memory decide, "
    "and the share in a whole network are not judged",
    left_open=("direction",),
    literature="Muller 2016, Elementary Functions: argument reduction and a polynomial",
    criterion=AtMost("relu", bound="others", each=("direction",)),
    control={"thresholding": "softplus"},
)
def relu_cheap(*, thresholding="relu"):
    """Counts operations for each element in the programs that XLA compiles Keras' activations to, and their gradients.

    An addition, a comparison, a choice count as one. So does each multiplication and each addition of a polynomial as
    good as single precision for the exponential between -log(2)/2 and log(2)/2, for which any transcendental function
    counts: a lower bound, as their arguments have to be brought there first. Against ReLU stand the sigmoid, tanh and
    ELU. A count of a program: it is the same in every run, and no time is measured. The control has softplus in the
    place of ReLU: the same shape without a threshold.
    """
    rows = []
    for direction in ("forward", "backward"):
        relu, *others = (operations(name, direction) for name in (thresholding, *OTHERS))
        rows += [
            {"direction": direction, "activation": name, "relu": relu, "others": count}
            for name, count in zip(OTHERS, others, strict=True)
        ]
    return pd.DataFrame(rows)


def operations(name, direction):
    """Count operations for each element of one of Keras' activations, or of its gradient."""
    activation = keras.activations.get(name)

    def forward(x):
        return activation(x)

    def backward(x):
        return value_and_gradient(lambda values: (keras.ops.sum(activation(values[0])), ()), [x])[2][0]

    x = keras.ops.convert_to_tensor(np.ones(64, np.float32))
    text = compiled_text(forward if direction == "forward" else backward, x)
    # operations of tensors of 64 elements, such as "%maximum.3 = f32[64]{0} maximum(...)"
    found = re.findall(r"= \w+\[64\]\S* ([\w-]+)\(", text)
    polynomial = 2 * degree_of_exponential()
    return sum((each in ELEMENTARY) + polynomial * (each in TRANSCENDENTAL) for each in found)


def degree_of_exponential(precision=2.0**-24):
    """Least degree of a polynomial, by Chebyshev's interpolation, that is as good as a precision relative to exp."""
    x = np.linspace(-np.log(2) / 2, np.log(2) / 2, 1001)
    for degree in range(1, 20):
        polynomial = np.polynomial.Chebyshev.interpolate(np.exp, degree, domain=[x[0], x[-1]])
        if np.abs(polynomial(x) / np.exp(x) - 1).max() <= precision:
            return degree
    raise AssertionError
