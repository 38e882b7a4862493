import numpy as np
import pytest
import scipy.stats
from hypothesis import given, settings
from hypothesis import strategies as st

from repro.uncertainty.intervals import Band, Exact, Interval, Levels, Median, Rate, Spread, slopes

numbers = st.floats(-1e6, 1e6)
samples = st.lists(numbers | st.floats(0, 1) | st.sampled_from([np.inf, 0.0, 1.0]), min_size=1, max_size=30).map(tuple)
rates = st.integers(1, 60).flatmap(lambda n: st.integers(0, n).map(lambda successes: Rate(successes, n)))


def level_by_bisection(decided):
    """Smallest level at which a decision holds that holds at every larger level."""
    low, high = 0.0, 1.0
    for _ in range(35):
        middle = (low + high) / 2
        low, high = (low, middle) if decided(1 - middle) else (middle, high)
    return high


class TestMedian:
    # Ranks from tables of the binomial distribution with probability 1/2.
    @pytest.mark.parametrize(("n", "low", "high"), [(8, 1, 8), (10, 1, 10), (12, 2, 11), (20, 4, 17), (24, 6, 19)])
    def test_ranks_at_99_percent(self, n, low, high):
        interval = Median(tuple(range(1, n + 1))).interval(0.99)
        assert (interval.low, interval.high) == pytest.approx((low, high), rel=1e-6)

    @pytest.mark.parametrize("n", range(1, 40))
    @pytest.mark.parametrize("confidence", [0.9, 0.95, 0.99])
    def test_interval_is_that_of_scipy(self, n, confidence):
        values = np.random.default_rng(n).normal(size=n)
        interval = Median(tuple(values)).interval(confidence)
        expected = scipy.stats.quantile_test(values).confidence_interval(confidence)
        expected = np.nan_to_num([expected.low, expected.high], nan=np.inf) * [-1 if np.isnan(expected.low) else 1, 1]
        assert [interval.low, interval.high] == pytest.approx(list(expected), rel=1e-6)

    def test_a_level_that_is_hit_exactly_is_kept(self):
        assert np.isfinite(Median(tuple(range(8))).interval(1 - 2 / 256).low)
        assert np.isinf(Median(tuple(range(8))).interval(1 - 1.99 / 256).low)

    def test_seven_seeds_are_too_few(self):
        assert Median((1.0,) * 7).interval(0.99) == Interval(-np.inf, np.inf)

    @pytest.mark.parametrize("value", [0.0, 1.0, -3.5, 1e-30, 1e30])
    def test_equal_values_have_an_interval_around_them(self, value):
        interval = Median((value,) * 12).interval(0.99)
        assert interval.low < value < interval.high
        assert interval.high - interval.low <= 2e-7 * abs(value) + 1e-299

    def test_infinite_values_are_kept(self):
        mostly_infinite = Median((1.0, 2.0) + (np.inf,) * 10)
        assert mostly_infinite.point == np.inf
        assert mostly_infinite.interval(0.99) == Interval(pytest.approx(2.0), np.inf)
        assert Median((np.inf,) * 12).interval(0.99) == Interval(np.inf, np.inf)
        assert Median((np.inf,) * 12).level_above(1e300) == 2 / 2**12

    def test_unknown_values_may_be_anything(self):
        """The interval is the union, and the level the largest, over all values that they may have."""
        known, possible = tuple(range(10)), (-np.inf, np.inf)
        filled = [Median((*known, one, other)) for one in possible for other in possible]
        median = Median(known, unknown=(0.5, 4.5))
        intervals = [each.interval(0.9) for each in filled]
        lowest, highest = min(each.low for each in intervals), max(each.high for each in intervals)
        assert median.interval(0.9) == Interval(lowest, highest)
        assert median.level_below(9.5) == max(each.level_below(9.5) for each in filled)
        assert median.level_above(-0.5) == max(each.level_above(-0.5) for each in filled)
        assert (median.n, median.point) == (12, 4.25)

    @pytest.mark.parametrize(("values", "point"), [((3, 1, 2), 2), ((4, 1, 2, 3), 2.5), ((1, np.inf), np.inf)])
    def test_point(self, values, point):
        assert Median(values).point == point

    def test_coverage_is_exact_for_skewed_noise(self):
        generator = np.random.default_rng(0)
        intervals = [Median(tuple(generator.lognormal(size=12))).interval(0.95) for _ in range(2000)]
        coverage = np.mean([interval.low <= 1 <= interval.high for interval in intervals])
        nominal = 1 - 2 * (1 + 12 + 66) / 2**12  # from the third smallest to the third largest
        assert coverage == pytest.approx(nominal, abs=4 * np.sqrt(nominal * (1 - nominal) / 2000))

    def test_level_is_that_of_the_sign_test(self):
        values = (1.0,) * 2 + (3.0,) * 10
        assert Median(values).level_above(2.0) == pytest.approx(scipy.stats.binomtest(2, 12).pvalue)
        assert Median(values).level_below(2.0) == 1

    @given(samples)
    def test_intervals_are_nested_and_hold_the_point(self, values):
        estimate = Median(values)
        wide, narrow = estimate.interval(0.99), estimate.interval(0.8)
        assert wide.low <= narrow.low <= estimate.point <= narrow.high <= wide.high

    @given(samples, st.randoms())
    def test_order_does_not_matter(self, values, random):
        shuffled = random.sample(values, len(values))
        assert Median(tuple(shuffled)).interval(0.9) == Median(values).interval(0.9)

    @given(st.lists(numbers, min_size=8, max_size=30), st.sampled_from([0.25, 2.0, 1024.0]))
    def test_scaling_the_values_scales_the_interval(self, values, factor):
        interval = Median(tuple(values)).interval(0.95)
        scaled = Median(tuple(factor * value for value in values)).interval(0.95)
        assert [scaled.low, scaled.high] == pytest.approx([factor * interval.low, factor * interval.high], abs=1e-290)


