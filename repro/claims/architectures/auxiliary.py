"""Auxiliary classifiers at intermediate layers: what they do for training."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Greater, PositiveControl, Reported, claim, lectures
from repro.engine import Record, backend, convolution, load_data, train

with epy.lazy_imports():
    import keras

AUXILIARY_STREAM = 5  # of random numbers of a seed


def auxiliary_experiment(
    seeds,
    *,
    depth=9,
    width=8,
    weight=0.3,
    runs=4,
    training_images=300,
    steps=600,
    batch_size=32,
    rates=(0.003, 0.01),
    known_rate=0.3,
    tested=100,
    data="digits",
):
    """Trains deep plain convolutional ReLU networks with and without classifiers after a third and two thirds.

    3x3 convolutions of eight channels, nine by default, the first of the second and third part of stride 2, Keras'
    default initialisation, no normalisation; each classifier is a dense layer on mean maps. The losses of the two
    auxiliary classifiers count 0.3, as in GoogLeNet, or nothing; the weight stands beside the label of every image, so
    that both are one program. Adam, at each rate by itself, since the rate is left open. Every seed redraws the
    training images, and several networks (``runs``) learn from them in each arm. In a third arm the auxiliary
    classifiers learn a permutation of the labels; a fourth, without auxiliary losses, has a rate that is known to be
    far too large.

    All measurements are of the main classifier, as at inference, at the end of training, averaged over the networks of
    a seed: its loss over the training images; whether the run is stuck, with a loss no more than five per cent below
    that of guessing; its test error; and the share of channels that are positive nowhere in any of 128 images.
    """
    loaded = load_data(data)

    def examples(weight_of_auxiliary, meaningful, replica):
        images = loaded.subset(training_images, replica // runs)
        generator = np.random.default_rng((replica, AUXILIARY_STREAM))

        def targets(labels):
            auxiliary = labels if meaningful else generator.permutation(labels)
            return np.column_stack([labels, auxiliary, np.full(len(labels), weight_of_auxiliary)]).astype(np.float32)

        return SimpleNamespace(
            x_train=images.x_train,
            y_train=targets(images.y_train),
            x_test=images.x_test[:tested],
            y_test=targets(images.y_test[:tested]),
        )

    tables = []
    for label, share, meaningful, chosen in (
        ("without", 0.0, True, rates),
        ("with", weight, True, rates),
        ("without meaning", weight, False, rates),
        ("too large a rate", 0.0, True, (known_rate,)),
    ):
        training = train(
            with_auxiliary_classifiers,
            partial(examples, share, meaningful),
            loss=_joint_loss,
            optimizer="adam",
            steps=steps,
            batch_size=batch_size,
            record=Record(metrics={"main_loss": _main_loss, "error": _main_error}),
            seeds=[runs * seed + run for seed in seeds for run in range(runs)],
            learning_rate=list(chosen),
            shape=loaded.shape,
            classes=loaded.classes,
            depth=depth,
            width=width,
        )
        keys = ["seed", "learning_rate"]
        final = training.final.set_index(keys)
        measured = {
            "dead": _dead_channels(training, depth, loaded.x_train[:128]),
            "stuck": (final["train_main_loss"].fillna(np.inf) > np.log(loaded.classes) / 1.05).astype(float),
            "main_loss": final["train_main_loss"].fillna(np.inf),
            "test_error": final["test_error"],
        }
        of_runs = pd.DataFrame(measured).reset_index()
        of_runs["seed"] //= runs
        tables.append(of_runs.groupby(keys).mean().reset_index().assign(auxiliary=label))
    return pd.concat(tables, ignore_index=True)


@claim(
    "GoogLeNet's two auxiliary classifiers at intermediate layers further enhance the stability of training and its "
    "convergence, and address dying neurons; they are left out at inference.",
    source=lectures("3.5.4"),
    kind="tendency",
    scope="GoogLeNet on ImageNet, before batch normalisation; the learning rate is left open",
    left_open=("learning_rate",),
    literature="Szegedy et al. 2015, section 5; Lee et al. 2015; Szegedy et al. 2016, section 4",
    reads=auxiliary_experiment,
    criterion=AllOf(
        dying=Greater(
            "dead", of="without", than="with", by="auxiliary", smallest_difference=0.01, each=("learning_rate",)
        ),
        stability=Greater(
            "stuck", of="without", than="with", by="auxiliary", smallest_difference=0.01, each=("learning_rate",)
        ),
        convergence=Greater("main_loss", of="without", than="with", by="auxiliary", each=("learning_rate",)),
    ),
    boundary=Boundary(
        "at the larger rate, at which neurons die and runs are stuck without them", holds="learning_rate > 0.005"
    ),
    smoke={"steps": 200, "depth": 6, "runs": 2},
    full={"data": "mnist", "training_images": 10_000, "steps": 5000, "width": 32},
    control={"helped": "without meaning"},
    positive_control=PositiveControl(
        "A rate that is far too large kills neurons, leaves runs stuck and hinders convergence.",
        without="too large a rate",
    ),
    seeds=48,
    reported=(
        Reported(
            "about 0.5 %",
            measure="effect of the auxiliary classifiers on the error",
            setting="GoogLeNet, ImageNet",
            place="Szegedy et al. 2015, section 5",
        ),
    ),
)
def auxiliary_losses(observations, *, without="without", helped="with"):
    """Compares dead channels, stuck runs and the final loss with and without auxiliary losses, paired by seed.

    A point of channels or runs counts, and five per cent of the loss. Large steps kill ReLU units; at small ones there
    is nothing to counter. The control keeps both classifiers and their gradients at earlier layers, and takes the
    meaning from what they learn.
    """
    with_losses = observations[observations["auxiliary"] == helped].assign(auxiliary="with")
    arm = observations[observations["auxiliary"] == without].assign(auxiliary="without")
    # the arm with too large a rate is compared at every rate
    of_arm = [
        arm[arm["learning_rate"].isin([rate]) | (without != "without")].assign(learning_rate=rate)
        for rate in with_losses["learning_rate"].unique()
    ]
    return pd.concat([*of_arm, with_losses], ignore_index=True)


def with_auxiliary_classifiers(*, shape, classes, depth, width):
    """Build a plain ReLU network whose outputs are three classifiers': the main one, and two of intermediate layers."""
    x = keras.Input(shape)
    y, heads = x, []
    for layer in range(1, depth + 1):
        strides = 2 if layer in (depth // 3 + 1, 2 * depth // 3 + 1) else 1
        options = {"strides": strides, "padding": "same", "activation": "relu", "name": f"hidden_{layer}"}
        y = convolution(width, 3, **options)(y)
        if layer in (depth // 3, 2 * depth // 3, depth):
            scores = keras.layers.Dense(classes)(keras.layers.GlobalAveragePooling2D()(y))
            heads.append(keras.layers.Reshape((1, classes))(scores))
    return keras.Model(x, keras.layers.Concatenate(axis=1)([heads[2], heads[0], heads[1]]))


def _dead_channels(training, depth, x):
    """Share of the channels of hidden layers that are positive nowhere in any image; indexed by seed and rate."""
    observe = backend.compile_function(partial(_never_positive, training.model(0), depth))
    shares = [
        keras.ops.convert_to_numpy(observe([keras.ops.convert_to_tensor(value) for value in weights], x)).mean()
        for weights in training.weights
    ]
    return pd.Series(shares, index=pd.MultiIndex.from_frame(training.replicas[["seed", "learning_rate"]]))


def _never_positive(model, depth, weights, x):
    """Tell of every channel of every hidden layer, [layers, channels], whether it is never positive."""
    hidden = keras.Model(model.inputs, [model.get_layer(f"hidden_{layer}").output for layer in range(1, depth + 1)])
    with keras.StatelessScope(state_mapping=list(zip(model.weights, weights, strict=True))):
        largest = [keras.ops.max(output, axis=(0, 1, 2), keepdims=True) for output in hidden(x)]
    return keras.ops.cast(keras.ops.concatenate(largest) <= 0, "float32")


def _joint_loss(targets, outputs):
    """Cross-entropy of the main classifier plus that of the others; targets: label, label of the others, weight."""
    labels = keras.ops.take(targets, [0, 1, 1], axis=1)
    losses = keras.losses.sparse_categorical_crossentropy(labels, outputs, from_logits=True)
    return losses[:, 0] + targets[:, 2] * (losses[:, 1] + losses[:, 2])


def _main_loss(targets, outputs):
    return keras.losses.sparse_categorical_crossentropy(targets[:, 0], outputs[:, 0], from_logits=True)


def _main_error(targets, outputs):
    return 1 - keras.metrics.sparse_categorical_accuracy(targets[:, 0], outputs[:, 0])
