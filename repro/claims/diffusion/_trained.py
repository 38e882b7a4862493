"""Training of denoisers, and trained networks as functions of arrays."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache, partial
from typing import Any

import numpy as np
from etils import epy

from repro.claims.diffusion._processes import Array
from repro.engine import Keyed, Training, ValidatedArm, keyed, keyed_network, tune
from repro.engine.backend import compile_function, scan

with epy.lazy_imports():
    import keras


# Of the trials of searches, beyond the seeds of every run.
TRIALS = (40_000_000, 40_000_001)


def tuned(
    arm: ValidatedArm, rates: Sequence[float], seeds: Sequence[int], steps: int, /, **labels: Any
) -> tuple[dict[int, Training], list[dict[str, Any]]]:
    """Train an arm for half and for all of the steps, at the rate of the least loss on validation data.

    Both are the same run, whose batches follow from the seed: the longer one goes on.

    Returns:
        The trainings by their steps, and the trials of the search with their labels.
    """
    tuning = tune(
        ValidatedArm(partial(arm.final, steps=steps), partial(arm.trial, steps=steps)),
        {"learning_rate": list(rates)},
        len(rates),
        objective="validation_loss",
        seeds=TRIALS,
        widen=2,
    )
    trainings = {number: arm(seeds=list(seeds), steps=number, **tuning.best) for number in (steps // 2, steps)}
    return trainings, tuning.table(**labels)


@lru_cache(maxsize=4)
def network_of(training: Training) -> Keyed:
    """Build the network of a training, the same for all replicas but for their weights, once."""
    return keyed_network(training.model(0))


def functions(training: Training) -> Iterator[Callable[[Array], Array]]:
    """Yield each replica's network, whose weights are all trainable, as a function of rows of inputs."""
    forward = _forward(network_of(training))
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
    compiled_run = _simulation(network_of(training), keyed(step))
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
