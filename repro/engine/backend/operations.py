"""The operations that differ between TensorFlow and JAX, in common terms; the chosen backend carries them out."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
from etils import epy

from repro.common import TrainingError
from repro.engine.backend.selection import configure, implementation

with epy.lazy_imports():
    import keras

Array = npt.NDArray[np.generic]


def device() -> str:
    """Return the device that programs run on: ``CPU``, or the name of the first accelerator."""
    configure()
    return str(implementation().device())


def compile_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of tensors with XLA, once for every signature."""
    return implementation().compile_function(function)  # type: ignore[no-any-return]


def compile_quickly(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function whose operations run a few times only, with less effort where the backend has a choice.

    JAX has, for everything but what ``compile_function`` compiles; TensorFlow compiles all with full effort.
    """
    return implementation().compile_quickly(function)  # type: ignore[no-any-return]


def compiled_text(function: Callable[..., Any], *arguments: Any) -> str:
    """Return the program that XLA compiles a function of tensors to, as text: its operations after optimisation."""
    return str(implementation().compiled_text(function, *arguments))


def value_and_gradient(
    function: Callable[..., Any], values: Sequence[Any], *arguments: Any
) -> tuple[Any, Any, list[Any]]:
    """Differentiate a function with an auxiliary output.

    Args:
        function: Function that maps ``values`` and ``arguments`` to a scalar and an auxiliary output.
        values: Tensors with respect to which the scalar is differentiated.
        *arguments: Constants, the further arguments of the function.

    Returns:
        The scalar, the auxiliary output, and the gradient: one tensor for each of ``values``.
    """
    return implementation().value_and_gradient(function, list(values), *arguments)  # type: ignore[no-any-return]


def scan(step: Callable[[Any, Any], tuple[Any, Any]], state: Any, inputs: Any, output: Any = ()) -> tuple[Any, Any]:
    """Run a step for every row of the inputs, inside a compiled function.

    ``keras.ops.scan`` cannot carry tensors of several shapes on TensorFlow.

    Args:
        step: Function that maps the state and one row of the inputs to the next state and an output, both nested as
            they came.
        state: Initial state, as nested tensors.
        inputs: Nested tensors with a common first axis.
        output: Tensors nested, shaped and typed like one output, so that it need not be traced to find out.

    Returns:
        The last state, and the outputs stacked on a new first axis.
    """
    return implementation().scan(step, state, inputs, output)  # type: ignore[no-any-return]


def over_replicas(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of one replica's tensors for all replicas at once, inside a compiled function.

    Args:
        function: Function that maps nested tensors to nested tensors.
        *arguments: Arguments of the function, nested, with replicas on the first axis of every tensor.

    Returns:
        The results of the function, with replicas on the first axis.
    """
    if keras.tree.flatten(arguments)[0].shape[0] == 1:
        result = function(*keras.tree.map_structure(lambda values: values[0], arguments))
        return keras.tree.map_structure(lambda values: values[None], result)
    return implementation().over_replicas(function, *arguments)


def map_rows(function: Callable[[Any], Any], dtype: str) -> Callable[[Any], Any]:
    """Make a function that calls another one for every row of a tensor and stacks the tensors it returns.

    Compiled once for any number of rows: for drawing initial weights, compiling takes longer than what it compiles.
    JAX does so for blocks of rows; TensorFlow traces a loop, without XLA.

    Args:
        function: Function of one row.
        dtype: Data type of what it returns.
    """
    return implementation().map_rows(function, dtype)  # type: ignore[no-any-return]


def draw(kind: str, states: Array, first: Array, second: Array, size: int) -> Array:
    """Draw rows of independent values, each row from a distribution and a state of its own.

    JAX compiles one function for all sizes up to a power of two, whose first values are those of smaller sizes;
    TensorFlow traces one for all sizes, without XLA.

    Args:
        kind: ``normal``, ``truncated_normal`` or ``uniform``, functions of ``keras.random``.
        states: States of random generators, [rows, 2].
        first: Means or lower limits, [rows].
        second: Standard deviations or upper limits, [rows].
        size: Number of values in a row.

    Returns:
        Values in single precision, [rows, size]: those that ``keras.random`` draws alone for any shape of that size.
    """
    return implementation().draw(kind, states, first, second, size)  # type: ignore[no-any-return]


def outputs_like(function: Callable[..., Any], *arguments: Any) -> Any:
    """Find out shapes and types of what a function returns, or how it fails; what it returns has no other use.

    JAX traces it, since it would compile each operation; TensorFlow calls it. Variables that it would assign to stay as
    they are.
    """
    with keras.StatelessScope():
        return implementation().outputs_like(function, *arguments)


def make_functional(optimizer: Any) -> Any:
    """Copy an optimiser so that its ``stateless_apply`` works on both backends.

    Keras' TensorFlow optimisers replace the methods that change variables by versions for ``tf.distribute``, which need
    TensorFlow variables; the base class's versions work on tensors.

    Args:
        optimizer: Keras optimiser.

    Returns:
        An optimiser of the same configuration, not yet built.

    Raises:
        TrainingError: it averages weights or accumulates gradients, which Keras does not do on tensors.
    """
    for option in ("use_ema", "gradient_accumulation_steps"):
        if getattr(optimizer, option):
            raise TrainingError(f"optimiser {optimizer.name!r} cannot be used with {option}; leave it out")
    return implementation().functional_class(type(optimizer)).from_config(optimizer.get_config())
