"""What figures of verdicts are drawn with: measurements, and what a criterion asks of them, on given axes.

Infinite measurements are drawn at the edge of the axes, large tables are thinned.
"""

from __future__ import annotations

import textwrap
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt
import pandas as pd
from etils import epy

from repro.criteria.figures import INK, label
from repro.uncertainty import CONFIDENCE, Band, Estimate, Median, Rate

with epy.lazy_imports():
    import matplotlib.ticker
    import seaborn

if TYPE_CHECKING:
    from matplotlib.axes import Axes

# Of seaborn's "colorblind" palette, by what a colour means here.
MEASURED, EXPECTED, HOLDS, VIOLATED = "#0173b2", "#de8f05", "#029e73", "#d55e00"

# How a measurement is drawn, as seaborn draws it: its own scatterplot takes ten times as long for the same dots.
DOT: dict[str, Any] = {"color": MEASURED, "edgecolors": "white", "linewidths": 0.5, "zorder": 3}

STATEMENT = "statement holds"
MAX_LINES = 40
MAX_POINTS = 400

Floats = npt.NDArray[np.floating]
Scale = Literal["linear", "log", "symlog"]


def beside(axes: Axes) -> Axes:
    """Add companion axes to the right of a panel's own."""
    place, drawing = axes.get_subplotspec(), axes.get_figure()
    if place is None or drawing is None:
        raise ValueError("these axes have no place in a grid that could be divided")
    halves = place.subgridspec(1, 2)
    axes.set_subplotspec(halves[0])
    return drawing.add_subplot(halves[1])


def paired_arms(axes: Axes, arms: Mapping[str, pd.Series[float]], *, metric: str) -> None:
    """Draw one line for each seed from arm to arm.

    Args:
        axes: Axes to draw on.
        arms: Metric of every seed, indexed by seed, by the name of the arm; all with the same seeds.
        metric: Name of the quantity that was measured.
    """
    table = pd.DataFrame(dict(arms)).astype(float)
    log = _spans_decades(table.to_numpy())
    low, high = _limits(table.to_numpy(), log=log)
    shown = _thin(table, MAX_LINES).clip(low, high)
    places = np.arange(len(shown.columns))
    axes.plot(places, shown.to_numpy().T, color=MEASURED, alpha=_opacity(len(shown)), linewidth=1, zorder=2)
    across = np.tile(places, len(shown))
    axes.scatter(across, shown.to_numpy().ravel(), s=24, label="one seed", **DOT)
    medians = table.median().clip(low, high)
    axes.scatter(places, medians, marker="D", s=44, color=INK, zorder=4, label="median over seeds")
    infinite = np.isinf(table.to_numpy())
    _mark_infinite(axes, np.nonzero(infinite)[1], table.to_numpy()[infinite].clip(low, high), vertical=True)
    _rescale(axes, y="log" if log else "linear")
    axes.set_ylim(low, high)
    axes.set_xlim(-0.4, len(places) - 0.6)
    axes.set_xticks(places, [textwrap.fill(label(name), 14) for name in arms])
    axes.grid(visible=False, axis="x")
    axes.set(xlabel="", ylabel=label(metric))


def seedwise(axes: Axes, effects: pd.Series[float], band: Band, *, measure: str, log: bool = False) -> None:
    """Draw one number per seed, sorted, with the interval of its median and the band where the statement holds.

    Args:
        axes: Axes to draw on.
        effects: Numbers, one per seed.
        band: Effects for which the statement holds.
        measure: Name of the effect.
        log: Whether the axis is logarithmic, as for ratios.
    """
    values = np.sort(effects.to_numpy(float))
    estimate = Median(tuple(values)) if len(values) > 1 else None
    _dots(axes, values, band, measure=measure, estimate=estimate, scale="log" if log else "linear")
    axes.set_ylabel("seeds, sorted")


def identity(axes: Axes, left: pd.Series[float], right: pd.Series[float]) -> None:
    """Draw both sides of an equation against each other, on the diagonal where they are equal."""
    sides = _thin(pd.DataFrame({"left": left.astype(float), "right": right.astype(float)}), MAX_POINTS)
    log = _spans_decades(sides.to_numpy())
    low, high = _limits(sides.to_numpy(), log=log)
    shown = sides.clip(low, high)
    axes.plot([low, high], [low, high], color=EXPECTED, linewidth=1.2, zorder=1, label="equal")
    axes.scatter(shown["right"], shown["left"], s=22, alpha=0.8, label="one row", **DOT)
    _rescale(axes, x="log" if log else "linear", y="log" if log else "linear")
    axes.set(xlim=(low, high), ylim=(low, high), xlabel=label(right.name), ylabel=label(left.name))
    if not log:
        axes.locator_params(axis="x", nbins=2)  # half a panel has no room for more numbers of many digits


