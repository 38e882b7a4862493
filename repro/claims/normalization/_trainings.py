"""One grid of trainings with and without batch normalisation, from which several claims read."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from etils import epy

from repro.engine import classifier, join_tables, load_data, probe

with epy.lazy_imports():
    import keras

ARMS = {"plain": "none", "batch normalisation": "batch", "scale and shift": "scale and shift"}
DEEP = 8  # hidden layers from which on networks count as deep here
TRIAL_SEEDS = (30_000_000, 30_000_001)  # beyond those of every run
# On two cores four rates of 13 seeds share a program with the searches.
AT_ONCE = 4
RATES = tuple(0.0025 * 2.0**step for step in range(14))
SMOKE = {
    "networks": (("relu", 3), ("relu", 8)),
    "shallow_scales": (0.2, 1.0, 3.0),
    "deep_scales": (0.5, 1.0),
    "rates": (0.005, 0.02, 0.08, 0.32, 1.28, 5.12, 20.48),
    "steps": 200,
}
FULL = {"data": "mnist", "images": 50_000, "width": 100, "steps": 10_000}


def trainings(
    seeds,
    *,
    networks=(("relu", 3), ("relu", 8), ("sigmoid", 3)),
    shallow_scales=(0.1, 0.2, 1.0, 3.0, 5.0),
    deep_scales=(0.5, 1.0, 2.0),
    rates=RATES,
    images=600,
    width=32,
    steps=300,
    every=10,
    reached=0.1,
    data="digits",
):
    """Trains plain networks and networks with batch normalisation over one grid of rates and of weight scales.

    Networks of equal hidden layers on standardised images, which each seed redraws; stochastic gradient descent with
    batches of 32. Weights are normal, with the standard deviation of He's rule for
    ReLU and of Glorot's for the sigmoid, times a scale; the sigmoid has scale 1 only. Three arms: plain; batch
    normalisation between linear layer and activation (momentum 0.9, as trainings are short); and the learned scale and
    shift of normalisation without normalising. Rates are chosen on seeds of their own, by training images that are held
    out: that of the least final loss at each scale (``best_rate``) and over all scales (``common_rate``), and that of
    the fewest steps to a training loss of ``reached`` (``fastest_rate``). Networks of scale 1 are trained at all
    rates, others at the best and at the common one. Of networks of eight and more layers the imbalance of
    gradients at the start is measured: the norm of the loss's gradient with respect to the first hidden layer's output
    over that of the last, or the inverse where that is larger, for 256 images, whose own statistics are the batch's.
    """
    loaded = load_data(data).standardized().flat()
    redrawn = lambda seed: loaded.subset(images, seed)  # noqa: E731  it is data, as much as images are
    tables = []
    for activation, depth in networks:
        scales = (1.0,) if activation != "relu" else deep_scales if depth >= DEEP else shallow_scales
        for arm, statistics in ARMS.items():
            labels = {"activation": activation, "depth": depth, "arm": arm}
            network = {"depth": depth, "width": width, "activation": activation, "statistics": statistics}
            arms = {
                scale: classifier(scaled_network, redrawn, steps=steps, every=every, scale=scale, **network)
                for scale in scales
            }
            chosen, trials = _rates(arms, rates, reached, labels)
            for scale, train in arms.items():
                wanted = rates if scale == 1 else sorted({chosen[scale]["best_rate"], chosen[scale]["common_rate"]})
                records = [
                    train(seeds=list(seeds), learning_rate=list(wanted[first : first + AT_ONCE])).records
                    for first in range(0, len(wanted), AT_ONCE)
                ]
                table = pd.concat(records, ignore_index=True).assign(scale=scale, **labels, **chosen[scale])
                if depth >= DEEP:
                    imbalance = _imbalance(redrawn, loaded, seeds, scale, network)
                    table = table.merge(imbalance, on="seed")
                tables.append(table)
            tables[-1].attrs["tuning"] = trials
    return join_tables(tables)


def steps_until(metric, level, records, by):
    """Steps until a loss has fallen to a level, or an accuracy has risen to it; infinite where it never does.

    Between measurements they are interpolated linearly, in the logarithm of a loss.
    """
    falls = metric.endswith("loss")
    with np.errstate(divide="ignore"):
        height = -np.log(records[metric]) if falls else records[metric]
    runs = records[[*by, "step"]].assign(height=height).sort_values("step").groupby(by)
    wanted = -np.log(level) if falls else level
    return runs[["step", "height"]].apply(lambda run: _crossing(run["step"].array, run["height"].array, wanted))


def _crossing(steps, heights, wanted):
    reached = np.flatnonzero(np.asarray(heights) >= wanted)
    if not len(reached):
        return np.inf
    after = reached[0]
    before = after - 1
    if after == 0 or not np.isfinite([heights[before], heights[after]]).all():
        return float(steps[after])
    part = (wanted - heights[before]) / (heights[after] - heights[before])
    return float(steps[before] + part * (steps[after] - steps[before]))


def scaled_network(*, inputs, outputs, depth, width, activation, statistics, scale, own_statistics=False):
    """Build a network with weights of a scale, normalised by the batch, scaled and shifted only, or neither.

    With its own statistics it normalises by those of the batch in inference mode too, and keeps no averages.
    """
    rule = (2.0, "fan_in") if activation == "relu" else (1.0, "fan_avg")
    signal = entry = keras.Input((inputs,))
    for layer in range(depth):
        initializer = keras.initializers.VarianceScaling(rule[0] * scale**2, rule[1], "untruncated_normal")
        signal = keras.layers.Dense(width, kernel_initializer=initializer)(signal)
        if statistics == "batch" and own_statistics:
            signal = keras.layers.BatchNormalization(momentum=1.0)(signal, training=True)
        elif statistics == "batch":
            signal = keras.layers.BatchNormalization(momentum=0.9)(signal)
        elif statistics == "scale and shift":
            signal = scale_and_shift()(signal)
        signal = keras.layers.Activation(activation, name=f"hidden_{layer}")(signal)
    return keras.Model(entry, keras.layers.Dense(outputs)(signal))


@cache
def _scale_and_shift():
    class ScaleAndShift(keras.layers.Layer):
        """A learned scale and shift of every unit, as batch normalisation has them, without normalising."""

        def build(self, shape):
            self.gamma = self.add_weight(shape=shape[-1:], initializer="ones", name="gamma")
            self.beta = self.add_weight(shape=shape[-1:], initializer="zeros", name="beta")

        def call(self, inputs):
            return inputs * self.gamma + self.beta

        def compute_output_shape(self, shape):
            return shape

    return ScaleAndShift


def scale_and_shift():
    """Make the layer that batch normalisation is without its normalisation."""
    return _scale_and_shift()()


def _rates(arms, rates, reached, labels):
    """Choose the rates of an arm at each scale; also return the trials, of which one search has both scores."""
    losses, chosen, trials = {}, {}, []
    for scale, arm in arms.items():
        records = arm.validate(seeds=list(TRIAL_SEEDS), learning_rate=list(rates)).records
        final = records[records["step"] == records["step"].max()]
        losses[scale] = final.groupby("learning_rate")["validation_loss"].median()
        steps = steps_until("train_loss", reached, records, ["seed", "learning_rate"])
        # where the loss is not reached, the lowest loss is nearest
        scores = pd.DataFrame(
            {
                "steps": steps.groupby("learning_rate").median(),
                "loss": final.groupby("learning_rate")["train_loss"].median(),
            }
        )
        fastest = scores.sort_values(["steps", "loss"], kind="stable").index[0]
        chosen[scale] = {"best_rate": losses[scale].idxmin(), "fastest_rate": fastest}
        for name, rate in chosen[scale].items():
            at_edge = rate in (min(rates), max(rates))
            trials.append({"chosen": name, "learning_rate": rate, "at_edge": at_edge, "scale": scale, **labels})
    common = float(pd.DataFrame(losses).median(axis=1).idxmin())
    return {scale: {**rates_of, "common_rate": common} for scale, rates_of in chosen.items()}, trials


def _imbalance(redrawn, loaded, seeds, scale, network):
    """Imbalance of the gradients between the first and the last hidden layer of untrained networks."""
    # scale and shift are the identity at the start
    statistics = "batch" if network["statistics"] == "batch" else "none"
    layers = probe(
        scaled_network,
        redrawn,
        seeds,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        inputs=loaded.x_train.shape[1],
        outputs=loaded.classes,
        scale=scale,
        own_statistics=True,
        **(network | {"statistics": statistics}),
    )
    hidden = layers[layers["name"].str.startswith("hidden")].sort_values("layer").groupby("seed")["gradient"]
    ratio = hidden.last() / hidden.first()
    return ratio.where(ratio > 1, 1 / ratio).rename("imbalance").reset_index()
