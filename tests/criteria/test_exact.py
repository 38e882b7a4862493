import numpy as np
import pandas as pd
import pytest

from repro.common.errors import ClaimError, ObservationsError
from repro.criteria import AtLeast, AtMost, Identity, Proportion

REASON = "the test says so"


def per_seed(values, column="value"):
    return pd.DataFrame({"seed": range(len(values)), column: values})


class TestIdentity:
    @pytest.mark.parametrize(
        ("error", "status"), [(0.0, "reproduced"), (1e-16, "reproduced"), (1e-14, "inconclusive"), (1e-6, "refuted")]
    )
    def test_rounding(self, error, status):
        table = pd.DataFrame({"seed": [0, 1, 1], "left": [1.0, 2.0, 3.0 + error * 3], "right": [1.0, 2.0, 3.0]})
        assert Identity("left", "right")(table, kind="formula").status == status

    def test_error_is_normwise(self):
        table = pd.DataFrame({"seed": 0, "left": [3.0 + 3e-9, 4.0 + 4e-9], "right": [3.0, 4.0]})
        criterion = Identity("left", "right", atol=1e-9)
        verdict = criterion(table)
        assert verdict.effect == pytest.approx(1e-9, rel=1e-5)  # 5e-9 of a vector of length 5
        assert verdict.p is None
        assert criterion.errors(table)[0] == pytest.approx(5, rel=1e-5)  # in tolerances, of which atol is the most

    def test_effect_is_the_largest_error_and_its_interval_the_range_over_seeds(self):
        table = pd.DataFrame({"seed": [0, 1, 2], "left": [2.5, 4.0, 3.0], "right": [2.0, 4.0, 4.0]})
        verdict = Identity("left", "right")(table)
        assert (verdict.effect, verdict.low, verdict.high) == (0.25, 0.0, 0.25)
        printed = Identity("left", "right", digits=2)(table)
        assert (printed.effect, printed.low, printed.high) == (1.0, 0.0, 1.0)  # absolute, as digits are

    def test_error_beside_zero_is_absolute(self):
        table = pd.DataFrame({"seed": [0, 1], "left": [0.25, 2.0], "right": [0.0, 2.0]})
        assert Identity("left", "right", atol=1.0)(table).effect == 0.25

    def test_more_operations_round_more(self):
        table = pd.DataFrame({"left": [1 + 1e-14], "right": [1.0]})
        assert Identity("left", "right", operations=100)(table).status == "reproduced"
        assert Identity("left", "right", dtype="float32")(table).status == "reproduced"

    @pytest.mark.parametrize(
        ("double_error", "status"), [(1e-17, "reproduced"), (1e-12, "inconclusive"), (1e-3, "refuted")]
    )
    def test_a_contradiction_does_not_shrink_with_the_precision(self, double_error, status):
        table = pd.DataFrame(
            {"dtype": ["float32", "float64"], "left": [1 + 1e-3, 1 + double_error], "right": [1.0, 1.0]}
        )
        assert Identity("left", "right", precision="dtype")(table, kind="formula").status == status

    @pytest.mark.parametrize(
        ("left", "status"),
        [(0.1234, "reproduced"), (0.125, "reproduced"), (0.1279, "inconclusive"), (0.1301, "refuted"), (7, "refuted")],
    )
    def test_printed_numbers(self, left, status):
        table = pd.DataFrame({"left": [left], "right": [0.12]})
        assert Identity("left", "right", digits=2)(table, kind="formula").status == status

    def test_infinite_sides(self):
        table = pd.DataFrame({"left": [np.inf, 1.0], "right": [np.inf, 1.0]})
        assert Identity("left", "right")(table).status == "reproduced"
        assert Identity("left", "right")(table.assign(left=[1.0, 1.0]), kind="formula").status == "refuted"

    def test_zero_has_no_relative_error(self):
        table = pd.DataFrame({"seed": [0, 1], "left": [0.0, 1e-100], "right": [0.0, 0.0]})
        with pytest.raises(ObservationsError, match="right is zero for seed 1"):
            Identity("left", "right")(table)
        assert Identity("left", "right", atol=1e-12)(table).status == "reproduced"


def judged(criterion, table):
    """Judge as bounds are: a violation is a counterexample."""
    return criterion(table, kind="theorem").status


