"""What the suite does around experiments, and the same by hand; called in worker processes."""

from __future__ import annotations

import io
import json
import os
import shutil
import sqlite3
import uuid
from contextlib import closing
from dataclasses import replace
from functools import cache
from pathlib import Path

import numpy as np
import pandas as pd

from repro import report
from repro.catalogue import observe, registry
from repro.catalogue.declaration import Claim
from repro.catalogue.sources import cheatsheet
from repro.criteria import Greater
from repro.criteria.figures import render
from repro.results.records import ClaimResult, Evaluation, Run
from repro.results.store import DATABASE, Store
from repro.runner import execution, planning

RUN = Run("benchmark", "2026-01-01T12:00:00+00:00", "standard", "none", {})
SEEDS = tuple(range(24))
QUICK_CLAIMS = (
    "perceptron.or_neuron",
    "perceptron.and_neuron",
    "perceptron.span",
    "perceptron.hebbian_or_first_epoch",
    "perceptron.hebbian_or_final",
)


def arms(seeds: list[int], *, number: int = 0, shift: float = 0.5) -> pd.DataFrame:
    """Draw two arms, one of which loses more."""
    noise = np.random.default_rng(number).normal(scale=0.01, size=len(seeds))
    tables = [pd.DataFrame({"seed": seeds, "arm": arm, "loss": noise + by}) for arm, by in (("a", 0.0), ("b", shift))]
    return pd.concat(tables, ignore_index=True)


CLAIM = Claim(
    statement="Arm b loses more than arm a.",
    sources=(cheatsheet("0 Benchmark"),),
    criterion=Greater("loss", of="b", than="a", by="arm", smallest_difference=0.1, because="a tenth can be seen"),
    function=arms,
    control={"shift": 0.0},
)


@cache
def evaluated(claims: int) -> tuple[tuple[pd.DataFrame, Evaluation], ...]:
    """Make observations and the evaluation of each claim, once in a process."""
    made = []
    for number in range(claims):
        observations = arms(list(SEEDS), number=number)
        verdict = CLAIM.criterion(observations)
        made.append(
            (observations, Evaluation("claim", CLAIM.statement, {"number": number}, SEEDS, verdict.status, verdict))
        )
    return tuple(made)


def record(folder: str, claims: int) -> Store:
    """Record results with their observations in a new results folder."""
    store = Store.open(Path(folder) / uuid.uuid4().hex)
    store.begin(RUN)
    for number, (observations, evaluation) in enumerate(evaluated(claims)):
        key = store.write_observations(observations)
        store.record(RUN.id, ClaimResult(f"benchmark.claim_{number}", replace(evaluation, observations=key), ()))
    return store


def record_by_hand(folder: str, claims: int) -> None:
    """Write the same Parquet files, and a row each that is as long, in a folder without a store."""
    target = Path(folder) / uuid.uuid4().hex
    target.mkdir()
    with closing(sqlite3.connect(target / DATABASE, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("CREATE TABLE evaluations (number INTEGER PRIMARY KEY, verdict TEXT)")
        for number, (observations, evaluation) in enumerate(evaluated(claims)):
            content = io.BytesIO()
            observations.to_parquet(content, engine="pyarrow")
            with (target / f"{number}.parquet").open("wb") as file:
                file.write(content.getvalue())
                file.flush()
                os.fsync(file.fileno())
            connection.execute("INSERT INTO evaluations (verdict) VALUES (?)", (repr(evaluation),))


@cache
def recorded(folder: str, claims: int) -> Store:
    """Record results to be read, once in a process."""
    return record(folder, claims)


def read(folder: str, claims: int, times: int) -> None:
    """Read the results of a run."""
    store = recorded(folder, claims)
    for _ in range(times):
        store.results(RUN.id)


def read_by_hand(folder: str, claims: int, times: int) -> None:
    """Fetch the same rows and decode their JSON."""
    database = recorded(folder, claims).folder / DATABASE
    for _ in range(times):
        with closing(sqlite3.connect(database)) as connection:
            rows = connection.execute("SELECT parameters, seeds, verdict FROM evaluations").fetchall()
        for row in rows:
            for text in row:
                json.loads(text)


def write_report(folder: str, claims: int) -> None:
    """Write the report of a run, without an earlier one that would lend it its figures."""
    results = recorded(folder, claims)
    shutil.rmtree(results.folder / "site", ignore_errors=True)
    report.build(results, claims={f"benchmark.claim_{number}": CLAIM for number in range(claims)})


def draw_figures(claims: int) -> None:
    """Draw the figures of the same claims."""
    for observations, _ in evaluated(claims):
        render(CLAIM.draw(observations, CLAIM.criterion(observations), "claim"), ["svg"])


def run(folder: str) -> None:
    """Run quick claims in this process and record their results."""
    plan = planning.make_plan(registry.find(*QUICK_CLAIMS), "smoke")
    execution.execute(plan, Path(folder), workers=0)


def run_by_hand() -> None:
    """Call the experiments and criteria of the same claims."""
    plan = planning.make_plan(registry.find(*QUICK_CLAIMS), "smoke")
    made = {job: observe(job.experiment, job.seeds, **job.parameters) for job in plan.jobs}
    for task in plan.tasks:
        task.claim.criterion(task.claim.read(made[task.job], task.variant.parameters))
