"""Training to denoise: what the network predicts."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Identity, Ratio, Rival, claim, notes
from repro.claims.diffusion._processes import schedule
from repro.claims.diffusion._trained import weighted_squared_error
from repro.engine import Record, ValidatedArm, build_seeded, compare_arms, horizons, load_data, train
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras

PREDICTIONS = ("image", "noise", "score")
LEVEL_FEATURES = 12
ONE_NETWORK, POPULATION, TRAINED = "one network", "population optimum", "trained networks"


@claim(
    r"Learning to predict the image $x_0$ is equivalent to learning to predict the noise $\epsilon_0$, another "
    r"equivalent parameterisation of the consistency term, "
    r"$\frac{\bar\alpha_{t-1}(1-\alpha_t)^2}{2\sigma_q^2(1-\bar\alpha_t)^2}\|\hat x - x_0\|^2$ and "
    r"$\frac{(1-\alpha_t)^2}{2\sigma_q^2(1-\bar\alpha_t)\alpha_t}\|\epsilon_0 - \hat\epsilon\|^2$; the score gives a "
    r"further one, $\frac{(1-\alpha_t)^2}{2\sigma_q^2\alpha_t}\|s - \nabla\log p\|^2$.",
    source=notes("Remarks 3.74-3.76"),
    kind="formula",
    scope="objectives with the printed weights, that of the score in expectation over the data; trained networks are "
    "another matter, of which the passage says so itself",
    left_open=("prediction", "compared", "of"),
    literature="Ho et al. 2020; Luo 2022; Vincent 2011 for the score; Salimans and Ho 2022 on how the trainings differ",
    criterion=AllOf(
        gradients=Identity(
            "gradient", "noise_gradient", operations=4096, each=("compared", "of"), where={"compared": ONE_NETWORK}
        ),
        optimum=Identity(
            "optimum", "converted", operations=4096, each=("compared", "of"), where={"compared": POPULATION}
        ),
        image=Ratio(
            "test_loss",
            of="image",
            than="noise",
            by="prediction",
            expected=1.0,
            within=1.05,
            each=("compared", "steps"),
            where={"compared": TRAINED},
        ),
        score=Ratio(
            "test_loss",
            of="score",
            than="noise",
            by="prediction",
            expected=1.0,
            within=1.05,
            each=("compared", "steps"),
            where={"compared": TRAINED},
        ),
    ),
    boundary=Boundary(
        "as objectives: of one network, and in their optimum",
        holds=f"compared != '{TRAINED}'",
        named=({"compared": ONE_NETWORK}, {"compared": POPULATION}),
    ),
    smoke={"steps": 200, "draws": 3, "width": 64, "rates": (0.003,)},
    full={"data": "mnist", "steps": 50_000, "draws": 5, "width": 512, "levels": 1000},
    control={"weighted": False},
    rival=Rival(
        r"The weight of the image has $\bar\alpha_t$ in place of $\bar\alpha_{t-1}$.",
        criterion=Identity("rival_gradient", "noise_gradient", operations=4096, where={"compared": ONE_NETWORK}),
    ),
    tags=("headline",),
    seeds=16,
)
def losses_equivalent(
    seeds,
    *,
    levels=100,
    steps=1000,
    draws=8,
    batch_size=128,
    width=128,
    rates=(0.0003, 0.001, 0.003, 0.01),
    weighted=True,
    data="digits",
):
    """Compares the three weighted losses: gradients, optima, and what networks that train on them come to.

    One network: in double precision, its output taken for the noise and converted to the image and to the score; its
    gradients under the three losses, on one batch, must be the same (200 components drawn at random). Population: of
    fifty images, at a random level and noised image, the image and noise that minimise the expected loss are means over
    the posterior, the score is the gradient of the log density, by Keras; converted to one another they must be equal.
    Trained networks, which are shown and do not decide: three Keras networks on noised digits, each putting out what it
    predicts, at the learning rate of the least loss on held-out images; all three test losses are the same consistency
    term, averaged over levels 2 to T of a linear schedule. Each seed redraws noise and levels. The control drops the
    weights.
    """
    images, chain = load_data(data).flat(), schedule("linear", levels)
    noised = partial(_noised, chain=chain, draws=draws, weighted=weighted)
    gradients = [_gradients(seed, images, chain, weighted) for seed in seeds]
    optima = [_optima(seed, images, chain) for seed in seeds]
    arms = {
        prediction: ValidatedArm(
            *(
                partial(
                    train,
                    denoiser,
                    lambda seed, chosen=chosen, prediction=prediction: noised(chosen, seed, prediction),
                    loss=weighted_squared_error,
                    optimizer=keras.optimizers.Adam(),
                    steps=steps,
                    batch_size=batch_size,
                    record=Record(every=steps // 2),
                    pixels=images.x_train.shape[1],
                    width=width,
                    output=prediction,
                    prediction=prediction,
                )
                for chosen in (images, images.held_out(0.2, 0))
            )
        )
        for prediction in PREDICTIONS
    }
    space = {"learning_rate": list(rates)}
    trained = compare_arms(arms, space, len(rates), seeds, by="prediction", objective="validation_loss", widen=1)
    observations = pd.concat([*gradients, *optima, horizons(trained).assign(compared=TRAINED)], ignore_index=True)
    observations.attrs = trained.attrs
    return observations


def denoiser(*, pixels, output, prediction, width=128, dtype="float32"):
    """Build a network that puts out one quantity and predicts another.

    Inputs are rows of ``_noised``: the noised image, the scales of image and of noise, and features of the level.
    """
    inputs = keras.Input((pixels + 2 + LEVEL_FEATURES,), dtype=dtype)
    signal = inputs
    for _ in range(2):
        signal = keras.layers.Dense(width, activation="swish", dtype=dtype)(signal)
    put_out = keras.layers.Dense(pixels, dtype=dtype)(signal)
    if output == prediction:
        return keras.Model(inputs, put_out)
    noised, image_scale, noise_scale = (
        inputs[:, :pixels],
        inputs[:, pixels : pixels + 1],
        inputs[:, pixels + 1 : pixels + 2],
    )
    convert = {
        ("noise", "image"): lambda noise: (noised - noise_scale * noise) / image_scale,
        ("noise", "score"): lambda noise: -noise / noise_scale,
    }
    return keras.Model(inputs, convert[output, prediction](put_out))


def _noised(images, seed, prediction, *, chain, draws, weighted, dtype="float32"):
    """Noise every image to several random levels, the same for every prediction.

    Returns:
        ``x_train`` and ``x_test`` [examples, pixels + 2 + features] as ``denoiser`` takes them; ``y_train`` and
        ``y_test`` [examples, pixels + 1]: what is to be predicted, and the weight of its squared error.
    """
    alpha, running = chain.alpha, chain.running
    generator = np.random.default_rng(seed)
    arrays = {}
    for split, x in (("train", images.x_train), ("test", images.x_test)):
        original = np.tile(2 * x - 1, (draws, 1)).astype(float)
        level = generator.integers(1, len(alpha), size=len(original))
        noise = generator.normal(size=original.shape)
        a, product, before = (values[:, None] for values in (alpha[level], running[level], running[level - 1]))
        noised = np.sqrt(product) * original + np.sqrt(1 - product) * noise
        variance = (1 - a) * (1 - before) / (1 - product)
        target, weight = {
            "image": (original, before * (1 - a) ** 2 / (1 - product) ** 2),
            "rival": (original, product * (1 - a) ** 2 / (1 - product) ** 2),
            "noise": (noise, (1 - a) ** 2 / ((1 - product) * a)),
            "score": (-noise / np.sqrt(1 - product), (1 - a) ** 2 / a),
        }[prediction]
        phase = np.pi * (level[:, None] / len(alpha)) * 2.0 ** np.arange(LEVEL_FEATURES // 2)
        rows = np.hstack([noised, np.sqrt(product), np.sqrt(1 - product), np.sin(phase), np.cos(phase)])
        targets = np.hstack([target, weight / (2 * variance) if weighted else np.ones_like(weight)])
        arrays |= {f"x_{split}": rows.astype(dtype), f"y_{split}": targets.astype(dtype)}
    return SimpleNamespace(**arrays)


def _gradients(seed, images, chain, weighted, batch=64, components=200):
    """Gradients of the three losses of one network, and of a rival, in double precision."""
    found = {}
    for prediction in (*PREDICTIONS, "rival"):
        sample = _noised(images, seed, prediction, chain=chain, draws=1, weighted=weighted, dtype="float64")
        network = {
            "pixels": images.x_train.shape[1],
            "output": "noise",
            "prediction": "image" if prediction == "rival" else prediction,
        }
        model = build_seeded(partial(denoiser, **network, width=16, dtype="float64"), seed)
        chosen = np.random.default_rng(seed).integers(len(sample.x_train), size=batch)

        def loss(weights, model=model, x=sample.x_train[chosen], y=sample.y_train[chosen]):
            outputs, _ = model.stateless_call(weights, model.non_trainable_variables, x)
            return keras.ops.mean(weighted_squared_error(y, outputs)), ()

        _, _, gradient = value_and_gradient(
            loss, [keras.ops.convert_to_tensor(variable.numpy()) for variable in model.trainable_variables]
        )
        found[prediction] = np.concatenate([np.ravel(keras.ops.convert_to_numpy(part)) for part in gradient])
    kept = np.random.default_rng(seed).choice(len(found["noise"]), size=components, replace=False)
    return pd.concat(
        pd.DataFrame(
            {
                "seed": seed,
                "compared": ONE_NETWORK,
                "of": of,
                "gradient": found[of][kept],
                "rival_gradient": found["rival"][kept],
                "noise_gradient": found["noise"][kept],
            }
        )
        for of in ("image", "score")
    )


def _optima(seed, images, chain, population=50):
    """The predictions that minimise the expected losses, for a population of images, converted to one another."""
    generator = np.random.default_rng(seed)
    points = 2 * images.x_train[generator.choice(len(images.x_train), size=population, replace=False)].astype(float) - 1
    running = chain.running[generator.integers(1, len(chain.running))]
    signal, spread = np.sqrt(running), np.sqrt(1 - running)
    noised = signal * points[0] + spread * generator.normal(size=points.shape[1])
    log_kernels = -np.square(noised - signal * points).sum(axis=1) / (2 * spread**2)
    posterior = np.exp(log_kernels - log_kernels.max())
    posterior /= posterior.sum()
    image, noise = posterior @ points, posterior @ ((noised - signal * points) / spread)

    def log_density(values):
        distances = keras.ops.sum(keras.ops.square(values[0] - signal * points), axis=1)
        return keras.ops.logsumexp(-distances / (2 * spread**2)), ()

    _, _, (score,) = value_and_gradient(log_density, [keras.ops.convert_to_tensor(noised)])
    score = keras.ops.convert_to_numpy(score)
    table = {"image": (noise, (noised - signal * image) / spread), "score": (noise, -spread * score)}
    return pd.concat(
        pd.DataFrame({"seed": seed, "compared": POPULATION, "of": of, "optimum": optimum, "converted": converted})
        for of, (optimum, converted) in table.items()
    )
