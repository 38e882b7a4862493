"""Gradients of untrained networks, from layer to layer."""

from __future__ import annotations

import numpy as np
import pandas as pd

from repro import (
    AllOf,
    Boundary,
    ChangesAs,
    Correction,
    Falls,
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
)
from repro.engine import load_data, probe

UNITS = "sigmoid", "tanh", "relu", "softplus"
USUAL, STEEPENED, LARGE = 1.0, 16.0, 400.0  # variances of the weights, times the number of inputs


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
