"""PAC-Bayesian bounds, and gradients at perturbed parameters."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Boundary, Correction, Identity, Rival, ScalingLaw, cheatsheet, claim
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras
    import scipy.special
    import scipy.stats

THRESHOLDS = np.linspace(0, 1, 101)
LABEL_NOISE = 0.2
FORMS = ("1 / (2 root(s epsilon))", "1 / (2 root(s) epsilon)", "Maurer")
RARE = 1e-5  # error probability of a violation that sampling alone would give


@claim(
    r"For fixed $E$ and any $Q$ over $s$ samples, $E_Q[E(f)] - E_Q[\hat E(f)] \le \sqrt{\frac{2}{s}"
    r"\left[\mathrm{KL}(Q\|P) + \ln\frac{1}{2\sqrt{s\varepsilon}}\right]}$.",
    source=cheatsheet("1.9.4"),
    kind="theorem",
    scope="read as: with probability 1 - epsilon over independent samples, P fixed beforehand, losses in [0, 1]; none "
    "of it is printed, and the fixed E may be epsilon",
    root="pac_bayes_log_term",
    transcription=True,
    literature="McAllester 1999; Maurer 2004",
    criterion=AllOf(
        as_printed=AtMost("violations", bound="epsilon", where={"logarithm": FORMS[0]}),
        root_over_s=AtMost("violations", bound="epsilon", where={"logarithm": FORMS[1]}),
    ),
    correction=Correction(
        r"$E_Q[E(f)] - E_Q[\hat E(f)] \le \sqrt{\frac{1}{2s}\left[\mathrm{KL}(Q\|P) + \ln\frac{2\sqrt{s}}{\varepsilon}"
        r"\right]}$ (Maurer 2004): the logarithm is positive, and grows with the sample and with the confidence.",
        criterion=AtMost("violations", bound="epsilon", where={"logarithm": FORMS[2]}),
    ),
)
def pac_bayes_bound(
    seed,
    *,
    sizes=(4, 20, 24, 80, 96, 200, 2000, 2400),
    confidences=(0.01, 0.05),
    temperatures=(0.0, 1.0, 10.0),
    samples=2000,
):
    """Counts in how many of 2000 samples the gap of a distribution Q exceeds the bound, for every size and epsilon.

    Functions: 101 thresholds on uniform inputs, whose labels are wrong with probability 0.2, so that errors and the
    divergence from the uniform P are known exactly. Q: P itself, and distributions proportional to exp(-t s error on
    the sample), t being 1 or 10. The document does not say with which probability the bound holds; it is read as 1 -
    epsilon over samples. Violations are the least probability with which sampling would give as many in one case of
    100,000 (Clopper and Pearson), so that more than epsilon of them are no accident.

    Only samples count for which the bracket is positive; where it is negative there is no bound. Q = P is the extremal
    case: KL is nought, and the bracket vanishes at s = 1 / (4 epsilon) as printed, at s = 1 / (4 epsilon^2) with the
    root over s alone. As s nears that size from below the bound tends to nought, while the gap is above nought in half
    of the samples: a contradiction by reasoning, without any sample. Sizes are 80 and 96 % of where it vanishes (for
    epsilon = 0.01 and 0.05: 20, 24 and 4 as printed, 2000, 2400, 80 and 96 otherwise), and 200; the statement is about
    every size, so they are instances of one cell. In both readings the fraction stands upside down.
    """
    rows = []
    for size in sizes:
        expected, empirical = _errors(np.random.default_rng((seed, size)), size, samples)
        posteriors = {temperature: _gibbs(expected, empirical, temperature * size) for temperature in temperatures}
        for temperature, form, epsilon in itertools.product(temperatures, FORMS, confidences):
            gap, divergence = posteriors[temperature]
            scale, logarithm = _terms(form, size, epsilon)
            bracket = divergence + logarithm
            count = np.count_nonzero((bracket > 0) & (gap > np.sqrt(scale / size * np.maximum(bracket, 0))))
            labels = {"size": size, "temperature": temperature, "epsilon": epsilon, "logarithm": form}
            least = scipy.stats.beta.ppf(RARE, count, samples - count + 1) if count else 0.0
            rows.append({**labels, "share": count / samples, "violations": least})
    return pd.DataFrame(rows)


@claim(
    r"The PAC-Bayesian theorem ensures the rate $\tilde O(1/\sqrt{s})$ for the gap between expected and empirical "
    "error.",
    source=cheatsheet("1.9.4"),
    kind="law",
    scope="the gap of posteriors that are learnt from the sample",
    left_open=("posterior",),
    literature="McAllester 1999; Maurer 2004",
    criterion=AllOf(
        bound=ScalingLaw(x="size", y="bound", expected=-0.5, rivals=(0.0,), each=("posterior",)),
        gap=ScalingLaw(x="size", y="gap", expected=-0.5, rivals=(0.0,), each=("posterior",)),
    ),
    rival=Rival(
        "The theorem ensures the rate $1/s$.",
        criterion=ScalingLaw(x="size", y="bound", expected=-1.0, rivals=(-0.5,), each=("posterior",)),
    ),
    boundary=Boundary(
        "where the divergence from the prior does not grow in proportion to the sample",
        holds="posterior != 'a bit for every example'",
    ),
)
def pac_bayes_rate(
    seed,
    *,
    sizes=(100, 400, 1600, 6400),
    epsilon=0.05,
    samples=40,
    posteriors=("of fixed temperature", "of temperature in proportion to the sample", "a bit for every example"),
):
    """Fits the exponents in the sample size of Maurer's bound on the gap, and of the gap itself.

    The bound is root((KL + ln(2 root(s) / epsilon)) / (2 s)), its KL the mean over 40 samples; the printed one is no
    number for large s. The gap is the root mean square over samples. Posteriors, all learnt, with their own divergence
    from the uniform prior: over the thresholds of ``pac_bayes_bound`` proportional to exp(-20 error), which does not
    sharpen with the sample, and to exp(-s error), whose divergence tends to at most ln 101; and over tables of s bits,
    one for each of s equally frequent inputs, each bit 1 with probability 1 / (1 + exp(n0 - n1)) after n0 labels of 0
    and n1 of 1, whose divergence grows with s. The law's exponent is -1/2, between those of no rate and of the rival.
    """
    rows = []
    for size, posterior in itertools.product(sizes, posteriors):
        generator = np.random.default_rng((seed, size))
        if posterior == "a bit for every example":
            gap, divergence = _tables(generator, size, samples)
        else:
            expected, empirical = _errors(generator, size, samples)
            gap, divergence = _gibbs(expected, empirical, 20.0 if posterior == "of fixed temperature" else size)
        scale, logarithm = _terms("Maurer", size, epsilon)
        bound = np.sqrt(scale / size * (divergence.mean() + logarithm))
        rows.append({"posterior": posterior, "size": size, "bound": bound, "gap": np.sqrt(np.mean(np.square(gap)))})
    return pd.DataFrame(rows)


@claim(
    r"For $Q = N(\theta, \mathrm{diag}\,\sigma_i^2)$: $\mathrm{KL}(Q\|P) = \sum_i \log\left(\frac{\lambda}{\sigma_i} + "
    r"\frac{\sigma_i^2 + \theta_i^2}{2\lambda^2} - \frac12\right)$.",
    source=cheatsheet("1.9.4"),
    kind="formula",
    scope="P = N(0, lambda^2 I), which is not printed",
    transcription=True,
    criterion=Identity("formula", "integral", operations=1000),
    correction=Correction(
        r"$\mathrm{KL}(Q\|P) = \sum_i \left(\log\frac{\lambda}{\sigma_i} + \frac{\sigma_i^2 + \theta_i^2}{2\lambda^2} "
        r"- \frac12\right)$: the logarithm is of the first fraction alone.",
        logarithm="of the first fraction",
    ),
)
def pac_bayes_gaussian_kl(seeds, *, parameters=5, logarithm="of the sum"):
    """Integrates the logarithm of the densities' ratio over Q by Gauss-Hermite quadrature, exact for its polynomials.

    Five parameters for each seed: means normal, deviations and the prior's deviation uniform from 0.5 to 2. In the
    document the bracket of the logarithm closes after all three terms, which may come from its conversion. That the
    divergence of Q from itself is nought tells nothing: the formula as printed gives log(1) too.
    """
    nodes, weights = np.polynomial.hermite_e.hermegauss(8)
    rows = []
    for seed in seeds:
        generator = np.random.default_rng(seed)
        mean, sigma = generator.normal(size=parameters), generator.uniform(0.5, 2.0, size=parameters)
        prior = generator.uniform(0.5, 2.0)
        points = mean[:, None] + sigma[:, None] * nodes
        ratio = np.log(prior / sigma)[:, None] - nodes**2 / 2 + points**2 / (2 * prior**2)
        integral = (ratio @ weights).sum() / np.sqrt(2 * np.pi)
        fraction, rest = prior / sigma, (sigma**2 + mean**2) / (2 * prior**2) - 0.5
        formula = np.log(fraction + rest) if logarithm == "of the sum" else np.log(fraction) + rest
        rows.append({"seed": seed, "formula": formula.sum(), "integral": integral})
    return pd.DataFrame(rows)


@claim(
    r"$\nabla E_Q[\hat E] = \nabla \hat E(\tilde\theta)$ with $\tilde\theta = \theta + \mathrm{diag}(\sigma_i)"
    r"\varepsilon$, $\varepsilon \sim N(0, I)$: the gradient of the loss at perturbed parameters, backpropagated to "
    r"$\theta$ and $\sigma_i$.",
    source=cheatsheet("1.9.4"),
    kind="formula",
    scope="one draw a step, as in stochastic gradient descent, so that the equality is one in the mean over draws",
    literature="Kingma and Welling 2014; Blundell et al. 2015",
    criterion=AllOf(
        theta=Identity("backpropagated", "gradient", operations=10_000, where={"parameter": "theta"}),
        sigma=Identity("backpropagated", "gradient", operations=10_000, where={"parameter": "sigma"}),
    ),
    rival=Rival(
        r"$\partial E_Q[\hat E] / \partial\sigma_i = E[\partial_i \hat E(\tilde\theta)]$, without the factor "
        r"$\varepsilon_i$ of the chain rule.",
        criterion=Identity("without_factor", "gradient", operations=10_000, where={"parameter": "sigma"}),
    ),
    control={"centre": 0.5},
)
def perturbed_gradient(seed, *, examples=40, nodes=80, centre=0.0):
    """Compares gradients backpropagated through perturbed parameters with the gradient of the Gaussian average.

    Logistic regression with two parameters on 40 normal examples. The mean of its loss over epsilon is a Gauss-Hermite
    sum over 80 by 80 draws, through which the backend differentiates by theta and by sigma. The other side is another
    route, the score function: E[loss epsilon / sigma] and E[loss (epsilon^2 - 1) / sigma], which differentiates no
    loss. ``one_draw`` is the deviation of the gradient at a single draw from that mean, relative to the mean: in a
    single draw the equality does not hold. The control draws epsilon around one half.
    """
    points, weights = np.polynomial.hermite_e.hermegauss(nodes)
    epsilon = np.stack(np.meshgrid(points, points), axis=-1).reshape(-1, 2)
    share = np.outer(weights, weights).ravel() / (2 * np.pi)
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(examples, 2)), generator.integers(0, 2, size=examples).astype(float)
    theta, sigma = generator.normal(size=2), generator.uniform(0.2, 0.5, size=2)
    losses, found = _logistic(x, y, theta, sigma, epsilon, share)
    if centre:
        _, found = _logistic(x, y, theta, sigma, epsilon + centre, share)
    _, single = _logistic(x, y, theta, sigma, generator.normal(size=(1, 2)), np.ones(1))
    scores = {"theta": epsilon / sigma, "sigma": (np.square(epsilon) - 1) / sigma}
    tables = []
    for place, (parameter, score) in enumerate(scores.items()):
        gradient = share * losses @ score
        columns = {
            "backpropagated": found[place],
            "gradient": gradient,
            "without_factor": found[0],
            "one_draw": np.abs(single[place] / gradient - 1),
        }
        tables.append(pd.DataFrame({"parameter": parameter, **columns}))
    return pd.concat(tables, ignore_index=True)


def _errors(generator, size, samples):
    """Expected errors of the thresholds, and those on samples of one size, [samples, thresholds].

    Inputs are uniform, labels say whether they exceed 1/2 and are wrong with probability LABEL_NOISE. Only how many
    inputs of either label lie between neighbouring thresholds matters, so that these numbers are drawn.
    """
    expected = LABEL_NOISE + (1 - 2 * LABEL_NOISE) * np.abs(THRESHOLDS - 0.5)
    intervals = len(THRESHOLDS) - 1
    share_of_ones = np.where(np.arange(intervals) < intervals / 2, LABEL_NOISE, 1 - LABEL_NOISE)
    shares = np.concatenate([share_of_ones, 1 - share_of_ones]) / intervals
    ones, zeros = np.split(generator.multinomial(size, shares, size=samples), 2, axis=1)
    # a threshold says 1 above it: it is wrong on ones below it, and on zeros above it
    ones_below, zeros_below = (np.pad(np.cumsum(counts, axis=1), ((0, 0), (1, 0))) for counts in (ones, zeros))
    return expected, (ones_below + zeros_below[:, -1:] - zeros_below) / size


def _gibbs(expected, empirical, sharpness):
    """Gap of expected and empirical error, and divergence from the uniform, of Q proportional to exp(-sharpness error).

    Both for each sample.
    """
    logits = -sharpness * (empirical - empirical.min(axis=1, keepdims=True))
    posterior = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    divergence = scipy.special.xlogy(posterior, posterior * len(THRESHOLDS)).sum(axis=1)
    return (posterior * (expected - empirical)).sum(axis=1), divergence


def _tables(generator, size, samples):
    """The same for tables of as many bits as there are examples, of which each input has its own.

    Labels are 1 with probability LABEL_NOISE; of a bit that is 1 with probability q the expected error is that of a
    wrong bit, (1 - LABEL_NOISE) q + LABEL_NOISE (1 - q).
    """
    places = generator.integers(size, size=(samples, size)) + size * np.arange(samples)[:, None]
    labels = generator.uniform(size=(samples, size)) < LABEL_NOISE
    ones = np.bincount(places[labels], minlength=size * samples).reshape(samples, size)
    zeros = np.bincount(places[~labels], minlength=size * samples).reshape(samples, size)
    bit = scipy.special.expit((ones - zeros).astype(float))
    expected = ((1 - LABEL_NOISE) * bit + LABEL_NOISE * (1 - bit)).mean(axis=1)
    empirical = (zeros * bit + ones * (1 - bit)).sum(axis=1) / size
    divergence = (scipy.special.xlogy(bit, 2 * bit) + scipy.special.xlogy(1 - bit, 2 * (1 - bit))).sum(axis=1)
    return expected - empirical, divergence


def _terms(form, size, epsilon):
    """Factor over the sample size and logarithm of a bound: as printed, with the root over s alone, or Maurer's."""
    forms = (
        (2.0, -np.log(2 * np.sqrt(size * epsilon))),
        (2.0, -np.log(2 * np.sqrt(size) * epsilon)),
        (0.5, np.log(2 * np.sqrt(size) / epsilon)),
    )
    return forms[FORMS.index(form)]


def _logistic(x, y, theta, sigma, epsilon, share):
    """Logistic loss at each draw, and the gradients by theta and sigma of the mean over draws with shares."""

    def mean(values):
        logits = keras.ops.matmul(values[0] + values[1] * epsilon, x.T)
        targets = keras.ops.broadcast_to(keras.ops.convert_to_tensor(y), keras.ops.shape(logits))
        # The sum, because Keras takes means in single precision on JAX, whatever their type.
        losses = keras.ops.sum(keras.ops.softplus(logits) - targets * logits, axis=1) / len(y)
        return keras.ops.sum(share * losses), losses

    parameters = [keras.ops.convert_to_tensor(values, "float64") for values in (theta, sigma)]
    _, losses, gradients = value_and_gradient(mean, parameters)
    return keras.ops.convert_to_numpy(losses), [keras.ops.convert_to_numpy(gradient) for gradient in gradients]
