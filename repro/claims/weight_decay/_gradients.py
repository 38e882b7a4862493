"""Functions of weights that are differentiated by Keras' backend in double precision."""

from __future__ import annotations

import numpy as np
from etils import epy

from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras


def doubles(values):
    """Give an array to Keras in double precision."""
    return keras.ops.convert_to_tensor(np.asarray(values), dtype="float64")


def gradient_of(function, w):
    """Gradient of a function of one tensor of weights at w, in the shape of w."""
    _, _, (gradient,) = value_and_gradient(lambda values: (function(values[0]), ()), [doubles(w)])
    return keras.ops.convert_to_numpy(gradient)


def minimiser_of_quadratic(function, size):
    """Minimiser, [size], of a quadratic function whose gradient is found by differentiating it.

    The gradient of a quadratic function is affine, so that its values at nought and at the unit vectors give the linear
    equations that the minimiser solves.
    """
    at_zero = gradient_of(function, np.zeros(size))
    hessian = np.stack([gradient_of(function, unit) - at_zero for unit in np.eye(size)])
    return np.linalg.solve(hessian, -at_zero)
