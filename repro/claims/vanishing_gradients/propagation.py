"""Gradients of untrained networks, from layer to layer."""

from __future__ import annotations

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
    Preserved,
    Proportion,
    Reported,
    claim,
    lectures,
    notes,
)
from repro.claims.vanishing_gradients._networks import (
    HALF_IN_TEN_LAYERS,
    cross_entropy,
    equal_layers,
    growth_rates,
    mean_field_slope,
    normal_weights,
)
from repro.engine import load_data, mlp, probe

with epy.lazy_imports():
    import keras


@claim(
    "Sigmoid and tanh tend to saturate, and as backpropagation multiplies gradients that are in many cases less than "
    "one, they often vanish going backward.",
    source=(lectures("2.2.3"), lectures("3.3.2"), notes("Remark 3.35")),
    kind="tendency",
    scope="deep networks of sigmoid or tanh units; scale of the weights, depth and width are left open",
    left_open=("activation", "scale", "layers"),
    literature="Hochreiter 1991; Bengio, Simard and Frasconi 1994; Glorot and Bengio 2010; Schoenholz et al. 2017",
    criterion=Falls("gradient", along="layers", at=(10, 20), each=("activation", "scale")),
    boundary=Boundary(
        "where the mean-field slope is at most one: the scale of the weights times the activation's mean squared slope",
        holds="mean_field_slope <= 1",
        named=(
            {"activation": "sigmoid", "scale": 1.0, "layers": 20},
            {"activation": "tanh", "scale": 1.0, "layers": 20},
            {"activation": "tanh", "scale": 4.0, "layers": 20},
        ),
    ),
    smoke={"scales": (1.0, 4.0), "width": 64},
    full={"width": 512, "data": "mnist"},
    control={"activations": ("linear",), "scales": (1.0,), "orthogonal": True},
    correction=Correction(
        "Where the mean-field slope is below one gradients vanish exponentially with the number of layers; with tanh "
        "at Xavier's variance, where it is one, they fall only as a power, because the signal shrinks to where tanh "
        "does not saturate.",
        criterion=AllOf(
            sigmoid=ChangesAs("exponential", "layer", "gradient", where={"activation": "sigmoid"}),
            tanh=ChangesAs("power", "layer", "gradient", where={"activation": "tanh"}),
        ),
        layers=40,
        scales=(1.0,),
    ),
    reported=(
        Reported(
            "0.8",
            measure="mean singular value of a layer's Jacobian, normalised initialisation",
            setting="tanh, five layers of 1000 units",
            place="Glorot and Bengio 2010, section 4.2.1",
        ),
        Reported(
            "0.5",
            measure="mean singular value of a layer's Jacobian, standard initialisation",
            setting="tanh, five layers of 1000 units",
            place="Glorot and Bengio 2010, section 4.2.1",
        ),
    ),
    tags=("headline",),
    seeds=48,
)
def sigmoid_depth(
    seeds,
    *,
    activations=("sigmoid", "tanh"),
    scales=(0.5, 1.0, 4.0, 16.0, 400.0),
    layers=20,
    width=128,
    orthogonal=False,
    data="digits",
):
    r"""Measures the gradient of the loss with respect to the outputs of the hidden layers of untrained networks.

    The effect is the Euclidean norm ten and twenty layers before the last hidden layer, over that at it, on 256
    standardised images that each seed redraws; networks of equal layers without biases, cross-entropy. Glorot's
    initialisation has the variance $1/n$ (scale 1) that the lectures call Xavier's; 0.5 to 16 are usual, 400 is not.
    Mean-field theory (Poole et al. 2016, Schoenholz et al. 2017) expects the mean square of a gradient to change per
    layer by ``mean_field_slope``, $\sigma_w^2\,\mathbb{E}[\phi'(\sqrt{q^*} z)^2]$ at the fixed point $q^*$ of the
    signal: the weights count as much as the slope of the activation, of which alone the documents speak. A linear
    orthogonal network keeps the norm exactly.
    """
    images = load_data(data).standardized().flat()
    shape = {"inputs": images.x_train.shape[1], "outputs": images.classes}
    initializers = {scale: "orthogonal" if orthogonal else normal_weights(scale) for scale in scales}
    tables = []
    for activation in activations:
        for scale, initializer in initializers.items():
            probed = probe(
                hidden_layers,
                lambda seed: images.subset(256, seed),
                seeds,
                loss=cross_entropy(),
                activation=activation,
                initializer=initializer,
                depth=layers + 1,
                width=width,
                **shape,
            )
            slope = mean_field_slope(activation, scale)
            tables.append(probed.assign(scale=scale, mean_field_slope=slope).drop(columns="initializer"))
    observations = pd.concat(tables, ignore_index=True).query("layers_back > 0")
    return observations.assign(layers=observations["layers_back"] - 1)


def hidden_layers(*, depth, width, activation, initializer, inputs, outputs):
    """Build a network of equal hidden layers."""
    return mlp(inputs=inputs, outputs=outputs, widths=(width,) * depth, activation=activation, initializer=initializer)


