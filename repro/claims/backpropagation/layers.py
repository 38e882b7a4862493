"""Gradients put together by hand, layer by layer."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Identity, cheatsheet, claim
from repro.engine.backend import compile_function, value_and_gradient

with epy.lazy_imports():
    import keras
    import scipy.special
    import scipy.stats

# Activations and their derivatives.
ACTIVATIONS = {
    "sigmoid": (lambda z: scipy.special.expit(z), lambda z: scipy.special.expit(z) * scipy.special.expit(-z)),
    "tanh": (np.tanh, lambda z: 1 - np.tanh(z) ** 2),
    "relu": (lambda z: np.maximum(z, 0), lambda z: (z > 0).astype(float)),
    "elu": (lambda z: np.where(z > 0, z, np.expm1(z)), lambda z: np.where(z > 0, 1.0, np.exp(z))),
    "gelu": (lambda z: z * scipy.stats.norm.cdf(z), lambda z: scipy.stats.norm.cdf(z) + z * scipy.stats.norm.pdf(z)),
    "silu": (
        lambda z: z * scipy.special.expit(z),
        lambda z: scipy.special.expit(z) * (1 + z * scipy.special.expit(-z)),
    ),
    "leaky_relu": (lambda z: np.maximum(z, 0.2 * z), lambda z: np.where(z > 0, 1.0, 0.2)),  # Keras' default
    "softplus": (lambda z: np.logaddexp(z, 0), lambda z: scipy.special.expit(z)),
}
NETWORKS = (("sigmoid", "tanh", "relu", "softplus"), ("gelu", "elu", "leaky_relu", "silu"))


@claim(
    r"In a layer $x_i^l = \varphi((w_i^l)^\top x^{l-1} + b_i^l)$ the parameters have the derivatives "
    r"$\partial x_i^l / \partial w_{ij}^{l-1} = \dot\varphi_i^l x_j^{l-1}$ and "
    r"$\partial x_i^l / \partial b_i^l = \dot\varphi_i^l$, where $\dot\varphi_i^l = \dot\varphi((w_i^l)^\top x^{l-1} + "
    r"b_i^l)$.",
    source=cheatsheet("1.3.1"),
    kind="formula",
    scope="ridge-function layers, each with an activation of its own",
    literature="Rumelhart, Hinton and Williams 1986",
    # TensorFlow's gelu takes the root of two in single precision, whatever the type of its inputs.
    criterion=AllOf(
        weights=Identity("autodiff", "formula", operations=64, dtype="float32", where={"parameter": "weights"}),
        bias=Identity("autodiff", "formula", operations=64, dtype="float32", where={"parameter": "bias"}),
    ),
    control={"sloped": False},
)
def layer_derivatives(seeds, *, networks=NETWORKS, widths=(6, 5, 4, 4, 3), sloped=True):
    """Assembles the gradients of two deep Keras networks from these derivatives and compares them with autodiff.

    The gradient of a weighted sum of the outputs for one normal input, chained backwards through the layers. Four
    layers of 5, 4, 4 and 3 units, each with another activation, with normal weights and biases of variance one over the
    number of inputs, double precision; activations and their derivatives by SciPy. The document gives the weights of a
    layer the index l once and l - 1 once; they are the same. The control takes all slopes as one, as they are in linear
    layers.
    """
    tables = []
    for activations in networks:
        gradients = _differentiated(widths, activations)
        for seed in seeds:
            generator = np.random.default_rng(seed)
            x, weights = generator.normal(size=widths[0]), generator.normal(size=widths[-1])
            parameters = []
            for inputs, units in itertools.pairwise(widths):
                parameters += [generator.normal(size=shape) / np.sqrt(inputs) for shape in ((inputs, units), (units,))]
            by_hand = _assembled(x, weights, parameters, activations, sloped)
            by_autodiff = [keras.ops.convert_to_numpy(gradient) for gradient in gradients(parameters, x, weights)]
            kinds = itertools.cycle(["weights", "bias"])
            for parameter, left, right in zip(kinds, by_autodiff, by_hand, strict=False):
                where = {"seed": seed, "network": ", ".join(activations), "parameter": parameter}
                tables.append(pd.DataFrame({**where, "autodiff": left.ravel(), "formula": right.ravel()}))
    return pd.concat(tables, ignore_index=True)


def _assembled(x, weights, parameters, activations, sloped):
    """Gradients by every kernel and bias, in the order of the layers."""
    layers = list(zip(parameters[::2], parameters[1::2], activations, strict=True))
    inputs, slopes = [x], []
    for kernel, bias, activation in layers:
        function, slope = ACTIVATIONS[activation]
        total = inputs[-1] @ kernel + bias
        inputs.append(function(total))
        slopes.append(slope(total) if sloped else np.ones_like(total))
    arriving, gradients = weights, []
    for (kernel, _, _), below, slope in reversed(list(zip(layers, inputs, slopes, strict=False))):
        through = arriving * slope
        gradients = [np.outer(below, through), through, *gradients]
        arriving = kernel @ through
    return gradients


def _differentiated(widths, activations):
    """Make a function of a Keras network's parameters, an input and weights of its outputs: gradients by autodiff."""
    inputs, *units = widths
    layers = [
        keras.layers.Dense(number, activation=activation, dtype="float64")
        for number, activation in zip(units, activations, strict=True)
    ]
    model = keras.Sequential([keras.Input((inputs,), dtype="float64"), *layers])

    def gradients(parameters, x, weights):
        def weighted(values):
            outputs, _ = model.stateless_call(values, [], x[None])
            return keras.ops.sum(outputs * weights), ()

        return value_and_gradient(weighted, parameters)[-1]

    return compile_function(gradients)
