"""How much a gradient costs, and what of it can be kept."""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Identity, claim, lectures
from repro.claims.backpropagation.layers import ACTIVATIONS
from repro.engine.backend import compile_quickly, value_and_gradient

with epy.lazy_imports():
    import keras


def _doubles(values):
    return keras.ops.convert_to_tensor(np.asarray(values), dtype="float64")


class Counter:
    """Number of times that each layer's product is formed or differentiated, and the multiplications of all."""

    def __init__(self, layers):
        """Begin with none.

        Args:
            layers: Number of layers.
        """
        self.visits = [0] * layers
        self.multiplications = 0

    def visit(self, layer, multiplications):
        """Count a visit of a layer."""
        self.visits[layer] += 1
        self.multiplications += multiplications

    @property
    def passes(self):
        """The most visits of any layer."""
        return max(self.visits)


@claim(
    "Backpropagation computes the gradients for efficient updates, performable locally and in parallel, in "
    "just two passes through the network, forward and backward.",
    source=lectures("2.3.3"),
    kind="law",
    scope="feed-forward networks; efficient is read as a cost in proportion to that of the outputs alone",
    literature="Baur and Strassen 1983; Griewank and Walther 2008, section 3.3: at most about five times the "
    "operations of the function, whatever the number of parameters",
    criterion=AllOf(
        passes=AtMost("passes", bound=2.0),
        operations=AtMost("operations", bound=5.0),
        local=Identity("local", "autodiff", operations=10**4),
    ),
    full={"networks": ((2, 16), (4, 16), (8, 16), (16, 16), (4, 64))},
    control={"method": "finite differences"},
)
def two_passes(seed, *, networks=((2, 4), (4, 4), (8, 4), (4, 16)), records=8, method="reverse"):
    """Counts how often Keras' automatic differentiation goes through each layer, and what it multiplies there.

    Networks of 2 to 8 layers of 4 or 16 sigmoid units and a linear output, half the sum of squared errors of eight
    normal records, double precision. Each product of inputs and kernel is counted when it is formed, and so are the two
    of its derivative, by a gradient of its own. Passes: the most that any layer sees, both ways together. Operations:
    multiplications for error and gradient over those for the error alone, a worked number, since the derivative of a
    product consists of two products of its size. Local: gradients put together from each
    unit's stored inputs and slope and the error that arrives there, units in random order, against automatic
    differentiation. The control finds the gradient by forward differences, with a pass for each parameter and one more.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for depth, width in networks:
        widths = (*[width] * (depth + 1), 1)
        kernels = [generator.normal(size=pair) / np.sqrt(pair[0]) for pair in itertools.pairwise(widths)]
        x, t = generator.normal(size=(records, width)), generator.normal(size=(records, 1))
        gradient, counter, alone = _counted_gradient(widths, records)
        arrays = [_doubles(kernel) for kernel in kernels], _doubles(x), _doubles(t)
        autodiff = np.concatenate([keras.ops.convert_to_numpy(values).ravel() for values in gradient(*arrays)])
        if method != "reverse":
            counter = Counter(len(kernels))
            autodiff = _differences(kernels, x, t, counter)
        local = np.concatenate([values.ravel() for values in _by_units(generator, kernels, x, t)])
        columns = {"depth": depth, "width": width, "parameters": len(local), "local": local, "autodiff": autodiff}
        operations = counter.multiplications / alone.multiplications
        tables.append(pd.DataFrame({**columns, "passes": float(counter.passes), "operations": operations}))
    return pd.concat(tables, ignore_index=True)


@cache
def _counted_gradient(widths, records):
    """Compile the gradient of a network's error, and count what it consists of, and what the error alone does."""
    shapes = list(itertools.pairwise(widths))
    counter, alone = Counter(len(shapes)), Counter(len(shapes))
    of_shapes = [_doubles(np.zeros(shape)) for shape in shapes]
    _error(of_shapes, _doubles(np.zeros((records, widths[0]))), _doubles(np.zeros((records, 1))), alone)

    def gradient(kernels, x, t):
        return value_and_gradient(lambda values: (_error(values, x, t, counter), ()), kernels)[2]

    return compile_quickly(gradient), counter, alone


def _error(kernels, x, t, counter):
    """Half the sum of squared errors of a network, in Keras' operations, with its products counted."""
    signal = x
    for layer, kernel in enumerate(kernels):
        signal = _counted_product(layer, counter)(signal, kernel)
        if layer < len(kernels) - 1:
            signal = keras.ops.sigmoid(signal)
    return keras.ops.sum((signal - t) ** 2) / 2


