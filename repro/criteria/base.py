"""What every criterion shares: which rows it reads, the conditions it is evaluated at, and how its verdict is made."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, ClassVar, Self

import pandas as pd

from repro.common import ClaimError, ObservationsError
from repro.criteria.contrasts import Scores, score_in_band
from repro.criteria.estimates import DETERMINISTIC, median_over_seeds, sample
from repro.criteria.figures import draw_panels
from repro.criteria.judging import Measurement, Seen, judge
from repro.criteria.maps import draw_map, has_map
from repro.criteria.reading import Boundary, Kind, Reading, Scale
from repro.criteria.thresholds import Threshold, ThresholdScale, reason
from repro.criteria.verdict import Conditions, Verdict, cell_name
from repro.uncertainty import CONFIDENCE, Band, Estimate, Exact, Interval, Levels, Sample

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


@dataclass(frozen=True)
class Panel:
    """One criterion with the rows of one cell, ready to be judged or drawn.

    Attributes:
        part: Part of the statement; empty for a statement in one piece.
        conditions: Values of the conditions by name.
        criterion: Criterion of the part.
        observations: Rows of the cell.
    """

    part: str
    conditions: Conditions
    criterion: ColumnCriterion
    observations: pd.DataFrame

    @property
    def name(self) -> str:
        """Part and conditions in words."""
        return cell_name(self.part, self.conditions)

    def see(self, boundary: Boundary | None) -> Seen:
        """Measure the cell."""
        constants = {} if boundary is None else self._constants(boundary.names - set(self.conditions))
        criterion = self.criterion
        measured = criterion.measurement(self.observations)
        return Seen(self.part, self.conditions, constants, measured, criterion.threshold, criterion.phrase)

    def draw(self, axes: Axes) -> None:
        """Draw this panel."""
        self.criterion.draw(axes, self.observations)

    def _constants(self, names: set[str]) -> dict[str, Any]:
        """Return the values of columns that are constant in the cell; those without a value are left out."""
        constants = {}
        for name in sorted(names & set(self.observations.columns)):
            values = self.observations[name].dropna()
            if len(values) and not (values == values.iloc[0]).all():
                raise ClaimError(
                    f"boundary: {name!r} is no condition, it varies within {self.name or 'the observations'}"
                )
            if len(values):
                constants[name] = values.iloc[0]
        return constants


class Criterion(ABC):
    """What is asked of a table of observations: it maps them to a verdict."""

    def __call__(
        self,
        observations: pd.DataFrame,
        confidence: float = CONFIDENCE,
        *,
        kind: Kind = "tendency",
        scale: Scale = "toy",
        boundary: Boundary | None = None,
    ) -> Verdict:
        """Judge observations.

        Args:
            observations: Tidy table, one or more rows per ``seed``; without that column, a single deterministic run.
            confidence: Confidence of the verdict, under 1; shared among the cells where one of them tells.
            kind: Kind of sentence that is judged, which decides what follows from the outcomes of the cells.
            scale: Distance of the experiment from the setting that the passage means.
            boundary: Conditions under which the statement is expected to hold.

        Raises:
            ObservationsError: a column is missing, or has NaN in a row that is read.
            ClaimError: the boundary reads something that is no condition.
        """
        cells = [panel.see(boundary) for panel in self.panels(observations)]
        return judge(cells, Reading(kind, scale, boundary), confidence)

    def figure(self, observations: pd.DataFrame, verdict: Verdict) -> Figure:
        """Draw observations together with what is asked of them; a map of conditions where the verdict differs by them.

        Args:
            observations: Table that was judged.
            verdict: Verdict on the table, which gives each panel its outcome.

        Raises:
            ObservationsError: as for a verdict.
        """
        panels = list(self.panels(observations))
        return draw_map(verdict) if has_map(verdict) else draw_panels(panels, verdict)

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

    def scores(self, observations: pd.DataFrame) -> dict[str, Scores]:
        """Say for each cell by its name how far each seed is on the side where the statement holds.

        Raises:
            ObservationsError: as for a verdict.
        """
        scores = {panel.name: panel.criterion.score(panel.observations) for panel in self.panels(observations)}
        return {name: score for name, score in scores.items() if score is not None}

    @property
    def has_sampling_error(self) -> bool:
        """Whether more seeds make the verdict more certain; not so where one seed can settle it."""
        return True

    @abstractmethod
    def panels(self, observations: pd.DataFrame) -> Iterator[Panel]:
        """Split observations into the cells of the statement, which are measured separately."""

    @abstractmethod
    def describe(self) -> str:
        """Say in one sentence what is asked of the observations."""


@dataclass(frozen=True, kw_only=True)
class ColumnCriterion(Criterion):
    """A criterion that reads columns, perhaps of some rows only, perhaps under several conditions.

    Attributes:
        each: Columns of conditions; every combination of their values is a cell.
        where: Values by column; only rows with these values are read.
        source: Literature or derivation that gives a threshold which is not in the project's table.
    """

    # Names of the attributes that are a threshold, one of which a criterion has.
    thresholds: ClassVar[Mapping[str, ThresholdScale]] = {}

    each: tuple[str, ...] = ()
    where: Mapping[str, object] = field(default_factory=dict, hash=False)
    source: str = field(default="", repr=False)

    @property
    def conditions(self) -> tuple[str, ...]:
        """Names of the conditions that tell the cells apart."""
        return self.each

    @abstractmethod
    def columns(self) -> tuple[str, ...]:
        """Name the columns that are read, besides the seed and those of ``each`` and ``where``."""

    @abstractmethod
    def measurement(self, observations: pd.DataFrame) -> Measurement:
        """Measure the rows of one cell."""

    @abstractmethod
    def phrase(self, measured: Measurement, interval: Interval) -> str:
        """Say in words what was measured in one cell, and what was asked."""

    def reduced(self, observations: pd.DataFrame) -> dict[str, Sample]:  # noqa: ARG002  criteria that say more override it
        """Reduce the rows of one cell to numbers per seed, by the measure that is judged."""
        return {}

    def score(self, observations: pd.DataFrame) -> Scores | None:  # noqa: ARG002  criteria that say more override it
        """Say how far each seed is on the side where the statement holds; None where that is no number of a seed."""
        return None

    @abstractmethod
    def draw(self, axes: Axes, observations: pd.DataFrame) -> None:
        """Draw the rows of one cell together with what is asked of them."""

    @property
    def threshold(self) -> Threshold | None:
        """Smallest effect that counts, or largest that does not; None where the criterion has no such number."""
        for name, scale in self.thresholds.items():
            value = getattr(self, name)
            if value is not None:
                return Threshold(value, scale)
        return None

    def give_reason(self, threshold: Threshold) -> None:
        """Complete ``because`` of a criterion that is being made.

        Raises:
            ClaimError: the threshold is not in the project's table, and has neither a reason nor a source.
        """
        given = getattr(self, "because", "") or self.source
        object.__setattr__(self, "because", reason(threshold, given))

    @property
    def is_founded(self) -> bool:
        """Whether the threshold, if there is one, is in the project's table or comes from a source."""
        return self.threshold is None or self.threshold.is_conventional or bool(self.source)

    def with_threshold(self, value: float) -> Self:
        """Return the same criterion with another threshold."""
        name = next(name for name in self.thresholds if getattr(self, name) is not None)
        changed: dict[str, Any] = {name: value, "source": "it is varied"}
        return replace(self, **changed)

    def panels(self, observations: pd.DataFrame) -> Iterator[Panel]:
        """Split observations into the cells."""
        rows = self._rows(observations)
        if not self.each:
            yield Panel("", {}, self, rows)
            return
        for values, cell in rows.groupby(list(self.each), sort=False, observed=True):
            yield Panel("", dict(zip(self.each, map(_plain, values), strict=True)), self, cell)

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

    def unknown(self, observations: pd.DataFrame) -> pd.Series[bool] | None:  # noqa: ARG002  for those that have any
        """Tell of which seeds the effect is not known, though a number stands for it; None for none."""
        return None

    @property
    @abstractmethod
    def band(self) -> Band:
        """Effects for which the statement holds."""

    @property
    def opposite(self) -> Band | None:
        """Effects that are the opposite of the statement; None where nothing is."""
        return None

    @property
    @abstractmethod
    def measure(self) -> str:
        """Name of the effect."""

    def measurement(self, observations: pd.DataFrame) -> Measurement:
        """Place the median's order-statistic interval relative to the band."""
        estimate = median_over_seeds(self.effects(observations), self.measure, self.unknown(observations))
        varied = self.threshold is not None
        return Measurement(
            self.measure,
            estimate,
            self.levels(estimate),
            not isinstance(estimate, Exact),
            levels_at=(lambda value: self.with_threshold(value).levels(estimate)) if varied else None,
            turns=(lambda level: self.turns(estimate.interval(1 - level))) if varied else None,
        )

    def score(self, observations: pd.DataFrame) -> Scores:
        """Say how far each seed is on the side where the statement holds."""
        return score_in_band(self.effects(observations), self.band, self.threshold)

    def turns(self, interval: Interval) -> tuple[float, ...]:
        """Return the thresholds at which the outcome changes, given the interval of the effect."""
        threshold = self.threshold
        return () if threshold is None else (threshold.size(interval.low), threshold.size(interval.high))

    def levels(self, estimate: Estimate) -> Levels:
        """Return the levels at which the statement is seen to hold, to fail and to be the opposite."""
        return self.band.levels(estimate, self.opposite)

    def reduced(self, observations: pd.DataFrame) -> dict[str, Sample]:
        """Return the number of each seed."""
        effects = self.effects(observations)
        return {self.measure: sample(effects, median_over_seeds(effects, self.measure).point)}


