"""Distances from a hyperplane, and what the perceptron's loss has to do with them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, Correction, Identity, cheatsheet, claim, lectures, notes
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras


@claim(
    r"The signed distance of $x$ from the hyperplane $w \cdot x + w_0 = 0$ is "
    r"$w^* \cdot (x - x_0) \frac{1}{\|w\|} = \frac{1}{\|w\|} (w \cdot x + w_0)$, with $w^* = w / \|w\|$ and $x_0$ on "
    "the hyperplane.",
    source=(lectures("2.4.2"), cheatsheet("1.1 Geometric Margin")),
    kind="formula",
    literature="Hastie, Tibshirani and Friedman 2009, section 4.5: without the factor after the product",
    criterion=AllOf(
        right=Identity("formula", "distance", operations=1000, where={"side": "right"}),
        left=Identity("formula", "distance", operations=1000, where={"side": "left"}),
    ),
    full={"points": 1000, "dimensions": (2, 10, 100, 500)},
    control={"power": 0},
    correction=Correction(
        r"The signed distance is $w^* \cdot (x - x_0) = \frac{1}{\|w\|} (w \cdot x + w_0)$: the unit normal already "
        "has the norm divided out.",
        power=1,
    ),
)
def signed_distance(seed, *, power=2, points=50, dimensions=(2, 10, 100)):
    """Compares both sides with the distance to the nearest point of the hyperplane.

    Normal weights, points and points of the hyperplane, in double precision; the nearest point solves the equations of
    Lagrange's multiplier, and the side decides the sign. The left side divides the product with w by the norm once for
    the unit normal and once more for the printed factor, which is the mistake; the control divides by neither.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for dimension in dimensions:
        w, x = _hyperplane(generator, dimension), generator.normal(size=(points, dimension))
        on_plane = _nearest(w, generator.normal(size=(points, dimension)))
        norm = _norm(keras.ops.convert_to_tensor(w))
        offset = keras.ops.convert_to_tensor(x - on_plane)
        left = keras.ops.matmul(offset, w[1:]) / norm**power
        right = (keras.ops.matmul(x, w[1:]) + w[0]) / norm ** min(power, 1)
        distance = np.linalg.norm(x - _nearest(w, x), axis=1) * np.sign(x @ w[1:] + w[0])
        for side, formula in (("left", left), ("right", right)):
            columns = {"formula": keras.ops.convert_to_numpy(formula), "distance": distance}
            tables.append(pd.DataFrame({"dimension": dimension, "side": side, **columns}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"The distance between the origin and the hyperplane $w \cdot x - b = 0$ is "
    r"$\frac{w \cdot x}{\|w\|} = \frac{b}{\|w\|}$.",
    source=notes("Remark 3.4"),
    kind="formula",
    criterion=AllOf(
        projection=Identity("projection", "distance", operations=1000, each=("offset",)),
        offset=Identity("formula", "distance", operations=1000, each=("offset",)),
    ),
    full={"planes": 1000, "dimensions": (2, 10, 100, 500)},
    control={"absolute": True, "norm": False},
    correction=Correction(
        r"The distance is $\frac{|w \cdot x|}{\|w\|} = \frac{|b|}{\|w\|}$; without the absolute value the formula has "
        "the sign of $b$.",
        absolute=True,
    ),
)
def origin_distance(seed, *, absolute=False, norm=True, planes=20, dimensions=(2, 10, 100)):
    """Compares both expressions with the norm of the point of the hyperplane that is nearest to the origin.

    Normal weights, offsets b of both signs, x a random point of the hyperplane; the nearest point solves the equations
    of Lagrange's multiplier, in double precision. For a negative b the formula is a negative number, which no distance
    is. The control leaves out the norm.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for dimension in np.repeat(dimensions, planes):
        w = _hyperplane(generator, dimension)
        nearest, on_plane = _nearest(w, np.stack([np.zeros(dimension), generator.normal(size=dimension)]))
        scale = _norm(keras.ops.convert_to_tensor(w)) if norm else 1.0
        formulas = [float(keras.ops.dot(w[1:], on_plane) / scale), float(-w[0] / scale)]
        projection, formula = np.abs(formulas) if absolute else formulas
        offset = "negative" if w[0] > 0 else "positive"
        columns = {"projection": projection, "formula": formula, "distance": np.linalg.norm(nearest)}
        rows.append({"dimension": dimension, "offset": offset, **columns})
    return pd.DataFrame(rows)


def _norm(w):
    """Norm of the normal vector; keras.ops.norm returns to single precision on JAX."""
    return keras.ops.sqrt(keras.ops.sum(keras.ops.square(w[1:])))


def _hyperplane(generator, dimension):
    """Normal coefficients w_0, w_1, ..., of a scale drawn from a third to three."""
    return generator.normal(size=dimension + 1) * np.exp(generator.uniform(-np.log(3), np.log(3)))


def _nearest(w, points):
    """Points of the hyperplane nearest to given ones, [points, dimension].

    The minimum of |z - x|² / 2 where w · z + w_0 = 0 solves z + λ w = x together with that equation.
    """
    dimension = len(w) - 1
    system = np.block([[np.eye(dimension), w[1:, None]], [w[None, 1:], np.zeros((1, 1))]])
    targets = np.column_stack([points, np.full(len(points), -w[0])])
    return np.linalg.solve(system, targets.T).T[:, :dimension]


@claim(
    r"Hebbian learning is stochastic gradient descent on $D(w, w_0) = -\sum_{i \in M} t_i (w \cdot x_i + w_0)$, summed "
    "over the misclassified points, which is non-negative and proportional to their distance from the boundary.",
    source=lectures("2.4.2"),
    kind="formula",
    literature="Rosenblatt 1958; Hastie, Tibshirani and Friedman 2009, section 4.5.1",
    criterion=AllOf(
        step=Identity("keras", "expected", operations=100, where={"quantity": "step"}),
        non_negative=AtLeast("keras", bound=0.0, where={"quantity": "loss"}),
        proportional=Identity("keras", "expected", operations=1000, where={"quantity": "loss"}),
    ),
    full={"points": 500, "dimension": 100, "planes": 100},
    control={"summed": "all points", "norms": (1.0,)},
    correction=Correction(
        r"Hebbian learning is stochastic gradient descent on $D$, which is non-negative and $\|w\|$ times the summed "
        r"distance: proportional to it among weights of one norm, but Hebbian learning changes the norm.",
        norms=(1.0,),
    ),
)
def hebbian_is_sgd(seed, *, points=50, dimension=5, planes=10, norms=(0.5, 1.0, 2.0), summed="misclassified"):
    """Compares steps of Keras' gradient descent with Hebbian updates, and the loss with the summed distance.

    Normal points with random labels and random hyperplanes whose normals have the given norms, double precision. Steps:
    the gradient by automatic differentiation of each point's share of the loss, applied to a copy of the weights by the
    optimiser at rate 1/2, against t x / 2 added for misclassified points and no change for others. Proportional: the
    loss against the one multiple of the summed distance (to the nearest points of the hyperplane) that fits all
    hyperplanes best; a loss proportional to the distance is that multiple for every hyperplane. The mistake is that the
    factor is the norm of w, which is no constant. The control sums over all points.
    """
    generator = np.random.default_rng(seed)
    x, t = generator.normal(size=(points, dimension)), generator.choice([-1.0, 1.0], size=points)
    losses, distances = [], []
    for norm in np.repeat(norms, planes):
        w = generator.normal(size=dimension + 1)
        w *= norm / np.linalg.norm(w[1:])
        losses.append(float(keras.ops.sum(_shares(w, x, t, summed))))
        distances.append(_summed_distance(w, x, t))
    multiple = np.dot(losses, distances) / np.dot(distances, distances)
    steps = _keras_steps(w, x, t, summed), _hebbian_steps(w, x, t)
    tables = []
    for quantity, left, right in (("step", *steps), ("loss", losses, multiple * np.array(distances))):
        tables.append(pd.DataFrame({"quantity": quantity, "keras": left, "expected": right}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"Minimising $D(w, w_0) = -\sum_{i \in M} t_i (w \cdot x_i + w_0)$ minimises the distance of the misclassified "
    "points from the boundary, to which it is proportional.",
    source=lectures("2.4.2"),
    kind="formula",
    literature="Hastie, Tibshirani and Friedman 2009, section 4.5.1",
    criterion=Identity("distance", "in_proportion", operations=10_000, each=("way",)),
    full={"points": 500, "dimension": 100, "steps": 100},
    correction=Correction(
        r"$D / \|w\|$ is the distance of the misclassified points: minimising it minimises that. $D$ itself falls to "
        "zero as the weights do, while the boundary stays where it is.",
        normalised=True,
    ),
)
def loss_moves_boundary(seed, *, points=50, dimension=5, steps=20, normalised=False):
    """Follows the loss and the summed distance of the misclassified points while the loss is lowered in two ways.

    Normal points with random labels and a random hyperplane, double precision. Training: full-batch steps of Keras'
    gradient descent; rescaling: halving all weights, which lowers the loss and leaves the boundary alone. If the loss
    is proportional to the distance, both fall in proportion from where they start. The correction divides the loss by
    the norm of the weights; the distance is measured to the nearest points of the hyperplane.
    """
    generator = np.random.default_rng(seed)
    x, t = generator.normal(size=(points, dimension)), generator.choice([-1.0, 1.0], size=points)
    start = generator.normal(size=dimension + 1)
    halvings = [start / 2**step for step in range(steps)]
    tables = []
    for way, weights in (("training", _descent(start, x, t, steps, normalised)), ("rescaling", halvings)):
        loss = np.array([float(_loss(w, x, t, normalised)) for w in weights])
        distance = np.array([_summed_distance(w, x, t) for w in weights])
        columns = {"loss": loss, "distance": distance, "in_proportion": distance[0] * loss / loss[0]}
        tables.append(pd.DataFrame({"way": way, "step": np.arange(steps), **columns}))
    return pd.concat(tables, ignore_index=True)


def _shares(w, x, t, summed="misclassified"):
    """Shares of the points in the perceptron's loss, [points]; ``w`` is one hyperplane or one for each point."""
    w = keras.ops.convert_to_tensor(w)
    shares = -t * (keras.ops.sum(w[..., 1:] * x, axis=-1) + w[..., 0])
    return keras.ops.relu(shares) if summed == "misclassified" else shares


def _loss(w, x, t, normalised):
    loss = keras.ops.sum(_shares(w, x, t))
    return loss / _norm(w) if normalised else loss


def _summed_distance(w, x, t):
    """Summed distance of the misclassified points from the nearest points of the hyperplane."""
    misclassified = x[t * (x @ w[1:] + w[0]) < 0]
    return np.linalg.norm(misclassified - _nearest(w, misclassified), axis=1).sum()


def _keras_steps(w, x, t, summed):
    """Weights after a stochastic step of Keras' gradient descent on each point, from the same start."""
    copies = keras.Variable(np.tile(w, (len(x), 1)), dtype="float64")

    def loss(values):
        return keras.ops.sum(_shares(values[0], x, t, summed)), ()

    keras.optimizers.SGD(0.5).apply(value_and_gradient(loss, [copies.value])[2], [copies])
    return keras.ops.convert_to_numpy(copies.value).ravel()


def _hebbian_steps(w, x, t):
    """Weights after the Hebbian update on each point, from the same start."""
    mistaken = t * (x @ w[1:] + w[0]) < 0
    return (w + 0.5 * (mistaken * t)[:, None] * np.column_stack([np.ones(len(x)), x])).ravel()


def _descent(start, x, t, steps, normalised):
    """Weights before each full-batch step of Keras' gradient descent."""
    weights, descent, trajectory = keras.Variable(start, dtype="float64"), keras.optimizers.SGD(1e-3), []
    for _ in range(steps):
        trajectory.append(keras.ops.convert_to_numpy(weights.value).copy())
        _, _, gradient = value_and_gradient(lambda values: (_loss(values[0], x, t, normalised), ()), [weights.value])
        descent.apply(gradient, [weights])
    return trajectory
