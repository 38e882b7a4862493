"""Perceptron learning: convergence, capacity, Boolean neurons."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AtMost, cheatsheet, claim
from repro.data import load

with epy.lazy_imports():
    import scipy.optimize


@claim(
    r"If a unit vector separates the data with margin $\gamma$ and all points have norm at most $R$, the perceptron "
    r"makes at most $R^2/\gamma^2$ updates.",
    source=cheatsheet("1.1 Convergence"),
    literature="Novikoff 1962",
    criterion=AtMost("updates", bound="bound"),
    smoke={"points": 50},
    full={"data": "mnist", "points": 1000, "dimensions": (2, 5, 20, 100, 500), "pairs": 20},
    control={"separable": False},
    tags=("headline",),
)
def novikoff(
    seeds, *, points=200, dimensions=(2, 5, 20, 100), margins=(0.01, 0.1), pairs=5, data="digits", separable=True
):
    """Runs the perceptron from zero weights until it makes no mistake and counts its updates.

    For each seed: random sets of unit vectors labelled by a random hyperplane, without the points closer to it than a
    margin, for every dimension and margin; and pairs of classes of real images, with a constant pixel for the bias, as
    far as they are separable. Each set is learned in a random cyclic order, and once more always updating on the worst
    mistake. The bound takes the maximum margin, the distance of the convex hull of all y x from the origin (by
    non-negative least squares). Without separability a tenth of the labels are flipped after the margin was taken; the
    run is cut off once it has exceeded the bound.
    """
    rows = []
    for seed in seeds:
        generator = np.random.default_rng(seed)
        sets = {
            f"random, dimension {dimension}, margin {margin}": _random_set(generator, points, dimension, margin)
            for dimension in dimensions
            for margin in margins
        }
        sets |= {f"{data} {a} and {b}": _pair_of_classes(data, a, b) for a, b in _draw_pairs(generator, data, pairs)}
        for name, signed in sets.items():
            margin = _maximum_margin(signed)
            if margin <= 0:
                continue
            bound = (np.linalg.norm(signed, axis=1).max() / margin) ** 2
            flipped = generator.permutation(len(signed)) < (0 if separable else len(signed) // 10)
            learned = generator.permutation(np.where(flipped[:, None], -signed, signed))
            for order in ("cyclic", "worst first"):
                updates = _updates(learned, order, at_most=int(bound) + 1)
                rows.append({"seed": seed, "data": name, "order": order, "updates": updates, "bound": bound})
    return pd.DataFrame(rows)


def _random_set(generator, points, dimension, margin):
    """Unit vectors times their label, [points, dimension], no closer to the labelling hyperplane than the margin."""
    normal = generator.normal(size=dimension)
    normal /= np.linalg.norm(normal)
    kept = np.empty((0, dimension))
    while len(kept) < points:
        x = generator.normal(size=(4 * points, dimension))
        x /= np.linalg.norm(x, axis=1, keepdims=True)
        distance = x @ normal
        kept = np.concatenate([kept, (x * np.sign(distance)[:, None])[np.abs(distance) >= margin]])
    return kept[:points]


def _draw_pairs(generator, data, pairs):
    classes = load(data).classes
    return [sorted(generator.choice(classes, size=2, replace=False)) for _ in range(pairs)]


def _pair_of_classes(data, a, b):
    """Training images of two classes with a constant pixel, times their label, [images, pixels + 1]."""
    images = load(data).flat()
    chosen = np.isin(images.y_train, (a, b))
    x = np.column_stack([images.x_train[chosen], np.ones(chosen.sum())]).astype(float)
    return x * np.where(images.y_train[chosen] == a, 1, -1)[:, None]


def _maximum_margin(signed):
    """Largest margin of any unit vector through the origin: the distance of the points' convex hull from it.

    Minimising |Zᵀλ|² + (1ᵀλ − 1)² over λ ≥ 0 finds the nearest point of the hull up to a factor (Lawson and Hanson,
    Solving Least Squares Problems, 1974, chapter 23). The margin of that direction is returned, never an overestimate.
    """
    system = np.vstack([signed.T, np.ones(len(signed))])
    target = np.append(np.zeros(signed.shape[1]), 1)
    weights, _ = scipy.optimize.nnls(system, target, maxiter=100 * len(signed))
    direction = signed.T @ weights
    return (signed @ direction).min() / max(np.linalg.norm(direction), np.finfo(float).tiny)


def _updates(signed, order, at_most):
    """Number of updates until every point has a positive product with the weights, or one more than the limit."""
    weights = np.zeros(signed.shape[1])
    position = 0
    for updates in range(at_most + 1):
        products = signed @ weights
        if order == "cyclic":
            products = np.roll(products, -position)
            mistakes = np.flatnonzero(products <= 0)
            mistake = (position + mistakes[0]) % len(signed) if len(mistakes) else None
        else:
            mistake = products.argmin() if products.min() <= 0 else None
        if mistake is None:
            return updates
        weights += signed[mistake]
        position = (mistake + 1) % len(signed)
    return at_most + 1
