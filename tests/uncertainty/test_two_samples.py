import math

import numpy as np
import pytest
from scipy import stats

from repro.uncertainty.two_samples import IntervalEstimate, Sample, compare_intervals, compare_samples, rank_sum


@pytest.fixture
def random():
    return np.random.default_rng(0)


@pytest.mark.parametrize(("first", "second"), [(8, 8), (13, 13), (24, 16), (1, 24), (24, 24)])
@pytest.mark.parametrize("shift", [0, 10, 100])
def test_without_ties_it_is_the_exact_test_of_mann_and_whitney(random, first, second, shift):
    numbers = random.permutation(first + second) + 0.0
    left, right = numbers[:first], numbers[first:] + shift + 0.5
    expected = stats.mannwhitneyu(left, right, method="exact").pvalue
    assert rank_sum(left, right) == pytest.approx(expected, rel=1e-9)


def test_with_ties_it_is_the_permutation_test(random):
    for _ in range(5):
        left, right = random.integers(0, 4, size=6), random.integers(1, 5, size=7)
        every = stats.PermutationMethod(n_resamples=np.inf)
        expected = stats.mannwhitneyu(left, right, use_continuity=False, method=every).pvalue
        assert rank_sum(left, right) == pytest.approx(expected, rel=1e-9)


def test_of_shares_it_is_fishers_exact_test_with_its_tail_doubled():
    for base, head in ((0, 24), (3, 12), (20, 23), (24, 24)):
        table = [[base, 24 - base], [head, 13]]
        tails = [stats.fisher_exact(table, alternative=side).pvalue for side in ("less", "greater")]
        left, right = [1.0] * base + [0.0] * (24 - base), [1.0] * head + [0.0] * 13
        assert rank_sum(left, right) == pytest.approx(min(1.0, 2 * min(tails)), rel=1e-9)


def test_large_samples_are_tested_by_the_normal_approximation(random):
    numbers = random.permutation(400) + 0.0
    left, right = numbers[:200], numbers[200:] + 30.5
    assert rank_sum(left, right) == pytest.approx(stats.mannwhitneyu(left, right).pvalue, rel=1e-9)
    assert rank_sum([1.0] * 100, [1.0] * 100) == 1.0


def test_infinite_values_are_ranked():
    finite, infinite = [1.0, 2.0, 3.0], [math.inf] * 3
    assert rank_sum(finite, infinite) == pytest.approx(2 / math.comb(6, 3))
    assert rank_sum([-math.inf] * 3, infinite) == pytest.approx(2 / math.comb(6, 3))
    assert rank_sum(infinite, infinite) == 1.0


def test_rounding_makes_no_difference(random):
    numbers = random.normal(size=24)
    assert rank_sum(numbers, np.float32(numbers)) == 1.0
    assert rank_sum([1.0] * 24, [1.0 + 1e-7] * 24) == 1.0
    assert rank_sum([1.0] * 24, [1.001] * 24) < 1e-12


def test_equal_numbers_of_all_seeds_do_not_differ():
    assert rank_sum([0.0] * 24, [0.0] * 8) == 1.0


@pytest.mark.parametrize(("base", "head", "expected"), [(6.0, 6.0, 1.0), (6.0, 6.0 + 1e-7, 1.0), (6.0, 6.1, 0.0)])
def test_deterministic_results_are_equal_or_not(base, head, expected):
    assert compare_samples(Sample((base,), base, True), Sample((head,), head, True)) == expected
    assert compare_samples(Sample((base,), base), Sample((head,), head)) == 1.0  # a single seed proves nothing


@pytest.mark.parametrize(
    "draw",
    [
        lambda random, size: random.normal(size=size),
        lambda random, size: random.standard_cauchy(size=size),
        lambda random, size: random.integers(0, 3, size=size),
        lambda random, size: np.where(random.random(size) < 0.3, math.inf, random.exponential(size=size)),
    ],
    ids=["normal", "Cauchy", "ties", "infinities"],
)
def test_equal_experiments_differ_as_rarely_as_the_level_says(random, draw):
    p = np.array([rank_sum(draw(random, 13), draw(random, 13)) for _ in range(2000)])
    # Of a binomial with probability 1 %, more than 36 among 2000 occur once in two thousand times.
    assert (p <= 0.01).sum() <= 36


def test_a_shift_of_three_standard_deviations_is_found_among_two_hundred_claims(random):
    found = [rank_sum(random.normal(size=24), random.normal(size=24) + 3) <= 0.01 / 200 for _ in range(100)]
    assert np.mean(found) > 0.95


def test_intervals_are_tested_as_normal_ones():
    error = 0.1 * stats.norm.isf(0.005)
    base, head = (IntervalEstimate(effect, effect - error, effect + error, 0.99) for effect in (1.0, 1.5))
    expected = 2 * stats.norm.sf(0.5 / math.sqrt(0.1**2 + 0.1**2))
    assert compare_intervals(base, head) == pytest.approx(expected)
    assert compare_intervals(base, base) == 1.0


def test_unbounded_intervals_say_nothing():
    known = IntervalEstimate(1.0, 0.0, 2.0, 0.99)
    assert compare_intervals(known, IntervalEstimate(5.0, -math.inf, math.inf, 0.99)) is None
    assert compare_intervals(known, IntervalEstimate(math.nan, 0.0, 1.0, 0.99)) is None
