"""A quantity is preserved or falls, by its total change to positions that were fixed in advance."""

import numpy as np
import pandas as pd
import pytest

from repro.common.errors import ClaimError, ObservationsError
from repro.criteria import ChangesAs, Falls, Preserved

SOURCE = "the test says so"
SEEDS = 12


def course(values, seeds=SEEDS, **columns):
    """The same course of a quantity for every seed, by position."""
    rows = [{"seed": seed, "layer": at, "variance": value} for seed in range(seeds) for at, value in values.items()]
    return pd.DataFrame(rows).assign(**columns)


def outcomes(verdict):
    return [cell.outcome for cell in verdict.cells]


class TestPreserved:
    @pytest.mark.parametrize(
        ("last", "outcome"),
        [(1.0, "holds"), (1.04, "holds"), (0.96, "holds"), (1.06, "fails"), (0.95, "fails"), (100.0, "fails")],
    )
    def test_within_five_per_cent_either_way(self, last, outcome):
        assert outcomes(Preserved("variance", along="layer")(course({0: 1.0, 1: last}))) == [outcome]

    def test_steps_within_five_per_cent_add_up(self):
        """21/(21 + n) falls by less than five per cent at each step, ever less, and to a sixth over a hundred."""
        values = {n: 21 / (21 + n) for n in range(101)}
        steps = [values[n + 1] / values[n] for n in range(100)]
        assert min(steps) > 1 / 1.05
        assert 1 / 1.05 < np.prod(steps) ** (1 / 100) < 1
        assert values[100] == pytest.approx(21 / 121)
        table = course(values)
        verdict = Preserved("variance", along="layer", at=(1, 100))(table, kind="formula")
        assert (verdict.status, outcomes(verdict)) == ("refuted", ["holds", "fails"])
        assert verdict.effect == pytest.approx(21 / 121)
        assert Preserved("variance", along="layer")(table).effect == pytest.approx(21 / 121)  # at the last
        assert outcomes(Falls("variance", along="layer")(table)) == ["holds"]

    @pytest.mark.parametrize("depth", [10, 100, 1000])
    def test_a_power_is_preserved_at_no_depth(self, depth):
        """The mean change of a step tends to none as the depth grows; what matters is the whole."""
        values = {n: float(n) ** -1 for n in range(1, depth + 1)}
        assert outcomes(Preserved("variance", along="layer")(course(values, seeds=8))) == ["fails"]

    def test_positions_are_cells(self):
        verdict = Preserved("variance", along="layer", at=(1, 2, 5))(course({0: 2.0, 1: 2.0, 2: 1.0, 3: 9.0, 5: 2.0}))
        assert [cell.conditions for cell in verdict.cells] == [{"layer": 1}, {"layer": 2}, {"layer": 5}]
        assert [cell.effect for cell in verdict.cells] == [1.0, 0.5, 1.0]
        assert verdict.status == "conditional"

    def test_the_change_is_from_the_first_position_whatever_its_number(self):
        table = course({3: 4.0, 7: 2.0, 5: 1.0})
        verdict = Preserved("variance", along="layer", at=(7, 5))(table)
        assert [cell.effect for cell in verdict.cells] == [0.5, 0.25]
        assert Preserved("variance", along="layer")(table).effect == 0.5

    def test_conditions_and_positions_together(self):
        table = pd.concat([course({0: 1.0, 9: 1.0}, net="a"), course({0: 1.0, 9: 0.5}, net="b")])
        criterion = Preserved("variance", along="layer", at=(9,), each=("net",))
        verdict = criterion(table)
        assert [cell.name for cell in verdict.cells] == ["net a, layer 9", "net b, layer 9"]
        assert outcomes(verdict) == ["holds", "fails"]
        assert criterion.conditions == ("net", "layer")
        assert Preserved("variance", along="layer", each=("net",)).conditions == ("net",)

    def test_another_ratio_has_a_source(self):
        twice = Preserved("variance", along="layer", smallest_ratio=2.0, source=SOURCE)
        assert outcomes(twice(course({0: 1.0, 1: 1.9}))) == ["holds"]
        with pytest.raises(ClaimError, match="smallest_ratio over 1"):
            Preserved("variance", along="layer", smallest_ratio=1.0, source=SOURCE)

    def test_effect_is_the_median_over_seeds(self):
        rows = [
            {"seed": seed, "layer": at, "variance": 1.0 if at == 0 else (seed + 1) / 10}
            for seed in range(13)
            for at in (0, 4)
        ]
        verdict = Preserved("variance", along="layer")(pd.DataFrame(rows))
        assert (verdict.effect, verdict.low, verdict.high) == pytest.approx((0.7, 0.2, 1.2), rel=1e-6)
        assert verdict.n == 13


class TestFalls:
    @pytest.mark.parametrize(
        ("last", "outcome"),
        [(0.5, "holds"), (0.95, "holds"), (0.96, "fails"), (1.0, "fails"), (1.04, "fails"), (1.06, "opposite")],
    )
    def test_by_five_per_cent(self, last, outcome):
        assert outcomes(Falls("variance", along="layer")(course({0: 1.0, 1: last}))) == [outcome]

    def test_at_every_position(self):
        values = {n: 0.5**n for n in range(11)}
        verdict = Falls("variance", along="layer", at=(1, 10))(course(values), kind="law")
        assert verdict.status == "reproduced"
        assert [cell.effect for cell in verdict.cells] == [0.5, 0.5**10]

    @pytest.mark.parametrize(("kind", "status"), [("tendency", "refuted"), ("law", "refuted"), ("finding", "absent")])
    def test_a_rise_is_the_opposite(self, kind, status):
        table = course({n: 2.0**n for n in range(11)})
        assert Falls("variance", along="layer", at=(1, 10))(table, kind=kind).status == status

    def test_a_fall_that_is_made_good(self):
        verdict = Falls("variance", along="layer", at=(1, 2))(course({0: 1.0, 1: 0.5, 2: 1.0}))
        assert (verdict.status, outcomes(verdict)) == ("conditional", ["holds", "fails"])


