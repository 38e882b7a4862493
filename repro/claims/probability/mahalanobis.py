"""Mahalanobis distances."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, AtMost, Correction, Identity, claim, notes

with epy.lazy_imports():
    import keras
    import scipy.spatial.distance
    import sklearn.datasets


@claim(
    r"With $\Sigma^{-1} = J^T J$ the distance is $d_M(s_i, s_j) = \|J (s_i - s_j)\|_2$; learning a Mahalanobis "
    "distance is equivalent to learning a linear mapping, after which the distance is Euclidean.",
    source=notes("Remark 2.24"),
    kind="formula",
    scope="positive definite covariance",
    literature="Weinberger and Saul 2009, section 2: any such factor will do",
    criterion=AllOf(
        distance=Identity("mapped", "mahalanobis", operations=10**6, where={"of": "distance"}),
        neighbours=Identity("mapped", "mahalanobis", where={"of": "neighbour"}),
        mapping=Identity("mapped", "mahalanobis", operations=10**6, where={"of": "mapping"}),
    ),
    control={"factor_of": "covariance"},
)
def mahalanobis_whitens(seed, *, factor_of="inverse covariance", points=60):
    """Maps 60 of 178 wines with 13 features by factors of the inverse covariance, by Keras, and measures distances.

    The wines are scikit-learn's, those taken depend on the seed; features are divided by their deviations. Factors: the
    transposed Cholesky factor, the symmetric root by eigenvectors, and that root turned by a random rotation, which is
    a factor as well. Euclidean distances after the mapping and nearest neighbours are compared with SciPy's Mahalanobis
    distances. The other way round, a random linear mapping to 20 dimensions gives the Mahalanobis distance of its Gram
    matrix. The control takes factors of the covariance itself.
    """
    generator, ops = np.random.default_rng(seed), keras.ops
    wines = sklearn.datasets.load_wine().data
    wines = wines[generator.choice(len(wines), size=points, replace=False)]
    wines = (wines - wines.mean(axis=0)) / wines.std(axis=0)
    inverse = np.linalg.inv(np.cov(wines.T))
    metric = inverse if factor_of == "inverse covariance" else np.cov(wines.T)
    values, vectors = (ops.convert_to_numpy(part) for part in ops.eigh(metric))
    turn = np.linalg.qr(generator.normal(size=metric.shape))[0]
    root = vectors * np.sqrt(values) @ vectors.T
    factors = {
        "Cholesky": ops.convert_to_numpy(ops.cholesky(metric)).T,
        "symmetric": root,
        "turned": turn @ root,
    }
    stated = scipy.spatial.distance.pdist(wines, "mahalanobis", VI=inverse)
    tables = []
    for factor, matrix in factors.items():
        mapped = _distances(wines, matrix)
        labels = {"factor": factor}
        tables.append(pd.DataFrame({"of": "distance", **labels, "mapped": mapped, "mahalanobis": stated}))
        nearest = [_nearest(lengths) for lengths in (mapped, stated)]
        tables.append(pd.DataFrame({"of": "neighbour", **labels, "mapped": nearest[0], "mahalanobis": nearest[1]}))
    mapping = generator.normal(size=(20, wines.shape[1]))
    other = scipy.spatial.distance.pdist(wines, "mahalanobis", VI=mapping.T @ mapping)
    tables.append(pd.DataFrame({"of": "mapping", "mapped": _distances(wines, mapping), "mahalanobis": other}))
    return pd.concat(tables, ignore_index=True)


def _distances(points, mapping):
    """Euclidean distances of all pairs of points after a linear mapping, by Keras, in SciPy's order."""
    mapped = keras.ops.matmul(points, mapping.T)
    first, second = np.triu_indices(len(points), k=1)
    offsets = keras.ops.take(mapped, first, axis=0) - keras.ops.take(mapped, second, axis=0)
    return keras.ops.convert_to_numpy(keras.ops.sqrt(keras.ops.sum(keras.ops.square(offsets), axis=1)))


def _nearest(distances):
    """Index of the nearest neighbour of each point, from distances of all pairs."""
    square = scipy.spatial.distance.squareform(distances)
    np.fill_diagonal(square, np.inf)
    return square.argmin(axis=1).astype(float)


