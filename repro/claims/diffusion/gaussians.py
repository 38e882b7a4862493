"""Gaussian chains: marginals, the posterior of a step, and divergences between steps."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Correction, Equivalent, ExponentialDecay, Identity, Reported, cheatsheet, claim, notes
from repro.claims.diffusion._processes import Schedule, images_as_points, log_normal, random_network, schedule

with epy.lazy_imports():
    import keras
    import scipy.stats

# First of the pixels that are looked at: those of the first row are blank in most digits.
MIDDLE = 18
BOTH = Identity("formula", "conditioned", operations=10**4, each=("moment",))


@claim(
    r"Noising step by step has a closed form, $x_t | x_0 \sim N(\sqrt{\bar\alpha_t}\, x_0, (1 - \bar\alpha_t) I)$, and "
    r"tends to $N(0, I)$.",
    source=(cheatsheet("1.10.3"), notes("Remark 3.73")),
    kind="formula",
    transcription=True,
    literature="Sohl-Dickstein et al. 2015; Ho et al. 2020, equation 4",
    criterion=Equivalent(
        "distance",
        0.0,
        smallest_difference=0.05,
        because="distributions whose probabilities differ by less than 5 % nowhere are hard to tell apart in a figure",
        each=("distribution", "schedule"),
    ),
    smoke={"levels": 100, "chains": 50},
    full={"data": "mnist", "levels": 1000},
    control={"shrinking": False},
)
def forward_marginal(
    seed, *, schedules=("linear", "cosine", "constant"), levels=250, chains=100, shrinking=True, data="digits"
):
    """Simulates the chain from a real image by Keras' random numbers and compares its distribution with the closed one.

    Kolmogorov-Smirnov distances over pixels and chains, the largest over five levels: of the standardised x_t from
    N(0, 1), and of x_T itself ("limit"). In the control the steps add the noise without shrinking the image. A schedule
    whose betas had a finite sum would keep some of the image for ever. One line of the notes prints the result without
    the bars on alpha, which its next line and the cheatsheet have.
    """
    image = images_as_points(data, 1, np.random.default_rng(seed))
    shape = (levels, chains, image.shape[1])
    noise = keras.ops.convert_to_numpy(keras.random.normal(shape, seed=keras.random.SeedGenerator(seed)))
    rows = []
    for kind in schedules:
        chain = schedule(kind, levels)
        x, distances = np.repeat(image, chains, axis=0), []
        for t, beta in enumerate(chain.beta):
            x = (np.sqrt(1 - beta) if shrinking else 1.0) * x + np.sqrt(beta) * noise[t]
            if (t + 1) % (levels // 5) == 0:
                standardized = (x - np.sqrt(chain.running[t]) * image) / np.sqrt(1 - chain.running[t])
                distances.append(_distance_from_normal(standardized))
        found = {"closed form": max(distances), "limit": _distance_from_normal(x)}
        rows += [{"schedule": kind, "distribution": name, "distance": value} for name, value in found.items()]
    return pd.DataFrame(rows)


@claim(
    r"$q(x_{t-1} | x_t, x_0)$ is Gaussian with $\mu_q = \frac{\sqrt{\alpha_t}(1 - \bar\alpha_{t-1})\, x_t + "
    r"\sqrt{\bar\alpha_{t-1}}(1 - \alpha_t)\, x_0}{1 - \bar\alpha_t}$ and "
    r"$\sigma_q^2 = \frac{(1 - \alpha_t)(1 - \bar\alpha_{t-1})}{1 - \bar\alpha_t}$.",
    source=notes("Remark 3.74"),
    kind="formula",
    literature="Ho et al. 2020, equations 6 and 7",
    criterion=BOTH,
    smoke={"levels": 100},
    control={"image_known": False},
)
def posterior(seed, *, levels=400, pixels=4, image_known=True, data="digits"):
    """The formula, by Keras, against conditioning the joint Gaussian of two neighbouring levels, built step by step.

    Pixels of real images, levels 2 to T of a linear schedule. In the control the image is not known, only the mean and
    the variance of a pixel over images.
    """

    def formula(chain, noised, image):
        _, alpha, running, before, _ = (keras.ops.convert_to_tensor(values) for values in chain.after_first())
        signal, original = keras.ops.sqrt(alpha) * (1 - before), keras.ops.sqrt(before) * (1 - alpha)
        return (signal * noised + original * image) / (1 - running), (1 - alpha) * (1 - before) / (1 - running)

    return _against_conditioning(seed, formula, levels, pixels, image_known, data)


@claim(
    r"$q(x_{t-1} | x_t, x_0) = N(m, \tilde\beta_t I)$ with $m = \frac{\sqrt{\bar\alpha_{t-1}\beta_t}}"
    r"{1 - \bar\alpha_t} x_0 + \frac{(1 - \bar\alpha_{t-1})\sqrt{1 - \beta_t}}{1 - \bar\alpha_t} x_t$ and "
    r"$\tilde\beta_t = \frac{1 - \bar\alpha_{t-1}\beta_t}{1 - \bar\alpha_t}$.",
    source=cheatsheet("1.10.3"),
    kind="formula",
    transcription=True,
    literature="Ho et al. 2020, equation 7",
    criterion=BOTH,
    smoke={"levels": 100},
    correction=Correction(
        r"The root is over $\bar\alpha_{t-1}$ alone, and $\beta_t$ multiplies a difference: "
        r"$m = \frac{\sqrt{\bar\alpha_{t-1}}\,\beta_t}{1 - \bar\alpha_t} x_0 + \dots$ and "
        r"$\tilde\beta_t = \frac{1 - \bar\alpha_{t-1}}{1 - \bar\alpha_t}\beta_t$.",
        as_printed=False,
    ),
)
def posterior_cheatsheet(seed, *, levels=400, pixels=4, as_printed=True, data="digits"):
    """The printed formula, by Keras, against conditioning the joint Gaussian of two neighbouring levels.

    Pixels of real images, levels 2 to T of a linear schedule. As printed, the mean's root covers beta and the variance
    lacks a pair of brackets, so that it exceeds one; both look like slips in setting the formula, but stand there.
    """

    def formula(chain, noised, image):
        beta, _, running, before, _ = (keras.ops.convert_to_tensor(values) for values in chain.after_first())
        original = keras.ops.sqrt(before * beta) if as_printed else keras.ops.sqrt(before) * beta
        variance = 1 - before * beta if as_printed else (1 - before) * beta
        mean = original * image + (1 - before) * keras.ops.sqrt(1 - beta) * noised
        return mean / (1 - running), variance / (1 - running)

    return _against_conditioning(seed, formula, levels, pixels, True, data)


@claim(
    r"With $x_t = \sqrt{\bar\alpha_t}\, x_0 + \sqrt{1 - \bar\alpha_t}\,\epsilon$ the posterior mean equals "
    r"$\frac{1}{\sqrt{\alpha_t}}\left(x_t - \frac{\beta_t}{\sqrt{1 - \bar\alpha_t}}\,\epsilon\right)$.",
    source=(cheatsheet("1.10.3"), notes("Remark 3.75")),
    kind="formula",
    literature="Ho et al. 2020, equation 10",
    criterion=Identity("formula", "conditioned", operations=10**4),
    smoke={"levels": 100},
    control={"noise": "of the last step"},
)
def noise_form_of_mean(seed, *, levels=400, pixels=4, noise="of all steps", data="digits"):
    """The formula, by Keras, against the mean by Gaussian conditioning, levels 2 to T of a linear schedule.

    Pixels of real images are noised to level t - 1 and on to t. The control takes the noise of the last step for that
    of all steps together.
    """
    generator, chain = np.random.default_rng(seed), schedule("linear", levels)
    beta, alpha, running, before, _ = chain.after_first()
    image = images_as_points(data, 1, generator)[:, MIDDLE : MIDDLE + pixels]
    first, last = generator.normal(size=(2, levels - 1, pixels))
    noised = np.sqrt(alpha) * (np.sqrt(before) * image + np.sqrt(1 - before) * first) + np.sqrt(beta) * last
    together = (noised - np.sqrt(running) * image) / np.sqrt(1 - running)
    chosen = together if noise == "of all steps" else last
    formula = (noised - beta / keras.ops.sqrt(1 - running) * chosen) / keras.ops.sqrt(alpha)
    mean, _ = _conditioned(chain, noised, image, 0.0)
    return {"formula": np.ravel(formula), "conditioned": mean.ravel()}


@claim(
    r"With reverse covariance $\sigma_t^2 I$ the term of the bound is "
    r"$L_t = -\frac{\|m(x_t, x_0, t) - m_\theta(x_t, t)\|^2}{2\sigma_t^2} + \mathrm{const}$.",
    source=cheatsheet("1.10.3"),
    kind="formula",
    literature="Ho et al. 2020, equation 8",
    criterion=Identity("term", "formula", operations=10**5, each=("variance",)),
    smoke={"levels": 50},
    control={"fixed": False},
)
def simplified_elbo(seed, *, levels=200, fixed=True, data="digits"):
    """Difference of L_t between two random Keras networks for the mean, which no constant enters, against the formula.

    L_t is minus the divergence of the reverse step from q, by Gauss-Hermite quadrature of the log-ratio, for levels 2
    to T and both usual variances. In the control the second network also changes the covariance, by a tenth.
    """

    def rows(chain, image, noised, outputs):
        mean = chain.posterior_mean(noised, image)[1:]
        for name, variance in (("beta", chain.beta), ("posterior", chain.posterior_variance)):
            factors = (1.0, 1.0 if fixed else 1.1)
            terms = [
                _term(chain, mean, output, variance[1:, None] * factor)
                for output, factor in zip(outputs, factors, strict=True)
            ]
            formulas = [-np.square(mean - output) / (2 * variance[1:, None]) for output in outputs]
            yield name, terms[0] - terms[1], formulas[0] - formulas[1]

    return _of_two_networks(seed, rows, levels, data)


@claim(
    r"$\mathbb{E}_q[L_t | x_0] = \mathbb{E}_\epsilon[\rho_t \|\epsilon - \epsilon_\theta\|^2 | x_0]$ with "
    r"$\rho_t = \frac{\beta_t^2}{2\sigma_t^2\alpha_t(1 - \bar\alpha_t)}$.",
    source=cheatsheet("1.10.3"),
    kind="formula",
    literature="Ho et al. 2020, equation 12, for the term of a loss, which is minus the bound",
    criterion=Identity("term", "formula", operations=10**5, each=("variance",)),
    smoke={"levels": 50},
    correction=Correction(
        r"The term of the lower bound falls with the error: "
        r"$\mathbb{E}_q[L_t | x_0] = -\mathbb{E}_\epsilon[\rho_t \|\epsilon - \epsilon_\theta\|^2 | x_0] + "
        r"\mathrm{const}$, and the constant is zero for $\sigma_t^2 = \tilde\beta_t$.",
        sign=-1.0,
    ),
)
def expected_error_sign(seed, *, levels=200, sign=1.0, data="digits"):
    """Difference of L_t between two random Keras networks for the noise against the documented difference.

    L_t is minus the divergence of the reverse step from q, as the document defines it, by Gauss-Hermite quadrature of
    the log-ratio; levels 2 to T, both usual variances, one noise draw for every pixel. The document's factor is right
    and its sign is that of a loss. For the variance beta it also leaves out a constant, which differences do not show.
    """

    def rows(chain, image, noised, outputs):
        beta, alpha, running, _, _ = chain.after_first()
        mean = chain.posterior_mean(noised, image)[1:]
        noise = (noised[1:] - np.sqrt(running) * image) / np.sqrt(1 - running)
        for name, values in (("beta", chain.beta), ("posterior", chain.posterior_variance)):
            variance = values[1:, None]
            means = [(noised[1:] - beta / np.sqrt(1 - running) * output) / np.sqrt(alpha) for output in outputs]
            terms = [_term(chain, mean, of_network, variance) for of_network in means]
            rho = beta**2 / (2 * variance * alpha * (1 - running))
            formulas = [sign * rho * np.square(noise - output) for output in outputs]
            yield name, terms[0] - terms[1], formulas[0] - formulas[1]

    return _of_two_networks(seed, rows, levels, data)


@claim(
    r"$D(N(\mu_x, \Sigma_x) \| N(\mu_y, \Sigma_y)) = \frac{1}{2}\left[\log\frac{|\Sigma_y|}{|\Sigma_x|} - d + "
    r"\mathrm{tr}(\Sigma_y^{-1}\Sigma_x) + (\mu_y - \mu_x)^\top \Sigma_y^{-1} (\mu_y - \mu_x)\right]$; equal "
    r"covariances $\sigma_q^2 I$ leave $\|\mu_\theta - \mu_q\|^2 / (2\sigma_q^2)$.",
    source=notes("Remark 3.74"),
    kind="formula",
    criterion=Identity("formula", "quadrature", operations=10**5, each=("covariances",)),
    smoke={"pairs": 10},
    control={"under": "second"},
)
def gaussian_kl(seed, *, pairs=40, dimensions=3, under="first"):
    """Both formulas, by Keras, against Gauss-Hermite quadrature of the log-ratio of SciPy's densities, in nats.

    Random means and covariances in three dimensions; three nodes a dimension are exact for quadratics. The control
    takes the expectation under the second Gaussian, the other direction of the divergence.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for covariances in ("any", "equal"):
        means = generator.normal(size=(pairs, 2, dimensions))
        factors = generator.normal(size=(pairs, 2, dimensions, dimensions + 2)) / 2
        sigma = factors @ factors.swapaxes(-1, -2)
        if covariances == "equal":
            sigma = np.repeat(generator.uniform(0.2, 2, size=(pairs, 1, 1, 1)), 2, axis=1) * np.eye(dimensions)
        difference = keras.ops.convert_to_tensor(means[:, 1] - means[:, 0])[..., None]
        if covariances == "equal":
            formula = keras.ops.sum(difference**2, axis=(1, 2)) / (2 * sigma[:, 0, 0, 0])
        else:
            inverse = keras.ops.inv(sigma[:, 1])
            logarithms = keras.ops.slogdet(sigma[:, 1])[1] - keras.ops.slogdet(sigma[:, 0])[1]
            trace = keras.ops.trace(inverse @ sigma[:, 0], axis1=1, axis2=2)
            distance = keras.ops.sum(difference * (inverse @ difference), axis=(1, 2))
            formula = 0.5 * (logarithms - dimensions + trace + distance)
        quadrature = [_divergence_by_quadrature(*pair, under) for pair in zip(means, sigma, strict=True)]
        columns = {"formula": keras.ops.convert_to_numpy(formula), "quadrature": quadrature}
        rows.append(pd.DataFrame(columns).assign(covariances=covariances))
    return pd.concat(rows, ignore_index=True)


