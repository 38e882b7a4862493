"""How far a claim is from its control: paired by seed, in the unit of the statement, by hand-computed values.

Of 16 values the interval at 99 % is from the 3rd to the 14th: P(Binomial(16, 1/2) < 3) = 137/65536, and 697/65536
for 4.
"""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from repro.criteria import (
    AllOf,
    AtMost,
    Equivalent,
    Greater,
    Identity,
    Preserved,
    Proportion,
    Ratio,
    ScalingLaw,
    Scores,
    contrast,
)
from repro.criteria.contrasts import Contrast, score_in_band
from repro.criteria.thresholds import Threshold
from repro.uncertainty import Band

SOURCE = "the test says so"
SEEDS = 16
ORDER = np.array([5, 12, 1, 16, 9, 3, 14, 7, 10, 2, 15, 8, 4, 11, 6, 13])  # 1 to 16, as they come


def scores(values, smallest=0.0, first=0):
    values = np.asarray(values, dtype=float)
    return Scores(pd.Series(values, index=range(first, first + len(values))), smallest)


def two_arms(of, than=1.0, metric="value", **columns):
    arms = [
        pd.DataFrame({"seed": range(SEEDS), "arm": arm, metric: each}) for arm, each in (("of", of), ("than", than))
    ]
    return pd.concat(arms, ignore_index=True).assign(**columns)


def between(criterion, own, control):
    return contrast(criterion.scores(own), criterion.scores(control))


ARMS = {"of": "of", "than": "than", "by": "arm"}


class TestPaired:
    def test_median_and_limits_of_the_differences(self):
        noise = np.linspace(0, 100, SEEDS)  # cancels in pairs
        found = contrast({"": scores(noise + ORDER, smallest=2.5)}, {"": scores(noise, smallest=9.0)})
        assert found.cell == ""
        assert (found.effect, found.low, found.high) == pytest.approx((8.5, 3.0, 14.0))
        assert (found.n, found.smallest) == (SEEDS, 2.5)  # the claim's own

    @pytest.mark.parametrize(("smallest", "exceeds"), [(2.9, True), (3.1, False)])
    def test_it_exceeds_what_matters_or_not(self, smallest, exceeds):
        found = contrast({"": scores(ORDER, smallest)}, {"": scores(np.zeros(SEEDS))})
        assert found.exceeds is exceeds

    def test_a_control_that_is_further_inside_is_not_exceeded(self):
        found = contrast({"": scores(np.zeros(SEEDS), 2.0)}, {"": scores(ORDER)})
        assert (found.effect, found.exceeds) == (-8.5, False)

    def test_pairing_is_by_seed_and_not_by_place(self):
        backwards = scores(np.arange(SEEDS)).by_seed.iloc[::-1]
        found = contrast({"": scores(np.arange(SEEDS) + 1.0)}, {"": Scores(backwards, 0.0)})
        assert (found.effect, found.low, found.high) == pytest.approx((1, 1, 1))

    def test_seeds_that_one_alone_has_do_not_count(self):
        found = contrast({"": scores(np.ones(20))}, {"": scores(np.zeros(20), first=8)})
        assert found.n == 12
        assert contrast({"": scores(np.ones(8))}, {"": scores(np.zeros(8), first=8)}) is None

    def test_too_few_seeds_tell_nothing(self):
        found = contrast({"": scores(np.ones(7))}, {"": scores(np.zeros(7))})
        assert (found.low, found.high, found.exceeds) == (-np.inf, np.inf, False)

    def test_equal_infinities_do_not_differ(self):
        never = [np.inf] * SEEDS
        found = contrast({"": scores(never)}, {"": scores(never)})
        assert (found.effect, found.exceeds) == (0.0, False)

    def test_an_infinity_differs_from_all_else(self):
        found = contrast({"": scores([np.inf] * SEEDS, 1.0)}, {"": scores([5.0] * SEEDS)})
        assert (found.effect, found.exceeds) == (np.inf, True)

    def test_a_run_without_randomness_is_exact(self):
        own = Scores(pd.Series([3.0], index=["deterministic"]), 1.0)
        control = Scores(pd.Series([0.5], index=["deterministic"]), 1.0)
        assert contrast({"": own}, {"": control}) == Contrast("", 2.5, 2.5, 2.5, 1, 1.0)


