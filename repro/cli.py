"""The command ``repro``. Everything it prints is made in ``repro.terminal``."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import Annotated, Any

import typer
from etils import epy
from rich.console import Console

from repro import backend, registry, running, settings, terminal
from repro.claim import Claim, Profile
from repro.errors import ReproError
from repro.result import run_json
from repro.running import CompletedRun, Plan
from repro.store import Store

with epy.lazy_imports():
    from repro import report

WRONG_USAGE = 2
INTERRUPTED = 130
ENVIRONMENT = ("python", "keras", "backend_version", "device", "cpu", "cores", "memory", "commit")

app = typer.Typer(
    add_completion=False,
    help="Checks documented deep-learning claims as Keras experiments with statistical verdicts.",
    pretty_exceptions_enable=False,
)

PatternsArgument = Annotated[
    list[str] | None,
    typer.Argument(help="Ids, modules, shell patterns ('dropout.*') or tags (headline); all claims by default."),
]
ClaimArgument = Annotated[str, typer.Argument(help="Id of the claim, such as perceptron.novikoff.")]
SetOption = Annotated[
    list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="Parameter of the claim; may be repeated.")
]
SourceOption = Annotated[str | None, typer.Option(help="Only claims from this document or section: 'lectures 3.5'.")]
ProfileOption = Annotated[Profile, typer.Option(help="How much work: tests, a laptop, a GPU with real data sets.")]
SeedsOption = Annotated[int | None, typer.Option(help="Exactly this many seeds; by default those of the profile.")]
DataOption = Annotated[str | None, typer.Option(help="Data set for the claims that can choose: digits, mnist, ...")]
DataDirOption = Annotated[Path | None, typer.Option(help="Where TensorFlow Datasets keeps its data sets.")]
BackendOption = Annotated[
    str | None, typer.Option(help="tensorflow or jax; by default KERAS_BACKEND or the one installed.")
]
ResultsOption = Annotated[Path, typer.Option(help="Folder of the results.")]
WorkersOption = Annotated[
    int | None,
    typer.Option(help="Worker processes; 0 runs everything in this one; by default one for each core.", min=0),
]
JsonOption = Annotated[bool, typer.Option("--json", help="Print one JSON object and nothing else.")]
RunArgument = Annotated[str, typer.Argument(help="Id of a run.")]


def main() -> None:
    """Run the command and exit with its status: 0 done, 1 something is wrong with a result, 2 wrong usage."""
    try:
        status = app(standalone_mode=False)
    except ReproError as error:
        status = _usage_error(str(error))
    except typer.TyperException as error:
        status = _usage_error(error.format_message() or "no command; `repro --help` shows them")
    except typer.Abort:
        status = INTERRUPTED
    sys.exit(status)


@app.command()
def run(
    patterns: PatternsArgument = None,
    *,
    source: SourceOption = None,
    profile: ProfileOption = "standard",
    seeds: SeedsOption = None,
    data: DataOption = None,
    data_dir: DataDirOption = None,
    backend: BackendOption = None,
    results: ResultsOption = running.RESULTS,
    workers: WorkersOption = None,
    json: JsonOption = False,
) -> int:
    """Run claims with their controls and corrections, and write the report."""
    _prepare(backend, data_dir)
    claims = registry.find(*patterns or [], source=source)
    plan = running.plan(claims, profile, seeds=seeds, overrides=running.data_overrides(claims, data))
    store = Store.open(results)
    completed = _execute(plan, store, workers)
    index = report.build(store, completed.run.id)
    if json:
        sys.stdout.write(terminal.json_text(_run_json(completed)) + "\n")
    else:
        output = _console()
        output.print(terminal.run_table(completed.results))
        output.print(*terminal.remarks(completed.results), sep="\n")
        output.print(f"report: {index}", soft_wrap=True)
    return _status(completed)


@app.command("list")
def list_claims(patterns: PatternsArgument = None, *, json: JsonOption = False) -> int:
    """List claims."""
    claims = registry.find(*patterns or [])
    if json:
        sys.stdout.write(terminal.json_text([terminal.claim_json(claim) for claim in claims]) + "\n")
    else:
        _console().print(terminal.claims_table(claims))
    return 0


@app.command()
def check(
    claim: ClaimArgument,
    *,
    set: SetOption = None,  # noqa: A002  the name of the option
    profile: ProfileOption = "standard",
    seeds: SeedsOption = None,
    data_dir: DataDirOption = None,
    backend: BackendOption = None,
    results: ResultsOption = running.RESULTS,
    json: JsonOption = False,
) -> int:
    """Check one claim with its control and correction, and explain the verdict."""
    _prepare(backend, data_dir)
    chosen = registry.get(claim)
    parameters = settings.parse(chosen, set or [])
    plan = running.plan([chosen], profile, seeds=seeds, overrides={chosen.id: parameters} if parameters else {})
    store = Store.open(results)
    completed = _execute(plan, store, None)
    figure = _save_figure(chosen, completed, store.folder)
    if json:
        sys.stdout.write(terminal.json_text(_run_json(completed)) + "\n")
    else:
        output = _console()
        output.print(terminal.check_text(chosen, completed))
        if figure:
            output.print(f"figure: {figure}", soft_wrap=True)
        command = settings.repeat_command(chosen.id, profile, seeds, parameters, completed.run.backend)
        output.print(f"repeat: {command}", soft_wrap=True)
    return _status(completed)


@app.command("report")
def build_report(run: RunArgument = "latest", *, results: ResultsOption = running.RESULTS) -> int:
    """Write the report of a run again, by default that of the latest."""
    _console().print(str(report.build(Store.existing(results), run)), soft_wrap=True)
    return 0


def _prepare(backend_name: str | None, data_dir: Path | None) -> None:
    backend.select(backend_name or backend.name())
    if data_dir is not None:
        os.environ["TFDS_DATA_DIR"] = str(data_dir.expanduser().absolute())  # worker processes inherit it


def _execute(plan: Plan, store: Store, workers: int | None) -> CompletedRun:
    plan = running.with_times(plan, store)
    count = running.number_of_workers(plan, workers)
    console = _console(stderr=True)
    console.print(terminal.plan_text(plan, count, store.folder))
    with terminal.RunProgress(plan, count, console) as progress:
        try:
            return running.execute(plan, store, count, progress)
        except KeyboardInterrupt:
            console.print("interrupted; claims that were done are kept, `repro report` shows them")
            raise


def _save_figure(claim: Claim, completed: CompletedRun, folder: Path) -> Path | None:
    verdict = completed.results[0].evaluation.verdict
    if verdict is None:
        return None
    path = folder / "figures" / f"{claim.id}.svg"
    path.parent.mkdir(exist_ok=True)
    verdict.figure().savefig(path)
    return path


def _run_json(completed: CompletedRun) -> dict[str, Any]:
    document = run_json(completed.run, list(completed.results))
    return document | {"environment": {name: document["environment"].get(name) for name in ENVIRONMENT}}


def _status(completed: CompletedRun) -> int:
    return int(any(result.failed for result in completed.results))


def _usage_error(message: str) -> int:
    line = " ".join(message.split())
    sys.stderr.write(f"repro: {line}\n")
    return WRONG_USAGE


def _console(*, stderr: bool = False) -> Console:
    return Console(stderr=stderr, markup=False, highlight=False)  # statements and messages are no markup
