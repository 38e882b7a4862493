"""Writes the report of a run while the run goes on."""

from __future__ import annotations

import multiprocessing
import os
import threading
import time
from concurrent.futures import ProcessPoolExecutor
from concurrent.futures.process import BrokenProcessPool
from contextlib import suppress
from pathlib import Path
from typing import Self

from repro.common import ReproError, redirect_output
from repro.report.site import build
from repro.results import Store
from repro.runner import Begun, Event, Recorded, environment

FIRST = 10.0  # seconds that a run takes at least that is worth a report before it ends
INTERVAL = 30.0  # seconds between two reports, at least
SHARE = 0.02  # of the processors' time


class GrowingReport:
    """A listener to a run that has its report written in a process beside the workers, as results are recorded.

    The process pauses until it has cost no more than a small share of the processors' time.
    Claims from files of the user's own have their figures when the run ends and its report is written as a whole.
    """

    def __init__(self) -> None:
        self._new, self._ended = threading.Event(), threading.Event()
        self._thread: threading.Thread | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._new.set()
        if self._thread is not None:
            self._thread.join()

    def __call__(self, event: Event) -> None:
        """Note what the run does."""
        match event:
            case Begun():
                self._thread = threading.Thread(target=self._grow, args=(event.folder, event.run.id), daemon=True)
                self._thread.start()
            case Recorded():
                self._new.set()

    def _grow(self, folder: Path, run: str) -> None:
        """Write the report whenever results are new and the last one is old enough, until the run ends."""
        context = multiprocessing.get_context("spawn")
        cost, pause = 0.0, FIRST
        with (
            suppress(KeyboardInterrupt, BrokenProcessPool),  # Ctrl-C reaches the process, too
            ProcessPoolExecutor(1, mp_context=context, initializer=redirect_output, initargs=(os.devnull,)) as process,
        ):
            while not self._ended.wait(pause):
                self._new.wait()
                if self._ended.is_set():
                    return
                self._new.clear()
                before, cost = cost, process.submit(_write, folder, run).result()
                pause = pause_after(cost - before)


def pause_after(seconds: float) -> float:
    """Return how long to wait, in seconds, after a report that took so many seconds of a processor."""
    return max(INTERVAL, seconds / (SHARE * environment.cores()))


def _write(folder: Path, run: str) -> float:
    """Write a report; return the processor time in seconds that this process has taken so far."""
    with suppress(ReproError):  # the run says what is wrong with its folder, and writes its report at the end
        build(Store.existing(folder), run)
    return time.process_time()
