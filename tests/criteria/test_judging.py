"""Verdicts on tables whose truth is known, through real criteria: each row of the design's table, and named cases."""

import numpy as np
import pandas as pd
import pytest
from scipy import stats

from repro.common import ClaimError
from repro.criteria import (
    AllOf,
    AtLeast,
    AtMost,
    Boundary,
    Equivalent,
    Falls,
    Greater,
    Identity,
    Preserved,
    Proportion,
    Ratio,
)

SOURCE = "the test says so"
SEEDS = 16
# Gains in accuracy over the other arm, in the order of seeds; a point matters. Seeds differ, as trained networks do.
SPREAD = 0.0005 * np.arange(-8, 8)
GAINS = {
    "holds": 0.05 + SPREAD,
    "fails": 0.002 + SPREAD / 4,  # negligible: from 0.1 to 0.3 points
    "opposite": -0.05 + SPREAD,
    "open": np.where(np.arange(SEEDS) % 2, 0.05, -0.05) + SPREAD,
}

PATTERNS = {
    "all hold": ("holds", "holds", "holds"),
    "hold, rest open": ("holds", "open", "open"),
    "some hold, some fail": ("holds", "fails", "open"),
    "all fail": ("fails", "opposite", "fails"),
    "all opposite": ("opposite", "opposite", "opposite"),
    "fail, rest open": ("fails", "open", "open"),
    "all open": ("open", "open", "open"),
}
R, C, A, F, I = "reproduced", "conditional", "absent", "refuted", "inconclusive"  # noqa: E741  as in the design
ROWS = {
    ("formula", "exact"): (R, I, F, F, F, F, I),
    ("theorem", "exact"): (R, I, F, F, F, F, I),
    ("law", "toy"): (R, I, C, F, F, I, I),
    ("tendency", "toy"): (R, I, C, A, F, I, I),
    ("advice", "reduced"): (R, I, C, A, F, I, I),
    ("possibility", "toy"): (R, R, R, A, A, I, I),
    ("finding", "toy"): (R, I, C, A, A, I, I),
    ("finding", "reduced"): (R, I, C, A, A, I, I),
    ("finding", "same"): (R, I, C, A, F, I, I),
}
EXPECTED = [
    (kind, scale, pattern, status)
    for (kind, scale), row in ROWS.items()
    for pattern, status in zip(PATTERNS, row, strict=True)
]

better = Greater("accuracy", of="with", than="without", by="arm", each=("depth",))


def gains(*cells):
    """Accuracies of two arms at depths 1, 2, ...: names of outcomes, or the gain of every seed."""
    rows = []
    for depth, cell in enumerate(cells, start=1):
        for seed, gain in enumerate(GAINS[cell] if isinstance(cell, str) else cell):
            rows.append({"seed": seed, "depth": depth, "arm": "with", "accuracy": 0.5 + gain})
            rows.append({"seed": seed, "depth": depth, "arm": "without", "accuracy": 0.5})
    return pd.DataFrame(rows)


def per_cell(values, seeds=SEEDS, name="value"):
    rows = [{"seed": seed, "depth": depth, name: value} for depth, value in values.items() for seed in range(seeds)]
    return pd.DataFrame(rows)


def outcomes(verdict):
    return tuple(cell.outcome for cell in verdict.cells)


