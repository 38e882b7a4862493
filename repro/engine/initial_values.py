"""What replicas start from: values that follow from a seed alone, drawn as Keras' initialisers draw them."""

from __future__ import annotations

import inspect
import itertools
import math
import sys
import threading
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import lru_cache, partial
from typing import Any, NamedTuple
from unittest import mock

import numpy as np
from etils import epy

from repro.common import TrainingError
from repro.engine import backend
from repro.engine.examples import Array
from repro.engine.identity import Keyed, keyed

with epy.lazy_imports():
    import keras


_RECORDING = threading.RLock()  # two threads that stood in for one module would not leave it as it was


class Distribution(NamedTuple):
    """A distribution of independent values.

    Attributes:
        kind: Function of ``keras.random`` that draws them.
        first: Mean, or the lower limit of a uniform distribution.
        second: Standard deviation, that of a truncated normal before it is truncated, or the upper limit.
    """

    kind: str
    first: float
    second: float


def build_seeded(build: Callable[[], Any], seed: int) -> Any:
    """Build a model whose initial weights and noise follow from a seed."""
    backend.configure()
    with undrawn():
        model = build()
    for variable, values in zip(model.variables, initial_values(model, [seed]), strict=True):
        variable.assign(values[0])
    return model


def build_undrawn(build: Callable[[], Any]) -> Any:
    """Build a model without drawing what ``initial_values`` draws.

    Drawing is most of the time that it takes to build a model on JAX, which compiles it for every shape.

    Raises:
        TrainingError: another build starts from other values for reasons that no initialiser tells.
    """
    backend.configure()
    with undrawn():
        model = build()
        random = _random_initializers(model)
        doubtful = [
            place
            for place, variable in enumerate(model.variables)
            if not (id(variable) in random or _is_state_of_noise(variable) or _is_plain(variable.numpy()))
        ]
        if not doubtful:
            return model
        other = build()
    for place in doubtful:
        variable = model.variables[place]
        if not np.array_equal(variable.numpy(), other.variables[place].numpy()):  # what is no number differs too
            raise TrainingError(
                f"variable {variable.path!r} starts from other values in every build; its layer needs an attribute "
                f"{variable.name}_initializer that takes a seed"
            )
    return model


def initial_values(model: Any, seeds: Sequence[int] | Array) -> list[Array]:
    """Draw the initial values of a model's variables for replicas.

    Every random variable has a seed of its own, made of the replica's seed and the variable's place among the random
    ones, so that networks that differ in layers without random weights start alike. Keras' global seed would not do:
    other threads of a process draw from it too.

    Args:
        model: Model as it was built; its variables are not changed.
        seeds: Seeds of the replicas; not negative.

    Returns:
        Arrays of shape [replicas, ...] in the order of ``model.variables``: drawn where an initialiser or a source of
        noise is random, as built where it is not.
    """
    random = _random_initializers(model)
    weight_seeds, noise_seeds = (_states(seeds, stream) for stream in range(2))
    values: dict[int, Array] = {}
    states: dict[int, Array] = {}
    for variable in model.variables:
        if _is_state_of_noise(variable):
            values[id(variable)] = next(noise_seeds).astype(variable.dtype)
        elif id(variable) in random:
            states[id(variable)] = next(weight_seeds)
        else:
            values[id(variable)] = repeat(variable, len(seeds))
    drawn = [variable for variable in model.variables if id(variable) in states]
    values |= _drawn(drawn, [random[id(variable)] for variable in drawn], [states[id(variable)] for variable in drawn])
    return [values[id(variable)] for variable in model.variables]


def repeat(variable: Any, replicas: int) -> Array:
    """Repeat the value of a Keras variable for every replica, [replicas, ...]."""
    return np.broadcast_to(variable.numpy(), (replicas, *variable.shape))


