"""The command ``repro``. Everything it prints is made in ``repro.terminal``."""

from __future__ import annotations

import io
import os
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import typer
from etils import epy

from repro import backend, claim_files, paths, planning, registry, resuming, run_commands, running, settings, terminal
from repro.audits import commands
from repro.claim import Claim
from repro.errors import ReproError, StoreError
from repro.options import (
    BackendOption,
    ClaimArgument,
    DataDirOption,
    DataOption,
    JsonOption,
    JunitOption,
    PatternsArgument,
    ProfileOption,
    ResultsOption,
    ResumeOption,
    RunArgument,
    SchedulerOption,
    SeedsOption,
    SetOption,
    SourceOption,
    WorkersOption,
)
from repro.performance.commands import bench
from repro.planning import Plan
from repro.result import Run, run_json
from repro.running import CompletedRun
from repro.store import Store, write_atomically
from repro.workers import one_line

with epy.lazy_imports():
    from repro import report
    from repro.report import junit as junit_xml
    from repro.report import pages

WRONG_USAGE = 2
INTERRUPTED = 130
TAKEN_FROM_THE_RUN = ("source", "profile", "seeds", "data", "backend")
ENVIRONMENT = ("python", "keras", "backend_version", "device", "cpu", "cores", "memory", "commit")

app = typer.Typer(
    add_completion=False,
    help="Checks documented deep-learning claims as Keras experiments with statistical verdicts.",
    pretty_exceptions_enable=False,
)
app.add_typer(commands.app, name="audit")
app.command()(bench)
app.command("compare")(run_commands.compare)
app.command("export")(run_commands.export_run)
app.command("import")(run_commands.import_run)
app.command()(run_commands.compact)


