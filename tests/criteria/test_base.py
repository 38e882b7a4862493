"""What all criteria share: the rows they read, conditions, joined parts. The kinds have test files of their own."""

import numpy as np
import pandas as pd
import pytest
from hypothesis import given
from hypothesis import strategies as st

from repro.common.errors import ClaimError, ObservationsError
from repro.criteria import AllOf, AtMost, Equivalent, Greater, Identity, Peak, Proportion, Ratio

REASON = "the test says so"


def near_one(**options):
    return Equivalent("value", 1.0, smallest_difference=0.1, because=REASON, **options)


def per_seed(values, **columns):
    return pd.DataFrame({"seed": range(len(values)), "value": np.asarray(values, dtype=float)} | columns)


def unis_decided(refuting):
    """Twelve seeds, so many of which refute ``near_one`` and the others are right."""
    return [2.0] * refuting + [1.0] * (12 - refuting)


def status_at(criterion, table, level, kind):
    return criterion(table, confidence=1 - level, kind=kind).status


class TestRows:
    def test_missing_column_is_named(self):
        with pytest.raises(ObservationsError, match="reads column 'value', the observations have seed, loss"):
            near_one()(pd.DataFrame({"seed": [0], "loss": [1.0]}))

    @pytest.mark.parametrize("options", [{"each": ("arm",)}, {"where": {"arm": "a"}}])
    def test_missing_condition_is_named(self, options):
        with pytest.raises(ObservationsError, match="reads column 'arm'"):
            near_one(**options)(per_seed([1.0]))

    def test_nan_is_an_error_that_names_the_rows(self):
        with pytest.raises(ObservationsError, match="reads value, which is NaN in rows 2, 5;") as error:
            near_one()(per_seed([1, 1, np.nan, 1, 1, np.nan]))
        assert "\n" not in str(error.value)
        with pytest.raises(ObservationsError, match="rows 0, 1, 2, 3, 4 and 7 more"):
            near_one()(per_seed([np.nan] * 12))

    @pytest.mark.parametrize("column", ["seed", "arm"])
    def test_nan_among_seeds_and_conditions_is_an_error(self, column):
        table = per_seed([1.0] * 3, arm="a").astype({"seed": float})
        table.loc[1, column] = np.nan
        with pytest.raises(ObservationsError, match=f"reads {column}, which is NaN in rows 1"):
            near_one(each=("arm",))(table)

    def test_nan_in_what_is_not_read_does_not_matter(self):
        table = per_seed([1.0] * 12 + [np.nan], arm=["a"] * 12 + ["b"], other=np.nan)
        assert near_one(where={"arm": "a"})(table).status == "reproduced"

    def test_where_selects_rows(self):
        table = per_seed([1.0] * 12 + [5.0] * 12, arm=["a"] * 12 + ["b"] * 12)
        assert near_one(where={"arm": "a"})(table).status == "reproduced"
        assert near_one(where={"arm": "b"})(table, kind="law").status == "refuted"
        with pytest.raises(ObservationsError, match="no observations with arm = c"):
            near_one(where={"arm": "c"})(table)

    def test_no_rows_at_all(self):
        with pytest.raises(ObservationsError, match="no observations"):
            near_one()(per_seed([]))

    def test_infinite_values_are_kept(self):
        verdict = near_one()(per_seed([np.inf] * 12), kind="law")
        assert (verdict.status, verdict.effect, verdict.high) == ("refuted", np.inf, np.inf)

    @pytest.mark.filterwarnings("ignore:invalid value encountered")
    def test_effects_that_are_undefined_are_an_error(self):
        table = pd.DataFrame({"seed": [0, 0], "value": [np.inf, -np.inf]})
        with pytest.raises(ObservationsError, match="undefined for seed 0"):
            near_one()(table)

    def test_repeated_row_labels_do_not_matter(self):
        table = pd.concat([per_seed([value]).assign(seed=seed) for seed, value in enumerate([1.0] * 12)])
        assert near_one()(table).status == "reproduced"

    @given(st.permutations(range(12)))
    def test_order_of_rows_does_not_matter(self, order):
        table = per_seed(np.linspace(0.8, 1.1, 12))
        assert near_one()(table.iloc[order]) == near_one()(table)

    def test_the_table_is_not_changed(self):
        table = per_seed([1.0] * 3).drop(columns="seed").head(1)
        near_one()(table)
        assert list(table.columns) == ["value"]


