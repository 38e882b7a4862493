"""What the divergence of a reverse step asks of a network that predicts the image, the noise or the score."""

from __future__ import annotations

from functools import partial

import numpy as np
from etils import epy

from repro import Correction, Identity, claim, notes
from repro.claims.diffusion._processes import images_as_points, log_density, posterior_weights, random_network, schedule
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras

DIVERGENCE = r"$D(q(x_{t-1}|x_t,x_0) \| p_\theta(x_{t-1}|x_t))$"
SAME_GRADIENT = Identity("of_divergence", "of_error", operations=10**6)


def gradients(seed, *, prediction="image", averaged=False, mean_of_noised=True, levels=100, images=100, data="digits"):
    """Gradients of the divergence and of the documented error with respect to the outputs of a Keras network.

    The network sees images of a small set of real ones, noised to the levels 2 to T of a linear schedule; what it puts
    out makes the mean of a Gaussian reverse step, of the posterior's variance. Both gradients are by Keras' backend in
    double precision; if they agree at every output, the arg min over weights is the same, whatever the network. Every
    level counts alike: both are divided by the size of the second.
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
    known = np.eye(images)[chosen]
    if averaged:
        known = posterior_weights(noised, points, np.sqrt(running), 1 - running)
    of_image = (np.sqrt(before) * beta / (1 - running))[..., None] * points
    of_noised = (np.sqrt(alpha) * (1 - before) / (1 - running) * noised)[:, None]
    q = of_image + of_noised + (0 if mean_of_noised else of_noised)

    def divergence(outputs):
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

    left, right = (_gradient(function, output) for function in (divergence, error))
    size = np.linalg.norm(right, axis=1, keepdims=True)
    return {"of_divergence": (left / size).ravel(), "of_error": (right / size).ravel()}


@claim(
    rf"The arg min over $\theta$ of {DIVERGENCE} is that of "
    r"$\frac{\bar\alpha_{t-1}(1 - \alpha_t)^2}{2\sigma_q^2(t)(1 - \bar\alpha_t)^2}\|\hat x_\theta(x_t, t) - x_0\|^2$.",
    source=notes("Remark 3.74"),
    kind="formula",
    literature="Luo 2022, equations 95 to 99",
    reads=partial(gradients, prediction="image"),
    criterion=SAME_GRADIENT,
    smoke={"levels": 50, "images": 30},
    full={"data": "mnist", "levels": 400},
    control={"mean_of_noised": False},
)
def loss_x0(observations):
    """The network predicts the image. In the control the reverse step's mean lacks its part of the noised image."""
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
    control={"mean_of_noised": False},
)
def loss_noise(observations):
    """The network predicts the noise. In the control the reverse step's mean lacks its part of the noised image."""
    return observations


@claim(
    rf"The arg min over $\theta$ of {DIVERGENCE} is that of "
    r"$\frac{(1 - \alpha_t)^2}{2\sigma_q^2(t)\alpha_t}\|s_\theta(x_t, t) - \nabla\log p(x_t)\|^2$.",
    source=notes("Remark 3.76"),
    kind="formula",
    root="posterior_mean_for_image",
    literature="Vincent 2011 on the expectation that makes them the same",
    reads=partial(gradients, prediction="score"),
    criterion=SAME_GRADIENT,
    smoke={"levels": 50, "images": 30},
    full={"data": "mnist", "levels": 400},
    correction=Correction(
        r"The divergence for one image $x_0$ asks for the score given that image, $\nabla\log q(x_t | x_0)$. Averaged "
        r"over the images that may have led to $x_t$ it differs from the weighted error of $\nabla\log p(x_t)$ by a "
        r"constant, and has its arg min.",
        averaged=True,
    ),
)
def loss_score(observations):
    """The network predicts the score; the error is to the score of the density of all noised images, which is exact.

    The density of noised images of the set is a mixture of Gaussians. The document puts the mean of x_0 given x_t where
    the image itself belongs, and leaves out the expectation under which that makes no difference.
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
