"""The score: Tweedie's formula and what the documents make of it."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, Boundary, Correction, Equivalent, Identity, claim, notes
from repro.claims.diffusion._processes import images_as_points, log_density, log_normal, posterior_weights, schedule
from repro.engine import load_data
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras

SIGMAS = (0.25, 0.5, 1.0, 2.0)
IMAGE, MEAN = {"quantity": "image"}, {"quantity": "posterior mean"}


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
    r"Tweedie's formula and the reparametrisation, both solved for $x_0$, give "
    r"$\nabla \log p(x_t) = -\epsilon_0 / \sqrt{1 - \bar\alpha_t}$.",
    source=notes("Remark 3.76"),
    kind="formula",
    scope="p(x_t) is the marginal density; x_0 is the best estimate in the one expression and the image in the other",
    root="posterior_mean_for_image",
    literature="Vincent 2011; Song et al. 2021",
    criterion=Identity("score", "scaled_noise", operations=10**5),
    smoke={"levels": 50, "images": 30},
    full={"data": "mnist", "levels": 400},
    correction=Correction(
        r"The score of the marginal density is the expected noise, $\nabla \log p(x_t) = "
        r"-\mathbb{E}[\epsilon_0 | x_t] / \sqrt{1 - \bar\alpha_t}$; the noise that was drawn gives the score given the "
        r"image, $\nabla \log q(x_t | x_0)$.",
        criterion=AllOf(
            expected=Identity("score", "expected_noise", operations=10**5),
            given_image=Identity("score_given_image", "scaled_noise", operations=10**5),
        ),
    ),
)
def score_is_scaled_noise(seed, *, levels=100, images=100, data="digits"):
    """Scores of noised images by differentiating log-densities through Keras, against the noise over its size.

    The images are a small set of real ones, so that the marginal density at levels 1 to T of a linear schedule is a
    mixture of Gaussians, known exactly; given the image it is one of them. Compared are the marginal score with the
    noise that was drawn, as printed, and with its mean over the images that may have led to x_t; and the score given
    the image with the noise that was drawn. That they differ follows without numbers: the left side is a function of
    x_t, and the right side takes as many values at one x_t as there are images (Vincent 2011 on what averages out).
    """
    noised, original, points, chain = _noised(seed, levels, images, data)
    running = chain.running[:, None]
    spread = np.sqrt(1 - running)
    estimate = _expected_image(noised, points, running)
    drawn, expected = (-(noised - np.sqrt(running) * image) / spread**2 for image in (original, estimate))
    given = _gradient(
        lambda x: -keras.ops.sum(keras.ops.square((x - np.sqrt(running) * original) / spread), axis=-1) / 2, noised
    )
    columns = {
        "score": _score(noised, points, running),
        "score_given_image": given,
        "scaled_noise": drawn,
        "expected_noise": expected,
    }
    return {name: values.ravel() for name, values in columns.items()}


@claim(
    r"By Tweedie's formula the best estimate of the true mean $\sqrt{\bar\alpha_t}\, x_0$ is "
    r"$x_t + (1 - \bar\alpha_t)\nabla\log p(x_t)$; hence $x_0$ is that over $\sqrt{\bar\alpha_t}$, and put into the "
    r"posterior's mean it gives $\mu_q(x_t, x_0) = \frac{1}{\sqrt{\alpha_t}} x_t + "
    r"\frac{1 - \alpha_t}{\sqrt{\alpha_t}} \nabla\log p(x_t)$.",
    source=notes("Remark 3.76"),
    kind="formula",
    scope="x_0 as the best estimate, E[x_0 | x_t], which the passage names before it writes x_0",
    root="posterior_mean_for_image",
    literature="Efron 2011; Luo 2022, whom the notes follow",
    criterion=AllOf(
        image_estimated=Identity("estimate", "formula", operations=10**6, where=IMAGE),
        mean_with_estimate=Identity("estimate", "formula", operations=10**6, where=MEAN),
        image_drawn=Identity("drawn", "formula", operations=10**6, where=IMAGE),
        mean_with_drawn=Identity("drawn", "formula", operations=10**6, where=MEAN),
    ),
    boundary=Boundary(
        "where x_0 is the best estimate of the image, not the image that was noised",
        holds="part == 'image_estimated' or part == 'mean_with_estimate'",
        assumption="Efron 2011: Tweedie's formula is one for the posterior mean",
    ),
    smoke={"levels": 50, "images": 30},
    full={"data": "mnist", "levels": 400},
    control={"halved": True},
)
def score_form_of_mean(seed, *, levels=100, images=100, halved=False, data="digits"):
    """Both formulas, with the score by differentiating through Keras, against the estimated and the drawn image.

    The images are a small set of real ones, so that the density at levels 1 to T of a linear schedule is a mixture of
    Gaussians, known exactly, and the best estimate of the image a mean over the set. With it the formulas are compared
    with E[x_0 | x_t] and with the posterior's mean for it; and as they are written, with the image that was noised.
    No function of x_t is that image. The control has half of the score.
    """
    noised, original, points, chain = _noised(seed, levels, images, data)
    running, alpha = chain.running[:, None], chain.alpha[:, None]
    score = _score(noised, points, running) * (0.5 if halved else 1.0)
    expected = _expected_image(noised, points, running)
    found = {
        "image": (expected, original, (noised + (1 - running) * score) / np.sqrt(running)),
        "posterior mean": (
            chain.posterior_mean(noised, expected),
            chain.posterior_mean(noised, original),
            (noised + (1 - alpha) * score) / np.sqrt(alpha),
        ),
    }
    tables = []
    for quantity, values in found.items():
        columns = dict(zip(("estimate", "drawn", "formula"), map(np.ravel, values), strict=True))
        tables.append(pd.DataFrame(columns).assign(quantity=quantity))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"For $x_T = x_0 + \sigma\epsilon$, "
    r"$\nabla\log p(x_T) = -\frac{1}{\sigma^2\sqrt{2\pi\sigma^2}}\left(x_T - \mathbb{E}[x_0 | x_T]\right)$.",
    source=notes("Remark 3.77"),
    kind="formula",
    literature="Robbins 1956; Efron 2011",
    scope="one dimension, x_0 of any density, standard normal noise",
    criterion=AllOf(
        direction=Identity("direction_of_score", "direction_of_formula"),
        size=Identity("size_of_score", "size_of_formula", operations=10**5),
    ),
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
    given x_T is a sum over a fine grid. Direction and size are compared apart, for sigma from a quarter to two. The
    document keeps a factor that it has put into p(x_T | x_0) in the line before; it is one for sigma = 0.399 only. For
    a standard normal x_0 both sides are known by hand: the score is -x_T / (1 + sigma^2), and x_T - E[x_0 | x_T] =
    sigma^2 x_T / (1 + sigma^2).
    """
    mixture = _mixture(seed)
    tables = []
    for sigma in sigmas:
        x = _noised_scalars(seed, mixture, sigma, points)
        factor = 1 / np.sqrt(2 * np.pi * sigma**2) if normalized else 1.0
        formula = -factor / sigma**2 * (x - _posterior_mean(x, mixture, sigma))
        score = _gradient(lambda x, sigma=sigma: _log_mixture(x, mixture, sigma), x)
        columns = {
            f"{what}_of_{side}": function(values)
            for side, values in (("score", score), ("formula", formula))
            for what, function in (("direction", np.sign), ("size", np.abs))
        }
        tables.append(pd.DataFrame({"sigma": sigma, **columns}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"$\mathbb{E}[x_0 | x_T] = x_T - \nabla\log p(x_T)$: to denoise move along the gradient of $-\log p(x_T)$, which "
    r"gives a higher likelihood.",
    source=notes("Remark 3.77"),
    kind="formula",
    scope="x_T = x_0 + sigma epsilon in one dimension; the network's output stands for the mean of x_0 given x_T",
    literature="Robbins 1956; Efron 2011",
    criterion=AllOf(
        direction=Identity("direction_of_mean", "direction_of_formula"),
        size=Identity("size_of_mean", "size_of_formula", operations=10**5),
        likelihood=AtLeast("log_density_after", bound="log_density_before", atol=1e-12),
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

    Scalars from random mixtures of three Gaussians, noised by sigma from a quarter to two; the score by differentiating
    through Keras. Direction and size of the way from x_T to the mean are compared apart. The step is a hundredth of
    sigma^2 times the score, small enough to raise the density wherever it goes uphill. The document loses a sign and
    the variance of the noise when it rearranges the formula; the size is right where sigma is one. For a standard
    normal x_0, by hand: the mean is x_T / (1 + sigma^2), the score -x_T / (1 + sigma^2).
    """
    mixture = _mixture(seed)
    tables = []
    for sigma in sigmas:
        x = _noised_scalars(seed, mixture, sigma, points)
        score = _gradient(lambda x, sigma=sigma: _log_mixture(x, mixture, sigma), x)
        stepped = x + sign * 0.01 * sigma**2 * score
        before, after = (keras.ops.convert_to_numpy(_log_mixture(place, mixture, sigma)) for place in (x, stepped))
        ways = {"mean": _posterior_mean(x, mixture, sigma) - x, "formula": sign * sigma**power * score}
        columns = {
            **{f"direction_of_{name}": np.sign(way) for name, way in ways.items()},
            **{f"size_of_{name}": np.abs(way) for name, way in ways.items()},
            "log_density_before": before,
            "log_density_after": after,
        }
        tables.append(pd.DataFrame({"sigma": sigma, **columns}))
    return pd.concat(tables, ignore_index=True)


@claim(
    "Where data reside in a high-dimensional space, the initial sample of Langevin dynamics is highly likely in a "
    "region of low density.",
    source=notes("Remark 3.78"),
    kind="tendency",
    scope="initial samples from a prior that ignores the data; left open: that prior",
    left_open=("prior",),
    literature="Song and Ermon 2019",
    criterion=Equivalent(
        "share_low",
        1.0,
        smallest_difference=0.1,
        source="Mastrandrea et al. 2010, guidance of the IPCC: very likely is a probability of 90 to 100 %",
        each=("prior",),
        where={"largest": True},
    ),
    smoke={"images": 200, "starts": 100},
    full={"data": "mnist", "sides": (1, 2, 4, 7, 14, 28)},
    control={"from_data": True},
    seeds=48,
)
def langevin_starts_low(seed, *, sides=(1, 2, 4, 8), images=300, starts=400, sigma=0.1, from_data=False, data="digits"):
    """Share of starts whose density is lower than that of 99 % of held-out images, from one pixel to all of them.

    Images are averaged over squares to fewer pixels, from -1 to 1, so that the share is seen to grow with the
    dimension; the largest decides. Their density is that of some hundred training images, noised by sigma. Starts are
    uniform over the cube of all possible images, or normal with the mean and the variance of each pixel. In the control
    they are held-out images, noised as those are which the density is compared with.

    "Highly likely" is taken for nine in ten at least. The IPCC's scale, from which the number is, does not have these
    words; it has "very likely", from 90 % on. The yardstick of British intelligence assessment (PHIA) has them, for 80
    to 90 %, so that nine in ten is the stricter reading.
    """
    chosen = load_data(data)
    rows = []
    for side in sides:
        generator = np.random.default_rng(seed)
        train, test = (_averaged(2 * x.astype(float) - 1, side) for x in (chosen.x_train, chosen.x_test))
        points, held_out = (x[generator.choice(len(x), size=images, replace=False)] for x in (train, test))
        of_data = {name: test[generator.choice(len(test), size=starts)] for name in ("uniform", "normal")}
        noise = sigma * generator.normal(size=(3, max(images, starts), points.shape[1]))
        priors = {
            "uniform": generator.uniform(-1, 1, size=(starts, points.shape[1])),
            "normal": generator.normal(points.mean(axis=0), points.std(axis=0), size=(starts, points.shape[1])),
        }
        low = np.quantile(_density(held_out + noise[0, :images], points, sigma), 0.01)
        for index, (prior, x) in enumerate(priors.items(), start=1):
            first = of_data[prior] + noise[index, :starts] if from_data else x
            share = (_density(first, points, sigma) < low).mean()
            dimension = points.shape[1]
            rows.append({"dimension": dimension, "prior": prior, "share_low": share, "largest": side == max(sides)})
    return pd.DataFrame(rows)


def _density(x, points, sigma):
    """Logarithm of the density of points with noise."""
    ones = np.ones((1, 1))
    return keras.ops.convert_to_numpy(log_density(x, points, ones, sigma**2 * ones))


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
