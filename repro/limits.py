"""How much time and memory an experiment may take."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from repro.claim import Profile

GIB = 2**30


@dataclass(frozen=True)
class Limits:
    """What an experiment may take before it is stopped.

    Attributes:
        seconds: wall time, from when it is handed to an idle worker process.
        memory: resident memory of that process in bytes.
    """

    seconds: float
    memory: float


# On two cores the longest experiment takes 86 s at smoke and 161 s at standard, the largest process 2 and 4 GB.
LIMITS: Mapping[Profile, Limits] = {
    "smoke": Limits(600, 8 * GIB),
    "standard": Limits(3600, 16 * GIB),
    "full": Limits(24 * 3600, 64 * GIB),
}
