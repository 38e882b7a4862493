"""The arms of a comparison: classifiers that differ in one thing, each trained at its own tuned hyperparameters."""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
from etils import epy

from repro.common import ReproError
from repro.engine.data import ImageData
from repro.engine.examples import examples_of
from repro.engine.replicas import ModelFunction
from repro.engine.training import Record, Training, train
from repro.engine.tuning import Arm, Objective, Space, ValidatedArm, tune

with epy.lazy_imports():
    import keras


def classifier(
    network: ModelFunction,
    data: ImageData | Callable[[int], ImageData],
    *,
    steps: int,
    batch_size: int = 32,
    optimizer: Any = "sgd",
    every: int | None = None,
    metrics: Mapping[str, Callable[[Any, Any], Any]] | None = None,
    validation: float = 0.2,
    **grids: Any,
) -> ValidatedArm:
    """Prepare an arm: networks with one logit for each class, trained by softmax cross-entropy.

    Args:
        network: Function that builds a Keras model. Of the sizes of the data it is given those that it takes:
            ``inputs`` (numbers per example) and ``outputs`` (classes), or ``shape`` and ``classes``.
        data: Examples to train and to test on: the same for all seeds, or a function that draws those of a seed, always
            in the same shapes.
        steps: Number of optimiser steps.
        batch_size: Number of examples per step; all of them where there are fewer.
        optimizer: Keras optimiser, or its name.
        every: Number of steps between measurements; None for one at the end.
        metrics: Measurements besides the loss, see ``Record``; by default ``accuracy``.
        validation: Share of the training images that trials hold out where the objective of their search is one of
            validation; always the same images, unless each seed has its own.
        **grids: Values, or lists of values, for parameters of the network and of the optimiser, see ``train``.

    Returns:
        A function of ``seeds`` and further grids that trains the networks, for ``tune`` and ``compare_arms``; its
        ``validate`` does so for a trial.

    Example:
        >>> digits = load_data("digits").standardized().flat()
        >>> arm = classifier(mlp, digits, steps=30, widths=(16,))
        >>> arm(seeds=[0, 1], learning_rate=0.1).final[["seed", "test_accuracy"]].shape
        (2, 2)
        >>> redrawn = classifier(mlp, lambda seed: digits.subset(300, seed), steps=30, widths=(16,))
        >>> redrawn.validate(seeds=[0, 1], learning_rate=0.1).final[["seed", "validation_accuracy"]].shape
        (2, 2)
    """
    measured = {"accuracy": keras.metrics.sparse_categorical_accuracy} if metrics is None else metrics
    taken = tuple(inspect.signature(network).parameters)

    def on(chosen: ImageData | Callable[[int], ImageData]) -> Arm:
        images = examples_of(chosen, 0)
        sizes = {
            "inputs": images.x_train[0].size,
            "outputs": images.classes,
            "shape": images.x_train.shape[1:],
            "classes": images.classes,
        }
        options = {name: value for name, value in sizes.items() if name in taken and name not in grids} | grids
        return partial(
            train,
            network,
            chosen,
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            optimizer=optimizer,
            steps=steps,
            batch_size=min(batch_size, len(images.x_train)),
            record=Record(every=every, metrics=measured),
            **options,
        )

    def trial(**options: Any) -> Training:
        if callable(data):
            return on(lambda seed: data(seed).held_out(validation, seed))(**options)
        return on(data.held_out(validation, 0))(**options)

    return ValidatedArm(on(data), trial)


def compare_arms(
    arms: Mapping[Any, Arm],
    space: Space,
    budget: int,
    seeds: Sequence[int],
    *,
    by: str = "arm",
    objective: Objective = "train_loss",
    widen: int = 0,
    **labels: Any,
) -> pd.DataFrame:
    """Train the arms of a comparison, each at its own tuned hyperparameters, on the same seeds.

    Args:
        arms: Arms by label.
        space: Values or range of each hyperparameter by its name, the same for every arm.
        budget: Number of trials for each arm.
        seeds: Seeds to train with; one seed draws the same batches in every arm.
        by: Name of the column that holds the labels.
        objective: Quantity that the searches minimise, see ``tune``; with ``"validation_loss"`` they do not read test
            data, which only the final training is measured on.
        widen: Number of times that a grid is widened where its best lies at an edge, see ``tune``.
        **labels: Columns of the records and of the trials, the same for all arms.

    Returns:
        The records of all arms; the trials of their searches are in ``attrs["tuning"]``.
    """
    tables = []
    for label, arm in arms.items():
        tuning = tune(arm, space, budget, objective=objective, widen=widen)
        tables.append(arm(seeds=list(seeds), **tuning.best).records.assign(**labels, **{by: label}))
        tables[-1].attrs["tuning"] = tuning.table(**labels, **{by: label})
    return join_tables(tables)


def horizons(records: pd.DataFrame, shares: Sequence[float] = (0.5, 1.0)) -> pd.DataFrame:
    """Choose measurements after parts of the training, whose length is a condition like any other.

    Args:
        records: Table with a row per replica and measurement, and its ``step``, such as ``Training.records``.
        shares: Shares of the last step.

    Returns:
        The rows at these steps, with their number as ``steps`` in place of ``step``.

    Raises:
        ReproError: not every replica was measured then.

    Example:
        >>> records = pd.DataFrame({"seed": [0, 0, 1, 1], "step": [50, 100] * 2, "test_loss": [0.9, 0.5, 0.8, 0.6]})
        >>> horizons(records).groupby("steps")["test_loss"].mean()
        steps
        50     0.85
        100    0.55
        Name: test_loss, dtype: float64
    """
    last = records["step"].max()
    measured = records["step"].value_counts()
    steps = {share: round(share * last) for share in shares}
    for share, step in steps.items():
        if not math.isclose(step, share * last) or measured.get(step, 0) != measured[last]:
            raise ReproError(
                f"not every replica was measured after {share * last:g} of {last} steps; measure there with "
                "Record(every=...) or classifier(every=...)"
            )
    chosen = records[records["step"].isin(steps.values())]
    return chosen.rename(columns={"step": "steps"}).astype({"steps": int}).reset_index(drop=True)


def join_tables(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join tables of observations, with the trials of their searches."""
    observations = pd.concat(tables, ignore_index=True)
    observations.attrs["tuning"] = [trial for table in tables for trial in table.attrs.get("tuning", [])]
    return observations
