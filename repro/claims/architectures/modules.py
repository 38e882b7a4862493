"""Building blocks that mix channels or scales: Network in Network, and Inception with its GoogLeNet."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, AtMost, Correction, Identity, Reported, claim, lectures, notes
from repro.claims.architectures._counts import layers_of, multiplications, weighted_depth
from repro.engine import undrawn

with epy.lazy_imports():
    import keras
    import scipy.special

# Szegedy et al. 2015, table 1: side and channels of the input, then filters of 1x1, before 3x3, 3x3, before 5x5, 5x5
# and after pooling.
INCEPTION_MODULES = {
    "3a": (28, 192, (64, 96, 128, 16, 32, 32)),
    "3b": (28, 256, (128, 128, 192, 32, 96, 64)),
    "4a": (14, 480, (192, 96, 208, 16, 48, 64)),
    "4b": (14, 512, (160, 112, 224, 24, 64, 64)),
    "4c": (14, 512, (128, 128, 256, 24, 64, 64)),
    "4d": (14, 512, (112, 144, 288, 32, 64, 64)),
    "4e": (14, 528, (256, 160, 320, 32, 128, 128)),
    "5a": (7, 832, (256, 160, 320, 32, 128, 128)),
    "5b": (7, 832, (384, 192, 384, 48, 128, 128)),
}
# The same table's last but one column, thousands of weights, from the first convolution to the classifier.
TABULATED_THOUSANDS = (2.7, 112, 159, 380, 364, 437, 463, 580, 840, 1072, 1388, 1000)


@claim(
    r"An mlpconv layer, a stack of $1 \times 1$ convolutions with ReLU, is a multi-layer perceptron over the channels "
    "that slides over the pixels.",
    source=(lectures("3.5.3"), notes("Example 32")),
    kind="formula",
    literature="Lin, Chen and Yan 2013",
    criterion=Identity("convolution", "perceptron", operations=100),
    control={"side": 3},
)
def nin_mlpconv(seeds, *, widths=(12, 8, 5), channels=6, image=7, side=1):
    """Compares Keras convolutions with Keras dense layers of the same weights, which are given every pixel by itself.

    Images are normal, [4, image, image, channels], weights and biases of each seed too, all in double precision. In the
    control the convolutions see 3x3 pixels, the perceptron's weights being those of the central one.
    """
    mlpconv = keras.Sequential(
        [
            keras.Input((image, image, channels), dtype="float64"),
            *(keras.layers.Conv2D(n, side, padding="same", activation="relu", dtype="float64") for n in widths),
        ]
    )
    perceptron = keras.Sequential(
        [
            keras.Input((channels,), dtype="float64"),
            *(keras.layers.Dense(n, activation="relu", dtype="float64") for n in widths),
        ]
    )
    tables = []
    for seed in seeds:
        generator = np.random.default_rng(seed)
        weights = [generator.normal(size=weight.shape) for weight in mlpconv.weights]
        mlpconv.set_weights(weights)
        perceptron.set_weights([w[side // 2, side // 2] if w.ndim == 4 else w for w in weights])
        x = generator.normal(size=(4, image, image, channels))
        left, right = mlpconv(x), perceptron(x.reshape(-1, channels))
        columns = {"convolution": _flat(left), "perceptron": _flat(right)}
        tables.append(pd.DataFrame({"seed": seed, **columns}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"The documented module of $1 \times 1$ convolutions, which applies non-linearity and dropout after layer i while "
    r"$i < n_{\mathrm{layers}}$ (2 by default), is a multi-layer perceptron over each pixel with the given number of "
    "outputs.",
    source=notes("Example 32"),
    kind="formula",
    criterion=AllOf(
        runs=AtLeast("runs", 1, each=("layers", "dropout")),
        outputs=Identity("outputs", "stated_outputs", each=("layers",)),
        values=Identity(
            "value", "perceptron", operations=30, dtype="float32", where={"dropout": 0.0}, each=("layers",)
        ),
    ),
    correction=Correction(
        r"It is one if the last layer always has the given outputs, non-linearity and dropout come only while "
        r"$i < n_{\mathrm{layers}} - 1$, and each layer calls its own dropout layer.",
        corrected=True,
    ),
)
def mlp_snippet(seed, *, layers=(1, 2, 3), dropouts=(0.0, 0.5), inputs=4, hidden=6, outputs=3, corrected=False):
    """Carries out the module's steps with Keras layers and compares them with a perceptron in NumPy, GELU by erf.

    Images are normal, [2, 3, 3, inputs], in double precision; the perceptron has the same weights and a linear
    output. The tolerance is of single precision, in which TensorFlow holds the root of two in its GELU. Three mistakes:
    every i is below the number of layers, so that the outputs are squashed too; a single layer is the first one and
    gets the hidden width; and with dropout a list of layers is called, which raises an error.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for count in layers:
        widths = [hidden] * (count - 1) + [outputs if corrected or count > 1 else hidden]
        kernels = [generator.normal(size=shape) for shape in zip([inputs, *widths[:-1]], widths, strict=True)]
        x = generator.normal(size=(2, 3, 3, inputs))
        perceptron = _perceptron(x, kernels)
        for dropout in dropouts:
            value = _documented_module(x, kernels, dropout, corrected)
            width = widths[-1] if value is None else value.shape[-1]
            value = np.zeros_like(perceptron) if value is None else value
            columns = {"value": value.ravel(), "perceptron": perceptron.ravel()}
            table = pd.DataFrame({"layers": count, "dropout": dropout, **columns})
            tables.append(table.assign(runs=float(value.any()), outputs=width, stated_outputs=outputs))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"Zero padding keeps the sides of an inception module's branches, so that they are joined along the channels, and "
    r"$1 \times 1$ bottlenecks before the $3 \times 3$ and $5 \times 5$ convolutions significantly lower the module's "
    "computation.",
    source=lectures("3.5.4"),
    kind="formula",
    literature="Szegedy et al. 2015, table 1",
    criterion=AllOf(
        multiplications=AtMost("multiplications", "half_without"),
        parameters=AtMost("parameters", "half_parameters_without"),
        side=Identity("side", "input_side"),
        channels=Identity("channels", "sum_of_branches"),
    ),
    control={"bottlenecks": False},
)
def inception_bottleneck(*, bottlenecks=True):
    """Counts multiply-adds and parameters of GoogLeNet's nine modules in Keras, with and without the bottlenecks.

    Significant means at least half, the least that lets a network be twice as deep at the same cost. The branch that
    pools keeps its 1x1 convolution in both. The control puts in bottlenecks that do not reduce: as many outputs as
    inputs.
    """
    rows = []
    for name, (side, channels, filters) in INCEPTION_MODULES.items():
        wide = (filters[0], channels, filters[2], channels, *filters[4:])
        model = _module_model(side, channels, filters if bottlenecks else wide)
        without = _module_model(side, channels, (filters[0], None, filters[2], None, *filters[4:]))
        rows.append(
            {
                "module": name,
                "multiplications": multiplications(model),
                "half_without": multiplications(without) / 2,
                "parameters": model.count_params(),
                "half_parameters_without": without.count_params() / 2,
                "side": model.output.shape[1],
                "input_side": side,
                "channels": model.output.shape[-1],
                "sum_of_branches": filters[0] + filters[2] + filters[4] + filters[5],
            }
        )
    return pd.DataFrame(rows)


