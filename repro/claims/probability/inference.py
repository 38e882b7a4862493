"""Likelihood, Bayes' rule, and the t distribution and its test."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, AtMost, Correction, Equivalent, Identity, Rival, claim, notes
from repro.claims.probability._samples import as_stated, distances, draw
from repro.engine.backend import compile_function, value_and_gradient

with epy.lazy_imports():
    import keras
    import scipy.integrate
    import scipy.optimize
    import scipy.special
    import scipy.stats

HEADS, TOSSES = 49, 80


@claim(
    "For 49 heads in 80 tosses the maximum-likelihood probability of heads is 49/80.",
    source=notes("Example 7"),
    kind="formula",
    scope=r"the likelihood $L(p) = \binom{80}{49} p^{49} (1 - p)^{31}$ over p from zero to one",
    criterion=AllOf(
        keras=Identity("p", "stated", operations=10**5, where={"by": "Keras"}),
        search=Identity("p", "stated", operations=10**9, where={"by": "search"}),
        ends=AtMost("likelihood", bound=0.0, where={"by": "ends"}),
    ),
    rival=Rival(
        "It is 50/82, the mean of the posterior distribution with a uniform prior (Laplace's rule of succession).",
        criterion=Identity("p", "laplace", operations=10**5, where={"by": "Keras"}),
    ),
)
def coin_mle(seeds, *, starts=5, steps=300):
    """Maximises the likelihood by Keras from five starts, and by a bounded search over p.

    Keras' gradient descent on its binary cross-entropy of 49 ones and 31 zeros in double precision, the parameter being
    the log-odds: the loss is the negative logarithm of the likelihood over 80, up to a constant; starts are from 0.02
    to 0.98, rate 2, 300 steps. SciPy's bounded search on L itself finds p to some 1e-8, as errors of a maximum are
    squared. At both ends L is zero.
    """
    generators = [np.random.default_rng(seed) for seed in seeds]
    start = np.stack([generator.uniform(0.02, 0.98, size=starts) for generator in generators])
    labels = np.broadcast_to(np.repeat([1.0, 0.0], [HEADS, TOSSES - HEADS]), (start.size, TOSSES))
    logits = keras.Variable(scipy.special.logit(start.ravel()), dtype="float64")
    loss = keras.losses.BinaryCrossentropy(from_logits=True, reduction=None, dtype="float64")
    descent = keras.optimizers.SGD(2.0)

    def total(values):
        return keras.ops.sum(loss(labels, keras.ops.broadcast_to(values[0][:, None], labels.shape))), ()

    gradient = compile_function(lambda values: value_and_gradient(total, [values])[2][0])
    for _ in range(steps):
        descent.apply([gradient(logits.value)], [logits])
    found = keras.ops.convert_to_numpy(keras.ops.sigmoid(logits.value)).reshape(start.shape)
    rows = []
    for number, (seed, generator) in enumerate(zip(seeds, generators, strict=True)):
        bounds = generator.uniform(0.0, 0.5), generator.uniform(0.7, 1.0)
        search = scipy.optimize.minimize_scalar(
            lambda p: -_likelihood(p), bounds=bounds, method="bounded", options={"xatol": 1e-12}
        )
        of_keras = zip(found[number], start[number], strict=True)
        rows += [{"seed": seed, "by": "Keras", "p": p, "start": first} for p, first in of_keras]
        rows.append({"seed": seed, "by": "search", "p": search.x})
        rows += [{"seed": seed, "by": "ends", "likelihood": _likelihood(end)} for end in (0.0, 1.0)]
    return pd.DataFrame(rows).assign(stated=HEADS / TOSSES, laplace=(HEADS + 1) / (TOSSES + 2))


def _likelihood(p):
    return scipy.special.comb(TOSSES, HEADS) * p**HEADS * (1 - p) ** (TOSSES - HEADS)


@claim(
    r"$Pr(R | O) = \frac{Pr(R, O)}{Pr(O)} = \frac{Pr(O) Pr(O | R)}{Pr(R)}$.",
    source=notes("Definition 2.4"),
    kind="formula",
    scope="R the reason, O the observation",
    literature="Bayes 1763; Definition 2.3 of the same notes has the rule in words, with the prior as a factor",
    criterion=AllOf(
        definition=Identity("by_joint", "among_observed", operations=100),
        rule=Identity("printed", "among_observed", operations=100),
    ),
    correction=Correction(
        r"Prior and evidence are exchanged: $Pr(R | O) = \frac{Pr(R) Pr(O | R)}{Pr(O)}$.",
        criterion=Identity("rule_in_words", "among_observed", operations=100),
        reasons=5,
    ),
)
def bayes_rule(seed, *, reasons=3, observations=4, people=1000):
    """Counts reasons among those with an observation in populations of 1000 people, and evaluates both expressions.

    Reasons and observations are drawn from a random joint table; probabilities are shares of people, and Pr(R | O) is
    the share with a reason among those with an observation, counted by going through them. Where Pr(R) and Pr(O) differ
    the printed expression is off by the square of their ratio, and can exceed one: for Pr(R, O) = Pr(R) = 0.1 and Pr(O)
    = 0.5 it is 5. The correction evaluates the notes' own Definition 2.3, with other numbers of reasons.
    """
    generator = np.random.default_rng(seed)
    table = generator.dirichlet(np.ones(reasons * observations))
    drawn = np.concatenate([np.arange(table.size), generator.choice(table.size, size=people, p=table)])
    reason, seen = np.divmod(drawn, observations)
    rows = []
    for r in range(reasons):
        for o in range(observations):
            joint, of_reason, of_seen = (
                np.mean(chosen) for chosen in ((reason == r) & (seen == o), reason == r, seen == o)
            )
            likelihood = joint / of_reason
            columns = {
                "among_observed": np.mean(reason[seen == o] == r),
                "by_joint": joint / of_seen,
                "printed": of_seen * likelihood / of_reason,
                "rule_in_words": likelihood / of_seen * of_reason,
            }
            rows.append({"reason": r, "observation": o, **columns})
    return pd.DataFrame(rows)


@claim(
    r"Student's t distribution has the density $f(t) = \frac{\Gamma(\frac{\nu + 1}{2})}{\sqrt{\nu \pi}\, "
    r"\Gamma(\frac{\nu}{2})} (1 + \frac{t^2}{\nu})^{-(\nu + 1) / 2}$.",
    source=notes("Definition 2.15"),
    kind="formula",
    scope=r"$\nu > 0$",
    literature="Student 1908; Fisher 1925: a normal variable over the root of an independent chi-square one over its "
    "degrees of freedom",
    criterion=AllOf(
        density=Identity("formula", "mixture", operations=10**7, where={"of": "density"}),
        mass=Identity("mass", "one", operations=10**7, where={"of": "mass"}),
        samples=as_stated(of="samples"),
    ),
    smoke={"count": 20_000},
    full={"count": 1_000_000},
    rival=Rival(
        r"The exponent is $-\nu / 2$, as that of the gamma function below.",
        criterion=Identity("rival", "mixture", operations=10**7, where={"of": "density"}),
    ),
)
def t_density(seed, *, count=100_000, degrees=(0.5, 1.0, 3.0, 10.0)):
    """Compares the formula with a mixture of normal densities, its mass with one, and its integral with samples.

    Degrees of freedom are 0.5, 1, 3, 10 and a random number from 1 to 30. The mixture integrates the normal density of
    variance nu / w over the chi-square distribution of w, by a sum over an even grid of log w: where the distribution
    comes from, and a route without the formula. The mass is integrated after t = sqrt(nu) tan(u), which has finite
    limits. Samples are Keras' normal numbers over the root of its gamma numbers, which are half of chi-square ones;
    their 100,000 squares over nu plus their squares are compared with the beta distribution that the density implies.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for place, nu in enumerate((*degrees, float(generator.uniform(1, 30)))):
        for t in generator.normal(scale=2, size=5):
            value = _density(t, nu)
            rival = value * (1 + t**2 / nu) ** 0.5
            rows.append({"of": "density", "nu": nu, "formula": value, "rival": rival, "mixture": _mixture(t, nu)})
        mass = 2 * scipy.integrate.quad(
            lambda u, nu=nu: _density(np.sqrt(nu) * np.tan(u), nu) * np.sqrt(nu) / np.cos(u) ** 2,
            0, np.pi / 2, epsabs=1e-12, epsrel=1e-11, limit=200,
        )[0]  # fmt: skip
        rows.append({"of": "mass", "nu": nu, "mass": mass, "one": 1.0})
        normal = draw("normal", (count,), (seed, place, 0))
        chi_square = 2 * draw("gamma", (count,), (seed, place, 1), alpha=nu / 2)
        share = normal**2 / (normal**2 + chi_square)  # t^2 / (nu + t^2)
        rows.append({"of": "samples", "nu": nu, **distances(share, scipy.stats.beta(0.5, nu / 2).cdf)})
    return pd.DataFrame(rows)


