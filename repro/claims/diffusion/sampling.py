"""From noise to data: stochastic differential equations and reverse steps, with exact scores."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Greater, Identity, Rival, ScalingLaw, cheatsheet, claim
from repro.claims.diffusion._processes import Array, schedule
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras
    import scipy.integrate
    import scipy.special
    import scipy.stats

# Logarithm of the level at which a Kolmogorov-Smirnov test rejects, one in a million.
REJECTS = np.log(1e-6)


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
    r"The forward equation is $dx = -\frac{1}{2}\beta_t x\, dt + \sqrt{\beta_t}\, d\omega$, beside the chain "
    r"$x_t | x_{t-1} \sim N(\sqrt{1 - \beta_t}\, x_{t-1}, \beta_t I)$, whose limit it is for small steps.",
    source=cheatsheet("1.10.3"),
    kind="formula",
    scope="steps going to zero at the same noise in all; that the equation is the chain's limit is implied",
    literature="Song et al. 2021, appendix B",
    criterion=AllOf(
        **{
            moment: ScalingLaw(x="step", y="difference", expected=1.0, rivals=(0.5, 2.0), where={"moment": moment})
            for moment in ("mean", "variance", "covariance")
        }
    ),
    control={"drift": -1.0},
)
def forward_sde(*, steps=(100, 200, 400, 800, 1600), time=0.25, drift=-0.5):
    """Mean, variance and covariance with the start: of chains of ever smaller steps, and of the equation.

    The chain's steps have the variance beta(t) times the step; the equation's moments solve their own differential
    equations, by SciPy. Both are Gaussian, so that the moments tell all. The difference is the larger one of a constant
    and of a linearly growing beta. It is expected to fall in proportion to the step: sqrt(1 - beta) differs from
    exp(-beta / 2) by beta^2 / 4, and a fixed time has 1 / step of them. The control takes the drift without its half.
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
                difference = abs(value - limit)
                rows.append({"rate": kind, "moment": moment, "step": time / number, "difference": difference})
    return pd.DataFrame(rows).groupby(["moment", "step"], as_index=False)["difference"].max()