def _probe(network, data, seeds, **grids):
    """Probe the layers of networks on standardised images, without the last one."""
    images = load_data(data).standardized().flat()
    shape = {"inputs": images.x_train.shape[1], "outputs": images.classes}
    return probe(network, images, seeds, loss=cross_entropy(), **grids, **shape).query("layers_back > 0")


@claim(
    "ReLU avoids both the vanishing and the exploding gradient problem.",
    source=lectures("2.2.3"),
    kind="tendency",
    literature="He et al. 2015: the factor per layer is the root of half the variance times the number of units",
    criterion=Preserved(
        "gradient",
        along="layers_back",
        smallest_ratio=1.05,
        because="5 % a layer multiplies to a factor of four over thirty layers",
        each=("scale",),
    ),
    smoke={"depth": 15},
    full={"data": "mnist", "depth": 100, "width": 2048},
    correction=Correction(
        r"ReLU keeps gradients where the variance of the weights is $2/n$; below it they vanish exponentially, above "
        "they explode: every layer halves the mean square of a gradient and multiplies it by the variance times the "
        "number of units.",
        scales=(2.0,),
    ),
)
def relu_avoids_both(seeds, *, scales=(1.0, 2.0, 4.0), depth=30, width=128, data="digits"):
    """Measures the gradient of the loss with respect to the output of every hidden layer of untrained ReLU networks.

    Normal weights of one, two and four over the number of inputs (Xavier's, He's, and twice He's), networks of equal
    layers, standardised images. The effect is the mean ratio of the gradient's Euclidean norm over 256 training images
    at a layer to that at the next. The document names no scale of the weights, and the scale decides.
    """
    return _probe(equal_layers, data, seeds, activation="relu", scale=list(scales), depth=depth, width=width)


@claim(
    "Gradient explosion is caused by the weights, not by the activation function.",
    source=notes("Remark 3.36"),
    kind="tendency",
    literature=r"Schoenholz et al. 2017: the mean square grows per layer by the variance of the weights times their "
    "number times the mean squared slope of the activation",
    criterion=Proportion(
        "agree",
        at_least=0.5,
        because="whether gradients explode does not depend on the activation where all activations mostly agree",
        each=("scale",),
    ),
    smoke={"depth": 10, "activations": ("linear", "relu", "sigmoid")},
    full={"data": "mnist", "depth": 15, "width": 1024, "scales": (0.5, 1.0, 1.5, 2.0, 3.0, 400.0)},
    correction=Correction(
        r"Weights of a variance up to $1/n$ make gradients explode with none of these activations, whose slopes are at "
        "most one, and very large weights with all of them. In between the activation decides as much as the weights: "
        "what counts is the product of the variance and the mean squared slope.",
        scales=(0.5, 1.0, 400.0),
    ),
)
def weights_not_activation(
    seeds,
    *,
    scales=(0.5, 1.0, 2.0, 400.0),
    activations=("linear", "relu", "tanh", "sigmoid"),
    depth=15,
    width=64,
    data="digits",
):
    """Asks for each scale of the weights whether gradients explode with all activations or with none.

    They explode where the logarithm of their norm grows per layer by more than a tenth of that of two: twofold in ten
    layers. Normal weights of the given variances over the number of inputs, untrained networks of equal layers, 256
    standardised training images. The mistake is to leave out the slopes of the activation, which every layer multiplies
    the gradient by.
    """
    grids = {"activation": list(activations), "scale": list(scales)}
    observations = _probe(equal_layers, data, seeds, **grids, depth=depth, width=width)
    growth = growth_rates(observations, ["seed", "scale", "activation"])
    explodes = (growth["growth"] > HALF_IN_TEN_LAYERS).groupby([growth["seed"], growth["scale"]]).mean()
    agree = explodes.isin([0.0, 1.0]).rename("agree").reset_index()
    return growth.merge(agree, on=["seed", "scale"])


@claim(
    "Identity shortcuts let gradients flow through a deep network and mitigate their vanishing.",
    source=lectures("3.5.5"),
    kind="tendency",
    literature="He et al. 2016 doubt that their plain networks, which had batch normalisation, suffered from vanishing",
    criterion=AllOf(
        plain=ExponentialDecay(
            x="layers_back",
            y="gradient",
            at_least=HALF_IN_TEN_LAYERS,
            because="a gradient of which ten layers leave less than half vanishes",
            where={"network": "plain"},
            each=("activation",),
        ),
        shortcuts=ExponentialDecay(
            x="layers_back",
            y="gradient",
            at_most=HALF_IN_TEN_LAYERS,
            because="a gradient of which ten layers leave more than half does not vanish",
            where={"network": "with shortcuts"},
            each=("activation",),
        ),
    ),
    smoke={"activations": ("sigmoid",), "depth": 10},
    full={"data": "mnist", "depth": 40, "width": 256},
    control={"shortcut": 0.0},
)
def residual_connections_help(
    seeds, *, activations=("sigmoid", "tanh", "relu"), depth=20, width=64, scale=0.5, shortcut=1.0, data="digits"
):
    """Measures the gradient of the loss with respect to the output of every block of untrained networks.

    A block is one Dense layer, with its input added to its output or not; normal weights of half the variance that
    keeps a linear signal, at which gradients vanish with every activation. The decay rate of a seed is the
    least-squares slope of the logarithm of the gradient's Euclidean norm over 256 training images. The control
    multiplies the shortcuts by zero.
    """
    tables = []
    for network, factor in (("plain", 0.0), ("with shortcuts", shortcut)):
        shape = {"depth": depth, "width": width, "scale": scale, "shortcut": factor}
        probed = _probe(residual_layers, data, seeds, activation=list(activations), **shape)
        tables.append(probed[probed["name"].str.startswith("block")].assign(network=network))
    observations = pd.concat(tables, ignore_index=True)
    return observations.assign(layers_back=depth - observations["name"].str.removeprefix("block").astype(int))


