"""Mean squares of signals and gradients along many untrained networks, of which rules give the initial weights."""

from __future__ import annotations

import itertools
from collections import defaultdict
from collections.abc import Callable
from typing import NamedTuple

import numpy as np
import pandas as pd
from etils import epy

from repro.engine import load_data

with epy.lazy_imports():
    import keras

MOST_WEIGHTS = 2**25  # that are held at once
DRAWS = {
    "normal": lambda generator, shape: generator.standard_normal(shape, dtype=np.float32),
    "uniform": lambda generator, shape: 2 * generator.random(shape, dtype=np.float32) - 1,
}
SLOPES = {
    "linear": lambda entering: keras.ops.ones_like(entering),
    "relu": lambda entering: keras.ops.cast(entering > 0, "float32"),
}


class Rule(NamedTuple):
    """How the weights of a network are drawn, and what its units compute.

    Attributes:
        activation: Keras' name of the activation; gradients are those of ``linear`` and ``relu`` alone.
        distribution: Distribution of the weights, ``normal`` or ``uniform``, both around zero.
        spread: Function of the numbers of inputs and outputs of a layer: the standard deviation of normal weights, half
            the width of the interval of uniform ones.
    """

    activation: str
    distribution: str
    spread: Callable[[int, int], float]


def courses(seed, rules, *, sizes, networks, examples, data="", backward=False):
    """Follow signals forward and gradients backward through networks without biases, averaged over networks.

    A rule is about an expectation over weights, which single networks scatter around: the mean square of a signal has
    after L layers of n units a relative variance of about 5 L / n from ReLU network to network, of 2 L / n from linear
    to linear. All rules share their draws.

    Args:
        seed: Seed of the inputs and of the weights.
        rules: Rules by label.
        sizes: Number of inputs, then of the units of each layer.
        networks: Number of networks that are averaged.
        examples: Number of inputs.
        data: Name of the data set whose standardised images are the inputs; standard normal inputs without one.
        backward: Whether gradients are followed as well. A random direction of the last layer stands for the loss.

    Returns:
        A row for each rule, place and quantity: ``rule``, its label; ``measured``, what ``value`` is; ``layer``. Of the
        ``signal`` the value is the mean square of what enters the activations of a layer, layer 0 being the input; of
        the ``gradient`` the mean square of that with respect to the same, where the last layer is layer 1; of
        ``active`` the share of positive values among what enters.
    """
    inputs = _inputs(seed, examples, sizes[0], data)
    shapes = list(itertools.pairwise(sizes))
    distributions = {rule.distribution for rule in rules.values()}
    at_once = max(1, MOST_WEIGHTS // sum(n * m for n, m in shapes))
    means = defaultdict(float)
    for first in range(0, networks, at_once):
        count = min(at_once, networks - first)
        generator = np.random.default_rng((seed, first))
        drawn = {
            name: [keras.ops.convert_to_tensor(DRAWS[name](generator, (count, *shape))) for shape in shapes]
            for name in sorted(distributions)
        }
        direction = keras.ops.convert_to_tensor(DRAWS["normal"](generator, (count, examples, sizes[-1])))
        for label, rule in rules.items():
            spreads = [rule.spread(n, m) for n, m in shapes]
            weights = drawn[rule.distribution]
            entering = list(_forward(rule, inputs, weights, spreads))
            found = [("signal", 0, _mean_square(inputs))]
            found += [("signal", layer, _mean_square(values)) for layer, values in enumerate(entering, start=1)]
            found += [("active", layer, _share_positive(values)) for layer, values in enumerate(entering, start=1)]
            if backward and rule.activation in SLOPES:
                gradients = _backward(rule, direction, entering, weights, spreads)
                found += [("gradient", back, _mean_square(values)) for back, values in enumerate(gradients, start=1)]
            for measured, layer, value in found:
                means[label, measured, layer] += value * count / networks
    rows = [(*place, value) for place, value in means.items()]
    return pd.DataFrame(rows, columns=["rule", "measured", "layer", "value"])


def _inputs(seed, examples, size, data):
    """Draw inputs, [1, examples, size]: the same for all networks."""
    if data:
        images = load_data(data).standardized().flat().subset(examples, seed).x_train
        return keras.ops.convert_to_tensor(images)[None]
    return keras.ops.convert_to_tensor(DRAWS["normal"](np.random.default_rng((seed, -1 % 2**32)), (1, examples, size)))


def _forward(rule, signal, weights, spreads):
    """Yield what enters the activations of each layer, [networks, examples, units]."""
    activation = keras.activations.get(rule.activation)
    for of_layer, spread in zip(weights, spreads, strict=True):
        entering = keras.ops.matmul(signal, of_layer) * spread
        yield entering
        signal = activation(entering)


def _backward(rule, direction, entering, weights, spreads):
    """Yield the gradients with respect to what enters the activations, from the last layer back."""
    slope = SLOPES[rule.activation]
    gradient = direction * slope(entering[-1])
    yield gradient
    for place in range(len(weights) - 1, 0, -1):
        passed = keras.ops.matmul(gradient, keras.ops.transpose(weights[place], (0, 2, 1))) * spreads[place]
        gradient = passed * slope(entering[place - 1])
        yield gradient


def _mean_square(values):
    return float(keras.ops.mean(keras.ops.square(values)))


def _share_positive(values):
    return float(keras.ops.mean(keras.ops.cast(values > 0, "float32")))
