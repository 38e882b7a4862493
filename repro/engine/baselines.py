"""What generators and saliency maps must beat: baselines that learn nothing, or a mean and a covariance only."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from repro.common import ReproError

Array = npt.NDArray[Any]

# A stream of random numbers of its own: independent of what else a seed decides.
BASELINE_STREAM = 4


def mean_plus_noise(train: Array, count: int, seed: int) -> Array:
    """Sample the mean example with independent normal noise of the data's standard deviation in every pixel.

    Args:
        train: Examples, ``[n, ...]``.
        count: Number of samples.
        seed: Seed of the noise.

    Returns:
        Samples, ``[count, ...]``, of the type of the examples.
    """
    mean, deviation = train.mean(axis=0, dtype=np.float64), train.std(axis=0, dtype=np.float64)
    noise = _generator(seed).normal(size=(count, *train.shape[1:]))
    samples: Array = mean + deviation * noise
    return samples.astype(train.dtype)


def fitted_gaussian(train: Array, count: int, seed: int) -> Array:
    """Sample the normal distribution with the mean and the covariance of examples.

    Args:
        train: Examples, ``[n, ...]``; of fewer than they have pixels the covariance is singular, and sampled as it is.
        count: Number of samples.
        seed: Seed of the samples.

    Returns:
        Samples, ``[count, ...]``, of the type of the examples.

    Example:
        >>> train = np.random.default_rng(0).normal(3.0, 2.0, size=(1000, 4, 4))
        >>> samples = fitted_gaussian(train, 5000, seed=0)
        >>> samples.shape, round(samples.mean()), round(samples.std())
        ((5000, 4, 4), 3, 2)
    """
    rows = train.reshape(len(train), -1).astype(np.float64)
    mean = rows.mean(axis=0)
    variances, directions = np.linalg.eigh((rows - mean).T @ (rows - mean) / len(rows))
    # rounding makes variances that are zero slightly negative
    noise = _generator(seed).normal(size=(count, len(mean))) * np.sqrt(variances.clip(min=0))
    samples: Array = mean + noise @ directions.T
    return samples.reshape(count, *train.shape[1:]).astype(train.dtype)


def fresh_real(test: Array, count: int, seed: int) -> Array:
    """Draw real examples without replacement: the best that samples can be.

    Args:
        test: Examples that nothing was trained on, ``[n, ...]``.
        count: Number of examples to draw.
        seed: Seed of the choice.

    Returns:
        Examples, ``[count, ...]``.

    Raises:
        ReproError: there are not as many.
    """
    if count > len(test):
        raise ReproError(f"there are {len(test)} real examples, {count} were asked for; ask for fewer")
    return test[_generator(seed).permutation(len(test))[:count]]


def decoded_prior_noise(decode: Callable[[Any], Any], latent_dim: int, count: int, seed: int) -> Array:
    """Decode standard normal noise, for instance by a decoder that was not trained.

    Args:
        decode: Function of latent variables, ``[count, latent_dim]``, that returns samples, ``[count, ...]``.
        latent_dim: Number of latent variables of a sample.
        count: Number of samples.
        seed: Seed of the noise.

    Returns:
        Samples, ``[count, ...]``.
    """
    return np.asarray(decode(_generator(seed).normal(size=(count, latent_dim)).astype(np.float32)))


def constant_map(shape: tuple[int, ...]) -> Array:
    """Return saliency maps of one value, by which no pixel matters more than another.

    Args:
        shape: Shape of the maps, such as ``(n, height, width)``.
    """
    return np.ones(shape, np.float32)


def shuffled_map(maps: Array, seed: int) -> Array:
    """Permute the pixels of saliency maps, of each on its own: the same values in places that mean nothing.

    Args:
        maps: Saliency maps, ``[n, ...]``.
        seed: Seed of the permutations.

    Returns:
        Maps, ``[n, ...]``.
    """
    return _generator(seed).permuted(maps.reshape(len(maps), -1), axis=1).reshape(maps.shape)


def _generator(seed: int) -> np.random.Generator:
    return np.random.default_rng((seed, BASELINE_STREAM))
