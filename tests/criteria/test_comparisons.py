import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.common.errors import ClaimError, ObservationsError
from repro.criteria import Equivalent, Greater, Ratio

REASON = "the test says so"


def two_arms(differences, *, base=1.0):
    """Arms ``a`` and ``b`` of each seed; ``a`` exceeds ``b`` by the difference of the seed."""
    seeds = range(len(differences))
    b = pd.DataFrame({"seed": seeds, "arm": "b", "score": base})
    a = pd.DataFrame({"seed": seeds, "arm": "a", "score": base + np.asarray(differences, dtype=float)})
    return pd.concat([a, b])


def per_seed(values, column="value"):
    return pd.DataFrame({"seed": range(len(values)), column: values})


greater = Greater("score", "a", "b", by="arm", smallest_difference=0.1, because=REASON)
equivalent = Equivalent("value", 1.0, smallest_difference=0.1, because=REASON)


class TestGreater:
    @pytest.mark.parametrize(
        ("differences", "status"),
        [
            ([0.5] * 12, "reproduced"),
            ([0.0] * 12, "absent"),  # no effect contradicts nobody
            ([0.05] * 12, "absent"),  # an effect that does not matter neither
            ([-0.05] * 12, "absent"),
            ([-0.5] * 12, "refuted"),
            ([0.5, -0.5] * 6, "inconclusive"),
            ([0.1] * 12, "inconclusive"),  # the smallest difference itself
            ([-0.1] * 12, "absent"),  # its opposite itself
            ([0.5] * 7, "inconclusive"),  # too few seeds
            ([0.5] * 11 + [-9.0], "reproduced"),  # the second smallest is the lower limit of twelve
            ([0.5] * 10 + [-9.0] * 2, "inconclusive"),
        ],
    )
    def test_smallest_difference(self, differences, status):
        assert greater(two_arms(differences)).status == status

    @pytest.mark.parametrize(("difference", "outcome"), [(0.0, "holds"), (-0.05, "holds"), (-0.5, "opposite")])
    def test_not_worse_by_more_than_what_matters(self, difference, outcome):
        criterion = Greater("score", "a", "b", by="arm", smallest_difference=-0.1, because=REASON)
        (cell,) = criterion(two_arms([difference] * 12)).cells
        assert cell.outcome == outcome

    def test_effect_is_the_median_of_paired_differences(self):
        verdict = greater(two_arms(np.arange(12) / 10))
        assert verdict.effect == pytest.approx(0.55)
        assert (verdict.low, verdict.high) == pytest.approx((0.1, 1.0), rel=1e-6)
        assert (verdict.n, verdict.confidence, verdict.parts) == (12, 0.99, ())

    def test_pairing_is_by_seed_and_not_by_row(self):
        table = two_arms(np.linspace(0.2, 0.9, 12), base=np.linspace(0, 100, 12))
        assert greater(table.sample(frac=1, random_state=0)).status == "reproduced"

    @pytest.mark.parametrize(
        ("difference", "smallest", "status"),
        [
            (1.0, 1.5, "reproduced"),  # of twice the size
            (1.0, 3.0, "absent"),
            (-0.5, 3.0, "absent"),  # of half the size
            (-0.5, 1.5, "refuted"),
        ],
    )
    def test_smallest_ratio(self, difference, smallest, status):
        criterion = Greater("score", "a", "b", by="arm", smallest_ratio=smallest, because=REASON)
        assert criterion(two_arms([difference] * 12)).status == status

    def test_runs_that_never_get_there_are_infinite(self):
        criterion = Greater("score", "a", "b", by="arm", smallest_ratio=1.5, because=REASON)
        assert criterion(two_arms([np.inf] * 12)).effect == np.inf
        assert criterion(two_arms([np.inf] * 12)).status == "reproduced"

    def test_nothing_is_known_where_neither_arm_gets_there(self):
        criterion = Greater("score", "a", "b", by="arm", smallest_ratio=1.5, because=REASON)
        tied = two_arms([0.0] * 12, base=np.inf)
        assert (criterion(tied).effect, criterion(tied).status) == (1.0, "inconclusive")
        assert (criterion(tied).low, criterion(tied).high) == (-np.inf, np.inf)
        assert "neither a nor b got there for 12 of 12 seeds" in criterion(tied).sentence
        assert greater(tied).effect == 0.0
        sixfold = Ratio("score", "a", "b", by="arm", expected=6)
        assert sixfold(tied).status == "inconclusive"

    def test_some_seeds_of_which_nothing_is_known_leave_a_clear_effect(self):
        criterion = Greater("score", "a", "b", by="arm", smallest_ratio=1.5, because=REASON)
        for unknown, status in ((1, "reproduced"), (2, "inconclusive")):  # sign test: 2 / 2**12 < 0.01 < 26 / 2**12
            first = two_arms([1.0] * (13 - unknown), base=1.0)
            tied = two_arms([0.0] * unknown, base=np.inf).assign(seed=lambda table: table["seed"] + 100)
            assert criterion(pd.concat([first, tied])).status == status

    @pytest.mark.parametrize(
        "threshold",
        [
            {"smallest_difference": 0.0},
            {"smallest_ratio": 1.0},
            {"smallest_ratio": -2.0},
            {"smallest_difference": 1.0, "smallest_ratio": 2.0},
        ],
    )
    def test_needs_a_threshold_that_means_something(self, threshold):
        with pytest.raises(ClaimError):
            Greater("score", "a", "b", by="arm", because=REASON, **threshold)

    @pytest.mark.parametrize(
        ("metric", "difference", "ratio"), [("test_accuracy", 0.01, None), ("error", 0.01, None), ("loss", None, 1.05)]
    )
    def test_without_a_threshold_it_is_that_of_the_projects_table(self, metric, difference, ratio):
        criterion = Greater(metric, "a", "b", by="arm")
        assert (criterion.smallest_difference, criterion.smallest_ratio) == (difference, ratio)
        assert criterion.is_founded

    def test_needs_a_reason_for_a_threshold_that_is_not_in_the_table(self):
        with pytest.raises(ClaimError, match="not in the project's table"):
            Greater("score", "a", "b", by="arm", smallest_difference=1.0)
        assert not greater.is_founded
        assert Greater("score", "a", "b", by="arm", smallest_difference=0.01).is_founded
        assert Greater("score", "a", "b", by="arm", smallest_ratio=6.0, source="a paper").is_founded

    @pytest.mark.parametrize(
        ("table", "message"),
        [
            (two_arms([1.0] * 3).query("arm == 'a'"), "no observations with arm = 'b'; there are a"),
            (two_arms([1.0] * 3).query("seed > 0 or arm == 'a'"), "not observed with the same seeds"),
            (pd.concat([two_arms([1.0] * 3)] * 2), "several rows of one seed"),
        ],
    )
    def test_unpaired_arms(self, table, message):
        with pytest.raises(ObservationsError, match=message):
            greater(table)


