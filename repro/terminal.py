"""What the command line shows: the plan, the progress, tables and verdicts."""

from __future__ import annotations

import json
import math
import operator
import textwrap
import time
from collections import Counter
from collections.abc import Sequence, Sized
from dataclasses import asdict
from pathlib import Path
from typing import Any

from rich import filesize
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Table
from rich.text import Text

from repro import planning
from repro.claim import Claim
from repro.compaction import Freed, Waste
from repro.planning import Plan
from repro.result import ClaimResult, Evaluation, Outcome, Run
from repro.running import CompletedRun, Event, Finished, Recorded, Started
from repro.statistics import CONFIDENCE
from repro.verdict import format_effect
from repro.workers import Job

STYLES: dict[Outcome, str] = {
    "reproduced": "green",
    "refuted": "magenta",
    "inconclusive": "yellow",
    "error": "bold red",
    "skipped": "dim",
}
UNUSUAL = {True: "", False: "unsound", None: "undecided"}


def console(*, stderr: bool = False) -> Console:
    """Open the terminal; statements and messages are no markup."""
    return Console(stderr=stderr, markup=False, highlight=False)


def printable(text: str) -> str:
    """Escape what a terminal would not show but obey, and what cannot be encoded."""
    return "".join(
        character if character.isprintable() else character.encode("unicode_escape").decode() for character in text
    )


def json_text(value: Any) -> str:
    """Write plain data and NumPy scalars as JSON; NaN and infinities become null."""
    return json.dumps(_finite(value), ensure_ascii=False, allow_nan=False, default=operator.methodcaller("item"))


def claim_json(claim: Claim) -> dict[str, Any]:
    """Return a claim in the form that ``repro list --json`` prints."""
    kinds = {"control": claim.control, "correction": claim.correction}
    return {
        "id": claim.id,
        "statement": claim.statement,
        "sources": [asdict(source) for source in claim.sources],
        "literature": claim.literature,
        "tags": list(claim.tags),
        "requires": list(claim.requires),
        "criterion": claim.criterion.describe(),
        "counterparts": [kind for kind, counterpart in kinds.items() if counterpart is not None],
        "correction": claim.correction.statement if claim.correction else None,
    }


def duration(seconds: float) -> str:
    """Write a time in the unit that suits it."""
    if seconds < 10:
        return f"{seconds:.1f} s"
    if seconds < 100:
        return f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} min" if seconds < 6000 else f"{seconds / 3600:.1f} h"


