"""What the scale of initial weights does to signals and gradients of untrained networks, from layer to layer."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Correction, Equivalent, Greater, Preserved, cheatsheet, claim, lectures
from repro.claims.initialization._networks import (
    HALF_WIDTHS,
    normal_network,
    probe_hidden,
    signal_course,
    uniform_network,
    variance_over_draws,
)
from repro.engine import classifier, load_data, mlp

with epy.lazy_imports():
    import keras

PER_LAYER = "5 % a layer multiplies to a factor of four over thirty layers, as much as a change of data would"
WEIGHTS = partial(
    Equivalent,
    "weight_variance",
    1.0,
    smallest_difference=0.05,
    because="a twentieth is what a layer may change the signal by",
)


@claim(
    r"Xavier initialisation aims to maintain the variance of activations across layers: "
    r"$w \sim \mathcal{N}(0, 1/n_{\mathrm{in}})$ keeps the output variance of a linear neuron equal to that of its "
    "input.",
    source=lectures("2.3.5"),
    kind="formula",
    scope="a linear neuron, independent inputs and weights of zero mean; activations across layers are what it aims at",
    left_open=("activation", "layer"),
    literature="Glorot and Bengio 2010, section 4.2; LeCun et al. 1998, section 4.6; Poole et al. 2016 for tanh",
    criterion=Preserved("second_moment", along="layer", at=(2, 10, 20), each=("activation", "scale")),
    boundary=Boundary(
        "in linear layers at the variance 1/n, and in ReLU layers at twice that",
        holds="(activation == 'linear' and scale == 1) or (activation == 'relu' and scale == 2)",
        named=(
            {"activation": "linear", "scale": 1.0, "layer": 20},
            {"activation": "tanh", "scale": 1.0, "layer": 20},
        ),
        assumption="Glorot and Bengio 2010, section 4.2, assume the linear regime of the activation",
    ),
    smoke={"activations": ("linear", "tanh"), "scales": (1.0,), "networks": 64},
    full={"data": "mnist", "width": 256, "networks": 1024},
    control={"scales": (0.5,)},
    tags=("headline",),
    seeds=48,
)
def xavier_forward(
    seed,
    *,
    activations=("linear", "relu", "tanh"),
    scales=(0.5, 1.0, 2.0),
    depth=20,
    width=128,
    networks=256,
    examples=16,
    data="digits",
):
    r"""Follows the mean square of what enters the activations through untrained networks, from the first layer on.

    Averaged over units, standardised images (redrawn by each seed) and networks, because the formula is about an
    expectation over weights, which single networks scatter around. Mean-field theory expects the mean square $q$ to be
    kept in linear layers at the variance $1/n$ and in ReLU layers at $2/n$ alone. Tanh shrinks it from $q$ to
    $\mathbb{E}\tanh^2(\sqrt{q} z) \approx q - 2q^2$ at the variance $1/n$, so that it falls as $1/(2 \cdot
    \mathrm{depth})$: a power, whose factor per layer tends to one while the total goes to zero.
    """
    return signal_course(
        seed,
        activations=activations,
        scales=scales,
        depth=depth,
        width=width,
        networks=networks,
        examples=examples,
        data=data,
    )


@claim(
    r"For ReLU networks $w \sim \mathcal{N}(0, 2/n_{\mathrm{in}})$: the slightly larger variance is to prevent "
    r"shrinking gradients, as ReLU passes only positive values; typically only $n/2$ units are active.",
    source=(
        lectures("2.3.5", parts=("signal", "gradient")),
        cheatsheet("1.8.1", parts=("signal", "gradient", "active")),
    ),
    kind="law",
    scope="ReLU networks at initialisation, symmetric weights, no biases; whether active means after training is open",
    left_open=("layer", "stage"),
    literature="He et al. 2015, section 2.2",
    criterion=AllOf(
        signal=Preserved(
            "second_moment", along="layer", at=(10, 20), each=("activation", "scale"), where={"measured": "signal"}
        ),
        gradient=Preserved(
            "gradient", along="layer", at=(10, 20), each=("activation", "scale"), where={"measured": "gradient"}
        ),
        active=Equivalent("active", 0.5, smallest_difference=0.01, each=("stage",), where={"measured": "units"}),
    ),
    boundary=Boundary(
        "at the variance 2/n with ReLU and 1/n in linear layers; half of the units are active before training alone",
        holds="(activation == 'relu' and scale == 2) or (activation == 'linear' and scale == 1) "
        "or stage == 'untrained'",
        named=(
            {"part": "signal", "activation": "relu", "scale": 2.0},
            {"part": "gradient", "activation": "relu", "scale": 2.0},
            {"part": "active"},
        ),
    ),
    smoke={"activations": ("relu",), "scales": (2.0,), "networks": 64, "steps": 200},
    full={"data": "mnist", "width": 256, "networks": 1024, "steps": 5000},
    control={"activations": ("relu",), "scales": (1.0,)},
    tags=("headline",),
    seeds=48,
)
def he_relu(
    seeds,
    *,
    activations=("linear", "relu"),
    scales=(1.0, 2.0, 4.0),
    depth=20,
    width=128,
    networks=256,
    examples=16,
    steps=1000,
    data="digits",
):
    """Follows the mean squares of signal and gradient through untrained networks, and counts active units.

    Signal and gradient are those of what enters the activations, from the first layer on forward and from the last one
    on back, averaged over units, standardised images (redrawn by each seed) and 256 networks. A random direction stands
    for the loss. The share of active units is the mean over five hidden ReLU layers of 128 units that start from Keras'
    own initialiser of this name, before training and after that of digits by Adam, on test images: symmetric weights
    make it one half at the start, and nothing keeps it there.
    """
    courses = [
        signal_course(
            seed,
            activations=activations,
            scales=scales,
            depth=depth,
            width=width,
            networks=networks,
            examples=examples,
            data=data,
            backward=True,
        ).assign(seed=seed)
        for seed in seeds
    ]
    return pd.concat([*courses, _active_units(seeds, data, steps)], ignore_index=True)


def _active_units(seeds, data, steps):
    """Share of positive outputs of hidden ReLU units on test images, before and after training, for each seed."""
    images = load_data(data).standardized().flat()
    layers = {"widths": (128,) * 5, "activation": "relu", "initializer": "he_normal"}
    optimizer = keras.optimizers.Adam(0.001)
    trained = classifier(mlp, images, steps=steps, optimizer=optimizer, **layers)(seeds=list(seeds))
    rows = []
    for place, seed in enumerate(seeds):
        for stage, model in (("untrained", trained.builders[place]()), ("trained", trained.model(place))):
            shares = [
                float(np.mean(keras.ops.convert_to_numpy(hidden) > 0)) for hidden in _hidden(model, images.x_test)
            ]
            rows.append({"seed": seed, "measured": "units", "stage": stage, "active": np.mean(shares)})
    return pd.DataFrame(rows)


def _hidden(model, signal):
    """Outputs of the hidden layers of a sequential network."""
    for layer in model.layers[:-1]:
        signal = layer(signal)
        yield signal


@claim(
    r"$w \sim \mathrm{Uniform}[-a, a]$ with $a = 1/\sqrt{n}$ and $b = 0$ stabilises the variance.",
    source=cheatsheet("1.8.1"),
    kind="formula",
    literature=r"LeCun et al. 1998, section 4.6: a standard deviation of $1/\sqrt{n}$, which is $a = \sqrt{3/n}$",
    criterion=Preserved("variance", along="layer", smallest_ratio=1.05, because=PER_LAYER, each=("activation",)),
    smoke={"width": 128, "depth": 10},
    full={"data": "mnist", "width": 2048, "depth": 50},
    correction=Correction(
        r"$w \sim \mathrm{Uniform}[-a, a]$ with $a = \sqrt{3/n}$ stabilises the variance in linear layers: a uniform "
        r"weight has the variance $a^2/3$, so that $a = 1/\sqrt{n}$ makes every layer lose two thirds.",
        half_width="sqrt(3/n)",
        activations=("linear",),
    ),
)
def lecun_uniform(seeds, *, half_width="1/sqrt(n)", activations=("linear", "tanh"), depth=20, width=256, data="digits"):
    """Measures the variance of the outputs of every hidden layer of untrained networks.

    Over units and 256 training images (standardised); the effect is the mean ratio of a layer's variance to the one
    before. Keras' layers and uniform initialiser; the mistake is that 1 / n is the variance to be had, not the square
    of the half width. With tanh no scale of this kind keeps it, see ``xavier_forward``.
    """
    grids = {"activation": list(activations), "depth": depth, "width": width, "half_width": half_width}
    return probe_hidden(uniform_network, data, seeds, **grids)


@claim(
    r"$w \sim \mathrm{Uniform}[-\sqrt{3}\gamma, \sqrt{3}\gamma]$ with $\gamma = \frac{2}{n + m}$ stabilises the "
    "variance of the gradients in backpropagation.",
    source=cheatsheet("1.8.1"),
    kind="formula",
    root="root_over_gamma",
    transcription=True,
    literature=r"Glorot and Bengio 2010: $\mathrm{Uniform}[-\sqrt{6}/\sqrt{n + m}, \sqrt{6}/\sqrt{n + m}]$",
    criterion=Preserved(
        "gradient_variance", along="layers_back", smallest_ratio=1.05, because=PER_LAYER, each=("activation", "width")
    ),
    smoke={"widths": (128,)},
    full={"data": "mnist", "widths": (256, 2048)},
    correction=Correction(
        r"$w \sim \mathrm{Uniform}[-\sqrt{3\gamma}, \sqrt{3\gamma}]$ with $\gamma = \frac{2}{n + m}$, the root over "
        r"$\gamma$ too, stabilises the variance of the gradients in linear layers of equal widths: $\gamma$ is the "
        r"variance to be had, not the standard deviation.",
        half_width="sqrt(6/(n+m))",
        activations=("linear",),
    ),
)
def glorot_uniform(
    seeds, *, half_width="sqrt(3) 2/(n+m)", activations=("linear", "tanh"), depth=10, widths=(128, 256), data="digits"
):
    """Measures the mean square of the gradient with respect to the outputs of every hidden layer, untrained.

    Over units and 256 training images (standardised); the effect is the mean ratio of a layer's mean square to that of
    the layer after it. Layers of equal widths n = m, for which the rule is exact. In the document's formula the root
    covers the three alone, which may be a slip of typesetting: its next rule calls the same symbol the variance of a
    normal weight. As printed the variance of a weight is gamma squared, and every layer divides the gradients' by its
    width.
    """
    tables = []
    for width in widths:
        grids = {"activation": list(activations), "depth": depth, "width": width, "half_width": half_width}
        tables.append(probe_hidden(uniform_network, data, seeds, **grids))
    observations = pd.concat(tables, ignore_index=True)
    return observations.assign(gradient_variance=observations["gradient"] ** 2)


@claim(
    r"$w \sim \mathcal{N}(0, \gamma)$ and $w \sim \mathrm{Uniform}[-\sqrt{3}\gamma, \sqrt{3}\gamma]$ with "
    r"$\gamma = \frac{2}{n}$ suit ReLU networks alike.",
    source=cheatsheet("1.8.1"),
    kind="formula",
    root="root_over_gamma",
    transcription=True,
    literature="He et al. 2015",
    criterion=AllOf(
        weights=WEIGHTS(each=("distribution",)),
        signal=Preserved(
            "second_moment", along="layer", smallest_ratio=1.05, because=PER_LAYER, each=("distribution",)
        ),
    ),
    smoke={"depth": 10},
    full={"data": "mnist", "width": 2048, "depth": 12},
    control={"half_width": "sqrt(3/n)", "scale": 1.0},
    correction=Correction(
        r"$w \sim \mathcal{N}(0, \gamma)$ and $w \sim \mathrm{Uniform}[-\sqrt{3\gamma}, \sqrt{3\gamma}]$ with "
        r"$\gamma = \frac{2}{n}$, the root over $\gamma$ too, suit ReLU networks alike: both have the variance "
        r"$\gamma$.",
        half_width="sqrt(6/n)",
    ),
)
def he_uniform(seeds, *, half_width="sqrt(3) 2/n", scale=2.0, depth=14, width=512, data="digits"):
    """Measures the mean square of the outputs of every hidden layer of untrained ReLU networks, for both draws.

    Over units and 64 training images (standardised); the effect on the signal is the mean ratio of a layer's mean
    square to the one before. The variance of the weights is that of one kernel of Keras' initialisers, width x width,
    over 2 / n. As printed, the root over the three alone, a uniform weight has the variance gamma squared and the
    signal dies, after some fifteen layers to less than single precision holds; the control gives both draws half the
    variance, as for linear layers.
    """
    draws = {"distribution": ["normal", "uniform"], "scale": scale, "half_width": half_width}
    observations = probe_hidden(relu_network, data, seeds, examples=64, depth=depth, width=width, **draws)
    limit = HALF_WIDTHS[half_width](width, width)
    rows = []
    for seed in seeds:
        for distribution, initializer in (
            ("normal", partial(keras.initializers.RandomNormal, stddev=np.sqrt(scale / width))),
            ("uniform", partial(keras.initializers.RandomUniform, -limit, limit)),
        ):
            variance = variance_over_draws(initializer, (width, width), seed=seed)
            rows.append({"seed": seed, "distribution": distribution, "weight_variance": variance * width / 2})
    return observations.merge(pd.DataFrame(rows), on=["seed", "distribution"])


def relu_network(*, distribution, scale, half_width, **shape):
    """Build a ReLU network with normal weights of variance scale / inputs, or with uniform ones."""
    if distribution == "normal":
        return normal_network(activation="relu", scale=scale, **shape)
    return uniform_network(activation="relu", half_width=half_width, **shape)


RULES = {
    "1/n_in": {"scale": 1.0, "mode": "fan_in"},
    "1/n_out": {"scale": 1.0, "mode": "fan_out"},
    "2/(n_in+n_out)": {"scale": 1.0, "mode": "fan_avg"},
}
TENTH = "a tenth of the logarithm is a tenth more variance a layer, a factor of about twenty over thirty layers"


@claim(
    r"$w \sim \mathcal{N}(0, \frac{2}{n_{\mathrm{in}} + n_{\mathrm{out}}})$ accounts for the gradients as well as for "
    "the activations.",
    source=lectures("2.3.5"),
    kind="formula",
    literature="Glorot and Bengio 2010, equations 10 to 12",
    criterion=AllOf(
        inputs=Greater(
            "deviation",
            of="1/n_in",
            than="2/(n_in+n_out)",
            by="rule",
            smallest_difference=0.1,
            because=TENTH,
            each=("shape",),
        ),
        outputs=Greater(
            "deviation",
            of="1/n_out",
            than="2/(n_in+n_out)",
            by="rule",
            smallest_difference=0.1,
            because=TENTH,
            each=("shape",),
        ),
        weights=WEIGHTS(),
    ),
    full={"data": "mnist", "narrowest": 128, "layers": 6},
    control={"factor": 1},
)
def glorot_compromise(seeds, *, narrowest=32, factor=2, layers=5, data="digits"):
    """Measures how far signals and gradients of linear networks deviate, whichever deviates more, for three rules.

    Untrained networks whose layers widen, or narrow, by a factor; the deviation is the larger of the absolute mean
    logarithms, per layer, of the ratio of the outputs' mean square to that of the layer before, and of the gradient's
    mean square to that of the layer after. Over 256 training images (standardised). A rule for the inputs alone lets
    gradients grow by n_out / n_in, one for the outputs alone the signals by the inverse. In layers of equal widths the
    rules are one. The variance of the weights is that of Keras' initialiser of this name from draw to draw, over the
    rule's, in the first two layers' shape.
    """
    sizes = {"narrowest": narrowest, "factor": factor, "layers": layers}
    shapes = ["widening", "narrowing"]
    observations = probe_hidden(layers_of, data, seeds, rule=list(RULES), shape=shapes, **sizes)
    units = {(shape, layer): units for shape in shapes for layer, units in enumerate(_widths(shape, **sizes), start=1)}
    width = np.array([units[place] for place in zip(observations["shape"], observations["layer"], strict=True)])
    observations["signal"] = np.log(observations["second_moment"])
    observations["slope"] = np.log(observations["gradient"] ** 2 / width)
    networks = observations.sort_values("layer").groupby(["seed", "shape", "rule"])[["signal", "slope"]]
    change = (networks.last() - networks.first()).abs() / (layers - 1)
    deviations = change.max(axis=1).rename("deviation").reset_index()
    kernel = _widths("widening", **sizes)[:2]
    variances = {
        seed: variance_over_draws(keras.initializers.GlorotNormal, kernel, seed=seed) * sum(kernel) / 2
        for seed in seeds
    }
    return deviations.assign(weight_variance=deviations["seed"].map(variances))


def layers_of(*, shape, narrowest, factor, layers, rule, inputs, outputs):
    """Build a linear network of widening or narrowing layers whose weights have the variance of a rule."""
    initializer = {"class_name": "VarianceScaling", "config": {**RULES[rule], "distribution": "untruncated_normal"}}
    widths = _widths(shape, narrowest, factor, layers)
    return mlp(inputs=inputs, outputs=outputs, widths=widths, activation="linear", initializer=initializer)


def _widths(shape, narrowest, factor, layers):
    widths = tuple(narrowest * factor**layer for layer in range(layers))
    return widths if shape == "widening" else widths[::-1]
