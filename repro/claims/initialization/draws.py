"""How initial weights are drawn: zeros, independent weights, orthogonal matrices."""

from __future__ import annotations

import itertools
from dataclasses import replace

import numpy as np
import pandas as pd
from etils import epy

from repro import (
    AllOf,
    AtMost,
    Boundary,
    Correction,
    Equivalent,
    Identity,
    Ratio,
    Rival,
    cheatsheet,
    claim,
    lectures,
)
from repro.claims.initialization._networks import cross_entropy
from repro.engine import load_data
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras


@claim(
    "Setting all weights to zero is ineffective: it results in zero gradients, so that no learning occurs.",
    source=lectures("2.3.5"),
    kind="theorem",
    scope="networks with hidden layers; what the activation is at zero and whether there are biases is left open",
    left_open=("at_zero", "biases"),
    root="zero_weights",
    literature="Goodfellow, Bengio and Courville 2016, section 8.4",
    criterion=AllOf(
        gradients=AtMost("gradient", bound=0.0, atol=1e-7, each=("at_zero", "biases")),
        learning=AtMost("learned", bound=0.0, atol=1e-5, each=("at_zero", "biases")),
    ),
    boundary=Boundary(
        "where the activation is zero at zero",
        holds="at_zero == 0",
        assumption="Glorot and Bengio 2010, section 4.2.1: symmetric activations of slope one at zero, such as tanh",
    ),
    smoke={"hidden_layers": (1,), "steps": 20},
    full={"data": "mnist", "width": 128},
    correction=Correction(
        "Zero weights and other biases than zero: a gradient reaches the output weights where the hidden biases make "
        "units put out something, and none reaches the weights of the hidden layers.",
        criterion=AllOf(
            output=AtMost("no_gradient", bound=0.0, where={"layer": "output"}),
            hidden=AtMost("gradient", bound=0.0, atol=1e-7, where={"layer": "hidden"}),
        ),
        biases=(True,),
        hidden_bias=0.5,
        steps=1,
    ),
)
def zero_init(
    *,
    activations=("sigmoid", "tanh", "relu"),
    biases=(True, False),
    hidden_layers=(1, 2),
    hidden_bias=0.0,
    width=16,
    steps=100,
    data="digits",
):
    r"""Measures gradients of the weights of networks that start from zero, and how far learning gets.

    One and two hidden layers (at smoke one), full-batch gradient descent at rate 1 with cross-entropy over 500
    standardised training images, nothing random. Gradients: Euclidean norms with respect to the kernels at the start;
    biases are no weights. Learned: how far the loss ever falls below the entropy of the class frequencies, which the
    biases of the outputs learn without looking at an image. The second route is backpropagation by hand: the gradient
    of a kernel is the product of what enters it and of what comes back through the next kernel, which is zero; for the
    outputs alone it is $\phi(0)$ times the mean error. So tanh and ReLU, zero at zero, never move. Sigmoid units put
    out 1/2: the outputs' weights move at once, and with one hidden layer all its units then learn the same feature, as
    one (``symmetry``). The correction starts the hidden biases at 1/2.
    """
    images = load_data(data).standardized().flat()
    x, y = images.x_train[:500], images.y_train[:500]
    frequencies = np.bincount(y) / len(y)
    entropy = -float(np.sum(frequencies * np.log(frequencies, where=frequencies > 0, out=np.zeros_like(frequencies))))
    rows = []
    for activation, biased, depth in itertools.product(activations, biases, hidden_layers):
        options = {"activation": activation, "use_bias": biased, "kernel_initializer": "zeros"}
        start = keras.initializers.Constant(hidden_bias)
        hidden = [keras.layers.Dense(width, bias_initializer=start, **options) for _ in range(depth)]
        output = keras.layers.Dense(images.classes, use_bias=biased, kernel_initializer="zeros")
        model = keras.Sequential([keras.Input((x.shape[1],)), *hidden, output])
        gradients, loss = _descend(model, x, y, steps)
        place = {"activation": activation, "biases": biased, "hidden_layers": depth, "learned": entropy - loss}
        place["at_zero"] = float(keras.ops.max(keras.activations.get(activation)(keras.ops.zeros(1))))
        norms = [np.linalg.norm(gradient) for gradient in gradients if gradient.ndim == 2]
        rows.append({**place, "layer": "hidden", "gradient": max(norms[:-1])})
        rows.append({**place, "layer": "output", "gradient": norms[-1]})
    table = pd.DataFrame(rows)
    return table.assign(no_gradient=(table["gradient"] < 1e-7).astype(float))


