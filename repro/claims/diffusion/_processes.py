"""What the claims on diffusion share: noise schedules, images as points, small networks and Gaussian densities."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import numpy.typing as npt
from etils import epy

from repro.engine import load_data

with epy.lazy_imports():
    import keras

Array = npt.NDArray[Any]

# Of the logarithm of the signal's share at the last level, for every schedule here.
LAST_EXPONENT = 10.0


@dataclass(frozen=True)
class Schedule:
    """Noise of a chain x_t = sqrt(alpha_t) x_{t-1} + sqrt(beta_t) noise, levels 1 to T.

    Attributes:
        beta: variance of the noise that each level adds, [levels].
    """

    beta: Array

    @property
    def alpha(self) -> Array:
        """Share of the variance that each level keeps."""
        return 1 - self.beta

    @property
    def running(self) -> Array:
        """Product of alpha up to each level, written alpha bar."""
        return np.cumprod(self.alpha)

    @property
    def before(self) -> Array:
        """Product of alpha up to the level before."""
        return np.concatenate([[1.0], self.running[:-1]])

    @property
    def posterior_variance(self) -> Array:
        """Variance of q(x_{t-1} | x_t, x_0) (Ho et al. 2020, equation 7)."""
        variance: Array = self.beta * (1 - self.before) / (1 - self.running)
        return variance

    def posterior_mean(self, noised: Array, image: Array) -> Array:
        """Mean of q(x_{t-1} | x_t, x_0) (Ho et al. 2020, equation 7); arrays with levels on the first axis."""
        columns = (np.sqrt(self.alpha) * (1 - self.before), np.sqrt(self.before) * self.beta, 1 - self.running)
        of_noised, of_image, total = (values.reshape(-1, *[1] * (np.ndim(noised) - 1)) for values in columns)
        mean: Array = (of_noised * noised + of_image * image) / total
        return mean

    def after_first(self) -> tuple[Array, ...]:
        """Return beta, alpha, alpha bar, alpha bar before and the posterior variance of levels 2 to T, [T - 1, 1]."""
        columns = (self.beta, self.alpha, self.running, self.before, self.posterior_variance)
        return tuple(values[1:, None] for values in columns)


def schedule(kind: str, levels: int) -> Schedule:
    """Make a schedule that ends with a signal of about exp(-10) of the variance.

    Args:
        kind: ``linear`` (Ho et al. 2020, its thousand levels thinned), ``cosine`` (Nichol and Dhariwal 2021) or
            ``constant``.
        levels: their number, at least 40.
    """
    if kind == "linear":
        return Schedule(np.linspace(0.1, 2 * LAST_EXPONENT, levels) / levels)
    if kind == "cosine":
        signal = np.cos((np.arange(levels + 1) / levels + 0.008) / 1.008 * np.pi / 2) ** 2
        return Schedule(np.minimum(1 - signal[1:] / signal[:-1], 0.999))
    return Schedule(np.full(levels, LAST_EXPONENT / levels))


def images_as_points(data: str, number: int, generator: np.random.Generator) -> Array:
    """Draw training images as vectors with pixels from -1 to 1, [number, pixels]."""
    pixels = load_data(data).flat().x_train
    return 2 * pixels[generator.choice(len(pixels), size=number, replace=False)].astype(float) - 1


def random_network(inputs: int, outputs: int, seed: int, width: int = 16) -> Any:
    """Build a small untrained network in double precision with biases that are not zero."""
    layers = [
        keras.layers.Dense(
            units,
            activation=activation,
            kernel_initializer=keras.initializers.GlorotNormal(seed=10 * seed + index),
            bias_initializer=keras.initializers.RandomNormal(stddev=0.5, seed=10 * seed + index + 5),
            dtype="float64",
        )
        for index, (units, activation) in enumerate([(width, "tanh"), (outputs, None)])
    ]
    return keras.Sequential([keras.Input((inputs,), dtype="float64"), *layers])


def log_normal(values: Array, mean: Array | float, deviation: Array | float) -> Array:
    """Logarithm of a normal density."""
    square = np.square((values - mean) / deviation)
    logarithm: Array = -0.5 * square - np.log(deviation) - 0.5 * np.log(2 * np.pi)
    return logarithm


def posterior_weights(noised: Any, points: Array, signal: Array, variance: Array) -> Any:
    """Probability of each point given a noised one, x_t = signal * x_0 + noise, every point as likely before.

    Args:
        noised: [n, dimensions].
        points: [points, dimensions].
        signal: factor on the points, [n, 1].
        variance: of the noise, [n, 1].

    Returns:
        Tensor [n, points].
    """
    return keras.ops.softmax(_log_kernels(noised, points, signal, variance), axis=-1)


def log_density(noised: Any, points: Array, signal: Array, variance: Array) -> Any:
    """Logarithm of the density of noised points, a mixture of Gaussians: tensor [n]. Arguments as above."""
    normalization = 0.5 * noised.shape[-1] * np.log(2 * np.pi * variance[:, 0]) + np.log(len(points))
    return keras.ops.logsumexp(_log_kernels(noised, points, signal, variance), axis=-1) - normalization


def _log_kernels(noised: Any, points: Array, signal: Array, variance: Array) -> Any:
    distances = keras.ops.square(noised[:, None] - signal[:, None] * points[None])
    return -keras.ops.sum(distances, axis=-1) / (2 * variance)
