"""Overfitting: training error and test error of one training."""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Correction, Equivalent, Greater, Monotone, Ratio, Reported, claim, lectures
from repro.engine import Record, classifier, compare_arms, corrupt_labels, load_data, mlp, train

with epy.lazy_imports():
    import keras


@claim(
    "Overfitting shows as a training error that decreases monotonically with the gradient descent iterations, "
    "especially with stochastic gradient descent, while beyond a point generalisation degrades.",
    source=lectures("2.5.2"),
    kind="tendency",
    criterion=AllOf(
        falls=Monotone(
            "step",
            "train_loss",
            smallest_difference=0.01,
            direction="decreasing",
            because="a hundredth of a nat is less than a hundredth of the loss that training starts from",
            where={"moment": "every"},
            each=("descent",),
        ),
        degrades=Greater(
            "test_loss",
            of="end",
            than="best",
            by="moment",
            smallest_ratio=1.1,
            because="a tenth more loss than at the best moment deserves stopping there",
            each=("descent",),
        ),
    ),
    smoke={"steps": 400},
    control={"steps": 20},
    correction=Correction(
        "With the gradient of the whole training set and a small enough rate the training error decreases "
        "monotonically while generalisation degrades beyond a point. Stochastic gradient descent does not decrease it "
        "in every iteration, because a step on one batch can raise the error on the rest.",
        batch_sizes=(100,),
    ),
)
def training_error_falls(
    seeds, *, batch_sizes=(100, 10), noise=0.2, images=100, steps=800, rates=(0.03, 0.1, 0.3), data="digits"
):
    """Records the training and the test loss after every step, for gradient descent and stochastic gradient descent.

    Networks of 64 ReLU units on 100 images, a fifth with wrong labels; batches of 100 are the whole set. Each at the
    rate of the least training loss at the end. The largest reversal is how far a later training loss stands above an
    earlier one; the test loss at the end is compared with the least along the way.
    """
    chosen = noisy_images(data, images, noise)
    arms = {
        "whole set" if size == images else "stochastic": classifier(
            mlp, chosen, steps=steps, batch_size=size, every=1, metrics={}, widths=(64,)
        )
        for size in batch_sizes
    }
    records = compare_arms(arms, {"learning_rate": list(rates)}, len(rates), seeds, by="descent")
    runs = records.groupby(["seed", "descent"], sort=False)
    moments = [runs["test_loss"].min().reset_index().assign(moment="best"), runs.tail(1).assign(moment="end")]
    table = pd.concat([records.assign(moment="every"), *moments], ignore_index=True)
    table.attrs = records.attrs
    return table


@claim(
    "Stopping the training when the validation error starts to increase is where the model generalises best.",
    source=lectures("2.5.2"),
    kind="tendency",
    literature="Prechelt 1998: validation error has many local minima",
    criterion=AllOf(
        end=Greater(
            "loss",
            of="end",
            than="stop",
            by="moment",
            smallest_ratio=1.1,
            because="a tenth more loss at the end of training deserves stopping before",
        ),
        best=Ratio(
            "loss",
            of="stop",
            than="best",
            by="moment",
            expected=1.0,
            within=1.1,
            because="a tenth more loss than at the best moment is what stopping is there to avoid",
        ),
    ),
    smoke={"steps": 600},
    control={"watched": "train_loss", "patience": 10_000},
    correction=Correction(
        "The moment of the least validation error is close to where the model generalises best. The first increase "
        "comes earlier, because the validation error of stochastic gradient descent rises and falls many times.",
        patience=10_000,
    ),
)
def early_stopping(
    seeds,
    *,
    patience=0,
    watched="validation_loss",
    noise=0.2,
    images=100,
    steps=1500,
    every=1,
    rates=(0.03, 0.1, 0.3),
    data="digits",
):
    """Compares the test loss at the stop with that at the end of training and with the least along the way.

    Networks of 64 ReLU units on 100 images, a fifth with wrong labels, SGD with batches of 10 at the rate of the least
    final training loss; 100 other images for validation. Losses are taken after every step, and the stop is the last
    one before the first increase; patience is the number of further measurements that may pass without a new
    minimum. The control watches the training loss, which has no minimum to stop at.
    """
    chosen = noisy_images(data, images, noise)
    arms = {
        "network": partial(
            train,
            mlp,
            with_validation(chosen),
            loss=first_column_loss,
            optimizer=keras.optimizers.SGD(),
            steps=steps,
            batch_size=10,
            record=Record(every=every, metrics={"validated": validation_loss}),
            inputs=chosen.x_train.shape[1],
            outputs=chosen.classes,
            widths=(64,),
        )
    }
    records = compare_arms(arms, {"learning_rate": list(rates)}, len(rates), seeds)
    share = len(chosen.x_validation) / (len(chosen.x_validation) + len(chosen.x_test))
    records["validation_loss"] = records["test_validated"] / share
    records["unseen_loss"] = (records["test_loss"] - records["test_validated"]) / (1 - share)
    rows = []
    for seed, run in records.groupby("seed"):
        losses = run["unseen_loss"].to_numpy()
        stop = stopping_place(run[watched].to_numpy(), patience)
        for moment, loss in (("stop", losses[stop]), ("end", losses[-1]), ("best", losses.min())):
            rows.append({"seed": seed, "moment": moment, "loss": loss})
    table = pd.DataFrame(rows)
    table.attrs = records.attrs
    return table


