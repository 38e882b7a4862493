"""What normalisation layers do for training."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from etils import epy

from repro import Greater, claim, lectures
from repro.data import load
from repro.training import Record, train
from repro.tuning import compare

with epy.lazy_imports():
    import keras


@claim(
    "Batch normalisation makes training converge faster.",
    source=lectures("2.3.4"),
    literature="Ioffe and Szegedy 2015",
    criterion=Greater(
        "steps",
        of="plain",
        than="batch normalisation",
        by="arm",
        factor=1.2,
        because="a sixth of the steps is about what the layers' own arithmetic costs in networks this narrow",
        each=("activation",),
    ),
    smoke={"activations": ("sigmoid",), "steps": 300, "trials": 4},
    full={"data": "mnist", "widths": (100, 100, 100), "steps": 6000, "target": 0.97, "trials": 16},
    control={"statistics": "frozen"},
    tags=("headline",),
    reported={"Ioffe and Szegedy 2015, Inception on ImageNet, plain / batch normalisation": 14},
)
def bn_speeds_up(
    seeds,
    *,
    activations=("sigmoid", "relu"),
    widths=(64, 64, 64),
    steps=600,
    every=3,
    target=0.9,
    trials=8,
    statistics="batch",
    data="digits",
):
    """Counts the steps until the test accuracy reaches a target, with and without batch normalisation.

    Networks of three hidden layers on standardised images, stochastic gradient descent with batches of 32, each arm at
    the learning rate of the fewest steps on seeds of its own. The effect is the paired ratio of steps. A run that does
    not get there counts as infinite. With frozen statistics (mean 0, variance 1) the layers are there and normalise
    nothing. Ioffe and Szegedy's factor of 14 is from a network far deeper, trained for millions of steps.
    """
    images = load(data).standardized().flat()
    observations, trials_of_all = [], []
    for activation in activations:
        arms = {
            label: partial(
                train,
                normalized_network,
                images,
                loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                optimizer=keras.optimizers.SGD(),
                steps=steps,
                batch_size=32,
                record=Record(every=every, metrics={"accuracy": keras.metrics.sparse_categorical_accuracy}),
                inputs=images.x_train.shape[1],
                outputs=images.classes,
                widths=widths,
                activation=activation,
                statistics=chosen,
            )
            for label, chosen in (("plain", "none"), ("batch normalisation", statistics))
        }
        records = compare(
            arms,
            {"learning_rate": (0.01, 10.0)},
            trials,
            seeds,
            objective=lambda training: float(_steps_to(target, training.records, ["seed"]).median()),
        )
        observations.append(_steps_to(target, records, ["seed", "arm"]).rename("steps").reset_index())
        observations[-1]["activation"] = activation
        trials_of_all += [{"activation": activation, **trial} for trial in records.attrs["tuning"]]
    table = pd.concat(observations, ignore_index=True)
    table.attrs["tuning"] = trials_of_all
    return table


def normalized_network(*, inputs, outputs, widths, activation, statistics):
    """Build a network with batch normalisation before every activation: of the batch, frozen, or none."""
    layers = [keras.Input((inputs,))]
    for width in widths:
        layers.append(keras.layers.Dense(width))
        if statistics != "none":
            layers.append(keras.layers.BatchNormalization(momentum=0.9, trainable=statistics == "batch"))
        layers.append(keras.layers.Activation(activation))
    return keras.Sequential([*layers, keras.layers.Dense(outputs)])


def _steps_to(target, records, by):
    """First step at which the test accuracy reaches the target; infinite where it never does."""
    reached = records["step"].where(records["test_accuracy"] >= target, np.inf)
    return reached.groupby([records[name] for name in by]).min()
