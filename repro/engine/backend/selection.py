"""Which backend Keras runs on in this process: chosen once, with precision and threads pinned before it is loaded."""

from __future__ import annotations

import importlib
import importlib.util
import os
import sys
from functools import cache
from types import ModuleType

from etils import epy

from repro.common import ReproError

with epy.lazy_imports():
    import keras
    import threadpoolctl

BACKENDS = ("tensorflow", "jax")


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
    """Load Keras on the chosen backend with one thread per program on CPU and full float32 precision.

    Sums and convolution gradients of several threads differ bitwise from those of one; parallelism is between programs.
    Recent GPUs would multiply float32 in TensorFloat-32.

    Raises:
        ReproError: no backend is installed, or TensorFlow has run already with several threads.
    """
    select(name())
    _limit_linear_algebra_threads()
    implementation().configure()


def implementation() -> ModuleType:
    """Import the module for the chosen backend: ``repro.engine.backend.tensorflow`` or ``.jax``."""
    return importlib.import_module(f"repro.engine.backend.{name()}")


def _limit_linear_algebra_threads() -> None:
    for variable in ("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS"):
        os.environ[variable] = "1"  # libraries read it when they are loaded
    threadpoolctl.threadpool_limits(1)  # for those that are loaded already
