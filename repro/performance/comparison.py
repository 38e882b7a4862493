"""Compares current benchmarks with those of a commit or of a file."""

from __future__ import annotations

import math
import re
import shutil
import subprocess
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from etils import epy

from repro.common import BenchmarkError, paths
from repro.performance.history import History
from repro.performance.measurement import Better, Measurement, Series, read_figures
from repro.performance.steps import FLOOR, Change
from repro.uncertainty import CONFIDENCE

with epy.lazy_imports():
    import scipy.stats
    import statsmodels.stats.multitest


@dataclass(frozen=True)
class FigureComparison:
    """A series as it is now, beside what it is compared with.

    Attributes:
        series: Series that was measured on both sides.
        better: Direction that is better, ``higher`` or ``lower`` values.
        before, now: Geometric means of the rounds.
        change: Ratio of now to before, with its interval.
        worse: Whether it is worse by more than the floor, after Holm's correction for the number of comparisons.
    """

    series: Series
    better: Better
    before: float
    now: float
    change: Change
    worse: bool


def compare_figures(now: Sequence[Measurement], before: Sequence[Measurement]) -> list[FigureComparison]:
    """Compare series by the rounds of both sides.

    A series is worse if the hypothesis that it lost at most 5 % is rejected at 1 % for all series together, by Welch's
    t-test on the logarithms of the rounds and Holm's correction (1979). The 5 % leave room for what differs between
    any two runs; no test of the rounds can see what those of one run have in common.

    Args:
        now: Measurements, one or more of each series.
        before: Measurements of the same series; what only one side has is left out.

    Raises:
        BenchmarkError: no series is on both sides.
    """
    ours, theirs = _logarithms(now), _logarithms(before)
    common = [series for series in ours if series in theirs]
    if not common:
        raise BenchmarkError("nothing to compare: no figure was measured before on this kind of machine and backend")
    better = {one.series: one.better for one in now}
    levels = [float(loss_level(ours[series], theirs[series], better[series])) for series in common]
    worse, *_ = statsmodels.stats.multitest.multipletests(levels, alpha=1 - CONFIDENCE, method="holm")
    return [
        FigureComparison(
            series,
            better[series],
            math.exp(np.mean(theirs[series])),
            math.exp(np.mean(ours[series])),
            _change(ours[series], theirs[series]),
            bool(rejected),
        )
        for series, rejected in zip(common, worse, strict=True)
    ]


def loss_level(now: npt.ArrayLike, before: npt.ArrayLike, better: Better) -> npt.NDArray[np.float64]:
    """Test whether at most the floor was lost, by Welch's one-sided t-test.

    Args:
        now: Logarithms of rounds [..., rounds].
        before: Logarithms of the rounds that they are compared with [..., rounds].
        better: Direction that is better, ``higher`` or ``lower`` values.

    Returns:
        P-values [...]; one where there are fewer than two rounds, or no noise to judge by.
    """
    sign = 1 if better == "higher" else -1
    ours, theirs = sign * np.asarray(now), sign * np.asarray(before)
    if min(ours.shape[-1], theirs.shape[-1]) < 2:
        return np.ones(ours.shape[:-1])
    test = scipy.stats.ttest_ind(ours + math.log1p(FLOOR), theirs, axis=-1, equal_var=False, alternative="less")
    levels: npt.NDArray[np.float64] = np.nan_to_num(test.pvalue, nan=1.0)
    return levels


def load_reference(name: str, history: History | None, checkout: Path) -> list[Measurement]:
    """Find the measurements that ``--compare`` names.

    Args:
        name: JSON file of pytest-benchmark, or whatever git takes for a commit, or the beginning of one.
        history: History that has measurements of commits; None where there is none.
        checkout: Folder whose git knows the commits.

    Returns:
        All measurements of the file, or of that commit without modifications.

    Raises:
        BenchmarkError: there are none.
    """
    if paths.is_file(Path(name)):
        return read_figures(Path(name))
    measured = [one for one in history.measurements() if one.commit and not one.modified] if history else []
    commit = _commit(name, checkout) or name
    found = [one for one in measured if str(one.commit).startswith(commit)]
    commits = sorted({str(one.commit) for one in found})
    if len(commits) > 1:
        raise BenchmarkError(
            f"{name} is the beginning of {len(commits)} commits: {', '.join(commits)}; give more of it"
        )
    if not found:
        known = ", ".join(dict.fromkeys(one.version for one in reversed(measured))) or "none"
        raise BenchmarkError(
            f"{name} is no file and no commit with benchmarks in the results folder (those have: {known}); check it "
            "out and run `repro bench` there first"
        )
    return found


def _commit(name: str, checkout: Path) -> str | None:
    git = shutil.which("git")
    if git is None or not (checkout / ".git").exists():
        return None
    command = [git, "-C", str(checkout), "rev-parse", "--verify", "--quiet", "--end-of-options", f"{name}^{{commit}}"]
    answer = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603  the name is no option
    commit = answer.stdout.strip()
    return commit if re.fullmatch("[0-9a-f]{40,64}", commit) else None


def _logarithms(measurements: Sequence[Measurement]) -> dict[Series, list[float]]:
    found: dict[Series, list[float]] = {}
    for one in measurements:
        found.setdefault(one.series, []).extend(math.log(value) for value in one.rounds)
    return found


def _change(now: Sequence[float], before: Sequence[float]) -> Change:
    ratio = math.exp(np.mean(now) - np.mean(before))
    if min(len(now), len(before)) < 2:
        return Change(ratio, 0.0, math.inf)
    interval = scipy.stats.ttest_ind(now, before, equal_var=False).confidence_interval(CONFIDENCE)
    return Change(ratio, math.exp(interval.low), math.exp(interval.high))