class TestDeterministicClaims:
    """A table without seeds is one exact run."""

    def test_comparison_of_parameter_counts(self):
        table = pd.DataFrame({"net": ["plain", "separable"], "parameters": [900, 100]})
        ratio = Ratio("parameters", "plain", "separable", by="net", expected=9, within=1.01, because=REASON)
        verdict = ratio(table, kind="formula")
        assert (verdict.status, verdict.effect, verdict.n, verdict.p) == ("reproduced", 9.0, 1, None)
        assert ratio(table.assign(parameters=[900, 200]), kind="formula").status == "refuted"

    def test_the_same_with_a_single_seed_decides_nothing(self):
        assert near_one()(pd.DataFrame({"value": [1.0]})).status == "reproduced"
        assert near_one()(pd.DataFrame({"value": [1.0], "seed": [0]})).status == "inconclusive"

    def test_bounds_and_proportions(self):
        verdict = AtMost("value", bound=1)(pd.DataFrame({"value": [0.5, 1.0]}))
        assert (verdict.status, verdict.n, verdict.p) == ("reproduced", 1, None)
        assert verdict.high == pytest.approx(0, abs=1e-200)
        assert Proportion("value", at_least=0.5, because=REASON)(pd.DataFrame({"value": [1, 1]})).status == "reproduced"
        assert Proportion("value", at_least=0.5, because=REASON)(pd.DataFrame({"value": [1, 0]})).status == "refuted"


class TestEach:
    criterion = near_one(each=("width", "depth"))

    def table(self, *conditions):
        tables = [per_seed(values, width=width, depth=depth) for width, depth, values in conditions]
        return pd.concat(tables, ignore_index=True)

    def test_all_conditions_must_hold(self):
        verdict = self.criterion(self.table((1, 2, [1.0] * 12), (4, 8, [1.05] * 12)))
        assert verdict.status == "reproduced"
        assert verdict.parts == ()
        assert [cell.name for cell in verdict.cells] == ["width 1, depth 2", "width 4, depth 8"]
        assert [cell.conditions for cell in verdict.cells] == [{"width": 1, "depth": 2}, {"width": 4, "depth": 8}]
        assert [cell.effect for cell in verdict.cells] == pytest.approx([0, 0.05])

    def test_whole_numbers_that_pandas_made_floats_are_written_as_such(self):
        verdict = self.criterion(self.table((1.0, 2, [1.0] * 12), (0.5, 2, [1.05] * 12)))
        assert [cell.name for cell in verdict.cells] == ["width 1, depth 2", "width 0.5, depth 2"]

    @pytest.mark.parametrize(("kind", "status"), [("formula", "refuted"), ("tendency", "conditional")])
    def test_one_condition_where_it_fails_decides(self, kind, status):
        verdict = self.criterion(self.table((1, 2, [1.0] * 12), (4, 8, [3.0] * 12)), kind=kind)
        assert (verdict.status, verdict.deciding) == (status, "width 4, depth 8")
        assert [cell.outcome for cell in verdict.cells] == ["holds", "fails"]
        assert verdict.effect == pytest.approx(2)

    def test_one_undecided_condition_is_enough_to_leave_it_open(self):
        verdict = self.criterion(self.table((1, 2, [1.0] * 12), (4, 8, unis_decided(6))))
        assert (verdict.status, verdict.deciding) == ("inconclusive", "width 4, depth 8")


