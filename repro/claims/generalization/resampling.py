"""Estimates of the error on unseen data: cross-validation and its splits."""

from __future__ import annotations

import numpy as np
import pandas as pd

from repro import AllOf, Correction, Equivalent, Greater, Identity, Ratio, claim, lectures, notes
from repro.engine import load_data

HELD_OUT = Equivalent(
    "estimate",
    "error",
    smallest_difference=0.03,
    because="three errors in a hundred images are what one of the ten classes weighs among the mistakes",
)


@claim(
    "K-fold cross-validation estimates the error on unseen data: shuffle, split into k groups, fit on all groups but "
    "one and evaluate on that one, and average over the groups.",
    source=(lectures("2.5.1"), notes("Example 26")),
    kind="tendency",
    literature="Hastie, Tibshirani and Friedman 2009, section 7.10",
    criterion=AllOf(
        estimate=HELD_OUT,
        precision=Ratio(
            "squared_error",
            of="5 folds",
            than="hold-out",
            by="method",
            expected=0.2,
            within=2.5,
            because="every image is validated once, five times as many as in one fold; half of that would be worth it",
        ),
    ),
    smoke={"training_sets": 30},
    full={"data": "mnist", "images": 500},
    control={"evaluated": "training groups"},
)
def k_fold(seed, *, images=200, folds=5, training_sets=100, evaluated="held-out group", data="digits"):
    """Compares the 5-fold estimate for a least-squares classifier on 200 images with its error on all other images.

    Per seed the mean over 100 random training sets, fitted to one-hot targets with a ridge. The precision is the mean
    squared deviation from the mean error over sets, in comparison with one fold alone (hold-out). The control evaluates
    every model on the groups that it was fitted on.
    """
    generator = np.random.default_rng(seed)
    estimates, errors, classes = np.empty((training_sets, folds)), np.empty(training_sets), load_data(data).classes
    for place in range(training_sets):
        x, y, x_unseen, y_unseen = _images(generator, images, data)
        groups = np.array_split(generator.permutation(images), folds)
        for fold, group in enumerate(groups):
            rest = np.setdiff1d(np.arange(images), group)
            seen = rest if evaluated == "training groups" else group
            estimates[place, fold] = _error(_fit(x[rest], y[rest], classes), x[seen], y[seen])
        errors[place] = _error(_fit(x, y, classes), x_unseen, y_unseen)
    rows = []
    for method, values in (("5 folds", estimates.mean(axis=1)), ("hold-out", estimates[:, 0])):
        squared = np.mean(np.square(values - errors.mean()))
        rows.append({"estimate": values.mean(), "error": errors.mean(), "method": method, "squared_error": squared})
    return pd.DataFrame(rows)


@claim(
    "Leave-one-out cross-validation gives an unbiased estimate of the performance of the model, but is computationally "
    "expensive.",
    source=lectures("2.5.1"),
    kind="theorem",
    literature="Luntz and Brailovsky 1969: unbiased for a training set that is smaller by one",
    criterion=AllOf(
        unbiased=Ratio(
            "value",
            of="leave-one-out",
            than="error",
            by="quantity",
            expected=1.0,
            within=1.03,
            because="the bias of leaving one of ten examples out is three times that, the sampling error a third",
        ),
        expensive=Identity("fits", "examples"),
    ),
    correction=Correction(
        "Leave-one-out takes a fit for every example, and its estimate is unbiased for the error of models trained on "
        "$n - 1$ examples, which is larger than that of the model trained on all $n$.",
        examples_of_model=9,
    ),
)
def leave_one_out_unbiased(seed, *, examples=10, features=4, examples_of_model=10, training_sets=20_000):
    """Averages the leave-one-out estimate of least squares over 20,000 training sets of ten normal examples.

    Four features and unit noise. The expected squared error of a model trained on m examples is known in closed form,
    1 + d / (m - d - 1) for d normal features; it rises by a ninth from ten examples to nine. Residuals over one minus
    leverage are the ten fits' errors exactly (Allen's PRESS); the number of fits they stand for is what it costs.
    """
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(training_sets, examples, features))
    y = generator.normal(size=(training_sets, examples))  # coefficients zero: least squares is equivariant
    q, _ = np.linalg.qr(x)
    leverage = np.square(q).sum(axis=2)
    residuals = y - np.einsum("sij,skj,sk->si", q, q, y, optimize=True)
    left_out = residuals / (1 - leverage)
    return {
        "quantity": ["leave-one-out", "error"],
        "value": [np.square(left_out).mean(), 1 + features / (examples_of_model - features - 1)],
        "fits": left_out.shape[1],
        "examples": examples,
    }


