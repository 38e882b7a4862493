"""The history of the benchmarks in a results folder."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from typing import Annotated, Any

from pydantic import AfterValidator, Field

from repro.bundle_schema import Checked, Name, Text, dated
from repro.encoding import to_text
from repro.performance.measurement import Better, Measurement, Series, machine
from repro.rows import checked, decoded
from repro.store import Store


class _Measurement(Checked):
    figure: Name
    better: Better
    rounds: Annotated[list[Annotated[float, Field(gt=0, allow_inf_nan=False)]], Field(min_length=1)]
    measured: Annotated[str, AfterValidator(dated)]
    revision: Text | None
    modified: bool
    backend: Name
    environment: dict[str, Any]


@dataclass(frozen=True)
class History:
    """What the benchmarks measured over time.

    Attributes:
        store: results folder whose database holds it.
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
        return [decoded(self.store.folder, f"measurement {row['number']}", partial(_measurement, row)) for row in rows]

    def series(self) -> dict[Series, list[Measurement]]:
        """Sort the measurements into series, each oldest first; series by figure, backend and machine."""
        found: dict[Series, list[Measurement]] = {}
        for measurement in self.measurements():
            found.setdefault(measurement.series, []).append(measurement)
        return dict(sorted(found.items()))


def _measurement(row: sqlite3.Row) -> Measurement:
    plain = {name: row[name] for name in _Measurement.model_fields}
    read = {"rounds": json.loads(row["rounds"]), "environment": json.loads(row["environment"])}
    one = checked(_Measurement, plain | read | {"modified": bool(row["modified"])})
    machine(one.environment)
    return Measurement(
        one.figure,
        one.better,
        tuple(one.rounds),
        one.measured,
        one.revision,
        one.modified,
        one.backend,
        one.environment,
    )
