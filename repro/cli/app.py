"""The command ``repro``: reads what it is asked for, calls the library and prints the outcome."""

from __future__ import annotations

import io
import os
import signal
import sys
from collections.abc import Sequence
from importlib import metadata
from pathlib import Path
from typing import Annotated

import typer
from etils import epy

from repro.catalogue import address, parse_parameters, registry, repeat_command, user_files
from repro.cli import audit, bench, runs
from repro.cli.options import (
    BackendOption,
    ClaimArgument,
    DataDirOption,
    DataOption,
    FiguresOption,
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
from repro.common import ReproError, StoreError, one_line, paths, printable, write_atomically
from repro.engine import backend as backends

with epy.lazy_imports():
    from repro import report, runner
    from repro import results as library
    from repro.cli import documents, tables, terminal

WRONG_USAGE = 2
INTERRUPTED = 130
TAKEN_FROM_THE_RUN = ("source", "profile", "seeds", "data", "backend")

app = typer.Typer(
    add_completion=False,
    help="Checks documented deep-learning claims as Keras experiments with statistical verdicts.",
    pretty_exceptions_enable=False,
    no_args_is_help=False,
)


def main() -> None:
    """Run the command and exit with its status: 0 for done, 1 for a result with something wrong, 2 for wrong usage."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):  # names of files need not be Unicode
            stream.reconfigure(errors="backslashreplace")
    signal.signal(signal.SIGTERM, signal.default_int_handler)  # a time limit interrupts, as Ctrl-C does
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


def _show_version(wanted: bool) -> None:
    if wanted:
        sys.stdout.write(f"keras-repro {metadata.version('keras-repro')}\n")
        raise typer.Exit


@app.callback()
def options(
    *,
    version: Annotated[
        bool, typer.Option("--version", callback=_show_version, is_eager=True, help="Print the version and exit.")
    ] = False,
) -> None:
    """Check documented deep-learning claims as Keras experiments with statistical verdicts."""


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
    results: ResultsOption = paths.RESULTS,
    workers: WorkersOption = None,
    scheduler: SchedulerOption = None,
    resume: ResumeOption = False,
    junit: JunitOption = None,
    json: JsonOption = False,
) -> int:
    """Run claims with their controls and corrections, and write the report."""
    if junit is not None:
        report.check_writable(junit)
    asked = patterns or []
    resumed = None
    if resume:
        _reject(context, TAKEN_FROM_THE_RUN)
        named = [name for name in asked if not user_files.names_file(name)]
        if len(named) > 1:
            raise ReproError(f"--resume takes one run, not {len(named)}, and its claims from it")
        asked, resumed = [name for name in asked if user_files.names_file(name)], [*named, "latest"][0]
    else:
        backends.select(backend or backends.name())
    _use_data_folder(data_dir)
    with terminal.RunProgress(terminal.console(stderr=True)) as progress, report.GrowingReport() as growing:

        def listen(event: runner.Event) -> None:
            progress(event)
            growing(event)
            if isinstance(event, runner.Begun):
                progress.say(f"The report grows from the first results on: {event.folder / 'site' / 'index.html'}")

        try:
            completed = runner.run(
                *asked,
                profile=profile,
                source=source,
                seeds=seeds,
                data=data,
                results=results,
                workers=workers,
                scheduler=scheduler,
                resume=resumed,
                listen=listen,
            )
        except KeyboardInterrupt:
            progress.say("interrupted: `repro report` shows what is done, `repro run --resume` goes on")
            raise
    known = registry.registered() | registry.by_id(registry.find(*asked) if asked else [])
    index = report.build(library.Store.existing(results), completed.run.id, known)
    if json:
        sys.stdout.write(documents.json_text(documents.run_json(completed)) + "\n")
    else:
        output = terminal.console()
        output.print(tables.run_table(completed.results))
        output.print(*terminal.remarks(completed.results), sep="\n")
        output.print(f"report: {index}", soft_wrap=True)
    if junit is not None:
        report.write_junit(junit, completed, known)
    return _status(completed)


@app.command("list")
def list_claims(patterns: PatternsArgument = None, *, json: JsonOption = False) -> int:
    """List claims."""
    claims = registry.find(*patterns or [])
    if json:
        sys.stdout.write(documents.json_text([documents.claim_json(claim) for claim in claims]) + "\n")
    else:
        terminal.console().print(tables.claims_table(claims))
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
    results: ResultsOption = paths.RESULTS,
    json: JsonOption = False,
) -> int:
    """Check one claim with its control and correction, and explain the verdict."""
    backends.select(backend or backends.name())
    _use_data_folder(data_dir)
    chosen = registry.get(claim)
    parameters = parse_parameters(chosen, set or [])
    overrides = {chosen.id: parameters} if parameters else {}
    plan = runner.make_plan([chosen], profile, seeds=seeds, overrides=overrides)
    with terminal.RunProgress(terminal.console(stderr=True)) as progress:
        completed = runner.execute(plan, results, listen=progress)
    store = library.Store.existing(results)
    checked = report.Check(chosen, completed.run, completed.results[0], store.read_observations)
    figure = _save_figure(checked, store)
    if json:
        sys.stdout.write(documents.json_text(documents.run_json(completed)) + "\n")
    else:
        output = terminal.console()
        output.print(terminal.check_text(checked))
        if figure:
            output.print(figure, soft_wrap=True)
        command = repeat_command(address(chosen), profile, seeds, parameters, completed.run.backend)
        output.print(f"repeat: {command}", soft_wrap=True)
    return _status(completed)


@app.command("report")
def build_report(
    run: RunArgument = "latest", *, figures: FiguresOption = None, results: ResultsOption = paths.RESULTS
) -> int:
    """Write the report of a run again, by default that of the latest."""
    index = report.build(library.Store.existing(results), run, formats=("svg", *(figures or [])))
    terminal.console().print(str(index), soft_wrap=True)
    return 0


app.command("compare")(runs.compare)
app.command("export")(runs.export_run)
app.command("import")(runs.import_run)
app.command("compact")(runs.compact)
app.command("bench")(bench.bench)
app.add_typer(audit.app, name="audit")


def _use_data_folder(data_dir: Path | None) -> None:
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


def _save_figure(checked: report.Check, store: library.Store) -> str:
    """Say where the figure is, or why there is none; return nothing where there is no verdict."""
    if checked.result.evaluation.verdict is None:
        return ""
    content = io.BytesIO()
    try:
        checked.figure().savefig(content, format="svg")
    except Exception as error:  # noqa: BLE001  a claim's own code may raise anything; the verdict stands
        return f"no figure could be drawn: {one_line(error)}"
    path = store.folder / "figures" / f"{report.file_name(checked.claim.id)}.svg"
    try:
        path.parent.mkdir(exist_ok=True)
        write_atomically(path, content.getvalue())
    except OSError as error:
        raise StoreError(f"cannot write {path}: {error.strerror}; choose another folder with --results") from error
    return f"figure: {path}"


def _status(completed: runner.CompletedRun) -> int:
    return int(any(result.failed for result in completed.results))


def _usage_error(message: str) -> int:
    line = printable(" ".join(message.split()))
    sys.stderr.write(f"repro: {line}\n")
    return WRONG_USAGE