@claim(
    r"With $T$ large the prior matching term of the bound over two random variables for each step, "
    r"$E_{q(x_{T-1} | x_0)} D(q(x_T | x_{T-1}) \| N(0, I))$, is effectively zero.",
    source=notes("Remark 3.72"),
    kind="theorem",
    literature="Ho et al. 2020, section 4.3",
    criterion=AllOf(
        falling=ExponentialDecay(
            x="length",
            y="bits",
            at_least=0.005,
            because="a hundredth of the variance is replaced at every level, and half of that rate still vanishes soon",
            where={"schedule": "constant"},
        ),
        gone=AtMost("bits", bound=0.005, where={"longest": True}),
    ),
    full={"data": "mnist"},
    control={"given": "image", "refined": True},
    correction=Correction(
        r"The prior matching term of the bound over one random variable for each step, $D(q(x_T | x_0) \| N(0, I))$, "
        r"is effectively zero. That of the other bound is about $-\frac{1}{2} \ln \beta_T$ for each pixel, and grows "
        "where the schedule is refined.",
        given="image",
    ),
    reported=(
        Reported(
            "about 1e-5",
            measure="bits per dimension, term given the image",
            setting="CIFAR-10, T = 1000",
            place="Ho et al. 2020, section 4",
        ),
    ),
)
def prior_matching_vanishes(
    seed, *, given="last step", lengths=(100, 200, 400, 800), beta=0.01, refined=False, data="digits"
):
    """Divergence in bits per pixel of real images, for chains of growing length and for the schedule of Ho et al.

    The mistake is to say this of the first bound: x_T is normal given the image, but given x_{T-1} it is almost known.
    Mean and variance of x_t follow from the steps one by one. Below 0.005 bits the term does not show in a likelihood
    printed with two decimals. In the control more levels share the same noise, so that x_T stays as it is: it is the
    noise in all that has to be large. The linear schedule of a thousand levels is that of Ho et al.
    """
    image = images_as_points(data, 1, np.random.default_rng(seed))
    chains = {("constant", steps): np.full(steps, beta * (lengths[0] / steps if refined else 1)) for steps in lengths}
    chains["linear", 1000] = schedule("linear", 1000).beta
    rows = []
    for (kind, steps), betas in chains.items():
        mean, variance = image, 0.0
        for added in betas:
            square = np.square(mean) + variance
            mean, variance = np.sqrt(1 - added) * mean, (1 - added) * variance + added
        of_mean, of_variance = (np.square(mean), variance) if given == "image" else ((1 - added) * square, added)
        bits = 0.5 * (of_variance + of_mean - 1 - np.log(of_variance)).mean() / np.log(2)
        longest = steps >= max(lengths)
        rows.append({"schedule": kind, "length": steps, "bits": bits, "longest": longest})
    return pd.DataFrame(rows)


