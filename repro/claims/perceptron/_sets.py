"""Labelled points for the perceptron, and whether and how widely a hyperplane through the origin separates them."""

from __future__ import annotations

import numpy as np
from etils import epy

from repro.engine import load_data

with epy.lazy_imports():
    import scipy.optimize


def random_set(generator, points, dimension, margin):
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


def orthogonal_set(generator, dimension, norm=3.0):
    """Points of one norm along the axes, in a random order with random labels: [dimension, dimension].

    The weights that separate them with the largest margin, norm / sqrt(dimension), are their sum; the perceptron makes
    one mistake on each, which is R^2 / margin^2 in all. Along the axes their products are zero exactly; in a random
    basis rounding would make half of them positive, and their points right before they are learned.
    """
    signs = generator.choice([-norm, norm], size=(dimension, 1))
    return signs * np.eye(dimension)[generator.permutation(dimension)]


def draw_pairs(generator, data, pairs):
    """Pairs of different classes of a data set."""
    classes = load_data(data).classes
    return [sorted(generator.choice(classes, size=2, replace=False)) for _ in range(pairs)]


def pair_of_classes(data, a, b):
    """Training images of two classes with a constant pixel, times their label, [images, pixels + 1]."""
    images = load_data(data).flat()
    chosen = np.isin(images.y_train, (a, b))
    x = np.column_stack([images.x_train[chosen], np.ones(chosen.sum())]).astype(float)
    return x * np.where(images.y_train[chosen] == a, 1, -1)[:, None]


def maximum_margin(signed):
    """Largest margin of any unit vector through the origin: the distance of the points' convex hull from it.

    Minimising |Zᵀλ|² + (1ᵀλ − 1)² over λ ≥ 0 finds the nearest point of the hull up to a factor (Lawson and Hanson,
    Solving Least Squares Problems, 1974, chapter 23).

    Args:
        signed: points times their label, [points, dimension].

    Returns:
        The margin of that direction, never an overestimate, and the direction, a unit vector [dimension].
    """
    system = np.vstack([signed.T, np.ones(len(signed))])
    target = np.append(np.zeros(signed.shape[1]), 1)
    weights, _ = scipy.optimize.nnls(system, target, maxiter=100 * len(signed))
    direction = signed.T @ weights
    direction /= max(np.linalg.norm(direction), np.finfo(float).tiny)
    return (signed @ direction).min(), direction


def separable(signed):
    """Whether a hyperplane through the origin has all points times their label strictly on one side."""
    margin, _ = maximum_margin(signed)
    return bool(margin > 1e-10)
