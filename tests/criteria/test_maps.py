"""Maps of conditions: each cell once, coloured by its outcome, with the boundary that was expected."""

import matplotlib as mpl
import matplotlib.colors
import numpy as np
import pandas as pd
import pytest
from matplotlib.patches import Rectangle

from repro.criteria import AllOf, Boundary, Equivalent, Preserved
from repro.criteria.figures import INK, OUTCOME_COLOURS, render
from repro.criteria.maps import draw_map, has_map

SOURCE = "the test says so"
SEEDS = 12  # decide each of twelve cells: 12 · 2/2¹² is below 1 %
VALUES = {"holds": 1.0, "fails": 2.0}


def criterion(*each):
    return Equivalent("value", 1.0, smallest_difference=0.1, source=SOURCE, each=each)


def table(outcome_of, **conditions):
    """Observations in every combination of conditions; ``outcome_of`` says what is seen in each."""
    rows = [{}]
    for name, values in conditions.items():
        rows = [{**row, name: value} for row in rows for value in values]
    measured = []
    for row in rows:
        outcome = outcome_of(**row)
        for seed in range(SEEDS):
            value = VALUES[outcome] if outcome in VALUES else 1.0 + seed % 2  # open: on either side
            measured.append({**row, "seed": seed, "value": value})
    return pd.DataFrame(measured)


def shallow_holds(depth, **others):  # noqa: ARG001  whatever the others are
    return "holds" if depth <= 4 else "fails"


GRID = {"depth": (2, 4, 8), "width": (16, 32)}
grid_table = table(shallow_holds, **GRID)
grid = criterion("depth", "width")
shallow = Boundary("in shallow nets", holds="depth <= 4")


def judged_map(of, observations, **options):
    verdict = of(observations, **options)
    assert has_map(verdict)
    return verdict, of.figure(observations, verdict)


def rectangles(axes):
    return [patch for patch in axes.patches if isinstance(patch, Rectangle)]


def maps(drawing):
    """The axes that have cells: a grid with room to spare has empty ones."""
    return [axes for axes in drawing.axes if rectangles(axes)]


def boundary_lines(axes):
    return [line for line in axes.lines if line.get_color() == INK]


def labels(ticks):
    return [tick.get_text() for tick in ticks]


def cell_at(axes, x, y):
    """The rectangle of a cell, by the labels of its conditions."""
    column, row = labels(axes.get_xticklabels()).index(str(x)), labels(axes.get_yticklabels()).index(str(y))
    (found,) = [patch for patch in rectangles(axes) if patch.get_xy() == (column, row)]
    return found


class TestHasMap:
    def test_a_boundary_is_worth_a_map(self):
        observations = table(lambda **_: "holds", depth=(2, 4))
        assert has_map(criterion("depth")(observations, boundary=shallow))
        assert not has_map(criterion("depth")(observations))

    def test_what_is_conditional_is_worth_a_map(self):
        observations = table(shallow_holds, depth=(2, 8))
        assert has_map(criterion("depth")(observations))
        assert not has_map(criterion("depth")(observations, kind="formula"))

    @pytest.mark.parametrize(("cells", "expected"), [(4, False), (5, True)])
    def test_many_cells_are_worth_a_map(self, cells, expected):
        observations = table(lambda **_: "holds", depth=tuple(range(cells)))
        assert has_map(criterion("depth")(observations)) is expected

    def test_one_cell_is_no_map(self):
        observations = table(lambda **_: "holds", depth=(2,))
        assert not has_map(criterion("depth")(observations, boundary=shallow))

    def test_without_conditions_there_is_none(self):
        parts = AllOf(**{f"part_{number}": criterion() for number in range(6)})
        assert not has_map(parts(table(lambda **_: "holds", depth=(2,))))

    def test_figures_are_maps_where_there_is_one_and_panels_elsewhere(self):
        verdict = grid(grid_table, boundary=shallow)
        assert len(maps(grid.figure(grid_table, verdict))) == 1
        observations = grid_table.query("depth == 2 and width == 16")
        (axes,) = criterion().figure(observations, criterion()(observations)).axes
        assert axes.get_xlabel() == "value − 1.0"


