"""From noise to data: stochastic differential equations and reverse steps, with exact scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from etils import epy

from repro import Equivalent, ScalingLaw, cheatsheet, claim
from repro.claims.diffusion._processes import Array, schedule

with epy.lazy_imports():
    import keras
    import scipy.integrate
    import scipy.special
    import scipy.stats

ALIKE = "distributions whose probabilities differ by less than 5 % nowhere are hard to tell apart in a figure"


@dataclass(frozen=True)
class Mixture:
    """Gaussians on the line with weights: data whose noised score is known.

    Attributes:
        weights: [..., parts].
        means: [..., parts].
        deviations: [..., parts].
    """

    weights: Array
    means: Array
    deviations: Array

    def noised(self, signal: float) -> Mixture:
        """Return the distribution of sqrt(signal) x + sqrt(1 - signal) noise."""
        variances = signal * self.deviations**2 + 1 - signal
        return Mixture(self.weights, np.sqrt(signal) * self.means, np.sqrt(variances))

    def score(self, x: Array) -> Array:
        """Derivative of the log-density at points of any shape that agrees with the mixture's but for its last axis."""
        offsets = (self.means - x[..., None]) / self.deviations
        logarithms = np.log(self.weights / self.deviations) - offsets**2 / 2
        parts = np.exp(logarithms - logarithms.max(axis=-1, keepdims=True))
        slope: Array = (parts * offsets / self.deviations).sum(axis=-1) / parts.sum(axis=-1)
        return slope

    def distance(self, x: Array) -> float:
        """Kolmogorov-Smirnov distance of points [n] from a single mixture."""

        def probability(values):
            return scipy.special.ndtr((values[:, None] - self.means) / self.deviations) @ self.weights

        return float(scipy.stats.kstest(x, probability, method="asymp").statistic)


@claim(
    r"$dx = -\frac{1}{2}\beta_t x\, dt + \sqrt{\beta_t}\, d\omega$ is the continuous limit of the chain "
    r"$x_t = \sqrt{1 - \beta_t}\, x_{t-1} + \sqrt{\beta_t}\,\epsilon_t$.",
    source=cheatsheet("1.10.3"),
    kind="formula",
    literature="Song et al. 2021, appendix B",
    criterion=ScalingLaw(
        x="step",
        y="error",
        at_least=0.9,
        because="a chain nears its limit at the order of its step, as Euler's method does; 0.9 leaves room",
        each=("moment", "schedule"),
    ),
    control={"drift": -1.0},
)
def forward_sde(*, steps=(100, 200, 400, 800, 1600), time=0.25, drift=-0.5):
    """Mean, variance and covariance with the start: of chains of ever smaller steps, and of the equation.

    The chain's steps have the variance beta(t) times the step; the equation's moments solve their own differential
    equations, by SciPy, for constant and for linearly growing beta. Both are Gaussian, so that the moments tell all.
    The control takes the drift without its half.
    """
    rates = {"constant": lambda t: 10.0 + 0 * t, "linear": lambda t: 0.1 + 19.9 * t}
    start = {"mean": 1.0, "variance": 0.2, "covariance": 0.2}
    rows = []
    for kind, rate in rates.items():

        def slopes(t, moments, rate=rate):
            mean, variance, covariance = moments
            return rate(t) * np.array([drift * mean, 2 * drift * variance + 1, drift * covariance])

        solved = scipy.integrate.solve_ivp(slopes, (0, time), list(start.values()), rtol=1e-12, atol=1e-14).y[:, -1]
        for number in steps:
            mean, variance, covariance = start.values()
            for beta in rate(time * np.arange(1, number + 1) / number) * time / number:
                mean, covariance = np.sqrt(1 - beta) * mean, np.sqrt(1 - beta) * covariance
                variance = (1 - beta) * variance + beta
            for moment, value, limit in zip(start, (mean, variance, covariance), solved, strict=True):
                error = abs(value - limit)
                rows.append({"schedule": kind, "moment": moment, "step": time / number, "error": error})
    return pd.DataFrame(rows)


