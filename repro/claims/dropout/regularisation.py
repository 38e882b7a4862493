"""What training with dropout does for a network."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Greater, PositiveControl, Reported, claim, lectures, notes
from repro.engine import classifier, compare_arms, horizons, join_tables, load_data, tune

with epy.lazy_imports():
    import keras

MNIST = tuple(
    Reported(value, measure=f"test error, {arm}", setting="MNIST", place="Srivastava et al. 2014, table 9")
    for arm, value in (
        ("L2", "1.62 %"),
        ("max-norm", "1.35 %"),
        ("dropout and L2", "1.25 %"),
        ("dropout and max-norm", "1.05 %"),
    )
)
LESS = partial(Greater, of="no dropout", by="arm", each=("noise", "steps"))
TWICE_LESS = partial(LESS, smallest_difference=0.02, because="it is twice what matters")


def overfitted(
    seeds,
    *,
    noises=(0.0, 0.3),
    dropped=0.5,
    images=250,
    width=64,
    steps=2000,
    rates=(0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
    data="digits",
):
    """Trains networks with and without dropout of half of their two layers of 64 ReLU units.

    Training data are 250 standardised images, which each seed redraws, with right labels or three in ten wrong. SGD
    with batches of 32, each arm at the rate of the least loss on held-out images, on seeds of its own, so that no arm
    overfits more than it must. Overfitting is measured in errors, shares of misclassified images in inference mode, as
    the notes define it (Definition 3.42): the gap is the test error minus the training error, after half and after all
    of the steps. Test labels are right, so that with wrong ones in training the gap may be negative: it counts how much
    less it is. Beside them are networks of half of the units, and networks without dropout on five times as many
    images.
    """
    loaded = load_data(data).standardized().flat()
    arms = {
        "no dropout": (width, 0.0, images),
        "units at random": (width, dropped, images),
        "the same units": (width // 2, 0.0, images),
        "more images": (width, 0.0, 5 * images),
    }
    tables = []
    for noise in noises:
        trained = {
            arm: classifier(
                dropping_network,
                lambda seed, size=size, noise=noise: loaded.subset(size, seed).with_label_noise(noise, seed),
                steps=steps,
                every=steps // 2,
                widths=(units, units),
                dropped=share,
            )
            for arm, (units, share, size) in arms.items()
        }
        space = {"learning_rate": list(rates)}
        tables.append(
            compare_arms(trained, space, len(rates), seeds, objective="validation_loss", widen=1, noise=noise)
        )
    records = join_tables(tables)
    found = horizons(records)
    found.attrs = records.attrs
    found["test_error"] = 1 - found["test_accuracy"]
    found["error_gap"] = found["train_accuracy"] - found["test_accuracy"]
    return found


@claim(
    "Dropout alleviates overfitting, which it is used to mitigate.",
    source=(notes("Definition 3.36"), lectures("2.5.4")),
    kind="tendency",
    scope="networks large enough to overfit; amount of data, label noise and rate of dropout are left open",
    left_open=("noise",),
    literature="Srivastava et al. 2014; section 7.4: no gain from 100 and 500 images of MNIST; Arpit et al. 2017: "
    "dropout hinders the learning of wrong labels",
    reads=overfitted,
    criterion=AllOf(
        gap=LESS("error_gap", than="dropout"),
        test=LESS("test_error", than="dropout"),
    ),
    boundary=Boundary(
        "where there are wrong labels, which dropout keeps networks from learning by heart",
        holds="noise > 0",
    ),
    smoke={"steps": 800, "rates": (0.01, 0.03, 0.1, 0.3)},
    full={"data": "mnist", "images": 500, "width": 1024, "steps": 5000},
    control={"dropping": "the same units"},
    positive_control=PositiveControl(
        "More images alleviate overfitting: five times as many.",
        criterion=AllOf(
            gap=TWICE_LESS("error_gap", than="more images"),
            test=TWICE_LESS("test_error", than="more images"),
        ),
    ),
    seeds=48,
    reported=MNIST,
)
def reduces_overfitting(observations, *, dropping="units at random"):
    """Compares errors with and without dropout.

    The control drops the same half of the units in every step, for good: nothing is random.
    """
    return _with_dropout(observations, dropping)


def _with_dropout(observations, dropping):
    """Let an arm stand for dropout."""
    return observations.assign(arm=observations["arm"].replace(dropping, "dropout"))


def relied_on(seeds, *, dropped=0.5, images=500, width=32, steps=1000, rates=(0.1, 0.3, 1.0), data="digits"):
    """Removes hidden units of trained networks, one and a quarter of them, and correlates them.

    Networks of one hidden layer of 32 ReLU units on 500 standardised images, which each seed redraws, with and without
    dropout of a half; SGD with batches of 32, all and half of the steps, each arm at the rate of the least loss on
    held-out images, on seeds of its own. One unit, a quarter: the share of test images whose class changes when one
    unit is removed, averaged over units, or eight at random, averaged over 50 draws. Unevenness: the coefficient of
    variation of that share over units. Correlation: the mean absolute correlation
    of two units over test images of one class, averaged over classes, as that over all classes is about the classes.
    Beside them are networks whose hidden units are all dropped together, and such that are fed with two linear features
    of the image.
    """
    loaded = load_data(data).standardized().flat()
    arms = {
        "no dropout": {"dropped": 0.0},
        "units one by one": {"dropped": dropped},
        "all units together": {"dropped": dropped, "shared": True},
        "two features": {"dropped": 0.0, "features": 2},
    }
    rows, trials = [], []
    for label, network in arms.items():
        arm = classifier(
            dropping_network,
            lambda seed: loaded.subset(images, seed),
            steps=steps,
            metrics={},
            widths=(width,),
            **network,
        )
        tuning = tune(arm, {"learning_rate": list(rates)}, len(rates), objective="validation_loss", widen=1)
        trials += tuning.table(arm=label)
        for horizon in (steps // 2, steps):
            training = arm(seeds=list(seeds), steps=horizon, **tuning.best)
            for seed, weights in zip(training.replicas["seed"], training.weights, strict=True):
                found = _reliance(weights, loaded.x_test, loaded.y_test, seed)
                common = {"seed": seed, "arm": label, "steps": horizon}
                rows += [{**common, "measure": name, "value": value} for name, value in found.items()]
    table = pd.DataFrame(rows)
    table.attrs["tuning"] = trials
    return table


@claim(
    "Dropout helps prevent co-adaptation, hidden units relying too heavily on one another: the learning process is "
    "distributed more evenly, the network is less dependent on specific units, and is encouraged to learn more robust "
    "and independent features.",
    source=lectures("2.5.4"),
    kind="tendency",
    scope="how dependence is measured, layer and rate are left open",
    left_open=("measure",),
    literature="Hinton et al. 2012; Srivastava et al. 2014, section 7.1",
    reads=relied_on,
    criterion=Greater("value", of="no dropout", than="dropout", by="arm", each=("measure", "steps")),
    boundary=Boundary(
        "where dependence is what removing units does, which dropout trains for, not where it is correlation: what one "
        "unit knows others have to know too",
        holds="measure != 'correlation within classes'",
    ),
    smoke={"steps": 400, "rates": (0.1, 0.3, 1.0)},
    full={"data": "mnist", "images": 1000, "steps": 5000},
    control={"dropping": "all units together"},
    positive_control=PositiveControl(
        "Units that are fed with two features of the image only are correlated more: two directions in a plane have a "
        "mean absolute cosine of 2 / pi.",
        criterion=Greater(
            "value",
            of="two features",
            than="no dropout",
            by="arm",
            each=("measure", "steps"),
            smallest_ratio=1.05**2,
            because="it is twice what matters",
            where={"measure": "correlation within classes"},
        ),
    ),
    seeds=48,
)
def reduces_coadaptation(observations, *, dropping="units one by one"):
    """Compares networks with and without dropout.

    The control drops all units of an example together, noise of the same size from which no unit can learn to do
    without another.
    """
    return _with_dropout(observations, dropping)


def _reliance(weights, x, labels, seed, groups=50):
    """What removing hidden units does to decisions, and how correlated they are within classes.

    Args:
        weights: Kernels and biases: of linear features of the image, if there are any, of the hidden layer and of the
            outputs.
        x: Test images, [images, pixels].
        labels: Their classes.
        seed: Seed of the groups that are removed.
        groups: Number of groups of a quarter of the units.
    """
    *before, second, last = (weight for weight in weights if np.issubdtype(weight.dtype, np.floating))
    signal = x
    for kernel, bias in zip(before[::2], before[1::2], strict=True):
        signal = signal @ kernel + bias
    hidden = np.maximum(signal, 0)
    logits = hidden @ second + last
    units = hidden.shape[1]
    decided = logits.argmax(axis=-1)

    removed = logits - hidden.T[:, :, None] * second[:, None, :]  # [units, images, classes]
    of_units = (removed.argmax(axis=-1) != decided).mean(axis=1)
    generator = np.random.default_rng(seed)
    changed = []
    for _ in range(groups):
        group = generator.choice(units, units // 4, replace=False)
        changed.append((logits - hidden[:, group] @ second[group]).argmax(axis=-1) != decided)
    correlations = []
    for each in np.unique(labels):
        of_class = hidden[labels == each]
        varying = of_class[:, of_class.std(axis=0) > 0]
        if varying.shape[1] > 1:
            correlation = np.abs(np.corrcoef(varying.T))
            correlations.append(correlation[~np.eye(len(correlation), dtype=bool)].mean())
    return {
        "one unit": of_units.mean(),
        "a quarter of the units": np.mean(changed),
        "unevenness": of_units.std() / of_units.mean() if of_units.any() else 0.0,  # none decides: all alike
        "correlation within classes": np.mean(correlations),
    }


def dropping_network(*, inputs, outputs, widths, dropped, shared=False, features=None):
    """Build a network of hidden ReLU layers with dropout behind them, of single units or of all units of an example.

    It may be fed with a few linear features of the image instead of the image.
    """
    layers = [keras.Input((inputs,))]
    if features is not None:
        layers.append(keras.layers.Dense(features))
    for width in widths:
        layers.append(keras.layers.Dense(width, activation="relu"))
        if dropped:
            layers.append(keras.layers.Dropout(dropped, noise_shape=(None, 1) if shared else None))
    return keras.Sequential([*layers, keras.layers.Dense(outputs)])
