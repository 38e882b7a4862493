"""Parallel paths, dense connections and auxiliary classifiers: what they do for training."""

from __future__ import annotations

import itertools
from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Correction, Greater, Identity, Reported, claim, lectures
from repro.claims.architectures._counts import multiplications
from repro.engine import (
    Record,
    classifier,
    compare_arms,
    convolution,
    corrupt_labels,
    load_data,
    probe,
    train,
    tune,
    undrawn,
)

with epy.lazy_imports():
    import keras


def paths_experiment(
    seeds,
    *,
    paths=15,
    training_images=300,
    steps=400,
    batch_size=50,
    channels=64,
    narrow=16,
    blocks=2,
    rates=(0.003, 0.01),
    data="digits",
):
    """Trains residual networks of both kinds of blocks to reproduce random labels, and takes the training loss.

    A bottleneck block of 64 channels narrows them to 16 for its 3x3 convolution; the other has 15 paths that narrow
    them to 2 each, whose sum is one grouped convolution, with 0.6 % more multiply-adds. Random labels leave nothing but
    capacity. Separate paths are compared with one grouped convolution of Keras. Adam, each arm at the rate of
    the lowest training loss.
    """
    source = load_data(data).subset(training_images, 0)
    labels = corrupt_labels(source.y_train, source.classes, 1 - 1 / source.classes, 0)
    examples = replace(source, y_train=labels, x_test=source.x_test[:100], y_test=source.y_test[:100])
    widths = {"bottleneck": (1, narrow), "paths": (paths, 2)}
    options = {"shape": source.shape, "classes": source.classes, "channels": channels, "blocks": blocks}
    arms = {
        name: classifier(
            path_network,
            examples,
            steps=steps,
            batch_size=batch_size,
            optimizer="adam",
            metrics={},
            paths=count,
            width=width,
            **options,
        )
        for name, (count, width) in widths.items()
    }
    records = compare_arms(arms, {"learning_rate": list(rates)}, len(rates), seeds, by="block")
    costs = {
        name: multiplications(path_network(paths=count, width=width, **options))
        for name, (count, width) in widths.items()
    }
    trained = records[["seed", "block", "learning_rate", "train_loss"]].assign(
        part="training", multiplications_share=records["block"].map(costs) / costs["bottleneck"]
    )
    observations = pd.concat([trained, *map(_paths_and_groups, seeds)], ignore_index=True)
    observations.attrs = records.attrs
    return observations


