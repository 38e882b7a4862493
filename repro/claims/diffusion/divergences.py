"""Divergences of reverse steps, and of the last noised image from the prior."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Boundary, Correction, Identity, Reported, cheatsheet, claim, notes
from repro.claims.diffusion._processes import images_as_points, log_normal, random_network, schedule

with epy.lazy_imports():
    import keras
    import scipy.stats


@claim(
    r"With reverse covariance $\sigma_t^2 I$ the term of the bound is "
    r"$L_t = -\frac{\|m(x_t, x_0, t) - m_\theta(x_t, t)\|^2}{2\sigma_t^2} + \mathrm{const}$.",
    source=cheatsheet("1.10.3"),
    kind="formula",
    literature="Ho et al. 2020, equation 8",
    scope="covariance of the reverse steps fixed; the constant is free of the network",
    criterion=Identity("term", "formula", operations=10**5),
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
    scope="L_t as the section defines it, a term of the lower bound; constants free of the network are dropped",
    criterion=AllOf(
        factor=Identity("size_of_term", "size_of_formula", operations=10**5),
        sign=Identity("sign_of_term", "sign_of_formula"),
    ),
    smoke={"levels": 50},
    correction=Correction(
        r"The term of the lower bound falls with the error: "
        r"$\mathbb{E}_q[L_t | x_0] = -\mathbb{E}_\epsilon[\rho_t \|\epsilon - \epsilon_\theta\|^2 | x_0] + "
        r"\mathrm{const}$.",
        sign=-1.0,
    ),
)
def expected_error_sign(seed, *, levels=200, sign=1.0, data="digits"):
    """Difference of L_t between two random Keras networks for the noise against the documented difference.

    L_t is minus the divergence of the reverse step from q, as the document defines it, by Gauss-Hermite quadrature of
    the log-ratio; levels 2 to T, both usual variances, one noise draw for every pixel. Factor and sign of the
    difference are compared apart: the sign is that of a loss, and contradicts the section's own simplified form, with
    its minus, two formulas above. For the variance beta a constant is left out too, which differences do not show.
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

    table = _of_two_networks(seed, rows, levels, data)
    parts = {f"size_of_{name}": table[name].abs() for name in ("term", "formula")}
    return table.assign(**parts, **{f"sign_of_{name}": np.sign(table[name]) for name in ("term", "formula")})


@claim(
    r"$D(N(\mu_x, \Sigma_x) \| N(\mu_y, \Sigma_y)) = \frac{1}{2}\left[\log\frac{|\Sigma_y|}{|\Sigma_x|} - d + "
    r"\mathrm{tr}(\Sigma_y^{-1}\Sigma_x) + (\mu_y - \mu_x)^\top \Sigma_y^{-1} (\mu_y - \mu_x)\right]$; equal "
    r"covariances $\sigma_q^2 I$ leave $\|\mu_\theta - \mu_q\|^2 / (2\sigma_q^2)$.",
    source=notes("Remark 3.74"),
    kind="formula",
    scope="d dimensions; the second half where both covariances are sigma_q^2 I",
    criterion=AllOf(
        general=Identity("formula", "quadrature", operations=10**5, where={"covariances": "any"}),
        equal=Identity("formula", "quadrature", operations=10**5, where={"covariances": "equal"}),
    ),
    smoke={"pairs": 10},
    control={"under": "second"},
)
def gaussian_kl(seed, *, pairs=40, dimensions=3, under="first"):
    """Both formulas, by Keras, against Gauss-Hermite quadrature of the log-ratio of SciPy's densities, in nats.

    Random means and covariances in three dimensions; three nodes a dimension are exact for quadratics. The control
    takes the expectation of the log-ratio under the second Gaussian, which is minus the divergence the other way round.
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
    "With T so large that the final distribution is Gaussian, the prior matching term of the bound, which has no "
    "trainable parameters, effectively becomes zero.",
    source=notes("Remark 3.72"),
    kind="theorem",
    scope="legible in the notes is the term D(q(x_T | x_0) || p(x_T)); that of the first derivation, which is cut off, "
    "is E D(q(x_T | x_(T-1)) || p(x_T)) in its source; left open: the schedule",
    left_open=("schedule",),
    literature="Ho et al. 2020, section 4; Luo 2022 for the term given the last step",
    criterion=AllOf(
        given_image=AtMost("bits", bound=0.005, each=("schedule",), where={"given": "image", "longest": True}),
        given_last_step=AtMost("bits", bound=0.005, each=("schedule",), where={"given": "last step", "longest": True}),
    ),
    boundary=Boundary(
        "given the image, and given the last step where that one replaces nearly all, beta_T near 1",
        holds="part == 'given_image' or schedule == 'cosine'",
        assumption="Nichol and Dhariwal 2021, section 3.2, whose schedule ends with beta_T = 0.999",
    ),
    full={"data": "mnist"},
    control={"refined": True},
    reported=(
        Reported(
            "about 1e-5",
            measure="bits per dimension, term given the image",
            setting="CIFAR-10, T = 1000",
            place="Ho et al. 2020, section 4",
        ),
    ),
)
def prior_matching_vanishes(seed, *, lengths=(100, 200, 400, 800, 1600), beta=0.01, refined=False, data="digits"):
    """Both forms of the term in bits per pixel of real images, for chains of growing length and for usual schedules.

    The constant schedule is continued, from 100 levels to 1600; linear (Ho et al. 2020) and cosine have a thousand.
    Mean and variance of x_t follow from the steps one by one. Zero in effect is less than 0.005 bits: a likelihood in
    bits per dimension is printed with two decimals, as in the tables of Ho et al. Given the image, x_T is nearly
    N(0, I). Given x_(T-1) it is almost known: the divergence is (beta_T - 1 - ln beta_T + (1 - beta_T) E x_(T-1)^2) / 2
    = -ln(beta_T) / 2 nats a pixel once x_(T-1) has unit variance, which does not depend on T but vanishes for beta_T
    near 1. In the control the levels of the continued schedule share the noise of the first hundred: longer chains
    without more noise.
    """
    image = images_as_points(data, 1, np.random.default_rng(seed))
    chains = {("constant", steps): np.full(steps, beta * (lengths[0] / steps if refined else 1)) for steps in lengths}
    chains |= {(kind, 1000): schedule(kind, 1000).beta for kind in ("linear", "cosine")}
    rows = []
    for (kind, steps), betas in chains.items():
        mean, variance = image, 0.0
        for added in betas:
            square = np.square(mean) + variance
            mean, variance = np.sqrt(1 - added) * mean, (1 - added) * variance + added
        forms = {"image": (np.square(mean), variance), "last step": ((1 - added) * square, added)}
        for given, (of_mean, of_variance) in forms.items():
            bits = 0.5 * (of_variance + of_mean - 1 - np.log(of_variance)).mean() / np.log(2)
            longest = kind != "constant" or steps == max(lengths)
            rows.append({"schedule": kind, "length": steps, "given": given, "bits": bits, "longest": longest})
    return pd.DataFrame(rows)


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
