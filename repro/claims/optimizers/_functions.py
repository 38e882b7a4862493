"""Functions of several parameters with derivatives by automatic differentiation, many points at once."""

from __future__ import annotations

from functools import cache
from typing import Any, NamedTuple

import numpy as np
from etils import epy

from repro.engine.backend import compile_function, value_and_gradient

with epy.lazy_imports():
    import keras

INPUTS, HIDDEN = 2, 3
NETWORK_SIZE = INPUTS * HIDDEN + 2 * HIDDEN + 1


class Function(NamedTuple):
    """A function of parameters, in double precision; it is compiled once for all data of one shape.

    Attributes:
        value: Function of points, [points, parameters], and of arrays that returns its value at each point.
        arrays: Arrays, such as data, that are its further arguments.
    """

    value: object
    arrays: tuple[Any, ...]

    def values(self, points):
        """Value at each point, [points]."""
        return self._call(0, points)

    def gradients(self, points):
        """Gradient at each point, [points, parameters]."""
        return self._call(1, points)

    def hessians(self, points):
        """Hessian at each point, [points, parameters, parameters]: derivatives of the gradient along each axis."""
        points = np.asarray(points)
        count, dimension = points.shape
        axes = np.tile(np.eye(dimension), (count, 1))
        products = self._call(2, np.repeat(points, dimension, axis=0), axes)
        return products.reshape(count, dimension, dimension)

    def _call(self, order, *points):
        count = len(points[0])
        # A program serves all numbers of points up to a power of two.
        places = np.arange(2 ** int(count - 1).bit_length()) % count
        arguments = [*(np.asarray(values)[places] for values in points), *self.arrays]
        tensors = [keras.ops.convert_to_tensor(np.asarray(values, dtype=np.float64)) for values in arguments]
        return keras.ops.convert_to_numpy(_derivatives(self.value)[order](*tensors))[:count]


@cache
def _derivatives(value):
    """Compile a function, its gradient, and the product of its Hessian with directions."""

    def summed(points, *arrays):
        return keras.ops.sum(value(points[0], *arrays)), ()

    def gradients(points, *arrays):
        return value_and_gradient(summed, [points], *arrays)[2][0]

    def slope(points, directions, *arrays):
        return keras.ops.sum(gradients(points[0], *arrays) * directions), ()

    def products(points, directions, *arrays):
        return value_and_gradient(slope, [points], directions, *arrays)[2][0]

    return tuple(map(compile_function, (value, gradients, products)))


def quadratic(points, matrix, vector):
    """The quadratic form half x A x minus b x."""
    return keras.ops.sum(points * (keras.ops.matmul(points, matrix) / 2 - vector), axis=1)


def logistic(points, signed, penalty):
    """Mean logistic loss of points times their label, [examples, parameters], with a ridge penalty."""
    losses = keras.ops.softplus(-keras.ops.matmul(points, keras.ops.transpose(signed)))
    return keras.ops.sum(losses, axis=1) / signed.shape[0] + penalty / 2 * keras.ops.sum(points * points, axis=1)


def negative_logistic(points, signed, penalty):
    """Less the logistic loss, a concave function."""
    return -logistic(points, signed, penalty)


def double_wells(points, directions):
    """Wells (z^2 - 1)^2 / 4 along directions z, the columns of a matrix; critical where every z is -1, 0 or 1."""
    z = keras.ops.matmul(points, directions)
    return keras.ops.sum(keras.ops.square(z * z - 1), axis=1) / 4


def network(points, x, y, penalty):
    """Half the mean squared error of small tanh networks, whose weights are the points, with a ridge penalty."""
    return _network_loss(_tanh, points, x, y, penalty)


def rectified_network(points, x, y, penalty):
    """The same of networks with rectified units, whose gradient jumps."""
    return _network_loss(keras.ops.relu, points, x, y, penalty)


def _tanh(x):
    """The hyperbolic tangent; Keras' own returns to single precision on JAX, its sigmoid does not."""
    return 2 * keras.ops.sigmoid(2 * x) - 1


def _network_loss(activation, points, x, y, penalty):
    ends = np.cumsum([INPUTS * HIDDEN, HIDDEN, HIDDEN])
    kernel = keras.ops.reshape(points[:, : ends[0]], (-1, INPUTS, HIDDEN))
    hidden = activation(keras.ops.einsum("ei,pih->peh", x, kernel) + points[:, None, ends[0] : ends[1]])
    outputs = keras.ops.einsum("peh,ph->pe", hidden, points[:, ends[1] : ends[2]]) + points[:, ends[2] :]
    errors = outputs - y
    return keras.ops.sum(errors * errors, axis=1) / (2 * x.shape[0]) + penalty / 2 * keras.ops.sum(
        points * points, axis=1
    )


def random_network(generator, examples=20, penalty=0.0, smooth=True):
    """Loss of a small network on normal inputs and targets, as a function of its weights."""
    x, y = generator.normal(size=(examples, INPUTS)), 2 * generator.normal(size=examples)
    return Function(network if smooth else rectified_network, (x, y, penalty))


def random_form(generator, eigenvalues):
    """Matrix with the given eigenvalues in random directions, and these directions as columns."""
    directions = np.linalg.qr(generator.normal(size=(len(eigenvalues), len(eigenvalues))))[0]
    return directions * eigenvalues @ directions.T, directions
