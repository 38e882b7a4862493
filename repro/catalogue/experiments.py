"""What an experiment is: a function from seeds, or from one seed, to a table of observations."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping
from functools import partial
from typing import Any

import pandas as pd

from repro.common import ClaimError, ObservationsError
from repro.engine import backend, join_tables

Experiment = Callable[..., Any]
Parameters = dict[str, Any]

FOR_ALL_SEEDS, FOR_ONE_SEED = "seeds", "seed"


def observe(experiment: Experiment, seeds: int | Iterable[int] = (), **parameters: Any) -> pd.DataFrame:
    """Run an experiment and return its observations.

    Args:
        experiment: Function that takes ``seeds``, a list, or ``seed``, one of them, or neither; and parameters by name.
        seeds: Seeds of the observations, or a single one; none for an experiment without randomness.
        **parameters: Parameters of the experiment.

    Returns:
        The table of observations. An experiment that takes one seed is called for each of them, and its tables are
        joined under a column ``seed``, which comes first; it may return a mapping from columns to values in place of a
        table.

    Raises:
        ClaimError: it returned something else.
        ObservationsError: it takes seeds, and its observations do not say which row is whose.

    Example:
        >>> def dice(seed, *, sides=6):
        ...     return {"shown": 1 + seed % sides}
        >>> observe(dice, [0, 1, 7])
           seed  shown
        0     0      1
        1     1      2
        2     7      2
    """
    backend.configure()
    chosen = [seeds] if isinstance(seeds, int) else list(seeds)
    match positional_names(experiment):
        case [first] if first == FOR_ONE_SEED:
            if not chosen:
                raise ClaimError(f"{_name(experiment)} takes a seed; give it one, or a list of seeds")
            tables = [
                _with_seed(experiment, seed, _table(experiment, experiment(seed, **parameters))) for seed in chosen
            ]
            is_tuned = any("tuning" in table.attrs for table in tables)
            return join_tables(tables) if is_tuned else pd.concat(tables, ignore_index=True)
        case [first] if first == FOR_ALL_SEEDS:
            observations = experiment(chosen, **parameters)
        case _:
            observations = experiment(**parameters)
    if not isinstance(observations, pd.DataFrame):
        raise ClaimError(f"{_name(experiment)} returned {_kind(observations)}, not a DataFrame")
    return observations


def takes_seeds(experiment: Experiment) -> bool:
    """Tell whether an experiment is random."""
    return positional_names(experiment) in ([FOR_ALL_SEEDS], [FOR_ONE_SEED])


def positional_names(function: Experiment) -> list[str]:
    """Name the parameters of a function that are not given by keyword alone."""
    parameters = inspect.signature(function).parameters
    return [name for name, parameter in parameters.items() if parameter.kind is not inspect.Parameter.KEYWORD_ONLY]


def defaults(function: Experiment) -> Parameters:
    """Return the parameters of a function that are given by keyword, with their defaults."""
    return {
        name: parameter.default
        for name, parameter in inspect.signature(function).parameters.items()
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY
    }


def _table(experiment: Experiment, observations: Any) -> pd.DataFrame:
    if isinstance(observations, pd.DataFrame):
        return observations
    if not isinstance(observations, Mapping):
        wanted = "a DataFrame, or a mapping from columns to values"
        raise ClaimError(f"{_name(experiment)} returned {_kind(observations)}, not {wanted}")
    is_row = not any(pd.api.types.is_list_like(value) for value in observations.values())
    return pd.DataFrame([observations] if is_row else dict(observations))


def _with_seed(experiment: Experiment, seed: int, table: pd.DataFrame) -> pd.DataFrame:
    if "seed" in table:
        raise ObservationsError(f"{_name(experiment)} takes one seed; leave the column 'seed' to what calls it")
    with_seed = table.copy(deep=False)
    with_seed.insert(0, "seed", seed)
    return with_seed


def _name(experiment: Experiment) -> str:
    return str(getattr(experiment.func if isinstance(experiment, partial) else experiment, "__qualname__", experiment))


def _kind(value: Any) -> str:
    return "nothing" if value is None else type(value).__name__
