"""What gradients do on their way back through a deep network."""

from __future__ import annotations

import math

import pandas as pd
from etils import epy

from repro import Correction, ExponentialDecay, claim, lectures, notes
from repro.data import load
from repro.models import mlp
from repro.probing import probe

with epy.lazy_imports():
    import keras


HALF_IN_TEN_LAYERS = math.log(2) / 10
HALF_VARIANCE = {
    "class_name": "VarianceScaling",
    "config": {"scale": 0.5, "mode": "fan_in", "distribution": "untruncated_normal"},
}


@claim(
    r"With saturating activations (sigmoid, tanh) gradients vanish as they propagate backward: they become smaller and "
    r"smaller with every layer.",
    source=(lectures("2.2.3"), lectures("3.3.2"), notes("Definition 3.51"), notes("Remark 3.35")),
    literature="Hochreiter 1991; Bengio, Simard and Frasconi 1994; Glorot and Bengio 2010; Schoenholz et al. 2017",
    criterion=ExponentialDecay(
        x="layers_back",
        y="gradient",
        at_least=HALF_IN_TEN_LAYERS,
        because="a gradient of which ten layers leave more than half has not vanished in networks of ordinary depth",
        each=("activation", "depth"),
    ),
    smoke={"depths": (5, 30)},
    full={"depths": (10, 30, 100), "width": 256, "data": "mnist"},
    control={"activations": ("linear",), "initializer": "orthogonal"},
    correction=Correction(
        "With the sigmoid gradients vanish exponentially at every usual scale of the weights. With tanh they do where "
        r"the variance of the weights is below $1/n_{\mathrm{in}}$; at that variance, Xavier's, they fall only as a "
        "power of the number of layers, because the signal shrinks to where tanh does not saturate.",
        initializer=HALF_VARIANCE,
    ),
    tags=("headline",),
)
def sigmoid_depth(
    seeds, *, activations=("sigmoid", "tanh"), depths=(10, 20, 40), width=64, initializer="glorot_normal", data="digits"
):
    """Measures the gradient of the loss with respect to the output of every hidden layer of untrained networks.

    The decay rate of a seed is the least-squares slope of the logarithm of the gradient's Euclidean norm over 256
    training images against the number of layers that it went back through. Networks of equal layers, standardised
    images, cross-entropy. Glorot's initialisation has the variance 1 / width that the lectures call Xavier's. A
    saturating activation loses gradient by its slope: at most 1/4 for the sigmoid, but 1 for tanh near zero, which is
    where the documents' reasoning breaks off (Poole et al. 2016). A linear orthogonal network keeps the norm exactly.
    """
    images = load(data).standardized().flat()
    observations = [
        probe(
            hidden_layers,
            images,
            seeds,
            loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
            activation=list(activations),
            depth=depth,
            width=width,
            initializer=initializer,
            inputs=images.x_train.shape[1],
            outputs=images.classes,
        )
        for depth in depths
    ]
    return pd.concat(observations, ignore_index=True).query("layers_back > 0")


def hidden_layers(*, depth, width, activation, initializer, inputs, outputs):
    """Build a network of equal hidden layers."""
    return mlp(inputs=inputs, outputs=outputs, widths=(width,) * depth, activation=activation, initializer=initializer)