@claim(
    "The parallel paths of one topology in a ResNeXt block increase the network's capacity at the same cost.",
    source=lectures("3.5.7"),
    kind="finding",
    literature="Xie et al. 2017, sections 3.2 and 5.1",
    reads=paths_experiment,
    criterion=AllOf(
        paths=Identity("paths_output", "grouped_output", operations=1000, dtype="float32", where={"part": "paths"}),
        cost=AtMost("multiplications_share", 1.02, where={"part": "training"}),
        capacity=Greater(
            "train_loss",
            of="less capable",
            than="more capable",
            by="expected",
            smallest_ratio=1.1,
            because="a tenth of the loss is about what a tenth more weights would bring at this size",
            where={"part": "training"},
        ),
    ),
    smoke={"training_images": 200, "steps": 150, "rates": (0.01,)},
    full={"data": "cifar10", "training_images": 2000, "steps": 5000},
    control={"less_capable": "paths"},
    correction=Correction(
        "At the same cost one bottleneck has more capacity than the parallel paths in networks this small, whose paths "
        "are two channels narrow. In the paper they are four channels wide, of 256, and more paths reduce the error on "
        "new images.",
        more_capable="bottleneck",
        less_capable="paths",
    ),
    seeds=12,
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
def resnext(observations, *, more_capable="paths", less_capable="bottleneck"):
    """Compares the losses of both kinds of blocks; in the control both are of parallel paths.

    The correction expects more capacity of the bottleneck.
    """
    arms = (("more capable", more_capable), ("less capable", less_capable))
    trained = [observations[observations["block"] == block].assign(expected=expected) for expected, block in arms]
    return pd.concat([*trained, observations[observations["part"] == "paths"]], ignore_index=True)


def path_network(*, shape, classes, channels, blocks, paths, width):
    """Build residual blocks of parallel paths: 1x1 to a few channels, 3x3 among these, and 1x1 back to all."""
    inputs = keras.Input(shape)
    x = convolution(channels, 3, strides=2, padding="same", activation="relu")(inputs)
    for _ in range(blocks):
        y = convolution(paths * width, 1, activation="relu")(x)
        y = keras.layers.Conv2D(paths * width, 3, padding="same", groups=paths, activation="relu")(y)
        x = keras.layers.ReLU()(keras.layers.Add()([x, convolution(channels, 1)(y)]))
    return keras.Model(inputs, keras.layers.Dense(classes)(keras.layers.GlobalAveragePooling2D()(x)))


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
    return pd.DataFrame({"seed": seed, "part": "paths", **flat})


@claim(
    "Dense connections, from every layer to all later ones, alleviate vanishing gradients and learn more compact "
    "representations.",
    source=lectures("3.5.7"),
    kind="tendency",
    literature="Huang et al. 2017, sections 1 and 5",
    criterion=AllOf(
        gradient=Greater(
            "first_to_last",
            of="dense",
            than="plain",
            by="connections",
            smallest_ratio=10,
            because="a gradient that is not ten times larger would still vanish a few layers further down",
            where={"part": "gradient"},
            each=("activation",),
        ),
        compactness=Greater(
            "test_error",
            of="plain",
            than="dense",
            by="connections",
            smallest_difference=-0.01,
            because="the dense network has half the parameters; one point of error is what choosing another seed "
            "changes here",
            where={"part": "training"},
        ),
    ),
    smoke={"depth": 10, "trained_depth": 6, "steps": 300, "rates": (0.01,)},
    full={"data": "mnist", "steps": 10000},
    control={"connections": ("plain", "plain")},
    seeds=16,
    reported=(
        Reported(
            "about half",
            measure="parameters of DenseNet over those of ResNet at equal error",
            setting="ImageNet",
            place="Huang et al. 2017, section 4.4",
        ),
    ),
)
def densenet_gradients(
    seeds,
    *,
    depth=20,
    trained_depth=10,
    plain_width=32,
    activations=("sigmoid", "relu"),
    steps=1000,
    batch_size=32,
    rates=(0.001, 0.003, 0.01),
    connections=("plain", "dense"),
    data="digits",
):
    """Measures the gradient at the first hidden layer over that at the last of untrained networks, then trains some.

    Fully connected networks of Keras' default initialisation on standardised images; in a dense one each layer takes
    the input and the outputs of all before it, joined. Gradients of the loss by a layer's output, over 256 images. For
    compactness a plain ReLU network is trained beside a dense one of half its parameters at most, by Adam, each at the
    rate of the lowest training loss; errors are shares of misclassified test images. The control has no dense
    connections on either side.
    """
    images = load_data(data).standardized().flat()
    shape = {"inputs": images.x_train.shape[1], "outputs": images.classes}
    tables = []
    for label, connection in zip(("plain", "dense"), connections, strict=True):
        probed = probe(
            connected,
            images,
            seeds,
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            activation=list(activations),
            depth=depth,
            width=plain_width,
            connections=connection,
            **shape,
        )
        by_name = probed.pivot_table("gradient", ["seed", "activation"], "name")
        ratio = (by_name["hidden_1"] / by_name[f"hidden_{depth}"]).rename("first_to_last").reset_index()
        tables.append(ratio.assign(part="gradient", connections=label))
    widths = {"plain": plain_width, "dense": growth_for_half(trained_depth, plain_width, shape)}
    arms = {
        label: classifier(
            connected,
            images,
            steps=steps,
            batch_size=batch_size,
            optimizer="adam",
            activation="relu",
            depth=trained_depth,
            width=units,
            connections=connection,
        )
        for (label, units), connection in zip(widths.items(), connections, strict=True)
    }
    records = compare_arms(arms, {"learning_rate": list(rates)}, len(rates), seeds, by="connections")
    records["test_error"] = 1 - records["test_accuracy"]
    trained = records[["seed", "connections", "learning_rate", "train_loss", "test_error"]].assign(part="training")
    observations = pd.concat([*tables, trained], ignore_index=True)
    observations.attrs = records.attrs
    return observations


def connected(*, inputs, outputs, depth, width, activation, connections):
    """Build a fully connected network whose layers take the output before them, or all outputs before them, joined."""
    x = keras.Input((inputs,))
    before = [x]
    for layer in range(1, depth + 1):
        joined = keras.layers.Concatenate()(before) if connections == "dense" and layer > 1 else before[-1]
        before.append(keras.layers.Dense(width, activation=activation, name=f"hidden_{layer}")(joined))
    joined = keras.layers.Concatenate()(before) if connections == "dense" else before[-1]
    return keras.Model(x, keras.layers.Dense(outputs)(joined))


def growth_for_half(depth, width, shape):
    """Largest growth rate at which a dense network has at most half the parameters of a plain one."""

    def count(connections, units):
        options = {"depth": depth, "activation": "relu", **shape}
        with undrawn():
            return connected(connections=connections, width=units, **options).count_params()

    half = count("plain", width) / 2
    return max(itertools.takewhile(lambda units: count("dense", units) <= half, itertools.count(1)))


@claim(
    "Auxiliary classifiers at intermediate layers make training more stable and counter dying neurons; they are left "
    "out at inference.",
    source=lectures("3.5.4"),
    kind="tendency",
    literature="Szegedy et al. 2015, section 5; Lee et al. 2015",
    criterion=AllOf(
        dying=Greater(
            "dead",
            of="without",
            than="with",
            by="auxiliary",
            smallest_difference=0.02,
            because="two percent of the units are less than one of 32 in a layer",
        ),
        training=Greater(
            "test_error",
            of="without",
            than="with",
            by="auxiliary",
            smallest_difference=0.01,
            because="one point of error is what choosing another seed changes here",
        ),
    ),
    smoke={"steps": 300, "rates": (0.01,)},
    full={"data": "mnist", "steps": 5000, "width": 100},
    control={"weight": 0.0},
    seeds=16,
    decided_by="some 50 seeds: the share of dead units differs by more than two percent in most of them.",
)
def auxiliary_losses(
    seeds, *, depth=20, width=32, weight=0.3, steps=900, batch_size=32, rates=(0.001, 0.003, 0.01), data="digits"
):
    """Trains deep plain ReLU networks with and without classifiers after a third and after two thirds of the layers.

    Fully connected, Keras' default initialisation, standardised images, Adam, each arm at the rate of the lowest
    training loss of the main classifier. Their losses count 0.3, as in GoogLeNet. A dead unit is positive for none of
    256 training images at the end; the test error is that of the main classifier alone. In the control the auxiliary
    losses count nothing.
    """
    images = load_data(data).standardized().flat()
    record = Record(metrics={"main_loss": _main_loss, "error": _main_error}, probed=256)
    tables, trials = [], []
    for label, share in (("without", 0.0), ("with", weight)):
        arm = partial(
            train,
            with_auxiliary_classifiers,
            images,
            loss=partial(_joint_loss, share),
            optimizer="adam",
            steps=steps,
            batch_size=batch_size,
            record=record,
            inputs=images.x_train.shape[1],
            outputs=images.classes,
            depth=depth,
            width=width,
        )
        tuning = tune(arm, {"learning_rate": list(rates)}, len(rates), objective="train_main_loss")
        training = arm(seeds=list(seeds), **tuning.best)
        hidden = training.layers[training.layers["name"].str.startswith("hidden")]
        final = training.final.set_index("seed")
        measured = {"dead": hidden.groupby("seed")["dead"].mean(), "test_error": final["test_error"]}
        tables.append(pd.DataFrame(measured).reset_index().assign(auxiliary=label, **tuning.best))
        trials += tuning.table(auxiliary=label)
    observations = pd.concat(tables, ignore_index=True)
    observations.attrs["tuning"] = trials
    return observations


def with_auxiliary_classifiers(*, inputs, outputs, depth, width):
    """Build a plain ReLU network whose outputs are three classifiers': the main one, and two of intermediate layers."""
    x = keras.Input((inputs,))
    y, heads = x, []
    for layer in range(1, depth + 1):
        y = keras.layers.Dense(width, activation="relu", name=f"hidden_{layer}")(y)
        if layer in (depth // 3, 2 * depth // 3, depth):
            heads.append(keras.layers.Reshape((1, outputs))(keras.layers.Dense(outputs)(y)))
    return keras.Model(x, keras.layers.Concatenate(axis=1)([heads[2], heads[0], heads[1]]))


def _joint_loss(weight, targets, outputs):
    """Cross-entropy of the main classifier plus that of the others times a weight; outputs [batch, 3, classes]."""
    losses = keras.losses.sparse_categorical_crossentropy(
        keras.ops.repeat(targets[:, None], 3, axis=1), outputs, from_logits=True
    )
    return losses[:, 0] + weight * (losses[:, 1] + losses[:, 2])


def _main_loss(targets, outputs):
    return keras.losses.sparse_categorical_crossentropy(targets, outputs[:, 0], from_logits=True)


def _main_error(targets, outputs):
    return 1 - keras.metrics.sparse_categorical_accuracy(targets, outputs[:, 0])
