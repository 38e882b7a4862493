"""Networks at initialisation: what signals and gradients do from layer to layer, for many seeds."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pandas as pd
from etils import epy

from repro import backend, signals
from repro.replicas import (
    Examples,
    Keyed,
    ModelFunction,
    OverReplicas,
    build_model,
    called,
    check_fit,
    check_replicas,
    check_reproducible,
    combinations,
    configured,
    found,
    hashable,
    initial_values,
)

with epy.lazy_imports():
    import keras


def probe(
    model: ModelFunction, data: Examples, seeds: Sequence[int], *, loss: Any, examples: int = 256, **grids: Any
) -> pd.DataFrame:
    """Measure activations and gradients of every layer of untrained networks, in inference mode.

    Args:
        model: builds a sequential or functional Keras model; takes the grids as keywords.
        data: the first training examples are put through the network.
        seeds: one network each, for every combination of grid values.
        loss: a Keras loss, its name, or a function of targets and outputs; its gradient is what is propagated back.
        examples: number of training examples.
        **grids: a value or a list of values for parameters of ``model``.

    Returns:
        One row per seed, combination and layer: ``layer`` (1 is the first), ``layers_back`` (0 is the last), its
        ``name``, and the statistics of ``repro.signals``.

    Raises:
        TrainingError: no seeds, a model that is neither sequential nor functional or does not fit the loss and the
            data, or a grid with the name of a measured column.
    """
    check_replicas(seeds, grids, {"layer", "layers_back", "name", *signals.STATISTICS})
    loss = found(keras.losses.get, loss)
    x, y = data.x_train[:examples], data.y_train[:examples]
    rows = []
    for values in combinations(grids):
        build = partial(build_model, model, values)
        network = build()
        layers = [layer.name for layer in signals.observed(network)]
        check_fit(network, loss, data)
        check_reproducible(build, network)
        program = _program(
            Keyed(_architecture(model, values, network), network),
            configured(loss) if isinstance(loss, keras.Loss) else called(loss),
        )
        measured = program(partial(_arguments, network, seeds, x, y), len(seeds), AT_ONCE)
        table = pd.DataFrame({name: array.ravel() for name, array in measured.items()})
        table["seed"] = np.repeat(seeds, len(layers))
        table["layer"] = np.tile(np.arange(1, len(layers) + 1), len(seeds))
        table["layers_back"] = len(layers) - table["layer"]
        table["name"] = layers * len(seeds)
        rows.append(table.assign(**values))
    return pd.concat(rows, ignore_index=True)


AT_ONCE = 8


def _architecture(model: ModelFunction, parameters: Mapping[str, Any], network: Any) -> Any:
    """Identify sequential networks that differ in their initialisers only: one program does for all of them."""
    if not isinstance(network, keras.Sequential):
        return called(model), hashable(parameters)
    return called(model), *(
        (type(layer), hashable({name: value for name, value in layer.get_config().items() if _is_compiled(name)}))
        for layer in network.layers
    )


def _is_compiled(option: str) -> bool:
    return option != "name" and not option.endswith("initializer")


@lru_cache(maxsize=64)
def _program(network: Keyed, loss: Keyed) -> OverReplicas:
    """Measure networks of given values on inputs and targets; statistics of shape [replicas, layers]."""

    def run(trainable: Any, non_trainable: Any, x: Any, y: Any) -> Any:
        def statistics(trainable: Any, non_trainable: Any) -> Any:
            return signals.statistics(network.value, loss.value, trainable, non_trainable, x, y)

        return backend.over_replicas(statistics, trainable, non_trainable)

    return OverReplicas(run)


def _arguments(network: Any, seeds: Sequence[int], x: Any, y: Any, replicas: Any) -> tuple[Any, ...]:
    """Draw initial values of replicas, the trainable and the other variables, for the same inputs and targets."""
    drawn = initial_values(network, [seeds[replica] for replica in replicas])
    values = dict(zip(map(id, network.variables), drawn, strict=True))
    of = (network.trainable_variables, network.non_trainable_variables)
    return *([values[id(variable)] for variable in variables] for variables in of), x, y
