"""Runs functions in fresh processes, so that nothing that was compiled or cached before is used again."""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from typing import TypeVar

from repro import compilation_cache

Argument = TypeVar("Argument")
Result = TypeVar("Result")


def in_fresh_processes(
    function: Callable[[Argument], Result], arguments: Sequence[Argument], workers: int
) -> Iterator[tuple[Argument, Result | Exception]]:
    """Call a function once for every argument, each time in a process of its own that prints nothing.

    Args:
        function: a module-level function.
        arguments: which can be sent to a process.
        workers: number of processes at a time; 0 calls the function in this process.

    Yields:
        Each argument with its result as soon as it is there, or with what the function raised or how its process ended.
    """
    if workers == 0:
        for argument in arguments:
            yield argument, function(argument)
        return
    with ThreadPoolExecutor(workers) as threads:
        futures = {threads.submit(_in_fresh_process, function, argument): argument for argument in arguments}
        try:
            for future in as_completed(futures):
                error = future.exception()
                if error is not None and not isinstance(error, Exception):
                    raise error
                yield futures[future], error or future.result()
        finally:
            threads.shutdown(cancel_futures=True)


def _in_fresh_process(function: Callable[[Argument], Result], argument: Argument) -> Result:
    spawn = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(1, mp_context=spawn, initializer=_prepare) as process:
        return process.submit(function, argument).result()


def _prepare() -> None:
    os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "false"
    os.environ["TF_XLA_FLAGS"] = f"{compilation_cache.TENSORFLOW_FLAG}="
    descriptor = os.open(os.devnull, os.O_WRONLY)
    os.dup2(descriptor, 1)  # the descriptors and not sys.stdout, because XLA writes to them directly
    os.dup2(descriptor, 2)
    os.close(descriptor)
