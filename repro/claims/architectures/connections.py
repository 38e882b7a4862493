"""Parallel paths and dense connections: what they do for training."""

from __future__ import annotations

import itertools
from functools import cache

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Greater, Identity, PositiveControl, Reported, claim, lectures
from repro.claims.architectures._counts import multiplications
from repro.claims.architectures._images import repeated
from repro.engine import (
    classifier,
    compare_arms,
    convolution,
    horizons,
    join_tables,
    load_data,
    probe,
    undrawn,
)

with epy.lazy_imports():
    import keras


def paths_experiment(
    seeds,
    *,
    training_images=600,
    steps=800,
    batch_size=32,
    channels=64,
    bottleneck=(1, 18),
    paths=(8, 4),
    blocks=2,
    rates=(0.003, 0.01, 0.03),
    data="digits",
):
    """Trains residual networks of both kinds of blocks, and compares paths with grouped convolutions.

    A bottleneck block of 64 channels narrows them to 18 for its 3x3 convolution; the other has 8 paths that narrow them
    to 4 each, as wide as in the paper, whose sum is one grouped convolution, at 0.5 % more multiply-adds. Adam, each
    arm at the rate of the lowest loss on held-out images; every seed redraws the training images. Test errors after
    half and all of the steps. Two further arms are the network of paths on a tenth of the images, each repeated, and
    with paths that begin with equal weights: equal gradients keep them equal.
    """
    loaded = load_data(data)
    options = {"shape": loaded.shape, "classes": loaded.classes, "channels": channels, "blocks": blocks}
    arms, costs = {}, {}
    blocks_of = {"bottleneck": bottleneck, "paths": paths, "fewer images": paths, "equal paths": paths}
    for name, (count, width) in blocks_of.items():
        share = 0.1 if name == "fewer images" else 1.0
        with undrawn():
            costs[name] = multiplications(path_network(paths=count, width=width, **options))
        arms[name] = classifier(
            path_network,
            lambda seed, share=share: repeated(loaded.subset(training_images, seed), share),
            steps=steps,
            batch_size=batch_size,
            optimizer="adam",
            every=steps // 2,
            paths=count,
            width=width,
            equal=name == "equal paths",
            **options,
        )
    space = {"learning_rate": list(rates)}
    records = compare_arms(arms, space, len(rates), seeds, by="block", objective="validation_loss", widen=2)
    trained = horizons(records).assign(of="training")
    trained["test_error"] = 1 - trained["test_accuracy"]
    trained["multiplications_share"] = trained["block"].map(costs) / costs["bottleneck"]
    observations = pd.concat([trained, *map(_paths_and_groups, seeds)], ignore_index=True)
    observations.attrs = records.attrs
    columns = ["train_loss", "test_error", "multiplications_share", "paths_output", "grouped_output"]
    return observations[["seed", "of", "block", "learning_rate", "steps", *columns]]


@claim(
    "ResNeXt puts several parallel paths of one topology into each block, which increases the capacity of the network "
    "while it stays as efficient to compute.",
    source=lectures("3.5.7"),
    kind="finding",
    scope="residual networks of 50 and 101 layers on ImageNet, 32 paths, equal operations",
    literature="Xie et al. 2017, sections 3.2 and 5.1",
    reads=paths_experiment,
    criterion=AllOf(
        paths=Identity("paths_output", "grouped_output", operations=1000, dtype="float32", where={"of": "paths"}),
        cost=AtMost("multiplications_share", 1.05, where={"block": "paths"}),
        capacity=Greater(
            "test_error", of="bottleneck", than="paths", by="block", where={"of": "training"}, each=("steps",)
        ),
    ),
    smoke={"training_images": 200, "steps": 120, "blocks": 1, "channels": 64, "rates": (0.01,)},
    full={
        "data": "cifar10",
        "training_images": 20_000,
        "steps": 20_000,
        "channels": 256,
        "bottleneck": (1, 64),
        "paths": (32, 4),
    },
    control={"paths_arm": "equal paths"},
    positive_control=PositiveControl(
        "The network of paths makes more errors when it learned from a tenth of the images.",
        bottleneck_arm="fewer images",
    ),
    reported=(
        Reported(
            "23.9 %", measure="top-1 error, bottleneck", setting="ResNet-50, ImageNet", place="Xie et al. 2017, table 3"
        ),
        Reported(
            "22.2 %",
            measure="top-1 error, paths at equal cost",
            setting="ResNeXt-50, ImageNet",
            place="Xie et al. 2017, table 3",
        ),
    ),
)
def resnext(observations, *, bottleneck_arm="bottleneck", paths_arm="paths"):
    """Compares the test errors of both kinds of blocks at equal cost, paired by seed.

    The paper measures capacity by the error that equal cost buys. That separate paths are one grouped convolution is
    exact, and so is the cost; whether they pay on images of 8 x 8 pixels says little of ImageNet. In the control the
    paths are all equal, which leaves their cost and takes the diversity that the passage credits.
    """
    arms = {bottleneck_arm: "bottleneck", paths_arm: "paths"}
    chosen = observations[observations["of"].eq("paths") | observations["block"].isin(arms)]
    return chosen.assign(block=chosen["block"].map(arms))


