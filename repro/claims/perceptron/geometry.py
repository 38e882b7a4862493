"""Distances from a hyperplane, and what the perceptron's loss has to do with them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, Boundary, Correction, Identity, Rival, claim, lectures, notes
from repro.engine.backend import compile_function, value_and_gradient

with epy.lazy_imports():
    import keras

RATE = 0.5  # a power of two, which steps do not round


@claim(
    r"The signed distance of $x$ from the hyperplane $w \cdot x + w_0 = 0$ is "
    r"$w^* \cdot (x - x_0) \frac{1}{\|w\|} = \frac{1}{\|w\|} (w \cdot x + w_0)$, with $w^* = w / \|w\|$ and $x_0$ on "
    "the hyperplane.",
    source=lectures("2.4.2"),
    kind="formula",
    scope="any w other than zero, any point of the hyperplane",
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
    """Compares both sides, each by itself, with the distance to the nearest point of the hyperplane.

    Normal weights of norms other than one, points and points of the hyperplane, in double precision; the nearest point
    solves the equations of Lagrange's multiplier, which know neither side, and the half-space decides the sign. The
    left side divides the product with w by the norm once for the unit normal and once more for the printed factor,
    which is the mistake: in one dimension, with w = 2 and the hyperplane at 0, it puts x = 1 at a distance of 1/2. The
    correction is the textbook's formula; the control divides by no norm on either side.
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
    r"$\frac{w \cdot x}{\|w\|} = \frac{b}{\|w\|}$, the projection of $x$ on $w / \|w\|$.",
    source=notes("Remark 3.4"),
    kind="formula",
    scope="x on the hyperplane; whether the distance is a length, or the signed projection that the remark calls it, "
    "is left open, and with it the sign of b",
    left_open=("offset",),
    literature="in the Hesse normal form of a hyperplane the normal points away from the origin, so that b is not "
    "negative",
    criterion=AllOf(
        projection=Identity("formula", "projection", operations=1000, each=("offset",)),
        length=Identity("formula", "distance", operations=1000, each=("offset",)),
    ),
    boundary=Boundary(
        "as a signed projection, and as a length where b is not negative",
        holds="part == 'projection' or offset == 'positive'",
        assumption="the Hesse normal form, in which the normal vector is chosen so that b is not negative",
    ),
    full={"planes": 1000, "dimensions": (2, 10, 100, 500)},
    control={"norm": False},
)
def origin_distance(seed, *, norm=True, planes=20, dimensions=(2, 10, 100)):
    r"""Compares both expressions with the signed projection and with the distance of the hyperplane from the origin.

    Normal weights, offsets b of both signs, $x$ a random point of the hyperplane, double precision. The distance is the
    norm of the hyperplane's point that is nearest to the origin, from the equations of Lagrange's multiplier; the
    projection is the coefficient of that point along $w$, by least squares, times $\|w\|$. For a negative b the formula
    is a negative number, which is a projection but no length: the distance is $|b| / \|w\|$. The control leaves out the
    norm.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for dimension in dimensions:
        w = np.stack([_hyperplane(generator, dimension) for _ in range(planes)])
        others = generator.normal(size=(planes, dimension))
        nearest, on_plane = (
            np.stack([_nearest(plane, point[None])[0] for plane, point in zip(w, points, strict=True)])
            for points in (np.zeros_like(others), others)
        )
        along = np.array(
            [np.linalg.lstsq(plane[1:, None], x, rcond=None)[0][0] for plane, x in zip(w, nearest, strict=True)]
        )
        normal = keras.ops.convert_to_tensor(w[:, 1:])
        scale = keras.ops.sqrt(keras.ops.sum(keras.ops.square(normal), axis=1)) if norm else 1.0
        products = keras.ops.sum(normal * on_plane, axis=1)
        columns = {
            "dimension": dimension,
            "offset": np.where(w[:, 0] > 0, "negative", "positive"),  # b is -w_0
            "projection": along * np.linalg.norm(w[:, 1:], axis=1),
            "distance": np.linalg.norm(nearest, axis=1),
        }
        for side, numerator in (("product", products), ("b", keras.ops.convert_to_tensor(-w[:, 0]))):
            formula = keras.ops.convert_to_numpy(numerator / scale)
            tables.append(pd.DataFrame({**columns, "side": side, "formula": formula}))
    return pd.concat(tables, ignore_index=True)


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
    r"$D(w, w_0) = -\sum_{i \in M} t_i (w \cdot x_i + w_0)$, over the misclassified points $M$, is non-negative; "
    r"a step of stochastic gradient descent on it, at a misclassified point, is $w \leftarrow w + \eta t_i x_i$, "
    r"$w_0 \leftarrow w_0 + \eta t_i$, and is akin to Hebbian learning.",
    source=lectures("2.4.2"),
    kind="formula",
    scope="targets -1 and 1, output sign(w x + w_0), updates on misclassified points only",
    literature="Rosenblatt 1958; Hastie, Tibshirani and Friedman 2009, section 4.5.1",
    criterion=AllOf(
        step=Identity("keras", "hebbian", operations=100, where={"quantity": "step"}),
        run=Identity("keras", "hebbian", operations=1000, where={"quantity": "run"}),
        non_negative=AtLeast("keras", bound=0.0, where={"quantity": "loss"}),
    ),
    full={"points": 500, "dimension": 100, "planes": 100},
    control={"summed": "all points"},
    rival=Rival(
        r"The step is $w \leftarrow w + \eta (t_i - y_i) x_i$ with the outputs $y_i$, -1 or 1: twice as long.",
        criterion=Identity("keras", "doubled", operations=100, where={"quantity": "step"}),
    ),
)
def hebbian_is_sgd(seeds, *, points=50, dimension=5, planes=10, summed="misclassified"):
    """Compares Keras' gradient descent on D with Hebbian updates, step by step and along whole runs, and looks at D.

    Normal points with random labels, which no hyperplane separates, double precision. A step: the gradient of one
    point's share of D by automatic differentiation, applied at rate 1/2 to a copy of random weights, for every point;
    Hebbian learning adds t x / 2 for misclassified points and nothing for others. A run presents all points twice, one
    after the other, from those weights; weights after each are compared. D is taken at random hyperplanes of all
    scales, from a hundredth to a hundred. The rival's step is twice as long; the control sums D over all points, right
    or wrong.
    """
    drawn = [_points(seed, points, dimension) for seed in seeds]
    x, t, start = (np.stack(arrays) for arrays in zip(*drawn, strict=True))
    order = np.concatenate([np.arange(points)] * 2)
    by_keras = _keras_run(x[:, order], t[:, order], start, summed)
    by_hand = _hebbian_run(x[:, order], t[:, order], start)
    # Runs of one step, each from the start of its seed, for all points side by side.
    alone = x.reshape(-1, 1, dimension), t.reshape(-1, 1), np.repeat(start, points, axis=0)
    shape = (len(seeds), points, dimension + 1)
    steps, updates = _keras_run(*alone, summed).reshape(shape), _hebbian_run(*alone).reshape(shape)
    tables = []
    for number, seed in enumerate(seeds):
        generator = np.random.default_rng((seed, 1))
        w = generator.normal(size=(planes, 1, dimension + 1)) * 10 ** generator.uniform(-2, 2, size=(planes, 1, 1))
        losses = keras.ops.convert_to_numpy(keras.ops.sum(_shares(w, x[number], t[number], summed), axis=1))
        doubled = 2 * updates[number] - start[number]
        for quantity, columns in (
            ("step", {"keras": steps[number], "hebbian": updates[number], "doubled": doubled}),
            ("run", {"keras": by_keras[number], "hebbian": by_hand[number]}),
        ):
            values = {name: np.ravel(column) for name, column in columns.items()}
            tables.append(pd.DataFrame({"seed": seed, "quantity": quantity, **values}))
        tables.append(pd.DataFrame({"seed": seed, "quantity": "loss", "keras": losses}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"The error $D(w, w_0) = -\sum_{i \in M} t_i (w \cdot x_i + w_0)$ that the Hebbian rule minimises is related, and "
    "proportional, to the distance of the misclassified points $M$ from the boundary.",
    source=lectures("2.4.2"),
    kind="formula",
    scope="a given hyperplane; whether the factor of proportionality may differ between hyperplanes is left open",
    left_open=("hyperplanes",),
    literature="Hastie, Tibshirani and Friedman 2009, section 4.5.1, say that it is proportional to the distance",
    criterion=Identity("loss", "in_proportion", operations=10_000, each=("hyperplanes",)),
    boundary=Boundary(
        "among hyperplanes with one norm of w, which is the factor; that norm changes where w is rescaled and along a "
        "training",
        holds="hyperplanes == 'one' or hyperplanes == 'one norm'",
        assumption="Hastie, Tibshirani and Friedman 2009, section 4.5: distances are products with w over the norm of "
        "w, which is one for the unit normal",
    ),
    full={"points": 500, "dimension": 100},
    control={"summed": "all points"},
)
def loss_moves_boundary(seeds, *, points=50, dimension=5, count=20, summed="misclassified"):
    r"""Compares D with one multiple of the summed distance of the misclassified points, for four kinds of hyperplanes.

    Normal points with random labels, double precision; distances are those to the nearest points of the hyperplane, by
    Lagrange's multiplier. Kinds: one hyperplane with other points each time; random hyperplanes with one norm of $w$;
    one hyperplane whose weights are multiplied by factors from a tenth to ten, which leaves the boundary where it is;
    and those that Keras' gradient descent on D, which is the Hebbian rule, passes through. The multiple is that of the
    first of the hyperplanes. Since $t_i (w \cdot x_i + w_0)$ of a misclassified point is $-\|w\|$ times its distance,
    the multiple is the norm of $w$. The control sums D over all points.
    """
    drawn = [_points(seed, points, dimension) for seed in seeds]
    x, t, start = (np.stack(arrays) for arrays in zip(*drawn, strict=True))
    trained = _keras_run(x[:, :count], t[:, :count], start, "misclassified")
    rows = []
    for number, seed in enumerate(seeds):
        generator = np.random.default_rng((seed, 2))
        others = generator.normal(size=(count, points, dimension))
        directions = generator.normal(size=(count, dimension + 1))
        norms = np.linalg.norm(directions[:, 1:], axis=1, keepdims=True)
        kinds = {
            "one": [(start[number], other) for other in others],
            "one norm": [(w, x[number]) for w in 2 * directions / norms],
            "rescaled": [(scale * start[number], x[number]) for scale in np.geomspace(0.1, 10, count)],
            "of a training": [(w, x[number]) for w in trained[number]],
        }
        for kind, pairs in kinds.items():
            w, of_each = (np.stack(arrays) for arrays in zip(*pairs, strict=True))
            shares = _shares(w[:, None], of_each, t[number], summed)
            loss = keras.ops.convert_to_numpy(keras.ops.sum(shares, axis=1))
            distance = np.array([_summed_distance(plane, place, t[number]) for plane, place in pairs])
            columns = {"loss": loss, "distance": distance, "in_proportion": distance * loss[0] / distance[0]}
            rows.append(pd.DataFrame({"seed": seed, "hyperplanes": kind, **columns, "factor": loss / distance}))
    return pd.concat(rows, ignore_index=True)


def _points(seed, points, dimension):
    """Points [points, dimension] with random labels [points], and weights [dimension + 1] of a random hyperplane."""
    generator = np.random.default_rng(seed)
    x, t = generator.normal(size=(points, dimension)), generator.choice([-1.0, 1.0], size=points)
    return x, t, generator.normal(size=dimension + 1)


def _shares(w, x, t, summed="misclassified"):
    """Shares of the points in the perceptron's loss, [points]; ``w`` is one hyperplane or one for each point."""
    w = keras.ops.convert_to_tensor(w)
    shares = -t * (keras.ops.sum(w[..., 1:] * x, axis=-1) + w[..., 0])
    return keras.ops.relu(shares) if summed == "misclassified" else shares


