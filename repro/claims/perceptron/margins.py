"""Which of the hyperplanes that separate the data a learner returns."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, AtMost, Boundary, Equivalent, Greater, cheatsheet, claim, notes
from repro.claims.perceptron._learning import trajectory
from repro.claims.perceptron._sets import maximum_margin, random_set
from repro.engine.backend import compile_function, value_and_gradient

with epy.lazy_imports():
    import keras
    import sklearn.svm

MACHINE, REGRESSION, LIMIT = "support vector machine", "logistic regression", "in the limit"
SMALLEST_LOSS = 1e-280  # steps over a smaller one would be quotients of what is no longer represented


@claim(
    r"The maximum-margin classifier is $(w^*, b^*) \in \arg\max_{w, b} \min_{(x, y)} y (x \cdot w + b) / \|w\|$. On "
    "linearly separable data the hard-margin support vector machine finds it among all hyperplanes that separate them; "
    "logistic regression returns any one that separates.",
    source=(
        cheatsheet("1.1 Maximum Margin Classifier", parts=("classifier",)),
        notes("Remark 3.8", parts=("separates", "machine", "regression")),
    ),
    kind="theorem",
    scope="linearly separable data, hard margin, no penalty; how long logistic regression is trained is left open",
    left_open=("training",),
    literature="Soudry et al. 2018: logistic regression by gradient descent tends to the largest margin too, but so "
    "slowly that its margin falls short of it by the inverse logarithm of the number of steps",
    criterion=AllOf(
        classifier=AtMost("margin", bound="largest", rtol=1e-6, where={"quantity": "other hyperplane"}),
        separates=AtLeast("margin", bound=0.0, where={"quantity": "solution"}),
        machine=Equivalent("share", 1.0, smallest_difference=0.01, where={"quantity": "solution", "learner": MACHINE}),
        regression=Greater(
            "margin",
            of=MACHINE,
            than=REGRESSION,
            by="learner",
            smallest_ratio=1.05,
            where={"quantity": "comparison"},
            each=("training",),
        ),
    ),
    boundary=Boundary(
        "where the training of logistic regression ends, here after 10 000 and 100 000 steps; in the limit it has the "
        "largest margin too",
        holds=f"part != 'regression' or training != '{LIMIT}'",
        assumption="a training that ends; Soudry et al. 2018: the gap to the largest margin closes as the inverse "
        "logarithm of the number of steps",
    ),
    control={"learner": "perceptron"},
)
def max_margin(
    seeds,
    *,
    learner="machine",
    points=60,
    dimension=5,
    margin=0.1,
    horizons=(10_000, 100_000),
    normalised=5_000,
    others=1_000,
):
    r"""Compares the margins of a support vector machine and of logistic regression on the same separable sets.

    One set of unit vectors for each seed, hyperplanes through the origin; every point counts with its mirror image of
    the other label, so that no bias would be better. The maximum-margin classifier, a definition of the cheat sheet, is
    taken as the point of the convex hull of all y x that is nearest to the origin, by non-negative least squares, and
    compared with the other learners and 1000 hyperplanes around it. The machine is that of scikit-learn with a
    prohibitive penalty. Logistic regression is trained from normal weights by full-batch gradient descent on Keras'
    softplus at rate 1, and looked at after both horizons. Its limit is found by steps of the gradient over the loss,
    which go the same way faster (Nacson et al. 2019). The sizes of margins are compared by their ratio. The control
    puts the perceptron's first solution in the place of the machine's.
    """
    generators = [np.random.default_rng(seed) for seed in seeds]
    sets = np.stack([random_set(generator, points, dimension, margin) for generator in generators])
    start = np.stack([generator.normal(size=dimension) for generator in generators])
    machines = [_support_vector_machine(signed) if learner == "machine" else trajectory(signed)[-1] for signed in sets]
    normals = {MACHINE: machines, **_logistic_regressions(sets, start, horizons, normalised)}
    margins = {
        name: np.array([_margin(signed, w) for signed, w in zip(sets, of_sets, strict=True)])
        for name, of_sets in normals.items()
    }
    largest, directions = zip(*map(maximum_margin, sets), strict=True)
    around = [
        max(_margin(signed, w) for w in _around(generator, direction, others))
        for generator, signed, direction in zip(generators, sets, directions, strict=True)
    ]
    tables = []
    for name, values in (margins | {"best of those around": around}).items():
        other = {"quantity": "other hyperplane", "learner": name, "margin": values, "largest": largest}
        tables.append(pd.DataFrame({"seed": list(seeds), **other}))
    for name, values in margins.items():
        solution = {"quantity": "solution", "learner": name, "margin": values, "share": values / np.array(largest)}
        tables.append(pd.DataFrame({"seed": list(seeds), **solution}))
        if name == MACHINE:
            continue
        for compared, of_learner in ((MACHINE, margins[MACHINE]), (REGRESSION, values)):
            comparison = {"quantity": "comparison", "training": name, "learner": compared, "margin": of_learner}
            tables.append(pd.DataFrame({"seed": list(seeds), **comparison}))
    return pd.concat(tables, ignore_index=True)


def _margin(signed, w):
    """Least margin of points times their label, for the hyperplane with a normal vector."""
    return (signed @ w).min() / np.linalg.norm(w)


def _around(generator, direction, number):
    """Normal vectors at all distances from a unit vector, from a ten-thousandth to three: [number, dimension]."""
    distances = 10 ** generator.uniform(-4, 0.5, size=(number, 1))
    steps = generator.normal(size=(number, len(direction)))
    return direction + distances * steps / np.linalg.norm(steps, axis=1, keepdims=True)


def _support_vector_machine(signed):
    """Normal vector of the hard-margin machine through the origin: with all points mirrored it needs no bias."""
    machine = sklearn.svm.SVC(kernel="linear", C=1e6, tol=1e-6, max_iter=200_000)
    machine.fit(np.concatenate([signed, -signed]), np.repeat([1, -1], len(signed)))
    return machine.coef_[0]


def _logistic_regressions(sets, start, horizons, normalised):
    """Weights of logistic regressions, of all sets at once, after some numbers of steps and in the limit.

    Args:
        sets: Points times their label, [sets, points, dimension].
        start: Weights at the start, [sets, dimension].
        horizons: Numbers of steps of gradient descent, in rising order.
        normalised: Number of steps over the loss.

    Returns:
        Weights, [sets, dimension], by the name of the training.
    """

    def losses(values, signed):
        losses_of_points = keras.ops.softplus(-keras.ops.einsum("spd,sd->sp", signed, values[0]))
        # Keras' mean on JAX computes in float32, where small losses are nought.
        each = keras.ops.sum(losses_of_points, axis=1) / sets.shape[1]
        return keras.ops.sum(each), each

    def step(w, signed, over_loss):
        _, each, (gradient,) = value_and_gradient(losses, [w], signed)
        return w - gradient / (keras.ops.maximum(each, SMALLEST_LOSS)[:, None] if over_loss else 1.0)

    def descent(over_loss):
        return compile_function(
            lambda steps, w, signed: keras.ops.fori_loop(0, steps, lambda _, w: step(w, signed, over_loss), w)
        )

    signed, w = keras.ops.convert_to_tensor(sets), keras.ops.convert_to_tensor(start)
    by_gradient, taken, found = descent(over_loss=False), 0, {}
    for horizon in horizons:
        w, taken = by_gradient(keras.ops.convert_to_tensor(horizon - taken), w, signed), horizon
        found[f"{horizon} steps"] = keras.ops.convert_to_numpy(w)
    limit = descent(over_loss=True)(keras.ops.convert_to_tensor(normalised), w, signed)
    return found | {LIMIT: keras.ops.convert_to_numpy(limit)}
