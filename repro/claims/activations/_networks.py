"""Networks of equal layers with activations of many kinds, and what their units do, by NumPy."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from etils import epy

with epy.lazy_imports():
    import keras
    import scipy.special

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy.typing as npt

    Array = npt.NDArray[np.float64]

SHIFT = 0.4  # the mean of a standard normal variable that is cut off at zero: 1 / sqrt(2 pi)


@dataclass(frozen=True)
class Activation:
    """An activation function.

    Attributes:
        keras: Function of tensors.
        value: The same function of arrays.
        slope: Its derivative.
        saturates: Whether weights start from Glorot's variance, and not from He's.
    """

    keras: Callable[[Any], Any]
    value: Callable[[Array], Array]
    slope: Callable[[Array], Array]
    saturates: bool = False


def _shifted(activation: Activation, shift: float) -> Activation:
    def of_keras(x: Any) -> Any:
        return activation.keras(x) + shift

    return Activation(of_keras, lambda x: activation.value(x) + shift, activation.slope, activation.saturates)


RELU = Activation(lambda x: keras.ops.relu(x), lambda x: np.maximum(x, 0), lambda x: (x > 0).astype(float))
TANH = Activation(lambda x: keras.ops.tanh(x), np.tanh, lambda x: 1 - np.tanh(x) ** 2, saturates=True)
ACTIVATIONS = {
    "linear": Activation(lambda x: x, lambda x: x, np.ones_like, saturates=True),
    "relu": RELU,
    "relu - 0.4": _shifted(RELU, -SHIFT),
    "relu6": Activation(
        lambda x: keras.ops.relu6(x), lambda x: np.clip(x, 0, 6), lambda x: ((x > 0) & (x < 6)).astype(float)
    ),
    "leaky_relu": Activation(
        lambda x: keras.ops.leaky_relu(x, negative_slope=0.01),
        lambda x: np.where(x > 0, x, 0.01 * x),
        lambda x: np.where(x > 0, 1.0, 0.01),
    ),
    "elu": Activation(
        lambda x: keras.ops.elu(x),
        lambda x: np.where(x > 0, x, np.expm1(np.minimum(x, 0))),
        lambda x: np.exp(np.minimum(x, 0)),
    ),
    "softplus": Activation(
        lambda x: keras.ops.softplus(x), lambda x: np.logaddexp(0, x), lambda x: scipy.special.expit(x)
    ),
    "tanh": TANH,
    "tanh + 1": _shifted(TANH, 1.0),
    "tanh - 1": _shifted(TANH, -1.0),
    "sigmoid": Activation(
        lambda x: keras.ops.sigmoid(x),
        lambda x: scipy.special.expit(x),
        lambda x: scipy.special.expit(x) * scipy.special.expit(-x),
        saturates=True,
    ),
}


def network(
    *, inputs: int, outputs: int, depth: int = 2, width: int = 32, activation: str = "relu", scale: float = 1.0
) -> Any:
    """Build a network of equal hidden layers with normal weights, biases that start at zero, and linear outputs.

    Args:
        inputs: Number of inputs.
        outputs: Number of outputs.
        depth: Number of hidden layers.
        width: Units of a hidden layer.
        activation: Key of ``ACTIVATIONS``.
        scale: Factor on the deviation of the initial weights of hidden layers, which is Glorot's for activations that
            saturate and He's for others.
    """
    function = ACTIVATIONS[activation]
    rule = (1.0, "fan_avg") if function.saturates else (2.0, "fan_in")
    layers = [keras.Input((inputs,))]
    for _ in range(depth):
        initializer = keras.initializers.VarianceScaling(rule[0] * scale**2, rule[1], "untruncated_normal")
        layers.append(keras.layers.Dense(width, kernel_initializer=initializer))
        layers.append(keras.layers.Activation(function.keras))
    return keras.Sequential([*layers, keras.layers.Dense(outputs)])


def forward(weights: list[Array], x: Array, activation: str) -> tuple[list[Array], list[Array], Array]:
    """Put inputs through a network of given weights, in double precision.

    Args:
        weights: Kernels and biases in turn.
        x: Inputs, [examples, inputs].
        activation: Key of ``ACTIVATIONS``.

    Returns:
        What enters the activations and what leaves them, [examples, units] for each hidden layer, and the outputs.
    """
    value, signal = ACTIVATIONS[activation].value, np.asarray(x, dtype=float)
    before, after = [], []
    for kernel, bias in zip(weights[:-2:2], weights[1:-2:2], strict=True):
        before.append(signal @ kernel.astype(float) + bias)
        after.append(value(before[-1]))
        signal = after[-1]
    return before, after, signal @ weights[-2].astype(float) + weights[-1]


def deltas(weights: list[Array], x: Array, y: Array, activation: str) -> tuple[list[Array], list[Array]]:
    """Differentiate the cross-entropy of every example.

    Args:
        weights: Kernels and biases in turn.
        x: Inputs, [examples, inputs].
        y: Classes, [examples].
        activation: Key of ``ACTIVATIONS``.

    Returns:
        For each hidden layer its inputs, [examples, units before], and the derivative by what enters its activations,
        [examples, units]: the gradient of an example by the kernel is their outer product.
    """
    before, after, outputs = forward(weights, x, activation)
    passed = scipy.special.softmax(outputs, axis=1)
    passed[np.arange(len(y)), y] -= 1
    found = []
    for entering, kernel in zip(before[::-1], weights[-2::-2], strict=False):
        passed = (passed @ kernel.astype(float).T) * ACTIVATIONS[activation].slope(entering)
        found.append(passed)
    return [np.asarray(x, dtype=float), *after[:-1]], found[::-1]
