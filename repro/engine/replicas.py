"""What replicas are made of: models from functions, grids and seeds, and whether they fit a loss and data."""

from __future__ import annotations

import inspect
import itertools
from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache, partial
from typing import Any

import numpy as np
from etils import epy

from repro.common import TrainingError, first_line
from repro.engine import backend
from repro.engine.examples import Array, Examples
from repro.engine.identity import Keyed, architecture
from repro.engine.initial_values import build_undrawn

with epy.lazy_imports():
    import keras

ModelFunction = Callable[..., Any]


@dataclass(frozen=True)
class Network:
    """A model as its function builds it, and what does for others that are built alike.

    Attributes:
        build: Function that builds the model.
        model: Model whose random variables are not drawn; never trained.
        architecture: Key that networks have which compute the same.
    """

    build: Callable[[], Any]
    model: Any
    architecture: Hashable


@lru_cache(maxsize=256)
def network_of(model: Keyed, parameters: Keyed) -> Network:
    """Build a network once for all seeds.

    Args:
        model: Function that builds a model.
        parameters: Its parameters by name.

    Raises:
        TrainingError: the function does not take the parameters, or the model's initial values cannot be reproduced.
    """
    build = partial(build_model, model.value, parameters.value)
    network = build_undrawn(build)
    return Network(build, network, architecture(network) or (model, parameters))


class OverReplicas:
    """A compiled function of replicas, called for many at once or, where the backend cannot vectorise it, one by one.

    Attributes:
        reason: Reason why replicas run one by one; empty if they do not.
    """

    def __init__(self, function: Callable[..., Any]) -> None:
        """Prepare a function; it is compiled when it is first called.

        Args:
            function: Function that returns nested tensors with replicas on the first axis.
        """
        self.reason = ""
        self._compiled = backend.compile_function(function)

    def __call__(self, arguments: Callable[[Array], tuple[Any, ...]], replicas: int, at_once: int) -> Any:
        """Call the function in chunks of one size, filled up where replicas are fewer, so that it is compiled once.

        Args:
            arguments: Function that makes the arguments for the replicas of the given indices.
            replicas: Number of replicas.
            at_once: Largest size of a chunk.

        Returns:
            The results as nested arrays.
        """
        if min(replicas, at_once) > 1 and not self.reason:
            try:
                return self._in_chunks(arguments, replicas, at_once)
            except Exception as error:  # noqa: BLE001  what backends raise where they cannot vectorise is not documented
                self.reason = first_line(error)
        return self._in_chunks(arguments, replicas, 1)

    def _in_chunks(self, arguments: Callable[[Array], tuple[Any, ...]], replicas: int, size: int) -> Any:
        results = []
        for start in range(0, replicas, size):
            outputs = self._compiled(*arguments(np.arange(start, start + size).clip(max=replicas - 1)))
            wanted = slice(min(size, replicas - start))
            results.append([keras.ops.convert_to_numpy(values)[wanted] for values in keras.tree.flatten(outputs)])
        joined = [np.concatenate(parts) for parts in zip(*results, strict=True)]
        return keras.tree.pack_sequence_as(outputs, joined)


def combinations(grids: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Yield every combination of the values of the grids; a value that is no list stands for itself."""
    listed = [values.tolist() if isinstance(values, np.ndarray) else values for values in grids.values()]
    axes = [values if isinstance(values, list) else [values] for values in listed]
    for values in itertools.product(*axes):
        yield dict(zip(grids, values, strict=True))


def resolve(get: Callable[[Any], Any], wanted: Any) -> Any:
    """Call a function that finds or makes a Keras object.

    Raises:
        TrainingError: there is no such object, or it does not take its parameters.
    """
    try:
        return get(wanted)
    except ValueError as error:
        raise TrainingError(first_line(error)) from error


def build_model(function: ModelFunction, parameters: Mapping[str, Any]) -> Any:
    """Build a model by calling its function with parameters.

    Raises:
        TrainingError: the function does not take a parameter, or needs another one.
    """
    try:
        inspect.signature(function).bind(**parameters)
    except TypeError as error:
        raise TrainingError(f"model {_name(function)!r} cannot be built: {error}") from error
    return function(**parameters)


def check_replicas(seeds: Sequence[int], grids: Mapping[str, Any], columns: set[str]) -> None:
    """Check that there are replicas, and that all grids can be columns besides those that are measured.

    Raises:
        TrainingError: no seeds, or a grid with the name of a measured column or without values.
    """
    if len(seeds) == 0:
        raise TrainingError("there are no seeds")
    for name, values in grids.items():
        if name in columns | {"seed"}:
            raise TrainingError(f"a grid cannot be named {name!r}, which is a column of what is measured; rename it")
        if isinstance(values, list | np.ndarray) and len(values) == 0:
            raise TrainingError(f"grid {name!r} has no values")


def check_fit(model: Any, loss: Any, data: Examples) -> None:
    """Check that a model, a loss and training examples fit each other.

    Raises:
        TrainingError: they do not, or the loss sums over examples.
    """
    if getattr(loss, "reduction", None) == "sum":
        raise TrainingError(f"loss {_name(loss)!r} sums over examples; give it reduction='sum_over_batch_size'")
    x, y = data.x_train[:2], data.y_train[:2]
    try:
        outputs = backend.outputs_like(model, x)
    except Exception as error:
        raise TrainingError(
            f"model {model.name!r} does not take inputs of shape {x.shape[1:]}: {first_line(error)}"
        ) from error
    try:
        backend.outputs_like(loss, y, outputs)
    except Exception as error:
        raise TrainingError(
            f"loss {_name(loss)!r} does not fit targets of shape {y.shape[1:]} and outputs of shape "
            f"{tuple(outputs.shape[1:])} of model {model.name!r}: {first_line(error)}"
        ) from error


def _name(function: Any) -> str:
    if isinstance(function, partial):
        return _name(function.func)
    return str(getattr(function, "__name__", None) or getattr(function, "name", type(function).__name__))
