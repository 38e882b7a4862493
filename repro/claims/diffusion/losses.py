"""What the divergence of a reverse step asks of a network that predicts the image, the noise or the score."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Identity, Rival, claim, notes
from repro.claims.diffusion._processes import images_as_points, log_density, posterior_weights, random_network, schedule
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras

DIVERGENCE = r"$D(q(x_{t-1}|x_t,x_0) \| p_\theta(x_{t-1}|x_t))$"
SAME_GRADIENT = Identity("of_divergence", "of_error", operations=10**6)
OF_RIVAL = Identity("of_divergence", "of_rival", operations=10**6)


def gradients(seed, *, prediction="image", levels=100, images=100, data="digits"):
    """Gradients of the divergence and of the documented error with respect to the outputs of a Keras network.

    The network sees images of a small set of real ones, noised to the levels 2 to T of a linear schedule; what it puts
    out makes the mean of a Gaussian reverse step, of the posterior's variance. Both gradients are by Keras' backend in
    double precision; if they agree at every output, so have all weights the same arg min, whatever the network, and the
    factor is right, which counts as soon as levels are added up. Every level counts alike: gradients are divided by the
    size of that of the error.
    """
    generator, chain = np.random.default_rng(seed), schedule("linear", levels)
    points = images_as_points(data, images, generator)
    pixels = points.shape[1]
    columns = chain.after_first()
    beta, alpha, running, before, variance = columns
    chosen = generator.integers(images, size=levels - 1)
    noise = generator.normal(size=(levels - 1, pixels))
    noised = np.sqrt(running) * points[chosen] + np.sqrt(1 - running) * noise
    output = random_network(pixels, pixels, seed)(noised)
    of_image = (np.sqrt(before) * beta / (1 - running))[..., None] * points
    of_noised = (np.sqrt(alpha) * (1 - before) / (1 - running) * noised)[:, None]
    q = of_image + of_noised

    def divergence(outputs, known):
        mean = _reverse_mean(prediction, outputs[0], noised, columns)
        distances = keras.ops.sum(keras.ops.square(q - mean[:, None]), axis=-1) / (2 * variance)
        return keras.ops.sum(known * distances), ()

    target = {"image": points[chosen], "noise": noise}.get(prediction)
    if target is None:
        target = _score(noised, points, running)
    weight = {
        "image": before * (1 - alpha) ** 2 / (2 * variance * (1 - running) ** 2),
        "noise": (1 - alpha) ** 2 / (2 * variance * (1 - running) * alpha),
        "score": (1 - alpha) ** 2 / (2 * variance * alpha),
    }[prediction]

    def error(outputs):
        return keras.ops.sum(weight * keras.ops.square(outputs[0] - target)), ()

    right = _gradient(error, output)
    size = np.linalg.norm(right, axis=1, keepdims=True)
    # Given one image, or averaged over the images that may have led to the noised one.
    weights = {"one image": np.eye(images)[chosen]}
    if prediction == "score":
        weights["averaged"] = posterior_weights(noised, points, np.sqrt(running), 1 - running)
    factor = 1 / (1 - running) if prediction == "image" else alpha
    tables = []
    for over, known in weights.items():
        left = _gradient(partial(divergence, known=known), output)
        found = {"of_divergence": left / size, "of_error": right / size, "of_rival": factor * right / size}
        tables.append(pd.DataFrame({name: values.ravel() for name, values in found.items()}).assign(over=over))
    return pd.concat(tables, ignore_index=True)


@claim(
    rf"The arg min over $\theta$ of {DIVERGENCE} is that of "
    r"$\frac{\bar\alpha_{t-1}(1 - \alpha_t)^2}{2\sigma_q^2(t)(1 - \bar\alpha_t)^2}\|\hat x_\theta(x_t, t) - x_0\|^2$.",
    source=notes("Remark 3.74"),
    kind="formula",
    literature="Luo 2022, whom the notes follow",
    reads=partial(gradients, prediction="image"),
    criterion=SAME_GRADIENT,
    smoke={"levels": 50, "images": 30},
    full={"data": "mnist", "levels": 400},
    scope="p Gaussian with the posterior's variance, and its mean with the network's image for x_0",
    rival=Rival(r"The power of $1 - \bar\alpha_t$ is three in place of two.", criterion=OF_RIVAL),
)
def loss_x0(observations):
    """The network predicts the image. The rival has one more power of 1 - alpha bar."""
    return observations


@claim(
    rf"The arg min over $\theta$ of {DIVERGENCE} is that of "
    r"$\frac{(1 - \alpha_t)^2}{2\sigma_q^2(t)(1 - \bar\alpha_t)\alpha_t}"
    r"\|\epsilon_0 - \hat\epsilon_\theta(x_t, t)\|^2$.",
    source=notes("Remark 3.75"),
    kind="formula",
    literature="Ho et al. 2020, equation 12",
    reads=partial(gradients, prediction="noise"),
    criterion=SAME_GRADIENT,
    smoke={"levels": 50, "images": 30},
    full={"data": "mnist", "levels": 400},
    scope="p Gaussian with the posterior's variance, and its mean with the network's noise",
    rival=Rival(r"The factor lacks $\alpha_t$ in its denominator.", criterion=OF_RIVAL),
)
def loss_noise(observations):
    """The network predicts the noise. The rival leaves alpha_t out of the weight."""
    return observations


@claim(
    rf"The arg min over $\theta$ of {DIVERGENCE} is that of "
    r"$\frac{(1 - \alpha_t)^2}{2\sigma_q^2(t)\alpha_t}\|s_\theta(x_t, t) - \nabla\log p(x_t)\|^2$.",
    source=notes("Remark 3.76"),
    kind="formula",
    scope="an arg min over data; the expectation over x_0 and x_t, which the line does not print, is that of the "
    "objective; the target comes from the best estimate put for x_0",
    root="posterior_mean_for_image",
    literature="Vincent 2011 on the expectation that makes them the same",
    reads=partial(gradients, prediction="score"),
    criterion=AllOf(
        averaged=Identity("of_divergence", "of_error", operations=10**6, where={"over": "averaged"}),
        one_image=Identity("of_divergence", "of_error", operations=10**6, where={"over": "one image"}),
    ),
    boundary=Boundary(
        "where the divergence is averaged over the images that may have led to x_t",
        holds="part == 'averaged'",
        assumption="Vincent 2011: score matching and denoising score matching differ by a constant in expectation",
    ),
    smoke={"levels": 50, "images": 30},
    full={"data": "mnist", "levels": 400},
    rival=Rival(
        r"The factor lacks $\alpha_t$ in its denominator.",
        criterion=Identity("of_divergence", "of_rival", operations=10**6, where={"over": "averaged"}),
    ),
)
def loss_score(observations):
    """The network predicts the score; the error is to the score of the density of all noised images, which is exact.

    The density of noised images of the set is a mixture of Gaussians. Averaged over the images, weighted by how
    likely each led to x_t, the divergence has the gradient of the error. For a single image it asks for the score given
    that image: the document puts the mean of x_0 given x_t where the image itself belongs, and leaves out the
    expectation under which that makes no difference. The rival leaves alpha_t out of the weight.
    """
    return observations


def _reverse_mean(prediction, output, noised, columns):
    beta, alpha, running, before, _ = columns
    if prediction == "image":
        return (np.sqrt(alpha) * (1 - before) * noised + np.sqrt(before) * beta * output) / (1 - running)
    factor = beta / np.sqrt(alpha)
    return noised / np.sqrt(alpha) + output * (factor if prediction == "score" else -factor / np.sqrt(1 - running))


def _score(noised, points, running):
    def density(values):
        return keras.ops.sum(log_density(values[0], points, np.sqrt(running), 1 - running)), ()

    return _gradient(density, noised)


def _gradient(function, values):
    _, _, gradient = value_and_gradient(function, [keras.ops.convert_to_tensor(values)])
    return keras.ops.convert_to_numpy(gradient[0])
