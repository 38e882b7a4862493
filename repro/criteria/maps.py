"""Maps of conditions: where a statement holds and where it does not, with the boundary that was expected."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from etils import epy

from repro.common import format_number
from repro.criteria.figures import INK, MUTED, OUTCOME_COLOURS, label, style
from repro.criteria.verdict import Cell, Verdict

with epy.lazy_imports():
    import matplotlib.figure
    import matplotlib.lines
    import matplotlib.patches

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

MANY = 4  # cells from which on a map shows more than their panels
CELL_WIDTH, CELL_HEIGHT = 1.35, 0.62  # inches


def has_map(verdict: Verdict) -> bool:
    """Tell whether a map of conditions is the picture of a verdict."""
    by_condition = all(cell.conditions for cell in verdict.cells) and len(verdict.cells) > 1
    telling = bool(verdict.boundary) or verdict.status == "conditional" or len(verdict.cells) > MANY
    return by_condition and telling


def draw_map(verdict: Verdict) -> Figure:
    """Draw the cells of a verdict as a grid over their conditions, coloured by outcome.

    Conditions that vary most lie along the axes, the others and the parts of a statement have a grid each. A thick line
    separates the cells where the statement was expected to hold from the others.

    Args:
        verdict: Verdict whose cells all have conditions.

    Returns:
        A figure that belongs to no window and no global state.
    """
    grids = _grids(verdict.cells)
    columns = 1 if len(grids[0].x) > 5 else min(2, len(grids))
    rows = math.ceil(len(grids) / columns)
    width = columns * max(3.6, CELL_WIDTH * max(len(grid.x) for grid in grids) + 1.6)
    height = rows * (CELL_HEIGHT * max(len(grid.y) for grid in grids) + 1.0) + 0.7
    with style():
        drawing: Figure = matplotlib.figure.Figure(figsize=(width, height), layout="constrained")
        places = drawing.subplots(rows, columns, squeeze=False).ravel()
        for axes, grid in zip(places, grids, strict=False):
            _draw_grid(axes, grid)
        for axes in places[len(grids) :]:
            axes.set_axis_off()
        drawing.legend(handles=_legend(verdict), loc="outside lower center", ncols=4)
    return drawing


@dataclass(frozen=True)
class _Grid:
    """Cells over two conditions.

    Attributes:
        title: Part and conditions that all cells share.
        x_name, y_name: Names of the conditions along the axes; the second empty for a single row.
        x, y: Values along the axes.
        cells: Cells by their values.
    """

    title: str
    x_name: str
    y_name: str
    x: list[Any]
    y: list[Any]
    cells: dict[tuple[Any, Any], Cell]


def _grids(cells: Sequence[Cell]) -> list[_Grid]:
    """Arrange cells in grids, one for each part and combination of the conditions that are on no axis."""
    grids = []
    for part in dict.fromkeys(cell.part for cell in cells):
        of_part = [cell for cell in cells if cell.part == part]
        names = sorted(
            dict.fromkeys(name for cell in of_part for name in cell.conditions),
            key=lambda name: -len({cell.conditions.get(name) for cell in of_part}),
        )
        x_name, y_name, others = names[0], names[1] if len(names) > 1 else "", names[2:]
        for values in dict.fromkeys(tuple(cell.conditions.get(name) for name in others) for cell in of_part):
            shared = [f"{label(name)} {value}" for name, value in zip(others, values, strict=True)]
            chosen = [cell for cell in of_part if tuple(cell.conditions.get(name) for name in others) == values]
            placed = {(cell.conditions.get(x_name), cell.conditions.get(y_name)): cell for cell in chosen}
            grids.append(
                _Grid(
                    ", ".join([label(part), *shared] if part else shared),
                    x_name,
                    y_name,
                    _ordered(x for x, _ in placed),
                    _ordered(y for _, y in placed),
                    placed,
                )
            )
    return grids


def _ordered(values: Any) -> list[Any]:
    """List distinct values, numbers in their order and others as they come."""
    distinct = list(dict.fromkeys(values))
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in distinct)
    return sorted(distinct) if numbers else distinct


def _draw_grid(axes: Axes, grid: _Grid) -> None:
    for (x, y), cell in grid.cells.items():
        left, bottom = grid.x.index(x), grid.y.index(y)
        colour = OUTCOME_COLOURS[cell.outcome]
        alpha = 0.85 if cell.decides else 0.35
        axes.add_patch(
            matplotlib.patches.Rectangle(
                (left, bottom), 1, 1, facecolor=colour, alpha=alpha, edgecolor="white", linewidth=1.5
            )
        )
        ink = "white" if cell.decides and cell.outcome != "open" else INK
        axes.text(
            left + 0.5,
            bottom + 0.5,
            f"{cell.outcome}\n{format_number(float(f'{cell.effect:.3g}'))}",
            ha="center",
            va="center",
            fontsize="small",
            color=ink,
        )
    _draw_boundary(axes, grid)
    axes.set(xlim=(0, len(grid.x)), ylim=(0, len(grid.y)), xlabel=label(grid.x_name), ylabel=label(grid.y_name))
    axes.set_xticks([place + 0.5 for place in range(len(grid.x))], [label(value) for value in grid.x])
    shown = [label(value) for value in grid.y] if grid.y_name else [""] * len(grid.y)
    axes.set_yticks([place + 0.5 for place in range(len(grid.y))], shown)
    axes.tick_params(length=0)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    axes.set_title(grid.title, color=INK)


def _draw_boundary(axes: Axes, grid: _Grid) -> None:
    """Draw a line between neighbouring cells of which the statement was expected to hold in one."""

    def expected(column: int, row: int) -> bool | None:
        if not (0 <= column < len(grid.x) and 0 <= row < len(grid.y)):
            return None
        cell = grid.cells.get((grid.x[column], grid.y[row]))
        return None if cell is None else cell.expected

    for column in range(len(grid.x)):
        for row in range(len(grid.y)):
            here = expected(column, row)
            for neighbour, ends in (
                (expected(column + 1, row), ((column + 1, column + 1), (row, row + 1))),
                (expected(column, row + 1), ((column, column + 1), (row + 1, row + 1))),
            ):
                if None not in (here, neighbour) and here != neighbour:
                    axes.plot(*ends, color=INK, linewidth=3.5, solid_capstyle="round", zorder=5, clip_on=False)


def _legend(verdict: Verdict) -> list[Any]:
    handles: list[Any] = [
        matplotlib.patches.Patch(facecolor=colour, alpha=0.85, label=outcome)
        for outcome, colour in OUTCOME_COLOURS.items()
        if any(cell.outcome == outcome for cell in verdict.cells)
    ]
    if verdict.boundary:
        handles.append(matplotlib.lines.Line2D([], [], color=INK, linewidth=3.5, label="expected boundary"))
    if not all(cell.decides for cell in verdict.cells):
        handles.append(matplotlib.patches.Patch(facecolor=MUTED, alpha=0.35, label="pale: does not decide"))
    return handles