@claim(
    "The error on the training set is an overly optimistic estimate of the error on future data, because the model has "
    "been trained on the same data.",
    source=lectures("2.5"),
    kind="tendency",
    literature="Hastie, Tibshirani and Friedman 2009, section 7.4",
    criterion=Greater(
        "error",
        of="future",
        than="estimate",
        by="of",
        smallest_difference=0.02,
        because="two mistakes more in a hundred images would mislead the choice of a model",
    ),
    smoke={"steps": 200},
    full={"data": "mnist", "images": 1000, "steps": 3000},
    control={"estimated_on": "unseen"},
)
def training_error_optimistic(seed, *, estimated_on="training", images=200, steps=1000, draws=4, data="digits"):
    """Compares a network's share of mistakes on the 200 images it was trained on with that on future ones.

    Networks of 64 ReLU units trained by Adam at its default rate; every seed draws the images four times and averages.
    Future data are other training images, from the same source. The control estimates the error on 600 images that were
    not trained on.
    """
    estimates, errors = zip(
        *(_errors(estimated_on, images, steps, data, seed * draws + draw) for draw in range(draws)), strict=True
    )
    return {"of": ["estimate", "future"], "error": [np.mean(estimates), np.mean(errors)]}


@claim(
    "Patterns can be found even in random data, which leads to the false belief that the model performs well.",
    source=lectures("2.5"),
    kind="possibility",
    literature="Zhang et al. 2017",
    criterion=AllOf(
        found=Equivalent(
            "train_accuracy",
            1.0,
            smallest_difference=0.02,
            because="a network that fits all but two of a hundred random labels seems to perform well",
        ),
        belief_is_false=Equivalent(
            "test_accuracy",
            "chance",
            smallest_difference=0.05,
            because="ten classes are guessed right once in ten times; half of that more would be a pattern",
        ),
    ),
    smoke={"steps": 500, "draws": 2},
    full={"data": "cifar10", "images": 5000, "width": 512, "steps": 20_000},
    control={"width": 1},
    reported=(
        Reported(
            "100 %",
            measure="training accuracy",
            setting="Inception, CIFAR-10 with random labels",
            place="Zhang et al. 2017, table 1",
        ),
    ),
)
def random_labels_fit(seed, *, images=100, width=64, steps=1500, draws=4, data="digits"):
    """Trains networks on 100 images whose labels were shuffled, and measures accuracy on them and on test images.

    One hidden layer of 64 ReLU units, Adam at its default rate on full batches. Every seed draws the images and
    shuffles their labels four times; accuracies are averaged. The control has a single hidden unit, which has too
    little capacity to find a pattern.
    """
    chosen = load_data(data).standardized().flat().subset(images, seed)
    generator = np.random.default_rng((seed, 7))
    finals = []
    for draw in range(draws):
        shuffled = replace(chosen, y_train=generator.permutation(chosen.y_train))
        finals.append(_train_adam(shuffled, width, steps, seed * draws + draw).final)
    accuracies = pd.concat(finals)[["train_accuracy", "test_accuracy"]].mean().to_dict()
    return {**accuracies, "chance": 1 / chosen.classes}


def noisy_images(data, images, noise):
    """A few standardised training images with some wrong labels, as many others for validation, and the test images."""
    source = load_data(data).standardized().flat()
    both = source.subset(2 * images, 0)
    return SimpleNamespace(
        x_train=both.x_train[:images],
        y_train=corrupt_labels(both.y_train[:images], source.classes, noise, 0),
        x_validation=both.x_train[images:],
        y_validation=both.y_train[images:],
        x_test=source.x_test,
        y_test=source.y_test,
        classes=source.classes,
    )


def with_validation(chosen):
    """Put validation images before the test images; targets [examples, 2] say in their second column which they are."""
    parts = (chosen.y_validation, np.ones_like(chosen.y_validation)), (chosen.y_test, np.zeros_like(chosen.y_test))
    return SimpleNamespace(
        x_train=chosen.x_train,
        y_train=np.column_stack([chosen.y_train, np.zeros_like(chosen.y_train)]),
        x_test=np.concatenate([chosen.x_validation, chosen.x_test]),
        y_test=np.concatenate([np.column_stack(part) for part in parts]),
    )


def first_column_loss(targets, outputs):
    """Cross-entropy of the classes in the first column of the targets, for each example."""
    return keras.losses.sparse_categorical_crossentropy(targets[:, 0], outputs, from_logits=True)


def validation_loss(targets, outputs):
    """Cross-entropy of validation examples, zero for others."""
    return keras.ops.cast(targets[:, 1], "float32") * first_column_loss(targets, outputs)


def stopping_place(losses, patience):
    """Find the minimum that no later one improves on within some measurements.

    Args:
        losses: measurements in order.
        patience: measurements after a minimum that may pass without a new one; zero stops before the first increase.
    """
    place = 0
    for later in range(1, len(losses)):
        if losses[later] < losses[place]:
            place = later
        elif later - place > patience:
            break
    return place


def _errors(estimated_on, images, steps, data, seed):
    """Share of mistakes on what the error is estimated on, and on future images."""
    source = load_data(data).standardized().flat()
    order = np.random.default_rng((seed, 7)).permutation(len(source.x_train))
    x, y = source.x_train[order], source.y_train[order]
    trained, unseen, future = slice(images), slice(images, 4 * images), slice(4 * images, None)
    chosen = replace(source, x_train=x[trained], y_train=y[trained], x_test=x[future], y_test=y[future])
    model = _train_adam(chosen, 64, steps, seed).model(0)
    for part in (trained if estimated_on == "training" else unseen, future):
        predicted = keras.ops.convert_to_numpy(model(x[part])).argmax(axis=1)
        yield np.mean(predicted != y[part])


def _train_adam(chosen, width, steps, seed):
    arm = classifier(mlp, chosen, steps=steps, batch_size=100, optimizer="adam", widths=(width,))
    return arm(seeds=[seed])
