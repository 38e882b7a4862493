"""Claims with other settings: is an effect an accident of them, and on which of them does it depend most.

Settings are varied together in the twelve-row design of Plackett and Burman (1946, The Design of Optimum Multifactorial
Experiments). Each pair of its columns has every combination of half and twice in three rows, so that twelve rows give
the main effects of up to eleven settings, each from all of them.
"""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from typing import ClassVar, Literal, TypeVar

import numpy as np

from repro.catalogue import Claim, design
from repro.common import ReproError, format_number
from repro.criteria import AllOf, Criterion, Peak, Proportion, Ratio, SeedwiseCriterion, Verdict
from repro.runner import Job, JobResult, Task, environment, judge, make_plan, seeds_of, start_workers
from repro.uncertainty import Band, CellOutcome

GENERATOR = (1, 1, -1, 1, 1, 1, -1, -1, -1, 1, -1)
# Rows by settings: 1 for twice, -1 for half.
DESIGN = np.array([*(np.roll(GENERATOR, shift) for shift in range(11)), [-1] * 11])
SEEDS = 4
FEWEST_ROWS = 6
TUNED = {"rate", "rates", "trials"}  # what is chosen by tuning is answered for by the tuning
ROUNDING = 1e-12  # main effects below this share of the largest effect are none

Setting = int | float
Settings = Mapping[str, Setting]
Compared = Literal["sign", "side of the band", "outcome"]
Listener = Callable[[str], None]
Perform = Callable[[Sequence[Job], Callable[[Job], None]], Iterable[tuple[Job, JobResult]]]
Given = TypeVar("Given")
Made = TypeVar("Made")


@dataclass(frozen=True)
class Row:
    """A claim with some of its settings changed.

    Attributes:
        settings: Values of the settings by name.
        effect: Effect with these settings; None where the row ended in error.
        held: Whether the effect is on the same side as without changes; None where the row ended in error.
        message: One line that says why there is no effect; empty where there is one.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    settings: Settings
    effect: float | None
    held: bool | None
    message: str = ""


@dataclass(frozen=True)
class Influence:
    """What a setting does to the effect.

    Attributes:
        name: Name of the setting.
        half, value, twice: Values of the setting: changed, its own, and changed.
        effect: Main effect of the setting, the mean effect at twice less that at half; NaN where too few rows have a
            finite effect, or none of those at half or at twice.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    name: str
    half: Setting
    value: Setting
    twice: Setting
    effect: float


@dataclass(frozen=True)
class Robustness:
    """Effects of a claim with its settings changed, all on one scale.

    Attributes:
        id: Id of the claim.
        measure: Name of the effect, in words; a logarithm where the criterion judges a ratio.
        base: Effect without changes.
        compared: Property of the effect that is to hold: its sign, whether it is inside the band that the criterion
            allows, or the outcome of a criterion without sampling error.
        rows: Rows of the design.
        settings: Settings that were varied, with their main effects.
        most: Name of the setting with the largest main effect; empty where none has any.
        alone: Effects with that setting alone at half, one and two times; None for one that ended in error.
        left_out: Further settings, for which the design has no column.
        design: Fingerprint of the claim's design.
    """

    __pydantic_config__: ClassVar = {"extra": "forbid"}

    id: str
    measure: str
    base: float
    compared: Compared
    rows: tuple[Row, ...]
    settings: tuple[Influence, ...]
    most: str
    alone: tuple[float | None, ...] = ()
    left_out: tuple[str, ...] = ()
    design: str = ""

    @property
    def ran(self) -> int:
        """Number of rows that have an effect."""
        return sum(row.held is not None for row in self.rows)

    @property
    def held(self) -> int:
        """Number of rows in which what is compared is as without changes."""
        return sum(bool(row.held) for row in self.rows)

    @property
    def sentence(self) -> str:
        """Outcome in plain words."""
        rows = f"{self.ran} rows" if self.ran == len(self.rows) else f"the {self.ran} rows that ran"
        held = f"{self.compared} held in {self.held} of {rows}"
        infinite = sum(row.effect is not None and not math.isfinite(row.effect) for row in self.rows)
        if infinite:
            held += f", {infinite} of them with an infinite effect"
        if self.most:
            alone = ", ".join("error" if effect is None else format_number(effect) for effect in self.alone)
            return f"{held}; {self.most} moves it most: {alone} at half, one and two times"
        if any(math.isnan(setting.effect) for setting in self.settings):
            return f"{held}; too few effects are finite to say what moves it most"
        return f"{held}; no setting moves it"


