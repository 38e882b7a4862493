"""The few functions that differ between TensorFlow and JAX, and what is pinned: precision and threads.

Nothing else in the package imports TensorFlow or JAX, or asks which of them runs.
"""

from __future__ import annotations

import importlib.util
import os
import sys
from collections.abc import Callable, Sequence
from contextlib import suppress
from functools import cache, partial
from typing import Any

from etils import epy

from repro import compilation_cache
from repro.descriptors import output_to_nowhere
from repro.errors import ReproError, TrainingError

with epy.lazy_imports():
    import keras
    import threadpoolctl

BACKENDS = ("tensorflow", "jax")

ROWS = 16
RANDOM_OPERATIONS = (
    "StatelessRandomGetKeyCounter",
    "StatelessRandomNormalV2",
    "StatelessRandomUniformIntV2",
    "StatelessRandomUniformV2",
    "StatelessTruncatedNormalV2",
)


def select(backend: str) -> None:
    """Choose the backend of Keras for this process and those it starts.

    Raises:
        ReproError: no such backend, it is not installed, or Keras runs on another one already.
    """
    if backend not in BACKENDS:
        raise ReproError(f"no backend {backend!r}; backends are {', '.join(BACKENDS)}")
    if importlib.util.find_spec(backend) is None:
        raise ReproError(f"the {backend} backend is not installed; pip install 'keras-repro[{backend}]'")
    if "keras.src.backend" in sys.modules and keras.backend.backend() != backend:
        raise ReproError(
            f"Keras runs on {keras.backend.backend()} already; set KERAS_BACKEND={backend} before it is loaded"
        )
    os.environ["KERAS_BACKEND"] = backend


def name() -> str:
    """Return the backend: that of ``KERAS_BACKEND``, else the first that is installed.

    Raises:
        ReproError: ``KERAS_BACKEND`` names another backend, or none is installed.
    """
    chosen = os.environ.get("KERAS_BACKEND")
    if chosen is None:
        installed = [backend for backend in BACKENDS if importlib.util.find_spec(backend)]
        if not installed:
            raise ReproError("no backend is installed; pip install 'keras-repro[tensorflow]' or 'keras-repro[jax]'")
        return installed[0]
    if chosen not in BACKENDS:
        raise ReproError(f"KERAS_BACKEND={chosen} is not supported; use {' or '.join(BACKENDS)}")
    return chosen


@cache
def configure() -> None:
    """Load Keras on the chosen backend with one thread a program on CPU and full float32 precision.

    Sums and convolution gradients of several threads differ bitwise from those of one; parallelism is between programs.
    Recent GPUs would multiply float32 in TensorFloat-32.

    Raises:
        ReproError: no backend is installed, or TensorFlow has run already with several threads.
    """
    select(name())
    _limit_linear_algebra_threads()
    if name() == "jax":
        import jax

        flags = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
        os.environ["XLA_FLAGS"] = f"{os.environ.get('XLA_FLAGS', '')} {flags}".strip()
        jax.config.update("jax_enable_x64", True)
        jax.config.update("jax_default_matmul_precision", "highest")
        compilation_cache.use_in_jax(jax.config)
    else:
        os.environ.setdefault("TF_CPP_MIN_LOG_LEVEL", "3")
        with output_to_nowhere():  # it greets before it knows the level
            import tensorflow

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


def _limit_linear_algebra_threads() -> None:
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"  # libraries read it when they are loaded
    threadpoolctl.threadpool_limits(1)  # for those that are loaded already


def device() -> str:
    """Return the device that programs run on: ``CPU``, or the name of the first accelerator."""
    configure()
    if name() == "jax":
        import jax

        first = jax.devices()[0]
        return "CPU" if first.platform == "cpu" else str(first.device_kind)
    import tensorflow

    accelerators = tensorflow.config.list_physical_devices("GPU")
    if not accelerators:
        return "CPU"
    return str(tensorflow.config.experimental.get_device_details(accelerators[0]).get("device_name", "GPU"))


