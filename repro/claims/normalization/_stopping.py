"""Training until the loss on held-out images is least, the fair end of a comparison of regularisers or batch sizes."""

from __future__ import annotations

from functools import lru_cache, partial

import pandas as pd

from repro.engine import keyed

TRIAL_SEEDS = (30_000_000, 30_000_001)  # beyond those of every run


def search(arm, rates, **grids):
    """Train trials on seeds of their own, over a grid of learning rates and of others, with images held out.

    What was searched before, as fresh seeds of a claim do, is not searched again.

    Args:
        arm: Arm with ``validate``.
        rates: Learning rates, ascending; where the best is the first or the last, one beyond it is tried.
        **grids: Lists of values of other hyperparameters.

    Returns:
        For each measurement the loss on held-out images, the median over seeds, indexed by rate, others and step.
    """

    def course(tried):
        return _course(keyed(partial(arm.validate, learning_rate=tried, **grids)), tuple(grids))

    found = course(list(rates))
    best_rate = found.idxmin()[0]
    beyond = [edge**2 / inner for edge, inner in (rates[:2], rates[:-3:-1]) if edge == best_rate]
    return pd.concat([found, course(beyond)]) if beyond else found


def best(course, limits):
    """Choose from a search what has the least loss on held-out images at some step, and when to stop.

    Args:
        course: Losses by hyperparameters and step, see ``search``.
        limits: Numbers of steps by label, within which the step is chosen, among those that were measured.

    Returns:
        The hyperparameters, and the step of each limit.
    """
    *names, _ = course.index.names
    chosen = dict(zip(names, course.idxmin()[:-1], strict=True))
    of_chosen = course.xs(tuple(chosen.values()), level=names)
    stops = {}
    for label, limit in limits.items():
        stops[label] = int(of_chosen[of_chosen.index <= limit].idxmin())
    return chosen, stops


def at_stops(records, stops):
    """Select the records at the step of each limit, with its label, which may be a tuple, as ``limit``."""
    tables = []
    for label, stop in stops.items():
        stopped = records[records["step"] == stop]
        tables.append(stopped.assign(limit=[label] * len(stopped)))
    return pd.concat(tables, ignore_index=True)


def trial(chosen, course, **labels):
    """Describe the outcome of a search, for ``observations.attrs["tuning"]``: whether the rate is at an edge."""
    rates = course.index.get_level_values("learning_rate")
    return {**chosen, **labels, "at_edge": bool(chosen["learning_rate"] in (rates.min(), rates.max()))}


@lru_cache(maxsize=64)
def _course(validate, names):
    records = validate.value(seeds=list(TRIAL_SEEDS)).records
    return records.groupby(["learning_rate", *names, "step"])["validation_loss"].median()