def rounding_errors(axes: Axes, in_tolerances: pd.Series[float], contradiction: float) -> None:
    """Draw the error of every seed in tolerances, with the size from which rounding does not explain it.

    Args:
        axes: Axes to draw on.
        in_tolerances: Error of every seed, in units of the tolerance.
        contradiction: Error that refutes an identity.
    """
    _dots(axes, np.sort(in_tolerances.to_numpy(float)), Band(0.0, 1.0), measure="error, in tolerances", scale="symlog")
    if in_tolerances.max() > 1:
        axes.axvline(contradiction, color=VIOLATED, linestyle="--", linewidth=1.2, label="contradiction")
        axes.set_xlim(right=max(axes.get_xlim()[1], 2 * contradiction))
    axes.set_ylabel("seeds, sorted")


def against_bound(
    axes: Axes,
    values: pd.Series[float],
    bound: pd.Series[float],
    violations: pd.Series[bool],
    *,
    forbidden: Literal["above", "below"],
) -> None:
    """Draw a quantity against its bound, with violations marked.

    Args:
        axes: Axes to draw on.
        values: Values of the quantity, one for each row.
        bound: Bound of each row; where all rows have the same, the values are drawn sorted.
        violations: Whether each row violates the bound.
        forbidden: Side of the bound on which violations lie.
    """
    if bound.min() == bound.max():
        limit = float(bound.iloc[0])
        band = Band(high=limit) if forbidden == "above" else Band(low=limit)
        scale: Scale = "log" if _spans_decades(np.append(values, limit)) else "linear"
        _dots(axes, np.sort(values.to_numpy(float)), band, measure=str(values.name), scale=scale)
        axes.set_ylabel("rows, sorted")
        return
    table = pd.DataFrame({"value": values, "bound": bound}).astype(float)
    log = _spans_decades(table.to_numpy())
    low, high = _limits(table.to_numpy(), log=log)
    kept = pd.concat([_thin(table[~violations], MAX_POINTS), _thin(table[violations], MAX_POINTS)]).clip(low, high)
    line = np.geomspace(low, high, 50) if log else np.array([low, high])
    axes.plot(line, line, color=INK, linestyle="--", linewidth=1.2, label="bound")
    axes.fill_between(
        line, line, high if forbidden == "above" else low, color=VIOLATED, alpha=0.08, linewidth=0, label="violation"
    )
    colours = np.where(violations.reindex(kept.index), VIOLATED, MEASURED)
    axes.scatter(kept["bound"], kept["value"], c=colours, s=24, alpha=0.8, linewidths=0, zorder=3)
    _rescale(axes, x="log" if log else "linear", y="log" if log else "linear")
    axes.set(xlim=(low, high), ylim=(low, high), xlabel=label(bound.name), ylabel=label(values.name))


def proportion(axes: Axes, rate: Rate, at_least: float, *, success: str) -> None:
    """Draw a share of seeds with its exact interval and the share that is asked for."""
    interval = rate.interval(CONFIDENCE)
    axes.axvspan(at_least, 1, color=HOLDS, alpha=0.1, linewidth=0, label=STATEMENT)
    axes.axvline(at_least, color=HOLDS, linestyle="--", linewidth=1.2)
    seaborn.barplot(x=[rate.point], y=[0], orient="h", legend=False, color=MEASURED, alpha=0.35, width=0.5, ax=axes)
    axes.plot(
        [interval.low, interval.high],
        [0, 0],
        color=INK,
        linewidth=2.5,
        solid_capstyle="butt",
        label=f"{CONFIDENCE:.0%} interval",
    )
    axes.plot([rate.point], [0], "D", color=INK, markersize=7)
    axes.set(
        xlim=(0, 1), ylim=(-0.8, 0.8), yticks=[], ylabel="", xlabel=f"share of {rate.n} seeds with {label(success)}"
    )
    axes.grid(visible=False, axis="y")