class TestBounds:
    def test_one_violation_refutes(self):
        table = pd.DataFrame({"seed": [0, 0, 1, 1], "value": [1.0, 2.0, 3.0, 4.0], "bound": [1.0, 2.0, 3.0, 3.9]})
        assert judged(AtMost("value", bound="bound"), table) == "refuted"
        assert AtMost("value", bound="bound")(table).effect == 0.5
        assert judged(AtMost("value", bound="bound"), table.query("seed == 0")) == "inconclusive"
        assert judged(AtLeast("value", bound="bound"), table) == "inconclusive"
        assert judged(AtLeast("value", bound=2.0), table) == "refuted"

    def test_one_violation_under_one_of_many_conditions_refutes(self):
        table = pd.concat([per_seed([1.0] * 8).assign(width=width) for width in range(8)], ignore_index=True)
        table.loc[37, "value"] = 2.0
        verdict = AtMost("value", bound=1.0, each=("width",))(table, kind="theorem")
        assert (verdict.status, verdict.deciding) == ("refuted", "width 4")
        assert verdict.outcomes == {"open": 7, "fails": 1}  # eight seeds are too few at a shared level
        assert AtMost("value", bound=1.0, each=("width",))(table).status == "inconclusive"  # no tendency falls by one

    @pytest.mark.parametrize(
        ("criterion", "share"), [(AtMost("value", bound=4.0), 0.75), (AtLeast("value", bound=0.5), 0.25)]
    )
    def test_tightness_is_the_largest_share_of_the_bound(self, criterion, share):
        assert criterion.tightness(per_seed([2.0, 3.0])) == share
        assert np.isnan(AtMost("value", bound=0.0).tightness(per_seed([-1.0])))  # zero has no shares

    @pytest.mark.parametrize(("seeds", "status"), [(7, "inconclusive"), (8, "reproduced")])
    def test_silence_counts_from_eight_seeds_on(self, seeds, status):
        assert 1 - 0.005 ** (1 / 7) > 0.5 > 1 - 0.005 ** (1 / 8)  # upper limits of the violation rate
        assert AtMost("value", bound=2)(per_seed([1.0] * seeds)).status == status
        assert AtMost("value", bound=2)(pd.DataFrame({"value": [1.0]})).status == "reproduced"  # without randomness

    def test_interval_is_the_violation_rate_that_could_go_unseen(self):
        verdict = AtMost("value", bound=2)(per_seed([1.0] * 100), confidence=0.95)
        assert (verdict.effect, verdict.low) == (0, 0)
        assert verdict.high == pytest.approx(1 - 0.025 ** (1 / 100))

    def test_rounding_is_no_violation(self):
        assert AtMost("value", bound=1.0)(per_seed([1 + 1e-12] * 8)).status == "reproduced"
        assert judged(AtMost("value", bound=1.0, rtol=0), per_seed([1 + 1e-12] * 8)) == "refuted"
        assert AtLeast("value", bound=-1.0)(per_seed([-1 - 1e-12] * 8)).status == "reproduced"

    def test_infinite_values_and_bounds(self):
        assert AtMost("value", bound=np.inf)(per_seed([np.inf] * 8)).status == "reproduced"
        assert judged(AtMost("value", bound=1.0), per_seed([np.inf])) == "refuted"
        assert judged(AtMost("value", bound=-np.inf), per_seed([0.0])) == "refuted"


class TestProportion:
    criterion = Proportion("success", at_least=0.5, because=REASON)

    @pytest.mark.parametrize(
        ("successes", "n", "status"),
        [(24, 24, "reproduced"), (0, 24, "refuted"), (12, 24, "inconclusive"), (7, 7, "inconclusive")],
    )
    def test_status(self, successes, n, status):  # fewer than a half is the opposite of more than a half
        assert self.criterion(per_seed([seed < successes for seed in range(n)], "success")).status == status

    @pytest.mark.parametrize(("successes", "outcome"), [(48, "holds"), (24, "fails"), (0, "opposite")])
    def test_opposite_is_that_as_many_fail(self, successes, outcome):
        most = Proportion("success", at_least=0.8, because=REASON)
        (cell,) = most(per_seed([seed < successes for seed in range(48)], "success")).cells
        assert cell.outcome == outcome

    def test_rows_of_a_seed_are_not_independent(self):
        table = pd.DataFrame({"seed": [0, 1] * 100, "success": [True, False] * 100})
        assert self.criterion(table).n == 2
        one_failure = pd.DataFrame({"seed": [0, 0, 1], "success": [True, False, True]})
        assert self.criterion(one_failure).effect == 0.5

    def test_all_is_no_share(self):
        with pytest.raises(ClaimError):
            Proportion("success", at_least=1.0, because=REASON)
