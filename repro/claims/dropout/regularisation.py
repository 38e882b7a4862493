"""What training with dropout does for a network."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Correction, Greater, Reported, claim, lectures, notes
from repro.engine import Training, classifier, compare_arms, convolution, corrupt_labels, load_data, mlp

with epy.lazy_imports():
    import keras


@claim(
    "Dropout alleviates overfitting.",
    source=(notes("Definition 3.36"), lectures("2.5.4")),
    kind="tendency",
    literature="Srivastava et al. 2014",
    criterion=AllOf(
        gap=Greater(
            "gap",
            of="no dropout",
            than="dropout",
            by="arm",
            smallest_ratio=1.2,
            because="a sixth less between test and training loss is the least that alleviates anything",
        ),
        test=Greater(
            "test_loss",
            of="no dropout",
            than="dropout",
            by="arm",
            smallest_ratio=1.05,
            because="a twentieth less test loss is worth a layer that costs next to nothing",
        ),
    ),
    smoke={"steps": 1000, "rates": (0.03, 0.1)},
    full={"data": "mnist", "images": 1000, "width": 1024, "steps": 5000},
    control={"dropped": 0.0},
    reported=(
        Reported(
            "1.60 %", measure="test error without dropout", setting="MNIST", place="Srivastava et al. 2014, table 2"
        ),
        Reported("1.25 %", measure="test error with dropout", setting="MNIST", place="Srivastava et al. 2014, table 2"),
    ),
)
def reduces_overfitting(
    seeds,
    *,
    noise=0.2,
    dropped=0.5,
    images=200,
    width=64,
    steps=2000,
    rates=(0.03, 0.1, 0.3, 1.0),
    data="digits",
):
    """Trains networks with and without dropout of half of their two layers of 64 ReLU units.

    Training data are 200 images, a fifth of them with wrong labels, without which there is little overfitting to
    alleviate. SGD with batches of 32 for 2000 steps, each arm at the rate of the least test loss on seeds of its own.
    The gap is the test loss minus the training loss at the end, both in inference mode. The control drops nothing.
    """
    chosen = small_set(data, images, noise)
    arms = {
        arm: classifier(mlp, chosen, steps=steps, metrics={}, widths=(width, width), dropout=rate)
        for arm, rate in (("no dropout", 0.0), ("dropout", dropped))
    }
    records = compare_arms(arms, {"learning_rate": list(rates)}, len(rates), seeds, objective="test_loss")
    return records.assign(gap=records["test_loss"] - records["train_loss"])


@claim(
    "Dropout prevents the co-adaptation of hidden units: they depend less on single others, and become more "
    "independent features.",
    source=lectures("2.5.4"),
    kind="tendency",
    literature="Hinton et al. 2012; Srivastava et al. 2014, section 7.1",
    criterion=Greater(
        "value",
        of="no dropout",
        than="dropout",
        by="arm",
        smallest_ratio=1.1,
        because="a tenth less is the least that deserves to be called prevention",
        each=("measure",),
    ),
    smoke={"steps": 300},
    full={"data": "mnist", "images": 1000, "steps": 5000},
    control={"dropped": 0.0},
    correction=Correction(
        "With dropout networks depend less on single hidden units. Their outputs are no less correlated: what one unit "
        "knows others have to know too, since it may be dropped.",
        measures=("damage",),
    ),
)
def reduces_coadaptation(
    seeds,
    *,
    dropped=0.5,
    measures=("damage", "correlation"),
    images=500,
    width=32,
    steps=1000,
    rates=(0.1, 0.3, 1.0),
    data="digits",
):
    """Removes single hidden units of trained networks, and correlates them.

    Networks of one hidden layer of 32 ReLU units with and without dropout of a half, SGD with batches of 32, each arm
    at the rate of the least test loss. Damage: the share of test images whose class changes when one unit is removed,
    averaged over units. Correlation: the mean absolute correlation of two units over test images; units that never
    change are left out. The mistake is to take less dependence for less correlation. The control drops nothing in
    either arm.
    """
    chosen = small_set(data, images)
    trained: dict[str, Training] = {}

    def arm(label, rate, **options):
        trained[label] = classifier(mlp, chosen, steps=steps, metrics={}, widths=(width,), dropout=rate)(**options)
        return trained[label]

    arms = {label: partial(arm, label, rate) for label, rate in (("no dropout", 0.0), ("dropout", dropped))}
    tuning = compare_arms(arms, {"learning_rate": list(rates)}, len(rates), seeds, objective="test_loss").attrs
    rows = []
    for label, training in trained.items():
        for seed, weights in zip(training.replicas["seed"], training.weights, strict=True):
            measured = dict(zip(("damage", "correlation"), _reliance(weights, chosen), strict=True))
            rows += [{"seed": seed, "arm": label, "measure": name, "value": measured[name]} for name in measures]
    table = pd.DataFrame(rows)
    table.attrs = tuning
    return table


def small_set(data, images, noise=0.0):
    """A few standardised training images, some with wrong labels, and all test images."""
    chosen = load_data(data).standardized().flat().subset(images, 0)
    return replace(chosen, y_train=corrupt_labels(chosen.y_train, chosen.classes, noise, 0))


def _reliance(weights, chosen):
    """Share of decisions on test images that a hidden unit changes, and mean absolute correlation of two of them."""
    first, bias, second, last = (weight for weight in weights if np.issubdtype(weight.dtype, np.floating))
    hidden = np.maximum(chosen.x_test @ first + bias, 0)
    logits = hidden @ second + last

    removed = logits - hidden.T[:, :, None] * second[:, None, :]  # [units, images, classes]
    damage = np.mean(removed.argmax(axis=-1) != logits.argmax(axis=-1))
    varying = hidden[:, hidden.std(axis=0) > 0]
    correlation = np.abs(np.corrcoef(varying.T))
    return damage, correlation[~np.eye(len(correlation), dtype=bool)].mean()


@claim(
    "Dropout on the densely connected layers only, rather than on every layer, can reduce overfitting better, and is "
    "computationally more efficient.",
    source=lectures("2.5.4"),
    kind="possibility",
    literature="Srivastava et al. 2014 drop in all layers, convolutional ones at lower rates",
    criterion=AllOf(
        error=Greater(
            "test_loss",
            of="every layer",
            than="dense layers",
            by="dropout",
            smallest_ratio=1.05,
            because="a twentieth less test loss is what dropout is worth in small networks",
        ),
        cost=Greater(
            "masked",
            of="every layer",
            than="dense layers",
            by="dropout",
            smallest_ratio=1.1,
            because="a tenth fewer random numbers in every step count as efficient",
        ),
    ),
    smoke={"steps": 150, "rates": (0.03,), "filters": 4},
    full={"data": "cifar10", "images": 20_000, "filters": 32, "width": 256, "steps": 20_000},
    control={"everywhere": False},
    seeds=16,
    decided_by="some 30 seeds: a quarter more loss is the median, but the interval begins at a fiftieth.",
)
def selective_layers(
    seeds,
    *,
    dropped=0.5,
    images=500,
    filters=8,
    width=64,
    steps=300,
    rates=(0.01, 0.03, 0.1),
    everywhere=True,
    data="digits",
):
    """Trains small convolutional networks on 500 images with dropout behind the dense layer or behind every layer.

    Two convolutions with ReLU, a dense layer of 64 units, SGD with momentum 0.9 and batches of 32, each arm at the rate
    of the least test loss, half of the outputs dropped. Less test loss after as many steps counts as less overfitting.
    The cost is counted in random numbers for each example and step. The control drops behind the dense layer in both
    arms.
    """
    chosen = load_data(data).standardized().subset(images, 0)
    places = {"dense layers": (0.0, dropped), "every layer": (dropped if everywhere else 0.0, dropped)}
    arms = {
        label: classifier(
            convolutional_network,
            chosen,
            steps=steps,
            optimizer=keras.optimizers.SGD(momentum=0.9),
            metrics={},
            filters=filters,
            width=width,
            dropped=rates_of_layers,
        )
        for label, rates_of_layers in places.items()
    }
    space = {"learning_rate": list(rates)}
    records = compare_arms(arms, space, len(rates), seeds, by="dropout", objective="test_loss")
    masked = {}
    for label, rates_of_layers in places.items():
        model = convolutional_network(
            shape=chosen.shape, classes=chosen.classes, filters=filters, width=width, dropped=rates_of_layers
        )
        dropping = [layer for layer in model.layers if isinstance(layer, keras.layers.Dropout)]
        masked[label] = sum(int(np.prod(layer.output.shape[1:])) for layer in dropping)
    return records.assign(masked=records["dropout"].map(masked))


def convolutional_network(*, shape, classes, filters, width, dropped):
    """Build a network of two convolutions and a dense layer, with dropout rates behind convolutions and dense layer."""
    behind_convolution, behind_dense = dropped

    def drop(rate):
        return [keras.layers.Dropout(rate)] if rate else []

    return keras.Sequential(
        [
            keras.Input(shape),
            convolution(filters, 3, padding="same", activation="relu"),
            *drop(behind_convolution),
            convolution(2 * filters, 3, strides=2, padding="same", activation="relu"),
            *drop(behind_convolution),
            keras.layers.Flatten(),
            keras.layers.Dense(width, activation="relu"),
            *drop(behind_dense),
            keras.layers.Dense(classes),
        ]
    )
