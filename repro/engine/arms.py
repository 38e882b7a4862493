"""The arms of a comparison: classifiers that differ in one thing, each trained at its own tuned hyperparameters."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any

import pandas as pd
from etils import epy

from repro.engine.data import ImageData
from repro.engine.replicas import ModelFunction
from repro.engine.training import Record, Training, train
from repro.engine.tuning import Arm, Space, tune

with epy.lazy_imports():
    import keras


def classifier(
    network: ModelFunction,
    data: ImageData,
    *,
    steps: int,
    batch_size: int = 32,
    optimizer: Any = "sgd",
    every: int | None = None,
    metrics: Mapping[str, Callable[[Any, Any], Any]] | None = None,
    **grids: Any,
) -> Arm:
    """Prepare an arm: networks with one logit for each class, trained by softmax cross-entropy.

    Args:
        network: Function that builds a Keras model. Of the sizes of the data it is given those that it takes:
            ``inputs`` (numbers per example) and ``outputs`` (classes), or ``shape`` and ``classes``.
        data: Examples to train and to test on.
        steps: Number of optimiser steps.
        batch_size: Number of examples per step; all of them where there are fewer.
        optimizer: Keras optimiser, or its name.
        every: Number of steps between measurements; None for one at the end.
        metrics: Measurements besides the loss, see ``Record``; by default ``accuracy``.
        **grids: Values, or lists of values, for parameters of the network and of the optimiser, see ``train``.

    Returns:
        A function of ``seeds`` and further grids that trains the networks, for ``tune`` and ``compare_arms``.

    Example:
        >>> digits = load_data("digits").standardized().flat()
        >>> arm = classifier(mlp, digits, steps=30, widths=(16,))
        >>> arm(seeds=[0, 1], learning_rate=0.1).final[["seed", "test_accuracy"]].shape
        (2, 2)
    """
    measured = {"accuracy": keras.metrics.sparse_categorical_accuracy} if metrics is None else metrics
    sizes = {
        "inputs": data.x_train[0].size,
        "outputs": data.classes,
        "shape": data.x_train.shape[1:],
        "classes": data.classes,
    }
    taken = inspect.signature(network).parameters
    options = {name: value for name, value in sizes.items() if name in taken and name not in grids} | grids
    return partial(
        train,
        network,
        data,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        optimizer=optimizer,
        steps=steps,
        batch_size=min(batch_size, len(data.x_train)),
        record=Record(every=every, metrics=measured),
        **options,
    )


def compare_arms(
    arms: Mapping[Any, Arm],
    space: Space,
    budget: int,
    seeds: Sequence[int],
    *,
    by: str = "arm",
    objective: str | Callable[[Training], float] = "train_loss",
    **labels: Any,
) -> pd.DataFrame:
    """Train the arms of a comparison, each at its own tuned hyperparameters, on the same seeds.

    Args:
        arms: Arms by label.
        space: Values or range of each hyperparameter by its name, the same for every arm.
        budget: Number of trials for each arm.
        seeds: Seeds to train with; one seed draws the same batches in every arm.
        by: Name of the column that holds the labels.
        objective: Quantity that the searches minimise, see ``tune``.
        **labels: Columns of the records and of the trials, the same for all arms.

    Returns:
        The records of all arms; the trials of their searches are in ``attrs["tuning"]``.
    """
    tables = []
    for label, arm in arms.items():
        tuning = tune(arm, space, budget, objective=objective)
        tables.append(arm(seeds=list(seeds), **tuning.best).records.assign(**labels, **{by: label}))
        tables[-1].attrs["tuning"] = tuning.table(**labels, **{by: label})
    return join_tables(tables)


def join_tables(tables: Sequence[pd.DataFrame]) -> pd.DataFrame:
    """Join tables of observations, with the trials of their searches."""
    observations = pd.concat(tables, ignore_index=True)
    observations.attrs["tuning"] = [trial for table in tables for trial in table.attrs.get("tuning", [])]
    return observations
