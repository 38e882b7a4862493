"""To which layers dropout is applied."""

from __future__ import annotations

from functools import cache, lru_cache, partial

import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Greater, Reported, claim, lectures
from repro.engine import Validation, classifier, convolution, keyed, load_data, tune

with epy.lazy_imports():
    import keras

# Beyond the seeds of every run.
TRIAL_SEEDS = (30_000_000, 30_000_001)


@claim(
    "Dropout can be applied selectively to specific layers, typically to the more densely connected ones, rather than "
    "to every layer; this can be more effective in reducing overfitting while maintaining computational efficiency.",
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
        stop = _best_step(keyed(partial(arm.validate, **tuning.best)))
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


@lru_cache(maxsize=16)
def _best_step(validate):
    """Find the step of the least loss on held-out images, the median over seeds; once for all seeds of a claim."""
    course = validate.value(seeds=list(TRIAL_SEEDS)).records
    return course.groupby("step")["validation_loss"].median().idxmin()


def _least_validation_loss(training):
    """Score a trial by the least loss on held-out images during it, the median over seeds."""
    return float(training.records.groupby("step")["validation_loss"].median().min())


def _mapped(shape, filters):
    """Number of outputs of both convolutions for one image."""
    height, width, _ = shape
    return height * width * filters + -(-height // 2) * -(-width // 2) * 2 * filters


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
