"""History of the benchmarks in a results folder."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from repro.performance.measurement import Measurement, Series, machine
from repro.results import Store, read, read_row, to_text


@dataclass(frozen=True)
class History:
    """Measurements of the benchmarks over time.

    Attributes:
        store: Store whose database holds them.
    """

    store: Store

    def record(self, measurements: Sequence[Measurement]) -> None:
        """Add measurements, all of them or none.

        Raises:
            StoreError: the database cannot be written.
        """
        rows = [
            (
                *(one.figure, one.better, json.dumps(one.rounds), one.measured, one.commit, one.modified, one.backend),
                to_text(one.environment),
            )
            for one in measurements
        ]
        with self.store.transaction() as connection:
            connection.executemany(
                "INSERT INTO measurements (figure, better, rounds, measured, revision, modified, backend, environment) "
                "VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
                rows,
            )

    def measurements(self) -> list[Measurement]:
        """List all measurements in the order in which they were made.

        Raises:
            StoreError: the database cannot be read, or is damaged.
        """
        with self.store.connection() as connection:
            rows = connection.execute("SELECT * FROM measurements ORDER BY measured, number").fetchall()
        return [
            read_row(self.store.folder, f"measurement {row['number']}", partial(_measurement, dict(row)))
            for row in rows
        ]

    def series(self) -> dict[Series, list[Measurement]]:
        """Sort the measurements into series by figure, backend and machine, each oldest first."""
        found: dict[Series, list[Measurement]] = {}
        for measurement in self.measurements():
            found.setdefault(measurement.series, []).append(measurement)
        return dict(sorted(found.items()))


def _measurement(row: dict[str, Any]) -> Measurement:
    decoded = {"rounds": json.loads(row["rounds"]), "environment": json.loads(row["environment"])}
    plain = {name: row[name] for name in ("figure", "better", "measured", "backend")}
    renamed = {"commit": row["revision"], "modified": bool(row["modified"])}
    measurement = read(Measurement, plain | renamed | decoded)
    machine(measurement.environment)
    return measurement
