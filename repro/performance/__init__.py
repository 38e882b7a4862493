"""Measures how fast the suite is: benchmarks, their history, steps in it, comparisons with a commit."""

from repro.performance.benchmarking import CHECKOUT, check_installed, run_benchmarks
from repro.performance.comparison import FigureComparison, compare_figures, load_reference
from repro.performance.history import History
from repro.performance.measurement import Measurement
from repro.performance.steps import FLOOR
from repro.performance.trends import Trend, trend

__all__ = [
    "CHECKOUT",
    "FLOOR",
    "FigureComparison",
    "History",
    "Measurement",
    "Trend",
    "check_installed",
    "compare_figures",
    "load_reference",
    "run_benchmarks",
    "trend",
]
