"""Ways in which a function of Keras can be wrong, and a context that makes it so.

A mutation maps a function to a faulty version of it. Mutations are module-level functions, with their settings bound by
``functools.partial``, so that they can be sent to other processes.
"""

from __future__ import annotations

import functools
import gc
import importlib
import inspect
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from typing import Any

from etils import epy

from repro.common import ReproError

with epy.lazy_imports():
    import keras

Function = Callable[..., Any]
Mutation = Callable[[Function], Function]


def scaled(original: Function, *, factor: float) -> Function:
    """Multiply every floating-point result."""
    return _with_results(original, lambda value: factor * value)


def shifted(original: Function, *, offset: float) -> Function:
    """Add a constant to every floating-point result."""
    return _with_results(original, lambda value: value + offset)


def misplaced(original: Function, *, axis: int) -> Function:
    """Shift every floating-point result cyclically by one along an axis."""
    return _with_results(original, lambda value: keras.ops.roll(value, 1, axis=axis))


def derivative_scaled(original: Function, *, factor: float) -> Function:
    """Keep the results and multiply their derivatives."""
    return _with_results(original, lambda value: factor * value + keras.ops.stop_gradient((1 - factor) * value))


def passed_through(original: Function) -> Function:
    """Return the first argument, or the first of several inputs, as if the function did nothing."""

    def faulty(*arguments: Any, **options: Any) -> Any:
        original(*arguments, **options)  # which may create state that is expected to be there
        values = [*arguments, *options.values()]
        inputs = next(value for value in values if has_floats(value))
        return inputs[0] if isinstance(inputs, list | tuple) else inputs

    return faulty


def with_argument(original: Function, *, name: str | int, change: Callable[[Any], Any]) -> Function:
    """Call the function with one argument changed, which is known by its name or its position.

    Raises:
        ReproError: the function has no such argument.
    """
    signature = inspect.signature(original)
    names = list(signature.parameters)
    chosen = names[name] if isinstance(name, int) else name
    if chosen not in names:
        raise ReproError(f"{original.__qualname__} has no argument {name!r} to plant a fault in; adapt the fault")

    def faulty(*arguments: Any, **options: Any) -> Any:
        bound = signature.bind(*arguments, **options)
        bound.apply_defaults()
        bound.arguments[chosen] = change(bound.arguments[chosen])
        return original(*bound.args, **bound.kwargs)

    return faulty


def with_attribute(original: Function, *, name: str, change: Callable[[Any], Any]) -> Function:
    """Call the method while an attribute of its object is changed."""

    def faulty(self: Any, *arguments: Any, **options: Any) -> Any:
        value = getattr(self, name)
        setattr(self, name, change(value))
        try:
            return original(self, *arguments, **options)
        finally:
            setattr(self, name, value)

    return faulty


def stale(original: Function, *, name: str) -> Function:
    """Undo what the method does to the variables, one or a list, in an attribute of its object."""

    def faulty(self: Any, *arguments: Any, **options: Any) -> Any:
        held = getattr(self, name)
        variables = held if isinstance(held, list | tuple) else [held]
        values = [keras.ops.copy(variable) for variable in variables]
        result = original(self, *arguments, **options)
        for variable, value in zip(variables, values, strict=True):
            variable.assign(value)
        return result

    return faulty


def state_kept(original: Function) -> Function:
    """Let a recurrent cell return the state that it was given."""

    def faulty(self: Any, inputs: Any, states: Any, *arguments: Any, **options: Any) -> Any:
        output, _ = original(self, inputs, states, *arguments, **options)
        return output, states

    return faulty


def not_rescaled(original: Function) -> Function:
    """Undo the division of kept units by the probability of keeping them, in dropout."""

    def faulty(self: Any, inputs: Any, training: bool = False) -> Any:
        kept = original(self, inputs, training=training)
        return kept * (1 - self.rate) if training else kept

    return faulty


# Changes of arguments and attributes.


