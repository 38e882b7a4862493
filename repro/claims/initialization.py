"""How the scale of initial weights carries signals and gradients through a deep network."""

from __future__ import annotations

from etils import epy

from repro import AllOf, Correction, Equivalent, Preserved, cheatsheet, claim, lectures
from repro.data import load
from repro.models import mlp
from repro.probing import probe

with epy.lazy_imports():
    import keras


@claim(
    r"$w \sim \mathcal{N}(0, 1/n_{\mathrm{in}})$ keeps the variance of activations constant from layer to layer.",
    source=lectures("2.3.5"),
    literature="Glorot and Bengio 2010; LeCun et al. 1998 for this variance; Poole et al. 2016 for tanh",
    criterion=Preserved(
        "variance",
        along="layer",
        within=1.05,
        because="5 % a layer multiplies to a factor of four over thirty layers, as much as a change of data would",
        each=("activation",),
    ),
    smoke={"width": 128, "depth": 15},
    full={"data": "mnist", "width": 2048, "depth": 100},
    control={"scale": 0.5},
    correction=Correction(
        r"$w \sim \mathcal{N}(0, 1/n_{\mathrm{in}})$ keeps the variance in linear layers, for which it was derived. "
        r"Tanh shrinks it in every layer, from $q$ to $\mathbb{E}\tanh^2(\sqrt{q}\,z) \approx q - 2q^2$, which falls "
        r"as $1/(2 \cdot \mathrm{depth})$.",
        activations=("linear",),
    ),
    tags=("headline",),
)
def xavier_forward(seeds, *, activations=("linear", "tanh"), depth=30, width=256, scale=1.0, data="digits"):
    """Measures the variance of the outputs of every hidden layer of untrained networks.

    Over units and 256 training images (standardised); the effect is the mean ratio of a layer's variance to the one
    before. The lectures derive the rule for a linear neuron and state it for activations: with tanh it fails, because
    the derivation leaves out that tanh contracts.
    """
    return _signals(seeds, list(activations), depth, width, scale, data)


@claim(
    r"$w \sim \mathcal{N}(0, 2/n_{\mathrm{in}})$ keeps the signal of deep ReLU networks; typically only $n/2$ units "
    r"are active.",
    source=(lectures("2.3.5"), cheatsheet("1.8.1")),
    literature="He et al. 2015",
    criterion=AllOf(
        signal=Preserved(
            "second_moment",
            along="layer",
            within=1.05,
            because="5 % a layer multiplies to a factor of four over thirty layers, as much as a change of data would",
        ),
        active=Equivalent(
            "active", 0.5, within=0.05, because="half of the units means nearer to a half than to four or six tenths"
        ),
    ),
    smoke={"width": 512, "depth": 20},
    full={"data": "mnist", "width": 2048, "depth": 100},
    control={"scale": 1.0},
    tags=("headline",),
)
def he_relu(seeds, *, depth=40, width=256, scale=2.0, data="digits"):
    """Measures the mean square and the share of positive outputs of every hidden layer of untrained ReLU networks.

    Over units and 256 training images (standardised); the effect on the signal is the mean ratio of a layer's mean
    square to the one before, that on the share its mean over layers. With variance 1 / n the mean square halves.
    """
    return _signals(seeds, ["relu"], depth, width, scale, data)


def _signals(seeds, activations, depth, width, scale, data):
    """Probe the hidden layers of networks with normal weights of the given variance times the number of inputs."""
    images = load(data).standardized().flat()
    observations = probe(
        normal_network,
        images,
        seeds,
        loss=keras.losses.SparseCategoricalCrossentropy(from_logits=True),
        activation=activations,
        depth=depth,
        width=width,
        scale=scale,
        inputs=images.x_train.shape[1],
        outputs=images.classes,
    )
    return observations[observations["layers_back"] > 0].reset_index(drop=True)


def normal_network(*, depth, width, activation, scale, inputs, outputs):
    """Build a network of equal layers with weights of the given variance over the number of inputs."""
    initializer = {
        "class_name": "VarianceScaling",
        "config": {"scale": scale, "mode": "fan_in", "distribution": "untruncated_normal"},
    }
    return mlp(inputs=inputs, outputs=outputs, widths=(width,) * depth, activation=activation, initializer=initializer)