class TestCells:
    def test_each_is_drawn_once(self):
        verdict, drawing = judged_map(grid, grid_table, boundary=shallow)
        (axes,) = maps(drawing)
        places = [patch.get_xy() for patch in rectangles(axes)]
        assert len(places) == len(set(places)) == len(verdict.cells) == 6
        assert labels(axes.get_xticklabels()) == ["2", "4", "8"]
        assert labels(axes.get_yticklabels()) == ["16", "32"]
        assert (axes.get_xlabel(), axes.get_ylabel()) == ("depth", "width")

    def test_its_colour_and_its_text_are_its_outcome(self):
        def outcome_of(depth, width):
            return "open" if (depth, width) == (8, 32) else shallow_holds(depth)

        verdict, drawing = judged_map(grid, table(outcome_of, **GRID), boundary=shallow)
        (axes,) = maps(drawing)
        texts = {text.get_position(): text.get_text() for text in axes.texts}
        assert {cell.outcome for cell in verdict.cells} == {"holds", "fails", "open"}
        for cell in verdict.cells:
            patch = cell_at(axes, cell.conditions["depth"], cell.conditions["width"])
            assert mpl.colors.to_hex(patch.get_facecolor()) == OUTCOME_COLOURS[cell.outcome]
            outcome, effect = texts[patch.get_xy()[0] + 0.5, patch.get_xy()[1] + 0.5].split("\n")
            assert outcome == cell.outcome
            assert float(effect) == pytest.approx(cell.effect, rel=1e-2)

    def test_numbers_lie_in_their_order_and_names_as_they_come(self):
        observations = table(lambda **_: "holds", depth=(10, 9, 100), activation=("tanh", "relu"))
        _, drawing = judged_map(criterion("depth", "activation"), observations)
        (axes,) = maps(drawing)
        assert labels(axes.get_xticklabels()) == ["9", "10", "100"]
        assert labels(axes.get_yticklabels()) == ["tanh", "relu"]

    def test_truth_values_and_texts_are_conditions_too(self):
        observations = table(
            lambda residual, **_: "holds" if residual else "fails", residual=(False, True), depth=(2, 8)
        )
        verdict, drawing = judged_map(criterion("residual", "depth"), observations)
        (axes,) = maps(drawing)
        assert len(rectangles(axes)) == len(verdict.cells) == 4
        assert {"False", "True"} in (set(labels(axes.get_xticklabels())), set(labels(axes.get_yticklabels())))

    def test_a_combination_that_was_not_run_is_left_blank(self):
        observations = grid_table.query("not (depth == 8 and width == 32)")
        _, drawing = judged_map(grid, observations, boundary=shallow)
        (axes,) = maps(drawing)
        assert len(rectangles(axes)) == 5

    def test_one_condition_is_a_single_row(self):
        _, drawing = judged_map(criterion("depth"), table(shallow_holds, depth=(2, 4, 8)), boundary=shallow)
        (axes,) = maps(drawing)
        assert sorted(patch.get_xy() for patch in rectangles(axes)) == [(0, 0), (1, 0), (2, 0)]
        assert labels(axes.get_yticklabels()) == [""]

    def test_those_that_do_not_decide_are_pale(self):
        named = Boundary("there", holds="depth <= 4", named=[{"depth": 2, "width": 16}, {"depth": 8, "width": 32}])
        verdict, drawing = judged_map(grid, grid_table, boundary=named)
        (axes,) = maps(drawing)
        for cell in verdict.cells:
            patch = cell_at(axes, cell.conditions["depth"], cell.conditions["width"])
            assert (patch.get_alpha() > 0.5) is cell.decides
        (legend,) = drawing.legends
        assert "pale: does not decide" in labels(legend.get_texts())

    def test_where_all_decide_none_is_pale(self):
        _, drawing = judged_map(grid, grid_table, boundary=shallow)
        assert {patch.get_alpha() > 0.5 for patch in rectangles(maps(drawing)[0])} == {True}
        assert not any("pale" in text for text in labels(drawing.legends[0].get_texts()))

    def test_infinite_effects_can_be_drawn(self):
        observations = grid_table.assign(value=grid_table["value"].replace(2.0, np.inf))
        _, drawing = judged_map(grid, observations, boundary=shallow)
        assert sum("∞" in text.get_text() for text in maps(drawing)[0].texts) == 2
        assert render(drawing, ["svg"])["svg"].startswith(b"<?xml")


class TestBoundary:
    """A line between neighbouring cells of which the statement was expected to hold in one: counted by hand."""

    @pytest.mark.parametrize(
        ("holds", "lines"),
        [
            ("depth <= 4", 2),  # between the columns 4 and 8, in two rows
            ("width == 16", 3),  # between two rows, in three columns
            ("depth == 4", 4),  # on both sides of a column
            ("depth == 4 and width == 32", 3),  # around a cell at the edge
            ("depth <= 4 or width == 32", 2),  # around the corner
            ("depth > 0", 0),  # everywhere
            ("depth < 0", 0),
        ],
    )
    def test_lines_between_cells_of_different_expectation(self, holds, lines):
        _, drawing = judged_map(grid, grid_table, boundary=Boundary("there", holds=holds))
        assert len(boundary_lines(maps(drawing)[0])) == lines

    def test_it_lies_where_it_was_expected_and_not_where_it_was_found(self):
        _, drawing = judged_map(grid, grid_table, boundary=Boundary("there", holds="depth <= 2"))
        lines = boundary_lines(maps(drawing)[0])
        assert [line.get_xdata()[0] for line in lines] == [1, 1]  # right of the first column
        assert sorted(tuple(line.get_ydata()) for line in lines) == [(0, 1), (1, 2)]

    def test_a_line_between_rows(self):
        _, drawing = judged_map(grid, grid_table, boundary=Boundary("there", holds="width == 16"))
        lines = boundary_lines(maps(drawing)[0])
        assert {tuple(line.get_ydata()) for line in lines} == {(1, 1)}
        assert sorted(tuple(line.get_xdata()) for line in lines) == [(0, 1), (1, 2), (2, 3)]

    def test_beside_a_cell_that_was_not_run_there_is_none(self):
        observations = grid_table.query("not (depth == 8 and width == 32)")
        _, drawing = judged_map(grid, observations, boundary=shallow)
        assert len(boundary_lines(maps(drawing)[0])) == 1

    def test_nothing_was_expected(self):
        _, drawing = judged_map(grid, grid_table)
        assert not boundary_lines(maps(drawing)[0])
        assert not any("expected" in text for text in labels(drawing.legends[0].get_texts()))

    def test_the_legend_says_what_it_is(self):
        _, drawing = judged_map(grid, grid_table, boundary=shallow)
        assert labels(drawing.legends[0].get_texts()) == ["holds", "fails", "expected boundary"]