def _distance_from_normal(values):
    return scipy.stats.kstest(values.ravel(), "norm", method="asymp").statistic


def _against_conditioning(seed, formula, levels, pixels, image_known, data):
    """Mean and variance of x_{t-1} by a formula, of [levels - 1, pixels] and [levels - 1, 1], and by conditioning."""
    generator, chain = np.random.default_rng(seed), schedule("linear", levels)
    images = images_as_points(data, 200, generator)[:, MIDDLE : MIDDLE + pixels]
    image, running = images[:1], chain.after_first()[2]
    noised = np.sqrt(running) * image + np.sqrt(1 - running) * generator.normal(size=(levels - 1, pixels))
    start = (image, 0.0) if image_known else (images.mean(axis=0), images.var(axis=0).mean())
    formulas, conditioned = formula(chain, noised, image), _conditioned(chain, noised, *start)
    tables = []
    for moment, left, right in zip(("mean", "variance"), formulas, conditioned, strict=True):
        tables.append(pd.DataFrame({"moment": moment, "formula": np.ravel(left), "conditioned": np.ravel(right)}))
    return pd.concat(tables, ignore_index=True)


def _conditioned(chain: Schedule, noised, mean, variance):
    """Mean and variance of x_{t-1} given x_t, from the joint Gaussian of both, for levels 2 to T.

    Args:
        chain: how every level follows from the one before.
        noised: x_t, [levels - 1, pixels].
        mean: of x_0.
        variance: of x_0.
    """
    means, variances = [], []
    for t, beta in enumerate(chain.beta):
        covariance, total = np.sqrt(1 - beta) * variance, (1 - beta) * variance + beta
        if t:
            means.append(mean + covariance / total * (noised[t - 1] - np.sqrt(1 - beta) * mean))
            variances.append(variance - covariance**2 / total)
        mean, variance = np.sqrt(1 - beta) * mean, total
    return np.vstack(means), np.vstack(variances)


