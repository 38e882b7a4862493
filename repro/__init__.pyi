from .claim import Claim, Correction, claim
from .criteria import (
    AllOf,
    AtLeast,
    AtMost,
    Criterion,
    Equivalent,
    ExponentialDecay,
    Greater,
    Identity,
    Monotone,
    Peak,
    Preserved,
    Proportion,
    Ratio,
    ScalingLaw,
)
from .errors import DataUnavailableError, ReproError
from .registry import find
from .result import ClaimResult, Evaluation, Run
from .running import CompletedRun, check, run
from .sources import Source, cheatsheet, lectures, notes
from .verdict import Part, Verdict

__all__ = [
    "AllOf",
    "AtLeast",
    "AtMost",
    "Claim",
    "ClaimResult",
    "CompletedRun",
    "Correction",
    "Criterion",
    "DataUnavailableError",
    "Equivalent",
    "Evaluation",
    "ExponentialDecay",
    "Greater",
    "Identity",
    "Monotone",
    "Part",
    "Peak",
    "Preserved",
    "Proportion",
    "Ratio",
    "ReproError",
    "Run",
    "ScalingLaw",
    "Source",
    "Verdict",
    "cheatsheet",
    "check",
    "claim",
    "find",
    "lectures",
    "notes",
    "run",
]
