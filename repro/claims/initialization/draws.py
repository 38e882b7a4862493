"""How initial weights are drawn: zeros, independent weights, orthogonal matrices."""

from __future__ import annotations

import itertools
from functools import partial, reduce

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Correction, Equivalent, Identity, Ratio, cheatsheet, claim, lectures
from repro.claims.initialization._networks import cross_entropy, variance_over_draws
from repro.engine import load_data
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras


@claim(
    "All-zero weights give zero gradients: no learning happens.",
    source=lectures("2.3.5"),
    kind="theorem",
    root="zero_weights",
    criterion=AllOf(
        gradients=AtMost("gradient", bound=0.0, atol=1e-7, each=("activation", "biases")),
        learning=AtMost("learned", bound=0.0, atol=1e-6, each=("activation", "biases")),
    ),
    full={"data": "mnist", "width": 128},
    correction=Correction(
        "All-zero weights give zero gradients only where there are no biases and the activation is zero at zero, as "
        "tanh and ReLU are. A bias of the output learns how frequent the classes are, and units that put out something "
        "at zero, as sigmoid units do, pass a gradient on to the output weights.",
        activations=("tanh", "relu"),
        biases=(False,),
    ),
)
def zero_init(*, activations=("sigmoid", "tanh", "relu"), biases=(True, False), width=16, steps=20, data="digits"):
    """Measures the gradient of every layer of a Keras network that starts from zero, and how far its loss falls.

    Two hidden layers, cross-entropy over 500 training images (standardised); Euclidean norms of the gradients with
    respect to each layer's weights and biases, and the fall of the loss over full-batch steps of gradient descent at
    rate 1. The output's bias has as its gradient the mean predicted less the actual frequency of the classes.
    """
    images = load_data(data).standardized().flat()
    x, y = images.x_train[:500], images.y_train[:500]
    tables = []
    for activation, biased in itertools.product(activations, biases):
        options = {"activation": activation, "use_bias": biased, "kernel_initializer": "zeros"}
        hidden = [keras.layers.Dense(width, **options) for _ in range(2)]
        output = keras.layers.Dense(images.classes, use_bias=biased, kernel_initializer="zeros")
        model = keras.Sequential([keras.Input((x.shape[1],)), *hidden, output])
        gradients, learned = _descend(model, x, y, steps)
        norms = np.split(np.array([np.linalg.norm(gradient) for gradient in gradients]), 3)
        columns = {"layer": [1, 2, 3], "gradient": [np.linalg.norm(norm) for norm in norms], "learned": learned}
        tables.append(pd.DataFrame({"activation": activation, "biases": biased, **columns}))
    return pd.concat(tables, ignore_index=True)


def _descend(model, x, y, steps):
    """Gradients of all variables at the start, and the fall of the loss over steps of gradient descent."""
    measure, descent, losses, first = cross_entropy(), keras.optimizers.SGD(1.0), [], []

    def loss(values):
        outputs, _ = model.stateless_call(values, [], x)
        return measure(y, outputs), ()

    for _ in range(steps + 1):
        value, _, gradients = value_and_gradient(loss, [variable.value for variable in model.trainable_variables])
        first = first or [keras.ops.convert_to_numpy(gradient) for gradient in gradients]
        losses.append(float(value))
        descent.apply(gradients, model.trainable_variables)
    return first, losses[0] - losses[-1]


@claim(
    r"If $x_i$ and $w_i$ are independent and identically distributed, "
    r"$\mathrm{Var}(w_i x_i) = \mathrm{Var}(w_i)\mathrm{Var}(x_i)$, and a linear neuron with $I$ inputs has "
    r"$\mathrm{Var}(h) = I\,\mathrm{Var}(w)\mathrm{Var}(x)$.",
    source=lectures("2.3.5"),
    kind="formula",
    literature="Goodman 1960 on the variance of products; Glorot and Bengio 2010 assume means of zero",
    criterion=Equivalent(
        "ratio",
        1.0,
        smallest_difference=0.1,
        because="a tenth more variance a layer is a factor of about twenty over thirty layers",
        each=("inputs", "mean_w", "mean_x"),
    ),
    smoke={"inputs": (1, 16)},
    full={"inputs": (1, 4, 64, 1024), "sums": 100_000},
    control={"independent": False, "with_means": True},
    correction=Correction(
        r"$\mathrm{Var}(h) = I\,(\mathrm{Var}(w)\mathrm{Var}(x) + \mathrm{Var}(w)\,\mathbb{E}[x]^2 + "
        r"\mathrm{Var}(x)\,\mathbb{E}[w]^2)$, and likewise for a single term ($I = 1$); the printed form holds where "
        "both means are zero.",
        with_means=True,
    ),
)
def variance_sum(seed, *, inputs=(1, 16, 64), means=(0.0, 1.0), sums=20_000, independent=True, with_means=False):
    """Compares the variance of a sum of products over many draws of weights and inputs with the formula.

    Normal weights of standard deviation 1/2 and inputs of standard deviation 1, each with mean 0 or 1, drawn by Keras;
    the ratio of the sample variance of h to the formula. The formula leaves out the means: the variance of a product
    is E[w²]E[x²] less the square of E[w]E[x], which is Var(w)Var(x) if both means are zero. In the control the weights
    follow their inputs.
    """
    rows = []
    for number, mean_w, mean_x in itertools.product(inputs, means, means):
        generator = keras.random.SeedGenerator(seed)
        x = keras.random.normal((sums, number), mean=mean_x, seed=generator)
        noise = keras.random.normal((sums, number), seed=generator) if independent else x - mean_x
        h = keras.ops.sum((mean_w + noise / 2) * x, axis=-1)
        formula = number * (1 / 4 + (mean_x**2 / 4 + mean_w**2 if with_means else 0))
        ratio = float(keras.ops.var(h)) / formula
        rows.append({"inputs": number, "mean_w": mean_w, "mean_x": mean_x, "ratio": ratio})
    return pd.DataFrame(rows)