def _summed_distance(w, x, t):
    """Summed distance of the misclassified points from the nearest points of the hyperplane."""
    misclassified = x[t * (x @ w[1:] + w[0]) < 0]
    return np.linalg.norm(misclassified - _nearest(w, misclassified), axis=1).sum()


def _keras_run(x, t, start, summed):
    """Weights after each point of a run of Keras' stochastic gradient descent on D, for all seeds side by side.

    Args:
        x: Points in the order in which they are presented, [seeds, steps, dimension].
        t: Their targets, [seeds, steps].
        start: Weights at the start, [seeds, dimension + 1].
        summed: Points of which D is the sum, as for ``_shares``.

    Returns:
        Weights, [seeds, steps, dimension + 1].
    """
    weights, descent, path = keras.Variable(start, dtype="float64"), keras.optimizers.SGD(RATE), []

    def loss(values, point, target):
        return keras.ops.sum(_shares(values[0], point, target, summed)), ()

    gradient = compile_function(lambda *arrays: value_and_gradient(loss, arrays[:1], *arrays[1:])[2][0])
    for step in range(x.shape[1]):
        point, target = (keras.ops.convert_to_tensor(array[:, step]) for array in (x, t))
        descent.apply([gradient(weights.value, point, target)], [weights])
        path.append(keras.ops.convert_to_numpy(weights.value).copy())
    return np.stack(path, axis=1)


def _hebbian_run(x, t, start):
    """Weights after each point of a run of Hebbian learning, shaped as those of ``_keras_run``."""
    w, path = start, []
    for step in range(x.shape[1]):
        point = np.column_stack([np.ones(len(x)), x[:, step]])
        mistaken = t[:, step] * (point * w).sum(axis=1) < 0
        w = w + RATE * (mistaken * t[:, step])[:, None] * point
        path.append(w)
    return np.stack(path, axis=1)
