"""The smallest effects that matter, and how far they could move before a verdict changes.

Limits of intervals are order statistics. The r-th smallest to the r-th largest of n values covers the median with
probability 1 - 2 P(Binomial(n, 1/2) < r): of 13 values at 99 % that is the 2nd to the 12th, since P(B < 2) = 14/8192
and P(B < 3) = 92/8192.
"""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from repro.common.errors import ClaimError
from repro.criteria import (
    AllOf,
    AtMost,
    Equivalent,
    Greater,
    Identity,
    Monotone,
    Peak,
    Preserved,
    Proportion,
    Ratio,
    ScalingLaw,
    Threshold,
)
from repro.criteria.thresholds import convention, reason

SOURCE = "the test says so"
SEEDS = 13
DIFFERENCES = np.arange(1, SEEDS + 1) / 10  # 0.1 to 1.3: the interval is from 0.2 to 1.2, from 0.1 to 1.3 beyond
RATIOS = 1.1 ** np.arange(1, SEEDS + 1)


def two_arms(differences, base=10.0, **columns):
    seeds = range(len(differences))
    of = pd.DataFrame({"seed": seeds, "arm": "of", "value": base + np.asarray(differences, dtype=float)})
    return pd.concat([of, of.assign(arm="than", value=base)], ignore_index=True).assign(**columns)


def ratios_of(ratios):
    seeds = range(len(ratios))
    of = pd.DataFrame({"seed": seeds, "arm": "of", "value": np.asarray(ratios, dtype=float)})
    return pd.concat([of, of.assign(arm="than", value=1.0)], ignore_index=True)


def greater(difference=None, ratio=None, **options):
    return Greater(
        "value",
        of="of",
        than="than",
        by="arm",
        smallest_difference=difference,
        smallest_ratio=ratio,
        source=SOURCE,
        **options,
    )


def judged(criterion, table, **options):
    verdict = criterion(table, **options)
    return verdict.status, pytest.approx(verdict.threshold_range, rel=1e-6, abs=1e-12)


class TestTable:
    @pytest.mark.parametrize("metric", ["accuracy", "test_accuracy", "error", "validation_error", "error_rate"])
    def test_a_point_of_accuracy_or_error_matters(self, metric):
        assert convention(metric) == Threshold(0.01, "difference")

    @pytest.mark.parametrize("metric", ["loss", "train_loss", "steps", "gradient_norm", "fid"])
    def test_five_per_cent_of_anything_else_matter(self, metric):
        assert convention(metric) == Threshold(1.05, "ratio")

    def test_a_criterion_takes_its_threshold_from_the_table(self):
        of_error = Greater("test_error", of="a", than="b", by="arm")
        assert (of_error.smallest_difference, of_error.smallest_ratio) == (0.01, None)
        assert of_error.because == "one point matters"
        of_loss = Greater("loss", of="a", than="b", by="arm")
        assert (of_loss.smallest_difference, of_loss.smallest_ratio) == (None, 1.05)
        assert of_loss.because == "five per cent matter"
        assert Preserved("variance", along="layer").smallest_ratio == 1.05

    @pytest.mark.parametrize(
        "declare",
        [
            lambda **given: Greater("value", "a", "b", by="arm", smallest_difference=0.1, **given),
            lambda **given: Greater("value", "a", "b", by="arm", smallest_ratio=1.5, **given),
            lambda **given: Ratio("value", "a", "b", by="arm", expected=2, within=1.5, **given),
            lambda **given: Equivalent("value", 1.0, smallest_difference=0.1, **given),
            lambda **given: Monotone("x", "y", smallest_difference=0.1, **given),
            lambda **given: Preserved("value", along="layer", smallest_ratio=1.5, **given),
        ],
    )
    def test_another_threshold_has_a_source_or_a_reason(self, declare):
        with pytest.raises(ClaimError, match="is not in the project's table"):
            declare()
        assert not declare(because="I like it").is_founded
        assert declare(source="Novikoff 1962").is_founded

    def test_what_stands_in_the_table_needs_no_reason(self):
        assert Equivalent("accuracy", 1.0, smallest_difference=0.01).is_founded
        assert Ratio("value", "a", "b", by="arm", expected=2, within=1.05).is_founded
        assert reason(Threshold(-0.01, "difference"), "") == "one point matters"  # not worse by more than

    def test_what_has_no_threshold_has_nothing_to_found(self):
        assert AtMost("value", bound=1.0).is_founded
        assert Identity("left", "right").is_founded
        assert AtMost("value", bound=1.0).threshold is None


