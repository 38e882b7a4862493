"""Whether two runs of one experiment differ: a two-sample test on what a criterion reduces each seed to."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from etils import epy

with epy.lazy_imports():
    import scipy.stats

# Values that differ by less are equal: rounding in single precision, added up over an experiment, makes no difference.
TOLERANCE = 1e-5
# Seeds of both runs together up to which the exact distribution is computed; beyond, the normal approximation is good.
EXACT_UP_TO = 128


@dataclass(frozen=True)
class Sample:
    """Numbers by which one part of a statement is judged in one run.

    Attributes:
        numbers: Numbers, one for each seed; 0 or 1 where the effect is a share of seeds. May be infinite.
        effect: Effect that the criterion reports of them: their median, share or maximum.
        deterministic: Whether it is a single run without randomness.
    """

    numbers: tuple[float, ...]
    effect: float
    deterministic: bool = False


@dataclass(frozen=True)
class IntervalEstimate:
    """An effect of which only the interval is known.

    Attributes:
        effect: Point estimate.
        low, high: Limits of the interval.
        confidence: Confidence of the interval.
    """

    effect: float
    low: float
    high: float
    confidence: float


def compare_samples(base: Sample, head: Sample) -> float:
    """Test whether two runs draw from one distribution.

    Random samples: the rank-sum test of Wilcoxon, Mann and Whitney, exact in the presence of ties, which for shares of
    seeds is Fisher's exact test with its tail doubled. Infinite values are ranked like others. Deterministic results
    are equal or not.

    A number of seeds that depends on what the first ones showed makes little difference: with looks at 16, 32 and 48
    seeds, and effects on the boundary of the statement, where looks matter most, 1.7 % of 2,000 simulated pairs of
    equal experiments had p below 1 %.

    Returns:
        The two-sided p-value; 0 or 1 for deterministic results.
    """
    if base.deterministic and head.deterministic:
        return float(_ranks([*base.numbers, *head.numbers]).max() == 1)
    return rank_sum(base.numbers, head.numbers)


def rank_sum(first: Sequence[float], second: Sequence[float]) -> float:
    """Test by the sum of ranks whether two samples come from one distribution.

    Values closer than ``TOLERANCE`` tie. Given the ties, every assignment of ranks to the samples is equally likely,
    and the number of assignments with each sum is counted by recursion over the values (Streitberg and Röhmel, Exact
    Distributions for Permutation and Rank Tests, 1986). SciPy's exact test knows no ties.

    Args:
        first: Values of one sample: at least one, none NaN.
        second: Values of the other sample, likewise.

    Returns:
        The two-sided p-value: twice the smaller tail, at most 1.
    """
    groups = _ranks([*first, *second])
    size = len(first)
    if len(groups) > EXACT_UP_TO:
        test = scipy.stats.mannwhitneyu(groups[:size], groups[size:], method="asymptotic")
        return 1.0 if math.isnan(test.pvalue) else float(test.pvalue)
    doubled = (2 * scipy.stats.rankdata(groups)).astype(int)  # mean ranks of ties are multiples of a half
    counts = np.zeros((size + 1, doubled.sum() + 1))
    counts[0, 0] = 1.0
    for rank in doubled:
        counts[1:, rank:] += counts[:-1, : counts.shape[1] - rank].copy()
    probabilities = counts[size] / counts[size].sum()
    observed = doubled[:size].sum()
    tail = min(probabilities[: observed + 1].sum(), probabilities[observed:].sum())
    return min(1.0, 2 * float(tail))


def compare_intervals(base: IntervalEstimate, head: IntervalEstimate) -> float | None:
    """Test by intervals alone whether two effects are equal.

    An interval is taken for that of a normal estimate, whose half width is a multiple of its standard error. Intervals
    from order statistics cover more than their confidence, so the test tends to miss a difference rather than to invent
    one.

    Returns:
        The two-sided p-value; None where an effect or a limit is not finite.
    """
    limits = (base.effect, base.low, base.high, head.effect, head.low, head.high)
    if not all(map(math.isfinite, limits)):
        return None
    if _ranks([base.effect, head.effect]).max() == 1:
        return 1.0
    error = math.hypot(*(_standard_error(estimate) for estimate in (base, head)))
    return 2 * float(scipy.stats.norm.sf(abs(head.effect - base.effect) / error)) if error else 0.0


def _standard_error(estimate: IntervalEstimate) -> float:
    return (estimate.high - estimate.low) / 2 / float(scipy.stats.norm.isf((1 - estimate.confidence) / 2))


def _ranks(values: Sequence[float]) -> npt.NDArray[np.int64]:
    """Number the distinct values from 1 in ascending order, those closer than the tolerance alike."""
    array = np.asarray(values, dtype=np.float64)
    order = np.argsort(array, kind="stable")
    ordered = array[order]
    apart = ~np.isclose(ordered[:-1], ordered[1:], rtol=TOLERANCE, atol=0.0)
    ranks = np.empty(len(array), dtype=np.int64)
    ranks[order] = 1 + np.concatenate([[0], np.cumsum(apart)])
    return ranks
