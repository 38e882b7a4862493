"""Fair hyperparameters: Keras Tuner oracles propose, the engine trains, every arm gets the same budget."""

from __future__ import annotations

import math
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache, partial
from typing import Any, Literal

import numpy as np
import pandas as pd
from etils import epy

from repro.common import ReproError
from repro.engine.identity import Keyed, keyed
from repro.engine.programs import is_number
from repro.engine.replicas import combinations
from repro.engine.training import Training

with epy.lazy_imports():
    import keras_tuner

Arm = Callable[..., Training]
Space = Mapping[str, list[Any] | tuple[float, float]]

HYPERBAND_EPOCHS = 9

# Beyond the seeds of every run.
TUNING_SEEDS = (30_000_000, 30_000_001)


@dataclass(frozen=True, eq=False)
class ValidatedArm:
    """An arm that can be tuned without its test data.

    Attributes:
        final: Function that trains on all training data and measures on test data.
        trial: Function that trains on some of the training data and measures, as ``test_<name>``, on the others.
    """

    final: Arm
    trial: Arm

    def __call__(self, **options: Any) -> Training:
        """Train on all training data."""
        return self.final(**options)

    def validate(self, **options: Any) -> Training:
        """Train for a trial: the records have ``validation_<name>`` in place of ``test_<name>``."""
        training = self.trial(**options)
        records = training.records.rename(columns=lambda name: re.sub("^test_", "validation_", name))
        return replace(training, records=records)


@dataclass(frozen=True)
class Validation:
    """An objective of trials that are validated, see ``ValidatedArm.validate``.

    Attributes:
        of: Column of the records or function of the training; the column ``validation_loss``, for instance, needs no
            ``Validation`` around it to be meant so.
    """

    of: str | Callable[[Training], float]


Objective = str | Callable[[Training], float] | Validation


@dataclass(frozen=True)
class Tuning:
    """The outcome of a search.

    Attributes:
        best: Hyperparameters with the lowest score, with Hyperband among the longest trials.
        trials: Table with one row per trial: the hyperparameters, ``score``, with Hyperband ``steps``, ``best``, which
            says whether it is the chosen one, and ``at_edge``, whether a hyperparameter of the chosen one lies at an
            edge.
        at_edge: Hyperparameters whose best value is the smallest or the largest of several in a list or grid.
    """

    best: dict[str, Any]
    trials: pd.DataFrame
    at_edge: tuple[str, ...] = ()

    def table(self, **labels: Any) -> list[dict[str, Any]]:
        """Return the trials as records with labels of the arm, for ``observations.attrs["tuning"]``."""
        return self.trials.assign(**labels).to_dict("records")  # type: ignore[return-value]


def tune(
    arm: Arm,
    space: Space,
    budget: int,
    *,
    objective: Objective = "train_loss",
    oracle: Literal["grid", "random", "bayesian", "hyperband"] = "grid",
    seeds: Sequence[int] = TUNING_SEEDS,
    steps: int | None = None,
    at_once: int = 64,
    widen: int = 0,
) -> Tuning:
    """Search the hyperparameters of one arm of a comparison.

    An oracle of Keras Tuner proposes trials, the engine trains them at once, and the oracle learns what came of them.
    Where there is nothing to choose, nothing is trained; where the same was searched before, as a claim's control and
    its further seeds do, it is not searched again.

    Args:
        arm: Function that trains with ``seeds`` and ``settings``, such as ``classifier(network, data, ...)``; for
            Hyperband also with ``steps``.
        space: Values of each hyperparameter by its name: a list, or the lower and upper limit of a logarithmic range as
            a tuple.
        budget: Number of trials, the same for every arm of a comparison; for a grid no smaller than the grid, and
            without the trials that ``widen`` adds.
        objective: Column of the records whose last value, the median over seeds, is minimised; or a function of the
            training. Infinite for runs that diverge. A column ``validation_<name>``, and what ``Validation`` holds, is
            that of trials on training data of which a part is held out.
        oracle: Oracle of Keras Tuner. The grid takes logarithmic ranges in as many steps as the budget allows.
            Hyperband's trials take a ninth, a third or all of ``steps``; a promising one starts afresh with three times
            as many.
        seeds: Seeds of the trials; disjoint from those of every evaluation.
        steps: Number of steps of Hyperband's longest trials; None for the other oracles.
        at_once: Number of trials that are proposed before the first of them is trained; with fewer, the Bayesian oracle
            learns more often.
        widen: Number of times that a grid, where the best of a positive hyperparameter lies at an edge, is widened by
            one value beyond it, in the ratio of the two outermost. Leave out hyperparameters with limits, such as
            momentum.

    Raises:
        ReproError: the budget is not positive or smaller than the grid, Hyperband has no steps, the records have no
            such column, the arm cannot be validated, something else than a grid is to be widened, or every trial
            diverged.

    Example:
        >>> from repro.engine import classifier, load_data, mlp
        >>> arm = classifier(mlp, load_data("digits").flat(), steps=50, widths=(16,))
        >>> tune(arm, {"learning_rate": [0.001, 0.1]}, budget=2).best
        {'learning_rate': 0.1}
        >>> tuning = tune(arm, {"learning_rate": [0.001, 0.01]}, budget=2, objective="validation_loss", widen=1)
        >>> tuning.trials["learning_rate"].round(6).tolist()
        [0.001, 0.01, 0.1]
    """
    if (oracle == "hyperband") != (steps is not None):
        raise ReproError("Hyperband needs the steps of its longest trials, and only Hyperband takes them")
    if budget < 1:
        raise ReproError(f"a search needs a budget of at least one trial, not {budget}")
    if widen and oracle != "grid":
        raise ReproError(f"only a grid can be widened; leave out widen={widen} for the oracle {oracle!r}")
    trial, score = _validated(arm, objective)
    if all(isinstance(values, list) and len(values) == 1 for values in space.values()):
        return Tuning({name: values[0] for name, values in space.items()}, pd.DataFrame())
    searched = _grid(space, budget) if oracle == "grid" else space
    evaluate = partial(_evaluated, arm=trial, seeds=list(seeds), objective=score)
    search = keyed(partial(_search, oracle, searched, evaluate, budget, steps, at_once, widen))
    rows, grid = _found(search)
    best = _best(rows, space)
    at_edge = tuple(name for name, values in grid.items() if _is_at_edge(best[name], values))
    table = [{**row, "best": row is best, "at_edge": row is best and bool(at_edge)} for row in rows]
    return Tuning({name: best[name] for name in space}, pd.DataFrame(table), at_edge)


