"""Keras networks and their gradients at single inputs, in double precision."""

from __future__ import annotations

import numpy as np
from etils import epy

from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras


def network(seed, width, inputs, hidden=1):
    """Build a Keras network of sigmoid units with one linear output, with normal weights by fan in, and biases.

    Args:
        seed: Seed of the weights.
        width: Units of each hidden layer.
        inputs: Number of inputs.
        hidden: Number of hidden layers.
    """
    seeds = np.random.default_rng((seed, 3)).integers(2**31, size=(hidden + 1, 2))
    layers = [keras.Input((inputs,), dtype="float64")]
    for number, (of_weights, of_biases) in enumerate(seeds):
        layers.append(
            keras.layers.Dense(
                width if number < hidden else 1,
                activation="sigmoid" if number < hidden else None,
                kernel_initializer=keras.initializers.VarianceScaling(
                    4.0, "fan_in", "untruncated_normal", seed=int(of_weights)
                ),
                bias_initializer=keras.initializers.RandomNormal(stddev=0.5, seed=int(of_biases)),
                dtype="float64",
            )
        )
    return keras.Sequential(layers)


def outputs(model, x, change=None):
    """Outputs at inputs, [s], where a vector may be added to all parameters.

    Args:
        model: Network.
        x: Inputs, [s, inputs].
        change: Vector of as many numbers as there are parameters; none for no change.
    """
    values = [variable.value for variable in model.trainable_variables]
    if change is not None:
        values = [value + part for value, part in zip(values, _split(model, change), strict=True)]
    found, _ = model.stateless_call(values, [], keras.ops.convert_to_tensor(x))
    return keras.ops.convert_to_numpy(found)[:, 0]


def gradients(model, x):
    """Gradients of the output with respect to all parameters at each input, [s, parameters]."""
    values = [keras.ops.convert_to_tensor(variable.value) for variable in model.trainable_variables]

    def output(values, row):
        found, _ = model.stateless_call(values, [], row)
        return found[0, 0], ()

    rows = []
    for row in x:
        _, _, slopes = value_and_gradient(output, values, keras.ops.convert_to_tensor(row[None]))
        rows.append(np.concatenate([np.ravel(keras.ops.convert_to_numpy(slope)) for slope in slopes]))
    return np.array(rows)


def _split(model, vector):
    sizes = [int(np.prod(variable.shape)) for variable in model.trainable_variables]
    parts = np.split(vector, np.cumsum(sizes)[:-1])
    return [
        keras.ops.convert_to_tensor(part.reshape(variable.shape))
        for part, variable in zip(parts, model.trainable_variables, strict=True)
    ]
