"""Where a statement is expected to hold: an expression over conditions, written down before the result."""

import pandas as pd
import pytest

from repro.common.errors import ClaimError
from repro.criteria import SCALES, AllOf, AtMost, Boundary, Equivalent, Reading

SOURCE = "the test says so"
CELLS = [
    {"depth": 2, "activation": "relu", "residual": False},
    {"depth": 2, "activation": "tanh", "residual": True},
    {"depth": 50, "activation": "relu", "residual": True},
    {"depth": 50, "activation": "tanh", "residual": False},
]


class TestPredictions:
    @pytest.mark.parametrize(
        ("holds", "expected"),
        [
            ("depth <= 10", [True, True, False, False]),
            ("depth > 10", [False, False, True, True]),
            ("2 < depth < 100", [False, False, True, True]),
            ("depth in (2, 3)", [True, True, False, False]),
            ("activation == 'relu'", [True, False, True, False]),
            ("activation in ['tanh']", [False, True, False, True]),
            ("depth <= 10 or activation == 'relu'", [True, True, True, False]),
            ("depth <= 10 and not activation == 'relu'", [False, True, False, False]),
            ("residual", [False, True, True, False]),
            ("not residual", [True, False, False, True]),
            ("depth <= 10 or residual", [True, True, True, False]),
            ("depth * 0.9 ** depth > 0.5", [True, True, False, False]),
            ("True", [True] * 4),
            ("False", [False] * 4),
        ],
    )
    def test_expressions_are_those_of_python(self, holds, expected):
        predicted = Boundary("there", holds=holds).predicts(CELLS)
        assert predicted == expected
        assert all(type(value) is bool for value in predicted)

    def test_names_are_those_that_the_expression_reads(self):
        assert Boundary("there", holds="depth <= 10 and activation == 'relu'").names == {"depth", "activation"}
        assert Boundary("there", holds="True").names == set()

    def test_no_cells(self):
        assert Boundary("there", holds="True").predicts([]) == []

    def test_a_name_that_is_no_condition_is_told_with_those_that_are(self):
        boundary = Boundary("there", holds="depht <= 10")
        with pytest.raises(ClaimError, match="'depht' is no condition; conditions are depth, activation, residual"):
            boundary.predicts(CELLS)

    def test_without_conditions_there_is_nothing_to_read(self):
        with pytest.raises(ClaimError, match="'depth' is no condition; conditions are none"):
            Boundary("there", holds="depth <= 10").predicts([{}])


class TestDeclaration:
    @pytest.mark.parametrize("holds", ["depth <=", "", "depth = 3", "for depth in range(3)", "depth <= 10;", 10, None])
    def test_what_is_no_expression_is_refused(self, holds):
        with pytest.raises(ClaimError, match="is no expression over conditions"):
            Boundary("there", holds=holds)

    @pytest.mark.parametrize("holds", ["1 if depth < 3 else 0", "activation < 3"])
    def test_what_cannot_be_evaluated_is_a_mistake_of_the_claim(self, holds):
        with pytest.raises(ClaimError, match="boundary"):
            Boundary("there", holds=holds).predicts(CELLS)

    def test_named_cells_are_kept_as_they_were_given(self):
        cell = {"depth": 2}
        boundary = Boundary("there", holds="depth <= 10", named=[cell, {"depth": 50}])
        cell["depth"] = 99
        assert boundary.named == ({"depth": 2}, {"depth": 50})

    def test_equal_boundaries_are_equal(self):
        assert Boundary("there", holds="depth <= 10") == Boundary("there", holds="depth <= 10")
        assert Boundary("there", holds="depth <= 10") != Boundary("there", holds="depth <= 11")

    def test_scales_are_explained(self):
        assert list(SCALES) == ["exact", "same", "reduced", "toy"]
        assert all(SCALES.values())

    def test_what_says_nothing_is_a_tendency_seen_in_a_toy(self):
        assert Reading() == Reading("tendency", "toy", None)


def per_depth(values, seeds=16, **columns):
    return pd.DataFrame(
        [
            {"seed": seed, "depth": depth, "value": value, **{name: of[depth] for name, of in columns.items()}}
            for depth, value in values.items()
            for seed in range(seeds)
        ]
    )


near_one = Equivalent("value", 1.0, smallest_difference=0.1, source=SOURCE, each=("depth",))


