"""What test error does as models grow."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
from etils import epy

from repro import (
    AllOf,
    Boundary,
    Correction,
    Greater,
    Monotone,
    Peak,
    Ratio,
    Reported,
    cheatsheet,
    claim,
    lectures,
    notes,
)
from repro.engine import corrupt_labels, load_data, train

with epy.lazy_imports():
    import keras

NOTHING = 1e-6  # share of an error that rounding leaves


@claim(
    "Double descent: the test error peaks at the interpolation point, beyond which models start to learn.",
    source=cheatsheet("1.9.4"),
    kind="law",
    scope="test error against the number of parameters, as Belkin et al. 2019 mean the heading; label noise, "
    "regularisation and training length are left open",
    left_open=("model", "noise"),
    literature="Belkin et al. 2019; Hastie et al. 2022; Nakkiran et al. 2020 on label noise",
    criterion=Peak(
        x="size",
        y="test_error",
        at="interpolation",
        within=1.6,
        prominence=1.05,
        because="1.54 is the widest step between sizes near the peak, and five per cent of the error matter",
        each=("model", "noise"),
    ),
    boundary=Boundary(
        "with random features, and with trained networks where labels are wrong",
        holds="model == 'random features' or noise > 0",
    ),
    smoke={"models": ("random features",), "noises": (0.0, 0.4)},
    full={"data": "mnist", "images": 1000, "network_images": 400, "networks": 5, "network_steps": 20000},
    control={"ridge": 10.0},
    reported=(
        Reported(
            "10,000",
            measure="random features at the peak",
            setting="MNIST, n = 10,000",
            place="Belkin et al. 2019, figure 2",
        ),
        Reported(
            "40,000",
            measure="parameters at the peak",
            setting="one hidden layer, MNIST, n = 4,000 and ten classes",
            place="Belkin et al. 2019, figure 3",
        ),
    ),
    tags=("headline",),
    seeds=48,
)
def double_descent_peak(
    seeds,
    *,
    models=("random features", "network"),
    noises=(0.0, 0.2, 0.4),
    images=300,
    sizes=(0.1, 0.2, 0.3, 0.45, 0.67, 0.8, 0.93, 1.0, 1.07, 1.25, 1.5, 2.2, 3.3, 6.0),
    ridge=0.0,
    draws=3,
    network_images=100,
    network_sizes=(0.16, 0.3, 0.45, 0.67, 1.0, 1.5, 2.2, 3.3, 6.0),
    networks=2,
    network_steps=3000,
    fitted=0.1,
    data="digits",
):
    """Measures the squared test error of least-squares classifiers against their size, with some labels wrong.

    Size counts adjustable numbers per class over training images. The interpolation point is found from the training
    error, of the median over a few draws: for random features the smallest size that leaves none, as in Belkin et al.
    2019; for networks, whose training is finite, the smallest that leaves at most a tenth of that of the best constant,
    the share of Nakkiran et al. 2020. A hundredth would be left at twice that size, and lie beyond the peak.
    Random features: fixed ReLU units, read out by the least-squares solution of least norm. Networks: two-layer Keras
    networks of leaky ReLU units, all of whose parameters are trained by Adam on full batches. Each seed draws the
    images and the wrong labels; its error at a size is the median over a few draws of features or initial weights,
    because at the interpolation point the mean is infinite. The control penalises the squared weights, ridge times the
    mean square of a feature, so that interpolating does not pay.
    """
    tables = []
    for model, noise in itertools.product(models, noises):
        if model == "network":
            curves = _networks(seeds, data, network_images, noise, network_sizes, ridge, networks, network_steps)
        else:
            curves = pd.concat(
                _random_features(seed, _noisy(data, images, noise, seed), sizes, ridge, draws).assign(seed=seed)
                for seed in seeds
            )
        left = fitted if model == "network" else NOTHING
        tables.append(_with_interpolation(curves, load_data(data).classes, left).assign(model=model, noise=noise))
    return pd.concat(tables, ignore_index=True)


@claim(
    "Beyond the interpolation point models start to learn and eventually may level out at a lower generalisation "
    "error.",
    source=cheatsheet("1.9.4"),
    kind="possibility",
    literature="Belkin et al. 2019; Nakkiran et al. 2020",
    criterion=Greater(
        "test_error",
        of="best below interpolation",
        than="largest",
        by="model",
        smallest_ratio=1.05,
        because="a twentieth less error is what a better model of the same kind may be worth",
    ),
    smoke={"images": 150},
    full={"data": "mnist", "images": 1000},
    control={"largest": 1.07},
    reported=(
        Reported(
            "lowest error far beyond interpolation",
            measure="squared test error",
            setting="random features, MNIST",
            place="Belkin et al. 2019, figure 2",
        ),
    ),
)
def double_descent_second_descent(
    seed, *, images=300, noise=0.0, sizes=(0.05, 0.1, 0.2, 0.35, 0.6, 0.8), largest=20.0, draws=3, data="digits"
):
    """Compares the squared test error of 6000 random features with the least of all models below interpolation.

    The models and data of ``double_descent_peak`` with 300 images and the right labels, since the document says that it
    may be so, not always: ``noise`` is the share of wrong ones. Sizes count features per training image; the best of
    six sizes below 1 is chosen by test error, in favour of the small models. The control's
    largest model is just beyond the interpolation point.
    """
    curve = _random_features(seed, _noisy(data, images, noise, seed), (*sizes, largest), 0.0, draws)
    errors = curve["test_error"]
    return {"model": ["best below interpolation", "largest"], "test_error": [errors[:-1].min(), errors.iloc[-1]]}


@claim(
    "Below the interpolation point models that are too simple underfit, models that are too complex overfit, and the "
    "best lies between; the training error falls with capacity all the way.",
    source=(
        lectures("2.5"),
        notes("Definition 3.41"),
        notes("Definition 3.42"),
        notes("Definition 3.43"),
        notes("Definition 3.44"),
        notes("Definition 3.45"),
    ),
    kind="tendency",
    literature="Hastie, Tibshirani and Friedman 2009, figure 2.11",
    criterion=AllOf(
        test=Peak(
            x="size",
            y="test_error",
            at=0.1,
            within=7.0,
            prominence=1.25,
            kind="minimum",
            because="every size between the ends counts as between; a quarter less error than at either is a choice",
        ),
        training=Monotone(
            "size",
            "train_error",
            smallest_difference=0.002,
            direction="decreasing",
            because="a fiftieth of the error of the simplest model is what random features differ by",
        ),
    ),
    full={"data": "mnist", "images": 1000},
    control={"ridge": 10.0},
)
def capacity_u_curve(
    seed, *, images=300, noise=0.2, sizes=(0.01, 0.03, 0.1, 0.2, 0.4, 0.7, 0.95), ridge=0.0, draws=3, data="digits"
):
    """Measures squared training and test error of least-squares classifiers below the interpolation point.

    The models and data of ``double_descent_peak``: 3 to 285 random features on 300 images, a fifth of whose labels are
    wrong. The documents do not speak of models beyond interpolation, whose errors may fall again. The control penalises
    the squared weights, so that complex models do not fit the wrong labels.
    """
    return _random_features(seed, _noisy(data, images, noise, seed), sizes, ridge, draws)


@claim(
    "error = bias + variance, where models of low capacity have high bias and those of high capacity high variance.",
    source=(notes("Remark 3.13"), notes("Definition 3.43"), notes("Definition 3.44"), notes("Definition 3.45")),
    kind="formula",
    literature="Geman, Bienenstock and Doursat 1992",
    criterion=AllOf(
        sum=Ratio(
            "value",
            of="error",
            than="sum",
            by="quantity",
            expected=1.0,
            within=1.05,
            because="the sampling error of 2000 training sets is less than half of that",
            each=("capacity",),
        ),
        bias=Greater(
            "bias",
            of=1,
            than=9,
            by="capacity",
            smallest_ratio=2.0,
            because="a bias is high if it is a multiple of another",
            where={"quantity": "sum"},
        ),
        variance=Greater(
            "variance",
            of=9,
            than=1,
            by="capacity",
            smallest_ratio=2.0,
            because="a variance is high if it is a multiple of another",
            where={"quantity": "sum"},
        ),
    ),
    control={"constant_fit": True, "terms": "squared bias, variance and noise"},
    correction=Correction(
        r"Expected squared error = bias$^2$ + variance + variance of the noise; models of low capacity have high bias, "
        "those of high capacity high variance.",
        terms="squared bias, variance and noise",
    ),
)
def bias_variance(
    seed,
    *,
    capacities=(1, 3, 9),
    examples=30,
    training_sets=2000,
    noise=0.3,
    terms="bias and variance",
    constant_fit=False,
):
    """Fits polynomials of degree 1, 3 and 9 to 2000 training sets and decomposes their squared error on fresh data.

    30 uniform inputs, a sine with normal noise. Bias and variance are those of the predictions over training sets, both
    averaged over 50 test inputs, the bias by its absolute value. The error is measured on fresh noisy targets. As it
    stands the equation adds a length to a squared length, and leaves out the noise. The control fits a constant at
    every capacity, and has the right terms: capacity is all that is missing.
    """
    generator = np.random.default_rng(seed)
    x, x_test = generator.uniform(-1, 1, size=(training_sets, examples)), np.linspace(-0.9, 0.9, 50)
    y = np.sin(3 * x) + noise * generator.normal(size=x.shape)
    truth = np.sin(3 * x_test)
    targets = truth + noise * generator.normal(size=(training_sets, len(x_test)))
    rows = []
    for capacity in capacities:
        degree = 0 if constant_fit else capacity
        features = np.polynomial.legendre.legvander(x, degree)
        coefficients = (np.linalg.pinv(features) @ y[..., None])[..., 0]
        predictions = coefficients @ np.polynomial.legendre.legvander(x_test, degree).T
        bias, variance = predictions.mean(axis=0) - truth, predictions.var(axis=0).mean()
        parts = {
            "bias and variance": np.abs(bias).mean() + variance,
            "squared bias, variance and noise": np.square(bias).mean() + variance + noise**2,
        }
        common = {"capacity": capacity, "bias": np.abs(bias).mean(), "variance": variance}
        error = np.square(predictions - targets).mean()
        rows.append({**common, "quantity": "error", "value": error})
        rows.append({**common, "quantity": "sum", "value": parts[terms]})
    return pd.DataFrame(rows)


def two_layer_network(*, inputs, outputs, width, ridge):
    """Build a network with one hidden layer, with an L2 penalty on its kernels."""
    penalty = keras.regularizers.L2(ridge) if ridge else None
    return keras.Sequential(
        [
            keras.Input((inputs,)),
            keras.layers.Dense(width, activation="leaky_relu", kernel_regularizer=penalty),
            keras.layers.Dense(outputs, kernel_regularizer=penalty),
        ]
    )


def _noisy(data, images, noise, seed):
    """A few training images with some wrong labels, and all test images; targets are one-hot."""
    chosen = load_data(data).flat().subset(images, seed)
    labels = corrupt_labels(chosen.y_train, chosen.classes, noise, seed)
    one_hot = np.eye(chosen.classes, dtype=np.float32)
    return SimpleNamespace(
        x_train=chosen.x_train, y_train=one_hot[labels], x_test=chosen.x_test, y_test=one_hot[chosen.y_test]
    )


def _random_features(seed, chosen, sizes, ridge, draws):
    generator = np.random.default_rng((seed, 7))
    rows = []
    for size in sizes:
        features = max(1, round(size * len(chosen.x_train)))
        errors = [_least_squares_errors(generator, chosen, features, ridge) for _ in range(draws)]
        train_error, test_error, unpenalised = np.median(errors, axis=0)
        rows.append({"size": size, "train_error": train_error, "test_error": test_error, "unpenalised": unpenalised})
    return pd.DataFrame(rows)


def _least_squares_errors(generator, chosen, features, ridge):
    """Squared training and test error of the ridge solution on random ReLU features; least norm without ridge.

    The third number is the training error without a penalty.
    """
    images, inputs = chosen.x_train.shape
    kernel = generator.normal(size=(inputs, features)) / np.sqrt(inputs)
    train_features, test_features = (np.maximum(x @ kernel, 0) for x in (chosen.x_train, chosen.x_test))
    u, s, vt = np.linalg.svd(train_features, full_matrices=False)
    kept = s > s.max() * np.finfo(float).eps * max(train_features.shape)
    penalty = ridge * np.square(train_features).mean() * images
    inverse = np.divide(s, s**2 + penalty, out=np.zeros_like(s), where=kept)
    readout = (vt.T * inverse) @ (u.T @ chosen.y_train)
    errors = train_features @ readout - chosen.y_train, test_features @ readout - chosen.y_test
    residual = chosen.y_train - u[:, kept] @ (u[:, kept].T @ chosen.y_train)
    return [np.square(error).mean() for error in (*errors, residual)]


def _networks(seeds, data, count, noise, sizes, ridge, networks, steps):
    """Squared errors of trained two-layer networks of several sizes: a row for each seed and size."""
    examples = {seed: _noisy(data, count, noise, seed) for seed in seeds}
    inputs, outputs = examples[seeds[0]].x_train.shape[1], examples[seeds[0]].y_train.shape[1]
    tables = []
    for size in sizes:
        width = max(1, round((size * count * outputs - outputs) / (inputs + outputs + 1)))
        training = train(
            two_layer_network,
            lambda replica: examples[replica // networks],
            loss="mean_squared_error",
            optimizer=keras.optimizers.Adam(0.01),
            steps=steps,
            batch_size=count,
            seeds=[seed * networks + index for seed in seeds for index in range(networks)],
            inputs=inputs,
            outputs=outputs,
            width=width,
            ridge=ridge / 1000,
        )
        errors = training.records.groupby(training.records["seed"] // networks)[["train_loss", "test_loss"]].median()
        parameters = (inputs + outputs + 1) * width + outputs
        found = errors.rename(columns={"train_loss": "train_error", "test_loss": "test_error"}).reset_index()
        tables.append(found.assign(size=parameters / (count * outputs)))
    return pd.concat(tables, ignore_index=True)


def _with_interpolation(curves, classes, share):
    """Add the smallest size that fits the training data, for each seed; infinite where none does.

    A penalty does not move it, where the training error without one is known.
    """
    of_the_best_constant = (classes - 1) / classes**2  # for one-hot targets of equally frequent classes
    ordered = curves.sort_values("size")
    error = ordered["unpenalised"] if "unpenalised" in ordered else ordered["train_error"]
    fits = ordered["size"].where(error <= share * of_the_best_constant, np.inf)
    return ordered.assign(interpolation=fits.groupby(ordered["seed"]).transform("min"))
