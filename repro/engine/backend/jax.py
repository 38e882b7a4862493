"""What ``repro.engine.backend.operations`` describes, by JAX."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Sequence
from functools import cache
from typing import Any

import jax
import numpy as np
import numpy.typing as npt
from etils import epy

from repro.engine import compilation_cache

with epy.lazy_imports():
    import keras

BLOCK = 16
DRAWN_AT_ONCE = 2**18  # values that a block of rows has at most, if it has several


FULL_EFFORT = {"xla_backend_optimization_level": 3}


def configure() -> None:
    """Pin one thread per program on CPU and full precision, before JAX first runs.

    JAX compiles every operation outside programs for every shape, to run it a few times: with little effort, unless
    ``XLA_FLAGS`` asks for another level.
    """
    little_effort = "--xla_backend_optimization_level=1"
    one_thread = "--xla_cpu_multi_thread_eigen=false intra_op_parallelism_threads=1"
    os.environ["XLA_FLAGS"] = " ".join((little_effort, os.environ.get("XLA_FLAGS", ""), one_thread))
    jax.config.update("jax_enable_x64", True)
    jax.config.update("jax_default_matmul_precision", "highest")
    compilation_cache.use_in_jax(jax.config)


def device() -> str:
    """Return the name of the first accelerator, or ``CPU``."""
    first = jax.devices()[0]
    return "CPU" if first.platform == "cpu" else str(first.device_kind)


def compile_function(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function with XLA, with full effort."""
    return jax.jit(function, compiler_options=FULL_EFFORT)  # type: ignore[no-any-return]


def compile_quickly(function: Callable[..., Any]) -> Callable[..., Any]:
    """Compile a function with XLA, with the effort of this process."""
    return jax.jit(function)  # type: ignore[no-any-return]


def compiled_text(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return the optimised program of a function."""
    return jax.jit(function).lower(*arguments).compile().as_text()


def value_and_gradient(function: Callable[..., Any], values: Sequence[Any], *arguments: Any) -> tuple[Any, Any, Any]:
    """Differentiate a function with an auxiliary output."""
    (value, auxiliary), gradient = jax.value_and_grad(function, has_aux=True)(values, *arguments)
    return value, auxiliary, gradient


def scan(step: Callable[[Any, Any], Any], state: Any, inputs: Any, output: Any) -> Any:  # noqa: ARG001  JAX traces one
    """Run a step for every row of the inputs."""
    return jax.lax.scan(step, state, inputs)


def over_replicas(function: Callable[..., Any], *arguments: Any) -> Any:
    """Call a function of one replica's tensors for all replicas, vectorised."""
    return jax.vmap(function)(*arguments)


def map_rows(function: Callable[[Any], Any], dtype: str) -> Callable[[Any], Any]:  # noqa: ARG001  JAX finds out
    """Make a function that calls another one for blocks of rows and is compiled once."""
    in_block = jax.jit(jax.vmap(function))

    def in_blocks(rows: Any) -> Any:
        padded = rows[jax.numpy.arange(-(-len(rows) // BLOCK) * BLOCK).clip(max=len(rows) - 1)]
        blocks = [in_block(padded[start : start + BLOCK]) for start in range(0, len(padded), BLOCK)]
        return jax.numpy.concatenate(blocks)[: len(rows)]

    return in_blocks


def draw(
    kind: str, states: npt.NDArray[Any], first: npt.NDArray[Any], second: npt.NDArray[Any], size: int
) -> npt.NDArray[Any]:
    """Draw rows of independent values."""
    drawn = 2 ** math.ceil(math.log2(size))
    block = max(1, min(BLOCK, DRAWN_AT_ONCE // drawn))
    rows = [np.arange(start, start + block).clip(max=len(states) - 1) for start in range(0, len(states), block)]
    in_block = _drawing(kind, drawn)
    found = [np.asarray(in_block(states[of_block], first[of_block], second[of_block])) for of_block in rows]
    return np.concatenate(found)[: len(states), :size]


@cache
def _drawing(kind: str, size: int) -> Callable[..., Any]:
    function = getattr(keras.random, kind)
    return jax.jit(jax.vmap(lambda state, first, second: function((size,), first, second, seed=state)))  # type: ignore[no-any-return]


def outputs_like(function: Callable[..., Any], *arguments: Any) -> Any:
    """Trace a function."""
    return jax.eval_shape(function, *arguments)


def functional_class(optimizer: type[Any]) -> type[Any]:
    """Return the class of an optimiser, which works on tensors as it is."""
    return optimizer
