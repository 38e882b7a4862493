"""Training until the loss on held-out images is least, the fair end of a comparison of regularisers or batch sizes."""

from __future__ import annotations

import pandas as pd

# Beyond the seeds of every run; those of searches are among them.
TRIAL_SEEDS = (30_000_000, 30_000_001)


def least_validation_loss(training):
    """Score a trial by the least loss on held-out images during it, the median over seeds."""
    return float(training.records.groupby("step")["validation_loss"].median().min())


def until_best(arm, seeds, limits, **best):
    """Train an arm, and stop where the loss on held-out images of seeds of its own is least.

    Args:
        arm: Arm with ``validate``.
        seeds: Seeds to train with, on all training images.
        limits: Numbers of steps by label, within which the step is chosen; a label may be a tuple.
        **best: Hyperparameters.

    Returns:
        All records, and those at the step of each limit, with its label as ``limit``.
    """
    trial = arm.validate(seeds=list(TRIAL_SEEDS), **best).records
    course = trial.groupby("step")["validation_loss"].median()
    records = arm(seeds=list(seeds), **best).records
    tables = []
    for label, limit in limits.items():
        within = course[course.index <= limit]
        stop = (within if len(within) else course.iloc[:1]).idxmin()
        stopped = records[records["step"] == stop]
        tables.append(stopped.assign(limit=[label] * len(stopped)))
    return records, pd.concat(tables, ignore_index=True)