def _counted_product(layer, counter):
    """Make the product of inputs and kernel of a layer, which counts itself and its derivative."""

    @keras.ops.custom_gradient
    def product(signal, kernel):
        size = signal.shape[0] * kernel.shape[0] * kernel.shape[1]
        counter.visit(layer, size)

        def derivative(*arguments, upstream=None):
            arriving = arguments[0] if upstream is None else upstream
            counter.visit(layer, 2 * size)
            by_signal = keras.ops.matmul(arriving, keras.ops.transpose(kernel))
            return by_signal, keras.ops.matmul(keras.ops.transpose(signal), arriving)

        return keras.ops.matmul(signal, kernel), derivative

    return product


def _differences(kernels, x, t, counter, step=1e-6):
    """Gradient by forward differences; each evaluation is a pass, in NumPy."""

    def error(kernels):
        signal = x
        for layer, kernel in enumerate(kernels):
            counter.visit(layer, len(x) * kernel.size)
            signal = signal @ kernel
            signal = _sigmoid(signal) if layer < len(kernels) - 1 else signal
        return np.square(signal - t).sum() / 2

    start, slopes = error(kernels), []
    for layer, kernel in enumerate(kernels):
        for place in np.ndindex(kernel.shape):
            moved = [values.copy() for values in kernels]
            moved[layer][place] += step
            slopes.append((error(moved) - start) / step)
    return np.array(slopes)


def _by_units(generator, kernels, x, t):
    """Gradients by every kernel, each column from what its unit has: inputs, slope, and the error that arrives."""
    stored, signal = [], x
    for layer, kernel in enumerate(kernels):
        total = signal @ kernel
        is_last = layer == len(kernels) - 1
        output = total if is_last else _sigmoid(total)
        stored.append((signal, np.ones_like(total) if is_last else output * (1 - output)))
        signal = output
    arriving, gradients = signal - t, []
    for kernel, (inputs, slopes) in reversed(list(zip(kernels, stored, strict=True))):
        gradient, below = np.zeros_like(kernel), np.zeros_like(inputs)
        for unit in generator.permutation(kernel.shape[1]):
            by_total = arriving[:, unit] * slopes[:, unit]
            gradient[:, unit] = inputs.T @ by_total
            below += np.outer(by_total, kernel[:, unit])
        gradients.insert(0, gradient)
        arriving = below
    return gradients


def _sigmoid(z):
    return 1 / (1 + np.exp(-z))


# What is changed: a part of the network, and its layer where it has one.
CHANGES = (("error function", None), ("activation", 2), ("weights", 0), ("weights", 1), ("weights", 3))


@claim(
    "By separating the forward and backward computations, if any part of the network changes, such as the error "
    "function, only the relevant parts need to be recomputed.",
    source=lectures("2.3.3"),
    kind="theorem",
    scope="outputs and local derivatives stored in the forward pass; relevant are, for the error function, the "
    "backward errors, and for a layer its outputs, those above it and all backward errors",
    literature="Griewank and Walther 2008, section 3.2",
    # Softplus and sigmoid of Keras are in single precision on JAX.
    criterion=Identity("reused", "afresh", operations=256, dtype="float32"),
    full={"widths": (20, 50, 40, 30, 20), "records": 100},
    control={"kept": "one part more"},
)
def ntimes_not_needed(seed, *, widths=(5, 6, 5, 4, 3), records=10, kept="all that is not relevant"):
    """Changes a part of a network and compares gradients that reuse what was stored with Keras' from scratch.

    Four layers with a sigmoid, softplus, sigmoid and no activation, normal kernels and ten normal records, double
    precision. Changes: the error function from half the sum of squares to the softmax cross-entropy of drawn classes,
    the activation of the third layer to a ReLU, the kernels of the first, second and last layer. Outputs and slopes of
    layers below the change are kept, and all of them where the error function changes; backward errors are computed
    anew. Multiplications that are saved, as a share of all: a third for the error function, none for the first layer
    (``saved``, reported only). The control keeps one part more, the outputs and slopes of the changed layer, or the
    error at the outputs: what is left out of the recomputation is needed.
    """
    generator = np.random.default_rng(seed)
    kernels = [generator.normal(size=pair) / np.sqrt(pair[0]) for pair in itertools.pairwise(widths)]
    x, targets = generator.normal(size=(records, widths[0])), generator.normal(size=(records, widths[-1]))
    classes = np.eye(widths[-1])[generator.integers(widths[-1], size=records)]
    before = Network(kernels, ("sigmoid", "softplus", "sigmoid", "linear"), "squares")
    stored = before.forward(x, [], 0)
    tables = []
    for part, layer in CHANGES:
        after = before.changed(generator, part, layer)
        truth = classes if after.loss == "cross-entropy" else targets
        extra = kept == "one part more"
        first = len(kernels) if layer is None else layer + extra
        outputs = after.forward(x, stored[:first], first)
        error = before.error(outputs[-1][0], targets) if layer is None and extra else after.error(outputs[-1][0], truth)
        reused = np.concatenate([gradient.ravel() for gradient in after.backward(x, outputs, error)])
        afresh = np.concatenate([gradient.ravel() for gradient in after.by_keras(x, truth)])
        sizes = [kernel.size for kernel in kernels]
        change = {"change": part if layer is None else f"{part} of layer {layer + 1}"}
        saved = sum(sizes[:first]) / (3 * sum(sizes))
        tables.append(pd.DataFrame({**change, "saved": saved, "reused": reused, "afresh": afresh}))
    return pd.concat(tables, ignore_index=True)