@claim(
    "Cross-validation evaluates a type of model, not a specific parameterised model.",
    source=notes("Remark 3.17"),
    kind="tendency",
    literature="Bates, Hastie and Tibshirani 2023",
    criterion=AllOf(
        nearer=Greater(
            "squared_distance",
            of="this model",
            than="the type",
            by="error",
            smallest_ratio=1.05,
            because="the errors of single models vary a fifth as much as the estimate; a quarter of that would count",
        ),
        unrelated=Equivalent(
            "correlation",
            0.0,
            smallest_difference=0.1,
            because="an estimate that explains less than a hundredth of a model's error says nothing about that model",
        ),
    ),
    smoke={"training_sets": 1000},
    control={"method": "hold-out"},
)
def cross_validation_rates_the_type(seed, *, examples=100, features=20, folds=10, training_sets=4000, method="folds"):
    """Compares estimates for least squares with the error of the fitted model and with the mean error over all sets.

    Per seed 4000 training sets of 100 normal examples with 20 features and unit noise; a model's error is exactly
    1 + |w - w*|^2. Mean squared distance of the ten-fold estimate to either, and its correlation with the model's own.
    The control estimates the error of the fitted model on a hundred times as many fresh examples.
    """
    generator = np.random.default_rng(seed)
    estimates, errors = np.empty(training_sets), np.empty(training_sets)
    for place in range(training_sets):
        x, y = generator.normal(size=(examples, features)), generator.normal(size=examples)
        weights = np.linalg.solve(x.T @ x, x.T @ y)
        errors[place] = 1 + weights @ weights
        if method == "hold-out":
            # mean squared residual of fresh examples, which are chi-squared
            estimates[place] = errors[place] * generator.chisquare(100 * examples) / (100 * examples)
        else:
            estimates[place] = _folded(x, y, folds)
    return {
        "error": ["this model", "the type"],
        "squared_distance": [np.mean(np.square(estimates - target)) for target in (errors, errors.mean())],
        "correlation": np.corrcoef(estimates, errors)[0, 1],
    }


