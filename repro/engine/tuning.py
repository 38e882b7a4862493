"""Fair hyperparameters: Keras Tuner oracles propose, the engine trains, every arm gets the same budget."""

from __future__ import annotations

import math
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
import pandas as pd
from etils import epy

from repro.common import ReproError
from repro.engine.training import Training

with epy.lazy_imports():
    import keras_tuner

Arm = Callable[..., Training]
Space = Mapping[str, list[Any] | tuple[float, float]]

HYPERBAND_EPOCHS = 9

TUNING_SEEDS = (1_000_000, 1_000_001)


@dataclass(frozen=True)
class Tuning:
    """The outcome of a search.

    Attributes:
        best: Hyperparameters with the lowest score, with Hyperband among the longest trials.
        trials: Table with one row per trial: the hyperparameters, ``score``, and with Hyperband ``steps``.
    """

    best: dict[str, Any]
    trials: pd.DataFrame

    def table(self, **labels: Any) -> list[dict[str, Any]]:
        """Return the trials as records with labels of the arm, for ``observations.attrs["tuning"]``."""
        return self.trials.assign(**labels).to_dict("records")  # type: ignore[return-value]


def tune(
    arm: Arm,
    space: Space,
    budget: int,
    *,
    objective: str | Callable[[Training], float] = "train_loss",
    oracle: Literal["grid", "random", "bayesian", "hyperband"] = "grid",
    seeds: Sequence[int] = TUNING_SEEDS,
    steps: int | None = None,
    at_once: int = 64,
) -> Tuning:
    """Search the hyperparameters of one arm of a comparison.

    An oracle of Keras Tuner proposes trials, the engine trains them at once, and the oracle learns what came of them.
    Where there is nothing to choose, nothing is trained.

    Args:
        arm: Function that trains with ``seeds`` and ``settings``, such as ``classifier(network, data, ...)``; for
            Hyperband also with ``steps``.
        space: Values of each hyperparameter by its name: a list, or the lower and upper limit of a logarithmic range as
            a tuple.
        budget: Number of trials, the same for every arm of a comparison; for a grid no smaller than the grid.
        objective: Column of the records whose last value, the median over seeds, is minimised; or a function of the
            training. Infinite for runs that diverge.
        oracle: Oracle of Keras Tuner. The grid takes logarithmic ranges in as many steps as the budget allows.
            Hyperband's trials take a ninth, a third or all of ``steps``; a promising one starts afresh with three times
            as many.
        seeds: Seeds of the trials; disjoint from those of an evaluation, which count from zero.
        steps: Number of steps of Hyperband's longest trials; None for the other oracles.
        at_once: Number of trials that are proposed before the first of them is trained; with fewer, the Bayesian oracle
            learns more often.

    Raises:
        ReproError: the budget is not positive or smaller than the grid, Hyperband has no steps, the records have no
            such column, or every trial diverged.

    Example:
        >>> from repro.engine import classifier, load_data, mlp
        >>> arm = classifier(mlp, load_data("digits").flat(), steps=50, widths=(16,))
        >>> tune(arm, {"learning_rate": [0.001, 0.1]}, budget=2).best
        {'learning_rate': 0.1}
    """
    if (oracle == "hyperband") != (steps is not None):
        raise ReproError("Hyperband needs the steps of its longest trials, and only Hyperband takes them")
    if budget < 1:
        raise ReproError(f"a search needs a budget of at least one trial, not {budget}")
    if all(isinstance(values, list) and len(values) == 1 for values in space.values()):
        return Tuning({name: values[0] for name, values in space.items()}, pd.DataFrame())
    proposing = _oracle(oracle, space if oracle != "grid" else _grid(space, budget), budget)
    rows: list[dict[str, Any]] = []
    with tempfile.TemporaryDirectory() as folder:
        proposing._set_project_dir(folder, "search")  # the public way runs through a tuner of Keras Tuner
        while trials := _proposed(proposing, min(at_once, budget - len(rows))):
            rows += _evaluated(trials, arm, list(seeds), objective, steps)
            for trial, row in zip(trials, rows[-len(trials) :], strict=True):
                trial.status = "COMPLETED" if math.isfinite(row["score"]) else "FAILED"
                if trial.status == "COMPLETED":
                    proposing.update_trial(trial.trial_id, {"score": row["score"]})
                proposing.end_trial(trial)
    finite = [row for row in rows if math.isfinite(row["score"])]
    if not finite:
        raise ReproError(f"every trial of the search over {', '.join(space)} diverged; include smaller learning rates")
    best = min(finite, key=lambda row: (-row.get("steps", 0), row["score"]))
    return Tuning({name: best[name] for name in space}, pd.DataFrame(rows))


