"""Training to denoise: what the network predicts."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Correction, Identity, Ratio, claim, notes
from repro.claims.diffusion._processes import schedule
from repro.claims.diffusion._trained import weighted_squared_error
from repro.engine import build_seeded, compare_arms, load_data, train
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras

PREDICTIONS = ("image", "noise", "score")
LEVEL_FEATURES = 12
INTERCHANGEABLE = partial(
    Ratio,
    "test_loss",
    than="noise",
    by="prediction",
    expected=1.0,
    within=1.1,
    because="trainings that end within 10 % of each other's test loss would be interchangeable",
    where={"quantity": "trained"},
)


@claim(
    r"Predicting the image $x_0$, the noise $\epsilon_0$ or the score $\nabla \log p(x_t)$ are equivalent trainings: "
    r"with the weights of the consistency term, "
    r"$\frac{\bar\alpha_{t-1}(1-\alpha_t)^2}{2\sigma_q^2(1-\bar\alpha_t)^2}\|\hat x - x_0\|^2$, "
    r"$\frac{(1-\alpha_t)^2}{2\sigma_q^2(1-\bar\alpha_t)\alpha_t}\|\epsilon_0 - \hat\epsilon\|^2$ and "
    r"$\frac{(1-\alpha_t)^2}{2\sigma_q^2\alpha_t}\|s - \nabla\log p\|^2$ are the same problem.",
    source=notes("Remarks 3.74-3.76"),
    kind="formula",
    literature="Ho et al. 2020; Luo 2022; Salimans and Ho 2022 on how the trainings differ",
    criterion=AllOf(
        gradients=Identity(
            "gradient", "noise_gradient", operations=4096, where={"quantity": "gradient"}, each=("prediction",)
        ),
        trained=INTERCHANGEABLE(of="image"),
        trained_score=INTERCHANGEABLE(of="score"),
    ),
    smoke={"steps": 200, "draws": 3, "width": 64, "rates": (0.001, 0.01)},
    full={"data": "mnist", "steps": 50_000, "draws": 5, "width": 512, "levels": 1000},
    control={"weighted": False},
    correction=Correction(
        r"With the score given the image, $\nabla \log q(x_t | x_0)$, for target the three weighted losses are one "
        r"function of one prediction, so that a single network, whose output is "
        r"converted to an image, to noise or to a score, has the same gradient under all three and trains alike. "
        r"Networks that put out different quantities are different trainings: the conversions, which depend on $t$, "
        r"change what the outputs have to cover.",
        output="noise",
    ),
    tags=("headline",),
)
def losses_equivalent(
    seeds,
    *,
    output="own",
    levels=100,
    steps=1000,
    draws=20,
    batch_size=128,
    width=128,
    rates=(0.0003, 0.001, 0.003, 0.01),
    weighted=True,
    data="digits",
):
    """Compares the three weighted losses, for one shared network and for trained ones.

    Gradients: one network in double precision, whose output is taken for the noise and converted to the image and to
    the score; its gradients under the three losses, on one batch, must be the same (200 components drawn at random).
    Trained: three Keras networks on the same noised digits, each putting out what it predicts ("own"), or all putting
    out noise that is converted ("noise"), each at its tuned learning rate; all three test losses are the same
    consistency term, averaged over levels 2 to T of a linear schedule. The score of a noised image given its original,
    -noise / sqrt(1 - alpha_bar), has the marginal's score for its mean (Vincent 2011). The problem is the same and the
    trainings are not, which the document half admits where it says that noise works better. The control drops the
    weights.
    """
    images = load_data(data).flat()
    samples = {
        prediction: _noised(images, schedule("linear", levels), prediction, draws, weighted)
        for prediction in PREDICTIONS
    }
    pixels = images.x_train.shape[1]
    gradients = [_gradients(seed, samples, pixels) for seed in seeds]
    arms = {
        prediction: partial(
            train,
            denoiser,
            SimpleNamespace(**{name: values.astype(np.float32) for name, values in samples[prediction].items()}),
            loss=weighted_squared_error,
            optimizer=keras.optimizers.Adam(),
            steps=steps,
            batch_size=batch_size,
            pixels=pixels,
            width=width,
            output=prediction if output == "own" else output,
            prediction=prediction,
        )
        for prediction in PREDICTIONS
    }
    trained = compare_arms(arms, {"learning_rate": list(rates)}, len(rates), seeds, by="prediction")
    observations = pd.concat([*gradients, trained.assign(quantity="trained")], ignore_index=True)
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


def _noised(images, chain, prediction, draws, weighted):
    """Noise every image to several random levels, the same for every prediction.

    Returns:
        ``x_train`` and ``x_test`` [examples, pixels + 2 + features] as ``denoiser`` takes them; ``y_train`` and
        ``y_test`` [examples, pixels + 1]: what is to be predicted, and the weight of its squared error.
    """
    alpha, running = chain.alpha, chain.running
    generator = np.random.default_rng(0)
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
            "noise": (noise, (1 - a) ** 2 / ((1 - product) * a)),
            "score": (-noise / np.sqrt(1 - product), (1 - a) ** 2 / a),
        }[prediction]
        phase = np.pi * (level[:, None] / len(alpha)) * 2.0 ** np.arange(LEVEL_FEATURES // 2)
        arrays[f"x_{split}"] = np.hstack([noised, np.sqrt(product), np.sqrt(1 - product), np.sin(phase), np.cos(phase)])
        arrays[f"y_{split}"] = np.hstack([target, weight / (2 * variance) if weighted else np.ones_like(weight)])
    return arrays


def _gradients(seed, samples, pixels, batch=64, components=200):
    """Gradients of the three losses of one network, in double precision."""
    found = {}
    for prediction, sample in samples.items():
        model = build_seeded(
            partial(denoiser, pixels=pixels, output="noise", prediction=prediction, width=16, dtype="float64"), seed
        )
        chosen = np.random.default_rng(seed).integers(len(sample["x_train"]), size=batch)

        def loss(weights, model=model, x=sample["x_train"][chosen], y=sample["y_train"][chosen]):
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
                "quantity": "gradient",
                "prediction": prediction,
                "gradient": found[prediction][kept],
                "noise_gradient": found["noise"][kept],
            }
        )
        for prediction in ("image", "score")
    )
