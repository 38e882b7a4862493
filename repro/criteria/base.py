"""What every criterion shares: which rows it reads, the conditions it is evaluated at, and how parts are joined."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from typing import TYPE_CHECKING

import pandas as pd

from repro.criteria.figures import figure
from repro.errors import ClaimError, ObservationsError
from repro.statistics import CONFIDENCE, Band, Estimate, Exact, Levels, Median, Rate
from repro.two_samples import Sample
from repro.verdict import Verdict

if TYPE_CHECKING:
    from matplotlib.axes import Axes

Judge = Callable[[float], Verdict]

# Stands for the seed in observations that have none: a deterministic run has no sampling error.
DETERMINISTIC = "deterministic"


@dataclass(frozen=True)
class Panel:
    """One criterion with the rows that it reads, ready to be judged or drawn."""

    name: str
    criterion: ColumnCriterion
    observations: pd.DataFrame

    def judge(self, confidence: float) -> Verdict:
        """Judge this panel alone."""
        return self.criterion.judge(self.observations, confidence)


class Criterion(ABC):
    """A kind of statement: maps observations to a verdict."""

    def __call__(self, observations: pd.DataFrame, confidence: float = CONFIDENCE) -> Verdict:
        """Judge observations.

        Args:
            observations: tidy table, one or more rows per ``seed``; without that column, a single deterministic run.
            confidence: of the intervals, under 1; shared among the parts where one refuted part refutes the statement.

        Raises:
            ObservationsError: a column is missing, or has NaN in a row that is read.
        """
        panels = list(self.panels(observations))
        verdict = join([(panel.name, panel.judge) for panel in panels], confidence)
        return replace(verdict, observations=observations, draw=partial(figure, panels))

    def samples(self, observations: pd.DataFrame) -> dict[tuple[str, str], Sample]:
        """Reduce observations to what can be compared between runs.

        Returns:
            Numbers per seed, by the name of the part and the measure that is judged there; a statement in one piece has
            a part without a name. Nothing for criteria that do not say what they reduce a seed to.

        Raises:
            ObservationsError: as for a verdict.
        """
        return {
            (panel.name, measure): sample
            for panel in self.panels(observations)
            for measure, sample in panel.criterion.reduced(panel.observations).items()
        }

    @property
    def has_sampling_error(self) -> bool:
        """Whether more seeds make the verdict more certain; not so where one seed can settle it."""
        return True

    @abstractmethod
    def panels(self, observations: pd.DataFrame) -> Iterator[Panel]:
        """Split observations into the parts of the statement, which are judged separately."""

    @abstractmethod
    def describe(self) -> str:
        """Say in one sentence what is asked of the observations."""


@dataclass(frozen=True, kw_only=True)
class ColumnCriterion(Criterion):
    """A criterion that reads columns, perhaps of some rows only, perhaps under several conditions.

    Attributes:
        each: columns whose every combination of values is a condition that the statement must hold under.
        where: column to value; only rows with these values are read.
    """

    each: tuple[str, ...] = ()
    where: Mapping[str, object] = field(default_factory=dict, hash=False)

    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Name the columns that are read, beside the seed and those of ``each`` and ``where``."""

    @abstractmethod
    def judge(self, observations: pd.DataFrame, confidence: float) -> Verdict:
        """Judge the rows of one condition."""

    def reduced(self, observations: pd.DataFrame) -> dict[str, Sample]:  # noqa: ARG002  criteria that say more override it
        """Reduce the rows of one condition to numbers per seed, by the measure that is judged."""
        return {}

    @abstractmethod
    def draw(self, axes: Axes, observations: pd.DataFrame) -> None:
        """Draw the rows of one condition together with what is asked of them."""

    def panels(self, observations: pd.DataFrame) -> Iterator[Panel]:
        """Split observations into the conditions."""
        rows = self._rows(observations)
        if not self.each:
            yield Panel("", self, rows)
            return
        for values, condition in rows.groupby(list(self.each), sort=False, observed=True):
            name = ", ".join(f"{column} {value}" for column, value in zip(self.each, values, strict=True))
            yield Panel(name, self, condition)

    def _rows(self, observations: pd.DataFrame) -> pd.DataFrame:
        if "seed" not in observations:
            observations = observations.assign(seed=DETERMINISTIC)
        read = list(dict.fromkeys(["seed", *self.each, *self.columns()]))
        missing = [column for column in [*self.where, *read] if column not in observations]
        if missing:
            raise ObservationsError(
                f"{type(self).__name__} reads column {missing[0]!r}, "
                f"the observations have {', '.join(map(str, observations.columns))}"
            )
        rows = observations
        for column, value in self.where.items():
            rows = rows[rows[column] == value]
        if rows.empty:
            selection = "".join(f" with {column} = {value}" for column, value in self.where.items())
            raise ObservationsError(f"{type(self).__name__} finds no observations{selection}")
        undefined = rows[read].isna()
        if undefined.any(axis=None):
            columns = ", ".join(undefined.columns[undefined.any()])
            affected = [str(row) for row in rows.index[undefined.any(axis=1)]]
            more = f" and {len(affected) - 5} more" if len(affected) > 5 else ""
            raise ObservationsError(
                f"{type(self).__name__} reads {columns}, which is NaN in rows {', '.join(affected[:5])}{more}; "
                "a run that never gets there is inf, not NaN"
            )
        return rows.reset_index(drop=True)  # tables put together from several may repeat labels