@dataclass(frozen=True)
class _Base:
    """What the rows of a claim are compared with: the run without changes, and its cell that decides.

    Attributes:
        verdict: Verdict without changes.
        outcome: Outcome of the cell.
        is_ratio: Whether its effect is a ratio.
        band: Effects for which the statement holds there; None for a criterion without sampling error.
        compared: Property of the effect that is to hold.
    """

    verdict: Verdict
    outcome: CellOutcome
    is_ratio: bool
    band: Band | None
    compared: Compared

    def side(self, effect: float, outcome: CellOutcome) -> object:
        """Return what is compared, of an effect as it was measured and the outcome of its cell."""
        if self.band is None:
            return outcome
        if self.compared == "sign":
            return np.sign(self.scaled(effect))
        return self.band.low <= effect <= self.band.high

    def scaled(self, effect: float) -> float:
        """Return an effect on the scale on which effects are added."""
        with np.errstate(divide="ignore"):
            return float(np.log(effect)) if self.is_ratio else effect


@dataclass(frozen=True)
class _Study:
    """A claim with the tasks of its base run and of its rows."""

    claim: Claim
    settings: tuple[Influence, ...]
    left_out: tuple[str, ...]
    base: Task
    rows: tuple[tuple[Settings, Task], ...]


def audit_robustness(
    claims: Sequence[Claim], *, workers: int | None = None, listen: Listener = lambda _: None
) -> list[Robustness]:
    """Run claims, without their counterparts, at smoke with their numeric settings halved and doubled.

    All rows of a claim have the same four seeds, which no run of the claim uses.

    Args:
        claims: Claims to run.
        workers: Number of worker processes; 0 for none, by default one for each core.
        listen: Function that is called with each line of progress, and with a line for each of several claims that
            cannot be audited.

    Raises:
        ReproError: a claim, the only one, takes no seeds, has no setting to vary, or does not run in six rows.
    """

    def refuse(error: ReproError) -> None:
        if len(claims) == 1:
            raise error
        listen(f"skipped: {error}")

    studies = list(_successes(_study, claims, refuse))
    tasks = [task for study in studies for task in (study.base, *(row for _, row in study.rows))]
    count = min(environment.cores() if workers is None else workers, len(tasks))
    with tempfile.TemporaryDirectory() as folder, start_workers(count, Path(folder) / "workers.log") as pool:
        made = _perform(pool.perform, tasks, listen)
        varied = list(_successes(partial(_vary, made=made), studies, refuse))
        new = [task for _, _, alone in varied for task in alone if task not in made]
        made |= _perform(pool.perform, new, listen)
    return [
        replace(robustness, alone=tuple(_row({}, task, made[task], base).effect for task in alone))
        for base, robustness, alone in varied
    ]


def _successes(
    make: Callable[[Given], Made], items: Iterable[Given], refuse: Callable[[ReproError], None]
) -> Iterator[Made]:
    for item in items:
        try:
            yield make(item)
        except ReproError as error:
            refuse(error)


