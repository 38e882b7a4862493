"""What training with dropout does for a network."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Boundary, Greater, PositiveControl, Reported, claim, lectures, notes
from repro.engine import Validation, classifier, compare_arms, convolution, horizons, join_tables, load_data, tune

with epy.lazy_imports():
    import keras

# Beyond the seeds of every run.
TRIAL_SEEDS = (30_000_000, 30_000_001)
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


@claim(
    "Dropout alleviates overfitting, which it is used to mitigate.",
    source=(notes("Definition 3.36"), lectures("2.5.4")),
    kind="tendency",
    scope="networks large enough to overfit; amount of data, label noise and rate of dropout are left open",
    left_open=("noise",),
    literature="Srivastava et al. 2014; section 7.4: no gain from 100 and 500 images of MNIST; Arpit et al. 2017: "
    "dropout hinders the learning of wrong labels",
    criterion=AllOf(
        gap=LESS("error_gap", than="dropout"),
        test=LESS("test_error", than="dropout"),
    ),
    boundary=Boundary(
        "where there are wrong labels, which dropout keeps networks from learning by heart",
        holds="noise > 0",
    ),
    smoke={"steps": 800, "rates": (0.01, 0.03, 0.1, 0.3)},
    full={"data": "mnist", "images": 1000, "width": 1024, "steps": 5000},
    control={"dropping": "the same units"},
    positive_control=PositiveControl(
        "More images alleviate overfitting: five times as many.",
        criterion=AllOf(
            gap=TWICE_LESS("error_gap", than="more images"),
            test=TWICE_LESS("test_error", than="more images"),
        ),
    ),
    reported=MNIST,
)
def reduces_overfitting(
    seeds,
    *,
    noises=(0.0, 0.2),
    dropped=0.5,
    dropping="units at random",
    images=200,
    width=64,
    steps=2000,
    rates=(0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
    data="digits",
):
    """Trains networks with and without dropout of half of their two layers of 64 ReLU units.

    Training data are 200 standardised images, which each seed redraws, with right labels or a fifth of them wrong. SGD
    with batches of 32, each arm at the rate of the least loss on held-out images, on seeds of its own, so that no arm
    overfits more than it must. Errors are shares of misclassified images, in inference mode, after half and after all
    of the steps; the gap is the test error minus the training error. Test labels are right, so that with wrong ones in
    training the gap may be negative: it counts how much less it is. The control drops the same units in every step, for
    good: it has half of the units, and nothing random. Beside them is a network without dropout on five times as many
    images.
    """
    loaded = load_data(data).standardized().flat()
    constant = dropping == "the same units"
    dropout = (width // 2, 0.0) if constant else (width, dropped)
    arms = {"no dropout": (width, 0.0, images), "dropout": (*dropout, images), "more images": (width, 0.0, 5 * images)}
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
    "Dropout helps prevent co-adaptation, hidden units relying too heavily on one another: learning is distributed "
    "more evenly, the network depends less on specific units, and is encouraged to learn more robust and independent "
    "features.",
    source=lectures("2.5.4"),
    kind="tendency",
    scope="how dependence is measured, layer and rate are left open",
    left_open=("measure",),
    literature="Hinton et al. 2012; Srivastava et al. 2014, section 7.1",
    criterion=Greater("value", of="no dropout", than="dropout", by="arm", each=("measure", "steps")),
    boundary=Boundary(
        "where dependence is what removing units does, which dropout trains for, not where it is correlation: what one "
        "unit knows others have to know too",
        holds="measure != 'correlation within classes'",
    ),
    smoke={"steps": 400, "rates": (0.1, 0.3, 1.0)},
    full={"data": "mnist", "images": 1000, "steps": 5000},
    control={"shared": True},
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
)
def reduces_coadaptation(
    seeds, *, dropped=0.5, shared=False, images=500, width=32, steps=1000, rates=(0.1, 0.3, 1.0), data="digits"
):
    """Removes hidden units of trained networks, one and a quarter of them, and correlates them.

    Networks of one hidden layer of 32 ReLU units on 500 standardised images, which each seed redraws, with and without
    dropout of a half; SGD with batches of 32, all and half of the steps, each arm at the rate of the least loss on
    held-out images, on seeds of its own. One unit, a quarter: the share of test images whose class changes when one
    unit is removed, averaged over units, or eight at random, averaged over 50 draws. Unevenness: the coefficient of
    variation over units of the rise of the test loss when a unit is removed. Correlation: the mean absolute correlation
    of two units over test images of one class, averaged over classes, as that over all classes is about the classes.
    The control drops all units of an example together, noise of the same size that no unit can learn to do without
    another from. Beside them are networks whose hidden units are fed with two linear features of the image.
    """
    loaded = load_data(data).standardized().flat()
    arms = {"no dropout": (0.0, None), "dropout": (dropped, None), "two features": (0.0, 2)}
    rows, trials = [], []
    for label, (share, features) in arms.items():
        arm = classifier(
            dropping_network,
            lambda seed: loaded.subset(images, seed),
            steps=steps,
            metrics={},
            widths=(width,),
            dropped=share,
            shared=shared,
            features=features,
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


def _reliance(weights, x, labels, seed, groups=50):
    """What removing hidden units does to decisions and losses, and how correlated they are within classes.

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
    decided, loss = logits.argmax(axis=-1), _cross_entropy(logits, labels)

    removed = logits - hidden.T[:, :, None] * second[:, None, :]  # [units, images, classes]
    rises = _cross_entropy(removed, labels) - loss
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
        "one unit": (removed.argmax(axis=-1) != decided).mean(),
        "a quarter of the units": np.mean(changed),
        "unevenness": rises.std() / np.abs(rises.mean()),
        "correlation within classes": np.mean(correlations),
    }