class TestRows:
    @pytest.mark.parametrize("criterion", [Preserved, Falls])
    def test_a_position_that_is_not_there_is_told_with_those_that_are(self, criterion):
        with pytest.raises(ObservationsError, match="no observations with layer = 4; there are 0, 1, 2"):
            criterion("variance", along="layer", at=(4,))(course({0: 1.0, 1: 1.0, 2: 1.0}))

    def test_the_first_position_is_no_change(self):
        with pytest.raises(ObservationsError, match="seed 0 has 1 values of layer"):
            Preserved("variance", along="layer", at=(0,))(course({0: 1.0, 1: 1.0}))

    def test_values_are_positive(self):
        with pytest.raises(ObservationsError, match="variance must be positive, seed 0 has 0"):
            Falls("variance", along="layer")(course({0: 1.0, 1: 0.0}))

    def test_a_seed_has_one_value_at_a_position(self):
        with pytest.raises(ObservationsError, match="several rows of seed 0 with layer = 0"):
            Falls("variance", along="layer")(pd.concat([course({0: 1.0, 1: 1.0})] * 2))

    def test_infinite_values_are_kept(self):
        assert outcomes(Falls("variance", along="layer")(course({0: 1.0, 1: np.inf}))) == ["opposite"]

    def test_order_of_rows_does_not_matter(self):
        table = course({n: 0.9**n for n in range(6)})
        criterion = Falls("variance", along="layer", at=(1, 5))
        assert criterion(table.sample(frac=1, random_state=1).sort_values("seed", kind="stable")) == criterion(table)


def residuals(x, y):
    """The sum of squares that NumPy's line leaves."""
    return float(np.polyfit(x, y, 1, full=True)[1][0])


class TestChangesAs:
    depths = np.arange(1, 21)
    ripple = 1 + 0.02 * np.sin(depths)  # measured, not computed

    def judged(self, form, values):
        return ChangesAs(form, "layer", "variance")(course(dict(zip(self.depths.tolist(), values, strict=True))))

    @pytest.mark.parametrize(
        ("values", "exponential", "power"),
        [
            (0.7**depths * ripple, "holds", "opposite"),
            (1 / depths * ripple, "opposite", "holds"),
            (depths**-3.0 * ripple, "opposite", "holds"),
            (0.99**depths * ripple**0.01, "holds", "opposite"),
            (0.7**depths, "holds", "opposite"),  # without any residual but rounding
            (1 / depths, "opposite", "holds"),
        ],
    )
    def test_exponential_and_power_are_told_apart(self, values, exponential, power):
        assert outcomes(self.judged("exponential", values)) == [exponential]
        assert outcomes(self.judged("power", values)) == [power]

    def test_effect_is_the_ratio_of_the_residuals_of_two_lines(self):
        values = 0.7**self.depths * self.ripple
        expected = residuals(np.log(self.depths), np.log(values)) / residuals(self.depths, np.log(values))
        assert self.judged("exponential", values).effect == pytest.approx(expected)
        assert self.judged("power", values).effect == pytest.approx(1 / expected)

    def test_between_the_two_neither_is_seen(self):
        """Half of the seeds fall in one way, half in the other."""
        tables = [
            course(dict(zip(self.depths.tolist(), values, strict=True)), seeds=8).assign(first=first)
            for first, values in ((0, 0.7**self.depths), (8, 1 / self.depths))
        ]
        table = pd.concat([table.assign(seed=table["seed"] + table["first"]) for table in tables])
        for form in ("exponential", "power"):
            assert outcomes(ChangesAs(form, "layer", "variance")(table)) == ["open"]

    def test_what_stays_the_same_changes_in_neither_way(self):
        assert outcomes(self.judged("exponential", np.ones(20))) == ["fails"]
        assert outcomes(self.judged("power", np.ones(20))) == ["fails"]

    def test_two_positions_tell_nothing(self):
        with pytest.raises(ObservationsError, match="seed 0 has 2 values of layer"):
            ChangesAs("power", "layer", "variance")(course({1: 1.0, 2: 0.5}))

    @pytest.mark.parametrize(("at", "value"), [(0, 1.0), (1, 0.0), (1, np.inf)])
    def test_both_axes_are_positive_and_finite(self, at, value):
        with pytest.raises(ObservationsError, match="must be"):
            ChangesAs("power", "layer", "variance")(course({at: value, 2: 0.5, 3: 0.2}))

    @pytest.mark.parametrize("form", ["exponential", "power"])
    def test_a_rise_has_a_form_too(self, form):
        other = {"exponential": "power", "power": "exponential"}[form]
        rising = {"exponential": 1.4**self.depths, "power": self.depths**2.0}[form] * self.ripple
        assert outcomes(self.judged(form, rising)) == ["holds"]
        assert outcomes(self.judged(other, rising)) == ["opposite"]