def negated(value: Any) -> Any:
    """Return the value with its sign flipped."""
    return -value


def complement(value: Any) -> Any:
    """Return one minus the value."""
    return 1 - value


def times(value: Any, *, factor: float) -> Any:
    """Multiply the value by a factor."""
    return factor * value


def set_to(_: Any, *, value: Any) -> Any:
    """Replace the value by another."""
    return value


def zeroed(value: Any) -> Any:
    """Return zeros of the same shape."""
    return 0 * value


def unit(value: Any) -> Any:
    """Return ones of the same shape."""
    return 0 * value + 1


def other_axis(axis: Any) -> Any:
    """Exchange the first and the last axis; all axes stay all axes."""
    return None if axis is None else 0 if axis != 0 else -1


@contextmanager
def planted(mutations: Mapping[str, Mutation]) -> Iterator[None]:
    """Replace functions of Keras by faulty ones, wherever they are referred to.

    Args:
        mutations: Mutations by target, the dotted name of a public function (``keras.ops.mean``) or of a method of a
            public class (``keras.layers.Dense.call``). A method that is inherited becomes faulty in the named class and
            below.

    Raises:
        ReproError: this version of Keras has no such target, or the target lacks the argument that is to be changed.
    """
    found = {target: locate(target) for target in mutations}
    places = _places([getattr(*place) for place in found.values() if not inspect.isclass(place[0])])
    restore: list[Callable[[], None]] = []
    try:
        for target, (owner, name) in found.items():
            original = getattr(owner, name)
            faulty = functools.wraps(original)(mutations[target](original))
            if inspect.isclass(owner):
                restore.append(_replace_method(owner, name, faulty))
                continue
            for namespace, key in places[id(original)]:
                namespace[key] = faulty
                restore.append(functools.partial(namespace.__setitem__, key, original))
        yield
    finally:
        for undo in reversed(restore):
            undo()


def locate(target: str) -> tuple[Any, str]:
    """Find the module or class that holds a target, and its name there.

    Raises:
        ReproError: there is none in this version of Keras.
    """
    *path, name = target.split(".")
    owner: Any = importlib.import_module(path[0])
    for step in path[1:]:
        owner = getattr(owner, step, None)
    if not callable(getattr(owner, name, None)):
        raise ReproError(f"this version of Keras has no {target} to plant a fault in; adapt the table of faults")
    return owner, name


def has_floats(value: Any) -> bool:
    """Tell whether a value is or contains floating-point numbers in a tensor or an array."""
    if isinstance(value, list | tuple):
        return any(has_floats(item) for item in value)
    return hasattr(value, "shape") and "float" in str(getattr(value, "dtype", ""))


def _with_results(original: Function, change: Callable[[Any], Any]) -> Function:
    def faulty(*arguments: Any, **options: Any) -> Any:
        return _changed(original(*arguments, **options), change)

    return faulty


def _changed(value: Any, change: Callable[[Any], Any]) -> Any:
    if type(value) in (list, tuple):
        return type(value)(_changed(item, change) for item in value)
    return change(value) if has_floats(value) else value


def _places(functions: list[Function]) -> dict[int, list[tuple[dict[Any, Any], Any]]]:
    """Find the namespaces and tables that refer to functions, by the functions' identity."""
    wanted = {id(function) for function in functions}
    places: dict[int, list[tuple[dict[Any, Any], Any]]] = {identity: [] for identity in wanted}
    for holder in gc.get_referrers(*functions) if functions else []:
        if isinstance(holder, dict):
            for key, value in holder.items():
                if id(value) in wanted:
                    places[id(value)].append((holder, key))
    return places


def _replace_method(owner: type, name: str, faulty: Function) -> Callable[[], None]:
    inherited = name not in vars(owner)
    original = vars(owner).get(name)
    setattr(owner, name, faulty)
    return functools.partial(delattr, owner, name) if inherited else functools.partial(setattr, owner, name, original)
