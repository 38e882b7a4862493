"""What a value or a network is, as a key: equal keys stand for what computes the same."""

from __future__ import annotations

import enum
import functools
import hashlib
import types
from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from typing import Any

import numpy as np
from etils import epy

with epy.lazy_imports():
    import keras

# What Keras keeps in a layer beside what it computes with: names, where it is used, how it was made, its variables'
# first values.
BOOKKEEPING = frozenset(
    {
        "_auto_config",
        "_build_shapes_dict",
        "_call_signature",
        "_called",
        "_inbound_nodes",
        "_initial_seed",
        "_lock",
        "_loss_ids",
        "_losses",
        "_losses_override",
        "_metrics",
        "_name",
        "_outbound_nodes",
        "_parent_path",
        "_path",
        "_saved_model_arg_spec",
        "_saved_model_inputs_spec",
        "_tracked",
        "_tracker",
        "build",
        "name",
        "quantize",
        "seed",
    }
)
# What a network keeps beside its graph; compiled losses and optimisers are for `fit`.
OF_NETWORKS = ("_trainable", "_dtype_policy", "activity_regularizer", "autocast", "_remat_mode")


class UnidentifiedError(Exception):
    """A value of a kind whose equality cannot be told."""


@dataclass(frozen=True)
class Keyed:
    """A value that equals others of the same key."""

    key: Hashable
    value: Any = field(compare=False)


def keyed(value: Any) -> Keyed:
    """Identify a value by what it is made of, or by itself where that cannot be told."""
    try:
        return Keyed(identify(value), value)
    except UnidentifiedError:
        return Keyed(_Itself(value), value)


def identify(value: Any) -> Hashable:
    """Return a key of a value that others have if and only if they are made of the same.

    Numbers, texts, containers, arrays, data classes and configured Keras objects are what they hold; functions are
    their code with what they bind, in the module where they were made.

    Raises:
        UnidentifiedError: it holds something of another kind, such as a model or an open file.

    Example:
        >>> def scaled(factor):
        ...     return lambda x: factor * x
        >>> identify(scaled(2)) == identify(scaled(2)), identify(scaled(2)) == identify(scaled(3))
        (True, False)
    """
    return _identified(value, ())


def architecture(model: Any) -> Hashable | None:
    """Return a key that networks have if and only if they compute the same from the same values of their variables.

    It is made of the layers with all that they hold but names and initialisers, of their connections, and of the
    variables, which have the same order in networks of one key.

    Args:
        model: Sequential or functional model of layers of Keras or of this package, since others may compute with what
            a key does not see.

    Returns:
        The key; None where it cannot be told.
    """
    try:
        return _Network(model).key
    except UnidentifiedError:
        return None


def keyed_network(model: Any) -> Keyed:
    """Identify a network by its architecture, or by itself where that cannot be told."""
    return Keyed(architecture(model) or _Itself(model), model)


class _Itself:
    """A value that equals itself alone, and lives as long as a key that holds it."""

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, _Itself) and other.value is self.value

    def __hash__(self) -> int:
        return id(self.value)


def _identified(value: Any, inside: tuple[int, ...]) -> Hashable:
    if id(value) in inside:
        raise UnidentifiedError("a value that holds itself")
    return _of(value, lambda held: _identified(held, (*inside, id(value))))


Part = Callable[[Any], Hashable]


@functools.singledispatch
def _of(value: Any, part: Part) -> Hashable:
    """Identify a value by its parts."""
    if is_dataclass(value):
        return type(value), tuple((each.name, part(getattr(value, each.name))) for each in fields(value))
    if _is_known(type(value)):
        if isinstance(value, keras.Loss | keras.Regularizer | keras.constraints.Constraint | keras.DTypePolicy):
            # their configurations need not have all: that of Huber's loss has no delta
            return type(value), part({name: held for name, held in vars(value).items() if name != "name"})
        if isinstance(value, keras.Initializer | keras.Optimizer | keras.optimizers.schedules.LearningRateSchedule):
            return type(value), part(value.get_config() | {"name": None})
    raise UnidentifiedError(f"a value of {type(value)}")


@_of.register(bool | int | str | bytes | type | enum.Enum | types.NoneType)
def _(value: Any, part: Part) -> Hashable:  # noqa: ARG001
    return type(value), value


@_of.register(float | complex)
def _(value: Any, part: Part) -> Hashable:  # noqa: ARG001
    return type(value), repr(value)  # nan differs from itself, and nought equals minus nought


@_of.register(np.ndarray | np.generic)
def _(value: Any, part: Part) -> Hashable:  # noqa: ARG001
    if value.dtype.hasobject:
        raise UnidentifiedError("an array of objects")
    content = np.ascontiguousarray(value)
    return np.ndarray, content.dtype.str, content.shape, hashlib.blake2b(content.tobytes(), digest_size=16).digest()


