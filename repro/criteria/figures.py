"""Figures of verdicts: the panels of a criterion in one style, and how a figure is written down."""

from __future__ import annotations

import io
import math
import textwrap
from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from etils import epy

from repro.criteria.verdict import Verdict

with epy.lazy_imports():
    import matplotlib.figure
    import seaborn

if TYPE_CHECKING:
    from matplotlib.artist import Artist
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

INK, MUTED = "#262626", "#6b7280"
STATUS_COLOURS = {
    "reproduced": "#02775a",
    "conditional": "#0b5fa5",
    "absent": "#7d6200",
    "refuted": "#b34a00",
    "inconclusive": MUTED,
}
OUTCOME_COLOURS = {"holds": "#02775a", "fails": "#8f7000", "opposite": "#b34a00", "open": "#c3c8d0"}
MAX_PANELS = 4
SLIDE_DPI = 200  # a figure of 6.6 inches has then the width of a slide in full HD, nearly
CHARACTERS_PER_INCH = 12.5  # of an axis label, in a sans-serif font of its size


class DrawablePanel(Protocol):
    """A part of a statement that can be drawn."""

    @property
    def name(self) -> str:
        """Name of the part, empty for a statement in one piece."""

    def draw(self, axes: Axes) -> None:
        """Draw the observations of the part together with what is asked of them."""


def style() -> AbstractContextManager[Any]:
    """Return a context in which figures look like those of the criteria."""
    settings = {
        **seaborn.axes_style("ticks"),
        **seaborn.plotting_context("notebook", font_scale=0.82),
        "axes.edgecolor": MUTED,
        "axes.formatter.useoffset": False,  # what labels are offset by would stand in the title's place
        "axes.grid": True,
        "axes.labelcolor": INK,
        "axes.spines.right": False,
        "axes.spines.top": False,
        "axes.titlelocation": "left",
        "axes.titleweight": "bold",
        "axes.titley": 1.0,
        "font.sans-serif": ["Arial", "Liberation Sans", "DejaVu Sans"],
        "grid.alpha": 0.6,
        "grid.color": "#d4d7dd",
        "grid.linewidth": 0.6,
        "legend.frameon": False,
        "text.color": INK,
        "xtick.color": MUTED,
        "xtick.labelcolor": INK,
        "ytick.color": MUTED,
        "ytick.labelcolor": INK,
    }
    context: AbstractContextManager[Any] = matplotlib.rc_context(settings)
    return context


def draw_panels(panels: Sequence[DrawablePanel], verdict: Verdict) -> Figure:
    """Draw every panel of a verdict in a grid.

    Args:
        panels: Panels of the verdict's criterion. Of more than four, the deciding one and those with the most extreme
            effects are drawn, and a note says so.
        verdict: Verdict that gives each panel its outcome.

    Returns:
        A figure that belongs to no window and no global state.
    """
    chosen = _most_telling(panels, verdict)
    outcomes = {cell.name: cell.outcome for cell in verdict.cells}
    columns = min(2, len(chosen))
    rows = math.ceil(len(chosen) / columns)
    width, height = (6.6, 3.9) if columns == 1 else (10.4, 3.3 * rows + 0.5)
    with style():
        drawing: Figure = matplotlib.figure.Figure(figsize=(width, height), layout="constrained")
        grid = drawing.subplots(rows, columns, squeeze=False).ravel()
        for axes, panel in zip(grid, chosen, strict=False):
            panel.draw(axes)
            if panel.name:
                outcome = outcomes[panel.name]
                title, colour = (
                    f"{label(panel.name)} – {outcome}",
                    INK if outcome == "open" else OUTCOME_COLOURS[outcome],
                )
            else:
                title, colour = verdict.status, STATUS_COLOURS[verdict.status]
            axes.set_title(textwrap.fill(title, 60), color=colour)
        for axes in grid[len(chosen) :]:
            axes.set_axis_off()
        if len(chosen) < len(panels):
            note = f"{len(chosen)} of {len(panels)} parts: the deciding one and those with the most extreme effects"
            drawing.suptitle(note, x=0.01, horizontalalignment="left", fontsize="medium", color=MUTED)
        _legend(drawing, columns=3 if columns == 1 else 5)
        _wrap_labels(drawing)
    return drawing


def render(drawing: Figure, formats: Sequence[str]) -> dict[str, bytes]:
    """Write a figure in several formats, the same for the same figure.

    Args:
        drawing: Figure to write, whose layout is settled by this.
        formats: Names of the formats: ``svg``, with text as text and a transparent background, ``png`` or ``pdf``.

    Returns:
        The content of a file by the name of its format.
    """
    engine = drawing.get_layout_engine()
    if engine is not None:  # Matplotlib would lay out and draw everything once more for every format
        engine.execute(drawing)
        drawing.set_layout_engine(None)
    files = {}
    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "repro"}):
        for name in formats:
            buffer = io.BytesIO()
            undated = {"svg": {"Date": None, "Creator": None}, "pdf": {"CreationDate": None}}.get(name, {})
            drawing.savefig(buffer, format=name, transparent=name == "svg", dpi=SLIDE_DPI, metadata=undated)
            files[name] = buffer.getvalue()
    return files


def label(name: object) -> str:
    """Make a readable label of a column's or a condition's name, in which dollars start no formula."""
    text = str(name).replace("_", " ").replace("$", r"\$")
    return "".join(character if character.isprintable() else " " for character in text)


def _most_telling(panels: Sequence[DrawablePanel], verdict: Verdict) -> list[DrawablePanel]:
    if len(panels) <= MAX_PANELS:
        return list(panels)
    effects = {cell.name: cell.effect for cell in verdict.cells}
    typical = float(np.median(list(effects.values()))) if effects else 0.0

    def rank(panel: DrawablePanel) -> tuple[bool, float]:
        with np.errstate(invalid="ignore"):
            distance = float(np.abs(np.subtract(effects.get(panel.name, typical), typical)))
        return panel.name != verdict.deciding, -float(np.nan_to_num(distance, posinf=np.inf))

    kept = {panel.name for panel in sorted(panels, key=rank)[:MAX_PANELS]}
    return [panel for panel in panels if panel.name in kept]


def _wrap_labels(drawing: Figure) -> None:
    """Break axis labels that are longer than their axes."""
    for axes in drawing.axes:
        place = axes.get_subplotspec()
        if place is None:
            continue
        box, size = place.get_position(drawing), drawing.get_size_inches()
        for text, length in ((axes.xaxis.label, box.width * size[0]), (axes.yaxis.label, box.height * size[1])):
            text.set_text(textwrap.fill(text.get_text(), max(12, int(CHARACTERS_PER_INCH * length))))


def _legend(drawing: Figure, columns: int) -> None:
    """Explain marks once for all panels, below them."""
    marks: dict[str, Artist] = {}
    for axes in drawing.axes:
        for handle, text in zip(*axes.get_legend_handles_labels(), strict=True):
            marks.setdefault(text, handle)
    if marks:
        drawing.legend(list(marks.values()), list(marks), loc="outside lower center", ncols=columns)
