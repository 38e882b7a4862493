"""What replicas are made of: models from functions, grids and seeds, and whether they fit a loss and data."""

from __future__ import annotations

import inspect
import itertools
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache, partial
from typing import Any

import numpy as np
from etils import epy

from repro.common import TrainingError, first_line
from repro.engine import backend
from repro.engine.examples import Array, Examples

with epy.lazy_imports():
    import keras

ModelFunction = Callable[..., Any]


def build_seeded(build: Callable[[], Any], seed: int) -> Any:
    """Build a model whose initial weights and noise follow from a seed."""
    backend.configure()
    model = build()
    for variable, values in zip(model.variables, initial_values(model, [seed]), strict=True):
        variable.assign(values[0])
    return model


def initial_values(model: Any, seeds: Sequence[int] | Array) -> list[Any]:
    """Draw the initial values of a model's variables for replicas.

    Every random variable has a seed of its own, made of the replica's seed and the variable's place among the random
    ones, so that networks that differ in layers without random weights start alike. Keras' global seed would not do:
    other threads of a process draw from it too.

    Args:
        model: Model as it was built; its variables are not changed.
        seeds: Seeds of the replicas; not negative.

    Returns:
        Tensors of shape [replicas, ...] in the order of ``model.variables``: drawn where an initialiser or a source of
        noise is random, as built where it is not.
    """
    random = _random_initializers(model)
    weight_seeds, noise_seeds = (_states(seeds, stream) for stream in range(2))
    values = []
    for variable in model.variables:
        if variable.name == "seed_generator_state":
            values.append(keras.ops.convert_to_tensor(next(noise_seeds), dtype=variable.dtype))
        elif id(variable) in random:
            draw = _drawing(key_object(random[id(variable)]), tuple(variable.shape), variable.dtype)
            values.append(draw(next(weight_seeds)))
        else:
            values.append(repeat(variable, len(seeds)))
    return values


@dataclass(frozen=True)
class Keyed:
    """A value that equals others of the same key."""

    key: Any
    value: Any = field(compare=False)


def key_object(configured: Any) -> Keyed:
    """Identify a Keras object by its configuration, whatever its name."""
    return Keyed((type(configured), hashable(configured.get_config() | {"name": None})), configured)


def key_function(function: Callable[..., Any]) -> Keyed:
    """Identify a function by itself, and a ``functools.partial``, which equals no other one, by what it binds."""
    if not isinstance(function, partial):
        return Keyed(function, function)
    key = (function.func, hashable(function.args), hashable(function.keywords))
    try:
        hash(key)
    except TypeError:
        return Keyed(function, function)
    return Keyed(key, function)


def hashable(value: Any) -> Any:
    """Replace nested mappings and lists by tuples."""
    if isinstance(value, Mapping):
        return tuple((name, hashable(item)) for name, item in value.items())
    return tuple(hashable(item) for item in value) if isinstance(value, list | tuple) else value


def check_reproducible(build: Callable[[], Any], model: Any) -> None:
    """Check that all that is random about a model's initial values is known.

    Args:
        build: Function that built the model.
        model: Model to be checked.

    Raises:
        TrainingError: another build starts from other values for reasons that no initialiser tells.
    """
    for variable, first, second in zip(
        model.variables, initial_values(model, [0]), initial_values(build(), [0]), strict=True
    ):
        if not np.array_equal(keras.ops.convert_to_numpy(first), keras.ops.convert_to_numpy(second)):
            raise TrainingError(
                f"variable {variable.path!r} starts from other values in every build; its layer needs an attribute "
                f"{variable.name}_initializer that takes a seed"
            )


def _states(seeds: Sequence[int] | Array, stream: int) -> Iterator[Array]:
    """Yield states of random generators, [replicas, 2], whose independent seeds fit a signed 32-bit integer."""
    for place in itertools.count():
        drawn = [np.random.SeedSequence((int(seed), stream, place)).generate_state(1)[0] >> 1 for seed in seeds]
        yield np.stack([drawn, np.zeros_like(drawn)], axis=1)


@lru_cache(maxsize=256)
def _drawing(initializer: Keyed, shape: tuple[int, ...], dtype: str) -> Callable[[Array], Any]:
    """Make a function that draws values for the states of random generators, [replicas, 2]."""
    generator = keras.random.SeedGenerator(0)
    drawing = type(initializer.value).from_config({**initializer.value.get_config(), "seed": generator})

    def draw(state: Any) -> Any:
        with keras.StatelessScope(state_mapping=[(generator.state, state)]):
            return keras.ops.cast(drawing(shape, dtype=dtype), dtype)  # as Keras does when it builds a variable

    draw_all = backend.map_rows(draw, dtype)
    return lambda states: draw_all(keras.ops.convert_to_tensor(states, generator.state.dtype))


def _random_initializers(model: Any) -> dict[int, Any]:
    """Find the initialisers that take a seed, by the identity of their variables.

    Keras' layers keep the initialiser of their variable ``kernel`` as ``kernel_initializer``, or in depthwise
    convolutions as ``depthwise_initializer``, and that of ``recurrent_kernel`` as ``recurrent_initializer``.
    """
    found = {}
    for layer in model._flatten_layers():  # layers inside layers have no public list
        for variable in layer.weights:
            other = "depthwise" if variable.name == "kernel" else variable.name.removesuffix("_kernel")
            for name in (variable.name, other):
                initializer = getattr(layer, f"{name}_initializer", None)
                if isinstance(initializer, keras.initializers.Initializer) and "seed" in initializer.get_config():
                    found[id(variable)] = initializer
    return found


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
        """Call the function in chunks of one size, the last one filled up.

        Where there are fewer replicas, the size is a power of two, so that a search and the evaluation after it share a
        compiled function.

        Args:
            arguments: Function that makes the arguments for the replicas of the given indices.
            replicas: Number of replicas.
            at_once: Largest size of a chunk.

        Returns:
            The results as nested arrays.
        """
        if min(replicas, at_once) > 1 and not self.reason:
            try:
                return self._in_chunks(arguments, replicas, min(at_once, 2 ** math.ceil(math.log2(replicas))))
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


def repeat(variable: Any, replicas: int) -> Any:
    """Repeat the value of a Keras variable for every replica, [replicas, ...]."""
    return keras.ops.broadcast_to(variable.numpy(), (replicas, *variable.shape))


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
        outputs = model(x)
    except Exception as error:
        raise TrainingError(
            f"model {model.name!r} does not take inputs of shape {x.shape[1:]}: {first_line(error)}"
        ) from error
    try:
        loss(y, outputs)
    except Exception as error:
        raise TrainingError(
            f"loss {_name(loss)!r} does not fit targets of shape {y.shape[1:]} and outputs of shape "
            f"{tuple(outputs.shape[1:])} of model {model.name!r}: {first_line(error)}"
        ) from error


def _name(function: Any) -> str:
    if isinstance(function, partial):
        return _name(function.func)
    return str(getattr(function, "__name__", None) or getattr(function, "name", type(function).__name__))