class TestTheTable:
    @pytest.mark.parametrize(("kind", "scale", "pattern", "status"), EXPECTED)
    def test_of_an_ordering(self, kind, scale, pattern, status):
        verdict = better(gains(*PATTERNS[pattern]), kind=kind, scale=scale)
        assert outcomes(verdict) == PATTERNS[pattern]
        assert (verdict.status, verdict.kind, verdict.scale) == (status, kind, scale)

    @pytest.mark.parametrize(
        ("kind", "values", "status"),
        [
            ("formula", {1: 0.0, 2: 1e-16}, "reproduced"),
            ("formula", {1: 0.0, 2: 0.1}, "refuted"),  # one counterexample
            ("formula", {1: 0.1, 2: 0.1}, "refuted"),
            ("formula", {1: 0.0, 2: 1e-14}, "inconclusive"),
            ("law", {1: 0.0, 2: 0.1}, "conditional"),
            ("law", {1: 0.1, 2: 0.1}, "refuted"),
            ("tendency", {1: 0.0, 2: 0.1}, "conditional"),
            ("tendency", {1: 0.1, 2: 0.1}, "absent"),
            ("possibility", {1: 0.0, 2: 0.1}, "reproduced"),
        ],
    )
    def test_of_an_identity(self, kind, values, status):
        table = per_cell(values).assign(left=lambda rows: 1.0 + rows["value"], right=1.0)
        assert Identity("left", "right", each=("depth",))(table, kind=kind).status == status

    @pytest.mark.parametrize(
        ("kind", "status"), [("theorem", "refuted"), ("tendency", "conditional"), ("possibility", "reproduced")]
    )
    def test_of_a_bound_with_one_violation(self, kind, status):
        table = per_cell({1: 0.5, 2: 0.5})
        table.loc[(table["depth"] == 2) & (table["seed"] == 3), "value"] = 1.5
        verdict = AtMost("value", bound=1.0, each=("depth",))(table, kind=kind)
        assert (outcomes(verdict), verdict.status) == (("holds", "fails"), status)

    @pytest.mark.parametrize(
        ("kind", "status"), [("formula", "refuted"), ("law", "conditional"), ("tendency", "conditional")]
    )
    def test_of_an_equality(self, kind, status):
        """Statements of sameness hold inside their zone, and fail outside on either side."""
        criterion = Equivalent("value", 1.0, smallest_difference=0.1, source=SOURCE, each=("depth",))
        verdict = criterion(per_cell({1: 1.05, 2: 1.2, 3: 0.8}), kind=kind)
        assert (outcomes(verdict), verdict.status) == (("holds", "fails", "fails"), status)

    @pytest.mark.parametrize(
        ("measured", "outcome"), [(7.0, "holds"), (2.5, "holds"), (2.4, "fails"), (1.2, "fails"), (0.9, "opposite")]
    )
    def test_of_a_size_that_the_source_states(self, measured, outcome):
        """Six times holds where the ratio is nearer six than one: beyond its root, 2.449."""
        table = gains(np.zeros(SEEDS))
        table["accuracy"] = np.where(table["arm"] == "with", measured, 1.0)
        sixfold = Ratio("accuracy", of="with", than="without", by="arm", expected=6)
        assert outcomes(sixfold(table)) == (outcome,)
        swapped = Ratio("accuracy", of="without", than="with", by="arm", expected=1 / 6)
        assert outcomes(swapped(table)) == (outcome,)

    @pytest.mark.parametrize(
        ("values", "status"),
        [
            ({1: 1, 2: 1}, "reproduced"),
            ({1: 1, 2: 0}, "conditional"),
            ({1: 0, 2: 0}, "refuted"),  # that as many fail is the opposite
        ],
    )
    def test_of_a_share(self, values, status):
        assert Proportion("value", at_least=0.5, because=SOURCE, each=("depth",))(per_cell(values)).status == status

    def test_of_noise_whose_truth_is_known(self):
        """Normal noise of a point, an effect of three; 48 seeds in each cell."""
        generator = np.random.default_rng(20)
        cells = {mean: generator.normal(mean, 0.01, 48) for mean in (0.03, 0.0, -0.03)}
        assert better(gains(cells[0.03], cells[0.03])).status == "reproduced"
        assert better(gains(cells[0.03], cells[0.0])).status == "conditional"
        assert better(gains(cells[0.0], cells[0.0])).status == "absent"
        assert better(gains(cells[-0.03], cells[-0.03])).status == "refuted"
        assert better(gains(cells[-0.03], cells[0.0])).status == "absent"


