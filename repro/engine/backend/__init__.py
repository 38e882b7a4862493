"""The backend of Keras: chosen once, configured before it is loaded, and the few operations that differ.

Nothing else in the package imports TensorFlow or JAX, or asks which of them runs. Operations take and return tensors of
the chosen backend; ``tensorflow`` and ``jax`` beside this file do them.
"""

from repro.engine.backend.operations import (
    compile_function,
    compile_quickly,
    compiled_text,
    device,
    draw,
    make_functional,
    map_rows,
    outputs_like,
    over_replicas,
    scan,
    value_and_gradient,
)
from repro.engine.backend.selection import BACKENDS, configure, name, select

__all__ = [
    "BACKENDS",
    "compile_function",
    "compile_quickly",
    "compiled_text",
    "configure",
    "device",
    "draw",
    "make_functional",
    "map_rows",
    "name",
    "outputs_like",
    "over_replicas",
    "scan",
    "select",
    "value_and_gradient",
]
