"""What the ingredients of LeNet, AlexNet and VGG are worth, taken away one at a time."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from etils import epy

from repro import Correction, Greater, Reported, claim, lectures, notes
from repro.engine import classifier, compare_arms, convolution, load_data

with epy.lazy_imports():
    import keras

MARGIN = 0.01
REASON = "one point of error is what choosing another seed changes here, and nobody would call less a key"


def small_alexnet(
    *,
    shape,
    classes,
    filters=(8, 16, 16),
    hidden=32,
    activation="relu",
    pooling="maximum",
    dropout=0.5,
    decay=5e-4,
):
    """Build AlexNet for small images: convolutions, the first and last pooled with overlap, and one hidden dense layer.

    Args:
        shape: of the images.
        classes: number of classes.
        filters: of the 3x3 convolutions.
        hidden: units of the dense layer.
        activation: of all layers but the last.
        pooling: "maximum" or "average", over 3x3 windows with stride 2.
        dropout: probability of dropping a hidden unit.
        decay: factor of the squared weights in the loss, half of it.
    """
    penalty = keras.regularizers.L2(decay / 2) if decay else None
    options = {"padding": "same", "activation": activation, "kernel_regularizer": penalty}
    pool = {"maximum": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}[pooling]
    layers = [keras.Input(shape)]
    for number, width in enumerate(filters):
        layers.append(convolution(width, 3, **options))
        if number in (0, len(filters) - 1):
            layers.append(pool(3, 2, padding="same"))
    layers += [
        keras.layers.Flatten(),
        keras.layers.Dense(hidden, activation=activation, kernel_regularizer=penalty),
        *([keras.layers.Dropout(dropout)] if dropout else []),
        keras.layers.Dense(classes, kernel_regularizer=penalty),
    ]
    return keras.Sequential(layers)


ABLATIONS = {
    "ReLU": {"activation": "tanh"},
    "dropout": {"dropout": 0.0},
    "weight decay": {"decay": 0.0},
    "max pooling": {"pooling": "average"},
    "augmentation": {},
}


def alexnet_experiment(seeds, *, training_images=300, steps=400, batch_size=32, rates=(0.003, 0.01), data="digits"):
    """Trains a small AlexNet on few images, complete and without each of its five ingredients.

    Without ReLU the activation is tanh, as in Krizhevsky et al.'s comparison; without max pooling it is the average.
    Augmentation adds the images shifted by one pixel in four directions. Adam, each arm at the rate of the lowest test
    loss on seeds of its own; the test error is the share of misclassified images at the end.
    """
    source = load_data(data).subset(training_images, 0)
    arms = {}
    for name, changed in {"complete": {}, **ABLATIONS}.items():
        images = source if name == "augmentation" else _augmented(source)
        arms[name] = classifier(small_alexnet, images, steps=steps, batch_size=batch_size, optimizer="adam", **changed)
    observations = compare_arms(
        arms, {"learning_rate": list(rates)}, len(rates), seeds, by="without", objective="test_loss"
    )
    observations["test_error"] = 1 - observations["test_accuracy"]
    return observations[["seed", "without", "learning_rate", "train_loss", "test_loss", "test_error"]]


@claim(
    "ReLU, dropout, data augmentation, weight decay and max pooling were key to AlexNet's performance.",
    source=(notes("Remark 3.86"), lectures("3.5.1")),
    kind="finding",
    literature="Krizhevsky et al. 2012, sections 3.1, 3.4 and 4",
    reads=alexnet_experiment,
    criterion=Greater(
        "test_error",
        of="without",
        than="with",
        by="arm",
        smallest_difference=MARGIN,
        because=REASON,
        each=("ingredient",),
    ),
    smoke={"steps": 150, "rates": (0.003,)},
    full={"data": "mnist", "training_images": 1000, "steps": 10000},
    control={"without": "complete"},
    correction=Correction(
        "On few small images and in a short training max pooling is a key. With tanh instead of ReLU the network is no "
        "worse, dropout and augmentation cost it more than they are worth because it does not train long enough to "
        "need them, and what weight decay is worth is less than seeds differ by.",
        ingredients=("max pooling",),
    ),
    seeds=12,
    reported=(
        Reported(
            "0.4 points more",
            measure="top-1 error without overlapping pooling",
            setting="AlexNet, ImageNet",
            place="Krizhevsky et al. 2012, section 3.4",
        ),
        Reported(
            "over 1 point more",
            measure="top-1 error without colour augmentation",
            setting="AlexNet, ImageNet",
            place="Krizhevsky et al. 2012, section 4.1",
        ),
    ),
)
def alexnet_innovations(observations, *, ingredients=tuple(ABLATIONS), without=None):
    """Compares the test error without each ingredient with that of the complete network, paired by seed.

    The mistake, if it is one, is the scope: at the scale of AlexNet, 60 million parameters on a million images and a
    training to the end, each could matter more. In the control nothing is left out, which only shows that the criterion
    does not find what is not there.
    """
    complete = observations[observations["without"] == "complete"]
    tables = []
    for ingredient in ingredients:
        ablated = observations[observations["without"] == (without or ingredient)]
        for arm, rows in (("with", complete), ("without", ablated)):
            tables.append(rows.assign(arm=arm, ingredient=ingredient))
    return pd.concat(tables, ignore_index=True)


def lenet_experiment(seeds, *, training_images=1000, steps=600, batch_size=32, rates=(0.003, 0.01), data="digits"):
    """Trains LeNet for small images with both activations and both kinds of pooling.

    Two padded convolutions, 6 of 5x5 and 16 of 3x3, each pooled over 2x2 pixels, and dense layers of 120, 84 and 10
    units. Adam, each arm at the rate of the lowest training loss; the test error is the share of misclassified images
    at the end.
    """
    source = load_data(data).subset(training_images, 0)
    arms = {
        f"{activation}, {pooling}": classifier(
            small_lenet,
            source,
            steps=steps,
            batch_size=batch_size,
            optimizer="adam",
            activation=activation,
            pooling=pooling,
        )
        for activation in ("sigmoid", "relu")
        for pooling in ("average", "maximum")
    }
    observations = compare_arms(arms, {"learning_rate": list(rates)}, len(rates), seeds)
    observations["test_error"] = 1 - observations["test_accuracy"]
    return observations[["seed", "arm", "learning_rate", "train_loss", "test_loss", "test_error"]]


CHANGES = {
    "activation, average pooling": ("sigmoid, average", "relu, average"),
    "activation, max pooling": ("sigmoid, maximum", "relu, maximum"),
    "pooling, sigmoid": ("sigmoid, average", "sigmoid, maximum"),
    "pooling, ReLU": ("relu, average", "relu, maximum"),
    "both": ("sigmoid, average", "relu, maximum"),
}


@claim(
    "In LeNet ReLU and max pooling work better than the sigmoid and average pooling.",
    source=notes("Remark 3.85"),
    kind="tendency",
    literature="Zhang et al. 2021, section 6.6",
    reads=lenet_experiment,
    criterion=Greater(
        "test_error", of="old", than="new", by="version", smallest_difference=MARGIN, because=REASON, each=("change",)
    ),
    smoke={
        "steps": 150,
        "rates": (0.01,),
        "changes": ("activation, average pooling", "activation, max pooling", "pooling, ReLU", "both"),
    },
    full={"data": "mnist", "training_images": 10000, "steps": 10000},
    control={"new": "old"},
    seeds=12,
    decided_by="some 200 seeds: with ReLU the two kinds of pooling differ by less than seeds do, and with max pooling "
    "a few networks of sigmoids do not learn at all.",
)
def relu_maxpool_beat_lenet(observations, *, changes=tuple(CHANGES), new="new"):
    """Compares the test error before and after each change, at either value of the other, and after both.

    The steps of profile smoke are too few for networks of sigmoids to learn, so that their pooling is left out there.
    In the control the new version is the old one.
    """
    tables = []
    for change in changes:
        arms = dict(zip(("old", "new"), CHANGES[change], strict=True))
        for version, arm in (("old", arms["old"]), ("new", arms[new])):
            tables.append(observations[observations["arm"] == arm].assign(version=version, change=change))
    return pd.concat(tables, ignore_index=True)


def small_lenet(*, shape, classes, activation, pooling):
    """Build LeNet for small images, with the given activation and kind of pooling."""
    pool = {"maximum": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}[pooling]
    return keras.Sequential(
        [
            keras.Input(shape),
            convolution(6, 5, padding="same", activation=activation),
            pool(2),
            convolution(16, 3, padding="same", activation=activation),
            pool(2),
            keras.layers.Flatten(),
            keras.layers.Dense(120, activation=activation),
            keras.layers.Dense(84, activation=activation),
            keras.layers.Dense(classes),
        ]
    )


# Filters and sides of the convolutions of both blocks, 16.3 to 16.7 thousand weights each on grey images.
STACKS = {
    "deep and narrow": (((16, 3), (16, 3)), ((32, 3), (32, 3))),
    "5x5": (((18, 5),), ((36, 5),)),
    "more channels": (((30, 3),), ((60, 3),)),
    "1x1": (((90, 1),), ((180, 1),)),
}


def stacks_experiment(
    seeds,
    *,
    training_images=1000,
    steps=500,
    batch_size=32,
    rates=(0.003, 0.01),
    data="digits",
):
    """Trains networks of two blocks with equally many weights: two 3x3 convolutions a block, or one that is wider.

    Wider means a 5x5 filter, as in the paper, or more channels, of 3x3 or of a single pixel; the document does not say
    what is kept equal. A block ends in 2x2 max pooling; all activations are ReLU, the last maps are averaged, Adam,
    each arm at the rate of the lowest training loss.
    """
    source = load_data(data).subset(training_images, 0)
    arms = {
        name: classifier(blocks_network, source, steps=steps, batch_size=batch_size, optimizer="adam", blocks=blocks)
        for name, blocks in STACKS.items()
    }
    records = compare_arms(arms, {"learning_rate": list(rates)}, len(rates), seeds, by="network")
    records["test_error"] = 1 - records["test_accuracy"]
    return records[["seed", "network", "learning_rate", "train_loss", "test_error"]]


@claim(
    "Several layers of deep and narrow convolutions are more effective than fewer layers of wider convolutions.",
    source=notes("Remark 3.87"),
    kind="finding",
    literature="Simonyan and Zisserman 2014, section 4.1",
    reads=stacks_experiment,
    criterion=Greater(
        "test_error",
        of="wide",
        than="deep and narrow",
        by="arm",
        smallest_difference=MARGIN,
        because=REASON,
        each=("wider",),
    ),
    smoke={"steps": 150, "rates": (0.01,)},
    full={"data": "cifar10", "training_images": 20000, "steps": 20000, "batch_size": 128},
    control={"deep": "5x5"},
    correction=Correction(
        "At equally many weights depth is not what matters on images this small, only that convolutions see "
        "neighbouring pixels: several layers of 3x3 are more effective than one wide layer that sees a single pixel.",
        wider=("1x1",),
    ),
    seeds=12,
    reported=(
        Reported(
            "7 % higher",
            measure="top-1 error of 5x5 filters instead of pairs of 3x3",
            setting="ImageNet",
            place="Simonyan and Zisserman 2014, section 2.3",
        ),
    ),
)
def deep_narrow_beats_shallow_wide(observations, *, deep="deep and narrow", wider=("5x5", "more channels")):
    """Compares the test error of the deep network with those of the wide ones, paired by seed.

    In the control the deep network has one layer of 5x5 filters a block, too. In the correction the wider layers have
    filters of a single pixel.
    """
    tables = []
    for stack in wider:
        for arm, network in (("deep and narrow", deep), ("wide", stack)):
            tables.append(observations[observations["network"] == network].assign(arm=arm, wider=stack))
    return pd.concat(tables, ignore_index=True)


def blocks_network(*, shape, classes, blocks):
    """Build blocks of (filters, side) convolutions with ReLU, each pooled, and a linear layer on the mean maps."""
    layers = [keras.Input(shape)]
    for block in blocks:
        layers += [convolution(filters, side, padding="same", activation="relu") for filters, side in block]
        layers.append(keras.layers.MaxPooling2D(2))
    return keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(classes)])


def _augmented(images):
    """Add the training images shifted by a pixel up, down, left and right; zeros come in."""
    padded = np.pad(images.x_train, [(0, 0), (1, 1), (1, 1), (0, 0)])
    height, width = images.x_train.shape[1:3]
    shifts = ((1, 1), (0, 1), (2, 1), (1, 0), (1, 2))
    shifted = [padded[:, row : row + height, column : column + width] for row, column in shifts]
    return replace(images, x_train=np.concatenate(shifted), y_train=np.tile(images.y_train, len(shifts)))
