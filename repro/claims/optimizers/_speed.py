"""How many steps a network takes to training losses, at the rate at which it is fastest."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from repro.engine import tune

TARGETS = (0.5, 0.1)  # training losses: of a network that begins to fit, and of one that has fitted


def steps_to(records, target):
    """Steps of each seed until its training loss is at the target, linear in its logarithm; infinite where never."""
    found = {}
    for seed, run in records.sort_values("step").groupby("seed"):
        step, loss = run["step"].to_numpy(float), run["train_loss"].to_numpy()
        reached = np.flatnonzero(loss <= target)
        if not len(reached):
            found[seed] = np.inf
        elif reached[0] == 0:
            found[seed] = step[0]
        else:
            before, after = reached[0] - 1, reached[0]
            part = np.log(loss[before] / target) / np.log(loss[before] / loss[after])
            found[seed] = step[before] + part * (step[after] - step[before])
    return pd.Series(found)


def fastest(arm, rates, seeds, *, slower=1.0, targets=TARGETS):
    """Count steps to the targets at the rate of the fewest steps to the last of them, and at a part of that rate.

    Rates are compared on seeds of their own, by medians; runs that do not get there come after those that do, in the
    order of their last loss.

    Args:
        arm: Arm of ``classifier``, measured every few steps.
        rates: Rates to begin with; the grid is widened where the best lies at its edge.
        seeds: Seeds to evaluate.
        slower: Part of the best rate at which the arm is run besides; one for none.
        targets: Training losses.

    Returns:
        Rows of ``seed``, ``target``, ``steps_to_target`` and ``share``, the part of the best rate; and the search.
    """
    objective = partial(_until, target=min(targets))
    tuning = tune(arm, {"learning_rate": list(rates)}, len(rates), objective=objective, widen=2)
    tables = []
    for share in dict.fromkeys((1.0, slower)):
        records = arm(seeds=list(seeds), learning_rate=share * tuning.best["learning_rate"]).records
        for target in targets:
            found = steps_to(records, target)
            columns = {"seed": found.index, "target": target, "steps_to_target": found.to_numpy(), "share": share}
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True), tuning


def _until(training, target):
    steps, last = steps_to(training.records, target), training.final.set_index("seed")
    never = last["step"] * (1 + last["train_loss"] / target)
    return float(steps.where(np.isfinite(steps), never).median())
