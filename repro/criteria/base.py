"""What every criterion shares: which rows it reads, the conditions it is evaluated at, and how parts are joined."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

import pandas as pd

from repro.common import ClaimError, ObservationsError
from repro.criteria.figures import draw_panels
from repro.criteria.verdict import Verdict
from repro.uncertainty import CONFIDENCE, Band, Estimate, Exact, Levels, Median, Rate, Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

Judge = Callable[[float], "Judgement"]

# Stands for the seed in observations that have none: a deterministic run has no sampling error.
DETERMINISTIC = "deterministic"


@dataclass(frozen=True)
class Judgement:
    """A verdict with the levels that it follows from, by which it is joined with others.

    Attributes:
        verdict: Verdict that follows from the levels.
        levels: Smallest levels at which the statement comes out reproduced and refuted.
    """

    verdict: Verdict
    levels: Levels


@dataclass(frozen=True)
class Panel:
    """One criterion with the rows that it reads, ready to be judged or drawn."""

    name: str
    criterion: ColumnCriterion
    observations: pd.DataFrame

    def judge(self, confidence: float) -> Judgement:
        """Judge this panel alone."""
        return self.criterion.judge(self.observations, confidence)

    def draw(self, axes: Axes) -> None:
        """Draw this panel."""
        self.criterion.draw(axes, self.observations)


class Criterion(ABC):
    """A kind of statement, which maps observations to a verdict."""

    def __call__(self, observations: pd.DataFrame, confidence: float = CONFIDENCE) -> Verdict:
        """Judge observations.

        Args:
            observations: Tidy table, one or more rows per ``seed``; without that column, a single deterministic run.
            confidence: Confidence of the intervals, under 1; shared among the parts where one refuted part refutes the
                statement.

        Raises:
            ObservationsError: a column is missing, or has NaN in a row that is read.
        """
        return join([(panel.name, panel.judge) for panel in self.panels(observations)], confidence).verdict

    def figure(self, observations: pd.DataFrame, verdict: Verdict) -> Figure:
        """Draw observations together with what is asked of them.

        Args:
            observations: Table that was judged.
            verdict: Verdict on the table, which gives each panel its status.

        Raises:
            ObservationsError: as for a verdict.
        """
        return draw_panels(list(self.panels(observations)), verdict)

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
        each: Columns of which every combination of values is a condition under which the statement must hold.
        where: Values by column; only rows with these values are read.
    """

    each: tuple[str, ...] = ()
    where: Mapping[str, object] = field(default_factory=dict, hash=False)

    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Name the columns that are read, besides the seed and those of ``each`` and ``where``."""

    @abstractmethod
    def judge(self, observations: pd.DataFrame, confidence: float) -> Judgement:
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
        """Effects for which the statement holds."""

    @property
    @abstractmethod
    def measure(self) -> str:
        """Name of the effect."""

    def judge(self, observations: pd.DataFrame, confidence: float) -> Judgement:
        """Place the median's order-statistic interval relative to the band."""
        return in_band(median_over_seeds(self.effects(observations), self.measure), self.band, confidence, self.measure)

    def reduced(self, observations: pd.DataFrame) -> dict[str, Sample]:
        """Return the number of each seed."""
        effects = self.effects(observations)
        return {self.measure: sample(effects, median_over_seeds(effects, self.measure).point)}


def sample(effects: pd.Series[float], effect: float) -> Sample:
    """Make a sample of one number per seed, indexed by seed, with the effect that is reported."""
    return Sample(tuple(float(value) for value in effects), effect, DETERMINISTIC in effects.index)


def words(column: object) -> str:
    """Write the name of a column as it stands in a sentence."""
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


def in_band(estimate: Estimate, band: Band, confidence: float, measure: str) -> Judgement:
    """Judge whether an estimate lies in a band."""
    levels, interval = band.levels(estimate), estimate.interval(confidence)
    verdict = Verdict(
        status=levels.status(confidence),
        effect=estimate.point,
        low=interval.low,
        high=interval.high,
        n=estimate.n,
        measure=measure,
        p=None if isinstance(estimate, Exact) else levels.flip(confidence),
        confidence=confidence,
    )
    return Judgement(verdict, levels)