def words(column: object) -> str:
    """Write the name of a column as it stands in a sentence."""
    return str(column).replace("_", " ")


@dataclass(frozen=True, init=False)
class AllOf(Criterion):
    """Several criteria, the parts of a statement, which must all hold. Each part has a verdict of its own besides.

    Attributes:
        criteria: Criterion of each part, by the name of the part.

    Example:
        >>> from repro.criteria import AtLeast, AtMost
        >>> both = AllOf(above=AtLeast("value", bound=0.0), below=AtMost("value", bound=1.0))
        >>> verdict = both(pd.DataFrame({"seed": range(8), "value": 2.0}), kind="theorem")
        >>> verdict.status, [(part.name, part.status) for part in verdict.parts]
        ('refuted', [('above', 'reproduced'), ('below', 'refuted')])
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
                yield replace(panel, part=f"{name}, {panel.part}" if panel.part else name)

    def describe(self) -> str:
        """Say what every part asks."""
        return "; ".join(f"{name}: {criterion.describe()}" for name, criterion in self.criteria.items())


def _plain(value: Any) -> Any:
    """Return the value of a condition as plain data; what is no number or text is written."""
    scalar = value.item() if hasattr(value, "item") else value
    if isinstance(scalar, float) and scalar.is_integer():
        return int(scalar)  # pandas makes integers floats in tables where other rows lack them
    return scalar if isinstance(scalar, bool | int | float | str) else str(scalar)
