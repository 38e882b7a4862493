"""Writes the page of the benchmarks: every series over time, with the steps in it."""

from __future__ import annotations

import re
import shutil
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from statistics import median
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt
from etils import epy

from repro.common import StoreError, format_number
from repro.criteria import INK, MUTED, STATUS_COLOURS, render, style
from repro.performance import FLOOR, History, Trend, trend
from repro.report.rendering import STATIC, environment

with epy.lazy_imports():
    import seaborn
    from matplotlib import dates, figure

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

PAGE = "performance.html"
BETTER, WORSE = STATUS_COLOURS["reproduced"], STATUS_COLOURS["refuted"]


@dataclass(frozen=True)
class View:
    """A series on the page.

    Attributes:
        trend: Series with its steps.
        figure: Name of its file in the folder ``figures``.
    """

    trend: Trend
    figure: str


def write_performance(site: Path, history: History) -> Path:
    """Write the page into the folder of a report, with a figure for each series; other pages stay.

    Args:
        site: Folder of the report, made if missing.
        history: History of the benchmarks.

    Returns:
        Path of the page.

    Raises:
        StoreError: the history cannot be read, or the page not be written.
    """
    trends = [trend(series, measurements) for series, measurements in history.series().items()]
    views = [View(one, _file_name(one)) for one in trends]
    templates = environment()
    templates.filters |= {"day": _day}
    try:
        (site / "figures").mkdir(parents=True, exist_ok=True)
        if not (site / "style.css").exists():
            shutil.copy(STATIC / "style.css", site)
        for view in views:
            (site / "figures" / view.figure).write_bytes(render(draw(view.trend), ["svg"])["svg"])
        content = templates.get_template(PAGE).render(
            machines=_by_machine(views), root="", floor=FLOOR, has_index=(site / "index.html").exists()
        )
        (site / PAGE).write_text(content, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise StoreError(
            f"cannot write {site / PAGE}: {error.strerror or error}; free the folder or use --results"
        ) from error
    return site / PAGE


def draw(found: Trend) -> Figure:
    """Draw a series: a point for each run with the range of its rounds, the level between steps, and the steps.

    Args:
        found: Series with its steps.

    Returns:
        A figure that belongs to no window and no global state.
    """
    times = dates.date2num([datetime.fromisoformat(one.measured) for one in found.measurements])  # type: ignore[no-untyped-call]
    lows, highs = ([extreme(one.rounds) for one in found.measurements] for extreme in (min, max))
    with style():
        drawing: Figure = figure.Figure(figsize=(6.6, 2.8), layout="constrained")
        axes = drawing.subplots()
        axes.vlines(times, lows, highs, color=MUTED, alpha=0.35, linewidth=1)
        seaborn.scatterplot(x=times, y=[one.value for one in found.measurements], color=INK, s=22, linewidth=0, ax=axes)
        _draw_levels(axes, found, times)
        axes.set(title=found.series.figure, ylabel=f"{found.better} is better")
        if max(highs) > 10 * min(lows):
            axes.set_yscale("log")
        margin = max(0.03 * (times[-1] - times[0]), 0.5)  # days: a single run is no moment of seconds
        axes.set_xlim(times[0] - margin, times[-1] + margin)
        locator = dates.AutoDateLocator(maxticks=6)  # type: ignore[no-untyped-call]
        axes.xaxis.set_major_locator(locator)
        axes.xaxis.set_major_formatter(dates.ConciseDateFormatter(locator))  # type: ignore[no-untyped-call]
    return drawing


def _draw_levels(axes: Axes, found: Trend, times: npt.NDArray[np.float64]) -> None:
    """Draw the median of each level, and a line with the change where one begins."""
    starts = [0, *(turn.start for turn in found.turns)]
    ends = [*starts[1:], len(times)]
    for start, end, turn in zip(starts, ends, [None, *found.turns], strict=True):
        colour = MUTED if turn is None else WORSE if turn.worse else BETTER
        level = median(one.value for one in found.measurements[start:end])
        axes.hlines(level, times[start], times[end - 1], color=colour, linewidth=2)
        if turn is not None:
            axes.axvline(times[start], color=colour, linewidth=1, linestyle="--")
            axes.annotate(
                f"{format_number(100 * (turn.change.ratio - 1))} %\n{turn.first.version}",
                (times[start], 1),
                xycoords=("data", "axes fraction"),
                xytext=(4, -4),
                textcoords="offset points",
                verticalalignment="top",
                fontsize="small",
                color=colour,
            )


def _by_machine(views: Sequence[View]) -> dict[str, list[View]]:
    machines: dict[str, list[View]] = {}
    for view in views:
        machines.setdefault(view.trend.series.machine, []).append(view)
    return machines


def _file_name(found: Trend) -> str:
    return re.sub(r"[^a-z0-9_]+", "-", " ".join(("performance", *found.series)).lower()).strip("-") + ".svg"


def _day(measured: str) -> str:
    return measured[:10]
