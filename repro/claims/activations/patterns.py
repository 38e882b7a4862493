"""How many weights one pattern affects, with activations of finite and of infinite range."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import Boundary, Greater, PositiveControl, claim, notes
from repro.claims.activations._networks import deltas, network
from repro.engine import build_seeded, load_data, train

with epy.lazy_imports():
    import keras

CONDITIONS = ("pair", "scale", "state")
PAIRS = {"leaky ReLU, tanh": ("leaky_relu", "tanh"), "ReLU, ReLU6": ("relu", "relu6")}
LARGE = 4.0


@claim(
    "With an activation of finite range a pattern significantly affects only limited weights, with an infinite one "
    "most of the weights.",
    source=notes("Remark 3.62"),
    kind="tendency",
    scope="the reason that is given for stabler training; the scale of the weights, the state of training, and what is "
    "significant are left open: here the effective share of weights that carry the gradient of one "
    "example is compared; neither limited nor most is judged as a number",
    left_open=CONDITIONS,
    criterion=Greater("share_of_weights", of="infinite", than="finite", by="range", each=CONDITIONS),
    boundary=Boundary("for weights so large that units of finite range saturate", holds=f"scale >= {LARGE:g}"),
    smoke={"steps": 200},
    full={"data": "mnist", "images": 10_000, "width": 128, "steps": 5000},
    positive_control=PositiveControl(
        "Units without an activation, which neither saturate nor are off, pass on more weights than those of finite "
        "range.",
        criterion=Greater(
            "share_of_weights",
            of="identity",
            than="finite",
            by="range",
            each=CONDITIONS,
            smallest_ratio=1.05**2,
            because="it is twice what matters",
        ),
    ),
    seeds=48,
)
def limited_weights_affected(
    seeds, *, scales=(1.0, LARGE), images=600, depth=3, width=32, steps=400, rate=0.01, data="digits"
):
    r"""Measures the participation ratio of the gradient of one example over the weights of the hidden layers.

    That of entries $g_i$ is $(\sum_i g_i^2)^2 / \sum_i g_i^4$ over their number: one if all are of one size, 1/n if one
    stands alone; its median over 200 training images. By NumPy, from the outer products of what enters a layer and what
    is passed back to it. Three hidden layers of 32 units, normal weights of He's deviation, for tanh and the identity
    of Glorot's, and four times as large; before and after plain stochastic gradient descent in batches of 32, at a rate
    of 0.01, on 600 standardised images, which each seed redraws. A ReLU that is capped at six has ReLU's slope, and
    tells the range from other differences.
    """
    loaded = load_data(data).standardized().flat()
    redrawn = lambda seed: loaded.subset(images, seed)  # noqa: E731  it is data, as much as images are
    sizes = {"inputs": loaded.x_train.shape[1], "outputs": loaded.classes, "depth": depth, "width": width}
    shares = []
    for activation in ("leaky_relu", "tanh", "relu", "relu6", "linear"):
        for scale in scales:
            labels = {"activation": activation, "scale": scale}
            trained = train(
                network,
                redrawn,
                loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
                optimizer="sgd",
                steps=steps,
                batch_size=32,
                seeds=list(seeds),
                # the gradient of a network grows with the scale of its weights
                learning_rate=rate / scale**2,
                **sizes,
                **labels,
            )
            for place, seed in enumerate(seeds):
                drawn = redrawn(seed)
                start = build_seeded(lambda labels=labels: network(**sizes, **labels), seed).get_weights()
                for state, weights in (("start", start), ("trained", trained.weights[place])):
                    share = participation(*deltas(weights, drawn.x_train[:200], drawn.y_train[:200], activation))
                    shares.append({"seed": seed, "state": state, "share_of_weights": float(np.median(share)), **labels})
    table = pd.DataFrame(shares)
    tables = []
    for pair, (infinite, finite) in PAIRS.items():
        names = {infinite: "infinite", finite: "finite", "linear": "identity"}
        kept = table[table["activation"].isin(list(names))]
        tables.append(kept.assign(pair=pair, range=kept["activation"].map(names)))
    return pd.concat(tables, ignore_index=True)


def participation(inputs, passed):
    """Participation ratio of each example's gradient over all kernels, as a share of the weights, [examples].

    Args:
        inputs: What enters each layer, [examples, units before] each.
        passed: What is passed back to it, [examples, units] each.
    """
    squares = fourths = weights = 0
    for entering, delta in zip(inputs, passed, strict=True):
        # sums over the outer product of both are products of sums
        squares = squares + np.square(entering).sum(axis=1) * np.square(delta).sum(axis=1)
        fourths = fourths + (entering**4).sum(axis=1) * (delta**4).sum(axis=1)
        weights += entering.shape[1] * delta.shape[1]
    return np.divide(squares**2, fourths, out=np.zeros_like(squares), where=fourths > 0) / weights
