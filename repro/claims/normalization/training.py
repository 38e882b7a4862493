"""What batch normalisation does for training."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pandas as pd
from etils import epy

from repro import Boundary, Correction, Greater, PositiveControl, Reported, claim, lectures, notes
from repro.engine import Training, Validation, classifier, compare_arms, join_tables, load_data

with epy.lazy_imports():
    import keras

INITIALIZERS = {"relu": "he_normal", "sigmoid": "glorot_normal"}


@claim(
    "Batch normalisation allows higher learning rates, leading to faster convergence.",
    source=lectures("2.3.4"),
    kind="tendency",
    scope="deep networks, normalisation between linear layer and activation; depth, activation, and whether rates are "
    "equal or tuned are left open",
    left_open=("activation", "depth", "target", "rates"),
    literature="Ioffe and Szegedy 2015; Santurkar et al. 2018",
    criterion=Greater(
        "steps", of="plain", than="batch normalisation", by="arm", each=("activation", "depth", "target", "rates")
    ),
    boundary=Boundary(
        "in deep networks, and with the sigmoid in shallow ones too",
        holds="depth >= 10 or activation == 'sigmoid'",
        named=({"rates": "tuned"},),
    ),
    smoke={"activations": ("sigmoid",), "depths": (3,), "steps": 300, "trials": 4},
    full={"data": "mnist", "images": 50_000, "depths": (3, 10, 20), "width": 100, "steps": 20_000, "trials": 16},
    control={"normalisation": "scale and shift"},
    positive_control=PositiveControl(
        "A plain network at its tuned rate converges faster than at a third of it.",
        criterion=Greater(
            "steps",
            of="plain at a third of the rate",
            than="plain",
            by="arm",
            smallest_ratio=1.05**2,
            because="it is twice what matters",
            each=("activation", "depth", "target"),
            where={"rates": "tuned"},
        ),
    ),
    tags=("headline",),
    seeds=48,
    reported=(
        Reported(
            "31.0",
            measure="steps to 72.2 % top-1 accuracy, plain, millions",
            setting="Inception, ImageNet",
            place="Ioffe and Szegedy 2015, figure 3",
        ),
        Reported(
            "13.3",
            measure="steps to 72.2 % top-1 accuracy, batch normalisation at the same rate, millions",
            setting="Inception, ImageNet",
            place="Ioffe and Szegedy 2015, figure 3",
        ),
        Reported(
            "2.1",
            measure="steps to 72.2 % top-1 accuracy, batch normalisation at five times the rate, millions",
            setting="Inception with six other changes, ImageNet",
            place="Ioffe and Szegedy 2015, figure 3",
        ),
    ),
)
def bn_speeds_up(
    seeds,
    *,
    activations=("sigmoid", "relu"),
    depths=(3, 10),
    width=64,
    images=1000,
    steps=600,
    every=5,
    train_loss=0.1,
    test_accuracy=0.95,
    trials=8,
    normalisation="batch",
    data="digits",
):
    """Counts the steps until a training loss and a test accuracy are reached, with and without batch normalisation.

    Networks of equal hidden layers on standardised images, which each seed redraws; stochastic gradient descent with
    batches of 32. The plain network is well initialised, by He's rule for ReLU and Glorot's for the sigmoid, as are
    the layers in front of a normalisation. Each arm is trained at the rate of the fewest steps to the training loss on
    seeds of its own; besides, and not deciding, normalised networks are trained at the plain networks' rate. The effect
    is the paired ratio of steps, infinite for a run that does not get there. The control keeps the learned scale and
    shift of normalisation without normalising.
    """
    loaded = load_data(data).standardized().flat()
    targets = {
        f"training loss {train_loss}": lambda records: records["train_loss"] <= train_loss,
        f"test accuracy {test_accuracy}": lambda records: records["test_accuracy"] >= test_accuracy,
    }
    score = Validation(partial(_slowness, next(iter(targets.values()))))
    tables = []
    for activation in activations:
        for depth in depths:
            labels = {"activation": activation, "depth": depth}
            network = {"widths": (width,) * depth, "activation": activation, "initializer": INITIALIZERS[activation]}
            arms = {
                label: classifier(
                    normalized_network,
                    lambda seed: loaded.subset(images, seed),
                    steps=steps,
                    every=every,
                    statistics=statistics,
                    **network,
                )
                for label, statistics in (("plain", "none"), ("batch normalisation", normalisation))
            }
            space = {"learning_rate": (0.01, 10.0)}
            tuned = compare_arms(arms, space, trials, seeds, objective=score, widen=1, **labels)
            rate = tuned.loc[tuned["arm"] == "plain", "learning_rate"].iloc[0]
            same = arms["batch normalisation"](seeds=list(seeds), learning_rate=rate).records
            slow = arms["plain"](seeds=list(seeds), learning_rate=rate / 3).records
            equal = pd.concat([tuned[tuned["arm"] == "plain"], same.assign(arm="batch normalisation", **labels)])
            beside = pd.concat([tuned, slow.assign(arm="plain at a third of the rate", **labels)])
            for rates, records in (("tuned", beside), ("equal", equal)):
                for target, is_reached in targets.items():
                    reached = _steps_until(is_reached, records, ["seed", "arm"]).rename("steps").reset_index()
                    tables.append(reached.assign(target=target, rates=rates, **labels))
            tables[-1].attrs = tuned.attrs
    return join_tables(tables)


@claim(
    "Batch normalisation allows higher learning rates.",
    source=lectures("2.3.4"),
    kind="tendency",
    literature="Ioffe and Szegedy 2015, section 3.3; Bjorck et al. 2018",
    criterion=Greater(
        "largest_rate",
        of="batch normalisation",
        than="plain",
        by="arm",
        smallest_ratio=2**0.5,
        because="rates are tried in steps of a factor of two: anything less is no step",
        each=("activation",),
    ),
    smoke={"activations": ("relu",), "steps": 150},
    full={"data": "mnist", "steps": 3000},
    control={"statistics": "frozen"},
    reported=(
        Reported(
            "5 and 30",
            measure="learning rate, batch normalisation / plain",
            setting="Inception, ImageNet",
            place="Ioffe and Szegedy 2015, section 4.2",
        ),
    ),
)
def bn_higher_rates(
    seeds,
    *,
    activations=("sigmoid", "relu"),
    widths=(64, 64, 64),
    steps=300,
    target=0.9,
    statistics="batch",
    data="digits",
):
    """Looks for the largest learning rate at which networks still train, with and without batch normalisation.

    Networks of three hidden layers on standardised images, SGD with batches of 32, rates 0.01, 0.02, 0.04 and so on to
    164. A network trains if it classifies 90 % of the training images correctly at the end; one that does at no rate
    counts with half the smallest. With frozen statistics the layers are there and normalise nothing.
    """
    images = load_data(data).standardized().flat()
    rates = 0.01 * 2.0 ** np.arange(15)
    tables = []
    for activation in activations:
        for arm, chosen in (("plain", "none"), ("batch normalisation", statistics)):
            training = _arm(images, steps, widths, activation, chosen)
            final = training(seeds=list(seeds), learning_rate=rates.tolist()).final
            rate = final["learning_rate"].where(final["train_accuracy"] >= target, rates[0] / 2)
            largest = rate.groupby(final["seed"]).max().rename("largest_rate").reset_index()
            tables.append(largest.assign(arm=arm, activation=activation))
    return pd.concat(tables, ignore_index=True)


@claim(
    "Batch normalisation acts as a regulariser, slightly decreasing the need for dropout.",
    source=lectures("2.3.4"),
    kind="tendency",
    literature="Ioffe and Szegedy 2015, section 3.4; Luo et al. 2019",
    criterion=Greater(
        "gap",
        of="plain",
        than="regularised",
        by="arm",
        smallest_ratio=1.05,
        because="a twentieth less between test and training loss is slight, and more than none",
    ),
    smoke={"steps": 300, "rates": (0.1, 0.3)},
    full={"data": "mnist", "images": 1000, "steps": 4000},
    control={"regulariser": "frozen"},
    correction=Correction(
        "At equal training loss batch normalisation leaves the generalisation gap of these networks where it was; "
        "dropout, which is a regulariser, makes it smaller.",
        regulariser="dropout",
    ),
)
def bn_regularises(
    seeds,
    *,
    regulariser="batch",
    images=300,
    steps=800,
    every=10,
    level=0.1,
    starts=10,
    rates=(0.03, 0.1, 0.3),
    data="digits",
):
    """Compares the generalisation gap with and without batch normalisation at equal training loss.

    Networks of three hidden ReLU layers on 300 images, SGD with batches of 32, each arm at the rate of the least final
    training loss. The gap is the test loss minus the training loss at the first measurement with a training loss of 0.1
    or less, both in inference mode, infinite for a run that does not get there; the median over 10 starts of each
    seed. The control normalises nothing; the correction has dropout of a half in place of normalisation.
    """
    chosen = load_data(data).standardized().flat().subset(images, 0)
    arms = {
        arm: _arm(chosen, steps, (64, 64, 64), "relu", kind, every=every)
        for arm, kind in (("plain", "none"), ("regularised", regulariser))
    }
    replicas = [seed * starts + start for seed in seeds for start in range(starts)]
    records = compare_arms(arms, {"learning_rate": list(rates)}, len(rates), replicas)
    gaps = (records["test_loss"] - records["train_loss"]).where(records["train_loss"] <= level)
    first = gaps.groupby([records["seed"], records["arm"]]).first().fillna(np.inf).rename("gap").reset_index()
    table = first.groupby([first["seed"] // starts, "arm"])["gap"].median().reset_index()
    table.attrs = records.attrs
    return table


@claim(
    "Normalisation reduces internal covariate shift: the change of the distribution of each layer's inputs during "
    "training.",
    source=(notes("3.2.4"), lectures("2.3.4")),
    kind="tendency",
    literature="Ioffe and Szegedy 2015; Santurkar et al. 2018, who define it by gradients, find that it does not",
    criterion=Greater(
        "shift",
        of="plain",
        than="batch normalisation",
        by="arm",
        smallest_ratio=1.25,
        because="a fifth less change at equal progress deserves to be called a reduction",
        each=("activation",),
    ),
    smoke={"activations": ("relu",), "steps": 100, "rates": (0.1, 0.3)},
    full={"data": "mnist", "steps": 2000},
    control={"statistics": "frozen"},
)
def bn_cuts_covariate_shift(
    seeds, *, activations=("sigmoid", "relu"), steps=200, rates=(0.03, 0.1, 0.3, 1.0), statistics="batch", data="digits"
):
    """Measures how far the inputs of every activation move from their initial distribution, relative to the progress.

    Networks of three hidden layers, SGD with batches of 32, each arm at the rate of the least final training loss. The
    shift of a unit is the Wasserstein distance of its values over 500 training images, normalised by their statistics
    as in training, from those at the start, in deviations at the start; it is averaged over units and layers and
    divided by the logarithm of the factor by which the training loss fell. The control normalises nothing.
    """
    images = load_data(data).standardized().flat()
    rows, trials = [], []
    for activation in activations:
        trained: dict[str, Training] = {}

        def arm(label, kind, activation=activation, trained=trained, **options):
            trained[label] = _arm(images, steps, (64, 64, 64), activation, kind)(**options)
            return trained[label]

        arms = {
            label: partial(arm, label, kind) for label, kind in (("plain", "none"), ("batch normalisation", statistics))
        }
        records = compare_arms(arms, {"learning_rate": list(rates)}, len(rates), seeds)
        trials += [{"activation": activation, **trial} for trial in records.attrs["tuning"]]
        for label, training in trained.items():
            for place, seed in enumerate(training.replicas["seed"]):
                shift = _shift(training.builders[place](), training.model(place), images, statistics == "batch")
                rows.append({"seed": seed, "activation": activation, "arm": label, "shift": shift})
    table = pd.DataFrame(rows)
    table.attrs["tuning"] = trials
    return table


def normalized_network(*, inputs, outputs, widths, activation, statistics, initializer="glorot_uniform"):
    """Build a network with batch normalisation before every activation: of the batch, frozen, or none.

    For comparison it may have the scale and shift of normalisation alone, or dropout behind every activation instead.
    """
    layers = [keras.Input((inputs,))]
    for width in widths:
        layers.append(keras.layers.Dense(width, kernel_initializer=initializer))
        if statistics == "scale and shift":
            layers.append(scale_and_shift())
        if statistics in ("batch", "frozen"):
            layers.append(keras.layers.BatchNormalization(momentum=0.9, trainable=statistics == "batch"))
        layers.append(keras.layers.Activation(activation))
        if statistics == "dropout":
            layers.append(keras.layers.Dropout(0.5))
    return keras.Sequential([*layers, keras.layers.Dense(outputs)])


@cache
def _scale_and_shift():
    class ScaleAndShift(keras.layers.Layer):
        """A learned scale and shift of every unit, as batch normalisation has them, without normalising."""

        def build(self, shape):
            self.gamma = self.add_weight(shape=shape[-1:], initializer="ones", name="gamma")
            self.beta = self.add_weight(shape=shape[-1:], initializer="zeros", name="beta")

        def call(self, inputs):
            return inputs * self.gamma + self.beta

    return ScaleAndShift


def scale_and_shift():
    """Make the layer that batch normalisation is without its normalisation."""
    return _scale_and_shift()()


def _slowness(is_reached, training):
    """Steps until a target is reached; where it is not, more than any run has, and the more the higher the loss is."""
    steps = float(_steps_until(is_reached, training.records, ["seed"]).median())
    return steps if np.isfinite(steps) else 1e6 * (1 + float(training.final["train_loss"].median()))


def _steps_until(is_reached, records, by):
    """First step at which a target is reached; infinite where it never is."""
    reached = records["step"].where(is_reached(records), np.inf)
    return reached.groupby([records[name] for name in by]).min()


def _arm(images, steps, widths, activation, statistics, *, every=None):
    """Prepare networks with normalisation of a kind, trained by SGD."""
    network = {"widths": widths, "activation": activation, "statistics": statistics}
    return classifier(normalized_network, images, steps=steps, every=every, **network)


def _shift(start, end, images, normalizing, examples=500):
    """Mean Wasserstein distance of the activations' inputs of two states of a network, per logarithm of the loss."""
    distances, losses = [], []
    signals = [images.x_train[:examples]] * 2
    for layers in zip(start.layers, end.layers, strict=True):
        if isinstance(layers[0], keras.layers.Activation):
            before, after = (np.sort(keras.ops.convert_to_numpy(signal), axis=0) for signal in signals)
            deviation = np.maximum(before.std(axis=0), np.finfo(np.float32).tiny)
            distances.append((np.abs(after - before).mean(axis=0) / deviation).mean())
        options = {"training": True} if normalizing and isinstance(layers[0], keras.layers.BatchNormalization) else {}
        signals = [layer(signal, **options) for layer, signal in zip(layers, signals, strict=True)]
    for outputs in signals:
        loss = keras.losses.sparse_categorical_crossentropy(images.y_train[:examples], outputs, from_logits=True)
        losses.append(float(keras.ops.mean(loss)))
    return np.mean(distances) / np.log(losses[0] / losses[1])
