"""What batch normalisation does about weights and gradients that start badly."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from etils import epy

from repro import Correction, Greater, claim, lectures, notes
from repro.engine import classifier, compare_arms, load_data, probe

with epy.lazy_imports():
    import keras


@claim(
    "Batch normalisation improves the flow of gradients through deep networks.",
    source=lectures("2.3.4"),
    kind="tendency",
    literature="Yang et al. 2019: at initialisation it makes gradients explode with depth",
    criterion=Greater(
        "imbalance",
        of="plain",
        than="batch normalisation",
        by="arm",
        smallest_ratio=2.0,
        because="half the factor between the gradients of the first and the last layer is a clear improvement",
        each=("activation",),
    ),
    smoke={"activations": ("sigmoid", "relu"), "depth": 10},
    full={"data": "mnist", "depth": 50, "width": 256},
    control={"normalized": False},
    correction=Correction(
        "Batch normalisation improves the flow of gradients where they vanish, as with the sigmoid. Where weights of "
        "the right variance keep them, as He's do with ReLU, it makes them explode with depth.",
        activations=("sigmoid",),
    ),
)
def bn_gradient_flow(
    seeds, *, activations=("sigmoid", "tanh", "relu"), depth=20, width=64, normalized=True, data="digits"
):
    """Measures the gradient with respect to the first and to the last of 20 hidden layers of untrained networks.

    Euclidean norms over 256 standardised images, whose own statistics are the batch's; the imbalance is the larger norm
    over the smaller. Glorot's weights for sigmoid and tanh, He's for ReLU, as is usual. The control normalises nothing.
    """
    images = load_data(data).standardized().flat()
    tables = []
    for activation in activations:
        for arm, statistics in (("plain", False), ("batch normalisation", normalized)):
            layers = probe(
                deep_network,
                images,
                seeds,
                loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                inputs=images.x_train.shape[1],
                outputs=images.classes,
                depth=depth,
                width=width,
                activation=activation,
                normalized=statistics,
            )
            hidden = layers[layers["name"].str.startswith("hidden")].sort_values("layer").groupby("seed")["gradient"]
            ratio = hidden.last() / hidden.first()
            tables.append(
                ratio.where(ratio > 1, 1 / ratio)
                .rename("imbalance")
                .reset_index()
                .assign(arm=arm, activation=activation)
            )
    return pd.concat(tables, ignore_index=True)


@claim(
    "Batch normalisation reduces the strong dependence of training on the initial weights.",
    source=lectures("2.3.4"),
    kind="tendency",
    literature="Ioffe and Szegedy 2015, section 3.3",
    criterion=Greater(
        "spread",
        of="plain",
        than="batch normalisation",
        by="arm",
        smallest_difference=0.1,
        because="a tenth of all images is a strong dependence to be rid of",
    ),
    smoke={"steps": 150},
    full={"data": "mnist", "steps": 3000},
    control={"statistics": "frozen"},
    decided_by="some 30 seeds: the interval of the median begins just below a tenth, and that of 13 shorter trainings "
    "just above.",
)
def bn_init_robust(
    seeds,
    *,
    starts=8,
    decades=2.0,
    steps=300,
    widths=(64, 64, 64),
    rates=(0.01, 0.03, 0.1, 0.3, 1.0),
    statistics="batch",
    data="digits",
):
    """Measures how much the final training accuracy differs between starts from weights of different scales.

    Per seed 8 networks of three hidden ReLU layers, the scale of every hidden layer's weights drawn between a tenth and
    ten times He's; the spread is the largest training accuracy minus the smallest. Batches of 32, SGD, each arm at the
    rate of the least training loss from such weights. With frozen statistics the layers are there and normalise
    nothing.
    """
    images = load_data(data).standardized().flat()
    arms = {
        arm: classifier(scattered_network, images, steps=steps, widths=widths, statistics=chosen, decades=decades)
        for arm, chosen in (("plain", "none"), ("batch normalisation", statistics))
    }
    replicas = [seed * starts + start for seed in seeds for start in range(starts)]
    records = compare_arms(arms, {"learning_rate": list(rates)}, len(rates), replicas)
    records["seed"] //= starts
    groups = records.groupby(["seed", "arm"])["train_accuracy"]
    table = (groups.max() - groups.min()).rename("spread").reset_index()
    table.attrs = records.attrs
    return table


@claim(
    "If the variables of one layer are 100 times those of another, compensating changes of the learning rates are "
    "needed; such differences hamper convergence.",
    source=notes("Remark 3.58"),
    kind="possibility",
    literature="Ioffe and Szegedy 2015",
    criterion=Greater(
        "train_loss",
        of="one rate",
        than="compensated rates",
        by="arm",
        smallest_ratio=2.0,
        because="a training that leaves twice the loss has been hampered",
    ),
    smoke={"steps": 200, "arms": ("one rate", "compensated rates")},
    full={"data": "mnist", "steps": 5000},
    control={"factor": 1.0},
)
def layer_scales_slow_training(
    seeds,
    *,
    factor=100.0,
    steps=500,
    trials=13,
    arms=("one rate", "compensated rates", "batch normalisation"),
    data="digits",
):
    """Trains networks whose first layer has 100 times the usual weights and the second a hundredth.

    With ReLU between them that is the same function. One rate for all; rates in proportion to the square of each
    layer's scale, which takes the same steps as from the usual weights; and, for the table, one rate with batch
    normalisation. Three hidden layers, batches of 32, SGD, each arm at its own rate from 1e-6 to 1 by final training
    loss. In the control no layer is scaled.
    """
    images = load_data(data).standardized().flat()
    trainings = {
        arm: classifier(
            rescaled_network,
            images,
            steps=steps,
            metrics={},
            width=64,
            factor=factor,
            compensated=arm == "compensated rates",
            normalized=arm == "batch normalisation",
        )
        for arm in arms
    }
    return compare_arms(trainings, {"learning_rate": (1e-6, 1.0)}, trials, seeds)


def deep_network(*, inputs, outputs, depth, width, activation, normalized):
    """Build a network that normalises by the statistics of the batch, in inference mode too."""
    initializer = "he_normal" if activation == "relu" else "glorot_normal"
    signal = entry = keras.Input((inputs,))
    for layer in range(depth):
        signal = keras.layers.Dense(width, kernel_initializer=initializer)(signal)
        if normalized:
            signal = keras.layers.BatchNormalization(momentum=1.0)(signal, training=True)  # keeps no averages
        signal = keras.layers.Activation(activation, name=f"hidden_{layer}")(signal)
    return keras.Model(entry, keras.layers.Dense(outputs)(signal))


def scattered_network(*, inputs, outputs, widths, statistics, decades):
    """Build a ReLU network with initial weights of a random scale in every hidden layer."""
    layers = [keras.Input((inputs,))]
    for width in widths:
        layers.append(keras.layers.Dense(width, kernel_initializer=_scattered()(decades)))
        if statistics != "none":
            layers.append(keras.layers.BatchNormalization(momentum=0.9, trainable=statistics == "batch"))
        layers.append(keras.layers.ReLU())
    return keras.Sequential([*layers, keras.layers.Dense(outputs)])


def rescaled_network(*, inputs, outputs, width, factor, compensated, normalized):
    """Build a ReLU network with the first layer's weights times a factor and the second's divided by it.

    Compensated, the factors stand behind the weights: a rate for those is the rate of the product times factor squared.
    """
    layers = [keras.Input((inputs,))]
    for scale in (factor, 1 / factor, 1.0):
        of_weights = 1.0 if compensated else scale
        initializer = keras.initializers.VarianceScaling(2 * of_weights**2, "fan_in", "untruncated_normal")
        layers.append(keras.layers.Dense(width, kernel_initializer=initializer, use_bias=False))
        if compensated and scale != 1:
            layers.append(keras.layers.Rescaling(scale))
        if normalized:
            layers.append(keras.layers.BatchNormalization(momentum=0.9))
        layers.append(keras.layers.ReLU())
    return keras.Sequential([*layers, keras.layers.Dense(outputs)])


@cache
def _scattered():
    class Scattered(keras.initializers.Initializer):
        """He's normal weights times a factor that is uniform on a logarithmic scale around one."""

        def __init__(self, decades, seed=None):
            self.decades = decades
            self.seed = seed

        def __call__(self, shape, dtype=None):
            generator = self.seed if self.seed is not None else keras.random.SeedGenerator(0)
            exponent = keras.random.uniform((), -self.decades / 2, self.decades / 2, dtype=dtype, seed=generator)
            weights = keras.random.normal(shape, stddev=(2 / shape[0]) ** 0.5, dtype=dtype, seed=generator)
            return keras.ops.exp(np.log(10.0) * exponent) * weights

        def get_config(self):
            return {"decades": self.decades, "seed": self.seed}

    return Scattered
