"""How often the decision table errs: simulated cells at the boundary of each status, judged as criteria judge them.

A cell is an ordering with smallest effect s: it holds above s, fails below, and is the opposite below -s. Medians have
sign tests, whose levels do not depend on the distribution of the noise. A cell whose true median is s neither holds nor
fails, one whose median is -s fails without being the opposite: the status that is true is the one that these outcomes
give, and every other decided status is false, but for the absence of what is the opposite, which is less than could be
said.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import product
from typing import Any, get_args

import numpy as np
import numpy.typing as npt
import pandas as pd
from etils import epy

from repro.criteria import Kind, Pattern, Reading, Status, decide, statuses
from repro.runner import Look, plan_looks
from repro.uncertainty import Levels

with epy.lazy_imports():
    import scipy.stats

Array = npt.NDArray[np.float64]
Truths = npt.NDArray[np.bool_]

SMALLEST = 8.0  # effect that matters, in standard deviations of the noise: from no effect, no sample errs
DEEP = 8.0  # distance from a boundary at which no sample errs
# Seeds that the project plans for so many cells; at smoke thirteen, whatever their number.
BUDGETS: Mapping[int, int] = {1: 16, 2: 24, 4: 48, 8: 48}
SMOKE = 13
DECIDED: tuple[Status, ...] = ("reproduced", "conditional", "absent", "refuted")
WEAKER: Mapping[Status, Status] = {"refuted": "absent"}
PATTERNS: tuple[Pattern, ...] = get_args(Pattern)
SURE = {
    "holds": Levels(0.0, 1.0),
    "fails": Levels(1.0, 0.0),
    "opposite": Levels(1.0, 0.0, 0.0),
    "open": Levels(1.0, 1.0),
}


@dataclass(frozen=True)
class Truth:
    """True medians of cells.

    Attributes:
        name: What they are, in words.
        medians: Median of each cell.
        outcomes: True outcome of each cell; open where the median is on a boundary.
    """

    name: str
    medians: tuple[float, ...]
    outcomes: tuple[str, ...]

    def status(self, reading: Reading) -> Status:
        """Return the status that is true."""
        return decide([SURE[outcome] for outcome in self.outcomes], reading, 0.01).status


def simulate_decisions(simulations: int) -> pd.DataFrame:
    """Simulate the decision table for every kind, 1, 2, 4 and 8 cells, at boundaries and one deviation beyond them.

    Args:
        simulations: Number of samples for each row.

    Returns:
        One row per kind, number of cells, dependence between them, budget of seeds and truth: shares of each status
        (``reproduced``, ``conditional``, ``absent``, ``refuted``), the status that is ``true``, the share that is
        ``false``, and the mean number of ``seeds`` that it took.
    """
    generator = np.random.default_rng(2)
    rows: list[dict[str, Any]] = []
    for cells, dependence in product(BUDGETS, ("independent", "dependent")):
        if cells == 1 and dependence == "dependent":
            continue
        for budget in (SMOKE, BUDGETS[cells]):
            noise = generator.standard_normal((simulations, budget, cells if dependence == "independent" else 1))
            for truth in truths(cells):
                rows += _rows(noise + np.array(truth.medians), truth, plan_looks(budget), dependence)
    return pd.DataFrame(rows)


def truths(cells: int) -> list[Truth]:
    """List the truths that are simulated: cells on a boundary among others that are not, and cells beyond one.

    Args:
        cells: Number of cells.
    """
    deep = {"holds": SMALLEST + DEEP, "fails": 0.0, "opposite": -SMALLEST - DEEP}
    borders = {"between holding and failing": SMALLEST, "between failing and opposite": -SMALLEST}
    found = []
    for (border, median), (others, far), many in product(borders.items(), deep.items(), sorted({1, cells})):
        name = f"{many} of {cells} {border}" + ("" if many == cells else f", others {others}")
        outcomes = ("open" if median > 0 else "fails",) * many + (others,) * (cells - many)
        found.append(Truth(name, (median,) * many + (far,) * (cells - many), outcomes))
    beyond = {"holds": SMALLEST + 1, "fails": SMALLEST - 1, "opposite": -SMALLEST - 1}
    for outcome, median in beyond.items():
        found.append(Truth(f"all {outcome} by one deviation", (median,) * cells, (outcome,) * cells))
    if cells > 1:
        half = cells // 2
        medians = (beyond["holds"],) * half + (beyond["fails"],) * (cells - half)
        outcomes = ("holds",) * half + ("fails",) * (cells - half)
        found.append(Truth("half hold, half fail by one deviation", medians, outcomes))
    unique = {(truth.name, truth.medians): truth for truth in found}
    return list(unique.values())


def decide_samples(effects: Array, looks: Sequence[Look], reading: Reading) -> tuple[npt.NDArray[np.intp], Array]:
    """Decide many samples at the first look at which every cell is settled, as the runner does.

    Args:
        effects: Effects [simulations, seeds, cells].
        looks: Looks at the growing sample.
        reading: Kind and scale of the statement.

    Returns:
        Place of the status in ``DECIDED`` (its length for inconclusive), and the number of seeds, [simulations] each.
    """
    row = statuses(reading)
    of_pattern = np.array([DECIDED.index(row[name]) if row[name] in DECIDED else len(DECIDED) for name in PATTERNS])
    final = np.full(len(effects), len(DECIDED))
    seeds = np.full(len(effects), looks[-1].seeds, dtype=float)
    waiting = np.ones(len(effects), dtype=bool)
    for look in looks:
        patterns, all_decided = _patterns(effects[:, : look.seeds], 1 - look.confidence())
        found = of_pattern[patterns]
        last = look.seeds == looks[-1].seeds
        stops = waiting & (all_decided & (found < len(DECIDED)) if not last else True)
        final[stops], seeds[stops] = found[stops], look.seeds
        waiting &= ~stops
    return final, seeds


def _patterns(effects: Array, level: float) -> tuple[npt.NDArray[np.intp], Truths]:
    """Return the place of each sample's pattern, and whether all of its cells are settled, [simulations] each."""
    n, cells = effects.shape[1:]
    tails = np.minimum(2 * scipy.stats.binom.cdf(np.arange(n + 1), n, 0.5), 1.0)
    holds = tails[(effects <= SMALLEST).sum(1)]
    fails = tails[(effects >= SMALLEST).sum(1)]
    opposite, not_opposite = (tails[(side).sum(1)] for side in (effects >= -SMALLEST, effects <= -SMALLEST))
    somewhere = [np.minimum(cells * levels.min(1), 1.0) for levels in (holds, fails)]
    needed = {
        "all hold": holds.max(1),
        "all opposite": opposite.max(1),
        "all fail": fails.max(1),
        "some hold, some fail": np.maximum(*somewhere),
        "hold, rest open": somewhere[0],
        "fail, rest open": somewhere[1],
        "all open": np.zeros(len(effects)),
    }
    seen = np.stack([needed[pattern] <= level for pattern in PATTERNS])
    first = seen.argmax(0)
    shared = np.array([pattern not in ("all hold", "all opposite", "all fail") for pattern in PATTERNS])[first]
    of_cell = np.where(shared, level / cells, level)[:, None]
    settled = (holds <= of_cell) | (opposite <= of_cell) | ((fails <= of_cell) & (not_opposite <= of_cell))
    return first, settled.all(1)


def _rows(effects: Array, truth: Truth, looks: Sequence[Look], dependence: str) -> Iterator[dict[str, Any]]:
    kinds: dict[str, Reading] = {kind: Reading(kind) for kind in get_args(Kind) if kind not in ("theorem", "advice")}
    kinds["finding at its own scale"] = Reading("finding", "same")
    for name, reading in kinds.items():
        final, seeds = decide_samples(effects, looks, reading)
        shares = {str(status): float((final == place).mean()) for place, status in enumerate(DECIDED)}
        true = truth.status(reading)
        yield {
            "kind": name,
            "cells": effects.shape[2],
            "dependence": dependence,
            "n": looks[-1].seeds,
            "truth": truth.name,
            **shares,
            "true": true,
            "false": sum(share for status, share in shares.items() if status not in (true, WEAKER.get(true))),
            "seeds": float(seeds.mean()),
        }
