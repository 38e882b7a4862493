"""Rules that draw initial weights from an interval, as a cheat sheet prints them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Correction, Preserved, Ratio, cheatsheet, claim
from repro.claims.initialization._courses import Rule, courses
from repro.claims.initialization._networks import HALF_WIDTHS

with epy.lazy_imports():
    import keras

ROOTS = "over 3 alone", "over 3 and gamma"


@claim(
    r"With $w \sim \mathrm{Uniform}[-a, a]$, $a = 1/\sqrt{n}$ and $b = 0$ the variance is stabilised.",
    source=cheatsheet("1.8.1"),
    kind="formula",
    scope="linear units with n inputs; whether stabilised means from layer to layer or whatever n is, is left open",
    left_open=("meaning",),
    literature=r"Glorot and Bengio 2010, section 4.2.1: this heuristic has $n\,\mathrm{Var}(w) = 1/3$",
    criterion=Preserved("variance", along="place", each=("meaning",)),
    boundary=Boundary(
        "where stabilised means that the variance of a unit does not depend on n",
        holds="meaning == 'whatever n'",
        assumption=r"Glorot and Bengio 2010, section 4.2.1: $n\,\mathrm{Var}(w)$ is the same for every n",
    ),
    smoke={"sizes": (16, 64, 256), "networks": 256},
    full={"width": 256, "networks": 1024},
    correction=Correction(
        r"With $a = \sqrt{3/n}$ the variance is stabilised in both meanings: a uniform weight has the variance "
        r"$a^2/3$, so that $a = 1/\sqrt{n}$ makes every linear layer lose two thirds.",
        half_width="sqrt(3/n)",
    ),
)
def lecun_uniform(
    seed, *, half_width="1/sqrt(n)", sizes=(16, 64, 256, 1024), depth=4, width=64, networks=512, examples=32
):
    r"""Measures the variance of linear units as the number of their inputs grows, and from layer to layer.

    Standard normal inputs, which each seed redraws. Whatever n: mean square of 4096 units with 16 to 1024 inputs, over
    that of the inputs; the change is that from the fewest inputs to the most. From layer to layer: mean square along
    networks of four layers of 64 linear units, from the input on, averaged over networks. The second route is
    $\mathrm{Var}(w) = \int_{-a}^{a} w^2 dw / 2a = a^2/3$: after four layers $3^{-4}$ is left.
    """
    rules = {"printed": Rule("linear", "uniform", HALF_WIDTHS[half_width])}
    rows = []
    for n in sizes:
        single = courses(seed, rules, sizes=(n, 4096), networks=1, examples=examples).query("measured == 'signal'")
        before, after = single.sort_values("layer")["value"]
        rows.append({"meaning": "whatever n", "place": n, "variance": after / before})
    layers = courses(seed, rules, sizes=(width,) * (depth + 1), networks=networks, examples=examples)
    layers = layers[layers["measured"] == "signal"].rename(columns={"layer": "place", "value": "variance"})
    return pd.concat([pd.DataFrame(rows), layers.assign(meaning="from layer to layer")], ignore_index=True)


@claim(
    r"Glorot initialisation, $w \sim \mathrm{Uniform}[-\sqrt{3}\gamma, \sqrt{3}\gamma]$ with $\gamma = "
    r"\frac{2}{n + m}$ (the root over the 3 alone), stabilises the variance of gradients in backpropagation.",
    source=cheatsheet("1.8.1"),
    kind="formula",
    scope="linear layers of n inputs and m outputs; whether the root covers gamma is left open",
    left_open=("root",),
    root="root_over_gamma",
    transcription=True,
    literature=r"Glorot and Bengio 2010, equation 16: half of the interval is $\sqrt{6}/\sqrt{n + m}$",
    criterion=Preserved("value", along="layer", each=("root",), where={"measured": "gradient"}),
    boundary=Boundary(
        "where the root covers gamma, too",
        holds="root == 'over 3 and gamma'",
        assumption="Glorot and Bengio 2010, equation 16, where gamma is the variance of a weight",
    ),
    smoke={"networks": 256},
    full={"width": 256, "networks": 2048},
    correction=Correction(
        r"With the root over $\gamma$, too, a weight has the variance $\gamma = 2/(n + m)$, that of Keras' "
        "GlorotUniform, in layers of unequal sizes as well.",
        criterion=Ratio(
            "variance",
            of=ROOTS[1],
            than="Keras",
            by="root",
            expected=1.0,
            within=1.05,
            where={"measured": "beside Keras"},
        ),
    ),
)
def glorot_uniform(seed, *, width=64, layers=6, networks=512, examples=16):
    r"""Follows the gradient back through linear layers, with the root over the 3 alone and over gamma as well.

    Mean square of the gradient with respect to what enters a layer, from the last layer back to the first of six, in
    layers of 64 inputs and 64 outputs, averaged over networks; standard normal inputs and direction of the loss. With
    equal sizes the rule keeps it exactly, with others it is a compromise (``glorot_compromise``). A uniform weight of
    half width a has the variance $a^2/3$: $\gamma$ with the root over it, as the cheat sheet's next line uses the
    letter, and $\gamma^2$ without, which divides the gradient's mean square by the width in every layer. The weights'
    variance is that of a kernel of 300 x 200, in units of $\gamma$, beside Keras' initialiser.
    """
    rules = _readings("sqrt(3) 2/(n+m)", "sqrt(6/(n+m))", "linear")
    sizes = (width,) * (layers + 1)
    course = courses(seed, rules, sizes=sizes, networks=networks, examples=examples, backward=True)
    weights = _kernels(seed, rules, keras.initializers.GlorotUniform, lambda n, m: 2 / (n + m))
    return pd.concat([course.rename(columns={"rule": "root"}), weights], ignore_index=True)


@claim(
    r"He initialisation, for ReLU networks, draws $w \sim \mathcal{N}(0, \gamma)$ or $w \sim "
    r"\mathrm{Uniform}[-\sqrt{3}\gamma, \sqrt{3}\gamma]$ with $\gamma = \frac{2}{n}$ (the root over the 3 alone).",
    source=cheatsheet("1.8.1"),
    kind="formula",
    scope="ReLU networks; whether the root covers gamma is left open",
    left_open=("root",),
    root="root_over_gamma",
    transcription=True,
    literature="He et al. 2015, section 2.2",
    criterion=AllOf(
        alike=Ratio(
            "variance",
            of="uniform",
            than="normal",
            by="distribution",
            expected=1.0,
            within=1.05,
            each=("root",),
            where={"measured": "weights"},
        ),
        signal=Preserved("value", along="layer", each=("root",), where={"measured": "signal"}),
    ),
    boundary=Boundary(
        "where the root covers gamma, too",
        holds="root == 'over 3 and gamma'",
        assumption="He et al. 2015, section 2.2, where the variance of a weight is 2/n",
    ),
    full={"width": 256, "networks": 4096},
    correction=Correction(
        r"With the root over $\gamma$, too, a uniform weight has the variance $\gamma = 2/n$, that of Keras' "
        "HeUniform.",
        criterion=Ratio(
            "variance",
            of=ROOTS[1],
            than="Keras",
            by="root",
            expected=1.0,
            within=1.05,
            where={"measured": "beside Keras"},
        ),
    ),
)
def he_uniform(seed, *, width=64, layers=4, networks=768, examples=16):
    r"""Compares the variance of both draws, and follows the signal of ReLU networks with uniform weights.

    Variance of a kernel of 300 x 200 weights, in units of 2/n, of normal weights, of uniform ones with the root over
    the 3 alone and over gamma as well, and of Keras' initialiser. Signal: mean square of what enters the activations,
    from the first layer to the fourth, in layers of 64 units, averaged over networks; standard normal inputs. A uniform
    weight of half width a has the variance $a^2/3$, so that without the root over gamma its variance is
    $\gamma^2 = 4/n^2$, and each layer keeps $2/n$ of the signal.
    """
    rules = _readings("sqrt(3) 2/n", "sqrt(6/n)", "relu")
    course = courses(seed, rules, sizes=(width,) * (layers + 1), networks=networks, examples=examples)
    signal = course[(course["measured"] == "signal") & (course["layer"] > 0)].rename(columns={"rule": "root"})
    beside_keras = _kernels(seed, rules, keras.initializers.HeUniform, lambda n, _: 2 / n)
    uniform = beside_keras[beside_keras["root"] != "Keras"].assign(measured="weights", distribution="uniform")
    normal = keras.initializers.RandomNormal(stddev=(2 / 300) ** 0.5, seed=seed)((300, 200))
    alike = uniform.assign(distribution="normal", variance=_variance(normal) * 300 / 2)
    return pd.concat([signal, beside_keras, uniform, alike], ignore_index=True)


def _readings(printed, covered, activation):
    """Make the rules of both readings, by what the root covers."""
    widths = dict(zip(ROOTS, (printed, covered), strict=True))
    return {root: Rule(activation, "uniform", HALF_WIDTHS[name]) for root, name in widths.items()}


def _kernels(seed, rules, initializer, gamma, shape=(300, 200)):
    """Variance of a kernel, in units of gamma, for both readings and for an initialiser of Keras."""
    drawing = {
        root: keras.initializers.RandomUniform(-rule.spread(*shape), rule.spread(*shape), seed=seed)
        for root, rule in rules.items()
    }
    # Draws of its own: with the seed of the others its values would be theirs.
    drawing["Keras"] = initializer(seed=seed + 1_000_000)
    rows = [{"root": root, "variance": _variance(draw(shape)) / gamma(*shape)} for root, draw in drawing.items()]
    return pd.DataFrame(rows).assign(measured="beside Keras")


def _variance(kernel):
    return float(np.var(keras.ops.convert_to_numpy(kernel), dtype=np.float64))
