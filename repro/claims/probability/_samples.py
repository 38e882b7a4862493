"""Samples from Keras' generators, and how far they are from a distribution."""

from __future__ import annotations

import numpy as np
from etils import epy

from repro import AtMost, ReproError

with epy.lazy_imports():
    import keras
    import scipy.stats

STATED, CHANCE = "distance_from_the_stated_distribution", "distance_of_chance"  # columns of the claims
REJECTED = 1e-6  # level of the tests: no correct formula should be rejected in any run


def draw(kind, shape, seed, **parameters):
    """Array of independent values in double precision by one of Keras' generators, such as ``normal``.

    Args:
        kind: Name of a function of ``keras.random``.
        shape: Shape of the array.
        seed: Number, or several, that determines the values.
        **parameters: What the function takes besides, such as ``mean``.
    """
    state = int(np.random.SeedSequence(seed).generate_state(1)[0] % 2**31)
    values = getattr(keras.random, kind)(shape, dtype="float64", seed=keras.random.SeedGenerator(state), **parameters)
    return keras.ops.convert_to_numpy(values)


def distance(values, probability):
    """Largest distance of the empirical distribution function from another one, of Kolmogorov and Smirnov."""
    return float(scipy.stats.kstest(values, probability, method="asymp").statistic)


def distances(values, probability):
    """Columns of a sample's distance from a stated distribution, and of that from which on the test rejects."""
    return {STATED: distance(values, probability), CHANCE: rejected_from(len(values))}


def as_stated(**where):
    """Ask that samples are nowhere farther from the stated distribution than by chance."""
    return AtMost(STATED, bound=CHANCE, where=where)


def rejected_from(count, other=np.inf):
    """Distance from which on the test rejects, for a sample of a size or for two samples.

    From the asymptotic tail of the Kolmogorov distribution, 2 exp(-2 n d^2) (Smirnov 1948).

    Args:
        count: Size of the sample.
        other: Size of the second sample; infinite where the distribution is known.

    Raises:
        ReproError: a size is not positive.
    """
    if count <= 0 or other <= 0:
        raise ReproError(f"rejected_from takes sizes of samples, not {min(count, other)}")
    return float(np.sqrt(np.log(2 / REJECTED) / 2 * (1 / count + 1 / other)))