class TestNamedCases:
    def test_one_bad_corner_of_a_tendency_is_a_condition(self):
        verdict = better(gains("holds", "holds", "holds", "fails"), kind="tendency")
        assert (verdict.status, verdict.deciding) == ("conditional", "depth 4")
        assert verdict.sentence.startswith("Holds in part: holds in 3 of 4 conditions, fails in 1.")

    def test_one_good_cell_of_a_possibility_is_enough(self):
        verdict = better(gains("fails", "opposite", "holds", "open"), kind="possibility")
        assert (verdict.status, verdict.deciding) == ("reproduced", "depth 3")
        assert verdict.effect == pytest.approx(np.median(GAINS["holds"]))

    def test_effects_smaller_than_the_smallest_that_matters_are_absent(self):
        verdict = better(gains("fails", "fails"), kind="tendency")
        assert (verdict.status, outcomes(verdict)) == ("absent", ("fails", "fails"))
        assert 0 < verdict.low < verdict.high < 0.01  # the direction is right, and clear
        assert verdict.sentence.startswith("Not seen at this scale: fails in all 2 conditions.")

    def test_one_opposite_and_the_rest_negligible_is_absent_and_said(self):
        verdict = better(gains("fails", "opposite", "fails"), kind="tendency")
        assert (verdict.status, outcomes(verdict)) == ("absent", ("fails", "opposite", "fails"))
        assert "fails in 2 of 3 conditions, is the opposite in 1 (depth 2)" in verdict.sentence

    def test_a_possibility_that_is_the_opposite_everywhere_is_absent_and_said(self):
        verdict = better(gains("opposite", "opposite"), kind="possibility")
        assert verdict.status == "absent"
        assert verdict.sentence.startswith("Not seen at this scale: is the opposite in all 2 conditions.")

    def test_hold_and_open_is_inconclusive(self):
        verdict = better(gains("holds", "open"), kind="tendency")
        assert (verdict.status, verdict.deciding) == ("inconclusive", "depth 2")
        assert verdict.sentence.startswith("Open: holds in 1 of 2 conditions (depth 1), is open in 1.")

    @pytest.mark.parametrize("kind", ["formula", "theorem"])
    def test_a_formula_with_one_counterexample_is_refuted(self, kind):
        table = per_cell(dict.fromkeys(range(1, 9), 1.0)).assign(right=1.0)
        table.loc[(table["depth"] == 7) & (table["seed"] == 2), "value"] = 1.5
        verdict = Identity("value", "right", each=("depth",))(table, kind=kind)
        assert (verdict.status, verdict.deciding) == ("refuted", "depth 7")
        assert verdict.sentence.startswith("False as stated")

    def test_an_assumption_that_the_passage_does_not_print_makes_it_conditional(self):
        table = per_cell({1: 0.0, 2: 0.0, 3: 0.5}).assign(left=lambda rows: 1.0 + rows["value"], right=1.0)
        criterion = Identity("left", "right", each=("depth",))
        assert criterion(table, kind="formula").status == "refuted"
        boundary = Boundary("for independent weights", holds="depth < 3", assumption="Glorot and Bengio 2010")
        assert criterion(table, kind="formula", boundary=boundary).status == "conditional"
        assert criterion(table, kind="theorem", boundary=boundary).status == "conditional"

    def test_an_assumption_does_not_excuse_a_counterexample_within_it(self):
        table = per_cell({1: 0.0, 2: 0.5, 3: 0.5}).assign(left=lambda rows: 1.0 + rows["value"], right=1.0)
        boundary = Boundary("for independent weights", holds="depth < 3", assumption="Glorot and Bengio 2010")
        verdict = Identity("left", "right", each=("depth",))(table, kind="formula", boundary=boundary)
        assert verdict.status == "refuted"

    def test_a_boundary_that_is_no_standard_assumption_excuses_nothing(self):
        table = per_cell({1: 0.0, 3: 0.5}).assign(left=lambda rows: 1.0 + rows["value"], right=1.0)
        boundary = Boundary("for few layers", holds="depth < 3")
        assert Identity("left", "right", each=("depth",))(table, kind="formula", boundary=boundary).status == "refuted"

    def test_a_theorem_without_a_violation_says_how_near_it_came(self):
        table = per_cell({1: 0.57}, seeds=24)
        verdict = AtMost("value", bound=1.0)(table, kind="theorem")
        assert verdict.sentence == (
            "No violation found: value: no violation in 24 seeds; the closest reached 57 % of the bound."
        )

    def test_one_cell_without_conditions(self):
        criterion = Greater("accuracy", of="with", than="without", by="arm")
        verdict = criterion(gains("holds"))
        assert (verdict.status, verdict.deciding, verdict.parts) == ("reproduced", "", ())
        assert [(cell.name, cell.conditions) for cell in verdict.cells] == [("", {})]


