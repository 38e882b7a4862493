"""The normal distribution, sums of variables, marginals and conditionals."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Correction, Identity, claim, notes
from repro.claims.probability._samples import as_stated, distances, draw

with epy.lazy_imports():
    import keras
    import scipy.integrate
    import scipy.interpolate
    import scipy.stats


@claim(
    r"If $X \sim N(\mu, \sigma^2)$, $a X + b \sim N(a \mu + b, (a \sigma)^2)$; for independent normal X and Y, "
    r"$X \pm Y \sim N(\mu_X \pm \mu_Y, \sigma_X^2 + \sigma_Y^2)$.",
    source=notes("Remark 2.4"),
    kind="formula",
    scope="a, b real, a not zero; X and Y independent",
    transcription=True,
    literature="Casella and Berger 2002, theorem 4.2.14",
    criterion=AllOf(
        affine=as_stated(of="affine"),
        sum=as_stated(of="sum"),
        difference=as_stated(of="difference"),
    ),
    smoke={"count": 20_000},
    full={"count": 1_000_000},
    control={"correlation": 0.5},
)
def normal_sums(seed, *, correlation=0.0, count=100_000):
    """Compares samples of Keras' normal numbers with the stated distributions by the test of Kolmogorov and Smirnov.

    Means from -3 to 3, deviations from a half to two, a of both signs. Distances over 100,000 samples must stay below
    that at which the test rejects at one in a million, 0.009. Minus signs of the differences are lost in the
    transcription, and are read back. The control correlates X and Y by a half: the sum is normal still, with another
    variance.
    """
    generator = np.random.default_rng(seed)
    first, second = draw("normal", (2, count), seed)
    second = correlation * first + np.sqrt(1 - correlation**2) * second
    means, deviations = generator.uniform(-3, 3, size=2), generator.uniform(0.5, 2, size=2)
    x, y = means[0] + deviations[0] * first, means[1] + deviations[1] * second
    a, b = generator.choice([-1, 1]) * generator.uniform(0.3, 3), generator.uniform(-3, 3)
    total = np.sqrt((deviations**2).sum())
    stated = {
        "affine": (a * x + b, a * means[0] + b, abs(a) * deviations[0]),
        "sum": (x + y, means.sum(), total),
        "difference": (x - y, means[0] - means[1], total),
    }
    rows = [{"of": of, **distances(values, scipy.stats.norm(*law).cdf)} for of, (values, *law) in stated.items()]
    return pd.DataFrame(rows)


@claim(
    r"The normal distribution has $F(x) = \int_0^x \frac{1}{\sqrt{2 \pi \sigma^2}} e^{-\frac{(t - \mu)^2}{2 \sigma^2}} "
    "dt$.",
    source=notes("Definition 2.14"),
    kind="formula",
    scope="F the distribution function, which Definition 2.11 of the same notes integrates from minus infinity",
    literature="Casella and Berger 2002, section 3.3",
    criterion=Identity("integral", "distribution", operations=10**6),
    correction=Correction(
        r"The integral begins at $-\infty$: $F(x) = \int_{-\infty}^x f(t) dt$, of which the printed one lacks $F(0)$.",
        start=-np.inf,
    ),
)
def normal_cdf(seed, *, start=0.0, points=10):
    """Integrates the density numerically and compares with Keras' error function and with frequencies.

    Points x from three deviations below the mean to three above, for means from -2 to 2 and deviations from a half to
    two; the distribution function is (1 + erf(z / sqrt 2)) / 2 with z = (x - mu) / sigma, by Keras. The printed
    integral is zero at x = 0 and negative below, where a probability cannot be: for mu = 0 it should be a half. Column
    "frequency" has the share of 100,000 samples of Keras at most x. The correction integrates from minus infinity.
    """
    generator = np.random.default_rng(seed)
    mean, deviation = generator.uniform(-2, 2), generator.uniform(0.5, 2)
    x = generator.uniform(mean - 3 * deviation, mean + 3 * deviation, size=points)
    origin = mean - 40 * deviation if np.isinf(start) else start

    def density(t):
        return np.exp(-((t - mean) ** 2) / (2 * deviation**2)) / np.sqrt(2 * np.pi * deviation**2)

    # The quadrature is told where the bulk is, which it would miss in a long interval.
    options = {"points": [mean - 6 * deviation, mean, mean + 6 * deviation], "epsabs": 1e-13, "limit": 200}
    integral = [scipy.integrate.quad(density, origin, end, epsrel=1e-12, **options)[0] for end in x]
    standard = keras.ops.convert_to_tensor((x - mean) / (deviation * np.sqrt(2)), dtype="float64")
    distribution = keras.ops.convert_to_numpy((1 + keras.ops.erf(standard)) / 2)
    samples = np.sort(draw("normal", (100_000,), seed, mean=mean, stddev=deviation))
    frequency = np.searchsorted(samples, x, side="right") / len(samples)
    return {"x": x, "integral": integral, "distribution": distribution, "frequency": frequency}


def _of_sum(x_law, y_law, z):
    """Density of the sum of independent variables at points z, by the convolution integral, with the rule of Gauss."""
    (x_low, x_high), (y_low, y_high) = (law.ppf([1e-15, 1 - 1e-15]) for law in (x_law, y_law))
    low, high = np.maximum(x_low, z - y_high)[:, None], np.minimum(x_high, z - y_low)[:, None]
    nodes, weights = np.polynomial.legendre.leggauss(100)
    x = low + (high - low) * (nodes + 1) / 2
    return ((high - low) / 2 * x_law.pdf(x) * y_law.pdf(z[:, None] - x)) @ weights


@claim(
    r"The convolution of two probability distributions, denoted $Z = X + Y$, is "
    r"$f_Z(z) = \int f_X(x) f_Y(z - x) dx$.",
    source=notes("Definition 2.7"),
    kind="formula",
    scope="X and Y independent, which convolution means",
    literature="Feller 1971, section I.2",
    criterion=AllOf(
        density=Identity("integral", "closed_form", operations=10**9, where={"of": "density"}),
        samples=as_stated(of="samples"),
    ),
    smoke={"count": 20_000},
    full={"count": 1_000_000},
    control={"dependent": True},
)
def sum_is_convolution(seed, *, dependent=False, count=100_000):
    """Compares the integral with closed forms of the density of a sum, and with samples of sums.

    Pairs: two gamma variables of one scale, whose sum is gamma; two uniform ones, trapezoidal; a normal and an
    exponential one, exponentially modified normal; parameters are random. The integral is by the rule of Gauss with 100
    nodes, over where both densities are positive; the root-like ends of gamma densities leave errors of about 1e-8.
    Samples come from the quantiles at Keras' uniform numbers; the largest distance of 100,000 sums from the cumulated
    integral must be below that at which the test of Kolmogorov and Smirnov rejects at one in a million. The control
    draws Y with the quantiles at the same uniform numbers as X, which has the same two distributions.
    """
    generator = np.random.default_rng(seed)
    shapes, (one, other), scale = generator.uniform(2, 4, size=2), np.sort(generator.uniform(0.5, 2, size=2)), 1.3
    pairs = {
        "gamma": (
            *(scipy.stats.gamma(shape, scale=scale) for shape in shapes),
            scipy.stats.gamma(shapes.sum(), scale=scale),
        ),
        "uniform": (
            scipy.stats.uniform(0, one),
            scipy.stats.uniform(0, other),
            scipy.stats.trapezoid(one / (one + other), other / (one + other), scale=one + other),
        ),
        "normal and exponential": (
            scipy.stats.norm(0, one),
            scipy.stats.expon(scale=other),
            scipy.stats.exponnorm(other / one, scale=one),
        ),
    }
    tables = []
    for place, (pair, (x_law, y_law, z_law)) in enumerate(pairs.items()):
        z = np.linspace(*z_law.ppf([1e-10, 1 - 1e-10]), 401)
        density = _of_sum(x_law, y_law, z)
        columns = {"integral": density, "closed_form": z_law.pdf(z)}
        tables.append(pd.DataFrame({"of": "density", "pair": pair, **columns}))
        cumulated = scipy.interpolate.CubicSpline(z, density).antiderivative()
        uniform = draw("uniform", (2, count), (seed, place), minval=1e-12, maxval=1.0)
        sums = x_law.ppf(uniform[0]) + y_law.ppf(uniform[0] if dependent else uniform[1])
        found = distances(sums, lambda x, z=z, cumulated=cumulated: cumulated(np.clip(x, z[0], z[-1])))
        tables.append(pd.DataFrame([{"of": "samples", "pair": pair, **found}]))
    return pd.concat(tables, ignore_index=True)


@claim(
    "Marginal and conditional distributions of a Gaussian are Gaussian.",
    source=notes("Example 6"),
    kind="theorem",
    scope="a multivariate Gaussian, conditioned on some coordinates",
    literature="Anderson 2003, theorems 2.4.3 and 2.5.1: mean and covariance by the Schur complement",
    criterion=AllOf(
        marginal=Identity("by_integral", "gaussian", operations=10**6, where={"of": "marginal"}),
        conditional=Identity("by_integral", "gaussian", operations=10**6, where={"of": "conditional"}),
    ),
    control={"joint": "mixture"},
)
def gaussian_marginals(seed, *, joint="Gaussian", points=20):
    """Integrates the joint density of three variables numerically, and compares with Gaussians of the closed form.

    Random mean and covariance. The marginal density of the first two is the integral over the third, the conditional
    one of the first, given the other two, is the joint density over its integral over the first: by sums over 400
    points within 14 deviations, which are exact for such functions. Both are compared at 20 points with normal
    densities, whose means and covariances are blocks of the joint ones and the Schur complement, by Keras' Cholesky
    decomposition. The joint density of the control is an even mixture of two Gaussians with the same mean and
    covariance in total; joint="copula" has Gaussian marginals, but not conditionals, of another density.
    """
    generator = np.random.default_rng(seed)
    factor, mean = generator.normal(size=(3, 3)), generator.normal(size=3)
    covariance = factor @ factor.T + 0.3 * np.eye(3)
    if joint == "copula":
        mean, covariance, density = _copula()
    elif joint == "Gaussian":
        density = scipy.stats.multivariate_normal(mean, covariance).pdf
    else:
        lower = np.linalg.cholesky(covariance)
        offset = lower @ np.array([0.8, 0.0, 0.0])
        within = covariance - np.outer(offset, offset)
        halves = [scipy.stats.multivariate_normal(mean + sign * offset, within) for sign in (-1, 1)]

        def density(x):
            return sum(half.pdf(x) for half in halves) / 2

    places = mean + generator.normal(size=(points, 3)) * np.sqrt(np.diag(covariance))
    marginal = _integrate_out(density, places, 2, mean[2], covariance[2, 2])
    conditional = density(places) / _integrate_out(density, places, 0, mean[0], covariance[0, 0])
    lower, given = keras.ops.cholesky(covariance[1:, 1:]), [1, 2]
    half = keras.ops.convert_to_numpy(keras.ops.solve_triangular(lower, covariance[given, :1], lower=True))[:, 0]
    white = keras.ops.convert_to_numpy(keras.ops.solve_triangular(lower, (places - mean)[:, 1:].T, lower=True))
    schur = scipy.stats.norm(mean[0] + half @ white, np.sqrt(covariance[0, 0] - half @ half))
    block = scipy.stats.multivariate_normal(mean[:2], covariance[:2, :2])
    sides = {"marginal": (marginal, block.pdf(places[:, :2])), "conditional": (conditional, schur.pdf(places[:, 0]))}
    tables = [pd.DataFrame({"of": of, "by_integral": left, "gaussian": right}) for of, (left, right) in sides.items()]
    return pd.concat(tables, ignore_index=True)


def _copula(strength=0.9):
    """Mean, covariance and density of standard normal variables by Farlie, Gumbel and Morgenstern's copula.

    The first and the third variable depend on each other.
    """
    covariance = np.eye(3)
    covariance[0, 2] = covariance[2, 0] = strength / np.pi

    def density(x):
        first, _, third = np.moveaxis(1 - 2 * scipy.stats.norm.cdf(x), -1, 0)
        return scipy.stats.norm.pdf(x).prod(axis=-1) * (1 + strength * first * third)

    return np.zeros(3), covariance, density


def _integrate_out(density, places, coordinate, mean, variance):
    """Integral of a density over one coordinate, at the other coordinates of some places."""
    values = mean + np.sqrt(variance) * np.linspace(-14, 14, 401)
    everywhere = np.repeat(places[:, None], len(values), axis=1)
    everywhere[..., coordinate] = values
    return density(everywhere).sum(axis=1) * (values[1] - values[0])
