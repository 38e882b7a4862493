"""Simulated observations with known true effects, for every criterion that places medians in bands.

The effect of a seed is a monotone function of a displacement: zero puts it on the boundary of the statement, positive
values make the statement hold and negative ones make it fail, in standard deviations of the noise. Monotone functions
keep medians, so the true effect is that of the true displacement.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
import pandas as pd

from repro.criteria import (
    Criterion,
    Equivalent,
    ExponentialDecay,
    Greater,
    Monotone,
    Peak,
    Preserved,
    Ratio,
    ScalingLaw,
)
from repro.uncertainty import Band

Array = npt.NDArray[np.float64]
Columns = Mapping[str, npt.NDArray[Any]]

# Bands reach from no displacement to twice this.
CENTRE = 4.0
FACTOR = float(np.exp(CENTRE))
BECAUSE = "the simulation is made for it"
POSITIONS = np.linspace(-0.5, 0.5, 5)


@dataclass(frozen=True)
class Scenario:
    """One criterion with observations to judge.

    Attributes:
        criterion: Real criterion, as claims use it.
        columns: Function that makes the columns of the observations from displacements [..., parts] and from what seeds
            differ in besides them [...]. Columns have one more axis, for the rows of a seed; what all seeds share has
            that alone.
        effects: Function that reduces columns to effects [..., parts]; for a law the slopes of the line and of both
            its ends.
        bands: Bands of the parts.
    """

    criterion: Criterion
    columns: Callable[[Array, Array], Columns]
    effects: Callable[[Columns], Array]
    bands: tuple[Band, ...]

    @property
    def bent(self) -> bool:
        """Whether ends of a line that contradict it leave the statement undecided."""
        return isinstance(self.criterion, ScalingLaw | ExponentialDecay)

    def truths(self, displacements: Array) -> Array:
        """Return the true effects [parts] for the true displacements [parts]."""
        truths: Array = self.effects(self.columns(displacements, np.zeros(())))[..., : len(self.bands)]
        return truths

    def table(self, displacements: Array, nuisance: Array) -> pd.DataFrame:
        """Make the observations of one simulation, from displacements [seeds, parts]."""
        seeds = np.arange(len(displacements))[:, None]
        columns = {"seed": seeds, **self.columns(displacements, nuisance)}
        cells = np.broadcast_arrays(*columns.values())
        return pd.DataFrame({name: values.ravel() for name, values in zip(columns, cells, strict=True)})


def _rows(*rows: Array) -> Array:
    return np.stack(np.broadcast_arrays(*rows), axis=-1)


def _difference(displacements: Array, nuisance: Array) -> Columns:
    return {
        "error": _rows(nuisance, nuisance + 1 + displacements[..., 0]),
        "network": np.array(["shallow", "deep"]),
    }


def _quotient(smallest: float) -> Callable[[Array, Array], Columns]:
    def columns(displacements: Array, nuisance: Array) -> Columns:
        slow = np.exp(nuisance)
        return {
            "error": _rows(slow, slow * smallest * np.exp(displacements[..., 0])),
            "network": np.array(["shallow", "deep"]),
        }

    return columns


def _near_target(displacements: Array, nuisance: Array) -> Columns:
    middle = nuisance + displacements[..., 0] - CENTRE
    return {"value": _rows(middle - 1, middle + 1), "target": _rows(nuisance, nuisance)}


def _change(displacements: Array, nuisance: Array) -> Columns:
    ratio = np.exp(displacements[..., 0] - CENTRE)
    first = np.exp(nuisance)
    return {"variance": _rows(first, first / 2, first * ratio), "layer": np.arange(3)}


def _reversal(displacements: Array, nuisance: Array) -> Columns:
    top = nuisance + 1
    return {"loss": _rows(nuisance, top, top - CENTRE + displacements[..., 0]), "step": np.arange(3)}


def _law(flattest: float) -> Callable[[Array, Array], Columns]:
    def columns(displacements: Array, nuisance: Array) -> Columns:
        slope = (flattest + displacements[..., 0])[..., None]
        bend = nuisance[..., None] / 2  # at positions symmetric about zero it does not change the slope
        log_y = nuisance[..., None] + slope * POSITIONS + bend * POSITIONS**2
        return {"size": np.exp(POSITIONS), "depth": 1 - POSITIONS, "loss": np.exp(log_y)}

    return columns


def _slopes(columns: Columns) -> Array:
    log_y = np.log(columns["loss"])
    slope = log_y @ POSITIONS / (POSITIONS @ POSITIONS)
    squares = POSITIONS**2 - (POSITIONS**2).mean()
    bend = log_y @ squares / (squares @ squares)
    return _rows(slope, slope + 2 * bend * POSITIONS[0], slope + 2 * bend * POSITIONS[-1])


def _peak(displacements: Array, nuisance: Array) -> Columns:
    place, height = np.exp(displacements[..., 0] - CENTRE), np.exp(nuisance)
    end = height / (FACTOR**2 * np.exp(displacements[..., 1]))
    return {"size": _rows(place / 9, place, place * 9), "loss": _rows(end, height, end / 2)}


def _extremum(columns: Columns) -> Array:
    sizes, losses = columns["size"], columns["loss"]
    top = losses.argmax(-1)[..., None]
    place, height = (np.take_along_axis(values, top, -1)[..., 0] for values in (sizes, losses))
    return _rows(place, height / np.maximum(losses[..., 0], losses[..., -1]))


def _largest_reversal(columns: Columns) -> Array:
    heights: Array = columns["loss"]
    reversals: Array = np.maximum.accumulate(heights, -1) - heights
    return _rows(reversals.max(-1))


ARMS: Mapping[str, Any] = {"of": "deep", "than": "shallow", "by": "network", "because": BECAUSE}
WITHIN_CENTRE = Band(-CENTRE, CENTRE)
SCENARIOS: Mapping[str, Scenario] = {
    "Greater (margin)": Scenario(
        Greater("error", smallest_difference=1.0, **ARMS),
        _difference,
        lambda columns: (columns["error"][..., 1] - columns["error"][..., 0])[..., None],
        (Band(low=1.0),),
    ),
    "Greater (factor)": Scenario(
        Greater("error", smallest_ratio=2.0, **ARMS),
        _quotient(2.0),
        lambda columns: (columns["error"][..., 1] / columns["error"][..., 0])[..., None],
        (Band(low=2.0),),
    ),
    "Ratio": Scenario(
        Ratio("error", expected=3.0, within=FACTOR, **ARMS),
        _quotient(3 / FACTOR),
        lambda columns: (columns["error"][..., 1] / columns["error"][..., 0])[..., None],
        (Band(3 / FACTOR, 3 * FACTOR),),
    ),
    "Equivalent": Scenario(
        Equivalent("value", "target", smallest_difference=CENTRE, because=BECAUSE),
        _near_target,
        lambda columns: (columns["value"] - columns["target"]).mean(-1)[..., None],
        (WITHIN_CENTRE,),
    ),
    "Preserved": Scenario(
        Preserved("variance", along="layer", smallest_ratio=FACTOR, because=BECAUSE),
        _change,
        lambda columns: (columns["variance"][..., -1] / columns["variance"][..., 0])[..., None],
        (Band(1 / FACTOR, FACTOR),),
    ),
    "Monotone": Scenario(
        Monotone("step", "loss", smallest_difference=CENTRE, because=BECAUSE),
        _reversal,
        _largest_reversal,
        (Band(high=CENTRE),),
    ),
    "ScalingLaw": Scenario(
        ScalingLaw("size", "loss", at_least=-CENTRE, at_most=CENTRE, because=BECAUSE),
        _law(-CENTRE),
        _slopes,
        (WITHIN_CENTRE,),
    ),
    "ExponentialDecay": Scenario(
        ExponentialDecay("depth", "loss", at_least=1.0, because=BECAUSE), _law(1.0), _slopes, (Band(low=1.0),)
    ),
    "Peak": Scenario(
        Peak("size", "loss", at=1.0, within=FACTOR, prominence=FACTOR**2, because=BECAUSE),
        _peak,
        _extremum,
        (Band(1 / FACTOR, FACTOR), Band(low=FACTOR**2)),
    ),
}
