"""Dropout as the training of an ensemble of sub-networks."""

from __future__ import annotations

import itertools
from functools import partial

import numpy as np
import pandas as pd
from etils import epy

from repro import (
    AllOf,
    Boundary,
    Equivalent,
    Greater,
    Identity,
    PositiveControl,
    Reported,
    Rival,
    ScalingLaw,
    cheatsheet,
    claim,
    lectures,
)
from repro.engine import build_seeded, classifier, load_data

with epy.lazy_imports():
    import keras
    import scipy.special

ENUMERABLE = 14  # units whose sub-networks can all be put through
MONTE_CARLO = partial(
    ScalingLaw,
    x="samples",
    expected=-0.5,
    rivals=(-1.0, -0.25),
    each=("keep",),
    where={"quantity": "distance of Monte Carlo"},
)
CONDITIONS = ("units", "depth", "keep", "mean")
NEARER = partial(
    Greater, "distance", of="one sub-network", by="prediction", each=CONDITIONS, where={"unit": "distance"}
)


def sub_networks(
    seeds,
    *,
    units=(8, 64, 256),
    depths=(1, 2),
    keep=(0.5, 0.8),
    images=1000,
    steps=1500,
    sampled=150,
    tested=100,
    data="digits",
):
    """Puts test images through the sub-networks of trained Keras networks with dropout on their last hidden layers.

    A hidden layer of 64 ReLU units, then one or two of equal width with dropout; each seed redraws the training images.
    Of the full network two things are compared with the normalised geometric and with the arithmetic mean of the
    sub-networks' class probabilities: its prediction, by the root-mean-square Euclidean distance over 100 test images,
    beside the distance of a single sub-network (their ratio squared is the number of sub-networks whose average the
    full network is worth), and its test error on all test images. Where there are more than 14 units to be dropped,
    some sub-networks are drawn, and no more than were drawn can be seen to be what the full network is worth. Keras
    divides the kept units by the probability of keeping instead of scaling the weights later. Of one layer the scaled
    network is the normalised geometric mean exactly (Baldi and Sadowski 2013), which is a worked number.
    """
    loaded, rows = load_data(data).flat(), []
    for width, depth, probability in itertools.product(units, depths, keep):
        layers = {"hidden": (width,) * depth, "keep": (probability,) * depth}
        trained = _train(loaded, images, seeds, steps, **layers)
        kept = np.full(depth * width, probability)
        for replica, seed in enumerate(seeds):
            masks, shares = _every_mask(kept) if len(kept) <= ENUMERABLE else _random_masks(kept, sampled, seed)
            logits, full = _sub_networks(trained.model(replica), loaded.x_test, layers["keep"], masks)
            for mean, average in _means(logits, shares).items():
                found = _beside(full, logits, shares, average, loaded.y_test, tested, seed)
                rows.append(found.assign(seed=seed, units=width, depth=depth, keep=probability, mean=mean))
    return pd.concat(rows, ignore_index=True)


