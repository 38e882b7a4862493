"""Fresh processes that keep what they compile, and sides of a comparison that take turns in them."""

from __future__ import annotations

import multiprocessing
import time
from collections.abc import Callable, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass
from types import TracebackType
from typing import Any

from pytest_benchmark.fixture import BenchmarkFixture


class Workers:
    """Processes that all do the same at the same time; each keeps what it has built and compiled."""

    def __init__(self, count: int = 1) -> None:
        """Prepare processes; each starts with its first call."""
        context = multiprocessing.get_context("spawn")
        self._pools = [ProcessPoolExecutor(1, mp_context=context) for _ in range(count)]

    def __call__(self, function: Callable[..., Any], *arguments: Any) -> list[Any]:
        """Call a function of a module in every process and return what each returns."""
        futures = [pool.submit(function, *arguments) for pool in self._pools]
        return [future.result() for future in futures]

    def __enter__(self) -> Workers:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for pool in self._pools:
            pool.shutdown()


@dataclass(frozen=True)
class Side:
    """One side of a comparison.

    Attributes:
        label: what it is.
        call: does the work once.
        units: amount of work in a call, such as steps.
    """

    label: str
    call: Callable[[], object]
    units: float = 1.0

    def rate(self) -> float:
        """Call once and return units per second."""
        start = time.perf_counter()
        self.call()
        return self.units / (time.perf_counter() - start)


def fastest(candidates: Sequence[Side], repetitions: int = 2) -> Side:
    """Choose the side with the highest rate; every side is called once before, so that it is compiled."""
    for side in candidates:
        side.call()
    best = {side.label: max(side.rate() for _ in range(repetitions)) for side in candidates}
    return max(candidates, key=lambda side: best[side.label])


def take_turns(benchmark: BenchmarkFixture, sides: Sequence[Side], rounds: int) -> list[list[float]]:
    """Time sides in turn, so that what else happens on the machine meets all of them.

    Args:
        benchmark: measures the first side.
        sides: already compiled, unless compilation belongs to what is measured.
        rounds: number of turns.

    Returns:
        Units per second of each side, one for each round.
    """
    rates: list[list[float]] = [[] for _ in sides]

    def others() -> None:
        for side, measured in zip(sides[1:], rates[1:], strict=True):
            measured.append(side.rate())

    def first() -> None:
        rates[0].append(sides[0].rate())

    benchmark.pedantic(first, setup=others, rounds=rounds)
    return rates