@_of.register(Mapping)
def _(value: Any, part: Part) -> Hashable:
    return Mapping, tuple((part(name), part(held)) for name, held in value.items())


@_of.register(list | tuple)
def _(value: Any, part: Part) -> Hashable:
    return tuple, tuple(part(held) for held in value)


@_of.register(set | frozenset)
def _(value: Any, part: Part) -> Hashable:
    return frozenset, frozenset(part(held) for held in value)


@_of.register(functools.partial)
def _(value: Any, part: Part) -> Hashable:
    return functools.partial, part(value.func), part(value.args), part(value.keywords)


@_of.register(types.MethodType)
def _(value: Any, part: Part) -> Hashable:
    return types.MethodType, part(value.__func__), part(value.__self__)


@_of.register(types.FunctionType)
def _(value: Any, part: Part) -> Hashable:
    try:
        bound = [cell.cell_contents for cell in value.__closure__ or ()]
    except ValueError as error:
        raise UnidentifiedError("a function that is not bound yet") from error
    held = (value.__defaults__, value.__kwdefaults__, bound, vars(value).get("__wrapped__"))
    return types.FunctionType, value.__code__, _Itself(value.__globals__), part(held)


@_of.register(types.BuiltinFunctionType | types.ModuleType | np.ufunc | functools._lru_cache_wrapper)
def _(value: Any, part: Part) -> Hashable:  # noqa: ARG001
    return _Itself(value)


def _is_known(kind: type) -> bool:
    """Tell whether a class is one of Keras or of this package."""
    return kind.__module__.partition(".")[0] in ("keras", "repro")


class _Network:
    """The key of a network, whose variables and tensors are places in it."""

    def __init__(self, model: Any) -> None:
        self._variables = {id(variable): place for place, variable in enumerate(model.variables)}
        self._operations: dict[int, int] = {}
        variables = tuple(
            (tuple(each.shape), each.dtype, each.trainable, self._value(each.regularizer), self._value(each.constraint))
            for each in model.variables
        )
        weights = tuple(self._variables[id(weight)] for weight in model.weights)
        self.key: Hashable = (variables, weights, self._graph(model))

    def _graph(self, model: Any) -> Hashable:
        graph = model._functional if isinstance(model, keras.Sequential) else model
        if not (isinstance(graph, keras.Function) and type(model).__module__.startswith("keras.")):
            raise UnidentifiedError(f"a network of {type(model)}")
        tensors: dict[int, int] = {}

        def placed(nested: Any) -> Hashable:
            if isinstance(nested, keras.KerasTensor):
                shape = tuple(nested.shape), nested.dtype
                return "tensor", tensors.setdefault(id(nested), len(tensors)), shape
            if isinstance(nested, Mapping):
                return tuple((name, placed(held)) for name, held in nested.items())
            if isinstance(nested, list | tuple):
                return tuple(placed(held) for held in nested)
            return self._value(nested)

        calls = [
            (
                placed([node.arguments.args, node.arguments.kwargs]),
                self._operation(node.operation),
                placed(node.outputs),
            )
            for depth in sorted(graph._nodes_by_depth, reverse=True)
            for node in graph._nodes_by_depth[depth]
        ]
        own = tuple((name, self._value(getattr(model, name, None))) for name in OF_NETWORKS)
        return own, placed(graph._inputs_struct), tuple(calls), placed(graph._outputs_struct)

    def _operation(self, operation: Any) -> Hashable:
        if id(operation) in self._operations:
            return "operation", self._operations[id(operation)]
        self._operations[id(operation)] = len(self._operations)
        if isinstance(operation, keras.Model):
            return self._graph(operation)
        return type(operation), self._state(operation)

    def _state(self, held: Any) -> Hashable:
        """Identify all that an object holds but bookkeeping and initialisers."""
        if not _is_known(type(held)):
            raise UnidentifiedError(f"a value of {type(held)}")
        return tuple(
            (name, self._value(value))
            for name, value in sorted(vars(held).items())
            if not (name in BOOKKEEPING or name.startswith("_self_") or name.endswith("initializer"))
        )

    def _value(self, value: Any) -> Hashable:
        if id(value) in self._variables:
            return "variable", self._variables[id(value)]
        if isinstance(value, keras.Operation):
            return self._operation(value)
        if isinstance(value, keras.KerasTensor):
            return tuple(value.shape), value.dtype
        if isinstance(value, Mapping):
            return Mapping, tuple((name, self._value(held)) for name, held in value.items())
        if isinstance(value, list | tuple):
            return tuple, tuple(self._value(held) for held in value)
        if isinstance(value, set | frozenset):
            return frozenset, frozenset(self._value(held) for held in value)
        if _is_known(type(value)):
            return type(value), self._state(value)
        return identify(value)
