"""Deep architectures: depth, shortcuts, width, and what they cost."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Greater, PositiveControl, Reported, claim, lectures
from repro.claims.architectures._counts import multiplications, weighted_depth
from repro.engine import classifier, compare_arms, convolution, horizons, load_data

with epy.lazy_imports():
    import keras

# The passage means some twenty layers and more, in every profile.
SMOKE = {"width": 4, "wide": 7, "images": 480, "epochs": 8, "rates": (0.03,)}
FULL = {
    "data": "cifar10",
    "images": 50_000,
    "depths": (20, 56),
    "width": 16,
    "wide": 28,
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
    depths=(8, 20),
    width=5,
    wide=9,
    images=600,
    epochs=20,
    batch_size=24,
    pixel_noise=0.4,
    rates=(0.01, 0.03, 0.1),
    data="digits",
):
    """Trains a shallow and a deep network, and with shortcuts a shallow wide one, each at its own tuned rate.

    The networks of He et al. 2016 for small images: three stages of 3x3 convolutions with batch normalisation, and
    parameter-free shortcuts times a factor; with factor zero they are the plain networks, with the same variables and
    the same batches for the same seed. Each seed redraws the training images, and normal noise on all pixels, whose
    values are from 0 to 1: without it the shallow network makes no errors on digits. SGD with momentum 0.9; the rate
    with the lowest loss on held-out images, on seeds of its own. Errors are shares of misclassified images, in
    inference mode, after a quarter and after all of the steps; beside them, as ``earlier``, those after half and a
    quarter as many. Parameters, multiply-adds and the layers with kernels on the longest path are counted from the
    Keras models; the wide network has about as many as the deep one, and no more.
    """
    loaded = load_data(data)
    earliest = round(FIRST_LOOK / 2 * epochs * (images // batch_size))
    shapes = {"shallow": (depths[0], width), "deep": (depths[1], width)}
    if shortcut:
        shapes["wide"] = (depths[0], wide)
    options = {"shape": loaded.shape, "classes": loaded.classes}
    arms, costs = {}, []
    for name, (depth, filters) in shapes.items():
        arms[name] = classifier(
            scaled_residual_network,
            lambda seed: _with_noise(loaded.subset(images, seed), pixel_noise, seed),
            steps=round(2 * earliest / FIRST_LOOK),
            batch_size=batch_size,
            optimizer=keras.optimizers.SGD(momentum=0.9),
            every=earliest,
            depth=depth,
            width=filters,
            shortcut=shortcut,
        )
        model = scaled_residual_network(depth=depth, width=filters, **options)
        costs.append({"network": name, **_costs(model)})
    widen = 2 if len(rates) > 1 else 0
    space = {"learning_rate": list(rates)}
    records = compare_arms(arms, space, len(rates), seeds, by="network", objective="validation_loss", widen=widen)
    shares = (FIRST_LOOK / 2, FIRST_LOOK, 1.0)
    found = horizons(records, shares).merge(pd.DataFrame(costs), on="network").sort_values("steps", kind="stable")
    for split in ("train", "test"):
        found[f"{split}_error"] = 1 - found[f"{split}_accuracy"]
        found[f"earlier_{split}_error"] = found.groupby(["seed", "network"])[f"{split}_error"].shift()
    found.attrs = records.attrs
    columns = ["seed", "network", "steps", "train_loss", "test_loss", *(c for c in found.columns if "error" in c)]
    return found.loc[found["steps"] > earliest, [*columns, *COSTS]].reset_index(drop=True)


COSTS = ("parameters", "multiplications", "layers")


def scaled_residual_network(*, shape, classes, depth, width, shortcut=1.0, momentum=0.9):
    """Build the network of He et al. 2016, section 4.2, with shortcuts (option A) times a weight that is not trained.

    Three stages of (depth - 2) / 6 blocks of two 3x3 convolutions with batch normalisation; the later stages halve the
    image and double the channels. The factor is a weight, so that plain and residual networks are one program.
    """
    inputs = keras.Input(shape)
    x = keras.layers.ReLU()(_normalized(inputs, width, 1, momentum))
    for stage in range(3):
        channels = width * 2**stage
        for block in range((depth - 2) // 6):
            strides = 2 if stage and not block else 1
            y = keras.layers.ReLU()(_normalized(x, channels, strides, momentum))
            y = _normalized(y, channels, 1, momentum)
            if strides > 1:
                x = keras.layers.AveragePooling2D(1, strides=strides)(x)
                x = keras.layers.Concatenate()([x, keras.layers.Rescaling(0.0)(x)])  # channels of zeros
            factor = keras.layers.EinsumDense(
                "bhwc,c->bhwc",
                output_shape=x.shape[1:],
                kernel_initializer=keras.initializers.Constant(shortcut),
                trainable=False,
            )
            x = keras.layers.ReLU()(keras.layers.Add()([y, factor(x)]))
    x = keras.layers.GlobalAveragePooling2D()(x)
    return keras.Model(inputs, keras.layers.Dense(classes)(x))


def _normalized(x, filters, strides, momentum):
    options = {"strides": strides, "padding": "same", "use_bias": False, "kernel_initializer": "he_normal"}
    return keras.layers.BatchNormalization(momentum=momentum)(convolution(filters, 3, **options)(x))


def _costs(model):
    """Count what a network costs; a factor on a shortcut is no parameter of it."""
    return {
        "parameters": sum(int(np.prod(weight.shape)) for weight in model.trainable_weights),
        "multiplications": multiplications(model),
        "layers": weighted_depth(model),
    }


def _with_noise(images, deviation, seed):
    generator = np.random.default_rng((seed, PIXEL_STREAM))
    x_train, x_test = (
        (x + generator.normal(scale=deviation, size=x.shape)).astype(np.float32)
        for x in (images.x_train, images.x_test)
    )
    return replace(images, x_train=x_train, x_test=x_test)


def _pair(observations, first, second, by):
    """Keep two networks under the names of two arms; ``earlier`` before a network takes its errors of that time."""
    tables = []
    for arm, network in zip(by, (first, second), strict=True):
        name = network.removeprefix("earlier ")
        rows = observations[observations["network"] == name].assign(network=arm)
        if name != network:
            rows = rows.assign(**{f"{split}_error": rows[f"earlier_{split}_error"] for split in ("train", "test")})
        tables.append(rows)
    return pd.concat(tables, ignore_index=True)


@claim(
    "As depth increases performance often worsens, on training as well as on test error: a difficulty of optimisation, "
    "not overfitting.",
    source=lectures("3.5.5"),
    kind="tendency",
    scope="plain, that is shortcut-free, convolutional classifiers of some twenty layers and more, trained to the end "
    "of their schedule; normalisation, initialisation and learning rate are left open",
    literature="He et al. 2016, figure 1 and section 4.2; Xiao et al. 2018 train plain networks of 10,000 layers from "
    "a suitable initialisation",
    reads=depth_experiment,
    criterion=AllOf(
        training=Greater("train_error", of="deep", than="shallow", by="network", each=("steps",)),
        test=Greater("test_error", of="deep", than="shallow", by="network", each=("steps",)),
    ),
    smoke=SMOKE,
    full=FULL,
    control={"shortcut": 1.0},
    positive_control=PositiveControl(
        "The shallow network makes more errors after a part of the training.", deep="earlier shallow"
    ),
    tags=("headline",),
    seeds=48,
    reported=(
        Reported("27.94 %", measure="top-1 error", setting="plain-18, ImageNet", place="He et al. 2016, table 2"),
        Reported("28.54 %", measure="top-1 error", setting="plain-34, ImageNet", place="He et al. 2016, table 2"),
    ),
)
def plain_degrades(observations, *, deep="deep", shallow="shallow"):
    """Compares the deep network with the shallow one, paired by seed, at two lengths of training.

    A gap that lasts tells worse optimisation from a slower start. Shortcuts, the control, take the difficulty away.
    """
    return _pair(observations, deep, shallow, ("deep", "shallow"))


@claim(
    "Residual blocks let a network stack more layers without degradation.",
    source=lectures("3.5.5"),
    kind="tendency",
    scope="residual learning over identity shortcuts in convolutional networks for images, of 152 layers on ImageNet "
    "and 1202 on CIFAR; up to which depth is left open",
    literature="He et al. 2016, section 4.2",
    reads=partial(depth_experiment, shortcut=1.0),
    criterion=AllOf(
        training=Greater(
            "train_error", of="shallow", than="deep", by="network", smallest_difference=-0.01, each=("steps",)
        ),
        test=Greater("test_error", of="shallow", than="deep", by="network", smallest_difference=-0.01, each=("steps",)),
    ),
    smoke=SMOKE,
    full=FULL,
    control={"shortcut": 0.0},
    positive_control=PositiveControl(
        "The deep network makes fewer errors than after a part of its training.", shallow="earlier deep"
    ),
    tags=("headline",),
    seeds=48,
    reported=(
        Reported("8.75 %", measure="test error", setting="ResNet-20, CIFAR-10", place="He et al. 2016, table 6"),
        Reported("6.97 %", measure="test error", setting="ResNet-56, CIFAR-10", place="He et al. 2016, table 6"),
        Reported("6.43 %", measure="test error", setting="ResNet-110, CIFAR-10", place="He et al. 2016, table 6"),
        Reported("7.93 %", measure="test error", setting="ResNet-1202, CIFAR-10", place="He et al. 2016, table 6"),
    ),
)
def resnet_trains_deep(observations, *, shallow="shallow", deep="deep"):
    """Asks that the deep network is no worse than the shallow one by more than a point, paired by seed.

    Training error tells a failing optimisation from overfitting (He et al. 2016, section 1). Without shortcuts, the
    control, the deep network is worse.
    """
    return _pair(observations, shallow, deep, ("shallow", "deep"))


@claim(
    "More filters in each layer instead of more layers make a network more efficient to compute and let it be "
    "parallelised more effectively, and improve its performance without a significant increase in complexity.",
    source=lectures("3.5.7"),
    kind="finding",
    scope="residual networks for images against thin ones many times deeper; hardware, and whether complexity is "
    "parameters or operations, are left open",
    literature="Zagoruyko and Komodakis 2016, section 2 and table 5",
    reads=partial(depth_experiment, shortcut=1.0),
    criterion=AllOf(
        parameters=AtMost("parameters", "parameters_allowed", where={"network": "wide"}),
        multiplications=AtMost("multiplications", "multiplications_allowed", where={"network": "wide"}),
        longest_path=AtMost("layers", "layers_allowed", where={"network": "wide"}),
        performance=Greater("test_error", of="deep", than="wide", by="network", each=("steps",)),
    ),
    smoke=SMOKE,
    full=FULL,
    control={"wider": "shallow"},
    positive_control=PositiveControl(
        "The wide network makes more errors after a part of the training.", deep="earlier wide"
    ),
    seeds=48,
    reported=(
        Reported(
            "4.53 %",
            measure="test error, 8.9 million parameters",
            setting="WRN-40-4, CIFAR-10",
            place="Zagoruyko and Komodakis 2016, table 5",
        ),
        Reported(
            "4.92 %",
            measure="test error, 10.2 million parameters",
            setting="ResNet-1001, CIFAR-10",
            place="Zagoruyko and Komodakis 2016, table 5",
        ),
    ),
)
def wide_resnet(observations, *, deep="deep", wider="wide"):
    """Compares the wide network in cost and error with the deep one of narrow layers, of as many parameters.

    Five per cent more parameters or operations would be significant; what is done one layer after the other cannot be
    parallelised, so that the longest path has to be five per cent shorter. Improving is by a point of test error,
    paired by seed. Whether a device needs less time follows from its hardware, and is not measured. The control has
    fewer layers without more filters: what is gained has to come from the filters.
    """
    of_deep = observations[observations["network"] == "deep"]
    factors = {"parameters": 1.05, "multiplications": 1.05, "layers": 1 / 1.05}
    allowed = {f"{cost}_allowed": factor * of_deep[cost].iloc[0] for cost, factor in factors.items()}
    return _pair(observations, deep, wider, ("deep", "wide")).assign(**allowed)