class TestRate:
    # Clopper and Pearson 1934, and the tables in every textbook since.
    @pytest.mark.parametrize(
        ("successes", "n", "low", "high"),
        [
            (0, 10, 0, 0.3085),
            (1, 10, 0.0025, 0.4450),
            (5, 10, 0.1871, 0.8129),
            (8, 10, 0.4439, 0.9748),
            (20, 20, 0.8316, 1),
        ],
    )
    def test_published_intervals(self, successes, n, low, high):
        interval = Rate(successes, n).interval(0.95)
        assert (interval.low, interval.high) == pytest.approx((low, high), abs=5e-5)

    def test_levels_of_all_successes(self):
        assert Rate(10, 10).level_above(0.5) == pytest.approx(2 * 0.5**10)
        assert Rate(10, 10).level_below(0.5) == 1
        assert Rate(9, 10).level_below(1.0) == 0


class TestLevels:
    @settings(max_examples=50, deadline=None)
    @given(samples.map(Median) | rates, st.floats(0, 1))
    def test_levels_are_where_the_interval_passes_the_threshold(self, estimate, threshold):
        below = level_by_bisection(lambda confidence: estimate.interval(confidence).high < threshold)
        above = level_by_bisection(lambda confidence: estimate.interval(confidence).low > threshold)
        assert estimate.level_below(threshold) == pytest.approx(below, abs=1e-9)
        assert estimate.level_above(threshold) == pytest.approx(above, abs=1e-9)

    @given(samples.map(Median) | rates | numbers.map(Exact), st.floats(0, 0.5), st.floats(0.01, 0.5))
    def test_never_seen_to_hold_and_to_fail(self, estimate, low, width):
        for band in (Band(low=low), Band(high=low), Band(low, low + width)):
            levels = band.levels(estimate)
            assert max(levels.holds, levels.fails) == 1
            assert min(levels.holds, levels.fails) >= 0

    @given(samples.map(Median) | rates | numbers.map(Exact), st.floats(0, 0.5))
    def test_what_is_opposite_fails_all_the_more(self, estimate, smallest):
        levels = Band(low=smallest).levels(estimate, opposite=Band(high=-smallest))
        assert levels.fails <= levels.opposite <= 1
        assert Band(low=smallest).levels(estimate).opposite == 1

    @pytest.mark.parametrize(
        ("levels", "outcome"),
        [
            (Levels(0.002, 1), "holds"),
            (Levels(0.01, 1), "holds"),  # the level itself is enough
            (Levels(1, 0.002), "fails"),
            (Levels(1, 0.002, 0.004), "opposite"),
            (Levels(1, 0.002, 0.02), "fails"),
            (Levels(0.2, 1), "open"),
            (Levels(1, 0.3), "open"),
            (Levels(1, 1), "open"),
        ],
    )
    def test_outcome(self, levels, outcome):
        assert levels.outcome(0.01) == outcome

    @pytest.mark.parametrize(
        ("values", "outcome"),
        [
            ((1.0,) * 12, "holds"),
            ((3.0,) * 12, "opposite"),
            ((2.5,) * 12, "fails"),
            ((-1.0,) * 12, "fails"),
            ((1.0, 3.0) * 6, "open"),
            ((-1.0, 3.0) * 6, "open"),
            ((2.0,) * 12, "open"),  # on the limit
        ],
    )
    def test_band(self, values, outcome):
        assert Band(0.0, 2.0).levels(Median(values), opposite=Band(low=2.8)).outcome(0.01) == outcome