@dataclass(frozen=True)
class Network:
    """A network without biases and its error function.

    Attributes:
        kernels: Kernel of each layer.
        activations: Activation of each layer, by its name in Keras.
        loss: Error function: ``squares`` or ``cross-entropy``.
    """

    kernels: list[Any]
    activations: tuple[str, ...]
    loss: str

    def changed(self, generator, part, layer):
        """Return the network with another error function, or another activation or kernel of a layer."""
        if part == "error function":
            return Network(self.kernels, self.activations, "cross-entropy")
        if part == "activation":
            activations = (*self.activations[:layer], "relu", *self.activations[layer + 1 :])
            return Network(self.kernels, activations, self.loss)
        drawn = generator.normal(size=self.kernels[layer].shape) / np.sqrt(len(self.kernels[layer]))
        return Network([*self.kernels[:layer], drawn, *self.kernels[layer + 1 :]], self.activations, self.loss)

    def forward(self, x, stored, first):
        """Outputs and slopes of every layer, the first ones as they are stored."""
        found, signal = list(stored), stored[-1][0] if stored else x
        for kernel, activation in zip(self.kernels[first:], self.activations[first:], strict=True):
            total = signal @ kernel
            function, slope = ACTIVATIONS.get(activation, (lambda z: z, np.ones_like))
            signal = function(total)
            found.append((signal, slope(total)))
        return found

    def error(self, outputs, truth):
        """Derivative of the error function by the outputs."""
        if self.loss == "squares":
            return outputs - truth
        exponentials = np.exp(outputs - outputs.max(axis=1, keepdims=True))
        return exponentials / exponentials.sum(axis=1, keepdims=True) - truth

    def backward(self, x, outputs, error):
        """Gradients by every kernel, from stored outputs and slopes and the error at the outputs."""
        inputs = [x, *(output for output, _ in outputs[:-1])]
        arriving, gradients = error, []
        for kernel, below, (_, slope) in reversed(list(zip(self.kernels, inputs, outputs, strict=True))):
            by_total = arriving * slope
            gradients.insert(0, below.T @ by_total)
            arriving = by_total @ kernel.T
        return gradients

    def by_keras(self, x, truth):
        """Gradients by every kernel by automatic differentiation of Keras' layers and loss."""
        gradient = _keras_gradient(
            (x.shape[1], *(kernel.shape[1] for kernel in self.kernels)), self.activations, self.loss
        )
        gradients = gradient([_doubles(kernel) for kernel in self.kernels], _doubles(x), _doubles(truth))
        return [keras.ops.convert_to_numpy(values) for values in gradients]


@cache
def _keras_gradient(widths, activations, loss):
    """Compile the gradient of an error function of a Keras network without biases by its kernels."""
    layers = [
        keras.layers.Dense(units, activation=activation, use_bias=False, dtype="float64")
        for units, activation in zip(widths[1:], activations, strict=True)
    ]
    model = keras.Sequential([keras.Input((widths[0],), dtype="float64"), *layers])

    def error(values, x, truth):
        outputs, _ = model.stateless_call(values, [], x)
        if loss == "squares":
            return keras.ops.sum((outputs - truth) ** 2) / 2, ()
        return keras.ops.sum(keras.losses.categorical_crossentropy(truth, outputs, from_logits=True)), ()

    return compile_quickly(lambda kernels, *records: value_and_gradient(error, kernels, *records)[2])