@claim(
    r"$dx = \left[-\frac{1}{2}\beta_t x - \beta_t \nabla\log q_t(x)\right] dt + \sqrt{\beta_t}\, d\bar\omega$, run "
    r"backward from $N(0, I)$, generates data.",
    source=cheatsheet("1.10.3"),
    kind="formula",
    transcription=True,
    literature="Anderson 1982; Song et al. 2021, equation 6",
    criterion=Equivalent("distance", 0.0, smallest_difference=0.05, because=ALIKE),
    smoke={"steps": 250, "samples": 2000},
    control={"score": 0.0},
)
def reverse_sde(seed, *, steps=1000, samples=4000, score=1.0):
    """Kolmogorov-Smirnov distance of samples from a known mixture of three Gaussians on the line.

    Euler-Maruyama from t = 1 to 0 with beta growing linearly from 0.1 to 20, Keras' random numbers and the exact score
    of the noised mixture, of random weights and places. The control leaves the score out of the drift.
    """
    data, noise = _mixture(seed), _noise(seed, (steps + 1, samples))
    x, step = noise[-1], 1 / steps
    for added, t in zip(noise, np.linspace(1, 0, steps, endpoint=False), strict=False):
        beta = 0.1 + 19.9 * t
        signal = np.exp(-0.1 * t - 19.9 * t**2 / 2)
        drift = -0.5 * beta * x - score * beta * data.noised(signal).score(x)
        x = x - drift * step + np.sqrt(beta * step) * added
    return {"distance": data.distance(x)}


@claim(
    r"Both $\sigma_t^2 = \beta_t$ and $\sigma_t^2 = \tilde\beta_t$, the posterior variance, serve as variance of the "
    r"reverse steps.",
    source=cheatsheet("1.10.3"),
    kind="advice",
    literature="Ho et al. 2020, section 3.2: the choices are optimal for normal data and for a single point",
    criterion=Equivalent("distance", 0.0, smallest_difference=0.05, because=ALIKE, each=("data", "variance")),
    smoke={"levels": 500, "samples": 2000},
    control={"variances": ("none",)},
)
def reverse_variances(seed, *, variances=("beta", "posterior"), levels=1000, samples=4000):
    """Kolmogorov-Smirnov distance of samples from data on the line, by ancestral sampling with the exact score.

    The linear schedule of Ho et al., with a thousand levels in the standard profile; the last step adds no noise. Data:
    a standard normal, for which beta is exact, and a narrow one, nearly a point, for which the posterior variance is;
    for both the variance of the samples follows from the steps. And a random mixture of three Gaussians, by Keras'
    random numbers. The control adds no noise in any step.
    """
    chain = schedule("linear", levels)
    choices = {"beta": chain.beta, "posterior": chain.posterior_variance, "none": np.zeros(levels)}
    data, noise = _mixture(seed), _noise(seed, (levels, samples))
    x = np.broadcast_to(noise[0], (len(variances), samples))
    deviations = np.sqrt([choices[variance] for variance in variances])[..., None]
    for t in range(levels - 1, -1, -1):
        x = (x + chain.beta[t] * data.noised(chain.running[t]).score(x)) / np.sqrt(chain.alpha[t])
        if t:
            x = x + deviations[:, t] * noise[t]
    rows = []
    for variance, of_variance in zip(variances, x, strict=True):
        found = {
            "normal": _distance_of_normals(chain, choices[variance], 1.0),
            "nearly a point": _distance_of_normals(chain, choices[variance], 0.05),
            "mixture": data.distance(of_variance),
        }
        rows += [{"data": kind, "variance": variance, "distance": value} for kind, value in found.items()]
    return pd.DataFrame(rows)


def _distance_of_normals(chain, added, deviation):
    """Distance of what the reverse steps make of N(0, 1) from N(0, deviation^2), both normal."""
    variance = 1.0
    for t in range(len(added) - 1, -1, -1):
        noised = chain.running[t] * deviation**2 + 1 - chain.running[t]
        variance = variance * (1 - chain.beta[t] / noised) ** 2 / chain.alpha[t] + (added[t] if t else 0.0)
    grid = np.linspace(0, 6, 3001) * max(deviation, np.sqrt(variance))
    return np.abs(scipy.special.ndtr(grid / np.sqrt(variance)) - scipy.special.ndtr(grid / deviation)).max()


def _mixture(seed):
    """Three Gaussians of random weights in random places."""
    generator = np.random.default_rng(seed)
    return Mixture(generator.dirichlet(np.full(3, 5.0)), generator.uniform(-3, 3, size=3), np.array([0.2, 0.4, 0.8]))


def _noise(seed, shape):
    return keras.ops.convert_to_numpy(keras.random.normal(shape, seed=keras.random.SeedGenerator(seed))).astype(float)
