"""What many dimensions do to learning from neighbours, and to learning from features."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, ExponentialDecay, Greater, Identity, ScalingLaw, claim, notes
from repro.claims.generalization._examples import FewExamples
from repro.engine import classifier, horizons, join_tables, mlp, tune

with epy.lazy_imports():
    import keras

NOT_LEARNT = 0.25  # share of mistakes, half of those of guessing
LEARNT_BY = {
    "nearest neighbour": ("without structure", "of three hidden inputs"),
    "least squares": ("linear",),
}


@claim(
    "Generalising correctly becomes exponentially harder with the dimension of the examples, because a training set of "
    "fixed size covers a dwindling fraction of the input space: in dimension 100 a trillion examples cover about "
    "$10^{-18}$ of it. Many algorithms that work fine in low dimensions become intractable.",
    source=(notes("Definition 3.53", parts=("harder",)), notes("Remark 3.37")),
    kind="law",
    scope="Domingos 2012; the number is that of 100 binary inputs",
    left_open=("learner", "target"),
    literature="Domingos 2012, section 6",
    criterion=AllOf(
        harder=ExponentialDecay(
            x="dimension",
            y="share_of_needed",
            expected=math.log(2),
            rivals=(0.0,),
            because="each further binary input doubles the space; the rival is a number that grows as a power",
            each=("learner", "target"),
            where={"quantity": "needed"},
        ),
        trillion=Identity("logarithm", "exponent", digits=0, where={"quantity": "trillion"}),
    ),
    boundary=Boundary(
        "for a learner that compares neighbours, where the target has no structure in all its inputs; a linear target "
        "takes a linear learner a number of examples in proportion to its weights (Baum and Haussler 1989)",
        holds="part == 'trillion' or target == 'without structure'",
    ),
    control={"hidden": True},
)
def curse_of_dimensionality(seed, *, dimensions=(4, 6, 8, 10), targets=3, hidden=False):
    """Counts the examples that a learner needs until it errs on less than a quarter of all binary inputs.

    Inputs are drawn from the 2^d with replacement, d from 4 to 10, the error is that on all 2^d, and the number of
    examples grows by fifths; the median over 3 targets. Targets: labels drawn for each input anew (without structure),
    such labels of three hidden inputs of which the others are copies, and the sign of a random linear function.
    Learners: the nearest neighbour, and linear least squares. Theory: without structure an input that was not seen is
    right by chance, so that half of the inputs have to be seen, 2^d ln 2 examples, at a rate of ln 2 per dimension.

    The trillion is a worked number that nothing measured could contradict: the logarithm to base 10 of 10^12 / 2^100.
    In the control all inputs are copies of three hidden ones.
    """
    rows = [{"quantity": "trillion", "logarithm": 12 - 100 * math.log10(2), "exponent": -18.0}]
    for learner, kinds in LEARNT_BY.items():
        for target, dimension in itertools.product(kinds, dimensions):
            generator = np.random.default_rng((seed, dimension))
            inner = 3 if hidden or target == "of three hidden inputs" else dimension
            needed = [_needed(generator, learner, target, dimension, inner) for _ in range(targets)]
            labels = {"quantity": "needed", "learner": learner, "target": target, "dimension": dimension}
            rows.append({**labels, "needed": np.median(needed), "share_of_needed": 1 / np.median(needed)})
    return pd.DataFrame(rows)


@claim(
    "In high dimension all examples look alike: on a grid the $2d$ nearest examples of a point are equally far, and "
    "with the dimension more become nearest neighbours, until the choice among them, and so of the class, is "
    "effectively random.",
    source=notes("Example 38"),
    kind="tendency",
    scope="a grid, or independent features",
    left_open=("features",),
    literature="Domingos 2012, section 6; Beyer et al. 1999",
    criterion=AllOf(
        grid=Identity("nearest", "expected", where={"quantity": "grid"}),
        alike=ScalingLaw(
            x="dimension", y="contrast", expected=-0.5, rivals=(0.0,), each=("features",), where={"quantity": "points"}
        ),
        random=ScalingLaw(
            x="dimension", y="advantage", expected=-0.5, rivals=(0.0,), each=("features",), where={"quantity": "points"}
        ),
    ),
    boundary=Boundary(
        "where features are independent; points of few hidden variables are as far apart as these",
        holds="part == 'grid' or features == 'independent'",
    ),
    control={"hidden": 2},
)
def distances_concentrate(seed, *, dimensions=(8, 32, 128, 512), examples=200, tests=600, hidden=0):
    """Measures distances from 200 normal points, and what the nearest neighbour knows of the class.

    Grid: how many of the 3^d points of a grid are nearest to the one in its middle, d up to 7, a worked number.
    Contrast: standard deviation over mean of all distances. Advantage: by how much the share of 600 points whose
    nearest example is on the same side of a random hyperplane exceeds one half. Features are independent, or linear
    functions of two hidden variables. Squared distances sum d independent terms, so that their relative spread falls as
    d^-1/2; and the angle to the nearest of n points has a cosine near root(2 ln n / d), so that the advantage falls as
    d^-1/2 too. The rival is no change. In the control all features are functions of two hidden variables.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for dimension in range(1, 8):
        grid = np.indices((3,) * dimension).reshape(dimension, -1).T - 1
        squares = np.sort(np.square(grid).sum(axis=1))[1:]
        nearest = np.count_nonzero(squares == squares[0])
        rows.append({"quantity": "grid", "nearest": nearest, "expected": 2 * dimension})
    for features, dimension in itertools.product(("independent", "of two hidden variables"), dimensions):
        intrinsic = 2 if hidden or features != "independent" else dimension
        points, side = _points(generator, examples + tests, dimension, intrinsic)
        squares = _squared_distances(points[examples:], points[:examples])
        distances = np.sqrt(squares)
        same_side = np.mean(side[:examples][squares.argmin(axis=1)] == side[examples:])
        measured = {"contrast": distances.std() / distances.mean(), "advantage": max(same_side - 0.5, 1 / tests)}
        rows.append({"quantity": "points", "features": features, "dimension": dimension, **measured})
    return pd.DataFrame(rows)


