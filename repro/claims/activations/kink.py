"""What the derivative of ReLU at zero matters, where it has none."""

from __future__ import annotations

from functools import cache

import pandas as pd
from etils import epy

from repro import Equivalent, Reported, claim, lectures
from repro.engine import classifier, horizons, load_data, tune

with epy.lazy_imports():
    import keras

CONDITIONS = ("precision", "normalisation", "steps")


@claim(
    "ReLU's non-differentiability at zero rarely causes significant issues in practice.",
    source=lectures("2.2.3"),
    kind="tendency",
    scope="training in usual precision; precision, depth and normalisation are left open",
    left_open=CONDITIONS[:2],
    literature="Bertoin et al. 2021",
    criterion=Equivalent("difference_in_error", 0.0, smallest_difference=0.01, each=CONDITIONS),
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

    Two hidden layers of 64 units on 600 images of pixels from 0 to 1, many of which are exactly 0, with single and with
    half precision of hidden layers, with batch normalisation before the activation and without; stochastic gradient
    descent in batches of 32 at the rate of the least validation loss for derivative zero, half and all of the steps.
    Both networks start from the same weights and see the same batches. The difference is that of derivative one less
    that of derivative zero. The control has the same derivatives not at zero alone but wherever inputs are at most two
    in size, values as they are.
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
            zero, one = (
                horizons(arm(seeds=list(seeds), learning_rate=rate, derivative=derivative).records)
                .set_index(["seed", "steps"])["test_accuracy"]
                .sort_index()
                for derivative in derivatives
            )
            difference = (zero - one).rename("difference_in_error").reset_index()
            tables.append(difference.assign(test_error=1 - zero.to_numpy(), **labels))
    table = pd.concat(tables, ignore_index=True)
    table.attrs["tuning"] = trials
    return table


def kinked_network(*, inputs, outputs, width, precision, normalisation, derivative, width_of_kink):
    """Build a network of two hidden layers of ReLU units with a derivative at zero of one's choice."""
    layers = [keras.Input((inputs,))]
    for _ in range(2):
        layers.append(keras.layers.Dense(width, kernel_initializer="he_normal", dtype=precision))
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