class TestAllOf:
    def test_parts_are_named_with_their_conditions(self):
        table = per_seed([1.0] * 24, arm=["a"] * 12 + ["b"] * 12)
        verdict = AllOf(mean=near_one(each=("arm",)), limit=AtMost("value", bound=1.0))(table)
        assert [cell.name for cell in verdict.cells] == ["mean: arm a", "mean: arm b", "limit"]
        assert [part.name for part in verdict.parts] == ["mean", "limit"]
        assert verdict.status == "reproduced"

    def test_joined_criteria_may_be_joined_again(self):
        inner = AllOf(low=near_one(), high=AtMost("value", bound=2))
        verdict = AllOf(first=inner, second=near_one())(per_seed([1.0] * 12))
        assert [part.name for part in verdict.parts] == ["first, low", "first, high", "second"]

    def test_reproduction_needs_no_correction_for_several_parts(self):
        table = per_seed([1.0] * 8)  # 2 / 2^8 = 0.0078
        assert AllOf(a=near_one(), b=near_one(), c=near_one())(table).status == "reproduced"

    def test_one_part_out_of_several_refutes_at_a_level_shared_among_them(self):
        eight = per_seed([3.0] * 8)
        assert near_one()(eight, kind="formula").status == "refuted"
        joint = AllOf(wrong=near_one(), right=AtMost("value", bound=9))(eight, kind="formula")
        assert joint.status == "inconclusive"
        assert [cell.outcome for cell in joint.cells] == ["open", "open"]
        assert joint.p == pytest.approx(2 * 2 / 2**8)

    def test_every_part_has_a_verdict_of_its_own_at_the_full_level(self):
        joint = AllOf(wrong=near_one(), right=AtMost("value", bound=9))(per_seed([3.0] * 8), kind="formula")
        assert [part.status for part in joint.parts] == ["refuted", "reproduced"]
        assert [part.effect for part in joint.parts] == pytest.approx([2.0, 0.0])

    def test_all_parts_that_fail_refute_at_the_full_level(self):
        eight = per_seed([3.0] * 8)  # an intersection-union test: 2 / 2^8 = 0.0078 in each
        assert AllOf(a=near_one(), b=near_one())(eight, kind="formula").status == "refuted"

    def test_interval_of_a_refuted_part_is_at_the_shared_level(self):
        table = per_seed(np.linspace(3, 4, 12))
        alone = near_one()(table, kind="formula")
        joint = AllOf(wrong=near_one(), right=AtMost("value", bound=9))(table, kind="formula")
        assert (joint.status, joint.deciding) == ("refuted", "wrong")
        assert (joint.low, joint.high) == pytest.approx((2, 3), rel=1e-6)  # the extremes of twelve
        assert alone.low > joint.low

    def test_the_clearest_refutation_decides(self):
        table = per_seed([3.0] * 11 + [1.0], other=3.0)
        other = Equivalent("other", 1.0, smallest_difference=0.1, because=REASON)
        verdict = AllOf(less=near_one(), more=other)(table, kind="formula")
        assert (verdict.status, verdict.deciding) == ("refuted", "more")

    def test_otherwise_the_part_that_is_hardest_to_reproduce_decides(self):
        table = per_seed(unis_decided(1), other=1.0)
        other = Equivalent("other", 1.0, smallest_difference=0.1, because=REASON)
        verdict = AllOf(less=near_one(), more=other)(table)
        assert (verdict.status, verdict.deciding) == ("reproduced", "less")
        assert verdict.p == pytest.approx(2 * 13 / 2**12)

    def test_an_exact_contradiction_needs_no_level(self):
        table = per_seed(unis_decided(6))
        verdict = AllOf(median=near_one(), limit=AtMost("value", bound=1.5))(table, kind="theorem")
        assert (verdict.status, verdict.deciding, verdict.p) == ("refuted", "limit", 0.0)

    def test_an_undecided_identity_leaves_it_open(self):
        table = per_seed([1.0] * 12, right=1 + 1e-14)
        verdict = AllOf(near=near_one(), equal=Identity("value", "right"))(table)
        assert (verdict.status, verdict.deciding) == ("inconclusive", "equal")

    def test_joins_something(self):
        with pytest.raises(ClaimError):
            AllOf()