def _study(claim: Claim) -> _Study:
    """Lay out the rows of a claim.

    Raises:
        ReproError: the claim takes no seeds, or has no setting to vary.
    """
    if not claim.takes_seeds:
        raise ReproError(f"{claim.id} takes no seeds: it computes one number, which is no effect; choose another claim")
    parameters = claim.variants("smoke")[0].parameters
    fixed = _read_by(claim.criterion) | (set() if claim.boundary is None else claim.boundary.names)
    names = [name for name, value in parameters.items() if name not in fixed and _is_setting(name, value)]
    if not names:
        raise ReproError(
            f"{claim.id} has no setting to vary: no number that is neither zero, nor tuned, nor read by its criterion; "
            "choose another claim"
        )
    varied, left_out = names[: DESIGN.shape[1]], names[DESIGN.shape[1] :]
    settings = [Influence(name, *halved_and_doubled(parameters[name]), math.nan) for name in varied]
    rows = [
        {each.name: each.twice if sign > 0 else each.half for each, sign in zip(settings, row, strict=False)}
        for row in DESIGN
    ]
    tasks = [(row, _task(claim, row)) for row in rows]
    return _Study(claim, tuple(settings), tuple(left_out), _task(claim, {}), tuple(tasks))


def _read_by(criterion: Criterion) -> set[str]:
    """Name the columns of conditions and thresholds that a criterion reads; not every kind has them."""
    if isinstance(criterion, AllOf):
        return set().union(*map(_read_by, criterion.criteria.values()))
    conditions = {*getattr(criterion, "conditions", ()), *getattr(criterion, "where", ())}
    thresholds = (getattr(criterion, name, None) for name in ("bound", "target", "at"))
    return conditions | {name for name in thresholds if isinstance(name, str)}


def _is_setting(name: str, value: object) -> bool:
    is_number = isinstance(value, int | float) and not isinstance(value, bool)
    return is_number and value != 0 and not TUNED & set(name.split("_"))


def halved_and_doubled(value: Setting) -> tuple[Setting, Setting, Setting]:
    """Return half of a setting, the setting, and twice of it.

    A number between 0 and 1 is a share, of which the odds are halved and doubled; half of a whole number is rounded,
    and at least one.
    """
    if isinstance(value, int):
        return round(value / 2) or value, value, 2 * value
    if 0 < value < 1:
        return value / (2 - value), value, 2 * value / (1 + value)
    return value / 2, value, 2 * value


def _task(claim: Claim, changed: Settings) -> Task:
    """Make the task of a claim with some settings changed, at the seeds that follow those of its largest run."""
    task = make_plan([claim], "smoke", seeds=SEEDS, overrides={claim.id: dict(changed)}).tasks[0]
    first = max(seeds_of(claim, "full", None, "repetition")) + 1
    return replace(task, job=replace(task.job, seeds=tuple(range(first, first + SEEDS))))


def _perform(perform: Perform, tasks: Sequence[Task], listen: Listener) -> dict[Task, JobResult]:
    """Perform the jobs of tasks; those that make the same observations once, as where only the reading differs."""
    first = {task.job.key: task for task in reversed(tasks)}
    made = {}
    for done, (job, result) in enumerate(perform([task.job for task in first.values()], lambda _: None), start=1):
        made[job.key] = result
        listen(f"{done}/{len(first)} {first[job.key].claim.id}")
    return {task: made[task.job.key] for task in tasks}


def _vary(study: _Study, made: Mapping[Task, JobResult]) -> tuple[_Base, Robustness, tuple[Task, ...]]:
    """Compare the rows of a claim, and make the tasks of the setting that moves the effect most: half, one, two times.

    Raises:
        ReproError: there is nothing to compare with, or too few rows ran.
    """
    base = _base(study.base, made[study.base])
    rows = tuple(_row(settings, task, made[task], base) for settings, task in study.rows)
    settings = _with_main_effects(study.settings, rows)
    largest = max(settings, key=lambda setting: abs(np.nan_to_num(setting.effect)))
    most = largest.name if abs(largest.effect) > 0 else ""
    robustness = Robustness(
        id=study.claim.id,
        measure=f"log of {base.verdict.measure}" if base.is_ratio else base.verdict.measure,
        base=base.scaled(base.verdict.effect),
        compared=base.compared,
        rows=rows,
        settings=settings,
        most=most,
        left_out=study.left_out,
        design=design(study.claim),
    )
    if robustness.ran < FEWEST_ROWS:
        first = next(row.message for row in rows if row.message)
        raise ReproError(
            f"{study.claim.id} ran in {robustness.ran} of {len(rows)} rows only, {FEWEST_ROWS} are needed ({first})"
        )
    if not most:
        return base, robustness, ()
    half, twice = (_task(study.claim, {most: value}) for value in (largest.half, largest.twice))
    return base, robustness, (half, study.base, twice)