def _of_two_networks(seed, rows, levels, data):
    """Compare what a function yields for the outputs of two networks at levels 2 to T of a linear schedule."""
    generator, chain = np.random.default_rng(seed), schedule("linear", levels)
    image = images_as_points(data, 1, generator)
    running = chain.running[:, None]
    noised = np.sqrt(running) * image + np.sqrt(1 - running) * generator.normal(size=(levels, image.shape[1]))
    pixels = image.shape[1]
    outputs = [
        keras.ops.convert_to_numpy(random_network(pixels, pixels, 2 * seed + index)(noised[1:])) for index in range(2)
    ]
    tables = []
    for name, term, formula in rows(chain, image, noised, outputs):
        columns = {"term": term.sum(axis=1), "formula": formula.sum(axis=1)}
        tables.append(pd.DataFrame(columns).assign(variance=name))
    return pd.concat(tables, ignore_index=True)


def _term(chain, mean, of_network, variance):
    """Minus the divergence of N(of_network, variance) from q, for every level and pixel, by quadrature under q."""
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)
    deviation = np.sqrt(chain.posterior_variance[1:, None])
    total = 0.0
    for node, weight in zip(nodes, weights / weights.sum(), strict=True):
        x = mean + deviation * node
        total = total + weight * (log_normal(x, of_network, np.sqrt(variance)) - log_normal(x, mean, deviation))
    return total


def _divergence_by_quadrature(means, covariances, under):
    dimensions = means.shape[1]
    nodes, weights = np.polynomial.hermite_e.hermegauss(3)
    grid = np.array(list(itertools.product(nodes, repeat=dimensions)))
    product = np.array([np.prod(row) for row in itertools.product(weights / weights.sum(), repeat=dimensions)])
    place = ("first", "second").index(under)
    x = means[place] + grid @ np.linalg.cholesky(covariances[place]).T
    densities = [scipy.stats.multivariate_normal(*pair).logpdf(x) for pair in zip(means, covariances, strict=True)]
    return product @ (densities[0] - densities[1])