def trend(
    axes: Axes, observations: pd.DataFrame, *, x: str, y: str, log_x: bool = False, log_y: bool | None = None
) -> None:
    """Draw a quantity along another: a thin line for each seed and their median.

    Args:
        axes: Axes to draw on.
        observations: Table with a column ``seed`` and those that ``x`` and ``y`` name.
        x: Column of positions.
        y: Column of the quantity.
        log_x: Whether the horizontal axis is logarithmic.
        log_y: Whether the vertical one is; None to decide by the range of the values.
    """
    lines = observations.pivot_table(index=x, columns="seed", values=y, aggfunc="median").astype(float)
    heights = lines.to_numpy()
    log = _spans_decades(heights) if log_y is None else log_y
    low, high = _limits(heights, log=log)
    shown = _thin(lines.T, MAX_LINES).T
    long = (
        _thin(shown, MAX_POINTS).clip(low, high).melt(ignore_index=False, var_name="seed", value_name=y).reset_index()
    )
    seaborn.lineplot(
        long,
        x=x,
        y=y,
        units="seed",
        estimator=None,
        color=MEASURED,
        alpha=_opacity(shown.shape[1]),
        linewidth=0.9,
        ax=axes,
        zorder=2,
    )
    if axes.lines:
        axes.lines[-1].set_label("one seed")
    if lines.shape[1] > 1:
        median = _thin(lines.median(axis=1).to_frame("median"), MAX_POINTS)["median"].clip(low, high)
        marker = "o" if len(median) <= 30 else ""
        axes.plot(
            median.index,
            median,
            color=MEASURED,
            linewidth=2.2,
            marker=marker,
            markersize=5,
            zorder=3,
            label="median over seeds",
        )
    infinite = long[np.isinf(long[x].map(dict(zip(lines.index, lines.max(axis=1), strict=True))))]
    _mark_infinite(axes, infinite[x].to_numpy(float), infinite[y].to_numpy(float), vertical=True)
    _rescale(axes, x="log" if log_x else "linear", y="log" if log else "linear")
    axes.set(ylim=(low, high), xlabel=label(x), ylabel=label(y))


def law(axes: Axes, medians: pd.Series[float], positions: Floats, slope: float, band: Band) -> None:
    """Draw a fitted line of log y, and the slopes for which the statement holds, through the middle of a trend.

    Args:
        axes: Axes on which ``trend`` drew.
        medians: Median over seeds, indexed by x.
        positions: Positions of the same points on an axis where log y is a line.
        slope: Fitted slope.
        band: Slopes asked for; where one limit is infinite, only the other is drawn.
    """
    x = medians.index.to_numpy(float)
    middle = float(np.log(medians.to_numpy(float)).mean())

    def line(steepness: float) -> Floats:
        return np.asarray(np.exp(middle + steepness * (positions - positions.mean())))

    axes.plot(x, line(slope), color=EXPECTED, linewidth=1.6, zorder=4, label="fitted law")
    limits = [limit for limit in (band.low, band.high) if np.isfinite(limit)]
    for limit in limits:
        axes.plot(x, line(limit), color=HOLDS, linestyle="--", linewidth=1.2, label="limit of the law")
    if len(limits) == 2:
        axes.fill_between(x, line(band.low), line(band.high), color=HOLDS, alpha=0.13, linewidth=0, label=STATEMENT)


def corridor(axes: Axes, x: npt.ArrayLike, low: npt.ArrayLike, high: npt.ArrayLike, *, meaning: str) -> None:
    """Shade the region of a trend in which the statement holds."""
    axes.fill_between(x, low, high, color=HOLDS, alpha=0.13, linewidth=0, zorder=1, label=meaning)


def expected_place(axes: Axes, at: float, within: float, x: pd.Series[float], y: pd.Series[float]) -> None:
    """Mark where an extremum is expected, and where each seed has it.

    Args:
        axes: Axes on which ``trend`` drew.
        at: Place where it is expected; nothing is marked where that is infinite, which is nowhere on the axis.
        within: Factor by which the place may be missed.
        x: Place of each seed's extremum.
        y: Height of each seed's extremum.
    """
    if np.isfinite(at):
        axes.axvspan(at / within, at * within, color=HOLDS, alpha=0.13, linewidth=0, label=STATEMENT)
        axes.axvline(at, color=HOLDS, linestyle="--", linewidth=1.2, label="expected place")
    low, high = axes.get_ylim()
    axes.scatter(
        x, y.clip(low, high), marker="D", s=20, color=EXPECTED, zorder=5, linewidths=0, label="extremum of a seed"
    )