class TestFacets:
    def test_a_third_condition_has_a_grid_for_each_value(self):
        observations = table(shallow_holds, depth=(2, 4, 8), width=(16, 32), noise=(0.0, 0.1))
        of = criterion("depth", "width", "noise")
        verdict, drawing = judged_map(of, observations, boundary=shallow)
        grids = maps(drawing)
        assert [len(rectangles(axes)) for axes in grids] == [6, 6]
        assert len(verdict.cells) == 12
        assert [axes.get_title(loc="left") for axes in grids] == ["noise 0", "noise 0.1"]
        assert [len(boundary_lines(axes)) for axes in grids] == [2, 2]

    def test_conditions_that_vary_most_lie_along_the_axes(self):
        observations = table(shallow_holds, noise=(0.0, 0.1), depth=(2, 4, 8, 16), width=(16, 32, 64))
        _, drawing = judged_map(criterion("noise", "depth", "width"), observations)
        assert {(axes.get_xlabel(), axes.get_ylabel()) for axes in maps(drawing)} == {("depth", "width")}

    def test_parts_have_a_grid_each(self):
        of = AllOf(first=criterion("depth"), second=criterion("depth"))
        _, drawing = judged_map(of, table(shallow_holds, depth=(2, 4, 8)), boundary=shallow)
        grids = maps(drawing)
        assert [axes.get_title(loc="left") for axes in grids] == ["first", "second"]
        assert [len(rectangles(axes)) for axes in grids] == [3, 3]
        assert [len(boundary_lines(axes)) for axes in grids] == [1, 1]

    def test_parts_may_have_conditions_of_their_own(self):
        observations = table(shallow_holds, depth=(2, 8), width=(16, 32))
        of = AllOf(by_depth=criterion("depth", "width"), by_width=criterion("width", "depth"))
        verdict, drawing = judged_map(of, observations)
        assert sum(len(rectangles(axes)) for axes in maps(drawing)) == len(verdict.cells) == 8

    def test_grids_of_three_parts_are_drawn_without_an_empty_frame(self):
        of = AllOf(first=criterion("depth"), second=criterion("depth"), third=criterion("depth"))
        _, drawing = judged_map(of, table(shallow_holds, depth=(2, 4, 8)), boundary=shallow)
        assert len(maps(drawing)) == 3
        assert all(not axes.axison for axes in drawing.axes if axes not in maps(drawing))

    def test_positions_are_conditions(self):
        rows = [
            {"seed": seed, "net": net, "layer": layer, "value": decay**layer}
            for seed in range(SEEDS)
            for net, decay in (("a", 1.0), ("b", 0.5))
            for layer in (0, 1, 5)
        ]
        of = Preserved("value", along="layer", at=(1, 5), each=("net",))
        _, drawing = judged_map(of, pd.DataFrame(rows), boundary=Boundary("in a", holds="net == 'a'"))
        (axes,) = maps(drawing)
        assert len(rectangles(axes)) == 4
        assert len(boundary_lines(axes)) == 2


class TestDrawing:
    def test_any_verdict_with_conditions_can_be_drawn(self):
        drawing = draw_map(grid(grid_table))
        assert len(rectangles(drawing.axes[0])) == 6

    def test_names_are_readable_and_start_no_formula(self):
        observations = table(lambda **_: "holds", learning_rate=(0.1, 0.2), price=("$1$", "$2$"))
        _, drawing = judged_map(criterion("learning_rate", "price"), observations, boundary=Boundary("x", holds="True"))
        (axes,) = maps(drawing)
        assert "learning rate" in (axes.get_xlabel(), axes.get_ylabel())
        assert render(drawing, ["svg"])["svg"].count(b"learning rate") == 1

    def test_the_same_map_is_the_same_file(self):
        files = [render(grid.figure(grid_table, grid(grid_table)), ["svg"])["svg"] for _ in range(2)]
        assert files[0] == files[1]

    def test_drawing_leaves_the_global_style_alone(self):
        before = dict(mpl.rcParams)
        draw_map(grid(grid_table))
        assert dict(mpl.rcParams) == before
