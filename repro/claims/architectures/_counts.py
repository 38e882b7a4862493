"""What a network consists of and costs, counted from its Keras layers."""

from __future__ import annotations

import math
from typing import Any

from etils import epy

with epy.lazy_imports():
    import keras


def multiplications(model: Any) -> int:
    """Count the multiply-adds of all weights for one example, as He et al. 2016 and Howard et al. 2017 count them.

    A kernel is applied at every position of its layer's output; biases, normalisation and activations are left out.
    """
    return sum(
        math.prod(weight.shape) * math.prod(layer.output.shape[1:-1])
        for layer in model.layers
        for weight in layer.weights
        if len(weight.shape) > 1
    )


def operations(model: Any) -> int:
    """Count multiply-adds, and the additions of layers that merge or pool.

    A layer without weights that makes m values of n, of disjoint sets, takes n - m additions or comparisons.
    """
    return multiplications(model) + sum(
        max(0, _values(layer.input) - _values(layer.output))
        for layer in model.layers
        if not layer.weights and not isinstance(layer, keras.layers.InputLayer)
    )


def layers_of(model: Any, *kinds: type) -> int:
    """Count the layers of some kinds."""
    return sum(isinstance(layer, kinds) for layer in model.layers)


def weighted_depth(model: Any) -> int:
    """Count the layers with kernels on the longest path of a functional model."""
    depths: dict[int, int] = {}
    for layer in model.layers:  # in topological order
        longest = max((depths[id(tensor)] for tensor in keras.tree.flatten(layer.input)), default=0)
        depths[id(layer.output)] = longest + any(len(weight.shape) > 1 for weight in layer.weights)
    return max(depths.values())


def _values(tensors: Any) -> int:
    return sum(math.prod(tensor.shape[1:]) for tensor in keras.tree.flatten(tensors))
