"""How far generated samples are from data."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Identity, claim, notes
from repro.claims.diffusion._processes import Array

with epy.lazy_imports():
    import keras
    import scipy.optimize
    import scipy.spatial.distance


@claim(
    r"The squared Fréchet distance of $N(\mu, \Sigma)$ and $N(\mu', \Sigma')$ is $\|\mu - \mu'\|^2 + "
    r"\mathrm{tr}\left(\Sigma + \Sigma' - 2(\Sigma^{1/2}\Sigma'\Sigma^{1/2})^{1/2}\right)$.",
    source=notes("Definition 3.87"),
    kind="formula",
    literature="Dowson and Landau 1982; Olkin and Pukelsheim 1982; Gelbrich 1990",
    criterion=AllOf(
        reached=Identity("transport", "formula", operations=10**4, where={"second": "mapped"}),
        singular=Identity("transport", "formula", atol=1e-6, where={"second": "flattened"}),
        zero=Identity("transport", "formula", operations=10**4, atol=1e-11, where={"second": "equal"}),
        least=AtMost("formula", bound="transport", where={"second": "drawn anew"}),
    ),
    smoke={"pairs": 5, "samples": 100},
    control={"commuting": True},
)
def frechet_distance(seed, *, pairs=10, samples=400, dimensions=4, commuting=False):
    """The formula, by Keras, against the cheapest pairing of two samples, by linear assignment.

    The first sample is normal with a random mean and covariance; means and covariances are those of the samples. A
    positive definite linear map of it makes a second one with any covariance, and pairing the points with their images
    is then optimal (Knott and Smith 1984), so that the cost is exactly the distance of the Gaussians; also where the
    map flattens one direction, and eigenvalues that are zero but for rounding have roots of 1e-8. A second sample
    drawn anew cannot be cheaper, because the distance bounds that of all distributions with these moments. The control
    takes the product of the roots, as if the covariances commuted.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for _ in range(pairs):
        first = generator.normal(size=(samples, dimensions)) @ _positive_definite(generator, dimensions)
        offset = generator.normal(size=dimensions)
        direction = generator.normal(size=dimensions)
        flat = np.eye(dimensions) - np.outer(direction, direction) / np.square(direction).sum()
        seconds = {
            "mapped": first @ _positive_definite(generator, dimensions) + offset,
            "flattened": first @ flat @ _positive_definite(generator, dimensions) @ flat + offset,
            "equal": first,
            "drawn anew": generator.normal(size=first.shape) @ _positive_definite(generator, dimensions) + offset,
        }
        for name, second in seconds.items():
            costs = scipy.spatial.distance.cdist(first, second, "sqeuclidean")
            transport = costs[scipy.optimize.linear_sum_assignment(costs)].mean()
            formula = squared_frechet_distance(first, second, commuting)
            rows.append({"second": name, "transport": transport, "formula": formula})
    return pd.DataFrame(rows)


def squared_frechet_distance(first: Array, second: Array, commuting: bool = False) -> float:
    """Squared Fréchet distance of the Gaussians with the moments of two samples, [n, dimensions] each.

    Args:
        first: one sample.
        second: the other, perhaps of another size.
        commuting: take the root of the product of the covariances for the product of their roots.
    """
    (mean, covariance), (other_mean, other_covariance) = (
        (sample.mean(axis=0), np.cov(sample, rowvar=False, bias=True)) for sample in (first, second)
    )
    root = _root(covariance)
    cross = root @ _root(other_covariance) if commuting else _root(root @ other_covariance @ root)
    return float(np.square(mean - other_mean).sum() + np.trace(covariance + other_covariance - 2 * cross))


def energy_distance(first: Array, second: Array) -> float:
    """Energy distance of two samples, [n, dimensions] each (Székely and Rizzo 2013): zero for equal distributions only.

    Distances of a point from itself count among the others, so that it is positive, and has ratios: two samples of n
    points of one distribution have 2 / n of the mean distance of two points.
    """
    between = scipy.spatial.distance.cdist(first, second).mean()
    within = [2 * scipy.spatial.distance.pdist(sample).sum() / len(sample) ** 2 for sample in (first, second)]
    return float(2 * between - sum(within))


def _positive_definite(generator, dimensions):
    """Random matrix without very small eigenvalues, whose roots would be inaccurate."""
    factor = generator.normal(size=(dimensions, 4 * dimensions)) / np.sqrt(4 * dimensions)
    return factor @ factor.T


def _root(matrix: Array) -> Array:
    """Symmetric root of a symmetric matrix without negative eigenvalues."""
    values, vectors = (keras.ops.convert_to_numpy(part) for part in keras.ops.eigh(matrix))
    root: Array = (vectors * np.sqrt(np.maximum(values, 0))) @ vectors.T
    return root
