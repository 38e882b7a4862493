"""Distances between sets and between distributions: Hausdorff's and Wasserstein's, as they are defined."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Correction, Identity, claim, notes

with epy.lazy_imports():
    import keras
    import scipy.optimize
    import scipy.spatial.distance

ORDERS = (1, 2, 3)
LINEAR_PROGRAM = 10**6  # operations: simplex solutions of small problems are good to some 1e-13


@claim(
    r"The Hausdorff distance of two non-empty subsets of a metric space is $\max\{\sup_{x \in X} \inf_{y \in Y} d(x, "
    r"y), \sup_{y \in Y} \inf_{x \in X} d(x, y)\}$.",
    source=notes("Definition 3.67"),
    kind="formula",
    scope="a definition; finite sets in Euclidean space",
    literature="Hausdorff 1914",
    criterion=AllOf(
        directions=Identity("formula", "directed", operations=64, dtype="float32"),
        thickening=Identity("formula", "thickening", operations=64, dtype="float32"),
    ),
    control={"directions": 1},
)
def hausdorff(seed, *, directions=2, pairs=32, dimension=3):
    """Compares the formula, by Keras, with SciPy, and with the radius at which either set covers the other.

    32 pairs of 40 and of 12 normal points in space, single precision; half of the smaller sets are shifted by a half,
    the others are a part of the larger one, where one of the two directions is zero. Thickening: the radius by which
    both sets have to be enlarged so that each covers the other, by bisection with SciPy's nearest neighbours. The
    control takes one direction only.
    """
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(pairs, 40, dimension))
    y = generator.normal(loc=0.5, size=(pairs, 12, dimension))
    y[: pairs // 2] = x[: pairs // 2, :12]
    left, right = (keras.ops.convert_to_tensor(points, "float32") for points in (y, x))
    squares = keras.ops.sum(keras.ops.square(left[:, :, None] - right[:, None]), axis=-1)
    nearest = [keras.ops.max(keras.ops.min(squares, axis=axis), axis=1) for axis in (2, 1)][:directions]
    formula = np.sqrt(np.max([keras.ops.convert_to_numpy(each) for each in nearest], axis=0))
    directed = [
        max(scipy.spatial.distance.directed_hausdorff(*each)[0] for each in ((a, b), (b, a)))
        for a, b in zip(x, y, strict=True)
    ]
    thickening = [_thickening(a, b) for a, b in zip(x, y, strict=True)]
    return {"formula": formula, "directed": directed, "thickening": thickening}


def _thickening(x, y, halvings=40):
    """Least radius, by bisection, at which balls around either set cover the other."""
    trees = [(scipy.spatial.cKDTree(x), y), (scipy.spatial.cKDTree(y), x)]
    low, high = 0.0, 100.0
    for _ in range(halvings):
        radius = (low + high) / 2
        covers = all(np.isfinite(tree.query(points, distance_upper_bound=radius)[0]).all() for tree, points in trees)
        low, high = (low, radius) if covers else (radius, high)
    return high


@claim(
    r"In one dimension $W_p(\mu, \nu) = \left(\int |U(s) - V(s)|^p \, ds\right)^{1/p} = \left(\int_0^1 |U^{-1}(t) - "
    r"V^{-1}(t)|^p \, dt\right)^{1/p}$, with the distribution functions $U$ and $V$.",
    source=notes("Lemma 3.1"),
    kind="formula",
    scope="probability measures on the line with finite moments, any p from 1; both lines are judged apart",
    left_open=("p",),
    literature="Villani 2003, theorem 2.18: quantiles for every p, distribution functions for p = 1 only; Bobkov and "
    "Ledoux 2019 for the double integral",
    criterion=AllOf(
        distribution_functions=Identity("by_cdf", "optimum", operations=LINEAR_PROGRAM, each=("p",)),
        quantiles=Identity("by_quantiles", "optimum", operations=LINEAR_PROGRAM, each=("p",)),
    ),
    correction=Correction(
        r"Distribution functions give $W_p^p$ for $p > 1$ as a double integral, $p (p - 1) \iint_{u \leq v} [(U(u) - "
        r"V(v))^+ + (V(u) - U(v))^+] (v - u)^{p - 2} \, du \, dv$, and only for $p = 1$ as the single one.",
        integral="double",
    ),
    root="wasserstein_cdf",
)
def wasserstein_closed_form(seed, *, integral="single", pairs=4, atoms=(6, 9)):
    """Compares both lines with the optimum of the transport problem, by linear programming, for p = 1, 2 and 3.

    Four pairs of discrete measures of six and of nine normal points, weights from Dirichlet's distribution; the
    distribution functions are step functions, whose integrals are sums. The first line is wrong for p other than one: a
    unit mass that moves by 2 has distribution functions that differ by one over a length of 2, so that it gives
    2^(1/p), where the distance is 2. The correction integrates the same distribution functions twice, in closed form
    on each rectangle of the steps.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for _ in range(pairs):
        (x, a), (y, b) = (_measure(generator, size) for size in atoms)
        for p in ORDERS:
            printed = _by_cdf(x, a, y, b, p) if integral == "single" or p == 1 else _by_double_integral(x, a, y, b, p)
            optimum = transport_cost(x, a, y, b, p) ** (1 / p)
            rows.append({"p": p, "by_cdf": printed, "by_quantiles": by_quantiles(x, a, y, b, p), "optimum": optimum})
    return pd.DataFrame(rows)


