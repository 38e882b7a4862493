"""Limit theorems, and what is estimated by drawing at random."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Equivalent, ScalingLaw, claim, notes
from repro.claims.probability._samples import draw

with epy.lazy_imports():
    import scipy.special
    import scipy.stats


def _falls(part, exponent):
    return ScalingLaw("n", "error", expected=exponent, rivals=(0.0,), where={"law": part})


@claim(
    r"The mean of the first n of independent identically distributed variables with expectation $\mu$ tends to $\mu$ "
    r"for $n \to \infty$.",
    source=notes("Theorem 2.1"),
    kind="theorem",
    scope="finite expectation; a rate is not stated",
    literature="Kolmogorov's strong law; rates of Marcinkiewicz and Zygmund 1937, and by the stable limit for an "
    "infinite variance: errors fall as n to the power 1 / alpha - 1",
    criterion=AllOf(
        finite_variance=_falls("finite variance", -1 / 2), infinite_variance=_falls("infinite variance", -1 / 3)
    ),
    smoke={"sizes": (10, 100, 1000)},
    full={"sizes": (10, 100, 1000, 10_000, 100_000)},
    control={"expectation": False},
)
def law_of_large_numbers(seed, *, expectation=True, sizes=(10, 100, 1000, 10_000), runs=200):
    """Measures the median error of the mean over 200 sequences, at several lengths of each.

    Exponential variables, whose variance is finite, and Pareto ones of index 3/2 (expectation 3, infinite variance), by
    inversion of Keras' uniform numbers, centred and in double precision. Errors should fall as n to the power -1/2 and
    -1/3; the statement holds if the fitted exponent is nearer to that than to zero. In the control both kinds are
    Cauchy's, which has no expectation: the mean of n is distributed as one of them.
    """
    uniform = draw("uniform", (2, runs, max(sizes)), seed, minval=1e-12, maxval=1.0)
    if expectation:
        values = {"finite variance": -np.log(uniform[0]) - 1, "infinite variance": uniform[1] ** (-2 / 3) - 3}
    else:
        cauchy = np.tan(np.pi * (uniform - 0.5))
        values = {"finite variance": cauchy[0], "infinite variance": cauchy[1]}
    rows = []
    for law, sequences in values.items():
        for n in sizes:
            error = float(np.median(np.abs(sequences[:, :n].mean(axis=1))))
            rows.append({"law": law, "n": n, "error": error})
    return pd.DataFrame(rows)


def _approaches(summands):
    return ScalingLaw("n", "distance", expected=-1 / 2, rivals=(0.0,), where={"summands": summands})


@claim(
    "In many situations a sum of independent random variables, properly normalised, tends to a normal distribution, "
    "even if the variables are not normal.",
    source=notes("Theorem 2.2"),
    kind="theorem",
    scope="finite variances none of which dominates: the situations are not named",
    literature="Lindeberg 1922; Berry and Esseen: distances fall as n to the power -1/2 with finite third moments",
    criterion=AllOf(skewed=_approaches("skewed"), discrete=_approaches("discrete"), unequal=_approaches("unequal")),
    full={"sizes": (4, 16, 64, 256, 1024, 4096)},
    control={"dominated": True},
)
def central_limit(seed, *, dominated=False, sizes=(4, 16, 64, 256)):
    """Computes the distance of the distribution function of the normalised sum from the normal one, exactly.

    Sums of n gamma variables of a random shape from a half to two are gamma again; of n coins of a random probability
    from 0.1 to 0.4, binomial; of coins with probabilities of their own, from 0.1 to 0.4, by convolving one after the
    other. The largest distance is taken over 20,001 points within six deviations, and on both sides of all jumps of
    discrete sums. It should fall as n to the power -1/2; the statement holds if the fitted exponent is nearer to that
    than to zero. The control adds one more summand that dominates: a fair coin of both signs, with nine times the
    variance of all others together, so that the sum tends to a mixture of two normals. (Cauchy's variables have no
    variance to normalise by; their mean is distributed as one of them, which the law of large numbers has as control.)
    """
    generator = np.random.default_rng(seed)
    shape, p = generator.uniform(0.5, 2), generator.uniform(0.1, 0.4)
    probabilities = generator.uniform(0.1, 0.4, size=max(sizes))
    points, rows = np.linspace(-6, 6, 20_001), []
    for n in sizes:
        gamma = scipy.stats.gamma(n * shape)
        rows.append(
            {"summands": "skewed", "n": n, "distance": _to_normal(gamma.cdf, n * shape, n * shape, points, dominated)}
        )
        for summands, masses in (
            ("discrete", scipy.stats.binom(n, p).pmf(np.arange(n + 1))),
            ("unequal", _poisson_binomial(probabilities[:n])),
        ):
            mean = np.arange(n + 1) @ masses
            variance = (np.arange(n + 1) - mean) ** 2 @ masses
            cumulated = np.concatenate([[0.0], np.cumsum(masses)])

            def step(x, cumulated=cumulated, n=n):
                return cumulated[np.clip(np.floor(x + 1e-9).astype(int) + 1, 0, n + 1)]

            jumps = np.concatenate([np.arange(n + 1) + shift for shift in (0.0, -1e-6)])
            standard = np.concatenate([points, (jumps - mean) / np.sqrt(variance)])
            rows.append(
                {"summands": summands, "n": n, "distance": _to_normal(step, mean, variance, standard, dominated)}
            )
    return pd.DataFrame(rows)


def _to_normal(probability, mean, variance, points, dominated):
    """Largest distance of the distribution function of a normalised sum from the normal one over some points."""
    deviation = np.sqrt(variance)
    if not dominated:
        found = probability(mean + deviation * points)
    else:  # half of the mass is three deviations up, half of it down, and the variance is ten times as large
        centre = mean + deviation * np.sqrt(10) * points
        found = (probability(centre - 3 * deviation) + probability(centre + 3 * deviation)) / 2
    return float(np.abs(found - scipy.special.ndtr(points)).max())


def _poisson_binomial(probabilities):
    """Probabilities of the numbers of successes among coins with probabilities of their own."""
    masses = np.ones(1)
    for p in probabilities:
        masses = np.convolve(masses, [1 - p, p])
    return masses


@claim(
    r"The share of points scattered uniformly over the unit square that fall within the quadrant approximates "
    r"$\pi / 4$; four times that estimates $\pi$.",
    source=notes("Example 8"),
    kind="formula",
    scope="independent uniform points",
    literature="Metropolis and Ulam 1949; the share is binomial: errors of a deviation of 1.64 / sqrt(n)",
    criterion=AllOf(
        share=Equivalent("share", "quarter_of_pi", smallest_difference=0.01, where={"n": "all"}),
        error=ScalingLaw("points", "error", expected=-0.5, rivals=(0.0, -1.0), where={"n": "growing"}),
    ),
    smoke={"sizes": (100, 1000), "runs": 500},
    full={"sizes": (100, 1000, 10_000, 100_000)},
    control={"uniform": False},
)
def monte_carlo_pi(seed, *, uniform=True, sizes=(100, 1000, 10_000), runs=300):
    """Scatters Keras' uniform points and counts those within the quadrant.

    The share among all points together, 500,000 at smoke and 3 million else, must be within one point of pi / 4, and
    the root of the mean squared error of estimates of pi from fewer points must fall as their number to the power -1/2.
    Column "coverage" has the share of estimates whose 95 % interval of the normal approximation of the binomial
    contains pi. The points of the control are not uniform: one coordinate is the root of a uniform number.
    """
    points = draw("uniform", (runs, max(sizes), 2), seed)
    if not uniform:
        points[..., 0] = np.sqrt(points[..., 0])
    within = (points**2).sum(axis=2) < 1
    rows = [{"n": "all", "share": within.mean(), "quarter_of_pi": np.pi / 4}]
    for size in sizes:
        shares = within[:, :size].mean(axis=1)
        errors = 4 * shares - np.pi
        half_width = 1.96 * 4 * np.sqrt(shares * (1 - shares) / size)
        error, coverage = float(np.sqrt((errors**2).mean())), float((np.abs(errors) < half_width).mean())
        rows.append({"n": "growing", "points": size, "error": error, "coverage": coverage})
    return pd.DataFrame(rows)
