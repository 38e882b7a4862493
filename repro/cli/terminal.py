"""Texts that the command line prints, and how it shows that it works."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Sequence, Sized
from typing import TYPE_CHECKING

from rich import filesize
from rich.console import Console, Group, RenderableType
from rich.padding import Padding
from rich.progress import BarColumn, MofNCompleteColumn, Progress, ProgressColumn, Task, TextColumn
from rich.text import Text

from repro.cli.tables import STYLES
from repro.common import format_duration
from repro.runner import Begun, Event, Finished, Job, Plan, Recorded, Started, expected_seconds, makespan

if TYPE_CHECKING:
    from repro.report import Check
    from repro.results import ClaimResult, Freed, Waste

BAR_WIDTH = 20
TIME_LEFT = "100 min left"  # no longer text is shown there
GAPS = 3


def console(*, stderr: bool = False) -> Console:
    """Open the terminal; statements and messages are no markup."""
    return Console(stderr=stderr, markup=False, highlight=False)


def plan_text(begun: Begun) -> str:
    """Say what a run will do and how long that is expected to take."""
    plan, jobs = begun.plan, begun.plan.jobs
    untimed = {task.claim.id for task in plan.tasks if task.job not in plan.expected}
    expected = format_duration(expected_seconds(plan, jobs, begun.workers))
    if len(untimed) == len(plan.claims):
        timing = "expected time unknown"
    else:
        timing = f"expected time {expected}" + (f", and that of {_count(untimed, 'untimed claim')}" if untimed else "")
    where = f"in {begun.workers} worker processes" if begun.workers else "in this process"
    return (
        f"{_count(plan.claims, 'claim')}, {_count(plan.tasks, 'evaluation')} with counterparts, "
        f"{_count(jobs, 'experiment')} at the {plan.profile} profile {where}; {timing}. Results go to {begun.folder}"
    )


def waste_text(waste: Waste) -> str:
    """Say what a compaction would remove."""
    return f"would remove {_removable(waste, len(waste.files), sum(waste.files.values()))}"


def freed_text(waste: Waste, freed: Freed) -> str:
    """Say what a compaction has removed."""
    shrunk = f"; the database is {filesize.decimal(freed.database)} smaller" if freed.database > 0 else ""
    return f"removed {_removable(waste, freed.files, freed.size)}{shrunk}"


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


def check_text(checked: Check) -> Group:
    """Present one claim, with its verdicts in colour."""
    blocks: list[RenderableType] = [Text(checked.claim.id, "bold")]
    for title, content in checked.sections().items():
        text = Text(content)
        for status, style in STYLES.items():
            text.highlight_regex(rf"(?m)^{status}(?=:)", style)
        blocks += [Text(title, "bold cyan"), Padding(text, (0, 0, 0, 2))]
    return Group(*blocks)


class RunProgress:
    """Display on stderr of what a run does: which claims are done, which run and how much time is left.

    A terminal gets a live bar; anything else only the line for each claim that is done.
    """

    def __init__(self, console: Console) -> None:
        self._console = console
        self._begun: Begun | None = None
        self._waiting: list[Job] = []
        self._running: dict[Job, float] = {}
        self._done = 0
        self._progress = Progress(
            BarColumn(bar_width=BAR_WIDTH),
            MofNCompleteColumn(),
            _TimeLeft(self),
            TextColumn("{task.description}", markup=False),
            console=console,
            transient=True,
            refresh_per_second=4,
            disable=not console.is_terminal,
        )
        self._task = self._progress.add_task("starting workers", total=None)

    def __enter__(self) -> RunProgress:
        self._progress.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._progress.stop()

    def __call__(self, event: Event) -> None:
        """Show an event."""
        match event:
            case Begun(plan):
                self._begun, self._waiting = event, plan.jobs
                self._progress.update(self._task, total=len(plan.claims))
                if event.resumed:
                    self._console.print(f"resuming run {event.run.id}")
                self._console.print(plan_text(event))
            case Started(job):
                self._waiting.remove(job)
                self._running[job] = time.monotonic()
            case Finished(job):
                del self._running[job]
            case Recorded(result):
                self._done += 1
                self._progress.advance(self._task)
                self._console.print(self._line(result), soft_wrap=True)
        self._progress.update(self._task, description=self._names())

    def say(self, line: str) -> None:
        """Print a line above the bar."""
        self._console.print(line)

    def seconds_left(self) -> float:
        """Estimate the time until the run ends, in seconds."""
        if self._begun is None:
            return 0.0
        plan, workers, now = self._begun.plan, self._begun.workers, time.monotonic()
        running_left = [max(0.0, plan.expected.get(job, 0.0) - (now - start)) for job, start in self._running.items()]
        return makespan(running_left, workers) + expected_seconds(plan, self._waiting, workers)

    def _line(self, result: ClaimResult) -> Text:
        return Text.assemble(f"{self._done}/{self._total} {result.id} ", (result.status, STYLES[result.status]))

    def _names(self) -> str:
        """Name the claims that run, in what the bar, the count and the time left leave of a line."""
        plan = self._plan
        names = list(dict.fromkeys(plan.tasks_of(job)[0].claim.id for job in self._running)) if plan else []
        room = self._console.width - BAR_WIDTH - len(f"{self._total}/{self._total}") - len(TIME_LEFT) - GAPS
        return fitting(names, room)

    @property
    def _plan(self) -> Plan | None:
        return None if self._begun is None else self._begun.plan

    @property
    def _total(self) -> int:
        return 0 if self._plan is None else len(self._plan.claims)


def fitting(names: Sequence[str], room: int) -> str:
    """Join the ids of claims within so many characters: without modules, or only the first of them, where need be.

    Example:
        >>> fitting(["perceptron.novikoff", "dropout.mixture"], 30)
        'novikoff, mixture'
    """
    short = [name.rpartition(".")[2] for name in names]
    few = [f"{short[0]} and {len(names) - 1} more"] if len(names) > 1 else short
    texts = [", ".join(names), ", ".join(short), *few]
    return next((text for text in texts if len(text) <= room), texts[-1][: max(room - 1, 0)] + "…")


class _TimeLeft(ProgressColumn):
    def __init__(self, owner: RunProgress) -> None:
        super().__init__()
        self._owner = owner

    def render(self, task: Task) -> Text:  # noqa: ARG002  the time left is that of the run, not of a Rich task
        seconds = self._owner.seconds_left()
        return Text(f"{format_duration(seconds)} left" if seconds else "")


def _removable(waste: Waste, files: int, size: int) -> str:
    runs = f"{_count(waste.runs, 'run')} with {_count(range(waste.results), 'result')} and " if waste.runs else ""
    return f"{runs}{_count(range(files), 'file')} of observations ({filesize.decimal(size)})"


def _count(things: Sized, noun: str) -> str:
    return f"{len(things)} {noun}" if len(things) == 1 else f"{len(things)} {noun}s"