class TestManyCells:
    """Of more than eight cells two are named beforehand, one on each side; the rest paint the map."""

    boundary = Boundary("up to six layers", holds="depth <= 6", named=[{"depth": 3}, {"depth": 10}])

    def test_two_named_cells_decide(self):
        verdict = better(gains(*["holds"] * 6, *["fails"] * 6), boundary=self.boundary)
        assert (verdict.status, verdict.deciding) == ("conditional", "depth 10")
        assert len(verdict.cells) == 12
        assert [cell.conditions["depth"] for cell in verdict.cells if cell.decides] == [3, 10]
        assert verdict.outcomes == {"holds": 1, "fails": 1}
        assert verdict.boundary_found is True

    @pytest.mark.parametrize(
        ("third", "tenth", "status"),
        [
            ("holds", "holds", "reproduced"),
            ("fails", "fails", "absent"),
            ("opposite", "opposite", "refuted"),
            ("holds", "open", "inconclusive"),
        ],
    )
    def test_the_others_count_for_nothing(self, third, tenth, status):
        for other in GAINS:
            cells = [other] * 12
            cells[2], cells[9] = third, tenth
            assert better(gains(*cells), boundary=self.boundary).status == status

    def test_the_level_is_shared_by_the_two_alone(self):
        """Nine seeds that agree: 2 · 2/2⁹ < 1 %, where twelve cells would ask for twelve seeds."""
        cells = [GAINS["holds"][:9]] * 6 + [GAINS["fails"][:9]] * 6
        assert better(gains(*cells), boundary=self.boundary).status == "conditional"
        assert better(gains(*cells)).status == "inconclusive"

    def test_the_sentence_counts_those_that_decide(self):
        verdict = better(gains(*["holds"] * 6, *["fails"] * 6), boundary=self.boundary)
        assert verdict.sentence.startswith("Holds in part: holds in 1 of 2 conditions, fails in 1.")
        assert verdict.sentence.endswith("It was expected to hold up to six layers.")

    def test_a_column_may_not_hide_the_name_of_the_part(self):
        with pytest.raises(ClaimError, match="'part' names the part of the statement"):
            better(
                gains("holds", "fails").assign(part="first"),
                boundary=Boundary("in the first part", holds="part == 'first' and depth < 2"),
            )

    def test_a_surprise_on_the_map_does_not_fit_the_boundary(self):
        cells = ["holds"] * 6 + ["fails"] * 6
        cells[11] = "holds"
        verdict = better(gains(*cells), boundary=self.boundary)
        assert (verdict.status, verdict.boundary_found) == ("conditional", False)