def _descend(model, x, y, steps):
    """Gradients of all variables at the start, and the lowest loss in some steps of gradient descent."""
    measure, descent, first, losses = cross_entropy(), keras.optimizers.SGD(1.0), [], []

    def loss(values):
        outputs, _ = model.stateless_call(values, [], x)
        return measure(y, outputs), ()

    for _ in range(steps):
        value, _, gradients = value_and_gradient(loss, [variable.value for variable in model.trainable_variables])
        losses.append(float(value))
        first = first or [keras.ops.convert_to_numpy(gradient) for gradient in gradients]
        descent.apply(gradients, model.trainable_variables)
    return first, min(*losses, float(measure(y, model(x))))


def _of(than, quantity):
    """Ask that the variance of a quantity is that of a formula."""
    where = {"quantity": quantity}
    return Ratio("variance", of="measured", than=than, by="side", expected=1.0, within=1.05, where=where)


@claim(
    r"If $x_i$ and $w_i$ are independent and identically distributed, "
    r"$\mathrm{Var}(w_i x_i) = \mathrm{Var}(w_i)\mathrm{Var}(x_i)$, and a linear neuron with $I$ inputs has "
    r"$\mathrm{Var}(h) = I\,\mathrm{Var}(w_i)\mathrm{Var}(x_i)$.",
    source=lectures("2.3.5"),
    kind="formula",
    scope="a linear neuron, a step in deriving N(0, 1/n_in); the passage prints no means of weights and inputs",
    left_open=("mean_w", "mean_x"),
    literature="Goodman 1960 on the variance of products",
    criterion=AllOf(
        term=replace(_of("printed", "term"), each=("mean_w", "mean_x")),
        sum=replace(_of("printed", "sum"), each=("mean_w", "mean_x")),
    ),
    boundary=Boundary(
        "where weights and inputs both have mean zero",
        holds="mean_w == 0 and mean_x == 0",
        assumption="He et al. 2015, section 2.2: weights have mean zero, and the mean square of an input is its "
        "variance only where its mean is zero",
    ),
    full={"draws": 200_000},
    correction=Correction(
        r"$\mathrm{Var}(h) = I\,(\mathrm{Var}(w)\mathrm{Var}(x) + \mathrm{Var}(w)\,\mathbb{E}[x]^2 + "
        r"\mathrm{Var}(x)\,\mathbb{E}[w]^2)$, whatever the means, and likewise for a single term ($I = 1$).",
        criterion=AllOf(
            term=replace(_of("with means", "term"), each=("mean_w", "mean_x")),
            sum=replace(_of("with means", "sum"), each=("mean_w", "mean_x")),
        ),
    ),
)
def variance_sum(seed, *, inputs=16, means=(0.0, 1.0), draws=40_000):
    r"""Compares the variance of products and of their sums, over draws of weights and inputs, with the formula.

    Normal weights of standard deviation 1/2 and inputs of standard deviation 1, drawn by Keras, each with mean 0 or 1;
    sample variances of one product and of the sum of 16, which is what a linear Dense neuron computes, over 40,000
    draws of all of them, in units of the printed formula. The second route is the algebra of a product of independent
    variables (Goodman 1960): $\mathrm{Var}(wx) = \mathbb{E}[w^2]\mathbb{E}[x^2] - \mathbb{E}[w]^2\mathbb{E}[x]^2$,
    which is $\mathrm{Var}(w)\mathrm{Var}(x)$ where both means are zero, and more elsewhere.
    """
    rows = []
    for mean_w, mean_x in itertools.product(means, means):
        generator = keras.random.SeedGenerator(seed)
        w = keras.random.normal((draws, inputs), mean=mean_w, stddev=0.5, seed=generator)
        x = keras.random.normal((draws, inputs), mean=mean_x, seed=generator)
        products = w * x
        measured = {"term": products[:, 0], "sum": keras.ops.sum(products, axis=-1)}
        for quantity, number in (("term", 1), ("sum", inputs)):
            printed = number / 4
            variances = {
                "measured": float(keras.ops.var(measured[quantity])) / printed,
                "printed": 1.0,
                "with means": number * (1 / 4 + mean_x**2 / 4 + mean_w**2) / printed,
            }
            place = {"quantity": quantity, "mean_w": mean_w, "mean_x": mean_x}
            rows += [{**place, "side": side, "variance": variance} for side, variance in variances.items()]
    return pd.DataFrame(rows)