class TestCells:
    def test_the_cell_where_they_differ_most_clearly_is_chosen(self):
        own = {"depth 1": scores(ORDER, 2.0), "depth 2": scores(20.0 + ORDER, 2.0), "depth 3": scores(ORDER, 2.0)}
        control = dict.fromkeys(own, scores(np.zeros(SEEDS)))
        assert contrast(own, control).cell == "depth 2"

    def test_most_clearly_is_by_what_matters_in_each(self):
        own = {"small": scores(ORDER, 0.0), "large": scores(20.0 + ORDER, 30.0)}
        assert contrast(own, dict.fromkeys(own, scores(np.zeros(SEEDS)))).cell == "small"

    def test_the_choice_shares_the_error_probability(self):
        """At a third of 1 % the limits of 16 values are the 2nd and the 15th: 2 · 137/65536 is too much."""
        assert 2 * stats.binom.cdf(1, SEEDS, 0.5) < 0.01 / 3 < 2 * stats.binom.cdf(2, SEEDS, 0.5) < 0.01 / 2
        for number, low, high in ((1, 3.0, 14.0), (2, 3.0, 14.0), (3, 2.0, 15.0)):
            own = {f"depth {depth}": scores(ORDER) for depth in range(number)}
            found = contrast(own, dict.fromkeys(own, scores(np.zeros(SEEDS))))
            assert (found.low, found.high) == pytest.approx((low, high))

    def test_cells_that_both_have_count_alone(self):
        own = {"depth 1": scores(ORDER), "depth 2": scores(50.0 + ORDER)}
        assert contrast(own, {"depth 1": scores(np.zeros(SEEDS)), "depth 3": scores(np.zeros(SEEDS))}).cell == "depth 1"

    def test_without_a_common_cell_there_is_none(self):
        assert contrast({"depth 1": scores(ORDER)}, {"depth 2": scores(ORDER)}) is None
        assert contrast({}, {}) is None


class TestScores:
    """Larger is further on the side where the statement holds."""

    effects = pd.Series([-1.0, 0.5, 4.0])

    @pytest.mark.parametrize(
        ("band", "expected"),
        [
            (Band(low=0.01), [-1.0, 0.5, 4.0]),
            (Band(high=0.01), [1.0, -0.5, -4.0]),
            (Band(0.0, 1.0), [-1.5, 0.0, -3.5]),  # from the middle
        ],
    )
    def test_of_differences(self, band, expected):
        found = score_in_band(self.effects, band, Threshold(0.01, "difference"))
        assert found.by_seed.tolist() == expected
        assert found.smallest == 0.01

    @pytest.mark.parametrize(
        ("band", "expected"),
        [
            (Band(low=1.05), [np.log(0.5), 0.0, np.log(8.0)]),
            (Band(high=1 / 1.05), [np.log(2.0), 0.0, -np.log(8.0)]),
            (Band(1 / 1.05, 1.05), [-np.log(2.0), 0.0, -np.log(8.0)]),
            (Band(2 / 1.05, 2 * 1.05), [-np.log(4.0), -np.log(2.0), -np.log(4.0)]),
        ],
    )
    def test_of_ratios_by_their_logarithms(self, band, expected):
        found = score_in_band(pd.Series([0.5, 1.0, 8.0]), band, Threshold(1.05, "ratio"))
        assert found.by_seed.tolist() == pytest.approx(expected)
        assert found.smallest == pytest.approx(np.log(1.05))

    def test_without_a_threshold_every_difference_matters(self):
        found = score_in_band(self.effects, Band(low=0.0), None)
        assert (found.by_seed.tolist(), found.smallest) == ([-1.0, 0.5, 4.0], 0.0)

    def test_of_a_threshold_of_not_worse(self):
        assert score_in_band(self.effects, Band(low=-0.01), Threshold(-0.01, "difference")).smallest == 0.01
        found = score_in_band(pd.Series([1.0]), Band(low=0.9), Threshold(0.9, "ratio"))
        assert found.smallest == pytest.approx(-np.log(0.9))

    def test_a_ratio_of_zero_is_a_ratio_like_others(self):
        """It is infinitely far below; the ratios beside it stay logarithms, as those of the claim are."""
        found = score_in_band(pd.Series([0.0, 1.0, 2.0]), Band(low=1.05), Threshold(1.05, "ratio"))
        assert found.by_seed.tolist() == pytest.approx([-np.inf, 0.0, np.log(2.0)])


