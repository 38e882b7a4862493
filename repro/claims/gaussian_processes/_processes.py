"""Kernels, draws and posteriors of Gaussian processes, and how far moments of draws are from what is expected."""

from __future__ import annotations

import numpy as np
from etils import epy

with epy.lazy_imports():
    import keras
    import scipy.stats

# Period of the periodic kernel, in the unit of the inputs.
PERIOD = 12.0
# Probability with which a true statement about moments or a distribution is rejected in one seed.
REJECTS = 1e-6


def covariance(kernel, x, z, length=1.0):
    """Matrix of a kernel between rows of inputs.

    Args:
        kernel: Name: rbf, laplace, periodic (in the distance, with period 12), linear or white (one on equal inputs).
        x: Inputs, [n, d].
        z: Inputs, [m, d].
        length: Length scale.

    Returns:
        Matrix of [n, m], with ones where x is z, but for the linear kernel.

    Raises:
        ValueError: no such kernel.
    """
    if kernel == "linear":
        return x @ z.T
    distance = np.linalg.norm(x[:, None] - z[None], axis=2)
    if kernel == "rbf":
        return np.exp(-(distance**2) / (2 * length**2))
    if kernel == "laplace":
        return np.exp(-distance / length)
    if kernel == "periodic":
        return np.exp(-2 * np.sin(np.pi * distance / PERIOD) ** 2 / (np.pi * length * 2 / PERIOD) ** 2)
    if kernel == "white":
        return (distance == 0).astype(float)
    raise ValueError(f"no kernel {kernel!r}: rbf, laplace, periodic, linear or white")


def condition(kernel, x, y, at, noise=0.0, length=1.0):
    """Mean, [m], and covariance, [m, m], of a process of mean zero at inputs, given observations, by Keras.

    Args:
        kernel: Name of the kernel.
        x: Inputs that were observed, [n, d].
        y: Observations, [n].
        at: Inputs of the predictions, [m, d].
        noise: Standard deviation of the noise of the observations.
        length: Length scale.
    """
    observed = keras.ops.convert_to_tensor(covariance(kernel, x, x, length) + noise**2 * np.eye(len(x)))
    between = keras.ops.convert_to_tensor(covariance(kernel, x, at, length))
    weights = keras.ops.linalg.solve(observed, between)
    mean = keras.ops.matmul(keras.ops.transpose(weights), keras.ops.convert_to_tensor(y[:, None]))[:, 0]
    explained = keras.ops.matmul(keras.ops.transpose(weights), between)
    left = covariance(kernel, at, at, length) - keras.ops.convert_to_numpy(explained)
    return keras.ops.convert_to_numpy(mean), left


def draw_normal(covariances, number, generator):
    """Draws from a normal distribution of mean zero, [number, n], by the eigenvectors that Keras finds."""
    values, vectors = keras.ops.linalg.eigh(keras.ops.convert_to_tensor(covariances))
    root = vectors * keras.ops.sqrt(keras.ops.maximum(values, 0.0))  # those that rounding made negative are nought
    noise = keras.ops.convert_to_tensor(generator.normal(size=(number, len(covariances))))
    return keras.ops.convert_to_numpy(keras.ops.matmul(noise, keras.ops.transpose(root)))


def pseudo_inverse(matrix):
    """Pseudo-inverse of a symmetric matrix by the singular values that Keras finds, those of rounding left out."""
    left, values, right = keras.ops.linalg.svd(keras.ops.convert_to_tensor(matrix))
    kept = values > 1e-12 * values[0]
    inverse = keras.ops.where(kept, 1 / keras.ops.where(kept, values, 1.0), 0.0)
    return keras.ops.convert_to_numpy(keras.ops.matmul(keras.ops.transpose(right) * inverse, keras.ops.transpose(left)))


def moment_errors(draws, covariances):
    """Largest errors of the mean and of the second moments of normal draws of mean zero, in standard errors.

    Args:
        draws: Values, [number, n].
        covariances: Covariances that are expected, [n, n]; the second moment of two values then has a variance of
            the product of their variances plus the square of their covariance (Isserlis 1918).

    Returns:
        The error of the mean and that of the second moments.
    """
    number, variances = len(draws), np.diag(covariances)
    mean = np.abs(draws.mean(axis=0)) / np.sqrt(variances / number)
    spread = np.sqrt((np.outer(variances, variances) + covariances**2) / number)
    return mean.max(), (np.abs(draws.T @ draws / number - covariances) / spread).max()


def error_limit(comparisons):
    """Standard errors that the largest of so many normal errors exceeds once in a million (Bonferroni)."""
    return scipy.stats.norm.isf(REJECTS / (2 * comparisons))


def distance_limit(number, other=np.inf):
    """Distance of two distribution functions at which a Kolmogorov-Smirnov test rejects at one in a million.

    The tail of the distribution of Kolmogorov, 2 exp(-2 n d^2), with n = number, or number * other / (number + other)
    for two samples (Smirnov 1948).
    """
    effective = number if np.isinf(other) else number * other / (number + other)
    return np.sqrt(np.log(2 / REJECTS) / (2 * effective))