@claim(
    "GoogLeNet has 22 layers, pooling layers included, nine inception modules, global average pooling instead of "
    "hidden dense layers, and only 5 million parameters.",
    source=lectures("3.5.4"),
    kind="formula",
    literature="Szegedy et al. 2015, table 1",
    criterion=Identity("counted", "stated", digits=0),
    correction=Correction(
        "GoogLeNet has 22 layers with parameters and 27 with those of pooling, nine inception modules, global average "
        "pooling, and 7 million parameters; 13 million with the auxiliary classifiers of its training.",
        layers=27,
        millions=(round(sum(TABULATED_THOUSANDS) / 1000), 13),
    ),
    reported=(
        Reported(
            "6.8",
            measure="parameters without biases, millions",
            setting="GoogLeNet",
            place="Szegedy et al. 2015, sum of table 1",
        ),
    ),
)
def googlenet_size(*, layers=22, millions=(5,)):
    """Builds GoogLeNet in Keras from the paper's table and counts; parameters in millions.

    Layers are those on the longest path, without auxiliary classifiers. One mistake is that 22 counts layers with
    kernels only: five of pooling come on top (Szegedy et al., section 5). The other is the 5 million: that is the
    paper's "12 times fewer than AlexNet" of the abstract, 60 / 12, but the parameters of its own table add up to 6.8
    million, from which the correction's first number comes. The second is the count of the reference implementation
    (13.4 million).
    """
    with undrawn():
        model = googlenet()
    between_modules = layers_of(model, keras.layers.MaxPooling2D) - layers_of(model, keras.layers.Concatenate)
    rows = {
        "layers with parameters": (weighted_depth(model), 22),
        "layers": (weighted_depth(model) + between_modules + 1, layers),
        "modules": (layers_of(model, keras.layers.Concatenate), 9),
        "global average poolings": (layers_of(model, keras.layers.GlobalAveragePooling2D), 1),
        "hidden dense layers": (layers_of(model, keras.layers.Dense) - 1, 0),
    }
    for name, stated in zip(("parameters", "parameters in training"), millions, strict=False):
        with undrawn():
            network = model if name == "parameters" else googlenet(auxiliary=True)
        rows[name] = (network.count_params() / 1e6, stated)
    return pd.DataFrame(
        [{"quantity": name, "counted": counted, "stated": stated} for name, (counted, stated) in rows.items()]
    )