def _cross_entropy(logits, labels):
    """Mean cross-entropy of logits [..., images, classes] over images."""
    shifted = logits - logits.max(axis=-1, keepdims=True)
    chosen = np.take_along_axis(shifted, np.broadcast_to(labels[:, None], (*shifted.shape[:-1], 1)), axis=-1)[..., 0]
    return (np.log(np.exp(shifted).sum(axis=-1)) - chosen).mean(axis=-1)


@claim(
    "Dropout can be applied to specific layers, typically the more densely connected ones, rather than to every layer; "
    "this can be more effective in reducing overfitting while maintaining computational efficiency.",
    source=lectures("2.5.4"),
    kind="possibility",
    scope="convolutional networks with dense layers on top; the rates of the layers and the data are left open",
    left_open=("convolution_rate",),
    literature="Srivastava et al. 2014, appendix B.2, drop in all layers, in convolutional ones at lower rates",
    criterion=AllOf(
        error=Greater("test_loss", of="every layer", than="dense layers", by="dropout", each=("convolution_rate",)),
        cost=AtMost("dropped_values", bound="dropped_everywhere"),
    ),
    smoke={"steps": 240, "images": 300, "every": 40, "rates": (0.01, 0.03, 0.1), "filters": 4, "width": 32},
    full={"data": "cifar10", "images": 20_000, "filters": 32, "width": 256, "steps": 20_000, "every": 500},
    seeds=16,
    reported=(
        Reported(
            "3.02 / 2.55 %",
            measure="test error, dropout in dense / in all layers",
            setting="SVHN",
            place="Srivastava et al. 2014, table 3",
        ),
        Reported(
            "14.32 / 12.61 %",
            measure="test error, dropout in dense / in all layers",
            setting="CIFAR-10",
            place="Srivastava et al. 2014, table 4",
        ),
    ),
)
def selective_layers(
    seeds,
    *,
    dropped=0.5,
    convolution_rates=(0.25, 0.5),
    images=500,
    filters=8,
    width=64,
    steps=600,
    every=20,
    rates=(0.01, 0.03, 0.1),
    data="digits",
):
    """Trains small convolutional networks with dropout behind the dense layer, or behind every layer.

    Two convolutions with ReLU and a dense layer on 500 images, which each seed redraws; SGD with momentum 0.9 and
    batches of 32. Half of the dense layer's outputs are dropped; of the convolutions' none, a quarter, which is about
    what Srivastava et al. drop there, or a half, the same as everywhere. Test loss where the loss on held-out images is
    least, on seeds of its own as is the rate, so that slow training does not count. The share of dropped outputs is a
    variable, so that all shares have one program. Cost: the number of values that are dropped or kept at random in a
    step, which follows from the architecture and is a worked number; it is a small part of a step in any case.
    """
    loaded = load_data(data).standardized()
    tables, trials = [], []
    for share in (0.0, *convolution_rates):
        arm = classifier(
            convolutional_network,
            lambda seed: loaded.subset(images, seed),
            steps=steps,
            every=every,
            optimizer=keras.optimizers.SGD(momentum=0.9),
            metrics={},
            filters=filters,
            width=width,
            dropped=(share, dropped),
        )
        space = {"learning_rate": list(rates)}
        tuning = tune(arm, space, len(rates), objective=Validation(_least_validation_loss), widen=1)
        trials += tuning.table(convolution_rate=share)
        course = arm.validate(seeds=list(TRIAL_SEEDS), **tuning.best).records
        stop = course.groupby("step")["validation_loss"].median().idxmin()
        records = arm(seeds=list(seeds), **tuning.best).records
        tables.append(records[records["step"] == stop].assign(convolution_rate=share))
    dense, *every_layer = tables
    of_dense, of_maps = width, _mapped(loaded.shape, filters)
    joined = []
    for table in every_layer:
        rate = table["convolution_rate"].iloc[0]
        joined.append(table.assign(dropout="every layer"))
        joined.append(dense.assign(dropout="dense layers", convolution_rate=rate))
    found = pd.concat(joined, ignore_index=True)
    found = found.assign(dropped_values=of_dense, dropped_everywhere=of_dense + of_maps)
    found.attrs["tuning"] = trials
    return found