def without_sampling_error(verdict: Verdict) -> Judgement:
    """Make the judgement of a verdict that more seeds would not make more certain: the status gives the levels."""
    return Judgement(verdict, Levels(float(verdict.status != "reproduced"), float(verdict.status != "refuted")))


@dataclass(frozen=True, init=False)
class AllOf(Criterion):
    """Several criteria that must all hold.

    Attributes:
        criteria: Criterion of each part, by the name of the part.

    Example:
        >>> from repro.criteria import AtLeast, AtMost
        >>> both = AllOf(above=AtLeast("value", bound=0.0), below=AtMost("value", bound=1.0))
        >>> verdict = both(pd.DataFrame({"seed": range(8), "value": 2.0}))
        >>> verdict.status, verdict.deciding
        ('refuted', 'below')
    """

    criteria: Mapping[str, Criterion] = field(hash=False)

    def __init__(self, **criteria: Criterion) -> None:
        if not criteria:
            raise ClaimError("AllOf joins no criteria; give them by name")
        object.__setattr__(self, "criteria", criteria)

    @property
    def has_sampling_error(self) -> bool:
        """Whether more seeds make the verdict on any part more certain."""
        return any(criterion.has_sampling_error for criterion in self.criteria.values())

    def panels(self, observations: pd.DataFrame) -> Iterator[Panel]:
        """Split observations into the panels of every criterion."""
        for name, criterion in self.criteria.items():
            for panel in criterion.panels(observations):
                yield replace(panel, name=f"{name}: {panel.name}" if panel.name else name)

    def describe(self) -> str:
        """Say what every part asks."""
        return "; ".join(f"{name}: {criterion.describe()}" for name, criterion in self.criteria.items())


def join(judges: Sequence[tuple[str, Judge]], confidence: float) -> Judgement:
    """Join the parts of a statement.

    Every part must be reproduced, so each is judged at the full level (an intersection-union test). A single refuted
    part refutes the statement, so refutation is judged at the level divided by the number of parts (Bonferroni). At
    99 % a median among two parts takes nine seeds to refute, among four ten, among eight eleven.

    Args:
        judges: Names of the parts, each with a function from a confidence to the part's judgement. A single part
            without a name is the whole statement.
        confidence: Confidence of the joint verdict.

    Returns:
        The judgement, with effect and interval of the deciding part: of several refuted ones the clearest, otherwise
        the one that is hardest to reproduce. Intervals of parts that are not reproduced are at the shared level too:
        the deciding part is the most extreme of several, which intervals at the full level cover too rarely.
    """
    if len(judges) == 1 and not judges[0][0]:
        return judges[0][1](confidence)
    judgements = {name: _as_one_of(len(judges), judge, confidence) for name, judge in judges}
    joint = Levels(
        reproduced=max(each.levels.reproduced for each in judgements.values()),
        refuted=min(each.levels.refuted for each in judgements.values()),
    )
    status = joint.status(confidence)
    candidates = [name for name, each in judgements.items() if each.verdict.status == status]
    if status == "refuted":
        deciding = min(candidates, key=lambda name: judgements[name].levels.refuted)
    else:
        deciding = max(candidates, key=lambda name: judgements[name].levels.reproduced)
    decisive = judgements[deciding].verdict
    verdict = replace(
        decisive,
        status=status,
        p=None if decisive.p is None else joint.flip(confidence),
        parts=tuple(each.verdict.as_part(name) for name, each in judgements.items()),
        deciding=deciding,
    )
    return Judgement(verdict, joint)


def _as_one_of(parts: int, judge: Judge, confidence: float) -> Judgement:
    """Judge a part where each of several refutes the whole."""
    alone = judge(confidence)
    levels = Levels(alone.levels.reproduced, min(1.0, parts * alone.levels.refuted))
    status = levels.status(confidence)
    shown = alone if status == "reproduced" else judge(1 - (1 - confidence) / parts)
    return Judgement(replace(shown.verdict, status=status), levels)