class TestThreshold:
    def test_a_difference_doubles(self):
        assert Threshold(0.01, "difference").times(2.0) == 0.02
        assert Threshold(0.01, "difference").times(0.5) == 0.005

    def test_a_ratio_grows_as_its_logarithm(self):
        assert Threshold(1.05, "ratio").times(2.0) == pytest.approx(1.1025)
        assert Threshold(1.44, "ratio").times(0.5) == pytest.approx(1.2)
        assert Threshold(0.5, "ratio").times(2.0) == 0.25

    def test_a_share_has_no_half(self):
        assert Threshold(0.5, "share").times(2.0) == 0.5

    def test_size_of_an_effect(self):
        assert Threshold(0.01, "difference").size(-0.3) == 0.3
        assert Threshold(1.05, "ratio").size(0.25) == 4.0
        assert Threshold(1.05, "ratio").size(4.0) == 4.0


class TestRange:
    """The verdict's status is the same for every threshold in it, and another just outside."""

    @pytest.mark.parametrize(
        ("threshold", "status", "low", "high"),
        [
            (0.15, "reproduced", 0.0, 0.2),  # below the second smallest
            (0.7, "inconclusive", 0.2, 1.2),
            (1.25, "absent", 1.2, np.inf),  # above the second largest
        ],
    )
    def test_limits_are_order_statistics(self, threshold, status, low, high):
        assert judged(greater(threshold), two_arms(DIFFERENCES)) == (status, (low, high))

    @pytest.mark.parametrize(
        ("threshold", "status", "low", "high"),
        [(0.15, "refuted", 0.0, 0.2), (0.7, "absent", 0.2, np.inf), (1.25, "absent", 0.2, np.inf)],
    )
    def test_of_the_opposite(self, threshold, status, low, high):
        assert judged(greater(threshold), two_arms(-DIFFERENCES)) == (status, (low, high))

    def test_of_no_effect(self):
        assert judged(greater(0.9), two_arms(np.arange(-6, 7) / 10)) == ("absent", (0.5, np.inf))
        assert judged(greater(0.3), two_arms(np.arange(-6, 7) / 10)) == ("inconclusive", (0.0, 0.5))

    @pytest.mark.parametrize(
        ("threshold", "status", "low", "high"),
        [
            (1.15, "reproduced", 1.0, 1.1**2),
            (2.0, "inconclusive", 1.1**2, 1.1**12),
            (3.5, "absent", 1.1**12, np.inf),
        ],
    )
    def test_of_ratios(self, threshold, status, low, high):
        assert judged(greater(ratio=threshold), ratios_of(RATIOS)) == (status, (low, high))

    def test_of_ratios_under_one(self):
        assert judged(greater(ratio=1.15), ratios_of(1 / RATIOS)) == ("refuted", (1.0, 1.1**2))

    def test_cells_that_share_the_level_have_wider_intervals(self):
        """At 1 % shared by three cells the interval is from the smallest to the largest: 2 · 14/8192 > 0.01/3."""
        assert 0.01 / 3 < 2 * stats.binom.cdf(1, SEEDS, 0.5) < 0.01 / 2
        tables = [two_arms(shift + DIFFERENCES, depth=depth) for depth, shift in ((1, 2.0), (2, -2.0), (3, 2.0))]
        verdict = greater(0.05, each=("depth",))(pd.concat(tables))
        assert verdict.status == "conditional"  # from 2.1 in two, to −0.7 in the other
        assert verdict.threshold_range == pytest.approx((0.0, 2.1), rel=1e-6, abs=1e-12)  # 2.2 at the full level
        low, high = zip(*((cell.low, cell.high) for cell in verdict.cells), strict=True)
        assert low == pytest.approx((2.1, -1.9, 2.1), rel=1e-6)
        assert high == pytest.approx((3.3, -0.7, 3.3), rel=1e-6)

    def test_the_least_clear_cell_limits_what_holds_everywhere(self):
        tables = [two_arms(shift + DIFFERENCES, depth=depth) for depth, shift in ((1, 0.0), (2, 1.0))]
        assert judged(greater(0.15, each=("depth",)), pd.concat(tables)) == ("reproduced", (0.0, 0.2))

    def test_of_an_equality(self):
        equivalent = Equivalent("value", 10.0, smallest_difference=1.25, source=SOURCE)
        table = pd.DataFrame({"seed": range(SEEDS), "value": 10 - DIFFERENCES})
        assert judged(equivalent, table) == ("reproduced", (1.2, np.inf))
        closer = Equivalent("value", 10.0, smallest_difference=0.15, source=SOURCE)
        assert judged(closer, table, kind="formula") == ("refuted", (0.0, 0.2))

    def test_of_a_preserved_quantity(self):
        rows = [
            {"seed": seed, "layer": layer, "variance": 1 if layer == 0 else 1 / ratio}
            for seed, ratio in enumerate(RATIOS)
            for layer in (0, 1)
        ]
        kept = Preserved("variance", along="layer", smallest_ratio=3.5, source=SOURCE)
        assert judged(kept, pd.DataFrame(rows)) == ("reproduced", (1.1**12, np.inf))

    def test_of_a_ratio_with_a_stated_value(self):
        """Measured is 7 where 6 is stated: within a factor of 7/6, whatever the ratio itself."""
        table = ratios_of([7.0] * SEEDS)
        within = Ratio("value", "of", "than", by="arm", expected=6, within=1.25, source=SOURCE)
        assert judged(within, table) == ("reproduced", (7 / 6, np.inf))
        nearer = Ratio("value", "of", "than", by="arm", expected=6, within=1.1, source=SOURCE)
        assert judged(nearer, table, kind="formula") == ("refuted", (1.0, 7 / 6))

    def test_of_a_share(self):
        """Clopper and Pearson: all of n seeds leave room down to 0.005^(1/n)."""
        limit = 0.005 ** (1 / 24)
        often = Proportion("success", at_least=0.5, because=SOURCE)
        all_of_them = pd.DataFrame({"seed": range(24), "success": True})
        assert judged(often, all_of_them) == ("reproduced", (0.0, limit))

    def test_of_a_share_that_is_not_reached(self):
        """None of 24: at most 0.198, which is the opposite as long as a share and its rest are larger."""
        limit = 1 - 0.005 ** (1 / 24)
        none_of_them = pd.DataFrame({"seed": range(24), "success": False})
        often = Proportion("success", at_least=0.5, because=SOURCE)
        assert judged(often, none_of_them) == ("refuted", (limit, 1 - limit))
        nearly_always = Proportion("success", at_least=0.9, because=SOURCE)
        assert nearly_always(none_of_them).status == "absent"

    def test_of_the_prominence_of_a_peak(self):
        heights = {1.0: 1.0, 2.0: 5.0, 4.0: 1.0}
        rows = [{"seed": seed, "x": x, "y": y} for seed in range(SEEDS) for x, y in heights.items()]
        peak = Peak("x", "y", at=2.0, within=1.5, prominence=2.0, because=SOURCE)
        assert judged(peak, pd.DataFrame(rows)) == ("reproduced", (1.0, 5.0))

    def test_of_the_place_of_a_peak(self):
        heights = {1.0: 1.0, 2.0: 5.0, 4.0: 1.0}
        rows = [{"seed": seed, "x": x, "y": y} for seed in range(SEEDS) for x, y in heights.items()]
        elsewhere = Peak("x", "y", at=4.0, within=1.5, prominence=2.0, because=SOURCE)
        assert judged(elsewhere, pd.DataFrame(rows), kind="formula") == ("refuted", (1.0, np.inf))

    def test_of_the_largest_reversal(self):
        """Down by 1.0 over all, up by 0.1 in between: the opposite of rising, unless 0.1 matters too."""
        course = {1: 1.0, 2: 0.5, 3: 0.6, 4: 0.0}
        rows = [{"seed": seed, "x": x, "y": y} for seed in range(SEEDS) for x, y in course.items()]
        rises = Monotone("x", "y", smallest_difference=0.3, source=SOURCE)
        assert judged(rises, pd.DataFrame(rows)) == ("refuted", (0.1, 1.0))
        strict = Monotone("x", "y", smallest_difference=0.05, source=SOURCE)
        assert judged(strict, pd.DataFrame(rows)) == ("absent", (0.0, 0.1))

    def test_without_a_threshold_there_is_none(self):
        table = pd.DataFrame({"seed": range(SEEDS), "value": 1.0, "same": 1.0, "n": 1.0})
        assert AtMost("value", bound=2)(table).threshold_range is None
        assert Identity("value", "same")(table).threshold_range is None
        rows = pd.DataFrame([{"seed": seed, "n": n, "value": 1 / n} for seed in range(SEEDS) for n in (1, 2, 4)])
        assert ScalingLaw("n", "value", expected=-1, rivals=(-2, -0.5))(rows).threshold_range is None

    def test_of_what_is_not_worse(self):
        """Its threshold lies beyond no effect: it is no smallest effect that could be moved."""
        assert greater(-0.05)(two_arms(DIFFERENCES)).threshold_range is None
        not_less = greater(ratio=0.9)(ratios_of([1.0] * SEEDS))
        assert (not_less.status, not_less.threshold_range) == ("reproduced", None)

    def test_every_part_has_its_own(self):
        both = AllOf(small=greater(0.15), large=greater(0.7))
        parts = both(two_arms(DIFFERENCES)).parts
        assert [part.threshold for part in parts] == [0.15, 0.7]
        assert parts[0].threshold_range == pytest.approx((0.0, 0.2), rel=1e-6, abs=1e-12)
        assert parts[1].threshold_range == pytest.approx((0.2, 1.2), rel=1e-6)

    def test_the_verdict_has_that_of_the_deciding_part(self):
        verdict = AllOf(small=greater(0.15), large=greater(0.7))(two_arms(DIFFERENCES))
        assert (verdict.deciding, verdict.threshold) == ("large", 0.7)
        assert verdict.threshold_range == pytest.approx((0.2, 1.2), rel=1e-6)


