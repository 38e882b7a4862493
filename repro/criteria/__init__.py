"""Kinds of statement: each criterion maps a table of observations to a verdict, and draws the two together."""

from repro.criteria.base import AllOf, Criterion, SeedwiseCriterion
from repro.criteria.comparisons import Equivalent, Greater, Ratio
from repro.criteria.exact import MOST, AtLeast, AtMost, Identity, Proportion
from repro.criteria.figures import INK, MUTED, STATUS_COLOURS, render, style
from repro.criteria.laws import ExponentialDecay, ScalingLaw
from repro.criteria.trends import Monotone, Peak, Preserved
from repro.criteria.verdict import Count, Part, Verdict

__all__ = [
    "INK",
    "MOST",
    "MUTED",
    "STATUS_COLOURS",
    "AllOf",
    "AtLeast",
    "AtMost",
    "Count",
    "Criterion",
    "Equivalent",
    "ExponentialDecay",
    "Greater",
    "Identity",
    "Monotone",
    "Part",
    "Peak",
    "Preserved",
    "Proportion",
    "Ratio",
    "ScalingLaw",
    "SeedwiseCriterion",
    "Verdict",
    "render",
    "style",
]