@claim(
    "With all neurons active the full network behaves approximately like the average of all sub-networks trained; "
    "weight scaling at test time effectively averages their outputs, so that its output can be seen as their average "
    "prediction.",
    source=lectures("2.5.4"),
    kind="tendency",
    scope="trained networks of ordinary width; arithmetic or geometric mean, predictions or error, width, depth and "
    "keep probability are left open",
    left_open=CONDITIONS,
    literature="Srivastava et al. 2014, section 7.5; Warde-Farley et al. 2014 compare errors; Baldi and Sadowski 2013: "
    "exact for the normalised geometric mean of one softmax layer",
    reads=sub_networks,
    criterion=AllOf(
        distance=NEARER(than="full network"),
        error=Equivalent("excess_error", 0.0, smallest_difference=0.01, each=CONDITIONS, where={"unit": "error"}),
    ),
    boundary=Boundary(
        "from some sixty units on, and for the geometric mean of one layer at any width: what scaling misses is of the "
        "order of the variance of the logits over sub-networks, which falls as the inverse of the width",
        holds="units >= 64 or (mean == 'geometric' and depth == 1)",
        named=({"units": 256, "depth": 2, "keep": 0.5}, {"units": 8, "depth": 2, "keep": 0.5}),
    ),
    smoke={"units": (8, 256), "depths": (2,), "keep": (0.5,), "steps": 600, "sampled": 100},
    full={"data": "mnist", "images": 50_000, "units": (8, 64, 256, 2048), "steps": 20000},
    control={"weights": "unscaled"},
    positive_control=PositiveControl(
        "The average of sixteen sub-networks is nearer to the average of all than one sub-network is.",
        criterion=NEARER(than="sixteen sub-networks", smallest_ratio=1.05**2, because="it is twice what matters"),
    ),
    reported=(
        Reported(
            "about 50",
            measure="number of sub-networks whose average errs as the scaled network does",
            setting="MNIST",
            place="Srivastava et al. 2014, section 7.5, figure 11",
        ),
    ),
    tags=("headline",),
    seeds=48,
)
def geometric_mean(observations, *, weights="scaled"):
    """Compares the full network with the average of the sub-networks.

    Approximately means nearer than one of them, and an error that differs by less than a point. In the control the full
    network has the weights of the sub-networks, without the scaling.
    """
    return observations[observations["weights"] == weights].reset_index(drop=True)


def mixtures(
    seeds,
    *,
    hidden=(6, 6),
    keep=((0.8, 0.5), (0.95, 0.9)),
    images=1000,
    tested=50,
    samples=(4, 16, 64, 256),
    repeats=16,
    steps=1500,
    data="digits",
):
    """Enumerates the mixture of a trained Keras network with dropout on two hidden layers, and samples from it.

    The exact mixture sums all 2^12 sub-networks with their probabilities, which must sum to one. Averages of
    predictions under Keras' own dropout must near it as independent draws do, with their number to the power -1/2: any
    other mixture would leave a distance that does not fall. Root-mean-square Euclidean distances over test images, and
    over repetitions of the sampling. Weights scaled by the sending unit's probability must give the pre-activations of
    the next layer that the masks give in expectation, with a probability of its own for every unit: linear algebra, and
    a worked number. Each seed redraws the training images.
    """
    loaded, tables = load_data(data).flat(), []
    x = loaded.x_test[:tested]
    for kept in keep:
        trained = _train(loaded, images, seeds, steps, hidden=hidden, keep=kept)
        for replica, seed in enumerate(seeds):
            model = trained.model(replica)
            masks, shares = _every_mask(np.repeat(kept, hidden))
            _, exchanged = _every_mask(1 - np.repeat(kept, hidden))
            predictions = scipy.special.softmax(_sub_networks(model, x, kept, masks)[0], axis=-1)
            averages = {
                name: np.tensordot(probability, predictions, axes=1)
                for name, probability in (("distance", shares), ("rival_distance", exchanged))
            }
            rows = [{"quantity": "probability", "total": shares.sum(), "one": 1.0}]
            rows += [{"quantity": "pre-activation", **row} for row in _pre_activations(seed, model, x)]
            common = _of_common_masks(model, seed, loaded, hidden, kept)
            for dropped, drawing in (("independently", model), ("together", common)):
                drawn = scipy.special.softmax(_draws(drawing, x, repeats * max(samples)), axis=-1)
                for number in samples:
                    means = drawn[: repeats * number].reshape(repeats, number, *drawn.shape[1:]).mean(axis=1)
                    distances = {name: _distance(means, average) for name, average in averages.items()}
                    rows.append(
                        {"quantity": "distance of Monte Carlo", "units": dropped, "samples": number, **distances}
                    )
            tables.append(pd.DataFrame(rows).assign(seed=seed, keep=" and ".join(map(str, kept))))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"Dropout as ensembling: $p(y|x) = \sum_{b \in \{0,1\}^R} p(b)\, p(y|x; b)$ with "
    r"$p(b) = \prod_i \varphi_i^{b_i} (1-\varphi_i)^{1-b_i}$, $\varphi_i$ the probability of keeping a unit; for "
    r"inference $\tilde w_{ij} \leftarrow \varphi_j w_{ij}$.",
    source=cheatsheet("1.8.3"),
    kind="formula",
    scope="units dropped independently; how near scaling comes to the mixture is not said",
    left_open=("keep",),
    literature="Srivastava et al. 2014, section 7.5",
    reads=mixtures,
    criterion=AllOf(
        probabilities=Identity("total", "one", operations=4096, each=("keep",), where={"quantity": "probability"}),
        sampling=MONTE_CARLO(y="distance"),
        scaling=Identity("scaled", "expected", operations=4096, each=("keep",), where={"quantity": "pre-activation"}),
    ),
    smoke={
        "steps": 600,
        "hidden": (5, 5),
        "keep": ((0.8, 0.5),),
        "samples": (4, 16, 64),
        "repeats": 24,
        "tested": 20,
    },
    full={"data": "mnist", "images": 50_000, "hidden": (7, 7), "steps": 20000},
    control={"units": "together"},
    rival=Rival(
        r"The probabilities of keeping and of dropping a unit are exchanged in $p(b)$.",
        criterion=MONTE_CARLO(y="rival_distance"),
    ),
    tags=("headline",),
    seeds=24,
)
def mixture(observations, *, units="independently"):
    """Reads the sampling in which units are dropped independently; in the control all units of a layer are together.

    The control samples from the same trained network.
    """
    others = (observations["quantity"] == "distance of Monte Carlo") & (observations["units"] != units)
    return observations[~others].reset_index(drop=True)


