"""Gradients put together by hand, layer by layer."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Correction, Identity, cheatsheet, claim
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
        gradients = _differentiated(widths, activations, _weighted)
        for seed in seeds:
            x, weights, parameters = _drawn(seed, widths)
            by_hand = _assembled(x, weights, parameters, activations, sloped=sloped)
            by_autodiff = [keras.ops.convert_to_numpy(gradient) for gradient in gradients(parameters, x, weights)]
            tables += _compared(seed, activations, by_autodiff, by_hand)
    return pd.concat(tables, ignore_index=True)


@claim(
    r"The loss has the derivatives $\partial h / \partial w_{ij}^{l-1} = \delta_i^l \dot\varphi_i^l x_j^{l-1}$ and "
    r"$\partial h / \partial b_i^l = \delta_i^l \dot\varphi_i^l$ with $\delta_i^l = \frac{\partial h}{\partial x_i^l} "
    r"\dot\varphi_i^l$.",
    source=cheatsheet("1.3.1"),
    kind="formula",
    scope="ridge-function layers, each with an activation of its own; both definitions as they are printed",
    literature="Rumelhart, Hinton and Williams 1986: the slope counts once, in delta or beside it",
    # TensorFlow's gelu takes the root of two in single precision, whatever the type of its inputs.
    criterion=AllOf(
        weights=Identity("autodiff", "formula", operations=64, dtype="float32", where={"parameter": "weights"}),
        bias=Identity("autodiff", "formula", operations=64, dtype="float32", where={"parameter": "bias"}),
    ),
    correction=Correction(
        r"$\delta_i^l = \frac{\partial h}{\partial x_i^l}$, without the slope, which stands beside it already; "
        r"or $\partial h / \partial w_{ij}^{l-1} = \delta_i^l x_j^{l-1}$ with $\delta_i^l$ as printed.",
        slopes=1,
        widths=(5, 6, 5, 4, 2),
    ),
)
def loss_derivatives(seeds, *, networks=NETWORKS, widths=(6, 5, 4, 4, 3), slopes=2):
    r"""Assembles gradients of a loss of two deep Keras networks from these derivatives, and compares with autodiff.

    Networks as those of ``layer_derivatives``: four layers of 5, 4, 4 and 3 units, each with another activation, normal
    weights and biases of variance one over the number of inputs, double precision. The loss is half the squared error
    of one record with a normal target, which autodiff starts from. $\partial h / \partial x_i^l$ comes down from the
    layer above by the chain rule.
    As printed, the slope stands in $\delta$ and once more beside it: for one layer with $h = x^1$ and $x^1 = \tanh w$
    the derivative by $w$ is $\dot\varphi$, and the printed one its square. With slopes of one, as linear units and
    active ReLU units have, it is right. The correction counts the slope once.
    """
    tables = []
    for activations in networks:
        gradients = _differentiated(widths, activations, _half_squared)
        for seed in seeds:
            x, target, parameters = _drawn(seed, widths)
            above = _forward(x, parameters, activations)[0][-1] - target
            by_hand = _assembled(x, above, parameters, activations, slopes=slopes)
            by_autodiff = [keras.ops.convert_to_numpy(gradient) for gradient in gradients(parameters, x, target)]
            tables += _compared(seed, activations, by_autodiff, by_hand)
    return pd.concat(tables, ignore_index=True)


def _drawn(seed, widths):
    """Inputs, a vector of the size of the outputs, and kernels and biases in the order of the layers."""
    generator = np.random.default_rng(seed)
    x, of_outputs = generator.normal(size=widths[0]), generator.normal(size=widths[-1])
    parameters = []
    for inputs, units in itertools.pairwise(widths):
        parameters += [generator.normal(size=shape) / np.sqrt(inputs) for shape in ((inputs, units), (units,))]
    return x, of_outputs, parameters


def _compared(seed, activations, by_autodiff, by_hand):
    """Tables of both gradients of every parameter."""
    kinds = itertools.cycle(["weights", "bias"])
    tables = []
    for parameter, left, right in zip(kinds, by_autodiff, by_hand, strict=False):
        where = {"seed": seed, "network": ", ".join(activations), "parameter": parameter}
        tables.append(pd.DataFrame({**where, "autodiff": left.ravel(), "formula": right.ravel()}))
    return tables


def _forward(x, parameters, activations, sloped=True):
    """Outputs of every layer after the inputs, and the slopes of its activations."""
    outputs, slopes = [x], []
    for kernel, bias, activation in zip(parameters[::2], parameters[1::2], activations, strict=True):
        function, slope = ACTIVATIONS[activation]
        total = outputs[-1] @ kernel + bias
        outputs.append(function(total))
        slopes.append(slope(total) if sloped else np.ones_like(total))
    return outputs, slopes


def _assembled(x, above, parameters, activations, *, sloped=True, slopes=1):
    """Gradients by every kernel and bias, in the order of the layers.

    Args:
        x: Inputs.
        above: Derivatives by the outputs of the last layer.
        parameters: Kernels and biases.
        activations: Names of the activations.
        sloped: Whether slopes are those of the activations, or one.
        slopes: Number of times that a slope counts in the derivatives by the parameters of its layer.
    """
    outputs, of_layers = _forward(x, parameters, activations, sloped)
    arriving, gradients = above, []
    for kernel, below, slope in reversed(list(zip(parameters[::2], outputs, of_layers, strict=False))):
        by_total = arriving * slope**slopes
        gradients = [np.outer(below, by_total), by_total, *gradients]
        arriving = kernel @ (arriving * slope)
    return gradients


def _weighted(outputs, weights):
    return keras.ops.sum(outputs * weights)


def _half_squared(outputs, target):
    return keras.ops.sum((outputs - target) ** 2) / 2


def _differentiated(widths, activations, loss):
    """Make a function of a Keras network's parameters, an input and what the loss compares outputs with: gradients."""
    inputs, *units = widths
    layers = [
        keras.layers.Dense(number, activation=activation, dtype="float64")
        for number, activation in zip(units, activations, strict=True)
    ]
    model = keras.Sequential([keras.Input((inputs,), dtype="float64"), *layers])

    def gradients(parameters, x, of_outputs):
        def error(values):
            outputs, _ = model.stateless_call(values, [], x[None])
            return loss(outputs, of_outputs), ()

        return value_and_gradient(error, parameters)[-1]

    return compile_function(gradients)