def distribution(initializer: Any, shape: tuple[int, ...]) -> Distribution | None:
    """Find out what an initialiser draws the values of a variable from; None where it does more than to draw them.

    Example:
        >>> distribution(keras.initializers.HeNormal(), (50, 10)).kind
        'truncated_normal'
    """
    with undrawn() as drawn:
        values = initializer(shape, dtype="float32")
    return drawn[0][0] if len(drawn) == 1 and drawn[0][1] is values else None


def _drawn(variables: Sequence[Any], initializers: Sequence[Any], states: Sequence[Array]) -> dict[int, Array]:
    """Draw variables by their initialisers for the states of random generators, [replicas, 2] each.

    What is drawn from distributions of one kind, as many values for each, is drawn at once.
    """
    values: dict[int, Array] = {}
    groups: dict[tuple[str, int], list[tuple[Any, Distribution, Array]]] = defaultdict(list)
    for variable, initializer, of_variable in zip(variables, initializers, states, strict=True):
        shape = tuple(variable.shape)
        found = distribution(initializer, shape) if variable.dtype == "float32" else None
        if found is None:
            draw = _drawing(_without_seed(initializer), shape, variable.dtype)
            values[id(variable)] = keras.ops.convert_to_numpy(draw(of_variable))
        else:
            groups[found.kind, math.prod(shape)].append((variable, found, of_variable))
    for (kind, size), members in groups.items():
        replicas = len(members[0][2])
        first, second = (
            np.repeat(np.array([member[1][place] for member in members], np.float32), replicas) for place in (1, 2)
        )
        rows = backend.draw(kind, np.concatenate([member[2] for member in members]), first, second, size)
        for place, (variable, *_) in enumerate(members):
            values[id(variable)] = rows[place * replicas : (place + 1) * replicas].reshape(-1, *variable.shape)
    return values


def _without_seed(initializer: Any) -> Keyed:
    """Identify an initialiser whatever its seed, which is not drawn with."""
    settings = {name: value for name, value in initializer.get_config().items() if name != "seed"}
    return Keyed((type(initializer), keyed(settings)), initializer)


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


def _states(seeds: Sequence[int] | Array, stream: int) -> Iterator[Array]:
    """Yield states of random generators, [replicas, 2], whose independent seeds fit a signed 32-bit integer."""
    for place in itertools.count():
        drawn = [np.random.SeedSequence((int(seed), stream, place)).generate_state(1)[0] >> 1 for seed in seeds]
        yield np.stack([drawn, np.zeros_like(drawn)], axis=1)


def _is_plain(values: Array) -> bool:
    """Tell whether values are all nought or all one, which nobody draws."""
    return not values.any() or bool((values == 1).all())


def _is_state_of_noise(variable: Any) -> bool:
    return bool(variable.name == "seed_generator_state")


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


@contextmanager
def undrawn() -> Iterator[list[tuple[Distribution, Array]]]:
    """Let Keras' initialisers, in this thread, draw what is no number: for models whose weights nobody looks at.

    Yields:
        The distributions that are drawn from, each with what stands for its values.
    """
    module = sys.modules[keras.initializers.VarianceScaling.__module__]
    with _RECORDING:
        recording = _Recording(module.random)
        with mock.patch.object(module, "random", recording):
            yield recording.drawn


class _Recording:
    """Stands for ``keras.random``.

    Attributes:
        drawn: Distributions with what was given for values drawn from them.
    """

    def __init__(self, module: Any) -> None:
        self.drawn: list[tuple[Distribution, Array]] = []
        self._module = module
        self._thread = threading.get_ident()

    def __getattr__(self, name: str) -> Any:
        function = getattr(self._module, name)
        if name not in ("uniform", "normal", "truncated_normal") or threading.get_ident() != self._thread:
            return function
        return partial(self._draw, name, inspect.signature(function))

    def _draw(self, kind: str, signature: inspect.Signature, *arguments: Any, **options: Any) -> Array:
        bound = signature.bind(*arguments, **options)
        bound.apply_defaults()
        shape, first, second, dtype, _ = bound.arguments.values()
        values = np.full(shape, np.nan, dtype or keras.config.floatx())
        self.drawn.append((Distribution(kind, first, second), values))
        return values