Rows = list[dict[str, Any]]


@lru_cache(maxsize=32)
def _found(search: Keyed) -> tuple[Rows, dict[str, list[Any]]]:
    """Search, once for all that is searched alike."""
    return search.value()  # type: ignore[no-any-return]


def _search(
    oracle: str,
    space: Space,
    evaluate: Callable[..., Rows],
    budget: int,
    steps: int | None,
    at_once: int,
    widen: int,
) -> tuple[Rows, dict[str, list[Any]]]:
    """Evaluate what an oracle proposes and what a grid is widened by; return the trials, and the grid as it is then."""
    rows = _proposals(_oracle(oracle, space, budget), evaluate, budget, steps, at_once)
    grid = {name: list(values) for name, values in space.items() if isinstance(values, list)}
    for _ in range(widen):
        best = _best(rows, space)
        wider = {name: [*values, *_beyond(best[name], values)] for name, values in grid.items()}
        added = [values for values in combinations(wider) if any(values[name] not in grid[name] for name in grid)]
        if not added:
            break
        rows += evaluate(added)
        grid = wider
    return rows, grid


def _validated(arm: Arm, objective: Objective) -> tuple[Arm, str | Callable[[Training], float]]:
    """Return the function that trains for trials, and what scores them."""
    if isinstance(objective, str) and objective.startswith("validation_"):
        objective = Validation(objective)
    if not isinstance(objective, Validation):
        return arm, objective
    if not isinstance(arm, ValidatedArm):
        raise ReproError(
            f"the objective {objective.of!r} needs an arm that can be validated; make it with classifier(...), or as "
            "ValidatedArm(final=..., trial=...)"
        )
    return arm.validate, objective.of


def _proposals(oracle: Any, evaluate: Callable[..., Rows], budget: int, steps: int | None, at_once: int) -> Rows:
    """Evaluate what an oracle proposes; return hyperparameters and score of each trial."""
    rows: Rows = []
    with tempfile.TemporaryDirectory() as folder:
        oracle._set_project_dir(folder, "search")  # the public way runs through a tuner of Keras Tuner
        while trials := _proposed(oracle, min(at_once, budget - len(rows))):
            rows += evaluate([dict(trial.hyperparameters.values) for trial in trials], steps=steps)
            for trial, row in zip(trials, rows[-len(trials) :], strict=True):
                trial.status = "COMPLETED" if math.isfinite(row["score"]) else "FAILED"
                if trial.status == "COMPLETED":
                    oracle.update_trial(trial.trial_id, {"score": row["score"]})
                oracle.end_trial(trial)
    return rows


def _evaluated(
    proposed: Sequence[Mapping[str, Any]],
    arm: Arm,
    seeds: list[int],
    objective: str | Callable[[Training], float],
    steps: int | None = None,
) -> Rows:
    """Train the proposed values, all of one length at once; return hyperparameters and score of each."""
    rows = [{name: value for name, value in values.items() if not name.startswith("tuner/")} for values in proposed]
    shares = [values.get("tuner/epochs") for values in proposed]
    for share in dict.fromkeys(shares):
        chosen = [row for row, of_row in zip(rows, shares, strict=True) if of_row == share]
        length = {} if share is None or steps is None else {"steps": steps * share // HYPERBAND_EPOCHS}
        training = arm(seeds=seeds, settings=[dict(row) for row in chosen], **length)
        for row in chosen:
            row.update(score=_score(training.of(**row), objective), **length)
    return rows


def _best(rows: Sequence[dict[str, Any]], space: Space) -> dict[str, Any]:
    finite = [row for row in rows if math.isfinite(row["score"])]
    if not finite:
        raise ReproError(f"every trial of the search over {', '.join(space)} diverged; include smaller learning rates")
    return min(finite, key=lambda row: (-row.get("steps", 0), row["score"]))


def _is_at_edge(best: Any, values: Sequence[Any]) -> bool:
    """Tell whether a number is the smallest or the largest of several."""
    return len(set(values)) > 1 and all(map(is_number, values)) and best in (min(values), max(values))


def _beyond(best: Any, values: Sequence[Any]) -> list[Any]:
    """Continue positive numbers beyond the edge where the best of them lies, in the ratio of the two outermost."""
    if not _is_at_edge(best, values):
        return []
    inner, outer = sorted(set(values), reverse=best == min(values))[-2:]
    if min(inner, outer) <= 0:
        return []
    further = outer * (outer / inner)
    whole = round(further) if all(isinstance(value, int) for value in values) else further
    return [whole] if whole and whole not in values else []


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
