"""What test error does as models grow."""

from __future__ import annotations

import itertools
from types import SimpleNamespace

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Falls, Greater, Peak, Ratio, Reported, cheatsheet, claim, lectures, notes
from repro.engine import corrupt_labels, load_data, train

with epy.lazy_imports():
    import keras

NOTHING = 1e-6  # share of an error that rounding leaves
WIDE = 4  # times as many features as images
SMOKE = {"models": ("random features",), "noises": (0.0, 0.4), "images": 100}
FULL = {
    "data": "mnist",
    "noises": (0.0, 0.2, 0.4),
    "images": 1000,
    "network_images": 400,
    "networks": 5,
    "network_steps": 20_000,
}


def error_curves(
    seeds,
    *,
    models=("random features", "network"),
    noises=(0.0, 0.4),
    images=150,
    sizes=(0.03, 0.1, 0.2, 0.3, 0.45, 0.67, 0.8, 0.93, 1.0, 1.07, 1.25, 1.5, 2.2, 3.3, 6.0, 20.0, 50.0, 100.0),
    ridge=0.0,
    draws=3,
    network_images=100,
    network_sizes=(0.085, 0.16, 0.3, 0.45, 0.67, 1.0, 1.5, 2.2, 3.3, 6.0),
    networks=1,
    network_steps=3000,
    fitted=0.1,
    data="digits",
):
    """Measures squared training and test errors of least-squares classifiers against their size, with wrong labels.

    Size counts adjustable numbers per class over training images. The interpolation point is found from the training
    error, of the median over a few draws: for random features the smallest size that leaves none, as in Belkin et al.
    2019; for networks, whose training is finite, the smallest that leaves at most a tenth of that of the best constant,
    the share of Nakkiran et al. 2020. A hundredth would be left at twice that size, and lie beyond the peak.
    Random features: fixed ReLU units, read out by the least-squares solution of least norm. Networks: two-layer Keras
    networks of leaky ReLU units, all of whose parameters are trained by Adam on full batches. Each seed draws the
    images and the wrong labels; its error at a size is the median over a few draws of features or initial weights,
    because at the interpolation point the mean is infinite. A ridge penalises the squared weights, ridge times the
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
    "Double descent, by which is meant that the test error peaks at the interpolation point: beyond it models start to "
    "learn.",
    source=cheatsheet("1.9.4"),
    kind="law",
    scope="test error against the number of parameters, as Belkin et al. 2019 mean the heading, under which the sheet "
    "states no peak; label noise, regularisation and training length are left open",
    left_open=("model", "noise"),
    literature="Belkin et al. 2019; Hastie et al. 2022; Nakkiran et al. 2020 on label noise",
    reads=error_curves,
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
    smoke=SMOKE,
    full=FULL,
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
def double_descent_peak(observations, *, smallest=0.1, largest=6.0):
    """Place and height of the largest test error between a tenth and six times as many features as images.

    Place: relative to the interpolation point. Height: relative to the errors at both ends. The control has a ridge.
    """
    return observations[observations["size"].between(smallest, largest)].reset_index(drop=True)


@claim(
    "Beyond the interpolation point models start to learn and eventually may level out at a lower generalisation "
    "error.",
    source=cheatsheet("1.9.4"),
    kind="possibility",
    scope="over-parameterised models; the sheet does not say lower than what",
    left_open=("model", "noise", "lower_than"),
    literature="Belkin et al. 2019; Nakkiran et al. 2020",
    reads=error_curves,
    criterion=AllOf(
        lower=Greater(
            "test_error",
            of="reference",
            than="largest",
            by="size_of",
            smallest_ratio=1.05,
            each=("model", "noise", "lower_than"),
            where={"question": "lower"},
        ),
        levels_out=Ratio(
            "test_error",
            of="second largest",
            than="largest",
            by="size_of",
            expected=1.0,
            within=1.05,
            each=("model", "noise"),
            where={"question": "levels out"},
        ),
    ),
    boundary=Boundary(
        "lower than the peak everywhere, lower than the best below interpolation where labels are right: what "
        "interpolates wrong labels keeps an excess error (Hastie et al. 2022)",
        holds="part == 'levels_out' or lower_than == 'the peak' or noise == 0",
        named=(
            *(
                {"part": "lower", "model": "random features", "noise": noise, "lower_than": reference}
                for noise in (0.0, 0.4)
                for reference in ("the peak", "the best below interpolation")
            ),
            *({"part": "levels_out", "model": "random features", "noise": noise} for noise in (0.0, 0.4)),
        ),
    ),
    smoke=SMOKE,
    full=FULL,
    control={"largest": 0.93},
    seeds=48,
)
def double_descent_second_descent(observations, *, largest=100.0):
    """The test error of the largest model against the peak's, and against the best of all below interpolation.

    The best below is chosen by test error, in favour of the small models. An error has levelled out if it differs by
    less than 5 % between the two largest sizes: 50 and 100 features for each image, or 3.3 and 6 parameters. The
    control's largest model is just below the interpolation point: at or just beyond it the error has no mean, and
    nothing would be decided.
    """
    rows = []
    curves = observations[observations["size"] <= largest].sort_values("size")
    for (seed, model, noise), curve in curves.groupby(["seed", "model", "noise"], sort=False):
        errors = curve["test_error"].to_numpy()
        below = errors[: max(1, int((curve["size"] < curve["interpolation"]).sum()))]
        references = {"the peak": errors.max(), "the best below interpolation": below.min()}
        common = {"seed": seed, "model": model, "noise": noise}
        for name, reference in references.items():
            for size_of, error in (("reference", reference), ("largest", errors[-1])):
                of = {"question": "lower", "lower_than": name, "size_of": size_of, "test_error": error}
                rows.append({**common, **of})
        for size_of, error in (("second largest", errors[-2]), ("largest", errors[-1])):
            rows.append({**common, "question": "levels out", "size_of": size_of, "test_error": error})
    return pd.DataFrame(rows)


@claim(
    "Too simple a model underfits, and one made too complex may adhere too closely to the training data and capture "
    "their noise; low capacity may struggle to fit the training set, high capacity can overfit; a good balance lies "
    "between.",
    source=(lectures("2.5"), *(notes(f"Definition 3.{number}", parts=("fits",)) for number in (41, 43, 45))),
    kind="tendency",
    scope="the classical regime, capacities below interpolation",
    left_open=("model", "noise"),
    literature="Hastie, Tibshirani and Friedman 2009, figure 2.11",
    reads=error_curves,
    criterion=AllOf(
        balance=Peak(
            x="capacity",
            y="test_error",
            at=10.0,
            within=9.9,
            prominence=1.05,
            kind="minimum",
            because="every capacity between the ends counts as between; five per cent of the error matter",
            each=("model", "noise"),
        ),
        fits=Falls("train_error", along="capacity", smallest_ratio=1.05, each=("model", "noise")),
    ),
    smoke=SMOKE,
    full=FULL,
    control={"ridge": 10.0},
    seeds=48,
)
def capacity_u_curve(observations):
    """Where the least test error lies below the interpolation point, and by how much the training error falls to there.

    Capacity is the size on a logarithmic scale on which the smallest model counts 1 and the largest below interpolation
    100. What lies beyond is another question, where errors may fall again; so is a rival finding, that the variance of
    trained networks falls with their width (Neal et al. 2018). The control has a ridge, with which complex models do
    not fit the noise.
    """
    below = observations[observations["size"] < observations["interpolation"]]
    sizes = np.log(below["size"])
    ends = sizes.groupby([below["seed"], below["model"], below["noise"]])
    low, high = ends.transform("min"), ends.transform("max")
    return below.assign(capacity=100 ** ((sizes - low) / (high - low))).reset_index(drop=True)


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
        repeated = draws if size <= WIDE else 1  # far beyond interpolation draws hardly differ
        errors = [_least_squares_errors(generator, chosen, features, ridge) for _ in range(repeated)]
        train_error, test_error, unpenalised = np.median(errors, axis=0)
        rows.append({"size": size, "train_error": train_error, "test_error": test_error, "unpenalised": unpenalised})
    return pd.DataFrame(rows)


def _least_squares_errors(generator, chosen, features, ridge):
    """Squared training and test error of the ridge solution on random ReLU features; least norm without ridge.

    The third number is the training error without a penalty.
    """
    images, inputs = chosen.x_train.shape
    is_wide = features > WIDE * images
    precision = np.float32 if is_wide else np.float64
    kernel = generator.standard_normal(size=(inputs, features), dtype=precision) / precision(np.sqrt(inputs))
    train_features, test_features = (np.maximum(x @ kernel, 0) for x in (chosen.x_train, chosen.x_test))
    penalty = ridge * np.square(train_features).mean() * images
    if is_wide:  # far beyond interpolation the Gram matrix is well conditioned, and small
        values, u = np.linalg.eigh((train_features @ train_features.T).astype(float))
        # ridge regression in its dual form; without ridge the solution of least norm
        dual = (u / (values + penalty)) @ (u.T @ chosen.y_train)
        readout, residual = train_features.T @ dual.astype(precision), np.zeros_like(chosen.y_train)
    else:
        u, s, vt = np.linalg.svd(train_features, full_matrices=False)
        kept = s > s.max() * np.finfo(float).eps * max(train_features.shape)
        inverse = np.divide(s, s**2 + penalty, out=np.zeros_like(s), where=kept)
        readout = (vt.T * inverse) @ (u.T @ chosen.y_train)
        residual = chosen.y_train - u[:, kept] @ (u[:, kept].T @ chosen.y_train)
    errors = train_features @ readout - chosen.y_train, test_features @ readout - chosen.y_test
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
