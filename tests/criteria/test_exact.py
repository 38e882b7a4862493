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
        assert Identity("left", "right")(table).status == status

    def test_error_is_normwise(self):
        table = pd.DataFrame({"seed": 0, "left": [3.0 + 3e-9, 4.0 + 4e-9], "right": [3.0, 4.0]})
        verdict = Identity("left", "right", atol=1e-9)(table)
        assert verdict.effect == pytest.approx(5, rel=1e-5)
        assert verdict.p is None

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
        assert Identity("left", "right", precision="dtype")(table).status == status

    @pytest.mark.parametrize(
        ("left", "status"),
        [(0.1234, "reproduced"), (0.125, "reproduced"), (0.1279, "inconclusive"), (0.1301, "refuted"), (7, "refuted")],
    )
    def test_printed_numbers(self, left, status):
        assert Identity("left", "right", digits=2)(pd.DataFrame({"left": [left], "right": [0.12]})).status == status

    def test_infinite_sides(self):
        table = pd.DataFrame({"left": [np.inf, 1.0], "right": [np.inf, 1.0]})
        assert Identity("left", "right")(table).status == "reproduced"
        assert Identity("left", "right")(table.assign(left=[1.0, 1.0])).status == "refuted"

    def test_zero_has_no_relative_error(self):
        table = pd.DataFrame({"seed": [0, 1], "left": [0.0, 1e-100], "right": [0.0, 0.0]})
        with pytest.raises(ObservationsError, match="right is zero for seed 1"):
            Identity("left", "right")(table)
        assert Identity("left", "right", atol=1e-12)(table).status == "reproduced"


class TestBounds:
    def test_one_violation_refutes(self):
        table = pd.DataFrame({"seed": [0, 0, 1, 1], "value": [1.0, 2.0, 3.0, 4.0], "bound": [1.0, 2.0, 3.0, 3.9]})
        assert AtMost("value", bound="bound")(table).status == "refuted"
        assert AtMost("value", bound="bound")(table).effect == 0.5
        assert AtMost("value", bound="bound")(table.query("seed == 0")).status == "inconclusive"
        assert AtLeast("value", bound="bound")(table).status == "inconclusive"
        assert AtLeast("value", bound=2.0)(table).status == "refuted"

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
        assert AtMost("value", bound=1.0, rtol=0)(per_seed([1 + 1e-12] * 8)).status == "refuted"
        assert AtLeast("value", bound=-1.0)(per_seed([-1 - 1e-12] * 8)).status == "reproduced"

    def test_infinite_values_and_bounds(self):
        assert AtMost("value", bound=np.inf)(per_seed([np.inf] * 8)).status == "reproduced"
        assert AtMost("value", bound=1.0)(per_seed([np.inf])).status == "refuted"
        assert AtMost("value", bound=-np.inf)(per_seed([0.0])).status == "refuted"


class TestProportion:
    criterion = Proportion("success", at_least=0.5, because=REASON)

    @pytest.mark.parametrize(
        ("successes", "n", "status"),
        [(24, 24, "reproduced"), (0, 24, "refuted"), (12, 24, "inconclusive"), (7, 7, "inconclusive")],
    )
    def test_status(self, successes, n, status):
        assert self.criterion(per_seed([seed < successes for seed in range(n)], "success")).status == status

    def test_rows_of_a_seed_are_not_independent(self):
        table = pd.DataFrame({"seed": [0, 1] * 100, "success": [True, False] * 100})
        assert self.criterion(table).n == 2
        one_failure = pd.DataFrame({"seed": [0, 0, 1], "success": [True, False, True]})
        assert self.criterion(one_failure).effect == 0.5

    def test_all_is_no_share(self):
        with pytest.raises(ClaimError):
            Proportion("success", at_least=1.0, because=REASON)
