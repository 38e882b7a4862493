"""Writes the measured figures into README.md: ``python -m benchmarks.table results.json ...``."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

from benchmarks.figures import FIGURES

DOCUMENT = Path(__file__).with_name("README.md")
START, END = "<!-- measured -->", "<!-- end of measured -->"
COLUMNS = ("figure", "must reach", "measured", "range of rounds", "ours", "compared with", "backend", "reached")


class Measurement(NamedTuple):
    """A figure as one run of the benchmarks found it.

    Attributes:
        name: of the figure.
        value: median of the rounds.
        details: range, both sides' labels and rates.
        environment: what it was measured on.
    """

    name: str
    value: float
    details: Mapping[str, Any]
    environment: Mapping[str, Any]

    @property
    def machine(self) -> str:
        """The accelerator, or the processor and its cores."""
        cpu = f"{self.environment['cpu']}, {self.environment['cores']} cores"
        device = self.environment["device"]
        return cpu if device == "CPU" else f"{device} ({cpu})"

    @property
    def framework(self) -> str:
        """Name and version of the backend."""
        return f"{self.environment['backend']} {self.environment['backend_version']}"


def measurements(results: Mapping[str, Any]) -> Iterator[Measurement]:
    """Yield the figures in the results of pytest-benchmark.

    Raises:
        ValueError: they come from a run with ``--quick``, which measures nothing.
    """
    for benchmark in results["benchmarks"]:
        extra = benchmark["extra_info"]
        if extra["quick"]:
            raise ValueError("figures of a run with --quick mean nothing; run the benchmarks without it")
        for name in FIGURES:
            if name in extra:
                yield Measurement(name, extra[name], extra["details"][name], extra["environment"])


def against_best(found: Sequence[Measurement], name: str) -> list[Measurement]:
    """Compare every backend's rate of a figure with the best rate of the other side on any backend of that machine."""
    combined = []
    for measurement in found:
        if measurement.name == name:
            rivals = [other for other in found if (other.name, other.machine) == (name, measurement.machine)]
            best = max(rivals, key=lambda other: other.details["their_rate"])
            if best is not measurement:
                value = measurement.details["our_rate"] / best.details["their_rate"]
                theirs = {"theirs": f"{best.framework} {best.details['theirs']}", "low": None, "high": None}
                details = {**measurement.details, **theirs, "their_rate": best.details["their_rate"]}
                measurement = measurement._replace(value=value, details=details)
        combined.append(measurement)
    return combined


def markdown(found: Sequence[Measurement]) -> str:
    """Write one table for each machine, its figures in the order of ``FIGURES``."""
    order = list(FIGURES)
    sections = []
    for machine in dict.fromkeys(measurement.machine for measurement in found):
        of_machine = [measurement for measurement in found if measurement.machine == machine]
        rows = [_row(measurement) for measurement in sorted(of_machine, key=lambda each: order.index(each.name))]
        lines = [COLUMNS, ["---"] * len(COLUMNS), *rows]
        table = "\n".join(f"| {' | '.join(line)} |" for line in lines)
        sections.append(f"### {machine}\n\n{table}")
    return "\n\n".join(sections)


def _row(measurement: Measurement) -> list[str]:
    figure, details = FIGURES[measurement.name], measurement.details
    ours, theirs = (
        f"{details[label]}: {_rate(details[rate])}" if rate in details else details.get(label, "")
        for label, rate in (("ours", "our_rate"), ("theirs", "their_rate"))
    )
    spread = "" if details["low"] is None else f"{details['low']:.3g} to {details['high']:.3g}"
    bound = "" if figure.bound is None else f"{figure.kind} {figure.bound:g}"
    reached = "" if figure.bound is None else "yes" if figure.holds(measurement.value) else "no"
    name = f"`{measurement.name}`"
    return [name, bound, f"{measurement.value:.3g}", spread, ours, theirs, measurement.framework, reached]


def _rate(value: float) -> str:
    """Write units per second: steps, seed-steps, trials or FLOP, as the figure has it."""
    return f"{value / 1e9:.3g}e9/s" if value >= 1e9 else f"{value:,.0f}/s" if value >= 100 else f"{value:.3g}/s"


def fill(document: str, table: str) -> str:
    """Replace what a document says between the marks of the measured figures."""
    before, _, rest = document.partition(START)
    _, _, after = rest.partition(END)
    return f"{before}{START}\n\n{table}\n\n{END}{after}"


def definitions() -> str:
    """Write what the figures are."""
    rows = [("name", "what", "must reach on two CPU cores"), ("---", "---", "---")]
    for name, figure in FIGURES.items():
        bound = "reported only" if figure.bound is None else f"{figure.kind} {figure.bound:g}"
        rows.append((f"`{name}`", figure.what, bound))
    return "\n".join(f"| {' | '.join(row)} |" for row in rows)


def main(paths: Sequence[str]) -> None:
    """Fill the figures of result files into README.md."""
    found = [measurement for path in paths for measurement in measurements(json.loads(Path(path).read_text()))]
    table = markdown(against_best(found, "conv_speedup_over_fit"))
    DOCUMENT.write_text(fill(DOCUMENT.read_text(), f"{definitions()}\n\n{table}"))


if __name__ == "__main__":
    main(sys.argv[1:])