def _evaluated(
    trials: Sequence[Any],
    arm: Arm,
    seeds: list[int],
    objective: str | Callable[[Training], float],
    steps: int | None,
) -> list[dict[str, Any]]:
    """Train the trials, all of one length at once; return hyperparameters and score of each."""
    proposed = [dict(trial.hyperparameters.values) for trial in trials]
    rows = [{name: value for name, value in values.items() if not name.startswith("tuner/")} for values in proposed]
    shares = [values.get("tuner/epochs") for values in proposed]
    for share in dict.fromkeys(shares):
        chosen = [row for row, of_row in zip(rows, shares, strict=True) if of_row == share]
        length = {} if share is None or steps is None else {"steps": steps * share // HYPERBAND_EPOCHS}
        training = arm(seeds=seeds, settings=[dict(row) for row in chosen], **length)
        for row in chosen:
            row.update(score=_score(training.of(**row), objective), **length)
    return rows


def _proposed(oracle: Any, count: int) -> list[Any]:
    """Ask an oracle for trials until there are enough or it has no more to propose for now."""
    trials: list[Any] = []
    while len(trials) < count:
        trial = oracle.create_trial(f"engine {len(trials)}")  # one tuner would be given the same trial again
        if trial.status in ("STOPPED", "IDLE"):
            break
        trials.append(trial)
    return trials


def _score(training: Training, objective: str | Callable[[Training], float]) -> float:
    if callable(objective):
        return objective(training)
    columns = training.final.columns
    if objective not in columns:
        raise ReproError(f"the records have no {objective!r} to minimise; they have {', '.join(columns)}")
    return float(training.final[objective].median())


def _grid(space: Space, budget: int) -> Space:
    """Replace the ranges of a space by as many values each as the budget allows."""
    listed = math.prod(len(values) for values in space.values() if isinstance(values, list))
    if listed > budget:
        raise ReproError(f"a grid of {listed} combinations needs a budget of as many trials, not {budget}")
    ranges = sum(isinstance(values, tuple) for values in space.values())
    steps = 1
    while ranges and listed * (steps + 1) ** ranges <= budget:
        steps += 1
    return {
        name: np.geomspace(*values, num=steps).tolist() if isinstance(values, tuple) else values
        for name, values in space.items()
    }


def _oracle(name: str, space: Space, budget: int) -> Any:
    hyperparameters = keras_tuner.HyperParameters()
    for parameter, values in space.items():
        if isinstance(values, tuple):
            hyperparameters.Float(parameter, *values, sampling="log")
        else:
            hyperparameters.Choice(parameter, values, ordered=not isinstance(values[0], str))
    oracles = {
        "grid": keras_tuner.oracles.GridSearchOracle,
        "random": keras_tuner.oracles.RandomSearchOracle,
        "bayesian": keras_tuner.oracles.BayesianOptimizationOracle,
        "hyperband": keras_tuner.oracles.HyperbandOracle,
    }
    lengths = {"max_epochs": HYPERBAND_EPOCHS} if name == "hyperband" else {}
    proposing = oracles[name](
        **lengths,
        objective=keras_tuner.Objective("score", "min"),
        hyperparameters=hyperparameters,
        tune_new_entries=False,
        seed=1,  # zero would stand for a random one
        max_consecutive_failed_trials=budget + 1,
    )
    proposing.max_trials = budget  # Hyperband does not take it otherwise
    proposing.verbose = 0
    return proposing
