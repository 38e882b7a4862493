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

from repro.catalogue import registry
from repro.cli.options import BackendOption, JsonOption, PatternsArgument, ProfileOption, ResultsOption, WorkersOption
from repro.common import ReproError, StoreError, paths, write_atomically
from repro.engine import backend as backends

with epy.lazy_imports():
    from repro import audits, report, runner
    from repro import results as library
    from repro.cli import documents, tables, terminal

app = typer.Typer(help="Audit the suite itself: calibration, stability, robustness, planted faults, determinism.")

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
        rows = audits.calibrate(simulations)
    _show("calibration", [dict(row) for _, row in rows.iterrows()], tables.calibration_table, json=json)
    return 0


@app.command()
def decisions(*, simulations: SimulationsOption = 20_000, json: JsonOption = False) -> int:
    """Simulate statements of each kind with one to eight conditions and count false verdicts."""
    with _progress() as listen:
        listen(f"simulating {simulations} statements for each kind, number of conditions and truth")
        rows = audits.simulate_decisions(simulations)
    _show("decisions", [dict(row) for _, row in rows.iterrows()], tables.decisions_table, json=json)
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
        rows = audits.audit_stability(claims, profile=profile, repeats=repeats, workers=workers, listen=listen)
    _show("stability", [asdict(row) for row in rows], tables.stability_table, json=json)
    return 0


@app.command()
def robustness(
    patterns: PatternsArgument = None,
    *,
    backend: BackendOption = None,
    results: ResultsOption = paths.RESULTS,
    workers: WorkersOption = None,
    json: JsonOption = False,
) -> int:
    """Run claims with their settings at half and twice, see whether the effect stays, and keep that for the report."""
    backends.select(backend or backends.name())
    claims = registry.find(*patterns or [])
    with _progress() as listen:
        found = audits.audit_robustness(claims, workers=workers, listen=listen)
    rows = [asdict(each) | {"ran": each.ran, "held": each.held, "sentence": each.sentence} for each in found]
    _show("robustness", rows, tables.robustness_table, json=json)
    missing = [claim.id for claim in claims if claim.id not in {each.id for each in found}]
    if missing:
        said = f"not audited: {', '.join(missing)}; name one of them alone for the reason"
        terminal.console(stderr=True).print(said, soft_wrap=True)
    folder = results / "robustness"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        for each in found:
            write_atomically(folder / f"{report.file_name(each.id)}.json", library.to_text(asdict(each)).encode())
    except OSError as error:
        raise StoreError(f"cannot write {folder}: {error.strerror}; choose another folder with --results") from error
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
    count = runner.environment.cores() if workers is None else workers
    with _progress() as listen:
        found = audits.audit_faults(claims, library.published("smoke"), pattern=fault, workers=count, listen=listen)
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
        found = audits.audit_determinism(claims, profile=profile, against=against, listen=listen)
    _show("determinism", [asdict(row) for row in found], tables.determinism_table, json=json)
    return int(any(row.differing for row in found))


@contextmanager
def _progress() -> Iterator[Callable[[str], None]]:
    """Show progress on stderr: as one changing line on a terminal, elsewhere as lines."""
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
        sys.stdout.write(documents.json_text({name: rows}) + "\n")
    else:
        terminal.console().print(table(rows), _summary(name, rows), sep="\n")


def _summary(name: str, rows: Sequence[dict[str, Any]]) -> str:
    """Summarise an audit in one line."""
    if name == "faults":
        caught = sum(row["caught"] for row in rows)
        return f"{caught} of {len(rows)} faults caught ({caught / len(rows):.0%})"
    if name == "stability":
        compared = [row for row in rows if row["agree"] is not None]
        agree = sum(row["agree"] for row in compared)
        return f"{agree} of {sum(row['repeats'] for row in compared)} verdicts agree with the published ones"
    if name == "robustness":
        return "\n".join(f"{row['id']}: {row['sentence']}" for row in rows)
    if name == "determinism":
        compared = [row for row in rows if row["key"]]
        same = sum(not row["differing"] for row in compared)
        return f"{same} of {len(compared)} claims have the same observations every time"
    if name == "decisions":
        return f"largest share of false verdicts: {max(row['false'] for row in rows):.2%}"
    worst = max(max(row["holds"], row["fails"]) for row in rows if str(row["truth"]).startswith("boundary"))
    return f"largest share of false outcomes at a boundary: {worst:.2%}"
