"""Networks at initialisation: how signals and gradients change from layer to layer, for many seeds."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import numpy as np
import pandas as pd
from etils import epy

from repro.engine import backend, layer_statistics
from repro.engine.examples import Array, Examples, draw_examples
from repro.engine.identity import Keyed, keyed
from repro.engine.initial_values import initial_values
from repro.engine.replicas import ModelFunction, check_fit, check_replicas, combinations, network_of, resolve

with epy.lazy_imports():
    import keras


def probe(
    model: ModelFunction,
    data: Examples | Callable[[int], Examples],
    seeds: Sequence[int],
    *,
    loss: Any,
    examples: int = 256,
    **grids: Any,
) -> pd.DataFrame:
    """Measure activations and gradients of every layer of untrained networks, in inference mode.

    Args:
        model: Function that builds a sequential or functional Keras model; takes the grids as keywords.
        data: Examples, of which the first training examples are put through the network: the same for all seeds, or a
            function that draws those of a seed, always in the same shapes.
        seeds: Seeds of the networks: each has one network for every combination of grid values.
        loss: Keras loss, its name, or a function of targets and outputs; its gradient is propagated back.
        examples: Number of training examples.
        **grids: Values, or lists of values, for parameters of ``model``.

    Returns:
        One row per seed, combination and layer: ``layer`` (1 is the first), ``layers_back`` (0 is the last), its
        ``name``, and the statistics of ``repro.engine.layer_statistics``.

    Raises:
        TrainingError: no seeds, examples of other shapes for another seed, a model that is neither sequential nor
            functional or does not fit the loss and the data, or a grid with the name of a measured column.

    Example:
        >>> from repro.engine import load_data, mlp
        >>> digits = load_data("digits").flat()
        >>> loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True)
        >>> layers = probe(mlp, digits, [0, 1], loss=loss, widths=(32, 32), inputs=64, outputs=10)
        >>> layers[["seed", "layer", "layers_back", "name"]].values.tolist()[:3]
        [[0, 1, 2, 'dense'], [0, 2, 1, 'dense_1'], [0, 3, 0, 'dense_2']]
    """
    backend.configure()
    check_replicas(seeds, grids, {"layer", "layers_back", "name", *layer_statistics.STATISTICS})
    loss = resolve(keras.losses.get, loss)
    drawn = draw_examples(data, seeds, ("x_train", "y_train"))
    rows = []
    for values in combinations(grids):
        network = network_of(keyed(model), keyed(values))
        layers = layer_statistics.names(layer_statistics.observed(network.model))
        check_fit(network.model, loss, drawn[seeds[0]])
        program = _program(Keyed(network.architecture, network.model), keyed(loss))
        initial = _initial(network.model, seeds)
        for place, seed in enumerate(seeds):
            x, y = (keras.ops.convert_to_tensor(v[:examples]) for v in (drawn[seed].x_train, drawn[seed].y_train))
            measured = program(*([of_seeds[place] for of_seeds in variables] for variables in initial), x, y)
            table = pd.DataFrame({name: keras.ops.convert_to_numpy(array) for name, array in measured.items()})
            number = np.arange(1, len(layers) + 1)
            columns: dict[str, Any] = {
                "seed": seed,
                "layer": number,
                "layers_back": len(layers) - number,
                "name": layers,
            }
            rows.append(table.assign(**columns, **{name: [value] * len(layers) for name, value in values.items()}))
    return pd.concat(rows, ignore_index=True)


@lru_cache(maxsize=64)
def _program(network: Keyed, loss: Keyed) -> Callable[..., Any]:
    """Compile a function that measures a network of given values on inputs and targets: statistics of shape [layers].

    It is compiled for one network: TensorFlow takes longer to vectorise a deep one than to run it for fifty seeds.
    """

    def run(trainable: Any, non_trainable: Any, x: Any, y: Any) -> Any:
        return layer_statistics.statistics(network.value, loss.value, trainable, non_trainable, x, y)

    return backend.compile_quickly(run)


def _initial(model: Any, seeds: Sequence[int]) -> tuple[list[Array], list[Array]]:
    """Draw initial values of seeds, those of the trainable variables and those of the others."""
    values = dict(zip(map(id, model.variables), initial_values(model, seeds), strict=True))
    trainable, non_trainable = model.trainable_variables, model.non_trainable_variables
    return [values[id(variable)] for variable in trainable], [values[id(variable)] for variable in non_trainable]
