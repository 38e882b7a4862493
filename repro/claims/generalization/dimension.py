"""What many dimensions do to learning from neighbours, and to learning from features."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Equivalent, ExponentialDecay, Greater, Identity, ScalingLaw, claim, notes
from repro.engine import classifier, load_data, mlp, tune

with epy.lazy_imports():
    import keras


@claim(
    "Generalising gets exponentially harder with dimension because a training set of fixed size covers a dwindling "
    "fraction of the input space: in dimension 100 a trillion examples cover about $10^{-18}$ of it.",
    source=(notes("Definition 3.53"), notes("Remark 3.37")),
    kind="law",
    literature="Domingos 2012, section 6: the fraction is that of Boolean inputs",
    criterion=AllOf(
        trillion=Identity("logarithm", "printed", digits=0, where={"quantity": "trillion"}),
        covered=ExponentialDecay(
            x="dimension",
            y="covered",
            at_least=0.9 * math.log(2),
            at_most=1.1 * math.log(2),
            because="each further Boolean input doubles the space",
            where={"quantity": "covered"},
        ),
        neighbours=Greater(
            "error",
            of=64,
            than=2,
            by="dimension",
            smallest_difference=0.05,
            because="a learner that is wrong once more in twenty cases generalises noticeably worse",
            where={"quantity": "neighbours"},
        ),
    ),
    control={"intrinsic": 2},
)
def curse_of_dimensionality(seed, *, examples=500, tests=1000, intrinsic=None):
    """Counts what random examples cover of Boolean space, and how wrong their nearest neighbour is.

    Covered: distinct inputs among 500 random ones over the 2^d that can occur, d from 14 to 22. Neighbours: 500 normal
    points labelled by the sign of a random linear function; the share of test points whose nearest neighbour has
    another label, in 2 and in 64 dimensions. The trillion is the logarithm to base 10 of 10^12 / 2^100. What is
    exponential is the fraction; of the error only is asked that it grows, and only for a learner that compares
    neighbours: others need not cover the space. In the control inputs of every dimension are functions of two hidden
    ones.
    """
    generator = np.random.default_rng(seed)
    rows = [{"quantity": "trillion", "logarithm": 12 - 100 * math.log10(2), "printed": -18.0}]
    for dimension in range(14, 23, 2):
        bits = generator.integers(0, 2, size=(examples, intrinsic or dimension))
        covered = len(np.unique(bits, axis=0)) / 2.0 ** bits.shape[1]
        rows.append({"quantity": "covered", "dimension": dimension, "covered": covered})
    for dimension in (2, 64):
        error = _neighbour_error(generator, examples, tests, dimension, intrinsic or dimension)
        rows.append({"quantity": "neighbours", "dimension": dimension, "error": error})
    return pd.DataFrame(rows)


@claim(
    "In high dimension all examples look alike: on a grid the $2d$ nearest examples of a point are equally far, and "
    "with the dimension more become nearest neighbours, until the choice among them, and so of the class, is random.",
    source=notes("Example 38"),
    kind="tendency",
    literature="Domingos 2012, section 6; Beyer et al. 1999",
    criterion=AllOf(
        grid=Identity("nearest", "expected", where={"quantity": "grid"}),
        contrast=ScalingLaw(
            x="dimension",
            y="contrast",
            at_least=-0.6,
            at_most=-0.4,
            because="squared distances sum d independent terms, so that their relative spread falls as the root of d",
            where={"quantity": "contrast"},
        ),
        choice=Equivalent(
            "error",
            0.5,
            smallest_difference=0.05,
            because="a choice that is right at most 55 times in 100 is as good as random",
            where={"quantity": "class"},
        ),
    ),
    control={"intrinsic": 2},
)
def distances_concentrate(seed, *, examples=500, tests=1000, intrinsic=None):
    """Measures the distances of 500 normal points from others, in 8 to 512 dimensions.

    Grid: how many of the 3^d points of a grid are nearest to the one in its middle, d up to 7. Contrast: standard
    deviation over mean of all distances. Class: the share of test points whose nearest neighbour lies on the other side
    of a random hyperplane, in 1024 dimensions. In the control points of every dimension are linear functions of two
    hidden variables; a grid is a grid all the same.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for dimension in range(1, 8):
        grid = np.indices((3,) * dimension).reshape(dimension, -1).T - 1
        squares = np.sort(np.square(grid).sum(axis=1))[1:]
        nearest = np.count_nonzero(squares == squares[0])
        rows.append({"quantity": "grid", "nearest": nearest, "expected": 2 * dimension})
    for dimension in (8, 32, 128, 512):
        x, _ = _points(generator, 2 * examples, dimension, intrinsic or dimension)
        distances = np.sqrt(_squared_distances(x[:examples], x[examples:]))
        contrast = distances.std() / distances.mean()
        rows.append({"quantity": "contrast", "dimension": dimension, "contrast": contrast})
    error = _neighbour_error(generator, examples, tests, 1024, intrinsic or 1024)
    rows.append({"quantity": "class", "error": error})
    return pd.DataFrame(rows)


