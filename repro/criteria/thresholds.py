"""The smallest effects that matter, in one table for the whole project, and what a threshold is.

Accuracies and errors matter from one point on, losses and all ratios from five per cent. A threshold that is not in the
table comes from a source or a derivation, which the criterion names (``because=``).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from repro.common import ClaimError

ThresholdScale = Literal["difference", "ratio", "share"]

POINT = 0.01
PER_CENT = 1.05
# Quantities by how their columns are named, with the smallest difference that matters.
IN_POINTS = ("accuracy", "error")


@dataclass(frozen=True)
class Threshold:
    """The smallest effect that counts, or the largest that does not.

    Attributes:
        value: Difference, ratio or share.
        scale: Whether effects are differences, ratios or shares, which decides what half and twice the threshold are.
    """

    value: float
    scale: ThresholdScale

    def times(self, factor: float) -> float:
        """Return the value of a threshold that is larger by a factor; a ratio grows as its logarithm does.

        A share has no size of an effect, and stays.

        Example:
            >>> Threshold(1.21, "ratio").times(0.5)
            1.1
        """
        by_scale = {"difference": self.value * factor, "ratio": self.value**factor, "share": self.value}
        return float(by_scale[self.scale])

    def size(self, effect: float) -> float:
        """Return the threshold at which an effect would lie on the border: its size, or that of its ratio."""
        if self.scale != "ratio" or effect <= 0:
            return abs(effect)
        return max(effect, 1 / effect)

    def is_narrower_than(self, low: float, high: float) -> bool:
        """Tell whether an interval is wider than the threshold."""
        if low == high:
            return False
        if self.scale == "ratio":
            return low <= 0 or high / low > max(self.value, 1 / self.value)
        return high - low > abs(self.value)

    @property
    def none(self) -> float:
        """Threshold at which every effect counts."""
        return 1.0 if self.scale == "ratio" else 0.0

    @property
    def is_conventional(self) -> bool:
        """Whether the threshold is in the project's table."""
        return {"difference": abs(self.value) == POINT, "ratio": self.value == PER_CENT, "share": False}[self.scale]


def convention(metric: str) -> Threshold:
    """Return the smallest effect on a quantity that matters, by the table.

    Args:
        metric: Column of the quantity: accuracies and errors are told by their names.

    Example:
        >>> convention("test_error"), convention("train_loss")
        (Threshold(value=0.01, scale='difference'), Threshold(value=1.05, scale='ratio'))
    """
    in_points = any(name in metric for name in IN_POINTS)
    return Threshold(POINT, "difference") if in_points else Threshold(PER_CENT, "ratio")


def reason(threshold: Threshold, because: str) -> str:
    """Return why a threshold is what it is, from the table where it stands there.

    Raises:
        ClaimError: it does not, and no reason is given.
    """
    if because:
        return because
    if not threshold.is_conventional:
        raise ClaimError(
            f"a smallest {threshold.scale} of {threshold.value:g} is not in the project's table ({POINT:g} as a "
            f"difference, {PER_CENT:g} as a ratio): say which source or derivation gives it (source=...)"
        )
    return "one point matters" if threshold.scale == "difference" else "five per cent matter"