def dropout_network(*, inputs, outputs, hidden, keep, independent=True):
    """Build a network with a wide first layer and dropout on every later hidden layer, of single units or of all."""
    layers = [keras.Input((inputs,)), keras.layers.Dense(64, activation="relu")]
    for units, probability in zip(hidden, keep, strict=True):
        dropped = keras.layers.Dropout(1 - probability, noise_shape=None if independent else (None, 1))
        layers += [keras.layers.Dense(units, activation="relu"), dropped]
    return keras.Sequential([*layers, keras.layers.Dense(outputs)])


def _of_common_masks(model, seed, loaded, hidden, keep):
    """The same trained network with dropout of all units of a layer together."""
    sizes = {"inputs": loaded.x_train.shape[1], "outputs": loaded.classes}
    build = partial(dropout_network, **sizes, hidden=hidden, keep=keep, independent=False)
    common = build_seeded(build, seed)
    common.set_weights(model.get_weights())
    return common


def _train(loaded, images, seeds, steps, **network):
    arm = classifier(
        dropout_network,
        lambda seed: loaded.subset(images, seed),
        steps=steps,
        optimizer=keras.optimizers.Adam(0.003),
        metrics={},
        **network,
    )
    return arm(seeds=list(seeds))


def _every_mask(kept):
    """All masks [masks, units] of units kept with these probabilities, and the probabilities of the masks."""
    masks = np.array(list(itertools.product((0.0, 1.0), repeat=len(kept))))
    return masks, np.prod(np.where(masks == 1, kept, 1 - kept), axis=1)


def _random_masks(kept, number, seed):
    """Masks [number, units] drawn at random, each of which stands for an equal share."""
    masks = np.random.default_rng(seed).uniform(size=(number, len(kept))) < kept
    return masks.astype(float), np.full(number, 1 / number)


