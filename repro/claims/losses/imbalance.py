"""Weights of classes in the loss, where the classes of the training set are unbalanced."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Greater, PositiveControl, claim, notes
from repro.claims.losses._arms import arm, perceptron
from repro.engine import horizons, load_data, tune

with epy.lazy_imports():
    import keras

RARE = 5  # classes, of ten
BALANCED, PLAIN = "balanced_error", "plain_error"


def _worse(of, than, **options):
    """Ask that an arm has more error, in the mean over classes, or over images as unbalanced as in training."""
    return AllOf(
        **{
            metric.removesuffix("_error"): Greater(
                "test_error",
                of=of,
                than=than,
                by="arm",
                each=("network", "steps"),
                where={"measured": metric},
                **options,
            )
            for metric in (BALANCED, PLAIN)
        }
    )


@claim(
    "Weights of the classes in the loss are particularly useful with an unbalanced training set.",
    source=(notes("Function 3.6"), notes("Function 3.7")),
    kind="tendency",
    scope="classification with an unbalanced training set; whether the plain or the balanced error counts, the "
    "capacity of the network and the length of training are left open",
    left_open=("network",),
    literature="Byrd and Lipton 2019: weights of the loss matter less and less where the network separates the "
    "training data, at lengths far beyond those here; Menon et al. 2021: the least balanced error is that of scores "
    "less the logarithm of the class' share",
    criterion=_worse("without weights", "with weights"),
    boundary=Boundary(
        "for the balanced error; the error over images as unbalanced as in training is what the loss without weights "
        "is for",
        holds="part == 'balanced'",
    ),
    smoke={"steps": 300},
    full={"data": "mnist", "frequent": 2000, "rare": 200, "steps": 10_000},
    positive_control=PositiveControl(
        "A network that is trained at a hundredth of its rate has more error, of both kinds.",
        criterion=_worse(
            "a hundredth of the rate", "without weights", smallest_difference=0.02, because="it is twice what matters"
        ),
    ),
    seeds=48,
)
def class_weights(
    seeds, *, frequent=80, rare=8, steps=1000, noise=1.5, rates=(0.003, 0.01, 0.03, 0.1, 0.3, 1.0), data="digits"
):
    """Trains on five classes of 80 images each and five of eight, with weights inverse to these numbers and without.

    Which digits are rare is drawn by each seed, as are the images; standardised pixels. Two networks: a linear one on
    images with normal noise of deviation 1.5 in every pixel, which cannot separate them, and one of 256 ReLU units on
    clean ones, whose error on training images stands in the observations. Plain stochastic gradient descent in batches
    of 32, each arm at the rate of the least error of the kind that is judged on held-out images, which are not among
    those to train on and have all classes alike, as test images have; half and all of the steps. Test
    images have all classes alike: the balanced error is their mean error, the plain one weighs them by the shares of
    the training set. Beside them stands moving the threshold: scores of the unweighted network less the logarithm of
    the class' share.
    """
    loaded = load_data(data).standardized().flat()
    counts = np.where(np.arange(loaded.classes) < loaded.classes - RARE, frequent, rare)
    shares = (counts / counts.sum()).astype(np.float32)
    inverse = (1 / (loaded.classes * shares)).astype(np.float32)
    networks = {"linear, noisy images": (0, noise), "wide, clean images": (256, 0.0)}
    arms = {"without weights": np.ones_like(inverse), "with weights": inverse}
    metrics = {
        BALANCED: _error,
        PLAIN: partial(_plain_error, shares=shares),
        "moved": partial(_error, logarithms=np.log(shares)),
    }
    tables, trials = [], []
    for network, (hidden, deviation) in networks.items():
        of_seed = partial(_unbalanced, loaded, tuple(map(int, counts)), deviation)
        held_out = lambda seed, of_seed=of_seed: of_seed(seed, held_out=True)  # noqa: E731  it is data
        for name, weights in arms.items():
            trained = arm(
                perceptron,
                partial(_weighted, weights=weights),
                of_seed,
                held_out,
                steps=steps,
                every=steps // 2,
                metrics=metrics,
                inputs=loaded.x_train.shape[1],
                outputs=loaded.classes,
                hidden=hidden,
            )
            for metric in (BALANCED, PLAIN):
                tuning = tune(
                    trained, {"learning_rate": list(rates)}, len(rates), objective=f"validation_{metric}", widen=1
                )
                trials += tuning.table(network=network, arm=name, measured=metric)
                best = tuning.best["learning_rate"]
                records = {name: trained(seeds=list(seeds), learning_rate=best).records}
                if name == "without weights":
                    records["a hundredth of the rate"] = trained(seeds=list(seeds), learning_rate=best / 100).records
                    if metric == BALANCED:
                        moved = records[name].drop(columns=f"test_{BALANCED}")
                        records["moved threshold"] = moved.rename(columns={"test_moved": f"test_{BALANCED}"})
                for of_arm, table in records.items():
                    measured = horizons(table).rename(
                        columns={f"test_{metric}": "test_error", f"train_{BALANCED}": "train_error"}
                    )
                    columns = measured[["seed", "steps", "test_error", "train_error"]]
                    tables.append(columns.assign(network=network, arm=of_arm, measured=metric))
    table = pd.concat(tables, ignore_index=True)
    table.attrs["tuning"] = trials
    return table


def _unbalanced(loaded, counts, deviation, seed, *, held_out=False):
    """Draw which digits are which class and so many images of each; add noise to all images.

    Held-out images, in place of the test images, are training images that are left over, of all classes as many.
    """
    generator = np.random.default_rng((seed, 3))
    of_digit = generator.permutation(loaded.classes)
    labels = of_digit[loaded.y_train]
    shuffled = [generator.permutation(np.flatnonzero(labels == label)) for label in range(loaded.classes)]
    chosen = np.concatenate([images[:count] for images, count in zip(shuffled, counts, strict=True)])
    x_test, y_test = loaded.x_test, loaded.y_test
    if held_out:
        most = max(counts)
        each = min(len(images) for images in shuffled) - most
        left = np.concatenate([images[most : most + each] for images in shuffled])
        x_test, y_test = loaded.x_train[left], loaded.y_train[left]
    x_train, x_test = (
        (x + deviation * generator.normal(size=x.shape)).astype(np.float32) for x in (loaded.x_train[chosen], x_test)
    )
    y_train, y_test = (of_digit[y].astype(np.int32) for y in (loaded.y_train[chosen], y_test))
    return replace(loaded, x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)


def _weighted(targets, outputs, *, weights):
    """Cross-entropy of scores, times the weight of the true class."""
    losses = keras.losses.sparse_categorical_crossentropy(targets, outputs, from_logits=True)
    return losses * keras.ops.take(keras.ops.convert_to_tensor(weights), targets)


def _error(targets, outputs, *, logarithms=0.0):
    """Error of the largest score, less logarithms of the classes' shares."""
    return 1 - keras.metrics.sparse_categorical_accuracy(targets, outputs - logarithms)


def _plain_error(targets, outputs, *, shares):
    """Error, weighted so that classes count as they do in training where test images have all alike."""
    return _error(targets, outputs) * len(shares) * keras.ops.take(keras.ops.convert_to_tensor(shares), targets)