class TestInCriteria:
    def test_every_cell_says_whether_the_statement_was_expected_to_hold_there(self):
        table = per_depth({2: 1.0, 10: 1.0, 50: 3.0})
        verdict = near_one(table, boundary=Boundary("up to ten layers", holds="depth <= 10"))
        assert [(cell.conditions, cell.expected) for cell in verdict.cells] == [
            ({"depth": 2}, True),
            ({"depth": 10}, True),
            ({"depth": 50}, False),
        ]
        assert verdict.boundary == "up to ten layers"
        assert verdict.boundary_found is True

    def test_a_wrong_prediction_is_told(self):
        table = per_depth({2: 1.0, 10: 1.0, 50: 3.0})
        assert near_one(table, boundary=Boundary("there", holds="depth <= 2")).boundary_found is False
        assert near_one(table).boundary_found is None

    def test_what_is_open_fits_every_prediction(self):
        table = per_depth({2: 1.0, 10: 1.0, 50: 3.0})
        table.loc[(table["depth"] == 10) & (table["seed"] % 2 == 0), "value"] = 3.0
        verdict = near_one(table, boundary=Boundary("there", holds="depth <= 2"))
        assert [cell.outcome for cell in verdict.cells] == ["holds", "open", "fails"]
        assert verdict.boundary_found is True

    def test_columns_that_are_constant_in_a_cell_may_be_read(self):
        """Such as a theory's prediction of where the statement ends."""
        table = per_depth({2: 1.0, 10: 1.0, 50: 3.0}, correlation_length={2: 20.0, 10: 20.0, 50: 20.0})
        verdict = near_one(table, boundary=Boundary("within it", holds="depth <= correlation_length"))
        assert [cell.expected for cell in verdict.cells] == [True, True, False]
        assert all(set(cell.conditions) == {"depth"} for cell in verdict.cells)  # it is no condition

    def test_columns_that_vary_in_a_cell_may_not(self):
        table = per_depth({2: 1.0, 50: 3.0})
        table["noise"] = range(len(table))
        with pytest.raises(ClaimError, match=r"'noise' is no condition, it varies within depth 2"):
            near_one(table, boundary=Boundary("there", holds="noise < 3"))

    def test_a_column_that_is_constant_in_some_cells_alone_may_not(self):
        table = per_depth({2: 1.0, 50: 3.0})
        table["noise"] = table["seed"].where(table["depth"] == 2, 0)
        with pytest.raises(ClaimError, match="boundary"):
            near_one(table, boundary=Boundary("there", holds="noise < 3"))

    def test_of_a_statement_without_conditions(self):
        table = per_depth({2: 1.0})
        criterion = Equivalent("value", 1.0, smallest_difference=0.1, source=SOURCE)
        verdict = criterion(table, boundary=Boundary("up to ten layers", holds="depth <= 10"))
        assert [cell.expected for cell in verdict.cells] == [True]

    def test_cells_of_all_parts_are_predicted(self):
        table = per_depth({2: 1.0, 50: 3.0})
        both = AllOf(mean=near_one, limit=AtMost("value", bound=2, each=("depth",)))
        verdict = both(table, boundary=Boundary("there", holds="depth <= 10"))
        assert [cell.expected for cell in verdict.cells] == [True, False, True, False]
        verdict = both(table, boundary=Boundary("there", holds="depth <= 10 or part == 'limit'"))
        assert [cell.expected for cell in verdict.cells] == [True, False, True, True]

    def test_all_cells_decide_where_other_parameters_leave_a_named_one_out(self):
        boundary = Boundary("there", holds="depth <= 10", named=[{"depth": 2}, {"depth": 51}])
        verdict = near_one(per_depth({2: 1.0, 10: 3.0, 50: 3.0}), boundary=boundary)
        assert all(cell.decides for cell in verdict.cells)

    def test_named_cells_alone_decide(self):
        boundary = Boundary("there", holds="depth <= 10", named=[{"depth": 2}, {"depth": 50}])
        verdict = near_one(per_depth({2: 1.0, 10: 3.0, 20: 1.0, 50: 3.0}), boundary=boundary)
        assert [cell.decides for cell in verdict.cells] == [True, False, False, True]
        assert (verdict.status, verdict.deciding) == ("conditional", "depth 50")
        assert verdict.outcomes == {"holds": 1, "fails": 1}
        assert verdict.boundary_found is False  # the map shows it

    def test_a_cell_is_named_by_some_of_its_conditions(self):
        table = pd.concat([per_depth({2: 1.0, 50: 3.0}).assign(width=width) for width in (8, 16)])
        criterion = Equivalent("value", 1.0, smallest_difference=0.1, source=SOURCE, each=("width", "depth"))
        boundary = Boundary("there", holds="depth <= 10", named=[{"depth": 2, "width": 8}, {"depth": 50}])
        assert [cell.name for cell in criterion(table, boundary=boundary).cells if cell.decides] == [
            "width 8, depth 2",
            "width 8, depth 50",
            "width 16, depth 50",
        ]

    def test_a_cell_is_named_by_its_part_too(self):
        both = AllOf(mean=near_one, limit=AtMost("value", bound=2, each=("depth",)))
        boundary = Boundary(
            "there", holds="depth <= 10", named=[{"part": "mean", "depth": 2}, {"part": "limit", "depth": 50}]
        )
        verdict = both(per_depth({2: 1.0, 50: 3.0}), boundary=boundary)
        assert [cell.name for cell in verdict.cells if cell.decides] == ["mean: depth 2", "limit: depth 50"]
        assert [(part.name, part.status) for part in verdict.parts] == [("mean", "reproduced"), ("limit", "absent")]
