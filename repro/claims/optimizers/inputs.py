"""What whitened inputs do for the speed of training."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Greater, PositiveControl, claim, lectures
from repro.claims.optimizers._speed import fastest
from repro.engine import classifier, load_data

with epy.lazy_imports():
    import keras

RAW, STANDARDISED, WHITENED, SLOWER = "raw", "standardised", "whitened", "raw at a quarter of the rate"
EVERY = 5  # steps between measurements
CONDITIONS = ("optimizer", "hidden", "target")
RATES = {"sgd": (0.03, 0.1, 0.3, 1.0, 3.0), "adam": (0.001, 0.003, 0.01, 0.03, 0.1)}


@claim(
    "For faster convergence of neural networks it is beneficial that the inputs are whitened: zero mean, unit "
    "variance, uncorrelated; this helps mitigate covariate shift.",
    source=lectures("2.3.4"),
    kind="tendency",
    scope="networks trained by gradient descent; optimiser and normalisation layers are left open; the shift itself is "
    "not measured",
    left_open=CONDITIONS,
    literature="LeCun et al. 1998, section 4.3: inputs of zero mean, equal covariances and, if possible, uncorrelated",
    criterion=AllOf(
        raw=Greater("steps_to_target", of=RAW, than=WHITENED, by="inputs", each=CONDITIONS),
        standardised=Greater("steps_to_target", of=STANDARDISED, than=WHITENED, by="inputs", each=CONDITIONS),
    ),
    smoke={"images": 200, "steps": 200},
    full={"data": "mnist", "images": 5000, "steps": 3000},
    control={"transform": "rotated"},
    positive_control=PositiveControl(
        "With raw inputs networks are slower at a quarter of the best rate.",
        criterion=AllOf(
            raw=Greater(
                "steps_to_target",
                of=SLOWER,
                than=RAW,
                by="inputs",
                each=CONDITIONS,
                smallest_ratio=1.05**2,
                because="it is twice what matters",
            )
        ),
    ),
    seeds=48,
)
def whitening(seeds, *, transform=WHITENED, images=300, steps=300, width=32, ridge=0.01, data="digits"):
    """Compares the steps of networks to training losses of 0.5 and 0.1, with raw, standardised and whitened pixels.

    One hidden ReLU layer on images that each seed redraws, with pixels from 0 to 1, standardised one by one, which
    leaves them correlated, or whitened by the images' own covariance: centred, rotated to its eigenvectors and divided
    by the root of each eigenvalue plus a hundredth of the mean one, so that directions of little variance are not blown
    up. SGD and Adam, batches of 32, with batch normalisation of the hidden layer or without; each at its rate of the
    fewest steps to the second loss, on seeds of their own. Beside them raw inputs at a quarter of their rate. The
    control rotates raw pixels to the same eigenvectors, without centring or dividing.
    """
    loaded = load_data(data).flat()

    def drawn(name, seed):
        return transformed(loaded.subset(images, seed), name, ridge)

    tables, trials = [], []
    for optimizer in RATES:
        for hidden in ("plain", "batch normalisation"):
            for inputs, name in ((RAW, RAW), (STANDARDISED, STANDARDISED), (WHITENED, transform)):
                arm = classifier(
                    network,
                    lambda seed, name=name: drawn(name, seed),
                    steps=steps,
                    optimizer=optimizer,
                    every=EVERY,
                    metrics={},
                    width=width,
                    hidden=hidden,
                )
                labels = {"optimizer": optimizer, "hidden": hidden}
                slower = 0.25 if inputs == RAW else 1.0
                found, tuning = fastest(arm, RATES[optimizer], seeds, slower=slower)
                trials += tuning.table(**labels, inputs=inputs)
                tables.append(found.assign(**labels, inputs=np.where(found["share"] < 1, SLOWER, inputs)))
    table = pd.concat(tables, ignore_index=True)
    table.attrs["tuning"] = trials
    return table


def transformed(images, name, ridge):
    """Images as they are, standardised, rotated to the eigenvectors of their covariance, or whitened."""
    if name == RAW:
        return images
    if name == STANDARDISED:
        return images.standardized()
    train = images.x_train.astype(np.float64)
    mean = train.mean(axis=0)
    variances, vectors = np.linalg.eigh((train - mean).T @ (train - mean) / len(train))
    if name == "rotated":
        mean, scale = np.zeros_like(mean), np.ones_like(variances)
    else:
        scale = 1 / np.sqrt(np.maximum(variances, 0) + ridge * variances.mean())
    x_train, x_test = (((x - mean) @ vectors * scale).astype(np.float32) for x in (images.x_train, images.x_test))
    return replace(images, x_train=x_train, x_test=x_test)


def network(*, inputs, outputs, width, hidden):
    """Build a network of one hidden ReLU layer, with batch normalisation before the activation or without."""
    layers = [keras.Input((inputs,)), keras.layers.Dense(width, kernel_initializer="he_normal")]
    if hidden == "batch normalisation":
        layers.append(keras.layers.BatchNormalization(momentum=0.9))
    return keras.Sequential([*layers, keras.layers.ReLU(), keras.layers.Dense(outputs)])