def path_network(*, shape, classes, channels, blocks, paths, width, equal=False):
    """Build residual blocks of parallel paths: 1x1 to a few channels, 3x3 among these, and 1x1 back to all.

    Paths begin with weights of their own, or with equal ones.
    """
    copies = paths if equal else 1
    initializer = _repeated_weights()
    inputs = keras.Input(shape)
    x = convolution(channels, 3, strides=2, padding="same", activation="relu")(inputs)
    for _ in range(blocks):
        to_paths, of_paths, from_paths = (initializer(copies, axis) for axis in (-1, -1, -2))
        y = convolution(paths * width, 1, activation="relu", kernel_initializer=to_paths)(x)
        grouped = {"groups": paths, "activation": "relu", "kernel_initializer": of_paths}
        y = keras.layers.Conv2D(paths * width, 3, padding="same", **grouped)(y)
        y = convolution(channels, 1, kernel_initializer=from_paths)(y)
        x = keras.layers.ReLU()(keras.layers.Add()([x, y]))
    return keras.Model(inputs, keras.layers.Dense(classes)(keras.layers.GlobalAveragePooling2D()(x)))


@cache
def _repeated_weights():
    class RepeatedWeights(keras.initializers.GlorotUniform):
        """Keras' default, of which a part is repeated along an axis; along inputs, with the variance of their sum."""

        def __init__(self, copies, axis, seed=None):
            super().__init__(seed=seed)
            self.copies, self.axis = copies, axis

        def __call__(self, shape, dtype=None):
            values = super().__call__(shape, dtype)
            if self.copies == 1:
                return values
            part = keras.ops.split(values, self.copies, axis=self.axis)[0]
            scale = self.copies**-0.5 if self.axis == -2 else 1.0
            return scale * keras.ops.concatenate([part] * self.copies, axis=self.axis)

        def get_config(self):
            return {"copies": self.copies, "axis": self.axis, "seed": super().get_config()["seed"]}

    return RepeatedWeights


def _paths_and_groups(seed, paths=4, width=3, side=5):
    """Outputs of separate convolutions of slices, and of one Keras convolution in groups of the same weights."""
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(2, side, side, paths * width)).astype(np.float32)
    kernel = generator.normal(size=(3, 3, width, paths * width)).astype(np.float32)
    grouped = keras.ops.conv(x, kernel, padding="same")
    separate = [
        keras.ops.conv(x[..., path], kernel[..., path], padding="same")
        for path in (slice(start, start + width) for start in range(0, paths * width, width))
    ]
    columns = {"grouped_output": grouped, "paths_output": keras.ops.concatenate(separate, axis=-1)}
    flat = {name: keras.ops.convert_to_numpy(values).ravel() for name, values in columns.items()}
    return pd.DataFrame({"seed": seed, "of": "paths", **flat})


CONNECTIONS = ("plain", "dense", "detached")


def dense_experiment(
    seeds,
    *,
    depth=20,
    trained_depth=8,
    plain_width=32,
    initializers=("glorot_uniform", "he_normal"),
    training_images=600,
    steps=1000,
    batch_size=32,
    rates=(0.001, 0.003, 0.01),
    data="digits",
):
    """Measures the gradient at the first hidden layer over that at the last of untrained networks, then trains some.

    Fully connected ReLU networks on standardised images, for two initialisations and without normalisation; in a dense
    one each layer takes the input and the outputs of all before it, joined. Gradients of the loss by a layer's output,
    over 256 images. For compactness a plain network is trained beside a dense one of half its parameters at most, by
    Adam and from Keras' default initialisation, each at the rate of the lowest loss on held-out images; every seed
    redraws the training images. Errors are shares of misclassified test images after half and all of the steps.
    In a third kind, detached connections join the outputs before the last one as well, but pass no gradient back.
    """
    loaded = load_data(data)
    images = loaded.standardized().flat()

    def drawn(seed):
        return images.subset(training_images, seed)

    shape = {"inputs": images.x_train.shape[1], "outputs": images.classes}
    tables = []
    for connections in CONNECTIONS:
        probed = probe(
            connected,
            drawn,
            seeds,
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            initializer=list(initializers),
            depth=depth,
            width=plain_width,
            connections=connections,
            **shape,
        )
        by_name = probed.pivot_table("gradient", ["seed", "initializer"], "name")
        ratio = (by_name["hidden_1"] / by_name[f"hidden_{depth}"]).rename("first_to_last").reset_index()
        tables.append(ratio.assign(of="gradient", connections=connections))
    growth = growth_for_half(trained_depth, plain_width, shape)
    arms = {
        connections: classifier(
            connected,
            drawn,
            steps=steps,
            batch_size=batch_size,
            optimizer="adam",
            every=steps // 2,
            depth=trained_depth,
            width=plain_width if connections == "plain" else growth,
            connections=connections,
        )
        for connections in CONNECTIONS
    }
    space = {"learning_rate": list(rates)}
    records = compare_arms(arms, space, len(rates), seeds, by="connections", objective="validation_loss", widen=2)
    trained = horizons(records).assign(of="training")
    trained["test_error"] = 1 - trained["test_accuracy"]
    trained.attrs = records.attrs
    observations = join_tables([*tables, trained])
    columns = ["seed", "of", "connections", "initializer", "first_to_last", "learning_rate", "steps"]
    return observations[[*columns, "train_loss", "test_error"]]