class SeedwiseCriterion(ColumnCriterion):
    """A statement about one number per seed: its median over seeds lies in a band.

    Decides from eight seeds on, whatever the noise, at 99 %.
    """

    @abstractmethod
    def effects(self, observations: pd.DataFrame) -> pd.Series[float]:
        """Reduce each seed's rows to one number, indexed by seed."""

    @property
    @abstractmethod
    def band(self) -> Band:
        """Return the effects for which the statement holds."""

    @property
    @abstractmethod
    def measure(self) -> str:
        """Name the effect."""

    def judge(self, observations: pd.DataFrame, confidence: float) -> Verdict:
        """Place the median's order-statistic interval relative to the band."""
        return in_band(median_over_seeds(self.effects(observations), self.measure), self.band, confidence, self.measure)

    def reduced(self, observations: pd.DataFrame) -> dict[str, Sample]:
        """Return the number of each seed."""
        effects = self.effects(observations)
        return {self.measure: sample(effects, median_over_seeds(effects, self.measure).point)}


def sample(effects: pd.Series[float], effect: float) -> Sample:
    """Make a sample of one number per seed, indexed by seed, and what is reported of them."""
    return Sample(tuple(float(value) for value in effects), effect, DETERMINISTIC in effects.index)


def words(column: object) -> str:
    """Name a column in a sentence."""
    return str(column).replace("_", " ")


def median_over_seeds(effects: pd.Series[float], measure: str) -> Estimate:
    """Estimate the median over seeds of one number per seed, indexed by seed.

    Raises:
        ObservationsError: the number of a seed is NaN: its rows do not determine it.
    """
    if effects.isna().any():
        raise ObservationsError(f"{measure} is undefined for seed {effects.index[effects.isna()][0]}")
    if DETERMINISTIC in effects.index:
        return Exact(float(effects.iloc[0]))
    return Median(tuple(float(effect) for effect in effects))


def rate_over_seeds(successes: pd.Series[bool]) -> Estimate:
    """Estimate the share of seeds with a success, from one truth value per seed, indexed by seed."""
    if DETERMINISTIC in successes.index:
        return Exact(float(successes.iloc[0]))
    return Rate(int(successes.sum()), len(successes))


def in_band(estimate: Estimate, band: Band, confidence: float, measure: str) -> Verdict:
    """Judge whether an estimate lies in a band."""
    return verdict_from(estimate, band.levels(estimate), confidence, measure)


