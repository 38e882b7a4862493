"""Gradients of untrained networks, from layer to layer."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import (
    AllOf,
    Boundary,
    ChangesAs,
    Correction,
    ExponentialDecay,
    Falls,
    Greater,
    Ratio,
    Reported,
    claim,
    lectures,
    notes,
)
from repro.claims.vanishing_gradients._networks import (
    cross_entropy,
    drawn_images,
    equal_layers,
    mean_field_slope,
    normal_weights,
)
from repro.engine import load_data, probe

with epy.lazy_imports():
    import keras

UNITS = "sigmoid", "tanh", "relu", "softplus"
# Variances of the weights, times the number of inputs.
USUAL, HE, STEEPENED, LARGE = 1.0, 2.0, 16.0, 400.0


def untrained_experiment(
    seeds, *, scales=(0.5, 1.0, 4.0, 16.0, 400.0), layers=20, width=128, examples=256, data="digits"
):
    """Measures the gradient of the loss with respect to the outputs of the hidden layers of untrained networks.

    Euclidean norms over standardised images that each seed redraws; cross-entropy, networks of 21 hidden layers of 128
    sigmoid, tanh, ReLU or softplus units without biases, normal weights of variances from half to 400 over the number
    of inputs. Layers are those that the gradient has gone back through, none for the last hidden one.
    """
    images = load_data(data)
    shape = {"inputs": images.x_train[0].size, "outputs": images.classes, "depth": layers + 1, "width": width}
    tables = []
    for activation in UNITS:
        for scale in scales:
            probed = probe(
                equal_layers,
                drawn_images(data, examples),
                seeds,
                loss=cross_entropy(),
                examples=examples,
                activation=activation,
                scale=scale,
                **shape,
            )
            slope = mean_field_slope(activation, scale) if activation in ("sigmoid", "tanh") else np.nan
            tables.append(probed.assign(mean_field_slope=slope))
    observations = pd.concat(tables, ignore_index=True).query("layers_back > 0")
    return observations.assign(layers=observations["layers_back"] - 1)


def _vanish(activation):
    """Ask for a smaller gradient ten and twenty layers back."""
    return Falls("gradient", along="layers", at=(10, 20), each=("scale",), where={"activation": activation})


@claim(
    "Sigmoid and tanh tend to saturate, and as backpropagation multiplies gradients that are in many cases less than "
    "one, they often vanish going backward; tanh, too, can still suffer from it in deep networks.",
    source=(lectures("2.2.3"), lectures("3.3.2"), notes("Remark 3.35")),
    kind="tendency",
    scope="deep networks of sigmoid or tanh units; scale of the weights, depth and width are left open",
    left_open=("scale", "layers"),
    literature="Hochreiter 1991; Bengio, Simard and Frasconi 1994; Glorot and Bengio 2010; Schoenholz et al. 2017",
    reads=untrained_experiment,
    criterion=AllOf(sigmoid=_vanish("sigmoid"), tanh=_vanish("tanh")),
    boundary=Boundary(
        "where the mean-field slope is at most one: the scale of the weights times the activation's mean squared slope",
        holds="mean_field_slope <= 1",
        named=(
            {"part": "sigmoid", "scale": 1.0, "layers": 20},
            {"part": "tanh", "scale": 1.0, "layers": 20},
            {"part": "tanh", "scale": 4.0, "layers": 20},
        ),
    ),
    smoke={"scales": (1.0, 4.0, 16.0, 400.0)},
    full={"width": 512, "data": "mnist"},
    correction=Correction(
        "At Glorot's variance gradients of sigmoid networks, where the mean-field slope is below one, vanish "
        "exponentially with the number of layers; with tanh, where it is one, they fall only as a power, because the "
        "signal shrinks to where tanh does not saturate.",
        criterion=AllOf(
            sigmoid=ChangesAs("exponential", "layer", "gradient", where={"activation": "sigmoid", "scale": 1.0}),
            tanh=ChangesAs("power", "layer", "gradient", where={"activation": "tanh", "scale": 1.0}),
        ),
    ),
    reported=(
        Reported(
            "0.8",
            measure="mean singular value of a layer's Jacobian, normalised initialisation",
            setting="tanh, five layers of 1000 units",
            place="Glorot and Bengio 2010, section 4.2",
        ),
        Reported(
            "0.5",
            measure="mean singular value of a layer's Jacobian, standard initialisation",
            setting="tanh, five layers of 1000 units",
            place="Glorot and Bengio 2010, section 4.2",
        ),
    ),
    tags=("headline",),
    seeds=48,
)
def sigmoid_depth(observations):
    r"""Compares the norm ten and twenty layers before the last hidden layer with that at it.

    Glorot's initialisation has the variance $1/n$ (scale 1) that the lectures call Xavier's; scales of 0.5 to 16 are
    usual, 400 is not. Mean-field theory (Poole et al. 2016, Schoenholz et al. 2017) expects the mean square of a
    gradient to change per layer by ``mean_field_slope``, $\sigma_w^2\,\mathbb{E}[\phi'(\sqrt{q^*} z)^2]$ at the fixed
    point $q^*$ of the signal: the weights count as much as the slope of the activation, of which alone the documents
    speak.
    """
    return observations[observations["activation"].isin(["sigmoid", "tanh"])]


@claim(
    "Gradient explosion happens because of the weights, not because of the activation function: with high weights the "
    "derivatives are higher.",
    source=notes("Remark 3.36"),
    kind="tendency",
    scope="activations of slope at most about one; steeper ones, and the depth, are left open",
    left_open=("slope",),
    literature=r"Schoenholz et al. 2017: the mean square grows per layer by the variance of the weights times their "
    "number times the mean squared slope of the activation",
    reads=untrained_experiment,
    criterion=AllOf(
        weights=Falls("gradient", along="layer", where={"weights": "large"}),
        activation=Falls("gradient", along="layers", each=("slope",), where={"weights": "usual"}),
    ),
    boundary=Boundary(
        "with activations of slope at most one",
        holds="part == 'weights' or slope <= 1",
    ),
    smoke={"scales": (1.0, 4.0, 16.0, 400.0)},
    full={"width": 512, "data": "mnist"},
    correction=Correction(
        "What counts is the product of the variance of the weights and the mean squared slope of the activation: per "
        "layer it multiplies the mean square of a gradient.",
        criterion=Ratio(
            "factor",
            of="measured",
            than="expected",
            by="side",
            expected=1.0,
            within=1.05,
            each=("activation", "scale"),
            where={"weights": "product"},
        ),
    ),
)
def weights_not_activation(observations):
    r"""Asks whether gradients explode with all activations from large weights, and with none from usual ones.

    Sigmoid, tanh, ReLU and softplus, of slopes up to one. Large weights: variance 400/n, ten layers back from the last
    (ReLU overflows soon after), the activation whose gradient grows least; the gradient at the near end has to be less
    than at the far one. Usual weights: variance 1/n, twenty layers, the activation whose gradient grows most, which has
    to fall. Expected is that it does for slopes up to one, as the factor per layer is at most one, and that it grows
    for activations four times as steep: f(4x) from usual weights is the same network as f(x) from weights four times as
    large, but for its outputs, and is read from that one. Between the two the activation decides at which weights
    gradients explode: by mean-field theory (``mean_field_slope``), the second route, from 1/n with tanh, 2/n with ReLU,
    over 100/n with the sigmoid. The correction compares the factor per layer over ten layers with that theory. What
    large weights do to training is measured in ``large_weights_explode``.
    """
    tables = []
    large = observations[(observations["scale"] == LARGE) & (observations["layers"] <= 10)]
    tables.append(_extreme(large, least=True).assign(weights="large"))
    for slope, scale in ((1, USUAL), (4, STEEPENED)):
        of_scale = observations[observations["scale"] == scale]
        tables.append(_extreme(of_scale, least=False).assign(weights="usual", slope=slope))
    settled = observations[
        observations["scale"].isin([STEEPENED, LARGE]) & observations["activation"].isin(["sigmoid", "tanh"])
    ]
    place = ["activation", "scale", "seed"]
    ends = [settled[settled["layers"] == back].set_index(place) for back in (0, 10)]
    factors = {
        "measured": (ends[1]["gradient"] / ends[0]["gradient"]) ** (1 / 10),
        "expected": ends[0]["mean_field_slope"] ** 0.5,
    }
    for side, factor in factors.items():
        tables.append(factor.rename("factor").reset_index().assign(side=side, weights="product"))
    return pd.concat(tables, ignore_index=True)


def _extreme(observations, *, least):
    """Select for each seed the activation whose gradient grows least, or most, on its way back."""
    ordered = observations.sort_values("layers")
    ends = ordered.groupby(["seed", "activation"])["gradient"]
    growth = (ends.last() / ends.first()).rename("growth").reset_index()
    by_seed = growth.groupby("seed")["growth"]
    chosen = growth.loc[by_seed.idxmin() if least else by_seed.idxmax(), ["seed", "activation"]]
    return observations.merge(chosen)


@claim(
    "Identity shortcuts let gradients flow more freely through a deep network and help to mitigate their vanishing.",
    source=lectures("3.5.5"),
    kind="tendency",
    scope="deep residual networks; normalisation and scale of the weights are left open; their training is "
    "architectures.resnet_trains_deep",
    left_open=("normalisation", "scale"),
    literature="He et al. 2016: test error on CIFAR-10 of 110 layers 6.43 % with shortcuts and over 60 % without; "
    "they doubt that their plain networks, which had batch normalisation, suffered from vanishing. Yang et al. 2019 on "
    "normalised plain networks, De and Smith 2020 on residual ones",
    criterion=Greater(
        "spread",
        of="plain",
        than="with shortcuts",
        by="network",
        each=("normalisation", "scale"),
        where={"quantity": "spread"},
    ),
    boundary=Boundary(
        "where layers are normalised, or the variance of the weights is below 1.24 over the number of inputs: with a "
        "half of it, u, plain layers multiply the mean square of a gradient by u and those with shortcuts by 1 + u",
        holds="normalisation == 'batch' or scale < 1.24",
    ),
    smoke={"scales": (1.0, 2.0), "depth": 12},
    full={"data": "mnist", "depth": 40, "width": 256},
    correction=Correction(
        "At Glorot's variance gradients neither vanish nor stay in networks with shortcuts: their mean square grows by "
        "a factor of 1 + 1/2 in each block, their norm at the rate log(1.5) / 2.",
        criterion=ExponentialDecay(
            "layers_back",
            "gradient",
            expected=-float(np.log(1.5)) / 2,
            rivals=(0.0, -float(np.log(2)) / 2),
            where={"quantity": "gradient", "network": "with shortcuts", "scale": 1.0, "normalisation": "none"},
        ),
    ),
)
def residual_connections_help(seeds, *, scales=(0.5, 1.0, 2.0, 4.0), depth=20, width=64, examples=256, data="digits"):
    r"""Compares how far gradients differ between the blocks of untrained networks with and without shortcuts.

    A block is one Dense layer of 64 ReLU units, with its input added to its output or not; normal weights of variances
    from half to four over the number of inputs, Keras' default, Glorot's, being one and He's two, and He's with batch
    normalisation before each ReLU as well. The spread is the largest of the gradients' Euclidean norms, with respect to
    the outputs of the blocks, over the smallest, so that vanishing and exploding both count; 256 standardised images
    that each seed redraws are the batch. Expected, the second route: from weights that ReLU lets vanish shortcuts help,
    and from He's, which keep gradients in plain networks, they make them explode. A plain normalised layer divides by
    the deviation of what ReLU passes of a standard normal signal, $\sqrt{(\pi - 1) / (2\pi)}$, so that it multiplies
    the mean square of a gradient by $\pi / (\pi - 1) = 1.47$, whatever the weights; with shortcuts the signal grows
    from block to block, what a block adds counts less and less, and gradients grow as a power only.
    """
    images = load_data(data)
    shape = {"inputs": images.x_train[0].size, "outputs": images.classes, "depth": depth, "width": width}
    tables = []
    for network, shortcut in (("plain", False), ("with shortcuts", True)):
        for normalisation, of_scales in (("none", scales), ("batch", (HE,))):
            probed = probe(
                residual_layers,
                drawn_images(data, examples),
                seeds,
                loss=cross_entropy(),
                examples=examples,
                shortcut=shortcut,
                normalised=normalisation == "batch",
                scale=list(of_scales),
                **shape,
            )
            blocks = probed[probed["name"].str.startswith("block")]
            back = depth - blocks["name"].str.removeprefix("block").astype(int)
            gradients = blocks.groupby(["scale", "seed"])["gradient"]
            spread = (gradients.max() / gradients.min()).rename("spread").reset_index()
            labels = {"network": network, "normalisation": normalisation}
            tables += [
                blocks.assign(layers_back=back, quantity="gradient", **labels),
                spread.assign(quantity="spread", **labels),
            ]
    return pd.concat(tables, ignore_index=True)


def residual_layers(*, depth, width, scale, shortcut, normalised, inputs, outputs):
    """Build a network of Dense ReLU layers, with identity shortcuts around each but the first or without."""
    dense = {"kernel_initializer": normal_weights(scale)}
    images = keras.Input((inputs,))
    signal = keras.layers.Dense(width, activation="relu", **dense)(images)
    for block in range(1, depth + 1):
        layer = keras.layers.Dense(width, **dense)(signal)
        if normalised:  # by the batch itself, in inference mode too
            layer = keras.layers.BatchNormalization(momentum=1.0)(layer, training=True)
        layer = keras.layers.ReLU(name=f"{'relu' if shortcut else 'block'}{block}")(layer)
        signal = keras.layers.Add(name=f"block{block}")([signal, layer]) if shortcut else layer
    return keras.Model(images, keras.layers.Dense(outputs, **dense)(signal))