def residual_layers(*, depth, width, activation, scale, shortcut, inputs, outputs):
    """Build a network of Dense layers with shortcuts around each but the first, times a factor."""
    dense = {"kernel_initializer": normal_weights(scale)}
    images = keras.Input((inputs,))
    signal = keras.layers.Dense(width, activation=activation, **dense)(images)
    for block in range(1, depth + 1):
        residual = keras.layers.Dense(width, activation=activation, **dense)(signal)
        signal = keras.layers.Add(name=f"block{block}")([keras.layers.Rescaling(shortcut)(signal), residual])
    return keras.Model(images, keras.layers.Dense(outputs, **dense)(signal))


@claim(
    "The vanishing-gradient problem is particularly evident in recurrent networks, but also affects deep feed-forward "
    "ones.",
    source=lectures("2.2.3"),
    kind="tendency",
    literature="Bengio, Simard and Frasconi 1994; Pascanu, Mikolov and Bengio 2013",
    criterion=AllOf(
        recurrent=Greater(
            "decay",
            of="recurrent",
            than="feed-forward",
            by="network",
            smallest_difference=HALF_IN_TEN_LAYERS,
            because="it shows: ten steps take away twice as much as ten layers do",
            each=("activation",),
        ),
        feed_forward=Greater(
            "decay",
            of="feed-forward",
            than="constant",
            by="network",
            smallest_difference=HALF_IN_TEN_LAYERS / 2,
            because="gradients are affected that lose half in twenty layers",
            each=("activation",),
        ),
    ),
    smoke={"steps": 8, "activations": ("tanh",)},
    full={"data": "mnist", "steps": 28, "width": 256},
    control={"inputs_at_every_step": False},
)
def recurrent_worse(
    seeds, *, activations=("tanh", "sigmoid"), steps=16, width=64, inputs_at_every_step=True, data="digits"
):
    """Compares how fast gradients fall per step of a recurrent network and per layer of a feed-forward one.

    Equal widths and normal weights of variance 1 / width, as many steps as layers, untrained; the decay is minus the
    least-squares slope of the logarithm of the Euclidean norm of the gradient with respect to the states, or the
    layers' outputs, over 256 training images. The recurrent network reads an image in as many pieces as steps, the
    feed-forward one at once. What makes the difference is that new inputs keep the states where the activation is less
    steep: with the input at the first step alone, the control, there is none. To be affected is asked for half of the
    rate at which gradients count as vanishing, which deep feed-forward networks with tanh do not reach
    (``sigmoid_depth``).
    """
    images = load_data(data).flat()
    pixels = images.x_train.shape[1] - images.x_train.shape[1] % steps
    grids = {"activation": list(activations), "width": width}
    unrolled = _probe(recurrent, data, seeds, steps=steps, pixels=pixels, every_step=inputs_at_every_step, **grids)
    states = unrolled[unrolled["name"].str.startswith("state")]
    states = states.assign(layers_back=steps - states["name"].str.removeprefix("state").astype(int))
    layers = _probe(equal_layers, data, seeds, depth=steps, scale=1.0, **grids)
    rates = [
        growth_rates(table, ["seed", "activation"]).assign(network=network)
        for network, table in (("recurrent", states), ("feed-forward", layers))
    ]
    observations = pd.concat([*rates, rates[0].assign(network="constant", growth=0.0)], ignore_index=True)
    return observations.assign(decay=-observations["growth"])


def recurrent(*, steps, pixels, width, activation, every_step, inputs, outputs):
    """Build a recurrent network, unrolled: the layers of all steps share their weights."""
    images = keras.Input((inputs,))
    pieces = keras.layers.Reshape((steps, pixels // steps))(images[:, :pixels])
    enter = keras.layers.Dense(width, use_bias=False, kernel_initializer=normal_weights(1.0))
    recur = keras.layers.Dense(width, kernel_initializer=normal_weights(1.0))
    state = keras.layers.Activation(activation, name="state1")(enter(pieces[:, 0]))
    for step in range(1, steps):
        driven = recur(state) + enter(pieces[:, step]) if every_step else recur(state)
        state = keras.layers.Activation(activation, name=f"state{step + 1}")(driven)
    return keras.Model(images, keras.layers.Dense(outputs, kernel_initializer=normal_weights(1.0))(state))