def verdict_from(estimate: Estimate, levels: Levels, confidence: float, measure: str) -> Verdict:
    """Make a verdict of an estimate and the levels at which it decides."""
    interval = estimate.interval(confidence)
    return Verdict(
        status=levels.status(confidence),
        effect=estimate.point,
        low=interval.low,
        high=interval.high,
        n=estimate.n,
        measure=measure,
        p=None if isinstance(estimate, Exact) else levels.flip(confidence),
        confidence=confidence,
        levels=levels,
    )


@dataclass(frozen=True, init=False)
class AllOf(Criterion):
    """Several criteria that must all hold.

    Attributes:
        criteria: name of each part to its criterion.
    """

    criteria: Mapping[str, Criterion] = field(hash=False)

    def __init__(self, **criteria: Criterion) -> None:
        if not criteria:
            raise ClaimError("AllOf joins no criteria; give them by name")
        object.__setattr__(self, "criteria", criteria)

    @property
    def has_sampling_error(self) -> bool:
        """Whether any part has."""
        return any(criterion.has_sampling_error for criterion in self.criteria.values())

    def panels(self, observations: pd.DataFrame) -> Iterator[Panel]:
        """Split observations into the panels of every criterion."""
        for name, criterion in self.criteria.items():
            for panel in criterion.panels(observations):
                yield replace(panel, name=f"{name}: {panel.name}" if panel.name else name)

    def describe(self) -> str:
        """Say what every part asks."""
        return "; ".join(f"{name}: {criterion.describe()}" for name, criterion in self.criteria.items())


def join(judges: Sequence[tuple[str, Judge]], confidence: float) -> Verdict:
    """Join the parts of a statement.

    Every part must be reproduced, so each is judged at the full level (an intersection-union test). A single refuted
    part refutes the statement, so refutation is judged at the level divided by the number of parts (Bonferroni). At
    99 % a median among two parts takes nine seeds to refute, among four ten, among eight eleven.

    Args:
        judges: name of each part and a function from a confidence to its verdict. A single part without a name is the
            whole statement.
        confidence: of the joint verdict.

    Returns:
        The verdict, with effect and interval of the deciding part: of several refuted ones the clearest, otherwise the
        one that is hardest to reproduce. Intervals of parts that are not reproduced are at the shared level too: the
        deciding part is the most extreme of several, which intervals at the full level cover too rarely.
    """
    if len(judges) == 1 and not judges[0][0]:
        return judges[0][1](confidence)
    verdicts = {name: _as_one_of(len(judges), judge, confidence) for name, judge in judges}
    levels = {name: _levels(verdict) for name, verdict in verdicts.items()}
    joint = Levels(
        reproduced=max(each.reproduced for each in levels.values()),
        refuted=min(each.refuted for each in levels.values()),
    )
    status = joint.status(confidence)
    candidates = [name for name, verdict in verdicts.items() if verdict.status == status]
    if status == "refuted":
        deciding = min(candidates, key=lambda name: levels[name].refuted)
    else:
        deciding = max(candidates, key=lambda name: levels[name].reproduced)
    exact = verdicts[deciding].p is None
    return replace(
        verdicts[deciding],
        status=status,
        p=None if exact else joint.flip(confidence),
        parts=tuple(verdict.as_part(name) for name, verdict in verdicts.items()),
        deciding=deciding,
        levels=joint,
    )


def _as_one_of(parts: int, judge: Judge, confidence: float) -> Verdict:
    """Judge a part where each of several refutes the whole."""
    verdict = judge(confidence)
    levels = Levels(_levels(verdict).reproduced, min(1.0, parts * _levels(verdict).refuted))
    status = levels.status(confidence)
    if status != "reproduced":
        verdict = judge(1 - (1 - confidence) / parts)
    return replace(verdict, status=status, levels=levels)


def _levels(verdict: Verdict) -> Levels:
    """Return the levels of a verdict, which for one without sampling error follow from its status."""
    if verdict.levels is not None:
        return verdict.levels
    return Levels(float(verdict.status != "reproduced"), float(verdict.status != "refuted"))
