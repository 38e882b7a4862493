"""The score: Tweedie's formula and what the documents make of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, Correction, Equivalent, Identity, claim, notes
from repro.claims.diffusion._processes import images_as_points, log_density, log_normal, posterior_weights, schedule
from repro.engine import load_data
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras

SIGMAS = (0.25, 0.5, 1.0, 2.0)


@claim(
    r"Tweedie's formula: for $z \sim N(\mu_z, \Sigma_z)$, $\mathbb{E}[\mu_z | z] = z + \Sigma_z \nabla \log p(z)$.",
    source=notes("Remark 3.76"),
    kind="formula",
    literature="Robbins 1956; Efron 2011",
    criterion=Identity("posterior_mean", "formula", operations=10**5),
    smoke={"points": 50},
    control={"noise": "Laplace"},
)
def tweedie(seed, *, points=200, means=400, noise="Gaussian"):
    """Posterior means by summation against the formula with the score by differentiating log p(z) through Keras.

    In two dimensions, with a random covariance of the noise and a prior of many equally likely means drawn from three
    clusters. The control's noise has the same covariance and is Laplacian.
    """
    generator = np.random.default_rng(seed)
    prior = generator.normal(scale=3, size=(3, 2))[generator.integers(3, size=means)]
    prior = prior + 0.5 * generator.normal(size=prior.shape)
    factor = np.linalg.cholesky(np.cov(generator.normal(size=(2, 5))))
    whitened = {
        "Gaussian": generator.normal(size=(points, 2)),
        "Laplace": generator.laplace(scale=np.sqrt(0.5), size=(points, 2)),
    }[noise]
    z = prior[:points] + whitened @ factor.T
    inverse = np.linalg.inv(factor).T

    def log_likelihoods(z):
        standardized = keras.ops.matmul(z[:, None] - prior[None], inverse)
        if noise == "Gaussian":
            return -0.5 * keras.ops.sum(keras.ops.square(standardized), axis=-1)
        return -np.sqrt(2) * keras.ops.sum(keras.ops.abs(standardized), axis=-1)

    score = _gradient(lambda z: keras.ops.logsumexp(log_likelihoods(z), axis=-1), z)
    posterior = keras.ops.convert_to_numpy(keras.ops.softmax(log_likelihoods(z), axis=-1)) @ prior
    formula = z + score @ (factor @ factor.T)
    return {"posterior_mean": posterior.ravel(), "formula": formula.ravel()}


@claim(
    r"The score is the scaled noise: $\nabla \log p(x_t) = -\epsilon_0 / \sqrt{1 - \bar\alpha_t}$.",
    source=notes("Remark 3.76"),
    kind="formula",
    root="posterior_mean_for_image",
    literature="Vincent 2011; Song et al. 2021",
    criterion=Identity("score", "scaled_noise", operations=10**5),
    smoke={"levels": 50, "images": 30},
    full={"data": "mnist", "levels": 400},
    correction=Correction(
        r"The score of the noised density is the expected noise given the noised image, "
        r"$\nabla \log p(x_t) = -\mathbb{E}[\epsilon_0 | x_t] / \sqrt{1 - \bar\alpha_t}$. The noise that was drawn "
        r"gives the score given the original, $\nabla \log q(x_t | x_0)$.",
        expected=True,
    ),
)
def score_is_scaled_noise(seed, *, levels=100, images=100, expected=False, data="digits"):
    """Score of noised images by differentiating their log-density through Keras, against the noise that was drawn.

    The images are a small set of real ones, so that the density at levels 1 to T of a linear schedule is a mixture of
    Gaussians, known exactly. The correction averages the noise over the images that may have led to x_t.
    """
    noised, original, points, chain = _noised(seed, levels, images, data)
    running = chain.running[:, None]
    score = _score(noised, points, running)
    if expected:
        original = _expected_image(noised, points, running)
    noise = (noised - np.sqrt(running) * original) / np.sqrt(1 - running)
    return {"score": score.ravel(), "scaled_noise": (-noise / np.sqrt(1 - running)).ravel()}


@claim(
    r"$x_0 = \frac{x_t + (1 - \bar\alpha_t)\nabla\log p(x_t)}{\sqrt{\bar\alpha_t}}$ and $\mu_q(x_t, x_0) = "
    r"\frac{1}{\sqrt{\alpha_t}} x_t + \frac{1 - \alpha_t}{\sqrt{\alpha_t}} \nabla\log p(x_t)$.",
    source=notes("Remark 3.76"),
    kind="formula",
    root="posterior_mean_for_image",
    literature="Efron 2011; Luo 2022, equations 133 to 142",
    criterion=Identity("value", "formula", operations=10**6, each=("quantity",)),
    smoke={"levels": 50, "images": 30},
    full={"data": "mnist", "levels": 400},
    correction=Correction(
        r"The formulas give means over $x_0$ given $x_t$: of the image, $\mathbb{E}[x_0 | x_t]$, and of the posterior "
        r"mean, $\mathbb{E}[\mu_q(x_t, x_0) | x_t]$. No function of $x_t$ gives the image itself.",
        averaged=True,
    ),
)
def score_form_of_mean(seed, *, levels=100, images=100, averaged=False, data="digits"):
    """Both formulas, with the score by differentiating through Keras, against the image that was noised and mu_q.

    The images are a small set of real ones, so that the density at levels 1 to T of a linear schedule is a mixture of
    Gaussians, known exactly. The document takes Tweedie's posterior mean for the image.
    """
    noised, original, points, chain = _noised(seed, levels, images, data)
    running, alpha = chain.running[:, None], chain.alpha[:, None]
    score = _score(noised, points, running)
    if averaged:
        original = _expected_image(noised, points, running)
    found = {
        "image": (original, (noised + (1 - running) * score) / np.sqrt(running)),
        "posterior mean": (
            chain.posterior_mean(noised, original),
            (noised + (1 - alpha) * score) / np.sqrt(alpha),
        ),
    }
    tables = []
    for quantity, (value, formula) in found.items():
        tables.append(pd.DataFrame({"quantity": quantity, "value": value.ravel(), "formula": formula.ravel()}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"For $x_T = x_0 + \sigma\epsilon$, "
    r"$\nabla\log p(x_T) = -\frac{1}{\sigma^2\sqrt{2\pi\sigma^2}}\left(x_T - \mathbb{E}[x_0 | x_T]\right)$.",
    source=notes("Remark 3.77"),
    kind="formula",
    literature="Robbins 1956; Efron 2011",
    criterion=Identity("score", "formula", operations=10**5, each=("sigma",)),
    smoke={"points": 50},
    correction=Correction(
        r"$\nabla\log p(x_T) = -\frac{1}{\sigma^2}\left(x_T - \mathbb{E}[x_0 | x_T]\right)$: the normalisation "
        r"$1/\sqrt{2\pi\sigma^2}$ belongs to $p(x_T | x_0)$, where it is counted already.",
        normalized=False,
    ),
)
def score_from_posterior_mean(seed, *, points=200, sigmas=SIGMAS, normalized=True):
    """Score of noised scalars by differentiating through Keras against the formula with the mean by quadrature.

    The scalars come from random mixtures of three Gaussians, whose noised density is known in closed form; the mean
    given x_T is a sum over a fine grid. The document keeps a factor that it has put into p(x_T | x_0).
    """
    mixture = _mixture(seed)
    tables = []
    for sigma in sigmas:
        x = _noised_scalars(seed, mixture, sigma, points)
        factor = 1 / np.sqrt(2 * np.pi * sigma**2) if normalized else 1.0
        formula = -factor / sigma**2 * (x - _posterior_mean(x, mixture, sigma))
        score = _gradient(lambda x, sigma=sigma: _log_mixture(x, mixture, sigma), x)
        tables.append(pd.DataFrame({"sigma": sigma, "score": score, "formula": formula}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"$\mathbb{E}[x_0 | x_T] = x_T - \nabla\log p(x_T)$: to denoise move along the gradient of $-\log p(x_T)$, which "
    r"gives a higher likelihood.",
    source=notes("Remark 3.77"),
    kind="formula",
    literature="Robbins 1956; Efron 2011",
    criterion=AllOf(
        mean=Identity("posterior_mean", "formula", operations=10**5, each=("sigma",)),
        likelihood=AtLeast("log_density_after", bound="log_density_before", atol=1e-12, each=("sigma",)),
    ),
    smoke={"points": 50},
    correction=Correction(
        r"$\mathbb{E}[x_0 | x_T] = x_T + \sigma^2 \nabla\log p(x_T)$: to denoise move along the gradient of "
        r"$+\log p(x_T)$, by $\sigma^2$ times it.",
        sign=1.0,
        power=2.0,
    ),
)
def denoising_direction(seed, *, points=200, sigmas=SIGMAS, sign=-1.0, power=0.0):
    """Mean of x_0 given x_T by quadrature against x_T + sign sigma^power score, and log p after a small step that way.

    Scalars from random mixtures of three Gaussians, noised; the score by differentiating through Keras. The step is a
    hundredth of sigma^2 times the score, small enough to raise the density wherever it goes uphill. The document loses
    a sign and the variance of the noise when it rearranges the formula.
    """
    mixture = _mixture(seed)
    tables = []
    for sigma in sigmas:
        x = _noised_scalars(seed, mixture, sigma, points)
        score = _gradient(lambda x, sigma=sigma: _log_mixture(x, mixture, sigma), x)
        stepped = x + sign * 0.01 * sigma**2 * score
        before, after = (keras.ops.convert_to_numpy(_log_mixture(place, mixture, sigma)) for place in (x, stepped))
        columns = {
            "posterior_mean": _posterior_mean(x, mixture, sigma),
            "formula": x + sign * sigma**power * score,
            "log_density_before": before,
            "log_density_after": after,
        }
        tables.append(pd.DataFrame({"sigma": sigma, **columns}))
    return pd.concat(tables, ignore_index=True)


@claim(
    "Where data reside in a high-dimensional space, the initial sample of Langevin dynamics is highly likely in a "
    "region of low data density.",
    source=notes("Remark 3.78"),
    kind="tendency",
    literature="Song and Ermon 2019",
    criterion=Equivalent(
        "share_low",
        1.0,
        smallest_difference=0.01,
        because="99 starts in a hundred are highly likely",
        where={"largest": True},
    ),
    smoke={"images": 200, "starts": 100},
    full={"data": "mnist", "sides": (1, 2, 4, 7, 14, 28)},
    control={"sides": (1,)},
)
def langevin_starts_low(seed, *, sides=(1, 2, 4, 8), images=300, starts=400, sigma=0.1, data="digits"):
    """Share of starts whose density is lower than that of 99 % of held-out images, from one pixel to all.

    Images are averaged over squares to fewer pixels, from -1 to 1. Their density is that of some hundred training
    images, noised; starts are uniform over the cube of all possible images. In the control an image is one pixel, its
    mean brightness.
    """
    chosen = load_data(data)
    rows = []
    for side in sides:
        generator = np.random.default_rng(seed)
        train, test = (_averaged(2 * x.astype(float) - 1, side) for x in (chosen.x_train, chosen.x_test))
        points, held_out = (x[generator.choice(len(x), size=images, replace=False)] for x in (train, test))
        uniform = generator.uniform(-1, 1, size=(starts, points.shape[1]))
        noised = held_out + sigma * generator.normal(size=held_out.shape)
        ones = np.ones((1, 1))
        densities = [
            keras.ops.convert_to_numpy(log_density(x, points, ones, sigma**2 * ones)) for x in (noised, uniform)
        ]
        share = (densities[1] < np.quantile(densities[0], 0.01)).mean()
        rows.append({"dimension": points.shape[1], "share_low": share, "largest": side == max(sides)})
    return pd.DataFrame(rows)


def _gradient(function, values):
    """Derivative of each value of a function of the rows, by the rows."""

    def total(values):
        return keras.ops.sum(function(values[0])), ()

    _, _, gradient = value_and_gradient(total, [keras.ops.convert_to_tensor(values)])
    return keras.ops.convert_to_numpy(gradient[0])


def _noised(seed, levels, images, data):
    """Images noised to every level of a linear schedule, the originals, the set they are from, and the schedule."""
    generator, chain = np.random.default_rng(seed), schedule("linear", levels)
    points = images_as_points(data, images, generator)
    original = points[generator.integers(images, size=levels)]
    running = chain.running[:, None]
    return (
        np.sqrt(running) * original + np.sqrt(1 - running) * generator.normal(size=original.shape),
        original,
        points,
        chain,
    )


def _score(noised, points, running):
    return _gradient(lambda x: log_density(x, points, np.sqrt(running), 1 - running), noised)


def _expected_image(noised, points, running):
    return keras.ops.convert_to_numpy(posterior_weights(noised, points, np.sqrt(running), 1 - running)) @ points


def _mixture(seed):
    """Weights, means and deviations of a random mixture of three Gaussians."""
    generator = np.random.default_rng(seed)
    return generator.dirichlet(np.full(3, 5.0)), generator.uniform(-4, 4, size=3), generator.uniform(0.4, 1.2, size=3)


def _noised_scalars(seed, mixture, sigma, points):
    generator, (weights, means, deviations) = np.random.default_rng(seed), mixture
    part = generator.choice(3, size=points, p=weights)
    return means[part] + np.hypot(deviations[part], sigma) * generator.normal(size=points)


def _log_mixture(x, mixture, sigma):
    """Logarithm of the density of the mixture with noise: tensor [points]."""
    weights, means, deviations = mixture
    deviations = np.hypot(deviations, sigma)
    kernels = -keras.ops.square(x[:, None] - means) / (2 * deviations**2)
    return keras.ops.logsumexp(kernels + np.log(weights / deviations), axis=-1) - 0.5 * np.log(2 * np.pi)


def _posterior_mean(x, mixture, sigma):
    """E[x_0 | x_T] by the trapezoidal rule, which is exact to rounding for densities as smooth as these."""
    grid = np.linspace(-16, 16, 6401)
    weights, means, deviations = mixture
    prior = np.exp(log_normal(grid[:, None], means, deviations)) @ weights
    joint = prior * np.exp(log_normal(x[:, None], grid, sigma))
    return joint @ grid / joint.sum(axis=1)


def _averaged(images, side):
    """Average images over squares to side x side pixels: [images, side * side]."""
    count, height, width = images.shape[:3]
    squares = images[..., 0].reshape(count, side, height // side, side, width // side)
    return squares.mean(axis=(2, 4)).reshape(count, -1)
