"""How often criteria err: simulated observations with known truths, judged by vectorised kernels.

At the boundary of a statement neither ``reproduced`` nor ``refuted`` is right; the share of each is the largest error
rate that the criterion has anywhere. Intervals must cover the true effect. The kernels compute what the criteria do
(the tests compare them on tables), thousands of samples at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import astuple
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from etils import epy

from repro.audits.scenarios import CENTRE, SCENARIOS, Array, Scenario
from repro.criteria import MOST
from repro.runner import Look, plan_looks
from repro.uncertainty import RESOLUTION, SMALLEST, Band, Levels, Rate

with epy.lazy_imports():
    import scipy.stats

SIMULATIONS = 20_000
SEEDS = (8, 16, 32, 128)
BUDGETS = (24, 48)
NOISES = ("normal", "skewed", "heavy-tailed", "rounded")
ROUNDING = 0.5
DISPLACEMENTS: Mapping[str, float] = {
    "boundary": 0.0,
    "holds by 1 sd": 1.0,
    "fails by 1 sd": -1.0,
    "holds by 4 sd": 4.0,
    "fails by 4 sd": -4.0,
}
EVERYWHERE = "boundary in every part"
# Rates of success by truth.
PROPORTIONS: Mapping[float, Mapping[str, float]] = {
    0.5: {"boundary": 0.5, "holds by 1 sd": 1.0, "fails by 1 sd": 0.0},
    0.8: {"boundary": 0.8, "holds always": 1.0, "fails by 1 sd": 0.4, "fails always": 0.0},
}
# Rates of violation by truth; a bound has no boundary at which both verdicts are wrong.
VIOLATIONS: Mapping[str, float] = {"holds": 0.0, "violated by 1 % of seeds": 0.01, "violated by half of seeds": 0.5}


Truths = npt.NDArray[np.bool_]


class Decisions(NamedTuple):
    """Verdicts on many samples.

    Attributes:
        reproduced, refuted: Truth values, whether each sample comes out so [simulations].
        low, high: Limits of the intervals [simulations].
        deciding: Index of the part to which these belong [simulations].
        seeds: Number of seeds that the verdict took [simulations].
    """

    reproduced: Truths
    refuted: Truths
    low: Array
    high: Array
    deciding: npt.NDArray[np.intp]
    seeds: npt.NDArray[np.intp]


def calibrate(simulations: int = SIMULATIONS) -> pd.DataFrame:
    """Simulate every statistical criterion at known truths.

    Args:
        simulations: Number of samples in each cell; the simulation error of a share is at most
            ``sqrt(0.25 / simulations)``, and at a share of 1 % it is ``sqrt(0.0099 / simulations)``.

    Returns:
        One row per criterion, noise, number of seeds and truth: ``criterion``, ``noise``, ``n``, ``truth``, shares
        ``reproduced`` and ``refuted`` of the verdicts, and ``coverage`` of the intervals. Where the criterion is
        ``(sequential)``, ``n`` is the budget of seeds.
    """
    return simulate(simulations).drop(columns="seeds")


def simulate(simulations: int = SIMULATIONS) -> pd.DataFrame:
    """Simulate as ``calibrate`` does, with a column ``seeds`` for the mean number that the verdicts took."""
    cells = [*_scenario_cells(simulations), *_binary_cells(simulations)]
    return pd.DataFrame(cells).sort_values("criterion", kind="stable", ignore_index=True)


def draw_noise(generator: np.random.Generator, noise: str, shape: tuple[int, ...]) -> Array:
    """Draw noise of median zero and standard deviation one.

    Args:
        generator: Generator of random numbers.
        noise: Kind of noise: ``normal``; ``skewed``, a lognormal with a skewness of 6.2; ``heavy-tailed``, Student's t
            with three degrees of freedom; ``rounded``, a normal in steps of half a standard deviation.
        shape: Shape of the result.
    """
    if noise == "heavy-tailed":
        return generator.standard_t(3, shape) / 3**0.5
    normal = generator.standard_normal(shape)
    if noise == "skewed":
        return (np.exp(normal) - 1) / math.sqrt((math.e - 1) * math.e)
    return np.round(normal / ROUNDING) * ROUNDING / _rounded_deviation() if noise == "rounded" else normal


def fixed(n: int) -> tuple[Look, ...]:
    """Return the plan of a single look at a sample of fixed size."""
    return (Look(n),)


PLANS = [("", fixed(n)) for n in SEEDS] + [(" (sequential)", plan_looks(budget)) for budget in BUDGETS]


def decide(scenario: Scenario, effects: Array, plan: Sequence[Look]) -> Decisions:
    """Judge many samples as the scenario's criterion does, at the first look that decides.

    Args:
        scenario: Scenario whose criterion judges.
        effects: Effects [simulations, seeds, parts].
        plan: Looks at the sample.
    """
    return _first_decided([_decide(scenario, effects[:, : look.seeds], look.confidence()) for look in plan])


def decide_rate(levels: Callable[[Rate], Levels], successes: Truths, plan: Sequence[Look]) -> Decisions:
    """Judge the success rates of many samples, at the first look that decides.

    Args:
        levels: Function of a rate that returns the levels at which it is reproduced and refuted.
        successes: Truth values, whether each seed succeeds [simulations, seeds].
        plan: Looks at the sample.
    """
    return _first_decided([_decide_rate(levels, successes[:, : look.seeds], look.confidence()) for look in plan])


def proportion(at_least: float) -> Callable[[Rate], Levels]:
    """Return the rule of ``Proportion``, for ``decide_rate``."""
    return Band(low=at_least).levels


def bound(violations: Rate) -> Levels:
    """Apply the rule of ``AtMost`` and ``AtLeast``, for ``decide_rate``."""
    return Levels(1.0, 0.0) if violations.successes else Band(high=MOST).levels(violations)


def _first_decided(judged: Sequence[Decisions]) -> Decisions:
    *early, first = judged
    for earlier in reversed(early):
        stops = earlier.reproduced | earlier.refuted
        first = Decisions(*(np.where(stops, before, after) for before, after in zip(earlier, first, strict=True)))
    return first


def _decide_rate(levels: Callable[[Rate], Levels], successes: Truths, confidence: float) -> Decisions:
    simulations, n = successes.shape
    rates = [Rate(count, n) for count in range(n + 1)]
    statuses = np.array([levels(rate).status(confidence) for rate in rates])[successes.sum(1)]
    limits = np.array([astuple(rate.interval(confidence)) for rate in rates])[successes.sum(1)]
    none = np.zeros(simulations, int)
    return Decisions(statuses == "reproduced", statuses == "refuted", limits[:, 0], limits[:, 1], none, none + n)


def _decide(scenario: Scenario, effects: Array, confidence: float) -> Decisions:
    simulations, n, _ = effects.shape
    level = 1 - confidence
    count = len(scenario.bands)
    reproducing = np.empty((simulations, count))
    refuting = np.empty((simulations, count))
    for part, band in enumerate(scenario.bands):
        reproducing[:, part], refuting[:, part] = _levels(effects[..., part], band)
    refuting = np.minimum(count * refuting, 1.0)
    reproduced: Truths = np.all(reproducing <= level, axis=1)
    refuted: Truths = np.any(refuting <= level, axis=1)
    if scenario.bent:
        for end in (1, 2):
            end_reproducing, end_refuting = _levels(effects[..., end], scenario.bands[0])
            reproduced, refuted = reproduced & (end_refuting > level), refuted & (end_reproducing > level)
    # The deciding part: the clearest refuted one, else the one hardest to reproduce among those of the joint status.
    parts = np.where(reproduced[:, None] | (reproducing > level) & (refuting > level), reproducing, -1.0)
    deciding = np.where(refuted, refuting.argmin(1), parts.argmax(1))
    of_deciding = np.sort(np.take_along_axis(effects, deciding[:, None, None], 2)[..., 0], axis=1)
    low, high = _interval(of_deciding, confidence)
    shared_low, shared_high = _interval(of_deciding, 1 - level / count)
    low, high = np.where(reproduced, low, shared_low), np.where(reproduced, high, shared_high)
    return Decisions(reproduced, refuted, low, high, deciding, np.full(simulations, n))


def _levels(effects: Array, band: Band) -> tuple[Array, Array]:
    """Return the levels of ``Band.levels`` for the medians of samples [simulations, seeds]."""
    n = effects.shape[1]
    tails = np.minimum(2 * scipy.stats.binom.cdf(np.arange(n + 1), n, 0.5), 1.0)
    rounding = RESOLUTION * np.abs(effects) + SMALLEST
    above_low, below_low = np.zeros(len(effects)), np.ones(len(effects))
    if np.isfinite(band.low):
        above_low = tails[(effects - rounding <= band.low).sum(1)]
        below_low = tails[(effects + rounding >= band.low).sum(1)]
    below_high, above_high = np.zeros(len(effects)), np.ones(len(effects))
    if np.isfinite(band.high):
        below_high = tails[(effects + rounding >= band.high).sum(1)]
        above_high = tails[(effects - rounding <= band.high).sum(1)]
    return np.maximum(above_low, below_high), np.minimum(below_low, above_high)


def _interval(ordered: Array, confidence: float) -> tuple[Array, Array]:
    """Return the order-statistic intervals of the medians of sorted samples [simulations, seeds]."""
    n = ordered.shape[1]
    # The widest symmetric pair of ranks whose tails the confidence leaves room for.
    rank = int((2 * scipy.stats.binom.cdf(np.arange(n // 2), n, 0.5) <= 1 - confidence).sum())
    if rank == 0:
        infinite = np.full(len(ordered), np.inf)
        return -infinite, infinite
    low, high = ordered[:, rank - 1], ordered[:, n - rank]
    return low - RESOLUTION * np.abs(low) - SMALLEST, high + RESOLUTION * np.abs(high) + SMALLEST


def _scenario_cells(simulations: int) -> Iterator[dict[str, Any]]:
    generator = np.random.default_rng(0)
    for (name, scenario), noise, (suffix, plan) in product(SCENARIOS.items(), NOISES, PLANS):
        n, parts = plan[-1].seeds, len(scenario.bands)
        noises = draw_noise(generator, noise, (simulations, n, parts))
        nuisance = generator.standard_normal((simulations, n))
        for truth, displacement in _displacements(parts).items():
            decisions = decide(scenario, scenario.effects(scenario.columns(noises + displacement, nuisance)), plan)
            true = scenario.truths(displacement)[decisions.deciding]
            yield _cell(name + suffix, noise, n, truth, decisions, true)


def _binary_cells(simulations: int) -> Iterator[dict[str, Any]]:
    """Yield the cells of criteria that count seeds: the noise of a yes or no is binomial whatever is behind it."""
    generator = np.random.default_rng(1)
    for (threshold, truths), (suffix, plan) in product(PROPORTIONS.items(), PLANS):
        n = plan[-1].seeds
        for truth, rate in truths.items():
            successes = generator.random((simulations, n)) < rate
            decisions = decide_rate(proportion(threshold), successes, plan)
            yield _cell(f"Proportion ({threshold:.0%}){suffix}", "binary", n, truth, decisions, rate)
    for name, n, (truth, rate) in product(("AtMost", "AtLeast"), SEEDS, VIOLATIONS.items()):
        violated = generator.random((simulations, n)) < rate
        yield _cell(name, "binary", n, truth, decide_rate(bound, violated, fixed(n)), rate)


def _cell(criterion: str, noise: str, n: int, truth: str, decisions: Decisions, true: Array | float) -> dict[str, Any]:
    return {
        "criterion": criterion,
        "noise": noise,
        "n": n,
        "truth": truth,
        "reproduced": float(decisions.reproduced.mean()),
        "refuted": float(decisions.refuted.mean()),
        "coverage": float(np.mean((decisions.low <= true) & (true <= decisions.high))),
        "seeds": float(decisions.seeds.mean()),
    }


def _displacements(parts: int) -> Mapping[str, Array]:
    """List true displacements [parts]: of the first part alone, the others deep inside; then of all parts."""
    inside = np.full(parts - 1, CENTRE)
    alone = {truth: np.array([value, *inside]) for truth, value in DISPLACEMENTS.items()}
    return alone if parts == 1 else {**alone, EVERYWHERE: np.zeros(parts)}


def _rounded_deviation() -> float:
    """Return the standard deviation of a standard normal number that is rounded."""
    steps = np.arange(1, 40)
    above = scipy.stats.norm.sf((steps - 0.5) * ROUNDING)  # E X^2 = 2 sum over steps k of (2 k - 1) P(X >= k)
    return float(ROUNDING * np.sqrt(2 * ((2 * steps - 1) * above).sum()))