class TestFlipLevel:
    """``p`` is the level at which the status becomes another."""

    criteria = (
        near_one(),
        Equivalent("value", 1.5, smallest_difference=0.2, because=REASON),
        AllOf(a=near_one(), b=Equivalent("value", 1.5, smallest_difference=0.8, because=REASON)),
        near_one(each=("arm",)),
        Proportion("good", at_least=0.3, because=REASON),
        Greater("value", "a", "b", by="arm", smallest_difference=0.1, because=REASON, where={"kind": "paired"}),
        Peak("x", "y", at=1, within=1.5, prominence=1.5, because=REASON, where={"kind": "curve"}),
    )

    def table(self, refuting, seeds):
        values = [2.0] * refuting + [1.0] * (seeds - refuting)
        arms = [per_seed(values, arm=arm, kind="paired") for arm in ("a", "b")]
        arms[0]["value"] += np.where(np.arange(seeds) < refuting, 0.0, 0.5)
        curve = pd.DataFrame(
            [
                {"seed": seed, "kind": "curve", "arm": "c", "value": value, "x": x, "y": 3.0 if x == value else 1.0}
                for seed, value in enumerate(values)
                for x in (0.5, 1, 2, 4)
            ]
        )
        table = pd.concat([*arms, curve], ignore_index=True)
        return table.fillna({"x": 0.0, "y": 0.0}).assign(good=table["value"] < 2)

    @pytest.mark.parametrize("criterion", criteria, ids=lambda criterion: type(criterion).__name__)
    @pytest.mark.parametrize(("refuting", "seeds"), [(0, 12), (1, 12), (3, 14), (7, 14), (10, 13), (12, 12), (0, 3)])
    @pytest.mark.parametrize("kind", ["formula", "law", "tendency", "possibility"])
    def test_status_changes_there_and_nowhere_else_before(self, criterion, refuting, seeds, kind):
        table = self.table(refuting, seeds)
        verdict = criterion(table, kind=kind)
        p = verdict.p
        assert 0 < p <= 1
        if verdict.status == "inconclusive":
            assert p > 0.01
            assert status_at(criterion, table, (0.01 + p) / 2, kind) == "inconclusive"
            assert status_at(criterion, table, 0.999 * p, kind) == "inconclusive"
            assert p > 0.9 or status_at(criterion, table, 1.001 * p, kind) != "inconclusive"
        else:
            assert p <= 0.01
            assert status_at(criterion, table, 1.001 * p, kind) == verdict.status
            below = status_at(criterion, table, 0.999 * p, kind)
            # What is the opposite fails as well, at a level that is no larger.
            assert below == "inconclusive" or (verdict.status, below) == ("refuted", "absent")

    def test_without_sampling_error_there_is_none(self):
        assert Identity("value", "value")(per_seed([1.0])).p is None
        assert AtMost("value", bound=2)(per_seed([1.0])).p is None


class TestDescriptions:
    def test_every_criterion_says_what_it_asks(self):
        assert "value equals 1.0 within 0.1" in near_one().describe()
        assert REASON in near_one().describe()
        joined = AllOf(mean=near_one(), limit=AtMost("value", bound="upper_bound"))
        assert joined.describe().startswith("mean: value equals")
        assert joined.describe().endswith("limit: value is at most upper bound on every row")

    def test_figure_belongs_to_the_verdict(self):
        assert near_one().figure(per_seed([1.0] * 12), near_one()(per_seed([1.0] * 12))).axes