def connected(*, inputs, outputs, depth, width, connections, initializer="glorot_uniform"):
    """Build a fully connected ReLU network whose layers take the output before them, or all before them, joined."""
    x = keras.Input((inputs,))
    before = [x]

    def joined():
        if connections == "plain" or len(before) == 1:
            return before[-1]
        skipped = map(keras.ops.stop_gradient, before[:-1]) if connections == "detached" else before[:-1]
        return keras.layers.Concatenate()([*skipped, before[-1]])

    for layer in range(1, depth + 1):
        options = {"activation": "relu", "kernel_initializer": initializer, "name": f"hidden_{layer}"}
        before.append(keras.layers.Dense(width, **options)(joined()))
    return keras.Model(x, keras.layers.Dense(outputs, kernel_initializer=initializer)(joined()))


def growth_for_half(depth, width, shape):
    """Largest growth rate at which a dense network has at most half the parameters of a plain one."""

    def count(connections, units):
        options = {"depth": depth, **shape}
        with undrawn():
            return connected(connections=connections, width=units, **options).count_params()

    half = count("plain", width) / 2
    return max(itertools.takewhile(lambda units: count("dense", units) <= half, itertools.count(1)))


@claim(
    "Dense connections, from every layer to all later ones, reuse features, help to alleviate vanishing gradients by "
    "keeping them strong throughout, and let a network learn more compact representations.",
    source=lectures("3.5.7"),
    kind="tendency",
    scope="convolutional networks for images; initialisation and normalisation of the plain networks are left open",
    left_open=("initializer",),
    literature="Huang et al. 2017, sections 1 and 5",
    reads=dense_experiment,
    criterion=AllOf(
        gradient=Greater(
            "first_to_last", of="dense", than="plain", by="connections", where={"of": "gradient"}, each=("initializer",)
        ),
        compactness=Greater(
            "test_error",
            of="plain",
            than="dense",
            by="connections",
            smallest_difference=-0.01,
            where={"of": "training"},
            each=("steps",),
        ),
    ),
    smoke={"training_images": 300, "steps": 300, "depth": 12, "trained_depth": 6, "rates": (0.003,)},
    full={"data": "mnist", "training_images": 10_000, "steps": 10000, "plain_width": 100},
    control={"dense": "detached"},
    positive_control=PositiveControl(
        "Detached connections bring weaker gradients to the first layer than dense ones.", plain="detached"
    ),
    seeds=48,
    reported=(
        Reported(
            "4.51 %",
            measure="test error, 0.8 million parameters",
            setting="DenseNet-BC-100, CIFAR-10 with augmentation",
            place="Huang et al. 2017, table 2",
        ),
        Reported(
            "4.62 %",
            measure="test error, 10.2 million parameters",
            setting="ResNet-1001, CIFAR-10 with augmentation",
            place="Huang et al. 2017, table 2",
        ),
    ),
)
def densenet_gradients(observations, *, plain="plain", dense="dense"):
    """Compares gradients, and the test error of the dense network with that of a plain one of twice its parameters.

    A first layer's gradient that is stronger, relative to the last one's, by five per cent counts; compact means no
    worse by a point with half of the parameters. Both are paired by seed. The control keeps the joined features and
    lets no gradient through them, so that the gradient has no way around the layers.
    """
    arms = {plain: "plain", dense: "dense"}
    chosen = observations[observations["connections"].isin(arms)]
    return chosen.assign(connections=chosen["connections"].map(arms))