def _dots(
    axes: Axes,
    values: Floats,
    band: Band,
    *,
    measure: str,
    estimate: Estimate | None = None,
    scale: Scale = "linear",
) -> None:
    """Draw sorted values as dots from the bottom to the top, the band behind them and their estimate's interval."""
    finite_limits = [limit for limit in (band.low, band.high) if np.isfinite(limit)]
    scale = "linear" if scale == "log" and min([*values, *finite_limits]) <= 0 else scale
    low, high = _limits(np.append(values, finite_limits), log=scale != "linear" and min(values) > 0)
    if scale == "symlog":
        low, high = 0.0, max(high, 1.5)
    axes.axvspan(max(band.low, low), min(band.high, high), color=HOLDS, alpha=0.12, linewidth=0, label=STATEMENT)
    for limit in finite_limits:
        axes.axvline(limit, color=HOLDS, linestyle="--", linewidth=1.2)
    heights = (np.arange(len(values)) + 0.5) / len(values)
    dots = _thin(pd.DataFrame({"value": values, "height": heights}), MAX_POINTS)
    inside = dots["value"].between(band.low, band.high)
    for subset, colour in ((dots[inside], MEASURED), (dots[~inside], VIOLATED)):
        axes.scatter(subset["value"].clip(low, high), subset["height"], s=26, **DOT | {"color": colour})
    infinite = dots[np.isinf(dots["value"])]
    _mark_infinite(axes, infinite["value"].clip(low, high).to_numpy(), infinite["height"].to_numpy(), vertical=False)
    if estimate is not None:
        interval = estimate.interval(CONFIDENCE)
        ends = np.clip([interval.low, interval.high], low, high)
        axes.plot(
            ends,
            [0.5, 0.5],
            color=INK,
            linewidth=2.5,
            zorder=4,
            solid_capstyle="butt",
            label=f"median, {CONFIDENCE:.0%} interval",
        )
        axes.plot([np.clip(estimate.point, low, high)], [0.5], "D", color=INK, markersize=7, zorder=5)
    _rescale(axes, x=scale)
    axes.set(xlim=(low, high), ylim=(0, 1), yticks=[], xlabel=label(measure))


def _mark_infinite(axes: Axes, x: npt.ArrayLike, y: npt.ArrayLike, *, vertical: bool) -> None:
    if np.size(x):
        axes.scatter(
            x, y, marker="^" if vertical else ">", s=60, color=VIOLATED, clip_on=False, zorder=6, label="infinite"
        )


def _rescale(axes: Axes, *, x: Scale = "linear", y: Scale = "linear") -> None:
    """Set the scales of axes, with plain numbers at the ticks."""
    ticker = matplotlib.ticker
    for scale, rescale, axis in ((x, axes.set_xscale, axes.xaxis), (y, axes.set_yscale, axes.yaxis)):
        if scale == "linear":
            continue
        rescale(scale, **({"linthresh": 1.0} if scale == "symlog" else {}))
        if scale == "log":
            low, high = axis.get_data_interval()
            axis.set_major_locator(_logarithmic_ticks(float(high / low)))
        else:
            axis.get_major_locator().set_params(numticks=4)  # type: ignore[call-arg]  # SymmetricalLogLocator has it
        axis.set_major_formatter("{x:g}")
        axis.set_minor_locator(ticker.NullLocator())


def _logarithmic_ticks(span: float) -> matplotlib.ticker.Locator:
    """Choose few ticks for a logarithmic axis whose ends have this ratio."""
    if span < 5:
        return matplotlib.ticker.MaxNLocator(4, steps=[1, 2, 5, 10])
    return matplotlib.ticker.LogLocator(subs=(1, 2, 5) if span < 2000 else (1,), numticks=7)


def _limits(values: npt.ArrayLike, *, log: bool) -> tuple[float, float]:
    """Return limits that hold all finite values with room at both ends."""
    finite = np.asarray(values, dtype=float).ravel()
    finite = finite[np.isfinite(finite) & (finite > 0 if log else True)]
    if not finite.size:
        return (0.1, 10.0) if log else (0.0, 1.0)
    low, high = float(finite.min()), float(finite.max())
    if log:
        room = max((high / low) ** 0.08, 1.1)
        return low / room, high * room
    room = 0.08 * (high - low) or 0.1 * abs(high) or 1.0
    return low - room, high + room


def _spans_decades(values: npt.ArrayLike) -> bool:
    finite = np.asarray(values, dtype=float).ravel()
    finite = finite[np.isfinite(finite)]
    return bool(finite.size) and bool(finite.min() > 0) and bool(finite.max() > 50 * finite.min())


def _thin(rows: pd.DataFrame, count: int) -> pd.DataFrame:
    """Keep at most ``count`` rows, evenly spaced, first and last included."""
    if len(rows) <= count:
        return rows
    return rows.iloc[np.linspace(0, len(rows) - 1, count).round().astype(int)]


def _opacity(lines: int) -> float:
    return max(0.25, min(0.9, 4 / lines))