def main() -> None:
    """Run the command and exit with its status: 0 done, 1 something is wrong with a result, 2 wrong usage."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files need not be Unicode
            stream.reconfigure(errors="backslashreplace")
    try:
        status = app(standalone_mode=False)
        sys.stdout.flush()
    except ReproError as error:
        status = _usage_error(str(error))
    except typer.TyperException as error:
        status = _usage_error(error.format_message() or "no command; `repro --help` shows them")
    except typer.Abort:
        status = INTERRUPTED
    except BrokenPipeError:  # a reader such as head has seen enough; what is left would be written at exit
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        status = INTERRUPTED
    sys.exit(status)


@app.command()
def run(
    context: typer.Context,
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
    scheduler: SchedulerOption = None,
    resume: ResumeOption = False,
    junit: JunitOption = None,
    json: JsonOption = False,
) -> int:
    """Run claims with their controls and corrections, and write the report."""
    if junit is not None:
        junit_xml.check_writable(junit)
    if resume:
        _reject(context, TAKEN_FROM_THE_RUN)
        store = Store.existing(results)
        files = [pattern for pattern in patterns or [] if claim_files.names_file(pattern)]
        resumed = _to_resume(store, [name for name in patterns or [] if name not in files] or ["latest"])
        _prepare(resumed.backend, data_dir)
        claims = registry.find(*files) if files else []
        plan = resuming.rest(resumed, store, claims)
        count = running.number_of_workers(plan, workers, scheduler)
    else:
        _prepare(backend, data_dir)
        claims = registry.find(*patterns or [], source=source)
        plan = planning.plan(claims, profile, seeds=seeds, overrides=planning.data_overrides(claims, data))
        count = running.number_of_workers(plan, workers, scheduler)
        store, resumed = Store.open(results), None
    completed = _execute(plan, store, count, scheduler=scheduler, resumed=resumed)
    known = registry.registered() | registry.by_id(claims)
    index = report.build(store, completed.run.id, known)
    if json:
        sys.stdout.write(terminal.json_text(_run_json(completed)) + "\n")
    else:
        output = terminal.console()
        output.print(terminal.run_table(completed.results))
        output.print(*terminal.remarks(completed.results), sep="\n")
        output.print(f"report: {index}", soft_wrap=True)
    if junit is not None:
        junit_xml.write(junit, completed, known)
    return _status(completed)


@app.command("list")
def list_claims(patterns: PatternsArgument = None, *, json: JsonOption = False) -> int:
    """List claims."""
    claims = registry.find(*patterns or [])
    if json:
        sys.stdout.write(terminal.json_text([terminal.claim_json(claim) for claim in claims]) + "\n")
    else:
        terminal.console().print(terminal.claims_table(claims))
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
    plan = planning.plan([chosen], profile, seeds=seeds, overrides={chosen.id: parameters} if parameters else {})
    store = Store.open(results)
    completed = _execute(plan, store, planning.number_of_workers(plan))
    figure = _save_figure(chosen, completed, store)
    if json:
        sys.stdout.write(terminal.json_text(_run_json(completed)) + "\n")
    else:
        output = terminal.console()
        output.print(terminal.check_text(chosen, completed))
        if figure:
            output.print(figure, soft_wrap=True)
        command = settings.repeat_command(
            claim_files.address(chosen), profile, seeds, parameters, completed.run.backend
        )
        output.print(f"repeat: {command}", soft_wrap=True)
    return _status(completed)


@app.command("report")
def build_report(run: RunArgument = "latest", *, results: ResultsOption = running.RESULTS) -> int:
    """Write the report of a run again, by default that of the latest."""
    terminal.console().print(str(report.build(Store.existing(results), run)), soft_wrap=True)
    return 0


def _prepare(backend_name: str | None, data_dir: Path | None) -> None:
    backend.select(backend_name or backend.name())
    if data_dir is not None:
        folder = paths.expanded(data_dir).absolute()
        if paths.exists(folder) and not paths.is_folder(folder):
            raise ReproError(f"{data_dir} is not a folder; name another one with --data-dir")
        os.environ["TFDS_DATA_DIR"] = str(folder)  # worker processes inherit it


def _reject(context: typer.Context, options: Sequence[str]) -> None:
    for name in options:
        source = context.get_parameter_source(name)
        if source is not None and source.name == "COMMANDLINE":
            raise ReproError(f"--resume takes --{name} from the run; leave it out")


def _to_resume(store: Store, names: Sequence[str]) -> Run:
    if len(names) > 1:
        raise ReproError(f"--resume takes one run, not {len(names)}, and its claims from it")
    return resuming.unfinished(store, names[0])


def _execute(
    plan: Plan, store: Store, count: int, *, scheduler: str | None = None, resumed: Run | None = None
) -> CompletedRun:
    plan = planning.with_times(plan, store)
    console = terminal.console(stderr=True)
    if resumed is not None:
        console.print(f"resuming run {resumed.id}")
    console.print(terminal.plan_text(plan, count, store.folder))
    with terminal.RunProgress(plan, count, console) as progress:
        try:
            return running.execute(plan, store, count, progress, scheduler=scheduler, resumed=resumed)
        except KeyboardInterrupt:
            console.print("interrupted: `repro report` shows what is done, `repro run --resume` goes on")
            raise


def _save_figure(claim: Claim, completed: CompletedRun, store: Store) -> str:
    """Say where the figure is, or why there is none; nothing where there is no verdict."""
    verdict = completed.results[0].evaluation.verdict
    if verdict is None:
        return ""
    content = io.BytesIO()
    try:
        verdict.figure().savefig(content, format="svg")
    except Exception as error:  # noqa: BLE001  a claim's own code may raise anything; the verdict stands
        return f"no figure could be drawn: {one_line(error)}"
    path = store.folder / "figures" / f"{pages.file_name(claim.id)}.svg"
    try:
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, content.getvalue())
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}; choose another folder with --results") from error
    return f"figure: {path}"


def _run_json(completed: CompletedRun) -> dict[str, Any]:
    document = run_json(completed.run, list(completed.results))
    return document | {"environment": {name: document["environment"].get(name) for name in ENVIRONMENT}}


def _status(completed: CompletedRun) -> int:
    return int(any(result.failed for result in completed.results))


def _usage_error(message: str) -> int:
    line = terminal.printable(" ".join(message.split()))
    sys.stderr.write(f"repro: {line}\n")
    return WRONG_USAGE