@claim(
    r"$\mathcal{N}(0, \sigma^2)$ and $\mathrm{Uniform}(-\sqrt{3}\sigma, \sqrt{3}\sigma)$ have the same variance.",
    source=cheatsheet("1.8.1"),
    kind="formula",
    criterion=AllOf(
        weights=Ratio(
            "variance",
            of="uniform",
            than="normal",
            by="distribution",
            expected=1.0,
            within=1.05,
            because="draws whose variances differ by less than a twentieth are exchangeable as initial weights",
            each=("sigma",),
        ),
        signal=Ratio(
            "output_variance",
            of="uniform",
            than="normal",
            by="distribution",
            expected=1.0,
            within=1.1,
            because="the variance of a layer's outputs varies from draw to draw by more than a tenth",
            each=("sigma",),
        ),
    ),
    full={"width": 2048},
    control={"half_width": 1.0},
)
def uniform_matches_normal(seed, *, half_width=3**0.5, sigmas=(0.01, 1.0), width=256, data="digits"):
    """Draws kernels with each of Keras' initialisers and compares the variance of the weights, and of the outputs.

    The variance of a weight is that from draw to draw. A Dense layer of the given width on 256 training images
    (standardised); the variance of the outputs is over units and images. The control draws from -sigma to sigma, which
    has a third of the variance.
    """
    x = load_data(data).standardized().flat().x_train[:256]
    rows = []
    for sigma in sigmas:
        for distribution, initializer in (
            ("normal", partial(keras.initializers.RandomNormal, stddev=sigma)),
            ("uniform", partial(keras.initializers.RandomUniform, -half_width * sigma, half_width * sigma)),
        ):
            layer = keras.layers.Dense(width, kernel_initializer=initializer(seed=seed))
            outputs = float(keras.ops.var(layer(x)))
            weights = variance_over_draws(initializer, (width, width), seed=seed)
            drawn = {"variance": weights, "output_variance": outputs}
            rows.append({"sigma": sigma, "distribution": distribution, **drawn})
    return pd.DataFrame(rows)


UNIFORM = (
    "draws from all of O(m) alike have this mean (Diaconis and Shahshahani 1994); fixed signs would shift it by more"
)


@claim(
    r"Orthogonal initialisation draws $\frac{1}{\sqrt{m}} W$ uniformly from $O(m)$, so that "
    r"$W^\top W = W W^\top = m I$.",
    source=cheatsheet("1.8.1"),
    kind="formula",
    literature="Saxe et al. 2014; Mezzadri 2007 on drawing from the Haar measure",
    criterion=AllOf(
        orthogonal=Identity("product", "expected", operations=256, dtype="float32", where={"quantity": "products"}),
        trace=Equivalent("trace", 0.0, smallest_difference=0.5, because=UNIFORM, where={"quantity": "draws"}),
        square=Equivalent("squared_trace", 1.0, smallest_difference=0.5, because=UNIFORM, where={"quantity": "draws"}),
        determinant=Equivalent(
            "determinant", 0.0, smallest_difference=0.5, because=UNIFORM, where={"quantity": "draws"}
        ),
        deep=Identity("stretch", "expected", operations=4096, dtype="float32", where={"quantity": "deep"}),
    ),
    smoke={"matrices": 30},
    full={"size": 64, "matrices": 200},
    control={"distribution": "normal"},
)
def orthogonal(seed, *, distribution="orthogonal", size=8, matrices=60, depth=20):
    """Checks matrices W of Keras' orthogonal initialiser with gain √m: the identity, and that all of O(m) is drawn.

    All elements of both products against those of m I. The trace of a uniform orthogonal matrix has mean 0 and mean
    square 1, its determinant is 1 or -1 alike; means over the draws of a seed, at which W / √m is taken. Deep: the
    singular values of a product of many W / √m, which are all one. Normal weights of variance one, the control, have
    m I as the mean of their products alone, and their deep products collapse.
    """
    generator = keras.random.SeedGenerator(seed)
    initializer = (
        keras.initializers.Orthogonal(gain=size**0.5, seed=generator)
        if distribution == "orthogonal"
        else keras.initializers.RandomNormal(stddev=1.0, seed=generator)
    )
    drawn = np.stack([keras.ops.convert_to_numpy(initializer((size, size))) for _ in range(matrices)]).astype(float)
    transposed = drawn.transpose(0, 2, 1)
    products = np.stack([transposed @ drawn, drawn @ transposed])[:, :5]
    identity = np.broadcast_to(size * np.eye(size), products.shape)
    unit = drawn / np.sqrt(size)
    trace = np.trace(unit, axis1=1, axis2=2)
    stretch = np.linalg.svd(reduce(np.matmul, unit[:depth]), compute_uv=False)
    means = {"trace": trace.mean(), "squared_trace": (trace**2).mean(), "determinant": np.linalg.det(unit).mean()}
    tables = [
        pd.DataFrame({"quantity": "products", "product": products.ravel(), "expected": identity.ravel()}),
        pd.DataFrame({"quantity": "draws", **means}, index=[0]),
        pd.DataFrame({"quantity": "deep", "stretch": stretch, "expected": 1.0}),
    ]
    return pd.concat(tables, ignore_index=True)