def googlenet(*, size=224, classes=1000, auxiliary=False):
    """Build GoogLeNet with zero weights, from Szegedy et al. 2015, table 1, without local response normalisation."""
    inputs = keras.Input((size, size, 3))
    x = _convolution(64, 7, strides=2)(inputs)
    x = keras.layers.MaxPooling2D(3, 2, padding="same")(x)
    x = _convolution(192, 3)(_convolution(64, 1)(x))
    x = keras.layers.MaxPooling2D(3, 2, padding="same")(x)
    outputs = []
    for name, (_, _, filters) in INCEPTION_MODULES.items():
        x = _inception(x, filters)
        if name in ("3b", "4e"):
            x = keras.layers.MaxPooling2D(3, 2, padding="same")(x)
        if auxiliary and name in ("4a", "4d"):
            y = keras.layers.Flatten()(_convolution(128, 1)(keras.layers.AveragePooling2D(5, 3)(x)))
            y = keras.layers.Dense(1024, activation="relu", kernel_initializer="zeros")(y)
            outputs.append(keras.layers.Dense(classes, kernel_initializer="zeros")(y))
    x = keras.layers.Dropout(0.4)(keras.layers.GlobalAveragePooling2D()(x))
    return keras.Model(inputs, [*outputs, keras.layers.Dense(classes, kernel_initializer="zeros")(x)])


def _inception(x, filters):
    """Branches of 1x1, 3x3, 5x5 and pooling, joined; a bottleneck of None filters is left out."""
    one, before_three, three, before_five, five, after_pooling = filters
    narrow, narrower = (x if n is None else _convolution(n, 1)(x) for n in (before_three, before_five))
    pooled = keras.layers.MaxPooling2D(3, 1, padding="same")(x)
    branches = [_convolution(one, 1)(x), _convolution(three, 3)(narrow), _convolution(five, 5)(narrower)]
    return keras.layers.Concatenate()([*branches, _convolution(after_pooling, 1)(pooled)])


def _module_model(side, channels, filters):
    inputs = keras.Input((side, side, channels))
    return keras.Model(inputs, _inception(inputs, filters))


def _convolution(filters, side, **options):
    return keras.layers.Conv2D(filters, side, padding="same", activation="relu", kernel_initializer="zeros", **options)


def _documented_module(x, kernels, rate, corrected):
    """Outputs of the module in inference mode; None where it raises an error, as a list of layers does when called."""
    dropouts = [keras.layers.Dropout(rate, dtype="float64") for _ in kernels] if rate else None
    for i, kernel in enumerate(kernels):
        layer = keras.layers.Conv2D(kernel.shape[1], 1, use_bias=False, dtype="float64")
        layer.build(x.shape)
        layer.set_weights([kernel[None, None]])
        x = layer(x)
        if i < len(kernels) - corrected:
            x = keras.ops.gelu(x, approximate=False)
            if dropouts is not None:
                called = dropouts[i] if corrected else dropouts
                if not callable(called):
                    return None
                x = called(x, training=False)
    return keras.ops.convert_to_numpy(x)


def _perceptron(x, kernels):
    for kernel in kernels[:-1]:
        x = x @ kernel
        x = x * (1 + scipy.special.erf(x / np.sqrt(2))) / 2
    return x @ kernels[-1]


def _flat(tensor):
    return keras.ops.convert_to_numpy(tensor).ravel()
