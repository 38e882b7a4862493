"""Training of denoisers, and trained networks as functions of arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
from etils import epy

from repro.claims.diffusion._processes import Array
from repro.engine import Arm, Keyed, Training, keyed, keyed_network, tune
from repro.engine.backend import compile_function, scan

with epy.lazy_imports():
    import keras


def tuned(
    arm: Arm, rates: Sequence[float], seeds: Sequence[int], /, **labels: Any
) -> tuple[Training, list[dict[str, Any]]]:
    """Train an arm at the learning rate that suits it best.

    Returns:
        The training, and the trials of the search with their labels; none where there is only one rate.
    """
    if len(rates) == 1:
        return arm(seeds=list(seeds), learning_rate=rates[0]), []
    tuning = tune(arm, {"learning_rate": list(rates)}, len(rates))
    return arm(seeds=list(seeds), **tuning.best), tuning.table(**labels)


def weighted_squared_error(targets: Any, predictions: Any) -> Any:
    """Squared norm of the error times the weight in the last column of the targets, for each example."""
    return targets[:, -1] * keras.ops.sum(keras.ops.square(targets[:, :-1] - predictions), axis=-1)


def functions(training: Training) -> Iterator[Callable[[Array], Array]]:
    """Yield each replica's network, whose weights are all trainable, as a function of rows of inputs."""
    forward = _forward(keyed_network(training.model(0)))
    for trained in training.weights:
        weights = [keras.ops.convert_to_tensor(values) for values in trained]
        yield lambda inputs, weights=weights: keras.ops.convert_to_numpy(  # type: ignore[misc]
            forward(weights, keras.ops.convert_to_tensor(inputs, "float32"))
        ).astype(np.float64)


def simulations(training: Training, step: Callable[[Any, Any, Any], Any]) -> Iterator[Callable[[Array, Any], Array]]:
    """Yield for each replica a function that takes many steps with its network, in one compiled program.

    Args:
        training: of a model whose weights are all trainable.
        step: maps the network (a function of tensors), the state and one row of the inputs to the next state.

    Returns:
        Functions of the first state and of the inputs, nested arrays with a common first axis, to the last state.
    """
    compiled_run = _simulation(keyed_network(training.model(0)), keyed(step))
    for trained in training.weights:
        weights = [keras.ops.convert_to_tensor(values) for values in trained]

        def simulate(state: Array, inputs: Any, weights: list[Any] = weights) -> Array:
            rows = keras.tree.map_structure(partial(keras.ops.convert_to_tensor, dtype="float32"), inputs)
            last = compiled_run(weights, keras.ops.convert_to_tensor(state, "float32"), rows)
            return np.asarray(keras.ops.convert_to_numpy(last), np.float64)

        yield simulate


@lru_cache(maxsize=16)
def _forward(model: Keyed) -> Callable[..., Any]:
    """Compile a network as a function of its weights and inputs, once for all that compute alike."""
    return compile_function(lambda weights, inputs: model.value.stateless_call(weights, [], inputs)[0])


@lru_cache(maxsize=16)
def _simulation(model: Keyed, step: Keyed) -> Callable[..., Any]:
    """Compile many steps with a network as a function of its weights, the first state and the inputs."""

    def run(weights: list[Any], state: Any, inputs: Any) -> Any:
        def network(values: Any) -> Any:
            return model.value.stateless_call(weights, [], values)[0]

        return scan(lambda state, row: (step.value(network, state, row), ()), state, inputs)[0]

    return compile_function(run)
