"""Diffusion of images: steered by a condition, and on latent variables."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Greater, claim, notes
from repro.claims.diffusion._processes import schedule
from repro.claims.diffusion._quality import energy_distance
from repro.claims.diffusion._trained import tuned
from repro.claims.diffusion.generation import diffusion_model, points_of, sampled
from repro.engine import load_data, train

with epy.lazy_imports():
    import keras
    import sklearn.linear_model


@claim(
    "The scale of classifier-free guidance, typically 7 to 13, raises or lowers the influence of the condition on what "
    "is generated, and can sometimes improve it.",
    source=(notes("Definition 3.88"), notes("Figure 46")),
    kind="possibility",
    literature="Ho and Salimans 2022",
    criterion=AllOf(
        influence=Greater(
            "fidelity",
            of=7.0,
            than=0.0,
            by="scale",
            smallest_difference=0.3,
            because="a condition that decides at least three images in ten has influence",
        ),
        improvement=Greater(
            "fidelity",
            of=7.0,
            than=1.0,
            by="scale",
            smallest_difference=0.02,
            because="two images in a hundred that come to show what was asked for are an improvement",
        ),
        price=Greater(
            "diversity",
            of=1.0,
            than=13.0,
            by="scale",
            smallest_ratio=1.1,
            because="a tenth less spread among images of a class shows that the condition counts for more",
        ),
    ),
    smoke={"steps": 1000, "levels": 50, "width": 128, "generated": 200, "rates": (0.003,)},
    full={"data": "mnist", "steps": 100_000, "width": 1024, "levels": 1000, "generated": 2000},
    control={"labelled": False},
    seeds=12,
)
def guidance(
    seeds,
    *,
    scales=(0.0, 1.0, 3.0, 7.0, 13.0),
    levels=100,
    steps=4000,
    draws=20,
    batch_size=128,
    width=256,
    rates=(0.001, 0.003),
    generated=500,
    labelled=True,
    data="digits",
):
    """Share of generated digits that a classifier of real ones takes for the class asked for, and their diversity.

    A Keras network predicts the noise in real images, told their class or, for a tenth of the examples, none. Sampling
    mixes both predictions: scale 0 takes no condition, 1 the condition as it is, more than 1 goes beyond. Fidelity is
    judged by a logistic regression on real images; diversity is the mean variance of a pixel within a class. The
    control trains with classes that have nothing to do with the images.
    """
    images, points, chain = load_data(data), points_of(data), schedule("linear", levels)
    generator = np.random.default_rng(0)
    classes = images.y_train if labelled else generator.permutation(images.y_train)
    labels = np.tile(np.eye(images.classes)[classes], (draws, 1))
    labels *= generator.uniform(size=(len(labels), 1)) > 0.1
    arm = diffusion_model(
        points.train, chain, draws=draws, labels=labels, steps=steps, batch_size=batch_size, widths=(width,)
    )
    training, trials = tuned(arm, rates, seeds)
    judge = sklearn.linear_model.LogisticRegression(max_iter=1000).fit(points.train, images.y_train)
    asked = np.arange(generated) % images.classes
    rows = []
    for scale in scales:
        found = sampled(
            training, seeds, chain, generated, within=(-1.0, 1.0), conditions=np.eye(images.classes)[asked], scale=scale
        )
        for seed, x in zip(seeds, found, strict=True):
            spread = np.mean([x[asked == label].var(axis=0).mean() for label in range(images.classes)])
            fidelity = (judge.predict(x) == asked).mean()
            rows.append({"seed": seed, "scale": scale, "fidelity": fidelity, "diversity": spread})
    observations = pd.DataFrame(rows)
    observations.attrs["tuning"] = trials
    return observations


@claim(
    "Diffusion can run on latent variables instead of the images themselves.",
    source=notes("Definition 3.94"),
    kind="possibility",
    literature="Rombach et al. 2022",
    criterion=AllOf(
        samples=Greater(
            "energy_distance",
            of="pixels",
            than="latent variables",
            by="space",
            smallest_ratio=0.5,
            because="samples less than twice as far from the data as those of diffusion on pixels are of their kind",
        ),
        cost=Greater(
            "multiplications",
            of="pixels",
            than="latent variables",
            by="space",
            smallest_ratio=2.0,
            because="half of the cost of a step pays for an autoencoder that is trained once",
        ),
    ),
    smoke={"steps": 1000, "levels": 50, "generated": 300, "rates": (0.003,)},
    full={"data": "mnist", "steps": 100_000, "size": 32, "levels": 1000, "generated": 2000},
    control={"paired": False},
    seeds=12,
)
def latent(
    seeds,
    *,
    size=16,
    levels=100,
    steps=4000,
    draws=20,
    batch_size=128,
    rates=(0.001, 0.003),
    generated=500,
    paired=True,
    data="digits",
):
    """Energy distance of generated images from held-out ones, and multiplications of a network for one reverse step.

    A Keras autoencoder is trained once on real images; its latent variables, standardised, are what a small network
    learns to denoise, and samples of them are decoded. The other network does the same on pixels. Both have one hidden
    layer, four times as wide as their outputs, at its tuned rate. The control trains the autoencoder to return any
    images but the one that it is given, twenty for each, so that latent variables say nothing of their image.
    """
    points, chain = points_of(data), schedule("linear", levels)
    encode, decode = _autoencoder(points.train, size, steps, batch_size, paired)
    latents = encode(points.train)
    centre, scale = latents.mean(axis=0), latents.std(axis=0)
    spaces = {
        "pixels": (points.train, lambda x: x),
        "latent variables": ((latents - centre) / scale, lambda x: decode(x * scale + centre)),
    }
    rows, trials = [], []
    for space, (x, to_images) in spaces.items():
        arm = diffusion_model(x, chain, draws=draws, steps=steps, batch_size=batch_size, widths=(4 * x.shape[1],))
        training, searched = tuned(arm, rates, seeds, space=space)
        trials += searched
        multiplications = sum(weights.size for weights in training.weights[0] if weights.ndim == 2)
        images = sampled(training, seeds, chain, generated, within=(x.min(), x.max()))
        rows += [
            {
                "seed": seed,
                "space": space,
                "energy_distance": energy_distance(to_images(of_seed), points.test),
                "multiplications": multiplications,
            }
            for seed, of_seed in zip(seeds, images, strict=True)
        ]
    observations = pd.DataFrame(rows)
    observations.attrs["tuning"] = trials
    return observations


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


def _autoencoder(x, size, steps, batch_size, paired):
    """Train an autoencoder once; return its two halves as functions of arrays."""
    x = x.astype(np.float32)
    targets = x
    if not paired:  # a single other image for each could be learnt by heart
        generator = np.random.default_rng(0)
        x, targets = np.tile(x, (20, 1)), np.concatenate([generator.permutation(x) for _ in range(20)])
    model = train(
        autoencoder,
        SimpleNamespace(x_train=x, y_train=targets, x_test=x[:100], y_test=targets[:100]),
        loss="mean_squared_error",
        optimizer=keras.optimizers.Adam(0.003),
        steps=steps,
        batch_size=batch_size,
        seeds=[0],
        inputs=x.shape[1],
        size=size,
    ).model(0)
    halves = keras.Sequential(model.layers[:2]), keras.Sequential(model.layers[2:])
    return tuple(partial(_applied, half) for half in halves)


def _applied(model, x):
    return keras.ops.convert_to_numpy(model(x.astype(np.float32))).astype(float)