def _least_validation_loss(training):
    """Score a trial by the least loss on held-out images during it, the median over seeds."""
    return float(training.records.groupby("step")["validation_loss"].median().min())


def _mapped(shape, filters):
    """Number of outputs of both convolutions for one image."""
    height, width, _ = shape
    return height * width * filters + -(-height // 2) * -(-width // 2) * 2 * filters


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


def convolutional_network(*, shape, classes, filters, width, dropped):
    """Build a network of two convolutions and a dense layer, with dropout of variable shares behind each of them."""
    behind_convolution, behind_dense = dropped
    drop = variable_dropout()
    return keras.Sequential(
        [
            keras.Input(shape),
            convolution(filters, 3, padding="same", activation="relu"),
            drop(behind_convolution),
            convolution(2 * filters, 3, strides=2, padding="same", activation="relu"),
            drop(behind_convolution),
            keras.layers.Flatten(),
            keras.layers.Dense(width, activation="relu"),
            drop(behind_dense),
            keras.layers.Dense(classes),
        ]
    )


@cache
def variable_dropout():
    """Make the class of a layer of dropout whose share of dropped units is a variable."""

    class VariableDropout(keras.layers.Layer):
        """Dropout: zeros with a probability, what is kept divided by the probability of keeping; the inputs if none."""

        def __init__(self, dropped):
            super().__init__()
            self.share_initializer = keras.initializers.Constant(dropped)
            self.seed_generator = keras.random.SeedGenerator()

        def build(self, shape):
            del shape  # one share for all units
            self.share = self.add_weight(shape=(), initializer=self.share_initializer, trainable=False, name="share")

        def call(self, inputs, training=False):
            if not training:
                return inputs
            draws = keras.random.uniform(keras.ops.shape(inputs), seed=self.seed_generator)
            kept = keras.ops.cast(draws >= self.share, inputs.dtype)
            return inputs * kept / (1 - self.share)

        def compute_output_shape(self, shape):
            return shape

    return VariableDropout