def claims_table(claims: Sequence[Claim]) -> Table:
    """List claims with their statements and sources."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("claim", no_wrap=True)
    table.add_column("statement")
    for claim in claims:
        sources = "; ".join(str(source) for source in claim.sources)
        table.add_row(Text(claim.id, "bold"), Text.assemble(claim.statement, "\n", (sources, "dim")))
    return table


def plan_text(plan: Plan, workers: int, folder: Path) -> str:
    """Say what a run will do and how long that is expected to take."""
    jobs = plan.jobs
    untimed = {task.claim.id for task in plan.tasks if task.job not in plan.expected}
    expected = duration(planning.expected_seconds(plan, jobs, workers))
    if len(untimed) == len(plan.claims):
        timing = "expected time unknown"
    else:
        timing = f"expected time {expected}" + (f", and that of {_count(untimed, 'untimed claim')}" if untimed else "")
    where = f"in {workers} worker processes" if workers else "in this process"
    return (
        f"{_count(plan.claims, 'claim')}, {_count(plan.tasks, 'evaluation')} with controls and corrections, "
        f"{_count(jobs, 'experiment')} at the {plan.profile} profile {where}; {timing}. Results go to {folder}"
    )


def waste_text(waste: Waste) -> str:
    """Say what a compaction would remove."""
    return f"would remove {_removable(waste, len(waste.files), sum(waste.files.values()))}"


def freed_text(waste: Waste, freed: Freed) -> str:
    """Say what a compaction has removed."""
    shrunk = f"; the database is {filesize.decimal(freed.database)} smaller" if freed.database > 0 else ""
    return f"removed {_removable(waste, freed.files, freed.size)}{shrunk}"


def run_table(results: Sequence[ClaimResult]) -> Table:
    """Tabulate the results of a run; fits 80 columns."""
    table = Table(box=None, pad_edge=False, padding=(0, 1, 0, 0))
    table.add_column("claim", overflow="fold", max_width=30)
    table.add_column("verdict", no_wrap=True)
    table.add_column(f"effect [{CONFIDENCE:.0%}]")
    table.add_column("n", justify="right", no_wrap=True)
    table.add_column("time", justify="right", no_wrap=True)
    for result in results:
        verdict = Text(result.status, STYLES[result.status])
        if UNUSUAL[result.sound] and result.evaluation.verdict:
            verdict.append(f"\n{UNUSUAL[result.sound]}", "bold red" if result.sound is False else "dim")
        table.add_row(
            Text(result.id), verdict, effect(result.evaluation), _n(result.evaluation), duration(result.seconds)
        )
    return table


def remarks(results: Sequence[ClaimResult]) -> list[Text]:
    """Count the verdicts, and say in a line each what calls for attention."""
    counts = Counter(result.status for result in results)
    counted = ", ".join(f"{counts[status]} {status}" for status in STYLES if counts[status])
    sound = sum(result.sound is True for result in results)
    lines = [Text(f"{_count(results, 'claim')}: {counted}; {sound} sound")]
    for result in results:
        lines += [Text(f"{result.id}: {remark}", "red") for remark in result.complaints]
        if result.status == "skipped":
            lines.append(Text(f"{result.id}: skipped, {result.evaluation.message}", "dim"))
    return lines


def effect(evaluation: Evaluation) -> str:
    """Write the effect of an evaluation with its interval; empty where there is none."""
    verdict = evaluation.verdict
    return "" if verdict is None else format_effect(verdict.effect, verdict.low, verdict.high)


def check_text(claim: Claim, completed: CompletedRun) -> Group:
    """Present one claim: statement, source, method, verdict with its scope, counterparts."""
    (result,) = completed.results
    evaluation = result.evaluation
    sections = [
        ("Statement", Text(claim.statement)),
        ("Source", Text("\n".join(f"{source.title}, {source.section}" for source in claim.sources))),
        *([("Literature", Text(claim.literature))] if claim.literature else []),
        ("Method", Text(_filled(claim.method))),
        ("Criterion", Text(claim.criterion.describe())),
        ("Verdict", _verdict(evaluation)),
        ("Scope", Text(_scope(completed.run, evaluation))),
        *((counterpart.kind.capitalize(), _counterpart(counterpart)) for counterpart in result.counterparts),
        ("Soundness", Text(UNUSUAL[result.sound] or "sound")),
    ]
    blocks: list[RenderableType] = [Text(claim.id, "bold")]
    for title, content in sections:
        blocks += [Text(title, "bold cyan"), Padding(content, (0, 0, 0, 2))]
    return Group(*blocks)


class RunProgress:
    """Shows on stderr which claims are done, which run and how much time is left.

    A terminal gets a live bar; anything else only the line for each claim that is done.
    """

    def __init__(self, plan: Plan, workers: int, console: Console) -> None:
        self._plan = plan
        self._workers = workers
        self._waiting = plan.jobs
        self._running: dict[Job, float] = {}
        self._progress = Progress(
            BarColumn(bar_width=20),
            MofNCompleteColumn(),
            TextColumn("{task.description}", markup=False),
            _TimeLeft(self),
            console=console,
            transient=True,
            refresh_per_second=4,
            disable=not console.is_terminal,
        )
        self._console = console
        self._task = self._progress.add_task("starting workers", total=len(plan.claims))
        self._done = 0

    def __enter__(self) -> RunProgress:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Take notice of what happened."""
        match event:
            case Started(job):
                self._waiting.remove(job)
                self._running[job] = time.monotonic()
            case Finished(job):
                del self._running[job]
            case Recorded(result):
                self._done += 1
                self._progress.advance(self._task)
                self._console.print(self._line(result), soft_wrap=True)
        names = dict.fromkeys(self._plan.tasks_of(job)[0].claim.id for job in self._running)
        self._progress.update(self._task, description=", ".join(names))

    def seconds_left(self) -> float:
        """Estimate the time until the run ends, in seconds."""
        expected, now = self._plan.expected, time.monotonic()
        running_left = [max(0.0, expected.get(job, 0.0) - (now - start)) for job, start in self._running.items()]
        return planning.makespan(running_left, self._workers) + planning.expected_seconds(
            self._plan, self._waiting, self._workers
        )

    def _line(self, result: ClaimResult) -> Text:
        status = (result.status, STYLES[result.status])
        return Text.assemble(f"{self._done}/{len(self._plan.claims)} {result.id} ", status)


class _TimeLeft(ProgressColumn):
    def __init__(self, owner: RunProgress) -> None:
        super().__init__()
        self._owner = owner

    def render(self, task: Task) -> Text:  # noqa: ARG002  the time left is that of the run, not of a Rich task
        seconds = self._owner.seconds_left()
        return Text(f"{duration(seconds)} left" if seconds else "")


def _verdict(evaluation: Evaluation) -> Text:
    status = Text(evaluation.status, STYLES[evaluation.status])
    if evaluation.verdict is None:
        return status.append(f": {evaluation.message}", "default")
    return status.append(str(evaluation.verdict).removeprefix(evaluation.status), "default")


def _counterpart(evaluation: Evaluation) -> Text:
    said = {"control": "with the mechanism removed"}.get(evaluation.kind, evaluation.statement)
    return Text(f"{said}\n").append_text(_verdict(evaluation))


def _scope(run: Run, evaluation: Evaluation) -> str:
    seeds = _count(evaluation.seeds, "seed") if evaluation.seeds else "no randomness"
    parameters = ", ".join(f"{name}={value}" for name, value in evaluation.parameters.items())
    return f"{run.profile} profile on {run.backend}, {seeds}" + (f"; {parameters}" if parameters else "")


def _removable(waste: Waste, files: int, size: int) -> str:
    runs = f"{_count(waste.runs, 'run')} with {_count(range(waste.results), 'result')} and " if waste.runs else ""
    return f"{runs}{_count(range(files), 'file')} of observations ({filesize.decimal(size)})"


def _count(things: Sized, noun: str) -> str:
    return f"{len(things)} {noun}" if len(things) == 1 else f"{len(things)} {noun}s"


def _n(evaluation: Evaluation) -> str:
    return "" if evaluation.verdict is None else str(evaluation.verdict.n)


def _filled(docstring: str) -> str:
    paragraphs = docstring.split("\n\n")
    return "\n".join(textwrap.dedent(paragraph).replace("\n", " ") for paragraph in paragraphs)


def _finite(value: Any) -> Any:
    if isinstance(value, float):
        return value if math.isfinite(value) else None
    if isinstance(value, dict):
        return {str(key): _finite(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_finite(item) for item in value]
    return value