@claim(
    "Cross-validation splits the data by random subsampling with replacement.",
    source=lectures("2.5"),
    kind="advice",
    literature="Efron and Tibshirani 1997 on samples with replacement, which need the examples that were not drawn",
    criterion=HELD_OUT,
    smoke={"training_sets": 10},
    full={"data": "mnist", "images": 500},
    correction=Correction(
        "Cross-validation splits the data by random subsampling without replacement, so that no example is in both "
        "parts; only whole splits may be drawn repeatedly.",
        replacement=False,
    ),
)
def resampled_splits(seed, *, images=200, training_sets=40, replacement=True, data="digits"):
    """Compares the validation error of the nearest neighbour on random splits of 200 images with its test error.

    Of every set of images 160 are drawn for training and 40 for validation, with replacement or without, 40 sets for a
    seed; the error is that of the same 160 on all other images. With replacement about half of the validation images
    are among those trained on. The sentence could also mean that splits are drawn repeatedly, which is the correction.
    """
    generator = np.random.default_rng(seed)
    found = []
    for _ in range(training_sets):
        x, y, x_unseen, y_unseen = _images(generator, images, data)
        drawn = generator.choice(images, size=images, replace=replacement)
        train, validation = drawn[images // 5 :], drawn[: images // 5]
        found.append(
            [
                _neighbour_error(x[train], y[train], x[validation], y[validation]),
                _neighbour_error(x[train], y[train], x_unseen, y_unseen),
            ]
        )
    estimate, error = np.mean(found, axis=0)
    return {"estimate": estimate, "error": error}


@claim(
    "In classification problems the class distribution should be preserved by stratified sampling.",
    source=lectures("2.5"),
    kind="advice",
    literature="Kohavi 1995: stratification lowers bias and variance",
    criterion=Greater(
        "variance",
        of="plain",
        than="stratified",
        by="folds",
        smallest_ratio=1.1,
        because="a tenth less variance is worth a tenth more data, at no cost",
        each=("classes",),
    ),
    full={"data": "mnist"},
    control={"stratify_by": "random labels", "classes": ("rare",)},
    correction=Correction(
        "Stratified sampling lowers the variance of the estimated error where classes differ in how often they are "
        "mistaken, as a rare one does. With balanced classes that are equally hard it changes next to nothing.",
        classes=("rare",),
    ),
)
def stratified_splits(
    seed,
    *,
    classes=("balanced", "rare"),
    images=100,
    folds=5,
    splits=100,
    stratify_by="classes",
    data="digits",
):
    """Compares how much the error on a fold varies, over the folds of 100 random splits of the same 100 images.

    One class of images against all others: fifty of it (balanced), or five (rare), one for each fold. Share of mistakes
    of the least-squares classifier fitted on the other four folds; its variance is averaged over which class it is.
    Every seed draws the images. The control stratifies by labels that have nothing to do with the classes, one of which
    is rare.
    """
    rows = []
    for name in classes:
        generator = np.random.default_rng(seed)
        variances = []
        for of_class in range(load_data(data).classes):
            x, y = _one_against_others(generator, images, of_class, images // 2 if name == "balanced" else folds, data)
            strata = y if stratify_by == "classes" else generator.permutation(y)
            orders = {
                "plain": generator.permuted(np.tile(np.arange(images), (splits, 1)), axis=1),
                "stratified": _by_strata(generator, strata, splits),
            }
            # a fold takes every fifth image, so that equal strata are dealt out equally
            variances.append([_fold_errors(x, y, order, folds).var() for order in orders.values()])
        for label, variance in zip(("plain", "stratified"), np.mean(variances, axis=0), strict=True):
            rows.append({"classes": name, "folds": label, "variance": variance})
    return pd.DataFrame(rows)


def _images(generator, number, data):
    """Images with a constant pixel and their classes: a few random ones, and all others as unseen data."""
    images = load_data(data).flat()
    x = np.column_stack([images.x_train, np.ones(len(images.x_train))])
    order = generator.permutation(len(x))
    chosen, unseen = order[:number], order[number:]
    return x[chosen], images.y_train[chosen], x[unseen], images.y_train[unseen]


def _one_against_others(generator, number, label, size, data):
    """Random images with a constant pixel: as many of a class as asked for, target 1, and others, target -1."""
    images = load_data(data).flat()
    of_class = images.y_train == label
    chosen = np.concatenate(
        [
            generator.choice(np.flatnonzero(of_class), size=size, replace=False),
            generator.choice(np.flatnonzero(~of_class), size=number - size, replace=False),
        ]
    )
    return np.column_stack([images.x_train[chosen], np.ones(number)]), np.where(of_class[chosen], 1.0, -1.0)


def _by_strata(generator, strata, splits):
    """Random orders of the images in which strata follow each other, [splits, images]."""
    places = [np.flatnonzero(strata == stratum) for stratum in np.unique(strata)]
    return np.hstack([generator.permuted(np.tile(place, (splits, 1)), axis=1) for place in places])


def _fold_errors(x, y, order, folds, ridge=0.1):
    """Share of mistakes on every fold of ridge classifiers fitted on the others, [splits, folds].

    The residuals of a fold left out are (I - H)^-1 times those of the whole fit, H its block of the hat matrix.
    """
    hat = x @ np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T)
    groups = order.reshape(len(order), -1, folds).swapaxes(1, 2)
    blocks = np.eye(groups.shape[2]) - hat[groups[..., :, None], groups[..., None, :]]
    left_out = np.linalg.solve(blocks, (y - hat @ y)[groups][..., None])[..., 0]
    return np.mean((y[groups] - left_out) * y[groups] <= 0, axis=2)


def _fit(x, y, classes, ridge=0.1):
    """Weights [inputs, classes] of ridge regression on one-hot targets; classes count from 0."""
    targets = np.eye(classes)[y]
    return np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T @ targets)


def _error(weights, x, y):
    return np.mean((x @ weights).argmax(axis=1) != y)


def _neighbour_error(x_train, y_train, x, y):
    """Error of the class of the nearest training image."""
    distances = np.square(x_train).sum(axis=1) - 2 * x @ x_train.T
    return np.mean(y_train[distances.argmin(axis=1)] != y)


def _folded(x, y, folds):
    """K-fold squared error of least squares, by the residuals of the whole fit as in ``_fold_errors``."""
    hat = x @ np.linalg.solve(x.T @ x, x.T)
    groups = np.arange(len(x)).reshape(folds, -1)
    blocks = np.eye(groups.shape[1]) - hat[groups[:, :, None], groups[:, None, :]]
    return np.square(np.linalg.solve(blocks, (y - hat @ y)[groups][..., None])).mean()
