"""Two regression models with normal prior and noise: a linear one, and a network of two weights, f(x) = a tanh(b x)."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from etils import epy

with epy.lazy_imports():
    import keras
    import scipy.linalg
    import scipy.special


@dataclass(frozen=True)
class LinearModel:
    """Linear regression with a conjugate posterior.

    Attributes:
        x: Inputs, [s, d].
        y: Targets, [s].
        noise: Standard deviation of the noise.
        prior: Standard deviation of the prior of each parameter, of mean zero.
    """

    x: np.ndarray
    y: np.ndarray
    noise: float
    prior: float

    @classmethod
    def draw(cls, generator, examples=6, parameters=2):
        """Draw inputs, parameters from the prior, and targets with noise."""
        noise, prior = generator.uniform(0.5, 1), generator.uniform(0.7, 1.5)
        x = generator.normal(size=(examples, parameters))
        y = x @ (prior * generator.normal(size=parameters)) + noise * generator.normal(size=examples)
        return cls(x, y, noise, prior)

    @property
    def precision(self):
        """Inverse covariance of the posterior, the matrix of second derivatives of the energy, [d, d]."""
        return self.x.T @ self.x / self.noise**2 + np.eye(self.x.shape[1]) / self.prior**2

    @property
    def covariance(self):
        """Covariance of the posterior, [d, d]."""
        return scipy.linalg.inv(self.precision)

    @property
    def mean(self):
        """Mean of the posterior, [d]."""
        return self.covariance @ self.x.T @ self.y / self.noise**2

    def energy(self, parameters, rows=slice(None), weight=1.0):
        """Energy of rows of parameters by Keras: misfit, with a weight on it, and penalty.

        Args:
            parameters: Tensor, [n, d].
            rows: Examples that count.
            weight: Factor on the misfit, of all examples over those that count for an unbiased estimate.
        """
        x = keras.ops.convert_to_tensor(self.x[rows])
        left = keras.ops.matmul(parameters, keras.ops.transpose(x)) - keras.ops.convert_to_tensor(self.y[rows])
        misfit = keras.ops.sum(keras.ops.square(left), axis=1) / (2 * self.noise**2)
        return weight * misfit + keras.ops.sum(keras.ops.square(parameters), axis=1) / (2 * self.prior**2)


@dataclass(frozen=True)
class SmallNetwork:
    """Regression by a tanh(b x), on a grid of its two weights.

    Attributes:
        x: Inputs of the examples and last of all that of the prediction, [s + 1].
        noise: Standard deviation of the noise.
        prior: Standard deviation of the prior of each weight.
        side: Number of weights along each side of the grid, which reaches five standard deviations of the prior.
    """

    x: np.ndarray
    noise: float
    prior: float
    side: int

    @classmethod
    def draw(cls, generator, side, noise=0.7, prior=0.8, examples=4):
        """Draw inputs."""
        return cls(generator.uniform(-2, 2, size=examples + 1), noise, prior, side)

    @property
    def weights(self):
        """Weights a and b of every point of the grid, [side^2, 2]."""
        line = self.prior * np.linspace(-5, 5, self.side)
        return np.stack([grid.ravel() for grid in np.meshgrid(line, line, indexing="ij")], axis=1)

    def outputs(self, weights):
        """Outputs at all inputs, by Keras, [n, s + 1]."""
        a, b = keras.ops.convert_to_tensor(weights[:, :1]), keras.ops.convert_to_tensor(weights[:, 1:])
        hidden = keras.activations.tanh(b * keras.ops.convert_to_tensor(self.x[None]))
        return keras.ops.convert_to_numpy(a * keras.ops.cast(hidden, "float64"))

    def observe(self, generator, worlds):
        """Draw weights from the prior, and targets at all inputs with noise, [worlds, s + 1]."""
        drawn = self.outputs(self.prior * generator.normal(size=(worlds, 2)))
        return drawn + self.noise * generator.normal(size=drawn.shape)

    def energies(self, y):
        """Energies on the grid, for the targets of some worlds, [worlds, side^2].

        Args:
            y: Targets of the examples, [worlds, s].
        """
        weights = self.weights
        outputs = self.outputs(weights)[:, :-1]
        misfit = (y**2).sum(axis=1)[:, None] - 2 * y @ outputs.T + (outputs**2).sum(axis=1)
        return misfit / (2 * self.noise**2) + (weights**2).sum(axis=1) / (2 * self.prior**2)