@claim(
    r"The backward equation is $dx = \left[-\frac{1}{2}\beta_t x - \beta_t \nabla\log q_t(x)\right] dt + "
    r"\sqrt{\beta_t}\, d\bar\omega$.",
    source=cheatsheet("1.10.3"),
    kind="formula",
    scope="time runs backward, q_t are the marginals of the forward equation",
    transcription=True,
    literature="Anderson 1982; Song et al. 2021, equation 6",
    criterion=AllOf(
        density=Identity("change", "by_equation", operations=10**6, where={"compared": "density"}),
        samples=AtMost("distance", bound="rejected_from", where={"compared": "samples"}),
    ),
    smoke={"steps": 400, "samples": 2000},
    rival=Rival("Half of the score stands in the drift.", score=0.5),
    control={"score": 0.0},
)
def reverse_sde(seed, *, steps=1000, samples=4000, points=50, score=1.0):
    """Marginals of the backward equation against those of the forward one, for a random mixture of three Gaussians.

    Density: the change of q_t with t against what the equation makes of it, -d/dx of (drift times q) less half of beta
    times the second derivative, time running backward (the Fokker-Planck equation); derivatives by Keras in double
    precision at random places and times, so that both sides must be the same. Samples: from the noised mixture at
    t = 1, which is nearly N(0, 1), by Euler's steps with the exact score; their Kolmogorov-Smirnov distance from it
    at t = 3/4, 1/2, 1/4 and 0 is less than that at which a test rejects at one in a million. beta grows from 0.1 to
    20, as in Song et al. The rival has half of the score, the control none.
    """
    data, noise = _mixture(seed), _noise(seed, (steps + 1, samples))
    change = _fokker_planck(data, np.random.default_rng(seed), points, score)
    part = np.random.default_rng(seed).choice(3, size=samples, p=data.weights)
    noised = data.noised(_signal(1.0))
    x, step = noised.means[part] + noised.deviations[part] * noise[-1], 1 / steps
    # The asymptotic tail of the Kolmogorov distribution, 2 exp(-2 n d^2) (Smirnov 1948).
    rejected_from = np.sqrt((np.log(2) - REJECTS) / (2 * samples))
    rows = []
    for index in range(steps):
        t = 1 - index * step
        beta = 0.1 + 19.9 * t
        drift = -0.5 * beta * x - score * beta * data.noised(_signal(t)).score(x)
        x = x - drift * step + np.sqrt(beta * step) * noise[index]
        if (index + 1) % (steps // 4) == 0:
            distance = data.noised(_signal(t - step)).distance(x)
            rows.append({"time": t - step, "distance": distance, "rejected_from": rejected_from})
    tables = [change.assign(compared="density"), pd.DataFrame(rows).assign(compared="samples")]
    return pd.concat(tables, ignore_index=True)


@claim(
    r"The covariance of the backward model is fixed and isotropic, $\sigma_t^2 I$ with $\sigma_t^2$ one of $\beta_t$ "
    r"and $\tilde\beta_t$.",
    source=cheatsheet("1.10.3"),
    kind="advice",
    scope="the latter is the posterior's variance; left open: number of levels, quality of the mean",
    left_open=("levels", "mean"),
    literature="Ho et al. 2020, section 3.2: the choices are optimal for normal data and for a single point, with "
    "similar results",
    criterion=AllOf(
        beta=Greater("distance", of="twice beta", than="beta", by="variance", each=("levels", "mean")),
        posterior=Greater("distance", of="half posterior", than="posterior", by="variance", each=("levels", "mean")),
    ),
    smoke={"levels": (50, 100), "samples": 1000},
    control={"factor": 10.0},
)
def reverse_variances(seed, *, levels=(50, 400), samples=4000, factor=1.0):
    """Distance of ancestral samples from data on the line, for both variances and for the next ones beyond them.

    The variances that could be meant lie between the two choices, which are right for N(0, 1) and for a single point
    (Ho et al. 2020): twice beta is beyond the larger, half of the posterior's beyond the smaller, so that both choices
    have to be nearer the data than their neighbour. Linear schedule; the last step adds no noise. Distance: the mean
    of the Kolmogorov-Smirnov distances for three data sets: a standard normal and a narrow one, nearly a point, whose
    samples' variance follows from the steps; and a random mixture of three Gaussians, sampled. The mean is exact, or
    that of a mixture estimated from a hundred points, for the mixture alone. The control takes ten times as much of
    each choice: a fixed isotropic variance of another order.
    """
    data = _mixture(seed)
    models = {"exact": data, "estimated": _estimated(data, np.random.default_rng(seed), 100)}
    rows = []
    for number in levels:
        chain = schedule("linear", number)
        choices = {
            "beta": factor * chain.beta,
            "posterior": factor * chain.posterior_variance,
            "twice beta": 2 * chain.beta,
            "half posterior": chain.posterior_variance / 2,
        }
        noise = _noise(seed, (number, samples))
        for quality, model in models.items():
            samples_of = _ancestral(chain, model, np.array(list(choices.values())), noise)
            for (variance, added), x in zip(choices.items(), samples_of, strict=True):
                distances = [data.distance(x)]
                if quality == "exact":
                    distances += [_distance_of_normals(chain, added, deviation) for deviation in (1.0, 0.05)]
                rows.append({"levels": number, "mean": quality, "variance": variance, "distance": np.mean(distances)})
    return pd.DataFrame(rows)


def _ancestral(chain, model, variances, noise):
    """Samples [choices, samples] by the reverse steps of a chain, with the score of a mixture."""
    x = np.broadcast_to(noise[0], (len(variances), noise.shape[1]))
    for t in range(len(chain.beta) - 1, -1, -1):
        x = (x + chain.beta[t] * model.noised(chain.running[t]).score(x)) / np.sqrt(chain.alpha[t])
        if t:
            x = x + np.sqrt(variances[:, t, None]) * noise[t]
    return x


def _estimated(data, generator, points):
    """The mixture that points tell of whose parts are known."""
    part = generator.choice(3, size=points, p=data.weights)
    x = data.means[part] + data.deviations[part] * generator.normal(size=points)
    parts = [x[part == index] for index in range(3)]
    return Mixture(
        np.array([len(of_part) for of_part in parts]) / points,
        np.array([of_part.mean() for of_part in parts]),
        np.array([of_part.std() for of_part in parts]),
    )


def _signal(t):
    """Share of the variance that is left at time t, for beta from 0.1 to 20."""
    return np.exp(-0.1 * t - 19.9 * t**2 / 2)


def _fokker_planck(data, generator, points, score):
    """Change of the density with time, by time and by the backward equation, at random places and times."""
    times = generator.uniform(0.05, 1, size=(points, 1))
    x = generator.normal(scale=1.5, size=(points, 1))

    def density(x, t):
        signal = keras.ops.exp(-0.1 * t - 19.9 * t**2 / 2)
        variance = signal * data.deviations**2 + 1 - signal
        parts = keras.ops.exp(-keras.ops.square(x - keras.ops.sqrt(signal) * data.means) / (2 * variance))
        return keras.ops.sum(data.weights * parts / keras.ops.sqrt(2 * np.pi * variance), axis=-1, keepdims=True)

    def slope(function, values):
        """Derivative of each row's number by the row's value."""
        _, _, (gradient,) = value_and_gradient(lambda given: (keras.ops.sum(function(given[0])), ()), [values])
        return gradient

    places, moments = keras.ops.convert_to_tensor(x), keras.ops.convert_to_tensor(times)
    beta = 0.1 + 19.9 * times

    def spread(x):
        return slope(lambda x: density(x, moments), x)

    def flow(x):
        """Drift times density, less half of beta times the slope; the score times the density is the slope."""
        return (-0.5 * beta * x) * density(x, moments) - score * beta * spread(x) + 0.5 * beta * spread(x)

    sides = {"change": slope(lambda t: density(places, t), moments), "by_equation": -slope(flow, places)}
    return pd.DataFrame({name: np.ravel(keras.ops.convert_to_numpy(side)) for name, side in sides.items()})


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
