"""Writes docs/performance.md, what the search for steps finds and misses: ``python benchmarks/detection.py``."""

from __future__ import annotations

import math
from collections.abc import Hashable, Mapping, Sequence
from itertools import product
from pathlib import Path
from typing import NamedTuple

import numpy as np
import numpy.typing as npt
import pandas as pd

from repro.audits.calibration import NOISES, draw_noise
from repro.performance.comparison import loss_level
from repro.performance.steps import FLOOR, SPENDING, WINDOW, change, look, split_levels
from repro.uncertainty.intervals import CONFIDENCE

DOCUMENT = Path(__file__).parents[1] / "docs" / "performance.md"
SIMULATIONS = 10_000
RUNS = (30, 100, 300)
MANY_RUNS = 1000
LARGE_DEVIATION = 1.0  # the floor prevents no false alarm in such noise
DEVIATIONS = (0.02, 0.04, 0.08, 0.16)
HISTORIES = (10, 20, 40)
AFTER = (5, 10, 20)
STEPS = (0.10, 0.25)
FAMILY = 10

Array = npt.NDArray[np.float64]


class Found(NamedTuple):
    """The first step that was found in each of many series.

    Attributes:
        start: index of the first measurement after it [simulations]; -1 where none was found.
        noticed: index of the measurement with which it was noticed [simulations]; -1 where none was found.
    """

    start: npt.NDArray[np.intp]
    noticed: npt.NDArray[np.intp]


def first_steps(logarithms: Array) -> Found:
    """Find the first step of many series at once, as ``repro.performance.steps`` does in one.

    Args:
        logarithms: [simulations, measurements].
    """
    simulations, runs = logarithms.shape
    start, noticed = np.full(simulations, -1), np.full(simulations, -1)
    for end in range(2, runs + 1):
        open_ones = np.flatnonzero(noticed < 0)
        levels = split_levels(logarithms[open_ones, max(0, end - WINDOW) : end]).min(axis=-1)
        for index in open_ones[levels <= SPENDING / end**2]:
            place = look(logarithms[index, :end])
            if place is not None:
                start[index], noticed[index] = place, end - 1
    return Found(start, noticed)


def false_alarms(
    noise: str, deviation: float, runs: Sequence[int], simulations: int = SIMULATIONS, seed: int = 0
) -> dict[int, float]:
    """Return the share of series without a step that show one, by the number of runs after which one looks last.

    Args:
        noise: see ``repro.audits.calibration.draw``.
        deviation: standard deviation of the logarithms.
        runs: numbers of runs.
        simulations: number of series.
        seed: of the random numbers.
    """
    series = deviation * draw_noise(np.random.default_rng(seed), noise, (simulations, max(runs)))
    noticed = first_steps(series).noticed
    return {count: float(np.mean((noticed >= 0) & (noticed < count))) for count in runs}


def power(noise: str, deviation: float, history: int, step: float, simulations: int = SIMULATIONS) -> dict[str, float]:
    """Return what is found of a loss of a share ``step`` after ``history`` runs.

    Returns:
        Shares found ``within`` numbers of runs after the step; of those found: the share ``placed`` at most two runs
        from where the step is, and the share of intervals that ``cover`` it.
    """
    shift = math.log1p(-step)
    series = deviation * draw_noise(np.random.default_rng(history), noise, (simulations, history + max(AFTER)))
    series[:, history:] += shift
    found = first_steps(series)
    hit = found.noticed >= history
    changes = [change(series[one, : found.start[one]], series[one, found.start[one] :]) for one in np.flatnonzero(hit)]
    covered = [each.low <= 1 - step <= each.high for each in changes]
    shares = {f"within {runs}": float(np.mean(hit & (found.noticed < history + runs))) for runs in AFTER}
    placed = np.abs(found.start[hit] - history) <= 2
    return shares | {"placed": _mean(placed), "cover": _mean(covered)}


def compared(deviation: float, between: float, loss: float, rounds: int, simulations: int = SIMULATIONS) -> float:
    """Return the share of comparisons of two runs, one among ten figures, that come out worse.

    Args:
        deviation: standard deviation of the logarithms of rounds within a run, normal.
        between: the same of what the rounds of a run have in common.
        loss: share by which the second run is truly worse.
        rounds: of each run.
        simulations: number of comparisons.
    """
    generator = np.random.default_rng(rounds)
    before, now = deviation * generator.standard_normal((2, simulations, rounds)) + between * generator.standard_normal(
        (2, simulations, 1)
    )
    levels = loss_level(now + math.log1p(-loss), before, "higher")
    return float(np.mean(levels <= (1 - CONFIDENCE) / FAMILY))


def markdown(table: pd.DataFrame) -> str:
    """Write a table with its index; shares as percentages."""
    lines = [[*table.index.names, *table.columns], ["---"] * (table.index.nlevels + table.shape[1])]
    lines += [
        [*map(str, index if isinstance(index, tuple) else (index,)), *(percent(cell) for cell in cells)]
        for index, *cells in table.itertuples()
    ]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def percent(share: float) -> str:
    """Write a share; nothing where there is none."""
    return "" if math.isnan(share) else f"{100 * share:.2f} %" if share < 0.02 else f"{100 * share:.0f} %"


def alarms_table(simulations: int) -> pd.DataFrame:
    """Tabulate false alarms."""
    rows = {noise: false_alarms(noise, LARGE_DEVIATION, RUNS, simulations) for noise in NOISES}
    longest = false_alarms("normal", LARGE_DEVIATION, [*RUNS, MANY_RUNS], simulations, seed=1)
    rows["normal, another sample"] = longest
    table = pd.DataFrame(rows).T.rename_axis("noise")
    return table.rename(columns={count: f"{count} runs" for count in table})