class TestMatters:
    """Whether half or twice the threshold would change the status."""

    @pytest.mark.parametrize(
        ("difference", "matters"),
        [(0.021, False), (0.019, True), (0.012, True), (0.006, True), (0.004, False), (-0.004, False), (-0.019, True)],
    )
    def test_of_differences(self, difference, matters):
        """With a point as the threshold; what lies below half a point is absent at half a point too."""
        assert greater(0.01)(two_arms([difference] * SEEDS)).threshold_matters is matters

    @pytest.mark.parametrize(
        ("ratio", "matters"),
        [(1.09, True), (1.11, False), (1.2, False), (1.03, True), (1.02, False), (1 / 1.09, True), (1 / 1.2, False)],
    )
    def test_of_ratios_by_their_logarithms(self, ratio, matters):
        """Half and twice of 1.05 are 1.0247 and 1.1025."""
        assert greater(ratio=1.05)(ratios_of([ratio] * SEEDS)).threshold_matters is matters

    def test_of_any_part(self):
        table = two_arms([0.03] * SEEDS)
        assert not greater(0.01)(table).threshold_matters
        assert AllOf(clear=greater(0.01), unclear=greater(0.02))(table).threshold_matters

    def test_without_a_threshold_it_cannot(self):
        assert not AtMost("value", bound=1.0)(pd.DataFrame({"seed": range(8), "value": 1.0})).threshold_matters