@claim(
    r"Initial weights are drawn at random from $\mathcal{N}(0, \sigma^2)$ or from $\mathrm{Uniform}(-\sqrt{3}\sigma, "
    r"\sqrt{3}\sigma)$, which have the same variance.",
    source=cheatsheet("1.8.1"),
    kind="formula",
    scope="two alternatives for one deviation; that their variances are equal is implied",
    criterion=AllOf(
        weights=Ratio("variance", of="uniform", than="normal", by="distribution", expected=1.0, within=1.05),
        signal=Ratio("output_variance", of="uniform", than="normal", by="distribution", expected=1.0, within=1.05),
    ),
    smoke={"width": 4096},
    full={"width": 65536},
    rival=Rival(
        r"$\mathrm{Uniform}(-\sqrt{2}\sigma, \sqrt{2}\sigma)$ has the variance of $\mathcal{N}(0, \sigma^2)$.",
        half_width=2**0.5,
    ),
)
def uniform_matches_normal(seed, *, half_width=3**0.5, sigma=0.05, width=16384, data="digits"):
    r"""Draws kernels with both of Keras' initialisers and compares the variance of the weights, and of the outputs.

    One kernel of 64 x 16384 weights of each, in a Dense layer on 256 standardised images, which each seed redraws; the
    variance of the outputs is over units and images. The second route is
    $\int_{-a}^{a} w^2 dw / 2a = a^2/3$.
    """
    x = load_data(data).standardized().flat().subset(256, seed).x_train
    rows = []
    for distribution, initializer in (
        ("normal", keras.initializers.RandomNormal(stddev=sigma, seed=seed)),
        ("uniform", keras.initializers.RandomUniform(-half_width * sigma, half_width * sigma, seed=seed)),
    ):
        layer = keras.layers.Dense(width, kernel_initializer=initializer)
        outputs = float(keras.ops.var(layer(x)))
        weights = float(keras.ops.var(layer.kernel))
        rows.append({"distribution": distribution, "variance": weights, "output_variance": outputs})
    return pd.DataFrame(rows)


MOMENTS = (
    "Diaconis and Shahshahani 1994 for the moments; half of what a QR decomposition without corrected signs shifts the "
    "determinant by, which shifts the others more (Mezzadri 2007)"
)


def _moment(column, value):
    """Ask for a mean over draws that the uniform measure has."""
    return Equivalent(column, value, smallest_difference=0.5, source=MOMENTS, where={"quantity": "draws"})


@claim(
    r"Orthogonal initialisation draws $\frac{1}{\sqrt{m}} W$ uniformly from $O(m)$, so that "
    r"$W^\top W = W W^\top = m I$.",
    source=cheatsheet("1.8.1"),
    kind="formula",
    scope="square W of size m",
    literature="Saxe et al. 2014; Mezzadri 2007 on drawing from the uniform measure",
    criterion=AllOf(
        orthogonal=Identity("product", "expected", operations=256, dtype="float32", where={"quantity": "products"}),
        trace=_moment("trace", 0.0),
        square=_moment("squared_trace", 1.0),
        determinant=_moment("determinant", 0.0),
    ),
    full={"size": 64, "matrices": 200},
    control={"signs_corrected": False},
)
def orthogonal(seed, *, signs_corrected=True, size=8, matrices=60):
    r"""Checks matrices W of Keras' orthogonal initialiser with gain √m: the identity, and moments of the draw.

    All elements of both products of five matrices of 8 x 8 against those of m I. Means over the 60 draws of a seed, at
    which W / √m is taken: the trace of a matrix drawn uniformly from O(m) has mean 0 and mean square 1, its determinant
    is 1 or -1 alike. Moments agree with the uniform measure and do not prove it. The control is NumPy's QR
    decomposition of a normal matrix as it comes, without the signs of R's diagonal: orthogonal, but not uniform.
    """
    if signs_corrected:
        initializer = keras.initializers.Orthogonal(gain=size**0.5, seed=keras.random.SeedGenerator(seed))
        drawn = np.stack([keras.ops.convert_to_numpy(initializer((size, size))) for _ in range(matrices)]).astype(float)
    else:
        normal = np.random.default_rng(seed).standard_normal((matrices, size, size), dtype=np.float32)
        drawn = np.linalg.qr(normal).Q.astype(float) * size**0.5
    transposed = drawn.transpose(0, 2, 1)
    products = np.stack([transposed @ drawn, drawn @ transposed])[:, :5]
    identity = np.broadcast_to(size * np.eye(size), products.shape)
    unit = drawn / np.sqrt(size)
    trace = np.trace(unit, axis1=1, axis2=2)
    means = {"trace": trace.mean(), "squared_trace": (trace**2).mean(), "determinant": np.linalg.det(unit).mean()}
    tables = [
        pd.DataFrame({"quantity": "products", "product": products.ravel(), "expected": identity.ravel()}),
        pd.DataFrame({"quantity": "draws", **means}, index=[0]),
    ]
    return pd.concat(tables, ignore_index=True)