@claim(
    "Gathering more features may hurt: their benefits may be outweighed by the curse of dimensionality.",
    source=notes("Remark 3.38"),
    kind="possibility",
    scope="a fixed number of examples, features that carry some information about the class",
    left_open=("learner",),
    literature="Domingos 2012, section 6; Trunk 1979",
    criterion=Greater("error", of="all", than="first", by="features", each=("learner",)),
    control={"decay": 0.0},
)
def irrelevant_features_hurt(
    seeds, *, first=20, features=500, examples=20, tests=500, decay=0.5, steps=300, rates=(0.001, 0.01, 0.1)
):
    """Compares errors with the first 20 of ever weaker features and with all 500, on Trunk's problem.

    Two classes of 10 examples; feature i is normal with mean i^-1/2 or its negative and unit deviation, so that every
    feature tells something of the class. Where means are known, the error falls to nought with more features; where
    they are estimated, it rises to one half (Trunk 1979): by his formula from 5 to 12 % here. Learners: the nearer of
    the estimated means, as in Trunk's problem, the majority of five nearest neighbours, and a Keras network of 64 ReLU
    units trained by SGD with momentum at the rate of the least validation loss, for which the features left out are
    noughts. In the control all features are as strong as the twentieth.
    """
    draw = {
        label: FewExamples(number, features, examples, tests, first, decay)
        for label, number in (("first", first), ("all", features))
    }
    tables = []
    for label, drawn in draw.items():
        sgd = keras.optimizers.SGD(momentum=0.9)
        arm = classifier(mlp, drawn, steps=steps, batch_size=examples, optimizer=sgd, every=steps // 2, widths=(64,))
        tuning = tune(arm, {"learning_rate": list(rates)}, len(rates), objective="validation_loss", widen=1)
        trained = horizons(arm(seeds=list(seeds), **tuning.best).records)
        errors = [
            trained.assign(
                learner="network after " + trained["steps"].astype(str) + " steps", error=1 - trained["test_accuracy"]
            )
        ]
        for learner, error in {"nearer mean": _nearer_mean_error, "neighbours": _majority_error}.items():
            measured = [error(drawn(seed)) for seed in seeds]
            errors.append(pd.DataFrame({"seed": seeds, "learner": learner, "error": measured}))
        tables.append(pd.concat(errors)[["seed", "learner", "error"]].assign(features=label))
        tables[-1].attrs["tuning"] = tuning.table(features=label)
    return join_tables(tables)


def _needed(generator, learner, target, dimension, inner):
    """Number of random examples that a learner needs to err on less than a quarter of all binary inputs."""
    hidden = ((np.arange(2**inner)[:, None] >> np.arange(inner)) & 1) * 2.0 - 1
    inputs = hidden[:, np.arange(dimension) % inner]
    labels = generator.choice([-1.0, 1.0], size=len(inputs))
    if target == "linear":
        labels = np.where(inputs @ generator.normal(size=dimension) > 0, 1.0, -1.0)
    drawn = generator.integers(len(inputs), size=16 * len(inputs))
    number = 1
    while True:
        x, y = inputs[drawn[:number]], labels[drawn[:number]]
        if learner == "nearest neighbour":
            predicted = y[(inputs @ x.T).argmax(axis=1)]  # the largest product of signs is the least distance
        else:
            predicted = inputs @ np.linalg.lstsq(x, y, rcond=None)[0]
        if np.mean(predicted * labels <= 0) < NOT_LEARNT:
            return number
        number += max(1, number // 5)


def _points(generator, number, dimension, intrinsic):
    """Normal points [number, dimension] that are linear functions of hidden ones, and their side of a hyperplane."""
    hidden = generator.normal(size=(number, intrinsic))
    side = hidden @ generator.normal(size=intrinsic) > 0
    if intrinsic == dimension:
        return hidden, side
    return hidden @ generator.normal(size=(intrinsic, dimension)), side


def _squared_distances(x, y):
    """Squared Euclidean distances [points of x, points of y]."""
    squares = np.square(x).sum(axis=1)[:, None] + np.square(y).sum(axis=1) - 2 * x @ y.T
    return np.maximum(squares, 0.0)


def _nearer_mean_error(chosen):
    """Test error of the class whose mean over the training examples is nearer."""
    means = np.stack([chosen.x_train[chosen.y_train == label].mean(axis=0) for label in (0, 1)])
    return np.mean(_squared_distances(chosen.x_test, means).argmin(axis=1) != chosen.y_test)


def _majority_error(chosen, neighbours=5):
    """Test error of the majority among the nearest training examples; their number is odd."""
    nearest = np.argsort(_squared_distances(chosen.x_test, chosen.x_train), axis=1)[:, :neighbours]
    return np.mean((chosen.y_train[nearest].mean(axis=1) > 0.5) != chosen.y_test)
