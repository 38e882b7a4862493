"""Expected products of activations of two jointly normal numbers."""

from __future__ import annotations

import numpy as np


def expected_products(activation, covariance):
    """Second moments of activations under a normal distribution of mean zero, [s, s].

    By the closed form of Cho and Saul 2009, equation 6, for ReLU, by Gauss-Hermite quadrature for tanh.

    Args:
        activation: relu, tanh or linear.
        covariance: Covariances of the s numbers, [s, s].

    Raises:
        ValueError: another activation.
    """
    deviation = np.sqrt(np.diag(covariance))
    scale = np.outer(deviation, deviation)
    correlation = np.clip(covariance / scale, -1, 1)
    if activation == "linear":
        return covariance
    if activation == "relu":
        angle = np.arccos(correlation)
        return scale * (np.sin(angle) + (np.pi - angle) * np.cos(angle)) / (2 * np.pi)
    if activation == "tanh":
        nodes, weights = np.polynomial.hermite_e.hermegauss(64)
        weights = weights / weights.sum()
        first, second = nodes[:, None], nodes[None, :]
        moments = np.empty_like(covariance)
        for i, j in np.ndindex(covariance.shape):
            r = correlation[i, j]
            other = r * first + np.sqrt(max(0.0, 1 - r**2)) * second
            values = np.tanh(deviation[i] * first) * np.tanh(deviation[j] * other)
            moments[i, j] = weights @ values @ weights
        return moments
    raise ValueError(f"no activation {activation!r}: relu, tanh or linear")
