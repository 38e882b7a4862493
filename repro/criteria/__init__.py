"""Kinds of question: each criterion maps a table of observations to a verdict, and draws the two together.

A verdict follows from what is seen in each cell (``judging``) by the kind of the statement (``decision``).
"""

from repro.criteria.base import AllOf, ColumnCriterion, Criterion, SeedwiseCriterion
from repro.criteria.changes import ChangesAs, Falls, Preserved
from repro.criteria.comparisons import Equivalent, Greater, Ratio
from repro.criteria.contrasts import Contrast, Scores, contrast
from repro.criteria.decision import TABLE, Decision, Pattern, Status, decide, decide_jointly, statuses
from repro.criteria.exact import MOST, AtLeast, AtMost, Identity
from repro.criteria.figures import INK, MUTED, STATUS_COLOURS, render, style
from repro.criteria.laws import ExponentialDecay, ScalingLaw
from repro.criteria.proportions import Proportion
from repro.criteria.reading import SCALES, Boundary, Kind, Reading, Scale
from repro.criteria.sentences import heading
from repro.criteria.thresholds import Threshold
from repro.criteria.trends import Monotone, Peak
from repro.criteria.verdict import Cell, Count, Part, Verdict

__all__ = [
    "INK",
    "MOST",
    "MUTED",
    "SCALES",
    "STATUS_COLOURS",
    "TABLE",
    "AllOf",
    "AtLeast",
    "AtMost",
    "Boundary",
    "Cell",
    "ChangesAs",
    "ColumnCriterion",
    "Contrast",
    "Count",
    "Criterion",
    "Decision",
    "Equivalent",
    "ExponentialDecay",
    "Falls",
    "Greater",
    "Identity",
    "Kind",
    "Monotone",
    "Part",
    "Pattern",
    "Peak",
    "Preserved",
    "Proportion",
    "Ratio",
    "Reading",
    "Scale",
    "ScalingLaw",
    "Scores",
    "SeedwiseCriterion",
    "Status",
    "Threshold",
    "Verdict",
    "contrast",
    "decide",
    "decide_jointly",
    "heading",
    "render",
    "statuses",
    "style",
]
