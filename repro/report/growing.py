"""Writes the report of a run while the run goes on."""

from __future__ import annotations

import multiprocessing
import os
import time
from concurrent.futures import Future, ProcessPoolExecutor
from contextlib import suppress
from pathlib import Path
from typing import Self

from repro.common import ReproError, redirect_output
from repro.report.site import build
from repro.results import Store
from repro.runner import Begun, Event, Recorded, environment

FIRST = 5.0  # seconds after which a run is worth a report of its own before it ends
INTERVAL = 30.0  # seconds between two reports, at least
SHARE = 0.02  # of the processors' time
NICENESS = 10


class GrowingReport:
    """A listener to a run that has its report written in a process beside the workers, as results are recorded.

    The process has a low priority, and pauses until it has cost no more than a small share of the processors' time.
    Claims from files of the user's own have their figures when the run ends and its report is written as a whole.
    """

    def __init__(self) -> None:
        context = multiprocessing.get_context("spawn")
        self._process = ProcessPoolExecutor(1, mp_context=context, initializer=_prepare)
        self._writing: Future[float] | None = None
        self._due = float("inf")
        self._folder, self._run = Path(), ""

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._process.shutdown(cancel_futures=True)

    def __call__(self, event: Event) -> None:
        """Begin to write the report, where a result is new and the last report is old enough."""
        match event:
            case Begun():
                self._folder, self._run = event.folder, event.run.id
                self._due = time.monotonic() + FIRST
            case Recorded() if time.monotonic() >= self._due and (self._writing is None or self._writing.done()):
                self._due = float("inf")
                self._writing = self._process.submit(_write, self._folder, self._run)
                self._writing.add_done_callback(self._written)

    def _written(self, writing: Future[float]) -> None:
        if not writing.cancelled() and writing.exception() is None:
            self._due = time.monotonic() + max(INTERVAL, writing.result() / (SHARE * environment.cores()))


def _prepare() -> None:
    redirect_output(Path(os.devnull))
    os.nice(NICENESS)


def _write(folder: Path, run: str) -> float:
    """Write a report; return the processor time in seconds that it took."""
    started = time.process_time()
    with suppress(ReproError):  # the run says what is wrong with its folder, and writes its report at the end
        build(Store.existing(folder), run)
    return time.process_time() - started
