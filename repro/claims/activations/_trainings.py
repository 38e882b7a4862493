"""One grid of trainings of networks that differ in their activation, from which several claims read."""

from __future__ import annotations

import numpy as np
import pandas as pd

from repro.claims.activations._networks import forward, network
from repro.engine import build_seeded, classifier, join_tables, load_data

TRIAL_SEEDS = (30_000_000, 30_000_001)  # beyond those of every run
ARMS = ("relu", "relu - 0.4", "relu6", "leaky_relu", "elu", "tanh", "tanh + 1", "tanh - 1", "sigmoid")
RATES = tuple(0.01 * 2.0**step for step in range(11))
SMOKE = {"steps": 300, "activations": ARMS[:1] + ARMS[2:], "rates": tuple(0.02 * 4.0**step for step in range(6))}
FULL = {"data": "mnist", "images": 50_000, "width": 128, "steps": 10_000}
LOST = np.log(10)  # loss of equal probabilities of ten classes


def trainings(
    seeds, *, activations=ARMS, depths=(2, 6), rates=RATES, images=600, width=32, steps=600, every=10, data="digits"
):
    """Trains networks of two and of six equal hidden layers over one grid of rates, for every activation.

    Stochastic gradient descent with batches of 32 on 600 standardised images, which each seed redraws; hidden layers of
    32 units, normal weights of Glorot's variance for activations that saturate and of He's for others, biases from
    zero. Eleven rates, each twice the one before, from 0.01 to 10.24: that of the fewest steps to a training loss of
    0.1 is each network's ``fastest_rate``, that of the least loss on held-out images its ``best_rate``, both chosen on
    seeds of their own. Beside the records of all rates stand statistics of the hidden units at the start and after the
    last step at the best rate, over the training images, by NumPy: the share of outputs that are not zero, the size of
    the mean output over the root of its mean square, and the share of examples whose outputs of a layer, apart from
    zeros, have one sign.
    """
    loaded = load_data(data).standardized().flat()
    redrawn = lambda seed: loaded.subset(images, seed)  # noqa: E731  it is data, as much as images are
    sizes = {"inputs": loaded.x_train.shape[1], "outputs": loaded.classes, "width": width}
    tables = []
    for depth in depths:
        for activation in activations:
            labels = {"activation": activation, "depth": depth}
            arm = classifier(network, redrawn, steps=steps, every=every, width=width, **labels)
            chosen, trials = _rates(arm, rates)
            training = arm(seeds=list(seeds), learning_rate=list(rates))
            records = training.records.assign(**labels, **chosen, of="training")
            units = []
            for place, (seed, rate) in enumerate(training.replicas[["seed", "learning_rate"]].itertuples(index=False)):
                if rate != chosen["best_rate"]:
                    continue
                x = redrawn(int(seed)).x_train
                start = build_seeded(lambda labels=labels: network(**sizes, **labels), int(seed)).get_weights()
                for state, weights in (("start", start), ("end", training.weights[place])):
                    units += [
                        {"seed": seed, "state": state, "layer": layer, **statistics}
                        for layer, statistics in enumerate(_of_units(weights, x, activation), start=1)
                    ]
            tables += [records, pd.DataFrame(units).assign(**labels, of="units")]
            tables[-2].attrs["tuning"] = [{**trial, **labels} for trial in trials]
    return join_tables(tables)


def steps_until(records, level):
    """Steps until the training loss of each run has fallen to a level, infinite where it never does.

    Between measurements they are interpolated linearly in the logarithm of the loss.

    Args:
        records: Rows of runs, which differ in ``seed`` and ``learning_rate``.
        level: Training loss.

    Returns:
        Steps, indexed by seed and rate.
    """
    found = {}
    for run, rows in records.sort_values("step").groupby(["seed", "learning_rate"]):
        steps, losses = rows["step"].to_numpy(float), rows["train_loss"].to_numpy()
        reached = np.flatnonzero(losses <= level)
        if not len(reached):
            found[run] = np.inf
            continue
        after = reached[0]
        if after == 0 or not np.isfinite(losses[after - 1]):
            found[run] = steps[after]
            continue
        part = np.log(losses[after - 1] / level) / np.log(losses[after - 1] / max(losses[after], 1e-30))
        found[run] = steps[after - 1] + part * (steps[after] - steps[after - 1])
    return pd.Series(found, name="steps").rename_axis(["seed", "learning_rate"])


def _rates(arm, rates, reached=0.1):
    """Choose rates of an arm by trials with held-out images; also return what they were, for the marks on edges."""
    records = arm.validate(seeds=list(TRIAL_SEEDS), learning_rate=list(rates)).records
    final = records[records["step"] == records["step"].max()].groupby("learning_rate")
    steps = steps_until(records, reached).groupby("learning_rate").median()
    # where the loss is not reached, the lowest loss is nearest
    scores = pd.DataFrame({"steps": steps, "loss": final["train_loss"].median()})
    chosen = {
        "fastest_rate": float(scores.sort_values(["steps", "loss"], kind="stable").index[0]),
        "best_rate": float(final["validation_loss"].median().idxmin()),
    }
    edges = {min(rates), max(rates)}
    # a network that learns at no rate, as deep sigmoid networks do in few steps, has no best one that could lie inside
    learns = final["train_loss"].median().min() < LOST / 1.05
    trials = [
        {"chosen": name, "learning_rate": rate, "at_edge": learns and rate in edges} for name, rate in chosen.items()
    ]
    return chosen, trials


def _of_units(weights, x, activation):
    """Statistics of every hidden layer of a network over inputs [examples, ...]."""
    for outputs in forward(weights, x, activation)[1]:
        signs = np.sign(outputs)
        one_sign = (signs >= 0).all(axis=1) | (signs <= 0).all(axis=1)
        yield {
            "active_share": float((outputs != 0).mean()),
            "offset": float(np.abs(outputs.mean(axis=0)).mean() / np.sqrt(np.square(outputs).mean())),
            "one_signed_share": float(one_sign.mean()),
        }