def _density(t, nu):
    """The printed formula."""
    constant = np.exp(scipy.special.gammaln((nu + 1) / 2) - scipy.special.gammaln(nu / 2)) / np.sqrt(nu * np.pi)
    return constant * (1 + t**2 / nu) ** (-(nu + 1) / 2)


def _mixture(t, nu):
    """Density of a normal variable over the root of a chi-square one over its degrees of freedom, by quadrature."""
    # The integrand is analytic and falls exponentially at both ends: a sum over an even grid is exact to rounding.
    log_w = np.arange(-200.0, 10.0, 0.05)
    w = np.exp(log_w)
    normal = np.exp(-(t**2) * w / (2 * nu)) * np.sqrt(w / (2 * np.pi * nu))
    return 0.05 * float(np.sum(normal * scipy.stats.chi2.pdf(w, nu) * w))


@claim(
    r"For n independent normal samples $(\bar s - \mu) / (\sqrt{Var(s)} / \sqrt n)$, the variance with n - 1, has the "
    r"t distribution with n - 1 degrees of freedom, whatever $\mu$ and $\sigma$; c, its 97.5th percentile, and -c hold "
    "it between them with probability 0.95.",
    source=notes("Example 15"),
    kind="theorem",
    scope="a normal population",
    literature="Student 1908; Fisher 1925",
    criterion=AllOf(
        distribution=as_stated(),
        coverage=Equivalent("largest_coverage_error", 0.0, smallest_difference=0.01),
    ),
    smoke={"runs": 10_000},
    full={"runs": 1_000_000},
    control={"population": "exponential"},
    rival=Rival(
        "c is the 97.5th percentile of the normal distribution, 1.96.",
        criterion=Equivalent("coverage_by_normal", 0.95, smallest_difference=0.01, where={"n": 10}),
    ),
)
def t_pivot(seed, *, population="normal", runs=50_000, sizes=(2, 3, 5, 10)):
    """Draws 50,000 samples of each size from Keras' normal numbers and looks at the distribution of the ratio.

    Samples of 2, 3, 5 and 10, each size with a mean from -100 to 100 and a deviation from a hundredth to a hundred of
    its own. The distance of the ratios from the t distribution must be below that at which the test of Kolmogorov and
    Smirnov rejects at one in a million; coverage is the share of ratios between -c and c, and of the four errors of it
    the largest counts. The rival's c covers 70 % for two samples and 92 % for ten, where it is judged. The population
    of the control is skewed.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for n in sizes:
        mean, deviation = generator.uniform(-100, 100), 10 ** generator.uniform(-2, 2)
        if population == "normal":
            standard = draw("normal", (runs, n), (seed, n))
        else:
            standard = -np.log(draw("uniform", (runs, n), (seed, n), minval=1e-12, maxval=1.0)) - 1
        s = mean + deviation * standard
        pivot = (s.mean(axis=1) - mean) / (s.std(axis=1, ddof=1) / np.sqrt(n))
        law, sizes_of = scipy.stats.t(n - 1), np.abs(pivot)
        columns = {
            **distances(pivot, law.cdf),
            "coverage": np.mean(sizes_of <= law.ppf(0.975)),
            "coverage_by_normal": np.mean(sizes_of <= scipy.stats.norm.ppf(0.975)),
        }
        rows.append({"n": n, **columns})
    table = pd.DataFrame(rows)
    return table.assign(largest_coverage_error=(table["coverage"] - 0.95).abs().max())


@claim(
    "With means 143.25 and 149.55, deviations 4.37 and 3.10 and 20 patients in each group, t = -5.25 with 38 degrees "
    "of freedom; then 1.61 is looked up as the calculated t-value, p is assumed to be about 0.058, and researchers may "
    "choose not to reject the null hypothesis at 0.05.",
    source=notes("Example 14"),
    kind="formula",
    scope="a hypothetical example: p is an assumed figure, and whether it is one- or two-sided is left open",
    literature="Student 1908; Welch's degrees of freedom would be 34.3",
    criterion=AllOf(
        t=Identity("t", "t_value", digits=2),
        degrees_of_freedom=Identity("degrees", "degrees_of_freedom"),
        looked_up=Identity("size_of_t", "looked_up", digits=2),
        not_rejected=AtLeast("assumed_p", bound=0.05),
    ),
    correction=Correction(
        "The calculated t-value is -5.26, whose p is 0.000006, two-sided, and half of that one-sided: the null "
        "hypothesis is rejected at 0.05.",
        criterion=AllOf(
            t=Identity("t", "rounded_t", digits=2),
            two_sided=Identity("p_two_sided", "p_of_scipy", operations=10**7),
            rejected=AtMost("p_two_sided", bound=0.05),
            one_sided=Identity("p_of_looked_up", "assumed_p", digits=3),
        ),
    ),
)
def t_test_example():
    """Recomputes the example from its printed means and deviations; a worked number, nothing is drawn.

    t is -5.2585, of which the notes cut off digits: it rounds to -5.26. Another t-value is looked up, 1.61, which is
    not the calculated one, and whose area under the t distribution is 0.058 on one side and 0.116 on both: the assumed
    p is the one-sided one of 1.61. The decision follows from the assumed p, and is the document's to make; from the
    data follows the opposite, by the p of the calculated t, by integrating the density and by SciPy's test. The hedges
    (assume, hypothetical, may) are about p, not about which t-value was calculated.
    """
    means, deviations, size = np.array([143.25, 149.55]), np.array([4.37, 3.10]), 20
    t = (means[0] - means[1]) / np.sqrt((deviations**2 / size).sum())
    degrees = 2 * size - 2
    test = scipy.stats.ttest_ind_from_stats(means[0], deviations[0], size, means[1], deviations[1], size)
    tail = scipy.integrate.quad(_density, abs(t), np.inf, args=(degrees,), epsabs=1e-16, epsrel=1e-11)[0]
    looked_up = scipy.integrate.quad(_density, 1.61, np.inf, args=(degrees,))[0]
    columns = {
        "t": t,
        "t_value": -5.25,
        "rounded_t": -5.26,
        "degrees": float(degrees),
        "degrees_of_freedom": 38.0,
        "size_of_t": abs(t),
        "looked_up": 1.61,
        "p_two_sided": 2 * tail,
        "p_of_scipy": float(test.pvalue),
        "p_of_looked_up": looked_up,
        "assumed_p": 0.058,
    }
    return pd.DataFrame([columns])
