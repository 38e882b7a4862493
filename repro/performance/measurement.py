"""Figures that the benchmarks measured, and how they are read from the results of pytest-benchmark."""

from __future__ import annotations

import json
import math
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Literal, NamedTuple

from pydantic import AfterValidator, Field

from repro.common import BenchmarkError
from repro.results import Name, Text

Better = Literal["higher", "lower"]
SHORT = 7  # characters of a commit


class Series(NamedTuple):
    """Properties that make measurements comparable.

    Attributes:
        figure: Name of what is measured.
        backend: Backend of Keras.
        machine: Kind of machine, see ``machine``.
    """

    figure: str
    backend: str
    machine: str


def _dated(text: str) -> str:
    datetime.fromisoformat(text)
    return text


@dataclass(frozen=True)
class Measurement:
    """A figure as one run of the benchmarks measured it.

    Attributes:
        figure: Name of the figure.
        better: Direction that is better, ``higher`` or ``lower`` values.
        rounds: Value of each round, all positive; where possible a ratio of two sides that took turns.
        measured: Time of the measurement, in ISO 8601.
        commit: Commit of the checkout; None where it is not a git checkout.
        modified: Whether the checkout had changes that were not committed.
        backend: Backend of Keras.
        environment: Versions and hardware, see ``repro.runner.environment``.
    """

    figure: Name
    better: Better
    rounds: Annotated[tuple[Annotated[float, Field(gt=0, allow_inf_nan=False)], ...], Field(min_length=1)]
    measured: Annotated[str, AfterValidator(_dated)]
    commit: Text | None
    modified: bool
    backend: Name
    environment: Mapping[str, Any]

    @property
    def value(self) -> float:
        """Median of the rounds."""
        return statistics.median(self.rounds)

    @property
    def series(self) -> Series:
        """Series that the measurement continues."""
        return Series(self.figure, self.backend, machine(self.environment))

    @property
    def version(self) -> str:
        """Short form of the commit, with a plus sign where the checkout was modified; ``unknown`` without a commit."""
        return "unknown" if self.commit is None else self.commit[:SHORT] + "+" * self.modified


def machine(environment: Mapping[str, Any]) -> str:
    """Return the name of a kind of machine: the accelerator, or the processor, and its cores."""
    cpu = f"{environment['cpu']}, {environment['cores']} cores"
    return cpu if environment["device"] == "CPU" else f"{environment['device']} ({cpu})"


def read_figures(file: Path) -> list[Measurement]:
    """Read the figures in a JSON file of pytest-benchmark.

    Raises:
        BenchmarkError: the file cannot be read, is not from these benchmarks or from a quick run, or holds a value that
            is not positive.
    """
    try:
        document = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        reason = getattr(error, "strerror", None) or error
        raise BenchmarkError(f"cannot read benchmark results {file}: {reason}") from error
    try:
        found = [measurement for benchmark in document["benchmarks"] for measurement in _figures(document, benchmark)]
        quick = any(benchmark["extra_info"]["quick"] for benchmark in document["benchmarks"])
    except (KeyError, TypeError, AttributeError, ValueError, OverflowError) as error:
        raise BenchmarkError(f"{file} is not from these benchmarks or from an older version; run them again") from error
    if quick:
        raise BenchmarkError(
            f"{file} is from a quick run, whose figures mean nothing; run the benchmarks without --quick"
        )
    for measurement in found:
        if not measurement.rounds or not all(0 < value < math.inf for value in measurement.rounds):
            raise BenchmarkError(
                f"{measurement.figure} in {file} has a round that is not a positive number, or none; run it again"
            )
    return found


def _figures(document: Mapping[str, Any], benchmark: Mapping[str, Any]) -> list[Measurement]:
    extra, commit = benchmark["extra_info"], document["commit_info"]
    environment = {name: value for name, value in extra["environment"].items() if name not in ("backend", "commit")}
    return [
        Measurement(
            figure=name,
            better=details["better"],
            rounds=tuple(float(value) for value in details["values"]),
            measured=document["datetime"],
            commit=extra["environment"]["commit"],
            modified=bool(commit.get("dirty")),
            backend=extra["environment"]["backend"],
            environment=environment,
        )
        for name, details in extra.get("details", {}).items()
    ]
