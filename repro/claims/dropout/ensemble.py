"""Dropout as the training of an ensemble of sub-networks."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from etils import epy

from repro import (
    AllOf,
    Correction,
    Greater,
    Identity,
    ScalingLaw,
    cheatsheet,
    claim,
    lectures,
)
from repro.engine import classifier, load_data

with epy.lazy_imports():
    import keras
    import scipy.special

CLOSER = Greater(
    "distance",
    of="one sub-network",
    than="full network",
    by="prediction",
    smallest_ratio=2.0,
    because="twice as near as a single sub-network is as near as the average of four of them, a cheap approximation",
    where={"quantity": "distance to the average"},
    each=("dropout",),
)
ENUMERABLE = 14  # units whose sub-networks can all be put through


@claim(
    "With the weights scaled at test time the full network gives approximately the average prediction of all "
    "sub-networks.",
    source=(cheatsheet("1.8.3"), lectures("2.5.4")),
    kind="tendency",
    literature="Baldi and Sadowski 2013: exact for the normalised geometric mean of one softmax layer",
    criterion=AllOf(
        geometric=Identity(
            "full_network",
            "average",
            operations=2048,
            where={"quantity": "normalised geometric mean"},
            each=("dropout",),
        ),
        arithmetic=CLOSER,
    ),
    smoke={"steps": 1000, "layers": ((8, 0.5), (64, 0.5))},
    full={"data": "mnist", "layers": ((14, 0.5), (14, 0.8), (14, 0.95), (256, 0.5)), "steps": 20000, "images": 200},
    control={"scaled": False},
    correction=Correction(
        "With the weights scaled the full network gives exactly the normalised geometric mean of all sub-networks' "
        "predictions, if dropout acts on the input of the softmax layer. That is near their average prediction where "
        "the logits vary little from one sub-network to another: in wide layers, or where units are rarely dropped. It "
        "differs from the average to the order of that variance, a single sub-network to the order of its root.",
        layers=((12, 0.95), (64, 0.5)),
    ),
    tags=("headline",),
)
def geometric_mean(
    seeds,
    *,
    layers=((12, 0.5), (12, 0.8), (12, 0.95), (64, 0.5)),
    images=50,
    steps=2000,
    sampled=500,
    scaled=True,
    data="digits",
):
    """Puts images through the sub-networks of a trained Keras network with dropout on its last hidden layer.

    Layers are pairs of units and the probability of keeping one. The full network is compared with the normalised
    geometric mean of all 2^units sub-networks' class probabilities, which it must equal up to rounding, and with their
    average: root-mean-square Euclidean distance over test images, beside that of a single sub-network. Of wide layers
    500 sub-networks are drawn, and the geometric mean is left out. Keras divides the kept units by the probability of
    keeping instead of scaling the weights later; without the scaling the full network has the weights of the
    sub-networks. The mistake is the scope: a dozen units dropped by half are too few.
    """
    chosen = load_data(data).flat()
    x, rows = chosen.x_test[:images], []
    for units, keep in layers:
        trained = _train(chosen, seeds, steps, hidden=(units,), keep=(keep,))
        for replica, seed in enumerate(seeds):
            kept = np.full(units, keep)
            masks, probability = _every_mask(kept) if units <= ENUMERABLE else _random_masks(kept, sampled, seed)
            logits, full = _sub_networks(trained.model(replica), x, (keep,), masks, scaled)
            found = _distances(full, scipy.special.softmax(logits, axis=-1), probability)
            if units <= ENUMERABLE:
                mean_logits = np.tensordot(probability, scipy.special.log_softmax(logits, axis=-1), axes=1)
                geometric = {
                    "full_network": full.ravel(),
                    "average": scipy.special.softmax(mean_logits, axis=-1).ravel(),
                }
                found = pd.concat([found, pd.DataFrame(geometric).assign(quantity="normalised geometric mean")])
            rows.append(found.assign(seed=seed, dropout=f"{units} units, {keep} kept"))
    return pd.concat(rows, ignore_index=True)


@claim(
    r"$p(y|x) = \sum_b p(b)\, p(y|x; b)$ with $p(b) = \prod_i \varphi_i^{b_i} (1-\varphi_i)^{1-b_i}$: dropout predicts "
    r"with an ensemble of sub-networks, which weight scaling approximates.",
    source=cheatsheet("1.8.3"),
    kind="formula",
    literature="Srivastava et al. 2014, section 7.5, compare weight scaling with Monte Carlo averaging",
    criterion=AllOf(
        sampling=ScalingLaw(
            x="samples",
            y="distance",
            at_least=-0.55,
            at_most=-0.45,
            because="an average of independent draws from the mixture nears it as their number to the power -1/2",
            where={"quantity": "distance of Monte Carlo"},
            each=("dropout",),
        ),
        scaling=CLOSER,
    ),
    smoke={"steps": 2000, "hidden": (5, 5), "keep": ((0.8, 0.5),)},
    full={"data": "mnist", "hidden": (7, 7), "steps": 20000, "images": 200},
    control={"scaled": False},
    correction=Correction(
        "Dropout predicts with that ensemble. Weight scaling approximates it where units are rarely dropped; where "
        "narrow layers drop many, it is hardly nearer than a single sub-network is.",
        keep=((0.95, 0.95),),
    ),
    tags=("headline",),
)
def mixture(
    seeds,
    *,
    hidden=(6, 6),
    keep=((0.8, 0.5), (0.95, 0.95)),
    images=50,
    samples=(4, 16, 64, 256),
    repeats=16,
    steps=2000,
    scaled=True,
    data="digits",
):
    """Enumerates the mixture of a trained Keras network with dropout on two hidden layers, and samples from it.

    The exact mixture sums all 2^12 sub-networks with their probabilities. Running Keras' own dropout and averaging a
    number of predictions must near it as an average of independent draws does. Root-mean-square Euclidean distances
    over test images, and over repetitions of the sampling; weight scaling is compared with a single sub-network. The
    mistake is to expect an approximation of any width and rate.
    """
    chosen = load_data(data).flat()
    x, rows = chosen.x_test[:images], []
    for kept in keep:
        trained = _train(chosen, seeds, steps, hidden=hidden, keep=kept)
        for replica, seed in enumerate(seeds):
            model = trained.model(replica)
            masks, probability = _every_mask(np.repeat(kept, hidden))
            logits, full = _sub_networks(model, x, kept, masks, scaled)
            predictions = scipy.special.softmax(logits, axis=-1)
            average = np.tensordot(probability, predictions, axes=1)
            drawn = scipy.special.softmax(_draws(model, x, repeats * max(samples)), axis=-1)
            monte_carlo = [
                _distance(drawn[: repeats * number].reshape(repeats, number, *average.shape).mean(axis=1), average)
                for number in samples
            ]
            sampled = pd.DataFrame({"samples": samples, "distance": monte_carlo, "quantity": "distance of Monte Carlo"})
            distances = _distances(full, predictions, probability)
            rows.append(
                pd.concat([sampled, distances]).assign(seed=seed, dropout=f"{' and '.join(map(str, kept))} kept")
            )
    return pd.concat(rows, ignore_index=True)


def dropout_network(*, inputs, outputs, hidden, keep):
    """Build a network with a wide first layer and dropout on every later hidden layer."""
    layers = [keras.Input((inputs,)), keras.layers.Dense(64, activation="relu")]
    for units, probability in zip(hidden, keep, strict=True):
        layers += [keras.layers.Dense(units, activation="relu"), keras.layers.Dropout(1 - probability)]
    return keras.Sequential([*layers, keras.layers.Dense(outputs)])


def _train(images, seeds, steps, *, hidden, keep):
    optimizer = keras.optimizers.Adam(0.003)
    arm = classifier(dropout_network, images, steps=steps, optimizer=optimizer, metrics={}, hidden=hidden, keep=keep)
    return arm(seeds=seeds)


def _every_mask(kept):
    """All masks [masks, units] of units kept with these probabilities, and the probabilities of the masks."""
    masks = np.array(list(itertools.product((0.0, 1.0), repeat=len(kept))))
    return masks, np.prod(np.where(masks == 1, kept, 1 - kept), axis=1)


def _random_masks(kept, number, seed):
    """Masks [number, units] drawn at random, each of which stands for an equal share."""
    masks = np.random.default_rng(seed).uniform(size=(number, len(kept))) < kept
    return masks.astype(float), np.full(number, 1 / number)


def _sub_networks(model, x, keep, masks, scaled):
    """Put images through sub-networks, and through the full network, in double precision.

    Returns:
        Logits of the sub-networks [masks, images, classes] and the full network's class probabilities [images,
        classes].
    """
    weights = [weight.astype(float) for weight in model.get_weights()]
    layers = list(zip(weights[::2], weights[1::2], strict=True))
    widths = [kernel.shape[1] for kernel, _ in layers[1:-1]]
    kept = np.repeat(keep, widths)
    ends = np.cumsum(widths)[:-1]
    full = (np.ones_like(kept) if scaled else 1 / kept)[None]
    logits = _logits(layers, x, np.split(masks / kept, ends, axis=1))
    return logits, scipy.special.softmax(_logits(layers, x, np.split(full, ends, axis=1))[0], axis=-1)


def _logits(layers, x, factors):
    """Forward pass with every dropped layer multiplied by its factors [masks, units]: [masks, images, classes]."""
    first, bias = layers[0]
    signal = keras.ops.relu(x @ first + bias)[None]
    for (kernel, bias), factor in zip(layers[1:-1], factors, strict=True):
        signal = keras.ops.relu(keras.ops.matmul(signal, kernel) + bias) * factor[:, None]
    kernel, bias = layers[-1]
    return keras.ops.convert_to_numpy(keras.ops.matmul(signal, kernel) + bias)


def _draws(model, x, number):
    """Logits of the model with dropout switched on: [number, images, classes]."""
    repeated = np.tile(x, (number, 1))
    return keras.ops.convert_to_numpy(model(repeated, training=True)).reshape(number, len(x), -1)


def _distances(full, predictions, probability):
    """Root-mean-square distance of the full network, and of a random sub-network, from the sub-networks' average."""
    average = np.tensordot(probability, predictions, axes=1)
    single = np.sqrt(np.average(np.square(predictions - average).sum(axis=-1).mean(axis=-1), weights=probability))
    return pd.DataFrame(
        {
            "quantity": "distance to the average",
            "prediction": ["full network", "one sub-network"],
            "distance": [_distance(full, average), single],
        }
    )


def _distance(p, q):
    """Root-mean-square Euclidean distance of class probabilities [..., classes]."""
    return np.sqrt(np.square(p - q).sum(axis=-1).mean())