class TestOfCriteria:
    def test_of_a_difference_of_arms(self):
        criterion = Greater("accuracy", **ARMS)
        found = between(criterion, two_arms(0.5 + 0.01 * ORDER, 0.5, "accuracy"), two_arms(0.5, 0.5, "accuracy"))
        assert (found.effect, found.low, found.high) == pytest.approx((0.085, 0.03, 0.14))
        assert (found.smallest, found.exceeds) == (0.01, True)

    def test_of_a_ratio_of_arms(self):
        criterion = Greater("value", **ARMS)
        found = between(criterion, two_arms(1.1**ORDER), two_arms(1.1))
        logarithms = np.log(1.1) * np.array([7.5, 2.0, 13.0])
        assert (found.effect, found.low, found.high) == pytest.approx(tuple(logarithms), rel=1e-5)
        assert (found.smallest, found.exceeds) == (pytest.approx(np.log(1.05)), True)

    def test_of_a_ratio_of_arms_that_a_seed_of_the_control_does_not_have(self):
        """One seed of the control has no loss at all; the others show that the mechanism makes a factor of two."""
        criterion = Greater("value", **ARMS)
        control = np.ones(SEEDS)
        control[3] = 0.0
        found = between(criterion, two_arms(2.0), two_arms(control))
        assert found.effect == pytest.approx(np.log(2.0))
        assert found.exceeds

    def test_of_a_stated_ratio(self):
        """Six is in the middle; the control has none, a factor of six below."""
        criterion = Ratio("value", **ARMS, expected=6, within=1.5, source=SOURCE)
        found = between(criterion, two_arms(6.0), two_arms(1.0))
        assert found.effect == pytest.approx(np.log(6.0), rel=1e-6)
        assert (found.smallest, found.exceeds) == (pytest.approx(np.log(1.5)), True)

    def test_of_an_equality(self):
        """Both sides of the zone are outside: 0.3 above and 0.3 below are as far."""
        criterion = Equivalent("value", 1.0, smallest_difference=0.1, source=SOURCE)
        own = pd.DataFrame({"seed": range(SEEDS), "value": 1.05})
        for away in (1.3, 0.7):
            found = between(criterion, own, own.assign(value=away))
            assert found.effect == pytest.approx(0.25, rel=1e-6)
            assert found.exceeds
        assert not between(criterion, own, own.assign(value=1.1)).exceeds

    def test_of_a_preserved_quantity(self):
        def course(last):
            return pd.DataFrame(
                [
                    {"seed": seed, "layer": at, "value": value}
                    for seed in range(SEEDS)
                    for at, value in ((0, 1.0), (1, last))
                ]
            )

        criterion = Preserved("value", along="layer")
        found = between(criterion, course(1.0), course(0.25))
        assert found.effect == pytest.approx(np.log(4.0), rel=1e-6)
        assert found.smallest == pytest.approx(np.log(1.05))

    def test_of_a_law(self):
        def course(power):
            return pd.DataFrame(
                [{"seed": seed, "n": n, "value": n**power} for seed in range(SEEDS) for n in (1.0, 2.0, 4.0)]
            )

        criterion = ScalingLaw("n", "value", at_least=0.5, because=SOURCE)
        found = between(criterion, course(1.0), course(0.0))
        assert found.effect == pytest.approx(1.0, rel=1e-6)
        assert (found.smallest, found.exceeds) == (0.0, True)

    def test_by_condition_and_part(self):
        criterion = Greater("value", **ARMS, each=("depth",))
        own = pd.concat([two_arms(1.1, depth=1), two_arms(2.0, depth=2)])
        control = pd.concat([two_arms(1.0, depth=1), two_arms(1.0, depth=2)])
        assert between(criterion, own, control).cell == "depth 2"
        assert between(AllOf(first=criterion, second=criterion), own, control).cell == "first: depth 2"

    @pytest.mark.parametrize(
        "criterion",
        [
            Identity("value", "value"),
            AtMost("value", bound=1.0),
            Proportion("value", at_least=0.5, because=SOURCE),
        ],
    )
    def test_what_is_no_number_of_a_seed_has_no_contrast(self, criterion):
        table = pd.DataFrame({"seed": range(SEEDS), "value": 1.0})
        assert criterion.scores(table) == {}
        assert between(criterion, table, table) is None
