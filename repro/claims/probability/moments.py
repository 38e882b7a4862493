"""Variance, skewness and covariance."""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Correction, Identity, claim, notes

with epy.lazy_imports():
    import scipy.integrate
    import scipy.stats


def _distributions(generator):
    """Distributions of SciPy by name, with random parameters; the first has expectation zero."""
    size, shape = generator.uniform(0.5, 2, size=2)
    return {
        "normal": scipy.stats.norm(0.0, size),
        "shifted normal": scipy.stats.norm(generator.uniform(1, 3), size),
        "gamma": scipy.stats.gamma(shape, scale=size),
        "uniform": scipy.stats.uniform(generator.uniform(-1, 1), size),
        "binomial": scipy.stats.binom(int(generator.integers(3, 20)), generator.uniform(0.1, 0.9)),
    }


@claim(
    r"$Var(X) = E((X - E X)^2) = E(X^2 - 2 X E(X) + E(X)^2) = E(X^2) - 2 E(X) E(X) + E(X)^2 = 2 E(X^2) - 2 E(X)^2$.",
    source=notes("Definition 2.20"),
    kind="formula",
    scope="any distribution with a finite variance; the chain as printed",
    literature="Feller 1968, section IX.4: the variance is E(X^2) - E(X)^2",
    criterion=AllOf(
        expanded=Identity("expanded", "variance", operations=10**7),
        by_expectations=Identity("by_expectations", "variance", operations=10**7),
        twice=Identity("twice", "variance", operations=10**7),
    ),
    correction=Correction(
        r"The last link of the chain is $E(X^2) - E(X)^2$, half of what is printed.",
        criterion=Identity("shortcut", "variance", operations=10**7),
    ),
)
def variance_shortcut(seed):
    """Evaluates each link of the chain for five distributions with random parameters, E X = 0 among them.

    Variances are SciPy's closed forms; E X, E(X^2) and the expanded square are integrated by quadrature, or summed, so
    that none of them follows from the variance. The last step loses a factor: -2 E(X) E(X) + E(X)^2 is -E(X)^2, and
    nothing doubles E(X^2). A fair coin has E(X^2) = E(X) = 1/2 and the variance 1/4, the printed end gives 1/2. The
    correction is compared with the same closed forms.
    """
    rows = []
    for name, law in _distributions(np.random.default_rng(seed)).items():
        mean, square = law.expect(lambda x: x), law.expect(lambda x: x**2)
        columns = {
            "expanded": law.expect(lambda x, mean=mean: x**2 - 2 * x * mean + mean**2),
            "by_expectations": square - 2 * mean * mean + mean**2,
            "twice": 2 * square - 2 * mean**2,
            "shortcut": square - mean**2,
        }
        rows.append({"distribution": name, "variance": law.var(), **columns})
    return pd.DataFrame(rows)


