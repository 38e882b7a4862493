"""Training to denoise: what the network predicts."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Identity, Rival, claim, notes
from repro.claims.diffusion._processes import images_as_points, log_density, posterior_weights, random_network, schedule
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras


def _same(what):
    """The image and the score against the noise, in gradients or in optima."""
    return {
        f"{of}_{what}": Identity(what, f"{what}_of_noise", operations=10**5, where={"of": of, "compared": what})
        for of in ("image", "score")
    }


@claim(
    r"Learning to predict the image $x_0$ is equivalent to learning to predict the noise $\epsilon_0$, another "
    r"equivalent parameterisation of the consistency term, "
    r"$\frac{\bar\alpha_{t-1}(1-\alpha_t)^2}{2\sigma_q^2(1-\bar\alpha_t)^2}\|\hat x - x_0\|^2$ and "
    r"$\frac{(1-\alpha_t)^2}{2\sigma_q^2(1-\bar\alpha_t)\alpha_t}\|\epsilon_0 - \hat\epsilon\|^2$; the score gives a "
    r"further one, $\frac{(1-\alpha_t)^2}{2\sigma_q^2\alpha_t}\|s - \nabla\log p\|^2$.",
    source=notes("Remarks 3.74-3.76"),
    kind="formula",
    scope="objectives with the printed weights, in expectation over the data; how trained networks perform is another "
    "matter, of which the passage says so itself",
    literature="Ho et al. 2020; Luo 2022; Vincent 2011 for the score; Salimans and Ho 2022 on how the trainings differ",
    criterion=AllOf(**_same("gradient"), **_same("optimum")),
    smoke={"rows": 20},
    full={"data": "mnist", "levels": 1000},
    control={"weighted": False},
    rival=Rival(
        r"The weight of the image has $\bar\alpha_t$ in place of $\bar\alpha_{t-1}$.",
        criterion=Identity(
            "rival", "gradient_of_noise", operations=10**5, where={"of": "image", "compared": "gradient"}
        ),
    ),
    tags=("headline",),
)
def losses_equivalent(seed, *, levels=100, population=50, rows=100, weighted=True, data="digits"):
    """Gradients of one Keras network under the three weighted losses, and the predictions that minimise them.

    In double precision; a small set of real images is all the data, so that the expectation over the images that may
    have led to a noised one is a sum over the set. Gradients: one network's output is taken for the noise and converted
    to the image and to the score; the expected losses are added up over images noised to random levels 2 to T of a
    linear schedule, and differentiated by the weights through Keras. Optima: the image and the noise that minimise the
    expected loss at a noised image are means over the set, the score is the gradient of the log density, by Keras;
    converted to noise they must be the same. The rival shifts an index in one weight; the control drops the weights.
    """
    generator, chain = np.random.default_rng(seed), schedule("linear", levels)
    points = images_as_points(data, population, generator)
    level = generator.integers(1, levels, size=rows)
    alpha, running, before = (values[level][:, None] for values in (chain.alpha, chain.running, chain.before))
    signal, spread = np.sqrt(running), np.sqrt(1 - running)
    noised = signal * points[generator.integers(population, size=rows)]
    noised = noised + spread * generator.normal(size=noised.shape)
    weights = keras.ops.convert_to_numpy(posterior_weights(noised, points, signal, spread**2))
    noises = (noised[:, None] - signal[..., None] * points) / spread[..., None]
    score = _score(noised, points, signal, spread**2)
    factor = (1 - alpha) ** 2 / (2 * chain.posterior_variance[level][:, None])
    of_image = factor / (1 - running) ** 2

    def image(noise):
        return (noised - spread * noise) / signal

    losses = {
        "noise": (factor / ((1 - running) * alpha), lambda noise: _expected(weights, noises - noise[:, None])),
        "image": (before * of_image, lambda noise: _expected(weights, points - image(noise)[:, None])),
        "rival": (running * of_image, lambda noise: _expected(weights, points - image(noise)[:, None])),
        "score": (factor / alpha, lambda noise: keras.ops.sum(keras.ops.square(score + noise / spread), axis=-1)),
    }
    inputs = np.hstack([noised, np.log(spread)])
    found = {
        name: _gradient(seed, inputs, weight[:, 0] if weighted else np.ones(rows), loss)
        for name, (weight, loss) in losses.items()
    }
    columns = {"gradient_of_noise": found["noise"], "rival": found["rival"]}
    tables = [
        pd.DataFrame({"of": of, "compared": "gradient", "gradient": found[of], **columns}) for of in ("image", "score")
    ]
    expected_noise = np.einsum("np,npd->nd", weights, noises)
    for of, converted in (("image", (noised - signal * (weights @ points)) / spread), ("score", -spread * score)):
        optimum = {"optimum": converted.ravel(), "optimum_of_noise": expected_noise.ravel()}
        tables.append(pd.DataFrame({"of": of, "compared": "optimum", **optimum}))
    return pd.concat(tables, ignore_index=True)


def _expected(weights, differences):
    """Squared norms of differences [n, points, pixels], averaged over the points."""
    return keras.ops.sum(weights * keras.ops.sum(keras.ops.square(differences), axis=-1), axis=-1)


def _gradient(seed, inputs, weight, loss):
    """Gradient of a weighted loss of the network's output by all of its weights."""
    model = random_network(inputs.shape[1], inputs.shape[1] - 1, seed)

    def total(values):
        return keras.ops.sum(weight * loss(model.stateless_call(values, [], inputs)[0])), ()

    _, _, gradient = value_and_gradient(
        total, [keras.ops.convert_to_tensor(values.numpy()) for values in model.weights]
    )
    return np.concatenate([np.ravel(keras.ops.convert_to_numpy(part)) for part in gradient])


def _score(noised, points, signal, variance):
    def density(values):
        return keras.ops.sum(log_density(values[0], points, signal, variance)), ()

    _, _, (gradient,) = value_and_gradient(density, [keras.ops.convert_to_tensor(noised)])
    return keras.ops.convert_to_numpy(gradient)