class TestWide:
    """An interval that is wider than the threshold: more seeds would tell more."""

    @pytest.mark.parametrize(("threshold", "wide"), [(0.9, True), (1.1, False)])
    def test_of_differences(self, threshold, wide):
        (cell,) = greater(threshold)(two_arms(DIFFERENCES)).cells  # from 0.2 to 1.2
        assert cell.wide is wide

    @pytest.mark.parametrize(("threshold", "wide"), [(1.1**9.9, True), (1.1**10.1, False)])
    def test_of_ratios(self, threshold, wide):
        (cell,) = greater(ratio=threshold)(ratios_of(RATIOS)).cells  # from 1.1² to 1.1¹²
        assert cell.wide is wide

    def test_too_few_seeds_for_an_interval(self):
        (cell,) = greater(0.1)(two_arms([0.5] * 7)).cells
        assert (cell.low, cell.high, cell.wide) == (-np.inf, np.inf, True)

    def test_without_a_threshold_nothing_is_wide(self):
        (cell,) = AtMost("value", bound=1.0)(pd.DataFrame({"seed": range(8), "value": 1.0})).cells
        assert not cell.wide

    def test_cell_by_cell(self):
        tables = [two_arms(DIFFERENCES, depth=1), two_arms([0.5] * SEEDS, depth=2)]
        verdict = greater(0.05, each=("depth",))(pd.concat(tables))
        assert [cell.wide for cell in verdict.cells] == [True, False]
