"""How much work a run is: the profiles, with their numbers of seeds and the limits of an experiment."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal, get_args

from repro.common import ReproError

Profile = Literal["smoke", "standard", "full"]

GIB = 2**30
# Thirteen seeds refute each of two parts though one seed disagrees; twelve do not.
SEEDS: Mapping[Profile, int] = {"smoke": 13, "standard": 24, "full": 48}


@dataclass(frozen=True)
class Limits:
    """Limits at which an experiment is stopped.

    Attributes:
        seconds: Wall time, from when the experiment is handed to an idle worker process.
        memory: Resident memory of that process in bytes.
    """

    seconds: float
    memory: float


# On two cores the longest experiment takes 86 s at smoke and 161 s at standard, the largest process 2 and 4 GB.
LIMITS: Mapping[Profile, Limits] = {
    "smoke": Limits(600, 8 * GIB),
    "standard": Limits(3600, 16 * GIB),
    "full": Limits(24 * 3600, 64 * GIB),
}


def check_profile(profile: Any) -> None:
    """Check that there is such a profile.

    Raises:
        ReproError: there is none.
    """
    if profile not in get_args(Profile):
        raise ReproError(f"no profile {profile!r}; profiles are {', '.join(get_args(Profile))}")
