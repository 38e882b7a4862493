"""Functions run in fresh processes, so that nothing that was compiled or cached before is used again.

They are forked from a server that has loaded Keras and done nothing with it: loading takes longer than most claims.
"""

from __future__ import annotations

import multiprocessing
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor, as_completed
from multiprocessing import forkserver
from multiprocessing.context import ForkServerContext
from typing import TypeVar
from unittest.mock import patch

from repro.common import output_to_nowhere
from repro.engine import WITHOUT_CACHE

Argument = TypeVar("Argument")
Result = TypeVar("Result")

PRELOADED = ["keras", "keras_tuner", "repro.claims", "scipy.stats", "sklearn.datasets"]


def in_fresh_processes(
    function: Callable[[Argument], Result], arguments: Sequence[Argument], workers: int
) -> Iterator[tuple[Argument, Result | Exception]]:
    """Call a function once for every argument, each time in a process of its own that prints nothing.

    Args:
        function: Module-level function.
        arguments: Arguments that can be sent to a process.
        workers: Number of processes at a time; 0 calls the function in this process.

    Yields:
        Each argument with its result as soon as it is there, or with what the function raised or how its process ended.
    """
    if workers == 0:
        for argument in arguments:
            yield argument, function(argument)
        return
    server = _start_server()
    with ThreadPoolExecutor(workers) as threads:
        futures = {threads.submit(_in_fresh_process, server, function, argument): argument for argument in arguments}
        try:
            for future in as_completed(futures):
                error = future.exception()
                if error is not None and not isinstance(error, Exception):
                    raise error
                yield futures[future], error or future.result()
        finally:
            threads.shutdown(cancel_futures=True)


def _start_server() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(PRELOADED)
    with patch.dict(os.environ, WITHOUT_CACHE), output_to_nowhere():
        forkserver.ensure_running()
    return context


def _in_fresh_process(server: ForkServerContext, function: Callable[[Argument], Result], argument: Argument) -> Result:
    with ProcessPoolExecutor(1, mp_context=server) as process:
        return process.submit(function, argument).result()