@claim(
    "Gathering more features can hurt: the benefits of features that say nothing about the class may be outweighed by "
    "the curse of dimensionality.",
    source=notes("Remark 3.38"),
    kind="possibility",
    literature="Domingos 2012, section 6",
    criterion=Greater(
        "error",
        of="more",
        than="fewer",
        by="features",
        smallest_difference=0.02,
        because="two more errors in a hundred images are twice what another choice of neighbours changes",
        each=("learner",),
    ),
    smoke={"steps": 300},
    full={"data": "mnist", "images": 1000, "steps": 3000},
    control={"informative": True},
)
def irrelevant_features_hurt(
    seeds, *, images=300, added=192, steps=1000, rates=(0.01, 0.1), informative=False, data="digits"
):
    """Adds features to every other pixel of 300 standardised images: normal noise, or the pixels left out.

    Test error of the majority of the five nearest neighbours, and of a Keras network of 64 ReLU units trained by SGD at
    its tuned rate. Every seed draws the images and the noise (192 features). The control adds the other pixels instead.
    """
    sets = {
        (seed, features): _with_features(seed, images, added if features == "more" else 0, informative, data)
        for seed in (*seeds, 1_000_000)
        for features in ("fewer", "more")
    }
    rows = []
    for features in ("fewer", "more"):
        arms = {
            seed: classifier(
                mlp, sets[seed, features], steps=steps, optimizer=keras.optimizers.SGD(momentum=0.9), widths=(64,)
            )
            for seed in (*seeds, 1_000_000)
        }
        best = tune(arms[1_000_000], {"learning_rate": list(rates)}, len(rates)).best
        for seed in seeds:
            trained = arms[seed](seeds=[seed], **best).final["test_accuracy"].iloc[0]
            error = _majority_error(sets[seed, features])
            rows.append({"seed": seed, "learner": "neighbours", "features": features, "error": error})
            rows.append({"seed": seed, "learner": "network", "features": features, "error": 1 - trained})
    return pd.DataFrame(rows)


def _points(generator, number, dimension, intrinsic):
    """Normal points [number, dimension] that are linear functions of hidden ones, and their side of a hyperplane."""
    hidden = generator.normal(size=(number, intrinsic))
    side = hidden @ generator.normal(size=intrinsic) > 0
    if intrinsic == dimension:
        return hidden, side
    return hidden @ generator.normal(size=(intrinsic, dimension)), side


def _neighbour_error(generator, examples, tests, dimension, intrinsic):
    """Share of test points whose nearest example lies on the other side of a random hyperplane."""
    x, side = _points(generator, examples + tests, dimension, intrinsic)
    nearest = _squared_distances(x[examples:], x[:examples]).argmin(axis=1)
    return np.mean(side[:examples][nearest] != side[examples:])


def _squared_distances(x, y):
    """Squared Euclidean distances [points of x, points of y]."""
    squares = np.square(x).sum(axis=1)[:, None] + np.square(y).sum(axis=1) - 2 * x @ y.T
    return np.maximum(squares, 0.0)


def _with_features(seed, images, added, informative, data):
    """Every other pixel of a few images, with noise or with the other pixels."""
    chosen = load_data(data).standardized().flat().subset(images, seed)
    generator = np.random.default_rng((seed, 7))

    def features(x):
        more = x[:, 1::2] if informative else generator.normal(size=(len(x), added))
        return np.hstack([x[:, ::2], more]).astype(np.float32) if added else x[:, ::2]

    return replace(chosen, x_train=features(chosen.x_train), x_test=features(chosen.x_test))


def _majority_error(chosen, neighbours=5):
    """Test error of the majority among the nearest training images; ties go to the lowest class."""
    nearest = np.argsort(_squared_distances(chosen.x_test, chosen.x_train), axis=1)[:, :neighbours]
    votes = np.eye(chosen.classes)[chosen.y_train[nearest]].sum(axis=1)
    return np.mean(votes.argmax(axis=1) != chosen.y_test)
