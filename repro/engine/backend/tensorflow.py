"""What ``repro.engine.backend.operations`` describes, by TensorFlow."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial
from typing import Any

import numpy as np
import numpy.typing as npt
from etils import epy

from repro.common import ReproError, output_to_nowhere
from repro.engine import compilation_cache

os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
with output_to_nowhere():  # it greets before it knows the level
    import tensorflow

with epy.lazy_imports():
    import keras

RANDOM_OPERATIONS = (
    "StatelessRandomGetKeyCounter",
    "StatelessRandomNormalV2",
    "StatelessRandomUniformIntV2",
    "StatelessRandomUniformV2",
    "StatelessTruncatedNormalV2",
)


def configure() -> None:
    """Pin one thread per program on CPU and full precision, before TensorFlow first runs.

    Raises:
        ReproError: it has run already with several threads.
    """
    tensorflow.get_logger().setLevel("ERROR")  # many small programs are meant, and are no cause for a warning
    compilation_cache.use_in_tensorflow(tensorflow.__version__)
    tensorflow.config.experimental.enable_tensor_float_32_execution(False)
    try:
        tensorflow.config.threading.set_intra_op_parallelism_threads(1)
        tensorflow.config.threading.set_inter_op_parallelism_threads(1)
    except RuntimeError as error:
        raise ReproError(
            "TensorFlow has run already with several threads; call repro before anything else uses it"
        ) from error


def device() -> str:
    """Return the name of the first accelerator, or ``CPU``."""
    accelerators = tensorflow.config.list_physical_devices("GPU")
    if not accelerators:
        return "CPU"
    return str(tensorflow.config.experimental.get_device_details(accelerators[0]).get("device_name", "GPU"))


def compile_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function with XLA."""
    return tensorflow.function(function, jit_compile=True, autograph=False)  # type: ignore[no-any-return]


compile_quickly = compile_function  # TensorFlow has one level for a process


def compiled_text(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the optimised program of a function."""
    compiled: Any = compile_function(function)
    return compiled.experimental_get_compiler_ir(*arguments)(stage="optimized_hlo")


def value_and_gradient(function: Callable[..., Any], values: Sequence[Any], *arguments: Any) -> tuple[Any, Any, Any]:
    """Differentiate a function with an auxiliary output."""
    with tensorflow.GradientTape() as tape:
        tape.watch(values)
        value, auxiliary = function(values, *arguments)
    gradient = tape.gradient(value, values, unconnected_gradients=tensorflow.UnconnectedGradients.ZERO)
    return value, auxiliary, gradient


def scan(step: Callable[[Any, Any], Any], state: Any, inputs: Any, output: Any) -> Any:
    """Run a step for every row of the inputs."""
    tree = tensorflow.nest
    state, inputs, output = (
        tree.map_structure(tensorflow.convert_to_tensor, nested) for nested in (state, inputs, output)
    )
    rows = tree.flatten(inputs)[0].shape[0]
    if rows == 1:  # a loop inside a loop takes XLA several times as long to compile
        state, output = step(state, tree.map_structure(lambda values: values[0], inputs))
        return state, tree.map_structure(lambda value: value[tensorflow.newaxis], output)
    arrays = [tensorflow.TensorArray(like.dtype, size=rows, element_shape=like.shape) for like in tree.flatten(output)]

    def body(index: Any, state: Any, arrays: Any) -> Any:
        state, output = step(state, tree.map_structure(lambda values: values[index], inputs))
        written = [array.write(index, value) for array, value in zip(arrays, tree.flatten(output), strict=True)]
        return index + 1, state, written

    _, state, arrays = tensorflow.while_loop(
        lambda index, *_: index < rows, body, (tensorflow.constant(0), state, arrays), maximum_iterations=rows
    )
    return state, tree.pack_sequence_as(output, [array.stack() for array in arrays])


def over_replicas(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of one replica's tensors for all replicas, vectorised."""
    _vectorize_random_numbers()
    # A loop for every operation without a vectorised form would be slower than a loop over replicas.
    return tensorflow.vectorized_map(lambda row: function(*row), arguments, fallback_to_while_loop=False)


@cache
def _vectorize_random_numbers() -> None:
    """Let TensorFlow draw the random numbers of replicas in a loop of their own, and vectorise all else.

    It does so with the operations that Keras drew by before, and has no rule for those of today. Where a release keeps
    its rules elsewhere, networks with noise are trained one by one.
    """
    with suppress(ImportError, AttributeError):
        from tensorflow.python.ops.parallel_for import pfor

        for operation in RANDOM_OPERATIONS:
            with suppress(AssertionError):  # a later release has a rule for it
                pfor.RegisterPFor(operation)(partial(pfor._fallback_converter, warn=False))


def map_rows(function: Callable[[Any], Any], dtype: str) -> Callable[[Any], Any]:
    """Make a function that loops over rows, without XLA: for a few rows, compiling would take longer than running."""
    return tensorflow.function(  # type: ignore[no-any-return]
        lambda rows: tensorflow.map_fn(function, rows, fn_output_signature=dtype),
        autograph=False,
        reduce_retracing=True,
    )


def draw(
    kind: str, states: npt.NDArray[Any], first: npt.NDArray[Any], second: npt.NDArray[Any], size: int
) -> npt.NDArray[Any]:
    """Draw rows of independent values."""
    return _drawing(kind)(states, first, second, np.int32(size)).numpy()  # type: ignore[no-any-return]


@cache
def _drawing(kind: str) -> Callable[..., Any]:
    function, generator = getattr(keras.random, kind), keras.random.SeedGenerator(0)

    def draw_row(size: Any, row: Any) -> Any:
        state, first, second = row
        with keras.StatelessScope(state_mapping=[(generator.state, state)]):
            return function((size,), first, second, seed=generator)

    floats = tensorflow.TensorSpec([None], tensorflow.float32)
    states = tensorflow.TensorSpec([None, 2], generator.state.dtype)
    return tensorflow.function(  # type: ignore[no-any-return]
        lambda states, first, second, size: tensorflow.map_fn(
            partial(draw_row, size), (states, first, second), fn_output_signature=floats
        ),
        input_signature=(states, floats, floats, tensorflow.TensorSpec([], tensorflow.int32)),
        autograph=False,
    )


def outputs_like(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function."""
    return function(*arguments)


def functional_class(optimizer: type[Any]) -> type[Any]:
    """Return the class of an optimiser with the methods of its base class, which work on tensors as they do on JAX."""
    from keras.src.backend.tensorflow.optimizer import TFOptimizer
    from keras.src.optimizers.base_optimizer import BaseOptimizer

    replaced = [
        method for method in vars(TFOptimizer) if not method.startswith("__") and hasattr(BaseOptimizer, method)
    ]
    restored = type("Functional", (TFOptimizer,), {method: getattr(BaseOptimizer, method) for method in replaced})
    return type(optimizer.__name__, (optimizer, restored), {})  # looked up after the optimiser's own methods
