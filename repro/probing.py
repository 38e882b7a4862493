"""Networks at initialisation: what signals and gradients do from layer to layer, for many seeds."""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial
from typing import Any

import pandas as pd
from etils import epy

from repro import backend
from repro.errors import TrainingError
from repro.replicas import (
    Examples,
    ModelFunction,
    build_model,
    check_fit,
    check_replicas,
    check_reproducible,
    combinations,
    found,
    initial_values,
)

with epy.lazy_imports():
    import keras

MEASURED = {"seed", "layer", "layers_back", "mean", "variance", "second_moment", "active", "gradient"}


def probe(
    model: ModelFunction, data: Examples, seeds: Sequence[int], *, loss: Any, examples: int = 256, **grids: Any
) -> pd.DataFrame:
    """Measure activations and gradients of every layer of untrained networks, in inference mode.

    Args:
        model: builds a ``keras.Sequential``; takes the grids as keywords.
        data: the first training examples are put through the network.
        seeds: one network each, for every combination of grid values.
        loss: a Keras loss, its name, or a function of targets and outputs; its gradient is what is propagated back.
        examples: number of training examples.
        **grids: a value or a list of values for parameters of ``model``.

    Returns:
        One row per seed, combination and layer: ``layer`` (1 is the first), ``layers_back`` (0 is the last), over
        examples and units of the layer's output ``mean``, ``variance``, ``second_moment`` and the share ``active``
        above zero, and ``gradient``, the Euclidean norm of the loss's gradient with respect to the output.

    Raises:
        TrainingError: no seeds, a model that is no chain of layers or does not fit the loss and the data, or a grid
            with the name of a measured column.
    """
    check_replicas(seeds, grids, MEASURED)
    loss = found(keras.losses.get, loss)
    x, y = data.x_train[:examples], data.y_train[:examples]
    rows = []
    for values in combinations(grids):
        build = partial(build_model, model, values)
        network = build()
        if not isinstance(network, keras.Sequential):
            raise TrainingError(f"probe needs a keras.Sequential, {network.name!r} is a {type(network).__name__}")
        check_fit(network, loss, data)
        check_reproducible(build, network)
        measure = backend.compiled(partial(_measure, network, loss))
        for seed in seeds:
            weights = initial_values(network, seed)
            measured = {name: keras.ops.convert_to_numpy(values) for name, values in measure(weights, x, y).items()}
            layers = pd.DataFrame(measured).assign(**values, seed=seed)
            layers["layer"] = layers.index + 1
            layers["layers_back"] = len(layers) - layers["layer"]
            rows.append(layers)
    return pd.concat(rows, ignore_index=True)


def _measure(network: Any, loss: Any, weights: Any, x: Any, y: Any) -> dict[str, Any]:
    def objective(perturbations: Any) -> tuple[Any, Any]:
        outputs, signal = [], x
        with keras.StatelessScope(state_mapping=list(zip(network.variables, weights, strict=True))):
            for layer, perturbation in zip(network.layers, perturbations, strict=True):
                signal = layer(signal) + perturbation
                outputs.append(signal)
        return keras.ops.mean(loss(y, signal)), outputs

    shapes = [(x.shape[0], *layer.output.shape[1:]) for layer in network.layers]
    _, outputs, gradients = backend.value_and_gradient(objective, [keras.ops.zeros(shape) for shape in shapes])
    statistics = {
        "mean": [keras.ops.mean(output) for output in outputs],
        "variance": [keras.ops.var(output) for output in outputs],
        "second_moment": [keras.ops.mean(keras.ops.square(output)) for output in outputs],
        "active": [keras.ops.mean(keras.ops.cast(output > 0, "float32")) for output in outputs],
        "gradient": [_norm(gradient) for gradient in gradients],
    }
    return {name: keras.ops.stack(values) for name, values in statistics.items()}  # noqa: PD013  no data frames


def _norm(gradient: Any) -> Any:
    """Euclidean norm; squares of gradients that have vanished to 1e-20 leave the range of single precision."""
    # keras.ops.norm returns to single precision on JAX
    return keras.ops.sqrt(keras.ops.sum(keras.ops.square(keras.ops.cast(gradient, "float64"))))