def compiled(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function of tensors with XLA, once for every signature."""
    if name() == "jax":
        import jax

        return jax.jit(function)  # type: ignore[no-any-return]
    import tensorflow

    return tensorflow.function(function, jit_compile=True, autograph=False)  # type: ignore[no-any-return]


def value_and_gradient(
    function: Callable[..., Any], values: Sequence[Any], *arguments: Any
) -> tuple[Any, Any, list[Any]]:
    """Differentiate a function with an auxiliary output.

    Args:
        function: maps ``values`` and ``arguments`` to a scalar and an auxiliary output.
        values: tensors to differentiate by.
        *arguments: constants.

    Returns:
        The scalar, the auxiliary output, and the gradient: one tensor for each of ``values``.
    """
    values = list(values)
    if name() == "jax":
        import jax

        (value, auxiliary), gradient = jax.value_and_grad(function, has_aux=True)(values, *arguments)
        return value, auxiliary, gradient
    import tensorflow

    with tensorflow.GradientTape() as tape:
        tape.watch(values)
        value, auxiliary = function(values, *arguments)
    gradient = tape.gradient(value, values, unconnected_gradients=tensorflow.UnconnectedGradients.ZERO)
    return value, auxiliary, gradient


def scan(step: Callable[[Any, Any], tuple[Any, Any]], state: Any, inputs: Any, output: Any = ()) -> tuple[Any, Any]:
    """Run a step for every row of the inputs, inside a compiled function.

    ``keras.ops.scan`` cannot carry tensors of several shapes on TensorFlow.

    Args:
        step: maps the state and one row of the inputs to the next state and an output, both nested as they came.
        state: nested tensors.
        inputs: nested tensors with a common first axis.
        output: tensors nested, shaped and typed like one output, so that it need not be traced to find out.

    Returns:
        The last state, and the outputs stacked on a new first axis.
    """
    if name() == "jax":
        import jax

        return jax.lax.scan(step, state, inputs)  # type: ignore[no-any-return]
    import tensorflow

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
    """Call a function of one replica's tensors for all replicas at once, inside a compiled function.

    Args:
        function: maps nested tensors to nested tensors.
        *arguments: its arguments, nested, with replicas on the first axis of every tensor.

    Returns:
        Its results with replicas on the first axis.
    """
    if keras.tree.flatten(arguments)[0].shape[0] == 1:
        result = function(*keras.tree.map_structure(lambda values: values[0], arguments))
        return keras.tree.map_structure(lambda values: values[None], result)
    if name() == "jax":
        import jax

        return jax.vmap(function)(*arguments)
    import tensorflow

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


def mapped(function: Callable[[Any], Any], dtype: str) -> Callable[[Any], Any]:
    """Make a function that calls another one for every row of a tensor and stacks the tensors it returns.

    Compiled once for any number of rows: for drawing initial weights, compiling takes longer than what it compiles.
    JAX does so for blocks of rows; TensorFlow traces a loop, without XLA.

    Args:
        function: of one row.
        dtype: of what it returns.
    """
    if name() == "jax":
        import jax

        in_block = jax.jit(jax.vmap(function))

        def in_blocks(rows: Any) -> Any:
            padded = rows[jax.numpy.arange(-(-len(rows) // ROWS) * ROWS).clip(max=len(rows) - 1)]
            blocks = [in_block(padded[start : start + ROWS]) for start in range(0, len(padded), ROWS)]
            return jax.numpy.concatenate(blocks)[: len(rows)]

        return in_blocks
    import tensorflow

    return tensorflow.function(  # type: ignore[no-any-return]
        lambda rows: tensorflow.map_fn(function, rows, fn_output_signature=dtype),
        autograph=False,
        reduce_retracing=True,
    )


def functional(optimizer: Any) -> Any:
    """Copy an optimiser so that its ``stateless_apply`` works on both backends.

    Keras' TensorFlow optimisers replace the methods that change variables by versions for ``tf.distribute``, which need
    TensorFlow variables; the base class's versions work on tensors.

    Args:
        optimizer: a Keras optimiser.

    Returns:
        An optimiser of the same configuration, not yet built.

    Raises:
        TrainingError: it averages weights or accumulates gradients, which Keras does not do on tensors.
    """
    for option in ("use_ema", "gradient_accumulation_steps"):
        if getattr(optimizer, option):
            raise TrainingError(f"optimiser {optimizer.name!r} cannot be used with {option}; leave it out")
    kind = type(optimizer)
    if name() == "tensorflow":
        from keras.src.backend.tensorflow.optimizer import TFOptimizer
        from keras.src.optimizers.base_optimizer import BaseOptimizer

        replaced = [
            method for method in vars(TFOptimizer) if not method.startswith("__") and hasattr(BaseOptimizer, method)
        ]
        restored = type("Functional", (TFOptimizer,), {method: getattr(BaseOptimizer, method) for method in replaced})
        kind = type(kind.__name__, (kind, restored), {})  # looked up after the optimiser's own methods
    return kind.from_config(optimizer.get_config())
