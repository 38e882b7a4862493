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
    r"An mlpconv layer is a small multi-layer perceptron with ReLU that slides over the image: its first layer sees a "
    r"$k \times k$ patch of all channels. A stack of $1 \times 1$ convolutions is one over single pixels.",
    source=(lectures("3.5.3", parts=("patches",)), notes("Example 32", parts=("pixels",))),
    kind="formula",
    scope="weights shared by all positions; patches in the lectures, single pixels in the notes",
    literature="Lin, Chen and Yan 2013, section 3.1",
    criterion=AllOf(
        patches=Identity("convolution", "perceptron", operations=1000, where={"seen": "patches"}),
        pixels=Identity("convolution", "perceptron", operations=100, where={"seen": "pixels"}),
    ),
    control={"later_side": 3},
)
def nin_mlpconv(seeds, *, widths=(12, 8, 5), channels=6, image=7, patch=3, later_side=1):
    """Compares Keras convolutions with Keras dense layers of the same weights, given every patch or pixel by itself.

    Images are normal, [4, image, image, channels], weights and biases of each seed too, all in double precision;
    patches are cut out by NumPy, without padding. In the control the convolutions after the first see 3x3 of their
    inputs, the perceptron's weights being those of the central one.
    """
    tables = []
    for seen, side in (("patches", patch), ("pixels", 1)):
        sides = [side] + [later_side] * (len(widths) - 1)
        layers = [
            keras.layers.Conv2D(
                width, of_layer, padding="same" if place else "valid", activation="relu", dtype="float64"
            )
            for place, (width, of_layer) in enumerate(zip(widths, sides, strict=True))
        ]
        mlpconv = keras.Sequential([keras.Input((image, image, channels), dtype="float64"), *layers])
        dense = [keras.layers.Dense(width, activation="relu", dtype="float64") for width in widths]
        perceptron = keras.Sequential([keras.Input((side * side * channels,), dtype="float64"), *dense])
        for seed in seeds:
            generator = np.random.default_rng(seed)
            weights = [generator.normal(size=weight.shape) for weight in mlpconv.weights]
            mlpconv.set_weights(weights)
            first, *later = weights
            central = [w[later_side // 2, later_side // 2] if w.ndim == 4 else w for w in later]
            perceptron.set_weights([first.reshape(-1, first.shape[-1]), *central])
            x = generator.normal(size=(4, image, image, channels))
            windows = np.lib.stride_tricks.sliding_window_view(x, (side, side), axis=(1, 2))
            patches = np.moveaxis(windows, 3, -1).reshape(-1, side * side * channels)
            columns = {"convolution": _flat(mlpconv(x)), "perceptron": _flat(perceptron(patches))}
            tables.append(pd.DataFrame({"seed": seed, "seen": seen, **columns}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"The documented module of $1 \times 1$ convolutions, which applies non-linearity and dropout after layer i while "
    r"$i < n_{\mathrm{layers}}$ (2 by default), is a multi-layer perceptron over each pixel with the given number of "
    "outputs.",
    source=notes("Example 32"),
    kind="formula",
    scope="the defaults, two layers without dropout, and the other arguments that the signature offers",
    criterion=AllOf(
        defaults=Identity("value", "perceptron", operations=30, dtype="float32", where={"arguments": "defaults"}),
        numbers_of_layers=Identity("outputs", "stated_outputs", where={"arguments": "layers"}),
        dropout=AtLeast("runs", 1, where={"arguments": "dropout"}),
    ),
    correction=Correction(
        r"It is one for every argument if the last layer always has the given outputs, non-linearity and dropout come "
        r"only while $i < n_{\mathrm{layers}} - 1$, and each layer calls its own dropout layer.",
        corrected=True,
    ),
)
def mlp_snippet(seed, *, layers=(1, 3), dropout=0.5, inputs=4, hidden=6, outputs=3, corrected=False):
    """Carries out the module's steps with Keras layers and compares them with a perceptron in NumPy, GELU by erf.

    Images are normal, [2, 3, 3, inputs], in double precision; the perceptron has the same weights. The tolerance is of
    single precision, in which TensorFlow holds the root of two in its GELU. With the defaults it is one, whose outputs
    pass the non-linearity too, since every i is below the number of layers: a remark, and the perceptron has that as
    well. With one layer the first one gets the hidden width; with dropout a list of layers is called, which raises an
    error, as PyTorch documents of its ModuleList. One line of the listing is cut off after ``el``, read as ``else
    None``. The correction's perceptron has linear outputs.
    """
    generator = np.random.default_rng(seed)
    tables = []
    cases = [("defaults", 2, 0.0), *(("layers", count, 0.0) for count in layers), ("dropout", 2, dropout)]
    for arguments, count, rate in cases:
        widths = [hidden] * (count - 1) + [outputs if corrected or count > 1 else hidden]
        kernels = [generator.normal(size=shape) for shape in zip([inputs, *widths[:-1]], widths, strict=True)]
        x = generator.normal(size=(2, 3, 3, inputs))
        perceptron = _perceptron(x, kernels, squashed=not corrected)
        value = _documented_module(x, kernels, rate, corrected)
        runs = value is not None
        columns = {"value": (value if runs else np.zeros_like(perceptron)).ravel(), "perceptron": perceptron.ravel()}
        table = pd.DataFrame({"arguments": arguments, "layers": count, "dropout": rate, **columns})
        tables.append(table.assign(runs=float(runs), outputs=widths[-1], stated_outputs=outputs))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"Zero padding keeps the sides of an inception module's branches, so that they are joined along the channels, and "
    r"$1 \times 1$ bottlenecks before the $3 \times 3$ and $5 \times 5$ convolutions significantly lower the module's "
    "computation.",
    source=lectures("3.5.4"),
    kind="formula",
    literature="Szegedy et al. 2015, table 1",
    criterion=AllOf(
        multiplications=AtMost("multiplications", "five_per_cent_less"),
        parameters=AtMost("parameters", "five_per_cent_fewer"),
        side=Identity("side", "input_side"),
        channels=Identity("channels", "sum_of_branches"),
    ),
    control={"bottlenecks": False},
)
def inception_bottleneck(*, bottlenecks=True):
    """Counts multiply-adds and parameters of GoogLeNet's nine modules in Keras, with and without the bottlenecks.

    Significant means by five per cent at least; the share of that bound which the costliest module reaches stands
    beside the verdict. The branch that pools keeps its 1x1 convolution in both. The control puts in bottlenecks that do
    not reduce: as many outputs as inputs.
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
                "five_per_cent_less": multiplications(without) / 1.05,
                "parameters": model.count_params(),
                "five_per_cent_fewer": without.count_params() / 1.05,
                "side": model.output.shape[1],
                "input_side": side,
                "channels": model.output.shape[-1],
                "sum_of_branches": filters[0] + filters[2] + filters[4] + filters[5],
            }
        )
    return pd.DataFrame(rows)


@claim(
    "GoogLeNet has 22 layers, nine inception modules, global average pooling and a linear classifier instead of fully "
    "connected layers, and only 5 million parameters.",
    source=lectures("3.5.4"),
    kind="formula",
    scope="the net of Szegedy et al. 2015, table 1, for 1000 classes without its auxiliary classifiers; 22 layers as "
    "usually counted, those with parameters",
    literature="Szegedy et al. 2015, table 1; 5 million are also printed by Szegedy et al. 2016, section 1",
    criterion=AllOf(
        layers=Identity("counted", "stated", where={"quantity": "layers with parameters"}),
        modules=Identity("counted", "stated", where={"quantity": "inception modules"}),
        head=Identity("counted", "stated", atol=1e-9, where={"unit": "layers of the head"}),
        parameters=Identity("counted", "stated", digits=0, where={"unit": "million"}),
    ),
    correction=Correction(
        "GoogLeNet has 22 layers with parameters, nine inception modules, global average pooling, and 7 million "
        "parameters; 13 million with the auxiliary classifiers of its training.",
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
def googlenet_size(*, millions=(5,)):
    """Builds GoogLeNet in Keras from the paper's table and counts; parameters in millions, each number by itself.

    Layers are those with kernels on the longest path; with those of pooling there would be 27. The head has one global
    average pooling and no hidden dense layer. That the 5 million are too few has a second route: the parameters of the
    paper's own table add up to 6.8 million, from which the correction's first number comes; 5 million are a twelfth of
    AlexNet's 60 million, as its introduction compares them. The correction's second number is the count of the
    reference implementation (13.4 million).
    """
    with undrawn():
        model = googlenet()
    counts = [
        ("layers with parameters", "layers", weighted_depth(model), 22),
        ("inception modules", "modules", layers_of(model, keras.layers.Concatenate), 9),
        ("global average poolings", "layers of the head", layers_of(model, keras.layers.GlobalAveragePooling2D), 1),
        ("hidden dense layers", "layers of the head", layers_of(model, keras.layers.Dense) - 1, 0),
    ]
    for auxiliary, stated in enumerate(millions):
        with undrawn():
            network = googlenet(auxiliary=True) if auxiliary else model
        counts.append((f"parameters, {auxiliary} times auxiliary", "million", network.count_params() / 1e6, stated))
    return pd.DataFrame(counts, columns=["quantity", "unit", "counted", "stated"])


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


def _perceptron(x, kernels, *, squashed):
    """Outputs of a perceptron with GELU after every layer, the last one included only if it is squashed."""
    for layer, kernel in enumerate(kernels, start=1):
        x = x @ kernel
        if layer < len(kernels) or squashed:
            x = x * (1 + scipy.special.erf(x / np.sqrt(2))) / 2
    return x


def _flat(tensor):
    return keras.ops.convert_to_numpy(tensor).ravel()
