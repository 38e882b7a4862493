"""How often criteria err: simulated observations with known truths, judged by vectorised kernels.

At the boundary of a statement neither ``reproduced`` nor ``refuted`` is right; the share of each is the largest error
rate that the criterion has anywhere. Intervals must cover the true effect. The kernels compute what the criteria do
(the tests compare them on tables), thousands of samples at a time.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import astuple, replace
from itertools import product
from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd
from etils import epy

from repro.audits.scenarios import CENTRE, SCENARIOS, Array, Scenario
from repro.criteria import MOST
from repro.uncertainty import CONFIDENCE, RESOLUTION, SMALLEST, Band, Levels, Rate

with epy.lazy_imports():
    import scipy.stats

SIMULATIONS = 20_000
SEEDS = (8, 16, 32, 128)
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
    """Outcomes of many samples.

    Attributes:
        holds, fails: Truth values, whether each sample comes out so [simulations].
        low, high: Limits of the intervals [simulations].
        deciding: Index of the part to which these belong [simulations].
    """

    holds: Truths
    fails: Truths
    low: Array
    high: Array
    deciding: npt.NDArray[np.intp]


def calibrate(simulations: int = SIMULATIONS) -> pd.DataFrame:
    """Simulate every statistical criterion at known truths.

    Args:
        simulations: Number of samples in each cell; the simulation error of a share is at most
            ``sqrt(0.25 / simulations)``, and at a share of 1 % it is ``sqrt(0.0099 / simulations)``.

    Returns:
        One row per criterion, noise, number of seeds and truth: ``criterion``, ``noise``, ``n``, ``truth``, shares
        ``holds`` and ``fails`` of the outcomes, and ``coverage`` of the intervals.
    """
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


def decide(scenario: Scenario, effects: Array, confidence: float = CONFIDENCE) -> Decisions:
    """Judge many samples as the scenario's criterion does.

    Args:
        scenario: Scenario whose criterion judges.
        effects: Effects [simulations, seeds, parts].
        confidence: Confidence of the outcomes.
    """
    count = len(scenario.bands)
    level = round(1 - confidence, 12)
    each = [_levels(effects[..., part], band) for part, band in enumerate(scenario.bands)]
    holding, failing = (np.stack(levels, axis=1) for levels in zip(*each, strict=True))
    holds: Truths = np.all(holding <= level, axis=1)
    fails: Truths = np.any(np.minimum(count * failing, 1.0) <= level, axis=1)
    if scenario.bent:
        for end in (1, 2):
            end_holding, end_failing = _levels(effects[..., end], scenario.bands[0])
            bent = (holds & (end_failing <= level)) | (fails & (end_holding <= level))
            holds, fails = holds & ~bent, fails & ~bent
    # Of several numbers that must all be right, the estimate is that of the one which fails, or is hardest to hold.
    deciding = np.where(failing.min(1) < 1, failing.argmin(1), holding.argmax(1))
    of_deciding = np.sort(np.take_along_axis(effects, deciding[:, None, None], 2)[..., 0], axis=1)
    low, high = _interval(of_deciding, confidence)
    return Decisions(holds, fails, low, high, deciding)


def decide_rate(levels: Callable[[Rate], Levels], successes: Truths, confidence: float = CONFIDENCE) -> Decisions:
    """Judge the success rates of many samples.

    Args:
        levels: Function of a rate that returns the levels at which it holds and fails.
        successes: Truth values, whether each seed succeeds [simulations, seeds].
        confidence: Confidence of the outcomes.
    """
    simulations, n = successes.shape
    rates = [Rate(count, n) for count in range(n + 1)]
    outcomes = np.array([_outcome(levels(rate), confidence) for rate in rates])[successes.sum(1)]
    limits = np.array([astuple(rate.interval(confidence)) for rate in rates])[successes.sum(1)]
    return Decisions(outcomes == "holds", outcomes == "fails", limits[:, 0], limits[:, 1], np.zeros(simulations, int))


def proportion(at_least: float) -> Callable[[Rate], Levels]:
    """Return the rule of ``Proportion``, for ``decide_rate``."""
    return Band(low=at_least).levels


def bound(violations: Rate) -> Levels:
    """Apply the rule of ``AtMost`` and ``AtLeast``, for ``decide_rate``."""
    return Levels(1.0, 0.0) if violations.successes else replace(Band(high=MOST).levels(violations), fails=1.0)


def _outcome(levels: Levels, confidence: float) -> str:
    """Return what is seen of a cell, what is the opposite among what fails."""
    outcome = levels.outcome(round(1 - confidence, 12))
    return "fails" if outcome == "opposite" else outcome


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
    for (name, scenario), noise, n in product(SCENARIOS.items(), NOISES, SEEDS):
        parts = len(scenario.bands)
        noises = draw_noise(generator, noise, (simulations, n, parts))
        nuisance = generator.standard_normal((simulations, n))
        for truth, displacement in _displacements(parts).items():
            decisions = decide(scenario, scenario.effects(scenario.columns(noises + displacement, nuisance)))
            true = scenario.truths(displacement)[decisions.deciding]
            yield _cell(name, noise, n, truth, decisions, true)


def _binary_cells(simulations: int) -> Iterator[dict[str, Any]]:
    """Yield the cells of criteria that count seeds: the noise of a yes or no is binomial whatever is behind it."""
    generator = np.random.default_rng(1)
    for (threshold, truths), n in product(PROPORTIONS.items(), SEEDS):
        for truth, rate in truths.items():
            successes = generator.random((simulations, n)) < rate
            decisions = decide_rate(proportion(threshold), successes)
            yield _cell(f"Proportion ({threshold:.0%})", "binary", n, truth, decisions, rate)
    for name, n, (truth, rate) in product(("AtMost", "AtLeast"), SEEDS, VIOLATIONS.items()):
        violated = generator.random((simulations, n)) < rate
        yield _cell(name, "binary", n, truth, decide_rate(bound, violated), rate)


def _cell(criterion: str, noise: str, n: int, truth: str, decisions: Decisions, true: Array | float) -> dict[str, Any]:
    return {
        "criterion": criterion,
        "noise": noise,
        "n": n,
        "truth": truth,
        "holds": float(decisions.holds.mean()),
        "fails": float(decisions.fails.mean()),
        "coverage": float(np.mean((decisions.low <= true) & (true <= decisions.high))),
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
