"""What the variance of initial weights does to signals and gradients of untrained networks, from layer to layer."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import (
    AllOf,
    Boundary,
    ChangesAs,
    Correction,
    Greater,
    Preserved,
    Ratio,
    Reported,
    Rival,
    ScalingLaw,
    cheatsheet,
    claim,
    lectures,
)
from repro.claims.initialization._courses import Rule, courses
from repro.claims.initialization._networks import cross_entropy, drawn_images
from repro.engine import Record, load_data, mlp, train

with epy.lazy_imports():
    import keras

# Activations with the variances of the weights, times the number of inputs, at which they are followed.
FOLLOWED = (
    ("linear", 1.0),
    ("linear", 0.5),
    ("tanh", 1.0),
    ("sigmoid", 1.0),
    ("relu", 1.0),
    ("relu", 2.0),
)


def signal_experiment(
    seeds, *, depth=30, width=128, networks=512, examples=8, trained_on=1000, steps=1000, data="digits"
):
    """Follows mean squares of signal and gradient through untrained networks, and counts active units of trained ones.

    Normal weights, layers of equal width, standardised images that each seed redraws. Signal and gradient are those of
    what enters the activations, from the first layer on forward and from the last one on back, averaged over units,
    images and hundreds of networks, because rules of initialisation are about an expectation over weights, which single
    networks scatter around. A random direction stands for the loss. Active is the share of positive outputs of hidden
    ReLU units: after no step the mean over the layers of the same networks at the variance 2/n, after half and all
    steps of training that over three layers of 64 units, from Keras' initialiser of He, by Adam at its usual rate.
    """
    rules = {place: Rule(place[0], "normal", _deviation(place[1])) for place in FOLLOWED}
    tables = []
    for seed in seeds:
        sizes = (load_data(data).x_train[0].size, *[width] * depth)
        course = courses(seed, rules, sizes=sizes, networks=networks, examples=examples, data=data, backward=True)
        course[["activation", "scale"]] = pd.DataFrame(course.pop("rule").tolist(), index=course.index)
        active = course[(course["measured"] == "active") & (course["activation"] == "relu") & (course["scale"] == 2)]
        untrained = {"measured": "units", "steps": 0, "active": active["value"].mean()}
        kept = course[course["measured"].isin(["signal", "gradient"]) & (course["layer"] > 0)]
        tables.append(pd.concat([kept, pd.DataFrame([untrained])]).assign(seed=seed))
    return pd.concat([*tables, _active_units(seeds, data, trained_on, steps)], ignore_index=True)


def _deviation(scale):
    return lambda n, _: (scale / n) ** 0.5


def _active_units(seeds, data, examples, steps):
    """Share of active hidden units after half of the steps and after all, for each seed."""
    images = load_data(data)
    trained = train(
        mlp,
        drawn_images(data, examples),
        loss=cross_entropy(),
        optimizer=keras.optimizers.Adam(0.001),
        steps=steps,
        batch_size=32,
        record=Record(every=steps // 2, probed=256),
        seeds=list(seeds),
        widths=(64,) * 3,
        activation="relu",
        initializer="he_normal",
        inputs=images.x_train[0].size,
        outputs=images.classes,
    )
    hidden = trained.layers[trained.layers["layer"] <= 3]
    active = hidden.groupby(["seed", "step"], as_index=False)["active"].mean()
    return active.rename(columns={"step": "steps"}).assign(measured="units")


SMOKE = {"depth": 8, "width": 64, "networks": 704, "trained_on": 600, "steps": 300}
FULL = {"data": "mnist", "width": 256, "networks": 1024, "steps": 5000}


@claim(
    r"Xavier initialisation aims to maintain the variance of activations across layers: "
    r"$w \sim \mathcal{N}(0, 1/n_{\mathrm{in}})$ keeps the output variance of a linear neuron equal to that of its "
    "input.",
    source=lectures("2.3.5"),
    kind="formula",
    scope="a linear neuron, independent inputs and weights of zero mean; activations across layers are what it aims at",
    left_open=("activation",),
    literature="Glorot and Bengio 2010, section 4.2; LeCun et al. 1998, section 4.6; Poole et al. 2016 for tanh",
    reads=signal_experiment,
    criterion=Preserved("value", along="layer", each=("activation",)),
    boundary=Boundary(
        "where the activation is linear",
        holds="activation == 'linear'",
        assumption="Glorot and Bengio 2010, section 4.2, assume the linear regime of the activation",
    ),
    smoke=SMOKE,
    full=FULL,
    control={"scale": 0.5},
    correction=Correction(
        r"With tanh the variance falls as a power, $1/(2 \cdot \mathrm{depth})$: it shrinks from $q$ to about "
        "$q - 2q^2$ in each layer.",
        criterion=AllOf(
            form=ChangesAs("power", "layer", "value", where={"activation": "tanh"}),
            exponent=ScalingLaw("layer", "value", expected=-1.0, rivals=(-2.0, -0.5), where={"activation": "tanh"}),
        ),
    ),
    tags=("headline",),
    seeds=48,
)
def xavier_forward(observations, *, scale=1.0):
    r"""Compares the mean square of what enters the activations in the last layer with that in the first.

    The change from first to last is judged after 30 layers (at smoke 8), as a factor per layer would tend to one where
    the signal falls as a power. Mean-field theory (Poole et al. 2016), the second route, has the mean square $q$ kept
    by linear layers alone: ReLU halves it; tanh shrinks it to $\mathbb{E}\tanh^2(\sqrt{q} z) \approx q - 2q^2$; of the
    sigmoid, $1/2$ at zero, it goes to the fixed point of $\mathbb{E}\,\mathrm{sigmoid}^2(\sqrt{q} z) = q$, near 0.26.
    The control draws weights of half the variance.
    """
    return observations[(observations["measured"] == "signal") & (observations["scale"] == scale)]


@claim(
    r"For ReLU networks $w \sim \mathcal{N}(0, 2/n_{\mathrm{in}})$: the slightly larger variance is to prevent "
    r"shrinking gradients, as ReLU passes only positive values; typically only $n/2$ units are active.",
    source=(lectures("2.3.5", parts=("signal", "gradient")), cheatsheet("1.8.1", parts=("active",))),
    kind="law",
    scope="ReLU networks at initialisation, symmetric weights, no biases; whether active means after training is open",
    left_open=("steps",),
    literature="He et al. 2015, section 2.2",
    reads=signal_experiment,
    criterion=AllOf(
        signal=Preserved("value", along="layer", where={"measured": "signal"}),
        gradient=Preserved("value", along="layer", where={"measured": "gradient"}),
        active=Ratio(
            "active_units",
            of="counted",
            than="n/2",
            by="number",
            expected=1.0,
            within=1.05,
            each=("steps",),
            where={"measured": "units"},
        ),
    ),
    boundary=Boundary(
        "of signal and gradient everywhere, of the active units before training",
        holds="part != 'active' or steps == 0",
    ),
    smoke=SMOKE,
    full=FULL,
    control={"scale": 1.0},
    tags=("headline",),
    seeds=48,
)
def he_relu(observations, *, scale=2.0):
    """Compares signal and gradient in the last layer with those in the first, and the number of active units with n/2.

    The change from first to last is judged after 30 layers (at smoke 8). He et al. 2015, the second route: a ReLU
    passes half of the mean square of a symmetric signal, and half of that of a gradient, so that twice the variance of
    a linear layer keeps both. Symmetric weights make half of the units active at the start, and nothing keeps it there
    when they are trained. Numbers of active units are in units of n/2. The control draws weights of the variance 1/n.
    """
    courses_of_scale = (observations["activation"] == "relu") & (observations["scale"] == scale)
    units = observations[observations["measured"] == "units"]
    counted = units.assign(number="counted", active_units=units["active"] / 0.5)
    half = units.assign(number="n/2", active_units=1.0)
    return pd.concat([observations[courses_of_scale], counted, half], ignore_index=True)


@claim(
    r"For the gradients the variance of the weights should consider $n_{\mathrm{out}}$, too, which leads to the "
    r"refined $w \sim \mathcal{N}(0, \frac{2}{n_{\mathrm{in}} + n_{\mathrm{out}}})$.",
    source=lectures("2.3.5"),
    kind="formula",
    scope="the linear regime, layers of unequal width",
    literature="Glorot and Bengio 2010, equations 10 to 12",
    criterion=AllOf(
        inputs=Greater("deviation", of="1/n_in", than="2/(n_in+n_out)", by="rule"),
        outputs=Greater("deviation", of="1/n_out", than="2/(n_in+n_out)", by="rule"),
    ),
    smoke={"networks": 48},
    full={"narrowest": 64, "networks": 256},
    rival=Rival(
        r"The refined variance is $\frac{1}{n_{\mathrm{in}} + n_{\mathrm{out}}}$, half as much: it keeps signals and "
        "gradients better than rules for the inputs or the outputs alone.",
        numerator=1.0,
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
)
def glorot_compromise(seed, *, numerator=2.0, narrowest=16, factor=2, layers=4, networks=128, examples=16):
    r"""Measures how far signals and gradients of linear networks deviate, whichever deviates more, for three rules.

    Untrained networks whose layers widen from 16 units to 256, and such that narrow, standard normal inputs. The
    deviation is a factor per layer: the largest, over both shapes, of the change of the mean square of the signal from
    layer to layer forward and of the gradient's backward, up or down. Expected, the second route: the signal changes by
    the variance times $n_{\mathrm{in}}$, the gradient by the variance times $n_{\mathrm{out}}$. A rule for the inputs
    alone keeps the signal and changes gradients twofold, one for the outputs alone the reverse, and the compromise
    changes both by 2/3 or 4/3: by at most 1.5. Half of its variance, the rival, changes them threefold; in layers of
    equal widths the rules are one. There the mean singular value of a normal weight matrix of variance $1/n$ is
    $8/(3\pi) = 0.85$, and 0.49 for variance $1/(3n)$ (Marchenko and Pastur 1967), beside which stand Glorot and
    Bengio's numbers, with tanh's slope in them.
    """
    variances = {
        "1/n_in": lambda n, _: 1 / n,
        "1/n_out": lambda _, m: 1 / m,
        "2/(n_in+n_out)": lambda n, m: numerator / (n + m),
    }
    rules = {
        name: Rule("linear", "normal", lambda n, m, variance=variance: variance(n, m) ** 0.5)
        for name, variance in variances.items()
    }
    widening = [narrowest * factor**layer for layer in range(layers + 1)]
    changes = []
    for sizes in (widening, widening[::-1]):
        course = courses(seed, rules, sizes=sizes, networks=networks, examples=examples, backward=True)
        course = course[course["measured"] != "active"].sort_values("layer")
        by_direction = course.groupby(["rule", "measured"])
        change = np.log(by_direction["value"].last() / by_direction["value"].first())
        changes.append((change / (by_direction["layer"].last() - by_direction["layer"].first())).abs())
    deviation = np.exp(pd.concat(changes).groupby("rule").max())
    return deviation.rename("deviation").rename_axis("rule").reset_index()


@claim(
    "With ReLU activations He initialisation, whose larger variance is to prevent shrinking gradients, helps maintain "
    "better gradient flow than Xavier's, especially in deep networks.",
    source=lectures("2.3.5"),
    kind="tendency",
    scope="deep ReLU networks; the comparison with Xavier's variance 1/n is implied",
    literature="He et al. 2015, figures 2 and 3: 22 layers converge from both, He's sooner; 30 layers from He's alone",
    criterion=AllOf(
        flow=Greater("flow", of="He", than="Xavier", by="weights", where={"depth": "deep"}),
        depth=Greater("advantage", of="deep", than="shallow", by="depth", where={"weights": "He"}),
    ),
    smoke={"networks": 32},
    full={"data": "mnist", "depths": (5, 50), "width": 256},
    control={"activation": "linear"},
)
def he_beats_xavier(seed, *, activation="relu", depths=(3, 20), width=64, networks=64, examples=16, data="digits"):
    """Compares how much of a gradient is left at the first layer of untrained networks, or how much too much.

    Normal weights of variance 2/n (He) and 1/n (Xavier), three and twenty layers, standardised images that each seed
    redraws. The gradient is the root mean square, over units, images and 64 networks, of that with respect to what
    enters the activations; a random direction stands for the loss. Flow is the ratio of the gradient at the first layer
    to that at the last, or the inverse where it grows: one is the best. The advantage is the flow from He's weights
    over that from Xavier's. Expected, the second route: ReLU passes half of a gradient's mean square, so that of two
    layers on Xavier's weights lose half of the gradient and He's lose none. In linear networks, the control, which pass
    all, it is the reverse.
    """
    rules = {name: Rule(activation, "normal", _deviation(scale)) for name, scale in (("Xavier", 1.0), ("He", 2.0))}
    options = {"networks": networks, "examples": examples, "data": data, "backward": True}
    rows = []
    for name, depth in zip(("shallow", "deep"), depths, strict=True):
        course = courses(seed, rules, sizes=(load_data(data).x_train[0].size, *[width] * depth), **options)
        gradients = course[course["measured"] == "gradient"].set_index(["rule", "layer"])["value"] ** 0.5
        left = {weights: gradients[weights, depth] / gradients[weights, 1] for weights in rules}
        flow = {weights: min(share, 1 / share) for weights, share in left.items()}
        rows += [
            {"weights": weights, "depth": name, "flow": flow[weights], "advantage": flow[weights] / flow["Xavier"]}
            for weights in rules
        ]
    return pd.DataFrame(rows)
