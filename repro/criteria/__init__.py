"""Kinds of statement: each criterion maps a table of observations to a verdict."""

from repro.criteria.base import AllOf, Criterion, SeedwiseCriterion
from repro.criteria.comparisons import Equivalent, Greater, Ratio
from repro.criteria.exact import AtLeast, AtMost, Identity, Proportion
from repro.criteria.laws import ExponentialDecay, ScalingLaw
from repro.criteria.trends import Monotone, Peak, Preserved

__all__ = [
    "AllOf",
    "AtLeast",
    "AtMost",
    "Criterion",
    "Equivalent",
    "ExponentialDecay",
    "Greater",
    "Identity",
    "Monotone",
    "Peak",
    "Preserved",
    "Proportion",
    "Ratio",
    "ScalingLaw",
    "SeedwiseCriterion",
]
