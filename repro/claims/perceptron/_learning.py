"""Perceptron learning on points times their label, from update to update and from epoch to epoch."""

from __future__ import annotations

import numpy as np


def count_updates(signed, order, at_most):
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


def trajectory(signed, *, every_point=False, cycles=100_000):
    """Weights after every update from zero, [updates, dimension]; two cycles where every point is an update."""
    weights, path = np.zeros(signed.shape[1]), []
    for _ in range(2 if every_point else cycles):
        updates = len(path)
        for point in signed:
            if every_point or point @ weights <= 0:
                weights = weights + point
                path.append(weights)
        if len(path) == updates:
            break
    return np.array(path)


def count_epochs(signed, weights):
    """Number of epochs until all points are right, at least one; the one in which none is wrong is not counted."""
    epochs, mistakes = 0, 1
    while mistakes:
        mistakes = 0
        for point in signed:
            if point @ weights <= 0:
                weights = weights + point
                mistakes += 1
        epochs += mistakes > 0
    return max(1, epochs)


def count_rounds(signed, weights):
    """Number of updates on the worst mistake until all points are right, at least one, over the number of points."""
    updates = 0
    while (products := signed @ weights).min() <= 0:
        weights = weights + signed[products.argmin()]
        updates += 1
    return max(1, updates) / len(signed)