@claim(
    r"In the discrete case $W_p = \min_T \langle T, M \rangle$ over couplings $T$ with $T \mathbb{1} = a$ and $T^\top "
    r"\mathbb{1} = b$, where $M_{ij} = \mathrm{dist}(x_i, y_j)^p$.",
    source=notes("Definition 3.74"),
    kind="formula",
    scope="discrete measures, any p from 1. The vectors of ones are read as of the lengths that fit: as printed, those "
    "of m and n entries are exchanged, which only fits where both measures have equally many points",
    left_open=("p",),
    literature="Peyré and Cuturi 2019, section 2.4: W_p is the p-th root of the least cost, as in the continuous "
    "definition of the notes just before",
    criterion=Identity("printed", "distance", operations=LINEAR_PROGRAM, each=("p",)),
    correction=Correction(
        r"It is the $p$-th root of the least cost, $W_p = (\min_T \langle T, M \rangle)^{1/p}$, as in the continuous "
        r"case.",
        root=True,
    ),
)
def wasserstein_discrete(seed, *, root=False, pairs=4, atoms=(6, 9)):
    """Compares the least cost, by linear programming, with the distance by quantiles, for p = 1, 2 and 3.

    Four pairs of discrete measures of six and of nine points on a line, weights from Dirichlet's distribution. A unit
    mass that moves by 2 costs 2^p, and without the root the distance would be 4 for p = 2, and moving a mass twice as
    far would make it four times as large, so that it would not satisfy the triangle inequality on the line. The
    correction takes the root.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for _ in range(pairs):
        (x, a), (y, b) = (_measure(generator, size) for size in atoms)
        for p in ORDERS:
            cost = transport_cost(x, a, y, b, p)
            printed = cost ** (1 / p) if root else cost
            rows.append({"p": p, "printed": printed, "distance": by_quantiles(x, a, y, b, p)})
    return pd.DataFrame(rows)


MOVES = (4, 3, 2, 1)


@claim(
    r"Where 4, 3, 2 and 1 extra squares are moved from 0 to 1, from 1 to 2, from 2 to 3 and from 3 to 4, the "
    r"$p$-Wasserstein distance is $(4^p + 3^p + 2^p + 1^p)^{1/p}$.",
    source=notes("Example 42"),
    kind="formula",
    scope="mass counted in squares, bins of width one; the order p, and whether the bins in between hold squares that "
    "can be moved on, are left open",
    left_open=("p", "between"),
    literature="Villani 2003, theorem 2.18",
    criterion=Identity("printed", "optimum", operations=LINEAR_PROGRAM, each=("p", "between")),
    boundary=Boundary(
        "for p = 1, and where the bins in between are empty at first, so that four squares start from 0 and go as far "
        "as 1, 2, 3 and 4",
        holds="p == 1 or between == 'empty'",
        assumption="the example read as four squares that start from 0 and go 1, 2, 3 and 4 far",
    ),
    root="wasserstein_cdf",
)
def wasserstein_example(seed, *, most=9):
    """Compares the printed number with the optimum of the transport of squares, by linear programming, p = 1, 2 and 3.

    Squares that do not move lie in the first and last bin, up to nine, drawn at random; occupied: and from the number
    of squares that are moved on up to nine more in each bin in between. Then ten squares move by one bin each, which
    costs 10 for every p, and the distance is 10^(1/p): 3.16 and not 5.48 for p = 2. With empty bins in between the same
    squares go on, and 1^p + 2^p + 3^p + 4^p happens to be the printed sum. For p = 1 both are 10. The reason that the
    example gives, the difference of distribution functions, holds for p = 1 only.
    """
    generator = np.random.default_rng(seed)
    places, rows = np.arange(5.0), []
    for between in ("empty", "occupied"):
        common = generator.integers(0, most + 1, size=5)
        source = common + np.array([4, 0, 0, 0, 0])
        if between == "empty":
            source[1:4] = 0
        else:
            source[1:4] += MOVES[1:]
        target = source + np.array([-4, 1, 1, 1, 1])
        for p in ORDERS:
            optimum = transport_cost(places, source, places, target, p) ** (1 / p)
            printed = sum(number**p for number in MOVES) ** (1 / p)
            rows.append({"p": p, "between": between, "printed": printed, "optimum": optimum})
    return pd.DataFrame(rows)


def transport_cost(x, a, y, b, p):
    """Least cost of moving mass a at points x to mass b at points y, at a cost of distance^p, by linear programming."""
    m, n = len(x), len(y)
    sums = np.vstack([np.kron(np.eye(m), np.ones(n)), np.kron(np.ones(m), np.eye(n))])
    cost = np.abs(np.subtract.outer(x, y)) ** p
    # one of the equations follows from the others
    found = scipy.optimize.linprog(cost.ravel(), A_eq=sums[:-1], b_eq=np.concatenate([a, b])[:-1], method="highs-ds")
    return float(found.fun)


def by_quantiles(x, a, y, b, p):
    """Wasserstein distance on the line by quantile functions, which are constant between cumulated masses."""
    ends = np.sort(np.concatenate([np.cumsum(a), np.cumsum(b)]))
    starts = np.concatenate([[0.0], ends[:-1]])
    middles = (starts + ends) / 2
    quantiles = [
        points[np.minimum(np.searchsorted(np.cumsum(mass), middles), len(points) - 1)]
        for points, mass in ((x, a), (y, b))
    ]
    return float(np.sum(np.abs(quantiles[0] - quantiles[1]) ** p * (ends - starts))) ** (1 / p)


def _measure(generator, size):
    return np.sort(generator.normal(scale=3.0, size=size)), generator.dirichlet(np.ones(size))


def _steps(x, a, y, b):
    """Ends of the intervals on which both distribution functions are constant, and their values there."""
    ends = np.sort(np.concatenate([x, y]))
    u, v = (np.array([mass[points <= end].sum() for end in ends[:-1]]) for points, mass in ((x, a), (y, b)))
    return ends, u, v


def _by_cdf(x, a, y, b, p):
    ends, u, v = _steps(x, a, y, b)
    return float(np.sum(np.abs(u - v) ** p * np.diff(ends))) ** (1 / p)


def _by_double_integral(x, a, y, b, p):
    """The double integral over the distribution functions, exactly on each rectangle of their steps.

    The second antiderivative of p (p - 1) (v - u)^(p - 2) by both variables is -(v - u)^p.
    """
    ends, u, v = _steps(x, a, y, b)
    powers = np.maximum(np.subtract.outer(ends, ends), 0).T ** p  # (v - u)^p, rows by u
    rectangles = -(powers[1:, 1:] - powers[1:, :-1] - powers[:-1, 1:] + powers[:-1, :-1])
    parts = np.maximum(np.subtract.outer(u, v), 0) + np.maximum(np.subtract.outer(v, u), 0)
    return float(np.sum(np.triu(parts * rectangles))) ** (1 / p)
