"""Deep architectures: depth, shortcuts, and what they cost."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Greater, Reported, claim, lectures
from repro.engine import classifier, compare_arms, horizons, join_tables, load_data, residual_network

with epy.lazy_imports():
    import keras

SMOKE = {"depths": (8, 14), "images": 240, "epochs": 8, "rates": (0.03,)}
FULL = {
    "data": "cifar10",
    "images": 50_000,
    "depths": (20, 32, 44, 56),
    "width": 16,
    "epochs": 160,
    "batch_size": 128,
    "pixel_noise": 0.0,
}
# Part of the training after which networks are compared first: what lasts until the end is no slower start.
FIRST_LOOK = 0.25
PIXEL_STREAM = 4  # of random numbers of a seed


def depth_experiment(
    seeds,
    *,
    shortcut=0.0,
    depths=(8, 32),
    width=4,
    images=600,
    epochs=40,
    batch_size=24,
    pixel_noise=0.4,
    rates=(0.01, 0.03, 0.1),
    data="digits",
):
    """Trains one family of networks of increasing depth, each depth at its own tuned learning rate.

    The networks of He et al. 2016 for small images: three stages of 3x3 convolutions with batch normalisation, and
    parameter-free shortcuts times a factor; with factor zero they are the plain networks, with the same variables and
    the same batches for the same seed. Each seed redraws the training images, and normal noise on all pixels, whose
    values are from 0 to 1: without it the shallowest network makes no errors on digits. SGD with momentum 0.9; the rate
    with the lowest loss on held-out images, on seeds of its own. Errors are shares of misclassified images, in
    inference mode, after a quarter and after all of the steps: a row for each deeper network, and one for the
    shallowest beside it.
    """
    loaded = load_data(data)
    first_look = round(FIRST_LOOK * epochs * (images // batch_size))
    steps = round(first_look / FIRST_LOOK)
    arms = {
        depth: classifier(
            residual_network,
            lambda seed: _with_noise(loaded.subset(images, seed), pixel_noise, seed),
            steps=steps,
            batch_size=batch_size,
            optimizer=keras.optimizers.SGD(momentum=0.9),
            every=first_look,
            depth=depth,
            width=width,
            shortcut=shortcut,
        )
        for depth in depths
    }
    space = {"learning_rate": list(rates)}
    widen = 2 if len(rates) > 1 else 0
    records = compare_arms(arms, space, len(rates), seeds, by="layers", objective="validation_loss", widen=widen)
    found = horizons(records, (FIRST_LOOK, 1.0))
    found["train_error"], found["test_error"] = 1 - found["train_accuracy"], 1 - found["test_accuracy"]
    shallowest, *deeper = (table for _, table in found.groupby("layers", sort=True))
    tables = [
        pd.concat([table.assign(network="deeper"), shallowest.assign(network="shallowest")]).assign(
            depth=int(table["layers"].iloc[0])
        )
        for table in deeper
    ]
    tables[0].attrs = records.attrs
    columns = ["seed", "depth", "network", "steps", "train_loss", "test_loss", "train_error", "test_error"]
    return join_tables(tables)[columns]


def _with_noise(images, deviation, seed):
    generator = np.random.default_rng((seed, PIXEL_STREAM))
    x_train, x_test = (
        (x + generator.normal(scale=deviation, size=x.shape)).astype(np.float32)
        for x in (images.x_train, images.x_test)
    )
    return replace(images, x_train=x_train, x_test=x_test)


@claim(
    "As depth increases performance often worsens, on training as well as on test error: a difficulty of optimisation, "
    "not overfitting.",
    source=lectures("3.5.5"),
    kind="tendency",
    scope="plain, that is shortcut-free, convolutional classifiers of some twenty layers and more, trained to the end "
    "of their schedule; normalisation, initialisation and learning rate are left open",
    left_open=("depth",),
    literature="He et al. 2016, figure 1 and section 4.2; Xiao et al. 2018 train plain networks of 10,000 layers from "
    "a suitable initialisation",
    reads=depth_experiment,
    criterion=AllOf(
        training=Greater("train_error", of="deeper", than="shallowest", by="network", each=("depth", "steps")),
        test=Greater("test_error", of="deeper", than="shallowest", by="network", each=("depth", "steps")),
    ),
    smoke=SMOKE,
    full=FULL,
    control={"shortcut": 1.0},
    tags=("headline",),
    seeds=48,
    reported=(
        Reported("27.94 %", measure="top-1 error", setting="plain-18, ImageNet", place="He et al. 2016, table 2"),
        Reported("28.54 %", measure="top-1 error", setting="plain-34, ImageNet", place="He et al. 2016, table 2"),
    ),
)
def plain_degrades(observations):
    """Compares deeper networks with the shallowest, paired by seed, at two lengths of training.

    A gap that lasts tells worse optimisation from a slower start. Shortcuts, the control, take the difficulty away.
    """
    return observations


@claim(
    "Residual blocks let a network stack more layers without degradation.",
    source=lectures("3.5.5"),
    kind="tendency",
    scope="residual learning over identity shortcuts in convolutional networks for images, of 152 layers on ImageNet "
    "and 1202 on CIFAR; up to which depth is left open",
    left_open=("depth",),
    literature="He et al. 2016, section 4.2",
    reads=partial(depth_experiment, shortcut=1.0),
    criterion=AllOf(
        training=Greater(
            "train_error",
            of="shallowest",
            than="deeper",
            by="network",
            smallest_difference=-0.01,
            each=("depth", "steps"),
        ),
        test=Greater(
            "test_error",
            of="shallowest",
            than="deeper",
            by="network",
            smallest_difference=-0.01,
            each=("depth", "steps"),
        ),
    ),
    smoke=SMOKE,
    full=FULL,
    control={"shortcut": 0.0},
    tags=("headline",),
    seeds=48,
    reported=(
        Reported("8.75 %", measure="test error", setting="ResNet-20, CIFAR-10", place="He et al. 2016, table 6"),
        Reported("6.97 %", measure="test error", setting="ResNet-56, CIFAR-10", place="He et al. 2016, table 6"),
        Reported("6.43 %", measure="test error", setting="ResNet-110, CIFAR-10", place="He et al. 2016, table 6"),
        Reported("7.93 %", measure="test error", setting="ResNet-1202, CIFAR-10", place="He et al. 2016, table 6"),
    ),
)
def resnet_trains_deep(observations):
    """Asks that deeper networks are no worse than the shallowest by more than a point, paired by seed.

    Training error tells a failing optimisation from overfitting (He et al. 2016, section 1). Without shortcuts, the
    control, deeper networks are worse.
    """
    return observations
