"""Networks at initialisation: how signals and gradients change from layer to layer, for many seeds."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
import pandas as pd
from etils import epy

from repro.engine import backend, layer_statistics
from repro.engine.examples import Examples, draw_examples
from repro.engine.replicas import (
    Keyed,
    ModelFunction,
    build_model,
    check_fit,
    check_replicas,
    check_reproducible,
    combinations,
    hashable,
    initial_values,
    key_function,
    key_object,
    resolve,
)

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
        build = partial(build_model, model, values)
        network = build()
        layers = layer_statistics.names(layer_statistics.observed(network))
        check_fit(network, loss, drawn[seeds[0]])
        check_reproducible(build, network)
        program = _program(
            Keyed(_architecture(model, values, network), network),
            key_object(loss) if isinstance(loss, keras.Loss) else key_function(loss),
        )
        for seed in seeds:
            x, y = (keras.ops.convert_to_tensor(v[:examples]) for v in (drawn[seed].x_train, drawn[seed].y_train))
            measured = program(*_initial(network, seed), x, y)
            table = pd.DataFrame({name: keras.ops.convert_to_numpy(array) for name, array in measured.items()})
            number = np.arange(1, len(layers) + 1)
            places: dict[str, Any] = {
                "seed": seed,
                "layer": number,
                "layers_back": len(layers) - number,
                "name": layers,
            }
            rows.append(table.assign(**places, **{name: [value] * len(layers) for name, value in values.items()}))
    return pd.concat(rows, ignore_index=True)


def _architecture(model: ModelFunction, parameters: Mapping[str, Any], network: Any) -> Any:
    """Identify sequential networks that differ in their initialisers only: one program does for all of them."""
    if not isinstance(network, keras.Sequential):
        return key_function(model), hashable(parameters)
    return key_function(model), *(
        (type(layer), hashable({name: value for name, value in layer.get_config().items() if _is_compiled(name)}))
        for layer in network.layers
    )


def _is_compiled(option: str) -> bool:
    return option != "name" and not option.endswith("initializer")


@lru_cache(maxsize=64)
def _program(network: Keyed, loss: Keyed) -> Callable[..., Any]:
    """Compile a function that measures a network of given values on inputs and targets: statistics of shape [layers].

    It is compiled for one network: TensorFlow takes longer to vectorise a deep one than to run it for fifty seeds.
    """

    def run(trainable: Any, non_trainable: Any, x: Any, y: Any) -> Any:
        return layer_statistics.statistics(network.value, loss.value, trainable, non_trainable, x, y)

    return backend.compile_function(run)


def _initial(network: Any, seed: int) -> tuple[list[Any], list[Any]]:
    """Draw initial values of a seed, those of the trainable variables and those of the others."""
    drawn = (values[0] for values in initial_values(network, [seed]))
    values = dict(zip(map(id, network.variables), drawn, strict=True))
    trainable, non_trainable = network.trainable_variables, network.non_trainable_variables
    return [values[id(variable)] for variable in trainable], [values[id(variable)] for variable in non_trainable]
