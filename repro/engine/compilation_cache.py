"""Compiled programs that outlive their process, in the user's cache folder.

A user's own settings of the frameworks take precedence: ``JAX_COMPILATION_CACHE_DIR`` and
``JAX_ENABLE_COMPILATION_CACHE``, or ``--tf_xla_persistent_cache_directory`` in ``TF_XLA_FLAGS``, empty for none.
"""

from __future__ import annotations

import hashlib
import os
import platform
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from typing import Any

from etils import epy

with epy.lazy_imports():
    import platformdirs

LARGEST_BYTES = 2**30
TENSORFLOW_FLAG = "--tf_xla_persistent_cache_directory"
WITHOUT_CACHE = {"JAX_ENABLE_COMPILATION_CACHE": "false", "TF_XLA_FLAGS": f"{TENSORFLOW_FLAG}="}  # as environment


def use_in_jax(config: Any) -> None:
    """Let JAX keep programs; it evicts them itself, and tells versions and processors apart.

    Args:
        config: Configuration of JAX.
    """
    if config.jax_compilation_cache_dir is None:
        config.update("jax_compilation_cache_dir", str(_folder() / "jax"))
        config.update("jax_compilation_cache_max_size", LARGEST_BYTES)
        config.update("jax_persistent_cache_min_compile_time_secs", 0.1)


def use_in_tensorflow(version: str) -> None:
    """Let TensorFlow keep programs; it must not have compiled any yet.

    TensorFlow names programs by what they compute alone, but a program of another version or for another processor can
    end the process: each has a folder of its own.

    Args:
        version: Version of TensorFlow.
    """
    flags = os.environ.get("TF_XLA_FLAGS", "")
    if TENSORFLOW_FLAG in flags:
        return
    folder = _folder() / f"tensorflow-{version}-{_processor()}"
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError:
        return  # a cache is no reason to fail
    evict(folder.parent.glob("tensorflow-*/*"), LARGEST_BYTES)
    os.environ["TF_XLA_FLAGS"] = f"{flags} {TENSORFLOW_FLAG}={folder}".strip()


def evict(files: Iterable[Path], largest: int) -> None:
    """Delete the least recently used files, until the others together have at most ``largest`` bytes."""
    found = []
    for file in files:
        with suppress(OSError):  # other processes evict too
            status = file.stat()
            found.append((max(status.st_atime, status.st_mtime), status.st_size, file))
    kept = 0
    for _, size, file in sorted(found, reverse=True):
        kept += size
        if kept > largest:
            with suppress(OSError):
                file.unlink()


def _folder() -> Path:
    return platformdirs.user_cache_path("keras-repro")


def _processor() -> str:
    """Identify what kind of processor this is, with the instructions it has where the system tells them."""
    information = Path("/proc/cpuinfo")
    described = information.read_text().partition("\n\n")[0].splitlines() if information.exists() else []
    kinds = [line for line in described if line.startswith(("model name", "flags", "Features", "CPU part"))]
    return hashlib.sha256("\n".join([platform.machine(), *kinds]).encode()).hexdigest()[:12]