@claim(
    r"If the Mahalanobis $d_M(x_i, x_j) = \sqrt{(x_i - x_j)^T M (x_i - x_j)}$ is a pseudometric, which is zero for "
    "some points that are not equal, M is not of full rank.",
    source=notes("Remark 2.26"),
    kind="theorem",
    scope="positive semi-definite M",
    literature="Suárez, García and Herrera 2021; a positive definite form is zero at the origin alone",
    criterion=AllOf(
        rank=AtMost("rank", bound="one_less", where={"zero": "found"}),
        metric=AtLeast("least_square", bound=1.0, where={"rank_is": "full"}),
    ),
    control={"semidefinite": False},
)
def pseudometric_rank(seed, *, semidefinite=True, repetitions=5, reach=4):
    """Looks for distinct points at distance zero among integers, exactly, for matrices M of every rank.

    M is G^T G with a matrix G of integers, [r, 3], of rank r = 1, 2 and 3. Differences of points are all 728 vectors of
    integers up to 4 but zero, and, for r = 2, the cross product of the rows of G, which M maps to zero. Squared
    distances are integers: those of a full rank must be at least one, and where zero is found the rank must be two at
    most. The control turns the sign of one square for the full rank, G^T diag(1, 1, -1) G with a G of determinant one
    or minus one: such an M is not semi-definite, and is zero at G^-1 (1, 0, 1), which is among the differences.
    """
    generator = np.random.default_rng(seed)
    box = np.array([offset for offset in product(range(-reach, reach + 1), repeat=3) if any(offset)])
    rows = []
    for rank in (1, 2, 3):
        for _ in range(repetitions):
            g = _factor(generator, rank)
            signs = np.ones(rank, dtype=int)
            offsets = box if rank != 2 else np.vstack([box, np.cross(g[0], g[1])])
            if rank == 3 and not semidefinite:
                g = np.eye(3, dtype=int) + np.triu(generator.integers(-2, 3, size=(3, 3)), 1)
                signs[2] = -1
                offsets = np.vstack([box, np.rint(np.linalg.solve(g, [1, 0, 1])).astype(int)])
            metric = g.T @ (signs[:, None] * g)
            squares = np.einsum("ki,ij,kj->k", offsets, metric, offsets)
            rows.append(
                {
                    "rank_is": "full" if rank == 3 else "lower",
                    "zero": "found" if (squares == 0).any() else "not found",
                    "rank": float(np.linalg.matrix_rank(metric)),
                    "one_less": 2.0,
                    "least_square": float(squares.min()),
                    "mean_square": float(squares.mean()),
                }
            )
    return pd.DataFrame(rows)


def _factor(generator, rank):
    """Matrix of integers up to three, [rank, 3], with independent rows."""
    while True:
        g = generator.integers(-3, 4, size=(rank, 3))
        if np.linalg.matrix_rank(g) == rank:
            return g


@claim(
    r"Mahalanobis distance can also be defined as a dissimilarity of two vectors of one distribution, "
    r"$d_M(s_i, s_j) = \sqrt{(s_i - \mu)^T \Sigma^{-1} (s_j - \mu)}$.",
    source=notes("Definition 2.36"),
    kind="formula",
    scope="two vectors of a distribution with that mean and covariance",
    literature="Mahalanobis 1936; Remark 2.24 of the same notes has the difference of both vectors on either side",
    criterion=AllOf(
        real=AtLeast("square", bound=0.0, atol=1e-9, where={"of": "pairs"}),
        itself=AtMost("size", bound=0.0, atol=1e-9, where={"of": "itself"}),
        symmetric=Identity("square", "exchanged", operations=10**4, where={"of": "pairs"}),
    ),
    correction=Correction(
        r"Both factors are the difference of the two vectors: $d_M(s_i, s_j) = \sqrt{(s_i - s_j)^T \Sigma^{-1} "
        r"(s_i - s_j)}$.",
        criterion=AllOf(
            real=AtLeast("square", bound=0.0, atol=1e-9, where={"of": "pairs"}),
            itself=AtMost("size", bound=0.0, atol=1e-9, where={"of": "itself"}),
            of_scipy=Identity("square", "square_of_scipy", operations=10**4, where={"of": "pairs"}),
        ),
        as_printed=False,
    ),
)
def mahalanobis_pair(seed, *, as_printed=True, points=30, dimension=4):
    """Evaluates what stands under the root, by Keras, for all pairs of 30 normal vectors and for each with itself.

    A dissimilarity must be real, zero for a vector with itself, and symmetric. As printed, the root is of an inner
    product, which is negative for vectors on opposite sides of the mean, such as -1 and 1 for a standard normal
    variable, and is the distance from the mean for a vector with itself. It is symmetric whatever the vectors, which
    nothing could make fail. The correction is compared with SciPy's distance.
    """
    generator = np.random.default_rng(seed)
    factor, mean = generator.normal(size=(dimension, dimension)), generator.normal(size=dimension)
    covariance = factor @ factor.T + 0.3 * np.eye(dimension)
    vectors = mean + generator.normal(size=(points, dimension)) @ np.linalg.cholesky(covariance).T
    lower = keras.ops.cholesky(covariance)
    white = keras.ops.convert_to_numpy(keras.ops.solve_triangular(lower, (vectors - mean).T, lower=True)).T
    inner = keras.ops.convert_to_numpy(keras.ops.matmul(white, white.T))
    if not as_printed:
        own = np.diag(inner)
        inner = own[:, None] + own - 2 * inner
    first, second = np.triu_indices(points, k=1)
    stated = scipy.spatial.distance.pdist(vectors, "mahalanobis", VI=np.linalg.inv(covariance)) ** 2
    columns = {"square": inner[first, second], "exchanged": inner[second, first], "square_of_scipy": stated}
    pairs = pd.DataFrame({"of": "pairs", **columns})
    return pd.concat([pairs, pd.DataFrame({"of": "itself", "size": np.abs(np.diag(inner))})], ignore_index=True)