def _base(task: Task, made: JobResult) -> _Base:
    evaluation = judge(task, made)
    verdict = evaluation.verdict
    if verdict is None or made.observations is None:
        raise ReproError(f"{task.claim.id} does not run with its own settings ({evaluation.message})")
    panels = task.variant.criterion.panels(task.claim.read(made.observations, task.variant.parameters))
    criterion, outcome = next(
        (panel.criterion, cell.outcome)
        for panel, cell in zip(panels, verdict.cells, strict=True)
        if verdict.deciding in ("", cell.name)
    )
    # A ratio of stated size has no threshold and is a ratio all the same.
    is_ratio = isinstance(criterion, Ratio) or getattr(criterion.threshold, "scale", "") == "ratio"
    band = _band(criterion, verdict.measure)
    if band is None:
        return _Base(verdict, outcome, is_ratio, None, "outcome")
    # Where no effect at all is within what the statement allows, it asks for no sign; nor do shares and slopes.
    has_sign = isinstance(criterion, SeedwiseCriterion) and math.isinf(band.low) != math.isinf(band.high)
    asks_for_one = has_sign and not band.low <= (1.0 if is_ratio else 0.0) <= band.high
    return _Base(verdict, outcome, is_ratio, band, "sign" if asks_for_one else "side of the band")


def _band(criterion: Criterion, measure: str) -> Band | None:
    """Return the effects for which a statement holds; None for criteria without sampling error."""
    if isinstance(criterion, Proportion):
        return Band(low=criterion.at_least)
    if isinstance(criterion, Peak):
        is_place = measure == criterion.measures["place"]
        return Band(1 / criterion.within, criterion.within) if is_place else Band(low=criterion.prominence)
    band: Band | None = getattr(criterion, "band", None)
    return band


def _row(settings: Settings, task: Task, made: JobResult, base: _Base) -> Row:
    """Compare a row with the run without changes, in the cell that decides there."""
    evaluation = judge(task, made)
    if evaluation.verdict is None or made.observations is None:
        return Row(settings, None, None, evaluation.message)
    deciding = base.verdict.deciding
    cell = next((cell for cell in evaluation.verdict.cells if deciding in ("", cell.name)), None)
    if cell is None:
        return Row(settings, None, None, f"there is no cell {deciding} with these settings")
    # A peak's effect is its place or its prominence, whichever is worse; the rows are compared by the same one.
    samples = task.variant.criterion.samples(task.claim.read(made.observations, task.variant.parameters))
    sample = samples.get((cell.name, base.verdict.measure))
    effect = cell.effect if sample is None else sample.effect
    held = base.side(effect, cell.outcome) == base.side(base.verdict.effect, base.outcome)
    return Row(settings, base.scaled(effect), bool(held))


def _with_main_effects(settings: tuple[Influence, ...], rows: Sequence[Row]) -> tuple[Influence, ...]:
    """Estimate main effects by least squares over the rows with a finite effect.

    Over all rows these are the differences of means. Where rows are missing, the other settings are allowed for, and
    effects that the rest cannot tell apart are shared among them.
    """
    used = [place for place, row in enumerate(rows) if row.effect is not None and math.isfinite(row.effect)]
    if len(used) < FEWEST_ROWS:
        return settings
    effects = np.array([rows[place].effect for place in used], dtype=float)
    columns = DESIGN[used, : len(settings)]
    found = 2 * np.linalg.lstsq(columns - columns.mean(axis=0), effects - effects.mean())[0]
    found[np.abs(found) <= ROUNDING * np.abs(effects).max()] = 0.0
    found[np.ptp(columns, axis=0) == 0] = math.nan
    return tuple(replace(setting, effect=float(effect)) for setting, effect in zip(settings, found, strict=True))
