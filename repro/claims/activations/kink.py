"""What the derivative of ReLU at zero matters, where it has none."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, Equivalent, Reported, claim, lectures
from repro.engine import classifier, horizons, load_data, tune

with epy.lazy_imports():
    import keras

CONDITIONS = ("precision", "steps")
MET = {"normalisation": "none"}


@claim(
    "ReLU's non-differentiability at zero rarely causes significant issues in practice.",
    source=lectures("2.2.3"),
    kind="tendency",
    scope="training in usual precision, where zeros are met: batch normalisation leaves none, and stands in the "
    "observations; precision is left open",
    left_open=CONDITIONS[:1],
    literature="Bertoin et al. 2021",
    criterion=AllOf(
        harmless=Equivalent("difference_in_error", 0.0, smallest_difference=0.01, each=CONDITIONS, where=MET),
        met=AtLeast("change_of_weights", bound=1e-6, each=CONDITIONS[:1], where={**MET, "last": True}),
    ),
    smoke={"steps": 300},
    full={"data": "mnist", "images": 50_000, "width": 256, "steps": 10_000},
    control={"width_of_kink": 2.0},
    reported=(
        Reported(
            "about half of the cases in 32 bits, always in 16, never in 64",
            measure="share of cases in which the choice of the derivative at zero changes the gradient",
            setting="fully connected networks, VGG and ResNet; MNIST, CIFAR-10, SVHN, ImageNet",
            place="Bertoin et al. 2021, abstract",
        ),
        Reported(
            "more than 10 points",
            measure="gain in test accuracy of derivative zero over one",
            setting="ImageNet, 32 bits, two runs",
            place="Bertoin et al. 2021, abstract",
        ),
    ),
    seeds=48,
)
def relu_kink_harmless(
    seeds,
    *,
    derivatives=(0.0, 1.0),
    width_of_kink=0.0,
    images=600,
    width=64,
    steps=800,
    rates=(0.01, 0.03, 0.1, 0.3, 1.0),
    data="digits",
):
    """Trains ReLU networks with the derivative at zero taken as zero and as one, and compares their test errors.

    A convolution of 3 x 3 to 8 channels and a layer of 64 units on 600 images of pixels from 0 to 1, with single and
    with half precision of hidden layers, with batch normalisation before the activation and without. Biases start from
    zero, so that blank patches of an image enter the first activation as exact zeros; their share at the start and at
    the end stands in the observations. Met: the choice has changed the weights, by the largest difference. Stochastic
    gradient descent in batches of 32 at the rate of the least validation loss for derivative zero, half and all of the
    steps. Both networks start from the same weights and see the same batches. The difference is that of derivative one
    less that of derivative zero; a half in between and smooth functions are not tried. The control has the same
    derivatives not at zero alone but wherever inputs are at most two in size, values as they are.
    """
    loaded = load_data(data).flat()
    redrawn = lambda seed: loaded.subset(images, seed)  # noqa: E731  it is data, as much as images are
    tables, trials = [], []
    for precision in ("float32", "mixed_float16"):
        for normalisation in ("none", "batch"):
            arm = classifier(
                kinked_network,
                redrawn,
                steps=steps,
                every=steps // 2,
                width=width,
                precision=precision,
                normalisation=normalisation,
                width_of_kink=width_of_kink,
            )
            space = {"learning_rate": list(rates), "derivative": [derivatives[0]]}
            tuning = tune(arm, space, len(rates), objective="validation_loss")
            labels = {"precision": precision, "normalisation": normalisation}
            trials += tuning.table(**labels)
            rate = tuning.best["learning_rate"]
            runs = [arm(seeds=list(seeds), learning_rate=rate, derivative=derivative) for derivative in derivatives]
            zero, one = (
                horizons(run.records).set_index(["seed", "steps"])["test_accuracy"].sort_index() for run in runs
            )
            difference = (zero - one).rename("difference_in_error").reset_index()
            of_seed = _of_runs(runs, redrawn)
            table = difference.assign(test_error=1 - zero.to_numpy(), **labels).merge(of_seed, on="seed")
            tables.append(table.assign(last=table["steps"] == steps))
    table = pd.concat(tables, ignore_index=True)
    table.attrs["tuning"] = trials
    return table


def _of_runs(runs, redrawn):
    """Largest difference of weights of each seed's two runs, and shares of exact zeros before the first activation."""
    rows = []
    for place, seed in enumerate(runs[0].replicas["seed"]):
        # scalars are the derivatives themselves
        pairs = [pair for pair in zip(*(run.weights[place] for run in runs), strict=True) if np.ndim(pair[0])]
        row = {"seed": seed, "change_of_weights": max(float(np.abs(a - b).max()) for a, b in pairs)}
        for state, model in (("start", runs[0].builders[place]()), ("end", runs[0].model(place))):
            signal = redrawn(int(seed)).x_train
            for layer in model.layers:
                if layer.name.startswith("kinked"):
                    break
                signal = layer(signal)
            row[f"zeros_at_{state}"] = float(np.mean(keras.ops.convert_to_numpy(signal) == 0))
        rows.append(row)
    return pd.DataFrame(rows)


def kinked_network(*, inputs, outputs, width, precision, normalisation, derivative, width_of_kink):
    """Build a network of a convolution and a layer of ReLU units, whose derivative at zero is of one's choice."""
    side = round(inputs**0.5)
    layers = [keras.Input((inputs,)), keras.layers.Reshape((side, side, 1))]
    options = {"kernel_initializer": "he_normal", "dtype": precision}
    for hidden in (
        [keras.layers.Conv2D(8, 3, padding="same", **options)],
        [keras.layers.Flatten(), keras.layers.Dense(width, **options)],
    ):
        layers += hidden
        if normalisation == "batch":
            layers.append(keras.layers.BatchNormalization(momentum=0.9, dtype=precision))
        layers.append(_kinked()(derivative, width_of_kink, dtype=precision))
    return keras.Sequential([*layers, keras.layers.Dense(outputs, dtype="float32")])


@cache
def _kinked():
    class Kinked(keras.layers.Layer):
        """ReLU, whose derivative at inputs up to a size is a variable, so that all choices have one program."""

        def __init__(self, derivative, size, **options):
            super().__init__(**options)
            self.initial, self.size = derivative, size

        def build(self, shape):
            del shape
            constant = keras.initializers.Constant(self.initial)
            self.derivative = self.add_weight(shape=(), initializer=constant, trainable=False, name="derivative")

        def call(self, inputs):
            values = keras.ops.relu(inputs)
            linear = keras.ops.cast(self.derivative, inputs.dtype) * inputs
            chosen = linear + keras.ops.stop_gradient(values - linear)
            return keras.ops.where(keras.ops.abs(inputs) <= self.size, chosen, values)

        def compute_output_shape(self, shape):
            return shape

    return Kinked