class TestParts:
    def test_each_part_has_a_verdict_beside_the_joint_one(self):
        criterion = AllOf(above=AtLeast("value", bound=0.0), below=AtMost("value", bound=1.0))
        verdict = criterion(per_cell({1: 2.0}), kind="theorem")
        assert verdict.status == "refuted"
        assert [(part.name, part.status) for part in verdict.parts] == [("above", "reproduced"), ("below", "refuted")]
        assert verdict.parts[0].sentence.startswith("No violation found")
        assert verdict.parts[1].sentence.startswith("False as stated")

    def test_a_true_part_is_not_buried_under_a_false_one(self):
        """The direction is right, the stated size is not."""
        table = gains(np.zeros(SEEDS))
        table["accuracy"] = np.where(table["arm"] == "with", 1.5, 1.0)
        arms = {"of": "with", "than": "without", "by": "arm"}
        verdict = AllOf(
            direction=Greater("accuracy", **arms, smallest_ratio=1.05), size=Ratio("accuracy", **arms, expected=6)
        )(table, kind="tendency")
        assert verdict.status == "conditional"
        assert {part.name: part.status for part in verdict.parts} == {"direction": "reproduced", "size": "absent"}

    def test_parts_have_cells_of_their_own(self):
        verdict = AllOf(first=better, second=better)(gains("holds", "fails"))
        assert verdict.status == "conditional"
        assert [part.status for part in verdict.parts] == ["conditional", "conditional"]
        assert [cell.name for cell in verdict.cells] == [
            "first: depth 1",
            "first: depth 2",
            "second: depth 1",
            "second: depth 2",
        ]

    @pytest.mark.parametrize(
        ("kind", "joint", "parts"),
        [
            ("tendency", "conditional", ["reproduced", "absent"]),
            ("law", "conditional", ["reproduced", "refuted"]),
            ("formula", "refuted", ["reproduced", "refuted"]),
            ("possibility", "absent", ["reproduced", "absent"]),
        ],
    )
    def test_by_kind(self, kind, joint, parts):
        other = Greater("accuracy", of="with", than="without", by="arm", smallest_difference=0.4, source=SOURCE)
        verdict = AllOf(seen=better, unseen=other)(gains("holds"), kind=kind)
        assert (verdict.status, [part.status for part in verdict.parts]) == (joint, parts)

    def test_a_possibility_whose_parts_are_seen_in_different_cells(self):
        other = Greater("accuracy", of="without", than="with", by="arm", each=("depth",))
        verdict = AllOf(here=better, there=other)(gains("holds", "opposite"), kind="possibility")
        assert verdict.status == "reproduced"
        assert [part.status for part in verdict.parts] == ["reproduced", "reproduced"]

    def test_a_possibility_in_parts_is_decided_by_a_cell_in_which_it_was_seen(self):
        verdict = AllOf(first=better, second=better)(gains("fails", "holds"), kind="possibility")
        assert verdict.status == "reproduced"
        assert verdict.deciding in ("first: depth 2", "second: depth 2")
        assert verdict.effect == pytest.approx(np.median(GAINS["holds"]))

    def test_intervals_of_a_possibility_in_parts_are_at_the_level_of_its_outcomes(self):
        """Eleven of twelve seeds agree: 2 · 13/4096 lies between 1 % and the third of it that three cells have."""
        clear, less_clear = [0.05] * 12, [-0.05] + [0.05] * 11
        verdict = AllOf(first=better, second=better)(gains(clear, less_clear, [0.0] * 12), kind="possibility")
        assert verdict.status == "reproduced"
        assert [cell.low > 0.01 for cell in verdict.cells] == [cell.outcome == "holds" for cell in verdict.cells]

    def test_one_part_is_no_part(self):
        assert AllOf(alone=better)(gains("holds", "holds")).parts == ()


class TestLevels:
    """Seeds that agree have the level 2/2ⁿ of the sign test, in each cell."""

    @pytest.mark.parametrize(("seeds", "status"), [(7, "inconclusive"), (8, "reproduced")])
    def test_what_holds_in_all_cells_takes_no_more_seeds(self, seeds, status):
        assert 2 / 2**8 < 0.01 < 2 / 2**7
        assert better(gains(*[GAINS["holds"][:seeds]] * 8)).status == status

    @pytest.mark.parametrize(("cells", "seeds"), [(2, 9), (4, 10), (8, 11)])
    def test_a_condition_shares_the_level(self, cells, seeds):
        """Conditional as soon as cells · 2/2ⁿ is below 1 %, and not before."""
        assert cells * 2 / 2**seeds < 0.01 < cells * 2 / 2 ** (seeds - 1)
        for number, status in ((seeds, "conditional"), (seeds - 1, "inconclusive")):
            table = gains(*[GAINS["holds"][:number]] * (cells - 1), GAINS["fails"][:number])
            assert better(table).status == status

    def test_p_is_the_level_at_which_the_status_would_flip(self):
        assert better(gains("holds", "holds")).p == pytest.approx(2 / 2**SEEDS)
        assert better(gains("holds", "fails")).p == pytest.approx(2 * 2 / 2**SEEDS)
        one_against = np.where(np.arange(SEEDS) == 0, -0.05, 0.05)
        level = 2 * stats.binom.cdf(1, SEEDS, 0.5)
        assert better(gains("holds", one_against)).p == pytest.approx(level)

    @pytest.mark.parametrize("kind", ["tendency", "law", "possibility", "formula"])
    @pytest.mark.parametrize(
        "cells", [("holds", "fails"), ("fails", "opposite"), ("holds", "holds"), ("holds", "open")]
    )
    def test_the_status_is_another_beyond_p(self, kind, cells):
        table = gains(*cells)
        verdict = better(table, kind=kind)
        if verdict.status == "inconclusive":
            assert verdict.p > 0.01
            return
        assert better(table, confidence=1 - 1.001 * verdict.p, kind=kind).status == verdict.status
        assert better(table, confidence=1 - 0.999 * verdict.p, kind=kind).status != verdict.status

    def test_no_level_where_nothing_is_random(self):
        table = per_cell({1: 1.0}).assign(right=1.0)
        assert Identity("value", "right")(table).p is None
        assert AtMost("value", bound=2.0)(table).p is None
        without_seeds = pd.DataFrame({"accuracy": [0.9, 0.5], "arm": ["with", "without"], "depth": 1})
        assert better(without_seeds).p is None

    def test_intervals_are_at_the_level_of_their_outcomes(self):
        """Of 13 values 0.2 is the second smallest, the limit at 1 %; shared by three cells it is the smallest."""
        gain = np.arange(1, 14) / 10
        alone = better(gains(gain, gain, gain))
        assert [cell.low for cell in alone.cells] == pytest.approx([0.2] * 3, rel=1e-5)
        with_others = better(gains(gain, gain, -gain))
        assert [cell.low for cell in with_others.cells] == pytest.approx([0.1, 0.1, -1.3], rel=1e-5)


