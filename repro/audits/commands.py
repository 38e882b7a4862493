"""The commands ``repro audit``: what the suite's verdicts are worth."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Annotated, Any

import typer
from etils import epy
from rich.status import Status
from rich.table import Table

from repro import backend as backends
from repro import environment, registry, terminal
from repro.audits import tables
from repro.audits.determinism import audit_determinism
from repro.audits.stability import audit_stability
from repro.errors import ReproError
from repro.options import BackendOption, JsonOption, PatternsArgument, ProfileOption, WorkersOption
from repro.published import published

with epy.lazy_imports():
    from repro.audits import calibration as calibrations
    from repro.audits import hunting

app = typer.Typer(help="Audit the suite itself: calibration, stability, planted faults, determinism.")

SimulationsOption = Annotated[int, typer.Option(help="Simulated experiments for each row of the table.", min=1)]
RepeatsOption = Annotated[int, typer.Option(help="How many disjoint sets of seeds.", min=1)]
AgainstOption = Annotated[
    Path | None, typer.Option(help="What this audit printed with --json on another machine of the same kind.")
]
FaultOption = Annotated[str, typer.Option(help="Only faults whose name matches this shell pattern: '*Dropout*'.")]


@app.command()
def calibration(*, simulations: SimulationsOption = 20_000, json: JsonOption = False) -> int:
    """Simulate data on both sides of each criterion's threshold and count false verdicts."""
    with _progress() as listen:
        listen(f"simulating {simulations} experiments for each criterion, noise, number of seeds and truth")
        rows = calibrations.calibrate(simulations)
    _show("calibration", [dict(row) for _, row in rows.iterrows()], tables.calibration_table, json=json)
    return 0


@app.command()
def stability(
    patterns: PatternsArgument = None,
    *,
    repeats: RepeatsOption = 100,
    profile: ProfileOption = "smoke",
    backend: BackendOption = None,
    workers: WorkersOption = None,
    json: JsonOption = False,
) -> int:
    """Run claims with many disjoint sets of seeds and count how often the published verdict comes out."""
    backends.select(backend or backends.name())
    claims = registry.find(*patterns or [])
    with _progress() as listen:
        rows = audit_stability(claims, profile=profile, repeats=repeats, workers=workers, listen=listen)
    _show("stability", [asdict(row) for row in rows], tables.stability_table, json=json)
    return 0


@app.command()
def faults(
    patterns: PatternsArgument = None,
    *,
    fault: FaultOption = "*",
    backend: BackendOption = None,
    workers: WorkersOption = None,
    json: JsonOption = False,
) -> int:
    """Plant faults in Keras, one at a time, and see which claims notice at smoke."""
    backends.select(backend or backends.name())
    claims = registry.find(*patterns or [])
    count = environment.cores() if workers is None else workers
    with _progress() as listen:
        found = hunting.audit_faults(claims, published("smoke"), pattern=fault, workers=count, listen=listen)
    rows = [asdict(each) | {"caught": each.caught} for each in found]
    _show("faults", rows, tables.faults_table, json=json)
    return 0


@app.command()
def determinism(
    patterns: PatternsArgument = None,
    *,
    profile: ProfileOption = "smoke",
    against: AgainstOption = None,
    backend: BackendOption = None,
    json: JsonOption = False,
) -> int:
    """Run claims with one worker, and with two in reverse order, and compare their observations bit by bit."""
    backends.select(backend or backends.name())
    claims = registry.find(*patterns or [])
    with _progress() as listen:
        found = audit_determinism(claims, profile=profile, against=against, listen=listen)
    _show("determinism", [asdict(row) for row in found], tables.determinism_table, json=json)
    return int(any(row.differing for row in found))


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Show what is going on on stderr: as one changing line on a terminal, elsewhere as lines."""
    console = terminal.console(stderr=True)
    if not console.is_terminal:
        yield lambda line: console.print(line, soft_wrap=True)
        return
    with Status("starting", console=console) as status:
        yield status.update


def _show(
    name: str, rows: Sequence[dict[str, Any]], table: Callable[[Sequence[dict[str, Any]]], Table], *, json: bool
) -> None:
    if not rows:
        raise ReproError(f"the {name} audit has nothing to show")
    if json:
        sys.stdout.write(terminal.json_text({name: rows}) + "\n")
    else:
        terminal.console().print(table(rows), tables.summary(name, rows), sep="\n")
