"""Where this process prints: the file descriptors and not sys.stdout, because frameworks write to them directly."""

from __future__ import annotations

import faulthandler
import functools
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path


@contextmanager
def output_to_nowhere() -> Iterator[None]:
    """Discard what this process, and processes that it starts meanwhile, print."""
    nowhere = os.open(os.devnull, os.O_WRONLY)
    kept = {descriptor: os.dup(descriptor) for descriptor in (1, 2)}
    for descriptor in kept:
        os.dup2(nowhere, descriptor)
    try:
        yield
    finally:
        for descriptor, copy in kept.items():
            os.dup2(copy, descriptor)
        for descriptor in (nowhere, *kept.values()):
            os.close(descriptor)


@functools.cache
def redirect_output(log: Path | str) -> None:
    """Append what this process prints from now on, output of libraries included, to a file."""
    descriptor = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND)
    os.dup2(descriptor, 1)
    os.dup2(descriptor, 2)
    os.close(descriptor)
    faulthandler.enable()  # says where a fault in native code happened