class TestDecidingCell:
    """The verdict's effect is that of the cell which decides."""

    @pytest.mark.parametrize(
        ("kind", "cells", "deciding"),
        [
            ("tendency", ([0.05] * 16, [0.05] * 15 + [-0.05]), "depth 2"),  # holds least clearly
            ("tendency", ([0.002] * 16, [0.002] * 15 + [0.05]), "depth 1"),  # fails most clearly
            ("possibility", ([0.05] * 15 + [-0.05], [0.05] * 16, [0.0] * 16), "depth 2"),  # holds most clearly
            ("tendency", ([0.05] * 16, [0.05, -0.05] * 8), "depth 2"),  # is open
        ],
    )
    def test_which(self, kind, cells, deciding):
        verdict = better(gains(*cells), kind=kind)
        assert verdict.deciding == deciding
        cell = next(cell for cell in verdict.cells if cell.name == deciding)
        assert (verdict.effect, verdict.low, verdict.high, verdict.n) == (cell.effect, cell.low, cell.high, cell.n)


class TestKindsOfCriteria:
    def test_positions_and_conditions_make_cells_together(self):
        rows = [
            {"seed": seed, "net": net, "layer": layer, "value": 1.0 if net == "a" else 0.5**layer}
            for seed in range(SEEDS)
            for net in ("a", "b")
            for layer in (0, 1, 5)
        ]
        table = pd.DataFrame(rows)
        verdict = Preserved("value", along="layer", at=(1, 5), each=("net",))(table)
        assert [cell.name for cell in verdict.cells] == [
            "net a, layer 1",
            "net a, layer 5",
            "net b, layer 1",
            "net b, layer 5",
        ]
        assert (verdict.status, outcomes(verdict)) == ("conditional", ("holds", "holds", "fails", "fails"))
        assert Falls("value", along="layer", at=(1, 5), each=("net",))(table).status == "conditional"

    def test_cells_of_several_conditions(self):
        table = pd.concat([gains("holds", "fails").assign(width=8), gains("holds", "holds").assign(width=16)])
        criterion = Greater("accuracy", of="with", than="without", by="arm", each=("width", "depth"))
        verdict = criterion(table, boundary=Boundary("there", holds="width > 8 or depth == 1"))
        assert (verdict.status, verdict.deciding) == ("conditional", "width 8, depth 2")
        assert verdict.boundary_found is True

    @pytest.mark.parametrize("kind", ["formula", "theorem", "law", "tendency", "advice", "possibility", "finding"])
    def test_every_verdict_has_a_sentence(self, kind):
        for cells in PATTERNS.values():
            verdict = better(gains(*cells), kind=kind)
            assert verdict.sentence.endswith(".")
            assert "\n" not in verdict.sentence
