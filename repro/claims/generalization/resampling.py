"""Estimates of the error on unseen data: cross-validation and its splits."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from repro import AllOf, Boundary, Equivalent, Greater, Identity, Ratio, Rival, claim, lectures, notes
from repro.engine import load_data


def fold_estimates(seed, *, examples=(10, 20, 50, 100), folds=(2, 10), features=4, drawn=100_000):
    """Estimates the squared error of least squares on n normal examples by K folds and by leaving one out.

    Four normal features, coefficients of nought (least squares is equivariant) and unit noise, so that the error of a
    model on unseen data is exactly 1 + |w|^2; that of models trained on m examples is 1 + d / (m - d - 1) in the mean.
    For every n as many training sets as make 100,000 examples; the estimate is the mean over them. Every model is
    fitted without its fold, by the exact update of the fit to all examples (Allen 1974: I - H for a fold, H its block
    of the hat matrix), and evaluated on it, on the examples that it was fitted to, and on unseen data.
    """
    rows = []
    for size in examples:
        generator = np.random.default_rng((seed, size))
        x = generator.normal(size=(drawn // size, size, features))
        y = generator.normal(size=(drawn // size, size))
        for number in dict.fromkeys((*folds, size)):
            if size - size // number > features + 1 and size % number == 0:
                held_out, fitted, unseen, unseen_of_all = fold_errors(x, y, number)
                rows.append(
                    {
                        "examples": size,
                        "folds": number,
                        "estimate": held_out.mean(),
                        "fitted": fitted.mean(),
                        "unseen": unseen.mean(),
                        "unseen_of_all": unseen_of_all.mean(),
                        "variance": held_out.mean(axis=1).var(),
                        "hold_out_variance": held_out[:, 0].var(),
                        "fits": _number_of_fits(x[0], y[0], number),
                    }
                )
    return pd.DataFrame(rows).assign(features=features)


@claim(
    "K-fold cross-validation, which fits a model on all groups but one, evaluates it on that one and averages over the "
    "groups, estimates the error on unseen data.",
    source=(lectures("2.5.1"), notes("Example 26")),
    kind="tendency",
    scope="exchangeable examples; the error is that of models trained on all groups but one",
    left_open=("folds", "examples"),
    literature="Hastie, Tibshirani and Friedman 2009, section 7.10",
    reads=fold_estimates,
    smoke={"drawn": 50_000},
    criterion=Ratio(
        "squared_error",
        of="estimate",
        than="unseen data",
        by="on",
        expected=1.0,
        within=1.05,
        each=("folds", "examples"),
    ),
    control={"evaluated": "fitted"},
)
def k_fold(observations, *, evaluated="estimate", shown=(20, 100)):
    """The estimate by 2 and by 10 folds over the error on unseen data of models trained on n (1 - 1/K) examples.

    20 and 100 examples. The error of a model trained on all n is smaller, at 20 examples by 3 % than that for 10 folds
    and by 30 % than that for 2; ``leave_one_out_unbiased`` is about that. The control evaluates every model on the
    groups that it was fitted on.
    """
    chosen = observations[observations["examples"].isin(shown) & (observations["folds"] <= 10)]
    columns = ["seed", "folds", "examples"]
    return pd.concat(
        [
            chosen[columns].assign(on="estimate", squared_error=chosen[evaluated]),
            chosen[columns].assign(on="unseen data", squared_error=chosen["unseen"]),
        ],
        ignore_index=True,
    )


@claim(
    "Leave-one-out cross-validation can be applied where data are scarce; it gives an unbiased estimate of the "
    "performance of the model, but can be computationally expensive, particularly for large data sets.",
    source=lectures("2.5.1"),
    kind="theorem",
    scope="unbiased in the textbook sense; which training size the performance is that of is left open",
    left_open=("trained_on",),
    literature="Luntz and Brailovsky 1969; Elisseeff and Pontil 2003, who call it almost unbiased",
    reads=fold_estimates,
    smoke={"drawn": 50_000},
    criterion=AllOf(
        unbiased=Ratio(
            "squared_error",
            of="leave-one-out",
            than="model",
            by="of",
            expected=1.0,
            within=1.05,
            each=("examples", "trained_on"),
            where={"question": "unbiased"},
        ),
        expensive=Identity("fits", "training_size", where={"question": "expensive"}),
    ),
    boundary=Boundary(
        "of models trained on n - 1 examples, and of those trained on n where one example more changes little",
        holds="part == 'expensive' or derived_bias < 1.05",
        named=(
            {"part": "unbiased", "examples": 10, "trained_on": "n - 1"},
            {"part": "unbiased", "examples": 10, "trained_on": "n"},
            {"part": "expensive"},
        ),
        assumption="Luntz and Brailovsky 1969: the estimate is unbiased for a training set that is smaller by one",
    ),
    rival=Rival(
        "Leave-one-out is unbiased for models trained on $n - 2$ examples.",
        criterion=Ratio(
            "squared_error",
            of="leave-one-out",
            than="two fewer",
            by="of",
            expected=1.0,
            within=1.05,
            where={"examples": 10, "trained_on": "n - 1"},
        ),
    ),
)
def leave_one_out_unbiased(observations):
    """The leave-one-out estimate over the error on unseen data of models trained on n - 1 and on n examples.

    10 examples decide; 20, 50 and 100 are on the map, where the bias derived in closed form falls as 1 / n^2. What is
    expensive is a general learner, fitted again for every example: its fits are counted in a run, which is a worked
    number; a linear smoother takes one.
    """
    chosen = observations[observations["folds"] == observations["examples"]]
    size, features = chosen["examples"], chosen["features"]
    bias = expected_error(size - 1, features) / expected_error(size, features)
    tables = [
        pd.DataFrame({"seed": chosen["seed"], "question": "expensive", "fits": chosen["fits"], "training_size": size})
    ]
    for trained_on, error, derived in (("n - 1", chosen["unseen"], 1.0), ("n", chosen["unseen_of_all"], bias)):
        common = pd.DataFrame({"seed": chosen["seed"], "question": "unbiased", "examples": size})
        common = common.assign(trained_on=trained_on, derived_bias=derived)
        tables += [
            common.assign(of="leave-one-out", squared_error=chosen["estimate"]),
            common.assign(of="model", squared_error=error),
            common.assign(of="two fewer", squared_error=expected_error(size - 2, features)),
        ]
    return pd.concat(tables, ignore_index=True)


@claim(
    "Cross-validation evaluates a type of model, not a specific parameterised model.",
    source=notes("Remark 3.17"),
    kind="tendency",
    scope="architecture and hyper-parameters fixed, parameters fitted anew in each fold",
    literature="Bates, Hastie and Tibshirani 2023",
    criterion=Greater("squared_distance", of="this model", than="the type", by="error", smallest_ratio=1.05),
    smoke={"training_sets": 1000},
    control={"method": "fresh examples"},
)
def cross_validation_rates_the_type(seed, *, examples=100, features=20, folds=10, training_sets=4000, method="folds"):
    """Compares estimates for least squares with the error of the fitted model and with the mean error over all sets.

    Per seed 4000 training sets of 100 normal examples with 20 features and unit noise; a model's error is exactly
    1 + |w - w*|^2. Mean squared distance of the ten-fold estimate to either. Where the estimate knows nothing of the
    single model, the ratio of the distances is one and the ratio of the two variances together, ``unrelated``, and the
    correlation is nought, as Bates, Hastie and Tibshirani 2023 find for least squares. The control estimates the error
    of the fitted model on a hundred times as many fresh examples.
    """
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(training_sets, examples, features))
    y = generator.normal(size=(training_sets, examples))
    weights = np.linalg.solve(x.mT @ x, x.mT @ y[..., None])[..., 0]
    errors = 1 + np.square(weights).sum(axis=1)
    if method == "folds":
        estimates = fold_errors(x, y, folds)[0].mean(axis=1)
    else:  # the mean squared residual of fresh examples, which is chi-squared
        fresh = 100 * examples
        estimates = errors * generator.chisquare(fresh, size=training_sets) / fresh
    return {
        "error": ["this model", "the type"],
        "squared_distance": [np.mean(np.square(estimates - target)) for target in (errors, errors.mean())],
        "correlation": np.corrcoef(estimates, errors)[0, 1],
        "unrelated": 1 + errors.var() / estimates.var(),
    }


@claim(
    "In cross-validation the data are to be split by random subsampling, with replacement.",
    source=lectures("2.5"),
    kind="advice",
    scope="the error is to be tested on data that were not trained on, as the same list demands",
    left_open=("splits",),
    literature="Efron and Tibshirani 1997 on the bootstrap; Kohavi 1995",
    criterion=Equivalent("estimated_error", "error", smallest_difference=0.01, each=("splits",)),
    full={"data": "mnist", "images": 500},
    control={"disjoint": False},
)
def resampled_splits(seed, *, images=200, training_sets=100, disjoint=True, data="digits"):
    """Compares the error of the nearest neighbour on the validation part of random splits with its error elsewhere.

    Each of 100 sets of 200 images is split once in either of the usual ways: 160 images to train on and the other 40 to
    validate on, where whole splits are drawn anew, so that an image may be validated several times; and 200 drawn with
    replacement, with those that were not drawn for validation (out of bag). The error is that of the same neighbours on
    all other images. The control cuts one sample with replacement in two, so that half of the validation images were
    trained on, which a nearest neighbour shows most.
    """
    generator = np.random.default_rng(seed)
    found = {"drawn anew": [], "bootstrap": []}
    for _ in range(training_sets):
        x, y, x_unseen, y_unseen = _images(generator, images, data)
        if disjoint:
            order, drawn = generator.permutation(images), generator.integers(images, size=images)
            parts = {
                "drawn anew": (order[images // 5 :], order[: images // 5]),
                "bootstrap": (np.unique(drawn), np.setdiff1d(np.arange(images), drawn)),
            }
        else:
            samples = {splits: generator.integers(images, size=images) for splits in found}
            parts = {splits: (drawn[images // 5 :], drawn[: images // 5]) for splits, drawn in samples.items()}
        for splits, (train, validation) in parts.items():
            errors = [
                _neighbour_error(x[train], y[train], *others)
                for others in ((x[validation], y[validation]), (x_unseen, y_unseen))
            ]
            found[splits].append(errors)
    means = {splits: np.mean(errors, axis=0) for splits, errors in found.items()}
    return pd.DataFrame(
        [{"splits": splits, "estimated_error": estimate, "error": error} for splits, (estimate, error) in means.items()]
    )


def split_variances(seed, *, images=50, folds=5, splits=1000, data="digits"):
    """Cross-validates a classifier of one class against all others over 1000 random splits of the same 50 images.

    Half of the images are of the class (balanced), or five (rare), one for each fold. Plain splits, splits stratified
    by class, and splits stratified by labels that have nothing to do with the classes, one of which is as frequent. The
    classifier is least squares with a ridge, fitted to the other four folds; its estimate is the mean share of mistakes
    over the folds. The variance over splits, and the share of folds without an image of the class, are averaged over
    which class of the data it is.
    """
    rows = []
    for shares in ("balanced", "rare"):
        generator = np.random.default_rng(seed)
        found = []
        for label in range(load_data(data).classes):
            x, y = _one_against_others(generator, images, label, images // 2 if shares == "balanced" else folds, data)
            orders = {
                "plain": generator.permuted(np.tile(np.arange(images), (splits, 1)), axis=1),
                "by class": _by_strata(generator, y, splits),
                "by random labels": _by_strata(generator, generator.permutation(y), splits),
            }
            for stratified, order in orders.items():
                # a fold takes every fifth image, so that equal strata are dealt out equally
                without = (y[order].reshape(splits, -1, folds) < 0).all(axis=1).mean()
                variance = _shares_of_mistakes(x, y, order, folds).mean(axis=1).var()
                found.append({"stratified": stratified, "variance": variance, "without": without})
        means = pd.DataFrame(found).groupby("stratified", as_index=False).mean()
        rows.append(means.assign(shares=shares))
    return pd.concat(rows, ignore_index=True)


@claim(
    "In classification problems the class distribution should be preserved by stratified sampling.",
    source=lectures("2.5"),
    kind="advice",
    scope="classification, shares of the classes left open: no harm is wanted where they are equal",
    left_open=("shares",),
    literature="Kohavi 1995: stratification lowers bias and variance",
    reads=split_variances,
    criterion=AllOf(
        harmless=Greater(
            "variance",
            of="plain",
            than="by class",
            by="stratified",
            smallest_ratio=1 / 1.05,
            source="five per cent more variance would matter, by the project's table",
            each=("shares",),
        ),
        steadier=Greater(
            "variance", of="plain", than="by class", by="stratified", smallest_ratio=1.05, where={"shares": "rare"}
        ),
        preserved=Greater(
            "without", of="plain", than="by class", by="stratified", smallest_ratio=1.05, where={"shares": "rare"}
        ),
    ),
    smoke={"splits": 400},
    full={"data": "mnist"},
    control={"by": "random labels"},
)
def stratified_splits(observations, *, by="class"):
    """Variance of the estimate and share of folds without the class, of plain over stratified splits.

    That stratified folds all have the rare class is by construction; that the estimate varies less with the split is
    not. The control stratifies by labels that have nothing to do with the classes.
    """
    chosen = observations[observations["stratified"].isin(["plain", f"by {by}"])]
    return chosen.replace({"stratified": {f"by {by}": "by class"}}).reset_index(drop=True)


def expected_error(examples, features):
    """Expected squared error of least squares with normal features and unit noise, trained on more than d + 1."""
    return 1 + features / (examples - features - 1)


def fold_errors(x, y, folds):
    """Squared errors of least squares fitted without a fold: on the fold, on the others, and expected on unseen data.

    Each is [sets, folds]; the expected error of the fit to all examples, [sets], comes last. Inputs of unseen data are
    normal, their true coefficients nought, and their noise has unit variance. Folds are examples that follow each
    other; x is [sets, examples, features]. The residuals of a fold left out are (I - H)^-1 times those of the whole
    fit, H its block of the hat matrix, and the fit without it moves by the inverse Gram matrix times its inputs times
    these residuals.
    """
    sets, examples, features = x.shape
    gram = x.mT @ x
    inverse = np.linalg.inv(gram)
    weights = inverse @ (x.mT @ y[..., None])
    residuals = y - (x @ weights)[..., 0]
    groups = x.reshape(sets, folds, -1, features)
    hat = groups @ inverse[:, None] @ groups.mT
    left_out = np.linalg.solve(np.eye(hat.shape[-1]) - hat, residuals.reshape(sets, folds, -1)[..., None])
    moved = inverse[:, None] @ groups.mT @ left_out
    squares = np.square(left_out[..., 0]).sum(axis=2)
    all_squares = np.square(residuals).sum(axis=1)[:, None] + (moved.mT @ gram[:, None] @ moved)[..., 0, 0]
    size = groups.shape[2]
    unseen = 1 + np.square(weights[:, None] - moved).sum(axis=(2, 3))
    of_all = 1 + np.square(weights).sum(axis=(1, 2))
    return squares / size, (all_squares - squares) / (examples - size), unseen, of_all


def _number_of_fits(x, y, folds):
    """Number of fits of a learner that is fitted again for every fold."""
    fits = itertools.count()
    for group in np.array_split(np.arange(len(y)), folds):
        np.linalg.lstsq(np.delete(x, group, axis=0), np.delete(y, group), rcond=None)
        next(fits)
    return next(fits)


def _images(generator, number, data):
    """Images as vectors and their classes: a few random ones, and all others as unseen data."""
    images = load_data(data).flat()
    order = generator.permutation(len(images.x_train))
    chosen, unseen = order[:number], order[number:]
    return images.x_train[chosen], images.y_train[chosen], images.x_train[unseen], images.y_train[unseen]


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


def _shares_of_mistakes(x, y, order, folds, ridge=0.1):
    """Share of mistakes on every fold of ridge classifiers fitted on the others, [splits, folds].

    By the residuals of the whole fit, as in ``fold_errors``.
    """
    hat = x @ np.linalg.solve(x.T @ x + ridge * np.eye(x.shape[1]), x.T)
    groups = order.reshape(len(order), -1, folds).swapaxes(1, 2)
    blocks = np.eye(groups.shape[2]) - hat[groups[..., :, None], groups[..., None, :]]
    left_out = np.linalg.solve(blocks, (y - hat @ y)[groups][..., None])[..., 0]
    return np.mean((y[groups] - left_out) * y[groups] <= 0, axis=2)


def _neighbour_error(x_train, y_train, x, y):
    """Error of the class of the nearest training image."""
    distances = np.square(x_train).sum(axis=1) - 2 * x @ x_train.T
    return np.mean(y_train[distances.argmin(axis=1)] != y)