class TestRatio:
    criterion = Ratio("score", "a", "b", by="arm", expected=2.0, within=1.25, because=REASON)

    @pytest.mark.parametrize(
        ("differences", "status"),
        [
            ([1.0] * 12, "reproduced"),
            ([0.0] * 12, "refuted"),
            ([9.0] * 12, "refuted"),
            ([1.0, 9.0] * 6, "inconclusive"),
            ([1.0] * 7, "inconclusive"),
        ],
    )
    def test_status(self, differences, status):
        assert self.criterion(two_arms(differences), kind="law").status == status

    def test_limits_are_factors(self):
        assert self.criterion(two_arms([0.61] * 12), kind="law").status == "reproduced"
        assert self.criterion(two_arms([0.59] * 12), kind="law").status == "refuted"

    @pytest.mark.parametrize(
        ("expected", "ratio", "outcome"),
        [
            (4.0, 2.1, "holds"),  # nearer four than one, on the scale of factors
            (4.0, 9.0, "holds"),
            (4.0, 1.9, "fails"),
            (4.0, 0.9, "opposite"),
            (0.25, 0.4, "holds"),
            (0.25, 0.6, "fails"),
            (0.25, 1.1, "opposite"),
        ],
    )
    def test_a_size_that_is_stated_roughly_holds_beyond_its_root(self, expected, ratio, outcome):
        (cell,) = Ratio("score", "a", "b", by="arm", expected=expected)(two_arms([ratio - 1] * 12)).cells
        assert cell.outcome == outcome

    def test_one_is_no_size(self):
        with pytest.raises(ClaimError, match="equality is no size"):
            Ratio("score", "a", "b", by="arm", expected=1.0)

    def test_negative_values_have_no_ratio(self):
        with pytest.raises(ObservationsError, match="score is negative for seed 2"):
            self.criterion(two_arms([1.0, 1.0, -3.0]))

    @given(st.lists(st.floats(0.1, 10), min_size=8, max_size=20), st.sampled_from([0.125, 16.0]))
    def test_units_do_not_matter(self, differences, unit):
        table = two_arms(differences)
        assert self.criterion(table) == self.criterion(table.assign(score=table["score"] * unit))


class TestEquivalent:
    @pytest.mark.parametrize(
        ("values", "status"),
        [
            (np.linspace(0.95, 1.05, 12), "reproduced"),
            ([1.2] * 12, "refuted"),
            ([0.8] * 12, "refuted"),
            ([0.7, 1.3] * 6, "inconclusive"),
            ([1.0] * 7, "inconclusive"),
        ],
    )
    def test_number(self, values, status):
        assert equivalent(per_seed(values), kind="law").status == status

    def test_column_with_rows_of_a_seed_averaged(self):
        table = pd.DataFrame({"seed": [0, 0] * 1, "value": [1.0, 3.0], "expected": [2.0, 2.0]})
        table = pd.concat([table.assign(seed=seed) for seed in range(12)])
        verdict = Equivalent("value", "expected", smallest_difference=0.1, because=REASON)(table)
        assert (verdict.status, verdict.effect, verdict.n) == ("reproduced", 0.0, 12)

    def test_equal_observations_have_an_interval_of_some_width(self):
        verdict = equivalent(per_seed([1.0] * 12))
        assert verdict.low < verdict.effect < verdict.high
