"""Differences between two runs: verdicts, effects, costs and environments."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from etils import epy

from repro.criteria import Verdict
from repro.results.comparison.samples import Samples
from repro.results.records import ClaimResult, Run
from repro.results.serialization import strict
from repro.uncertainty import CONFIDENCE, IntervalEstimate, compare_intervals, compare_samples

with epy.lazy_imports():
    import statsmodels.stats.multitest

DECIDED = ("reproduced", "conditional", "absent", "refuted")


@dataclass(frozen=True)
class LoadedRun:
    """A run with all that a comparison needs of it.

    Attributes:
        run: Run that is compared.
        results: Results of its claims.
        samples: Function that returns the samples of one of the results.
    """

    run: Run
    results: tuple[ClaimResult, ...]
    samples: Callable[[ClaimResult], Samples]


@dataclass(frozen=True)
class VerdictChange:
    """A verdict that differs between two runs.

    Attributes:
        id: Id of the claim.
        base, head: Status in each run, with ``unsound`` or ``undecided`` after a comma where its counterparts make it
            so, and ``control in error`` where they failed.
        worse: Whether the verdict is worth less than it was.
    """

    id: str
    base: str
    head: str
    worse: bool


@dataclass(frozen=True)
class EffectTest:
    """Test of whether an effect moved.

    Attributes:
        id: Id of the claim.
        measure: Measure of the effect, with the part of the statement that was compared.
        base, head: Effects in the two runs.
        p: Two-sided p-value, corrected for the number of parts of the statement.
        p_adjusted: P-value after Holm's correction for the number of claims too.
        by: Basis of the test: ``seeds`` where the numbers of single seeds were compared, ``intervals`` where they are
            not known.
    """

    id: str
    measure: str
    base: float
    head: float
    p: float
    p_adjusted: float
    by: Literal["seeds", "intervals"]

    @property
    def moved(self) -> bool:
        """Whether the effects differ by more than chance explains."""
        return self.p_adjusted <= 1 - CONFIDENCE


@dataclass(frozen=True)
class Cost:
    """Cost of a claim in one run relative to another.

    Attributes:
        id: Id of the claim.
        seconds: Wall time in seconds in the base run and in the head run; zero where it is unknown or borne by another
            claim.
        memory: Peak memory in bytes in both runs; zero where it is unknown.
    """

    id: str
    seconds: tuple[float, float]
    memory: tuple[float, float]

    @property
    def seconds_ratio(self) -> float | None:
        """Time in the head run over that in the base run; None where one is unknown."""
        return _ratio(*self.seconds)

    @property
    def memory_ratio(self) -> float | None:
        """Memory in the head run over that in the base run; None where one is unknown."""
        return _ratio(*self.memory)


@dataclass(frozen=True)
class Difference:
    """Something in which two runs differ; None where a run does not have it."""

    name: str
    base: Any
    head: Any


@dataclass(frozen=True)
class Mismatch:
    """A claim that was run with other parameters, so that its results say nothing about each other.

    Attributes:
        id: Id of the claim.
        parameters: Parameters that differ.
    """

    id: str
    parameters: tuple[Difference, ...]


@dataclass(frozen=True)
class Comparison:
    """Two runs side by side.

    Attributes:
        base, head: Runs that are compared.
        compared: Number of claims that both ran with the same parameters.
        verdicts: Verdicts that changed.
        effects: Tests of all effects that could be tested.
        costs: Costs of every compared claim.
        environment: Differences between the environments.
        mismatches: Claims with other parameters, which are not compared.
        only_base, only_head: Ids of claims that only one run has.
    """

    base: Run
    head: Run
    compared: int
    verdicts: tuple[VerdictChange, ...]
    effects: tuple[EffectTest, ...]
    costs: tuple[Cost, ...]
    environment: tuple[Difference, ...]
    mismatches: tuple[Mismatch, ...]
    only_base: tuple[str, ...]
    only_head: tuple[str, ...]

    @property
    def moved(self) -> tuple[EffectTest, ...]:
        """Effects that moved."""
        return tuple(effect for effect in self.effects if effect.moved)

    @property
    def worse(self) -> bool:
        """Whether any verdict is worth less than it was."""
        return any(change.worse for change in self.verdicts)

    @property
    def seconds(self) -> tuple[float, float]:
        """Time in seconds, in both runs, of all claims whose time is known in both."""
        known = [cost.seconds for cost in self.costs if cost.seconds_ratio is not None]
        return sum(base for base, _ in known), sum(head for _, head in known)


def compare_runs(base: LoadedRun, head: LoadedRun) -> Comparison:
    """Compare two runs, claim by claim where their parameters are the same.

    An effect is tested in the part that decides the base run's verdict. That this is the most extreme of several parts
    there, and would be less so in another run of the same experiment, is made up for by Bonferroni's correction for
    their number.
    """
    of_base = {result.id: result for result in base.results}
    of_head = {result.id: result for result in head.results}
    common = [(of_base[name], of_head[name]) for name in of_base if name in of_head]
    mismatches = [
        Mismatch(before.id, differences) for before, after in common if (differences := _changed(before, after))
    ]
    excluded = {mismatch.id for mismatch in mismatches}
    pairs = [pair for pair in common if pair[0].id not in excluded]
    changes = [_verdict_change(before, after) for before, after in pairs]
    tests = [test for before, after in pairs if (test := _effect_test(base, before, head, after))]
    return Comparison(
        base=base.run,
        head=head.run,
        compared=len(pairs),
        verdicts=tuple(change for change in changes if change.base != change.head),
        effects=_adjusted(tests),
        costs=tuple(
            Cost(before.id, (before.seconds, after.seconds), (before.memory, after.memory)) for before, after in pairs
        ),
        environment=tuple(_differences(_environment(base.run), _environment(head.run))),
        mismatches=tuple(mismatches),
        only_base=tuple(name for name in of_base if name not in of_head),
        only_head=tuple(name for name in of_head if name not in of_base),
    )


def _changed(base: ClaimResult, head: ClaimResult) -> tuple[Difference, ...]:
    parameters = (strict(base.evaluation.parameters), strict(head.evaluation.parameters))
    return tuple(_differences(*parameters))


def _verdict_change(base: ClaimResult, head: ClaimResult) -> VerdictChange:
    return VerdictChange(base.id, _label(base), _label(head), _is_worse(base, head))


def _is_worse(base: ClaimResult, head: ClaimResult) -> bool:
    """Tell whether a decided verdict was lost or overturned, soundness was lost, or an evaluation ends in error now."""
    if set(_errors(head)) - set(_errors(base)):
        return True
    if "skipped" in (base.status, head.status):
        return False  # one of the machines lacks something, which says nothing of the claim
    overturned = base.status in DECIDED and head.status != base.status
    unsound = head.sound is False and base.sound is not False
    return overturned or unsound or (base.sound is True and head.sound is not True)


def _label(result: ClaimResult) -> str:
    errors = [f"{role} in error" for role in _errors(result) if role != "claim"]
    soundness = {True: [], False: ["unsound"], None: ["undecided"] if result.status in DECIDED else []}[result.sound]
    return ", ".join([result.status, *soundness, *errors])


def _errors(result: ClaimResult) -> list[str]:
    return [item.role for item in (result.evaluation, *result.counterparts) if item.status == "error"]


def _effect_test(base: LoadedRun, before: ClaimResult, head: LoadedRun, after: ClaimResult) -> EffectTest | None:
    """Test one claim; p is not adjusted yet. None where a run has no effect, or only an unbounded interval."""
    first, second = before.evaluation.verdict, after.evaluation.verdict
    if first is None or second is None:
        return None
    measure = first.measure + (f" ({first.deciding})" if first.deciding else "")
    key = before.evaluation.observations
    if key is not None and key == after.evaluation.observations:
        return EffectTest(before.id, measure, first.effect, second.effect, 1.0, 1.0, "seeds")
    ours, theirs = base.samples(before), head.samples(after)
    parts = [samples.deciding(verdict) for samples, verdict in ((ours, first), (theirs, second))]
    part = next((part for part in parts if part in ours.by_part and part in theirs.by_part), None)
    if part is None:
        return _interval_test(before.id, first, second)
    one, other = ours.by_part[part], theirs.by_part[part]
    p = min(1.0, max(ours.count, theirs.count) * compare_samples(one, other))
    measure = part[1] + (f" ({part[0]})" if part[0] else "")
    return EffectTest(before.id, measure, one.effect, other.effect, p, p, "seeds")


def _interval_test(name: str, base: Verdict, head: Verdict) -> EffectTest | None:
    comparable = (base.measure, base.deciding) == (head.measure, head.deciding) or not (base.measure and head.measure)
    without_sampling_error = base.p is None and head.p is None
    if not comparable or without_sampling_error:
        return None
    estimates = [IntervalEstimate(one.effect, one.low, one.high, one.confidence) for one in (base, head)]
    p = compare_intervals(*estimates)
    if p is None:
        return None
    p = min(1.0, max(len(base.cells), len(head.cells), len(base.parts), len(head.parts), 1) * p)
    return EffectTest(name, head.measure or base.measure, base.effect, head.effect, p, p, "intervals")


def _adjusted(tests: Sequence[EffectTest]) -> tuple[EffectTest, ...]:
    if not tests:
        return ()
    _, adjusted, *_ = statsmodels.stats.multitest.multipletests([test.p for test in tests], method="holm")
    return tuple(EffectTest(**vars(test) | {"p_adjusted": float(p)}) for test, p in zip(tests, adjusted, strict=True))


def _environment(run: Run) -> dict[str, Any]:
    """Return what a run depends on, on one level."""
    packages = run.environment.get("packages")
    named = {name: value for name, value in run.environment.items() if name != "packages"}
    return {"profile": run.profile, "backend": run.backend, **named, **(packages if isinstance(packages, dict) else {})}


def _differences(base: dict[str, Any], head: dict[str, Any]) -> list[Difference]:
    names = dict.fromkeys([*base, *head])
    return [Difference(name, base.get(name), head.get(name)) for name in names if base.get(name) != head.get(name)]


def _ratio(base: float, head: float) -> float | None:
    return head / base if base > 0 and head > 0 and math.isfinite(head / base) else None