def power_table(simulations: int) -> pd.DataFrame:
    """Tabulate the power: the smallest of all kinds of noise."""
    rows: dict[tuple[str, str, int], Mapping[Hashable, float]] = {}
    for step, deviation, history in product(STEPS, DEVIATIONS, HISTORIES):
        cells = pd.DataFrame([power(noise, deviation, history, step, simulations) for noise in NOISES])
        rows[f"{100 * step:g} %", f"{100 * deviation:g} %", history] = cells.min().to_dict()
    table = pd.DataFrame(rows).T
    return table.rename_axis(["loss", "noise", "runs before"]).rename(
        columns={"placed": "within 2 runs of its place", "cover": "interval covers"}
    )


def compared_table(simulations: int) -> pd.DataFrame:
    """Tabulate what the comparison of two runs finds."""
    rows = {
        (f"{100 * deviation:g} %", f"{100 * between:g} %", rounds): {
            f"loss {100 * loss:g} %": compared(deviation, between, loss, rounds, simulations)
            for loss in (0.0, 0.05, 0.10, 0.25, 0.50)
        }
        for deviation, between, rounds in product((0.04, 0.08), (0.0, 0.04), (5, 20))
    }
    return pd.DataFrame(rows).T.rename_axis(["noise of rounds", "of runs", "rounds"])


def _mean(values: Sequence[bool] | npt.NDArray[np.bool_]) -> float:
    return float(np.mean(values)) if len(values) else math.nan


def document(simulations: int = SIMULATIONS) -> str:
    """Write the document."""
    alarms, found, worse = alarms_table(simulations), power_table(simulations // 5), compared_table(simulations)
    floor, confidence = (f"{share:.0%}".replace("%", " %") for share in (FLOOR, CONFIDENCE))
    error = math.sqrt((1 - CONFIDENCE) / simulations)
    return f"""\
# What the benchmarks' history can show

`python benchmarks/detection.py` writes this page anew.

## How a step is found

After every run of the benchmarks each series is looked at. Its last {WINDOW} measurements since the last step are split
at every place, the two parts compared by the exact two-sided Mann-Whitney test, and the smallest p-value taken: the
nonparametric change-point model of Hawkins and Deng (Journal of Quality Technology 42, 2010). It is a step if that
p-value is at most {SPENDING:g} / n², where n counts the measurements since the last step, and if the change is at
least {floor}. The factor is chosen by simulation so that fewer than 1 % of series without a step ever show one. The sum
of 1 / n² is finite: looking again after every run, for years, spends a finite error. Ranks do not depend on the
distribution of the noise, however skewed or heavy-tailed. Runs must be independent: drift, or a machine that changes
its pace for days, is a change of level and is found as one. After a step the search starts afresh, with 1 % more.

The size of a step is the median of all ratios of a value after to one before (Hodges and Lehmann), of at most
{WINDOW // 2} on each side, with the interval that inverts the Mann-Whitney test at {confidence}. It takes the place
of the step as known; how often it covers the truth all the same is below.

## Noise that was simulated

Logarithms of measurements have independent noise of the given standard deviation: normal, skewed (lognormal, skewness
6.2), heavy-tailed (Student's t with 3 degrees of freedom), or rounded to half a standard deviation, so that many
measurements tie.

Noise seen here: the ranges of rounds in benchmarks/README.md, from a machine that did nothing else. The range of five
normal values is 2.33 standard deviations on average, that of two 1.13 (Tippett 1925); the median of five has 0.536 of
the standard deviation of one, that of two 0.707. That makes 3.9 % for the median of a run, as the median over the
eleven figures: 1 % for `cost_growth`, 2 to 6 % for six, 8 % and 12 % for two on JAX, and 18 % for
`speedup_over_fit_pipeline`. On a machine with sixteen processes waiting for its two cores the medians of seven rounds
of recording, reading and running varied from run to run by 13 to 20 %; their rounds varied by 37 to 50 %, which
explains that without any noise that the rounds of a run have in common (six runs, too few to rule it out).

## False alarms

Share of series without any step in which one was found by the time of so many runs, looking after each, in noise so
large that the least change of {floor} prevents nothing. {simulations:,} series a row; one standard error at 1 % is
{100 * error:.2f} %.

{markdown(alarms)}

## Power

Share of series in which a loss was found within so many runs after it, the smallest of all kinds of noise;
{simulations // 5:,} series of each. No method that holds for all noise finds a step at once: of 23 values in any order,
the last three are the smallest once in 1771 series. After ten runs it takes about ten more.

{markdown(found)}

In the typical noise of 4 % a loss of 25 % is found within five runs and one of 10 % within ten, once there are twenty
runs before; in noise of 8 % a loss of 25 % takes ten runs, and one of 10 % is mostly missed for long. Where little is
found, chance had a part in it: sizes are then exaggerated, and fewer intervals cover the truth.

## Comparing two runs

`repro bench --compare` has the rounds of two runs only. It says worse if Welch's t-test on their logarithms rejects at
1 % that at most {floor} was lost, with Holm's correction for the number of figures. Share of comparisons that came
out worse where the figure is one of {FAMILY}, all others unchanged:

{markdown(worse)}

What the rounds of a run have in common is not seen by a test of rounds: where it is as large as their own noise, more
rounds do not help, and the {floor} must make up for it. The history, whose unit is the run, has no such blind spot.
"""


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
