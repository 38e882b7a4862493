"""Diffusion of images: steered by a condition, and on latent variables."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Greater, Reported, claim, notes
from repro.claims.diffusion._generators import (
    LEVEL_FEATURES,
    Points,
    diffusion_arm,
    points_of,
    sampled,
    starting_noise,
)
from repro.claims.diffusion._quality import energy_distance
from repro.claims.diffusion._trained import TRIALS, tuned
from repro.engine import fitted_gaussian, fresh_real, load_data, mean_plus_noise, train

with epy.lazy_imports():
    import keras
    import sklearn.linear_model

DROPPED = 0.1  # share of examples without a condition (Ho and Salimans 2022)


@claim(
    "The scale of classifier-free guidance, typically somewhere between 7 and 13, increases or decreases the influence "
    "of the description on the image, and guidance can sometimes improve the quality of the result.",
    source=(notes("Definition 3.88", parts=("increases", "decreases")), notes("Figure 46", parts=("quality",))),
    kind="possibility",
    scope="text to image; left open: convention of the scale, strength of the unguided model, measure of quality",
    left_open=("scale",),
    literature="Ho and Salimans 2022",
    criterion=AllOf(
        increases=Greater(
            "fidelity", of=7.0, than=1.0, by="scale", smallest_difference=0.01, each=("steps",), where={"arm": "guided"}
        ),
        decreases=Greater(
            "fidelity", of=1.0, than=0.5, by="scale", smallest_difference=0.01, each=("steps",), where={"arm": "guided"}
        ),
        quality=Greater(
            "distance",
            of="unguided",
            than="guided",
            by="arm",
            smallest_ratio=1.05,
            each=("scale", "steps"),
            where={"compared": True},
        ),
    ),
    smoke={"steps": 1000, "levels": 40, "widths": (96,), "draws": 4, "batch_size": 64, "generated": 100},
    full={"data": "mnist", "steps": 100_000, "widths": (1024, 1024), "levels": 1000, "generated": 2000},
    control={"labelled": False, "scales": (0.5, 1.0, 2.0, 7.0)},
    reported=(
        Reported(
            "w = 0.1 or 0.3, which is a scale of 1.1 or 1.3 here",
            measure="guidance of the best Fréchet inception distance",
            setting="ImageNet, 64x64 and 128x128",
            place="Ho and Salimans 2022, section 4",
        ),
    ),
)
def guidance(
    seeds,
    *,
    compared=(2.0, 7.0),
    scales=(0.5, 1.0, 2.0, 7.0, 13.0),
    levels=100,
    steps=4000,
    draws=10,
    batch_size=128,
    widths=(256,),
    rates=(0.0005, 0.002, 0.008),
    generated=300,
    labelled=True,
    data="digits",
):
    """Agreement of generated digits with the class asked for, and their distance from real ones of that class.

    A Keras network learns the noise in real images, told their class or, for a tenth of the examples, none; half and
    all of the steps make a weaker and a stronger one. Sampling goes from the prediction without a condition towards
    that with it and beyond: a scale of 1 is the condition as it is, in the convention of the notes. Influence: the
    share of images that a logistic regression on real ones takes for the class asked for. Quality, by a measure that
    is not the guided one: the energy distance from held-out images of the class, averaged over the classes; beside it
    that of a Gaussian fitted to the images of each class, and of fresh real ones. In the control, classes have nothing
    to do with the images.
    """
    images = load_data(data).flat()
    judge = sklearn.linear_model.LogisticRegression(max_iter=1000).fit(2.0 * images.x_train - 1, images.y_train)
    points = {seed: points_of(data, seed) for seed in seeds}

    def labels(seed, of_seed):
        generator = np.random.default_rng((seed, 5))
        classes = of_seed.classes if labelled else generator.permutation(of_seed.classes)
        return np.eye(images.classes)[classes] * (generator.uniform(size=(len(classes), 1)) > DROPPED)

    arm = diffusion_arm(
        partial(points_of, data),
        images.x_train.shape[1],
        levels=levels,
        draws=draws,
        widths=widths,
        labels=labels,
        classes=images.classes,
        batch_size=batch_size,
    )
    trainings, trials = tuned(arm, rates, seeds, steps)
    asked = np.arange(generated) % images.classes
    conditions = np.eye(images.classes)[asked]
    rows = []
    for number, training in trainings.items():
        for scale in scales:
            found = sampled(training, seeds, levels, generated, within=(-1.0, 1.0), conditions=conditions, scale=scale)
            for seed, x in zip(seeds, found, strict=True):
                agreement = (judge.predict(x) == asked).mean()
                distance = _by_class(x, asked, points[seed])
                rows.append(
                    {
                        "seed": seed,
                        "steps": number,
                        "scale": scale,
                        "arm": "guided",
                        "fidelity": agreement,
                        "distance": distance,
                    }
                )
    guided = pd.DataFrame(rows).assign(compared=lambda table: table["scale"].isin(compared))
    without = guided[guided["scale"] == 1].drop(columns="scale")
    tables = [
        guided,
        *(without.assign(scale=scale, arm="unguided", fidelity=np.nan, compared=True) for scale in compared),
    ]
    observations = pd.concat([*tables, _beside(points)], ignore_index=True)
    observations.attrs["tuning"] = trials
    return observations


def generated_on_latents(
    seeds,
    *,
    sizes=(4, 16),
    pixels=True,
    levels=100,
    steps=4000,
    draws=10,
    batch_size=128,
    width=128,
    coder_width=128,
    rates=(0.0005, 0.002, 0.008),
    generated=1500,
    data="digits",
):
    """Energy distance of generated images from held-out ones, by diffusion on the latent variables of an autoencoder.

    A Keras autoencoder is trained on each seed's real images; its latent variables, standardised, are what a network of
    two hidden layers learns to denoise, at the rate of the least validation loss, and samples of them, after half and
    after all of the steps, are decoded. Without any diffusion: decoded N(0, I), the noise that sampling starts from,
    and a decoded Gaussian fitted to the latent variables. The floor are reconstructions of fresh real images, which no
    sample of latent variables is expected to beat. Beside them: a Gaussian fitted to the pixels, fresh real images, and
    diffusion on pixels by a network of about as many multiplications in a step.
    """
    points = {seed: points_of(data, seed) for seed in (*seeds, *TRIALS)}
    dimensions = points[seeds[0]].train.shape[1]
    rows, trials = [], []

    def add(arm, images, *lengths, **labels):
        """Add the distances of images of every seed, once for each length of training that they stand beside."""
        distances = {seed: energy_distance(x, points[seed].test) for seed, x in images.items()}
        measured = [{"seed": seed, "energy_distance": distance} for seed, distance in distances.items()]
        rows.extend({**row, "arm": arm, "steps": number, **labels} for number in lengths for row in measured)

    options = {"levels": levels, "draws": draws, "batch_size": batch_size}
    for size in sizes:
        halves = _autoencoders(points, steps, batch_size, inputs=dimensions, size=size, width=coder_width)
        spaces, decoders = {}, {}
        for seed, (encode, decode) in halves.items():
            spaces[seed], decoders[seed] = _latent_space(points[seed], encode, decode)
        arm = diffusion_arm(lambda seed, spaces=spaces: spaces[seed], size, widths=(width, width), **options)
        trainings, searched = tuned(arm, rates, seeds, steps, size=size)
        trials += searched

        def decoded(latents, decoders=decoders):
            return {seed: decoders[seed](x) for seed, x in latents.items()}

        noise = {seed: starting_noise(seed, (levels, generated, size))[-1] for seed in seeds}
        prior = {seed: np.random.default_rng((seed, 6)).normal(size=(generated, size)) for seed in seeds}
        fitted = {seed: fitted_gaussian(spaces[seed].train, generated, seed) for seed in seeds}
        fresh = {seed: fresh_real(spaces[seed].fresh, min(generated, len(spaces[seed].fresh)), seed) for seed in seeds}
        for number, training in trainings.items():
            found = dict(zip(seeds, sampled(training, seeds, levels, generated), strict=True))
            add("reverse steps", decoded(found), number, size=size)
        others = {
            "starting noise": noise,
            "decoded N(0, I)": prior,
            "decoded Gaussian": fitted,
            "reconstructions": fresh,
        }
        for name, latents in others.items():
            add(name, decoded(latents), *trainings, size=size)
    if pixels:
        equal = _width_of_equal_cost(dimensions, max(sizes), width)
        arm = diffusion_arm(lambda seed: points[seed], dimensions, widths=(equal, equal), **options)
        trainings, searched = tuned(arm, rates, seeds, steps, size=dimensions)
        trials += searched
        for number, training in trainings.items():
            found = sampled(training, seeds, levels, generated, within=(-1.0, 1.0))
            add("diffusion on pixels", dict(zip(seeds, found, strict=True)), number)
    of_pixels = {seed: points[seed] for seed in seeds}
    add(
        "Gaussian of pixels", {seed: fitted_gaussian(x.train, generated, seed) for seed, x in of_pixels.items()}, np.nan
    )
    add("mean plus noise", {seed: mean_plus_noise(x.train, generated, seed) for seed, x in of_pixels.items()}, np.nan)
    add("fresh real images", {seed: x.fresh[:generated] for seed, x in of_pixels.items()}, np.nan)
    observations = pd.DataFrame(rows)
    observations.attrs["tuning"] = trials
    return observations


@claim(
    "Latent diffusion models are based on applying a diffusion process iteratively to latent variables.",
    source=notes("Definition 3.94"),
    kind="possibility",
    scope="left open: autoencoder, latent size, data",
    left_open=("size",),
    literature="Rombach et al. 2022",
    reads=generated_on_latents,
    criterion=Greater(
        "energy_distance",
        of="best without diffusion",
        than="diffusion",
        by="arm",
        smallest_ratio=1.05,
        each=("size", "steps"),
    ),
    smoke={
        "sizes": (4,),
        "pixels": False,
        "steps": 2000,
        "levels": 40,
        "width": 32,
        "coder_width": 64,
        "draws": 4,
        "batch_size": 64,
        "generated": 1500,
    },
    full={"data": "mnist", "steps": 100_000, "sizes": (16, 32), "width": 512, "levels": 1000, "generated": 2000},
    control={"drawn": "starting noise"},
)
def latent(observations, *, drawn="reverse steps"):
    """Images decoded from samples of latent variables must be nearer real ones than those without any diffusion.

    The better of decoded N(0, I) and of a decoded Gaussian with the mean and the covariance of the latent variables is
    what has to be beaten. In the control the reverse steps are left out: the noise that they start from is decoded.
    """
    trivial = observations[observations["arm"].isin(("decoded N(0, I)", "decoded Gaussian"))]
    best = trivial.groupby(["size", "steps", "seed"], as_index=False)["energy_distance"].min()
    arms = [
        observations[observations["arm"] == drawn].assign(arm="diffusion"),
        best.assign(arm="best without diffusion"),
        observations[observations["arm"] == "reconstructions"],
    ]
    return pd.concat(arms, ignore_index=True).astype({"size": int, "steps": int})


def _by_class(x, classes, points):
    """Energy distance from the test images of each class, averaged over the classes."""
    labels = np.unique(classes)
    return np.mean(
        [energy_distance(x[classes == label], points.test[points.test_classes == label]) for label in labels]
    )


def _beside(points):
    """Distances by class of Gaussians fitted to each class, and of fresh real images, as many as there are."""
    rows = []
    for seed, of_seed in points.items():
        labels = np.unique(of_seed.classes)
        fitted = [fitted_gaussian(of_seed.train[of_seed.classes == label], 30, seed) for label in labels]
        arms = {
            "fitted Gaussian": (np.concatenate(fitted), np.repeat(labels, 30)),
            "fresh real images": (of_seed.fresh, of_seed.fresh_classes),
        }
        rows += [
            {"seed": seed, "arm": arm, "distance": _by_class(*found, of_seed), "compared": False}
            for arm, found in arms.items()
        ]
    return pd.DataFrame(rows)


def _autoencoders(points, steps, batch_size, **sizes):
    """Train an autoencoder for every seed; return its two halves as functions of arrays."""

    def examples(seed):
        train_on, test_on = (points[seed][index].astype(np.float32) for index in (0, 2))
        return SimpleNamespace(x_train=train_on, y_train=train_on, x_test=test_on, y_test=test_on)

    training = train(
        autoencoder,
        examples,
        loss="mean_squared_error",
        optimizer=keras.optimizers.Adam(0.003),
        steps=steps,
        batch_size=batch_size,
        seeds=list(points),
        **sizes,
    )
    return {seed: _halves(weights) for seed, weights in zip(points, training.weights, strict=True)}


def autoencoder(*, inputs, size, width=128):
    """Build an autoencoder with one hidden layer on either side of its latent variables."""
    return keras.Sequential(
        [
            keras.Input((inputs,)),
            keras.layers.Dense(width, activation="swish"),
            keras.layers.Dense(size),
            keras.layers.Dense(width, activation="swish"),
            keras.layers.Dense(inputs),
        ]
    )


def _latent_space(points, encode, decode):
    """Points as latent variables, standardised over those to train on, and the decoder of such variables."""
    train_on, test_on, fresh = (encode(x) for x in points[:3])
    centre, scale = train_on.mean(axis=0), train_on.std(axis=0)
    standardized = ((x - centre) / scale for x in (train_on, test_on, fresh))
    return Points(*standardized, *points[3:]), lambda x: decode(x * scale + centre)


def _width_of_equal_cost(inputs, size, width):
    """Width of two hidden layers on pixels for about as many multiplications a step as on latent ones."""
    cost = (2 * size + LEVEL_FEATURES) * width + width**2
    widths = np.arange(1, width + 1)
    return int(widths[np.abs((2 * inputs + LEVEL_FEATURES) * widths + widths**2 - cost).argmin()])


def _halves(weights):
    """Encoder and decoder of an autoencoder's weights, as functions of arrays."""

    def layers(x, first, bias, second, offset):
        hidden = x @ first + bias
        return (hidden / (1 + np.exp(-hidden))) @ second + offset

    return (lambda x: layers(x, *weights[:4])), (lambda x: layers(x, *weights[4:]))