def _sub_networks(model, x, keep, masks, at_once=64):
    """Put images through sub-networks, and through the full network, in double precision.

    Returns:
        Logits of the sub-networks [masks, images, classes], and the full network's class probabilities [images,
        classes] by how its weights are scaled: to the expectation over masks, or as the sub-networks have them.
    """
    weights = [weight.astype(float) for weight in model.get_weights()]
    layers = list(zip(weights[::2], weights[1::2], strict=True))
    widths = [kernel.shape[1] for kernel, _ in layers[1:-1]]
    kept = np.repeat(keep, widths)
    ends = np.cumsum(widths)[:-1]

    def through(factors):
        return _logits(layers, x, np.split(factors, ends, axis=1))

    logits = [through(masks[first : first + at_once] / kept) for first in range(0, len(masks), at_once)]
    scaled, unscaled = scipy.special.softmax(through(np.stack([np.ones_like(kept), 1 / kept])), axis=-1)
    return np.concatenate(logits), {"scaled": scaled, "unscaled": unscaled}


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


def _means(logits, shares):
    """Means of the sub-networks' class probabilities, [images, classes], by name."""
    geometric = np.tensordot(shares, scipy.special.log_softmax(logits, axis=-1), axes=1)
    return {
        "arithmetic": np.tensordot(shares, scipy.special.softmax(logits, axis=-1), axes=1),
        "geometric": scipy.special.softmax(geometric, axis=-1),
    }


def _beside(full, logits, shares, average, labels, tested, seed, group=16):
    """Distances of full networks, of one sub-network and of an average of some from the mean of all; and errors.

    Args:
        full: Class probabilities of the full network, [images, classes], by how its weights are scaled.
        logits: Logits of the sub-networks, [masks, images, classes].
        shares: Probabilities of the masks, [masks].
        average: Mean of the sub-networks' class probabilities, [images, classes].
        labels: Classes of the images.
        tested: Number of images that distances are averaged over.
        seed: Seed of the sub-networks that are averaged.
        group: Number of them.
    """
    predictions = scipy.special.softmax(logits[:, :tested], axis=-1)
    squares = np.square(predictions - average[:tested]).sum(axis=-1).mean(axis=-1)
    drawn = np.random.default_rng(seed).choice(len(shares), size=(50, group), p=shares)
    of_sub_networks = {
        "one sub-network": np.sqrt(np.average(squares, weights=shares)),
        "sixteen sub-networks": _distance(predictions[drawn].mean(axis=1), average[:tested]),
    }
    rows = []
    for weights, probabilities in full.items():
        distances = {"full network": _distance(probabilities[:tested], average[:tested]), **of_sub_networks}
        error, of_average = ((each.argmax(axis=-1) != labels).mean() for each in (probabilities, average))
        rows += [
            {"weights": weights, "unit": "distance", "prediction": prediction, "distance": distance}
            for prediction, distance in distances.items()
        ]
        rows.append({"weights": weights, "unit": "error", "excess_error": error - of_average, "test_error": error})
    return pd.DataFrame(rows)


def _pre_activations(seed, model, x, units=10):
    """What enters the last layer in expectation over all masks of the units before it, and with scaled weights.

    Every unit has a probability of its own; the first ten units are dropped, the others are not there.
    """
    generator = np.random.default_rng(seed)
    kernel, _ = (weights.astype(float) for weights in model.get_weights()[-2:])
    kernel = kernel[:units]
    sent = np.abs(generator.normal(size=(len(x), len(kernel))))
    kept = generator.uniform(0.2, 0.9, size=len(kernel))
    masks, shares = _every_mask(kept)
    expected = np.tensordot(shares, masks[:, None] * sent @ kernel, axes=1)
    scaled = sent @ (kept[:, None] * kernel)
    return [{"scaled": left, "expected": right} for left, right in zip(scaled.ravel(), expected.ravel(), strict=True)]


def _distance(p, q):
    """Root-mean-square Euclidean distance of class probabilities [..., classes]."""
    return np.sqrt(np.square(p - q).sum(axis=-1).mean())