class TestExact:
    def test_decides_without_sampling_error(self):
        assert Band(1, 3).levels(Exact(2)) == Levels(0, 1)
        assert Band(1, 3).levels(Exact(4)) == Levels(1, 0)
        assert Band(1, 3).levels(Exact(3)) == Levels(1, 1)  # no more exact than rounding

    def test_interval_is_the_rounding(self):
        interval = Exact(2.0).interval(0.99)
        assert interval.low < 2 < interval.high
        assert (interval.low, interval.high) == pytest.approx((2, 2), rel=1e-7)


class TestSpread:
    """The largest value over seeds counts, whatever the confidence."""

    def test_the_interval_is_the_range(self):
        assert Spread((3.0, 1.0, 2.0)).interval(0.99) == Interval(1.0, 3.0)
        assert (Spread((3.0, 1.0, 2.0)).point, Spread((3.0, 1.0, 2.0)).n) == (3.0, 3)

    @pytest.mark.parametrize(("threshold", "below", "above"), [(4.0, 0, 1), (2.0, 1, 1), (0.0, 1, 0), (3.0, 1, 1)])
    def test_one_seed_is_enough_to_be_on_no_side(self, threshold, below, above):
        estimate = Spread((3.0, 1.0, 2.0))
        assert (estimate.level_below(threshold), estimate.level_above(threshold)) == (below, above)


class TestSlopes:
    def test_of_a_line(self):
        x = np.array([0.0, 1, 3, 10])
        fit = slopes(x, 5 - 2 * x)
        assert (fit.overall, fit.first, fit.last) == pytest.approx((-2, -2, -2))

    def test_of_a_parabola_at_uneven_positions(self):
        x = np.array([0.0, 1, 3, 10])
        fit = slopes(x, x**2)
        assert (fit.first, fit.last) == pytest.approx((0, 20), abs=1e-9)
        assert fit.overall == pytest.approx(scipy.stats.linregress(x, x**2).slope)

    def test_of_two_positions(self):
        fit = slopes(np.array([1.0, 1, 2]), np.array([0.0, 2, 4]))
        assert (fit.overall, fit.first, fit.last) == pytest.approx((3, 3, 3))