@claim(
    r"The third-order moment, skewness, is $S(x) = \int (x - E x)^3 Pr(x) dx$.",
    source=notes("Example 12"),
    kind="formula",
    scope="a definition, without a division by the cubed deviation; the scale of x is left open",
    left_open=("deviation",),
    literature="Kendall and Stuart 1977, section 3.31: skewness is the third central moment over the cubed deviation",
    criterion=AllOf(
        moment=Identity("integral", "third_central_moment", operations=10**7, each=("deviation",)),
        skewness=Identity("integral", "skewness", operations=10**7, each=("deviation",)),
    ),
    boundary=Boundary(
        "as the third central moment; as skewness for variables with a deviation of one",
        holds="part == 'moment' or deviation == 'one'",
        assumption="variables are standardised, as skewness has no unit (Kendall and Stuart 1977)",
    ),
)
def skewness_moment(seed):
    """Integrates the printed expression for gamma, log-normal and beta distributions with random parameters.

    The integral is by SciPy's quadrature in double exponentials; the third central moment is the closed form of each
    distribution, written out, the skewness SciPy's. Each distribution is taken twice: scaled so that its deviation is
    one, and with deviation two or a half. The printed integral grows with the cube of the unit of x, skewness does not.
    """
    generator = np.random.default_rng(seed)
    shapes = generator.uniform(1, 3, size=4)
    k, s, a, b = shapes[0], 0.2 * shapes[1], shapes[2], 3 + shapes[3]
    growth = np.exp(s**2)
    laws = {  # with their third central moments at a scale of one
        "gamma": (partial(scipy.stats.gamma, k), 2 * k),
        "log-normal": (partial(scipy.stats.lognorm, s), growth**1.5 * (growth - 1) ** 2 * (growth + 2)),
        "beta": (partial(scipy.stats.beta, a, b), 2 * a * b * (b - a) / ((a + b) ** 3 * (a + b + 1) * (a + b + 2))),
    }
    rows = []
    for name, (law, third) in laws.items():
        unit = 1 / law(scale=1.0).std()
        for deviation, scale in (("one", unit), ("other", unit * generator.choice([0.5, 2.0]))):
            scaled = law(scale=scale)
            mean, logarithm = scaled.mean(), scaled.logpdf

            def integrand(x, mean=mean, logarithm=logarithm):
                return (x - mean) ** 3 * np.exp(logarithm(x))

            columns = {
                "integral": float(scipy.integrate.tanhsinh(integrand, *scaled.support()).integral),
                "third_central_moment": third * scale**3,
                "skewness": float(scaled.stats(moments="s")),
            }
            rows.append({"distribution": name, "deviation": deviation, **columns})
    return pd.DataFrame(rows)


@claim(
    r"$Cov(X, Y) = E((X - E X)(Y - E Y)) = \sum_i (x_i - \bar x)(y_i - \bar y) / n$ for two variables of sample size "
    "n.",
    source=(notes("Definition 2.25"), notes("Example 16")),
    kind="formula",
    scope="whether E is over the sample or over the population is left open",
    left_open=("expectation",),
    literature="Casella and Berger 2002, section 5.2: the mean of the expression over samples is (n - 1) / n times the "
    "covariance of the population",
    criterion=Identity("covariance", "expression", operations=10**4, each=("expectation",)),
    boundary=Boundary(
        "where E is over the sample, each of whose pairs has the probability 1/n",
        holds="expectation == 'over the sample'",
        assumption="the empirical distribution stands for that of X and Y",
    ),
    full={"sizes": (2, 3, 4, 5)},
)
def covariance_divisor(seed, *, sizes=(2, 3, 4)):
    """Compares the expression with the covariance of the sample, and its mean over all samples with the population's.

    The population has four pairs (x, y) of random numbers with random probabilities. Over the sample, E is evaluated as
    E(X Y) - E(X) E(Y) with probabilities 1/n. Over the population, the mean of the expression is taken over all 4^n
    samples of size n with their probabilities, without drawing: it is (n - 1) / n times the covariance. Column
    "divided_by_n_minus_1" has the mean of the expression with that divisor, which has no bias.
    """
    generator = np.random.default_rng(seed)
    pairs, weights = generator.normal(size=(4, 2)), generator.dirichlet(np.ones(4) * 3)
    mean = weights @ pairs
    population = weights @ np.prod(pairs - mean, axis=1)
    rows = []
    for n in sizes:
        sample = pairs[generator.choice(4, size=n, replace=False)] if n <= 4 else generator.normal(size=(n, 2))
        within = float(np.mean(sample[:, 0] * sample[:, 1]) - np.prod(sample.mean(axis=0)))
        columns = {"covariance": within, "expression": _expression(sample)}
        rows.append({"expectation": "over the sample", "n": n, **columns})
        places = np.array(list(product(range(4), repeat=n)))
        chances = np.prod(weights[places], axis=1)
        expected = float(chances @ [_expression(pairs[chosen]) for chosen in places])
        columns = {"covariance": population, "expression": expected, "divided_by_n_minus_1": expected * n / (n - 1)}
        rows.append({"expectation": "over the population", "n": n, **columns})
    return pd.DataFrame(rows)


def _expression(sample):
    """The printed sum over a sample [n, 2]."""
    x, y = sample.T
    return float(((x - x.mean()) * (y - y.mean())).sum() / len(sample))
