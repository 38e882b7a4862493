"""Residual, grouped and dense connections: what they are and what they cost."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Correction, Identity, Reported, cheatsheet, claim, lectures, notes
from repro.claims.architectures._counts import multiplications, operations
from repro.engine import undrawn

with epy.lazy_imports():
    import keras


@claim(
    "Identity shortcuts add no parameters and no significant computation.",
    source=lectures("3.5.5"),
    kind="formula",
    literature="He et al. 2016, section 3.2",
    criterion=AllOf(
        parameters=AtMost("added_parameters", 0),
        computation=AtMost("operations_with", "one_percent_more"),
    ),
    control={"shortcut": "projection"},
)
def identity_shortcut_is_free(*, shortcut="identity", widths=(16, 64, 128, 256, 512), side=8):
    """Counts parameters and operations of blocks of two 3x3 convolutions in Keras, with and without the shortcut.

    Operations are multiply-adds of the weights and additions of the shortcut, C per pixel against 18 C² for C
    channels. One percent is less than a step's time varies from run to run. The control puts a 1x1 convolution into
    the shortcut, as He et al. do in their option C.
    """
    rows = []
    for width in widths:
        plain, residual = (_block(width, side, kind) for kind in (None, shortcut))
        rows.append(
            {
                "width": width,
                "added_parameters": residual.count_params() - plain.count_params(),
                "operations_with": operations(residual),
                "one_percent_more": 1.01 * operations(plain),
            }
        )
    return pd.DataFrame(rows)


@claim(
    r"With zero weights a residual block is the identity: $F[0, 0] = \mathrm{id}$ for "
    r"$F[W, b](x) = x + (\varphi(Wx + b) - \varphi(0))$.",
    source=(lectures("3.5.5"), cheatsheet("1.2.2")),
    kind="formula",
    literature="He et al. 2016; Hardt and Ma 2017",
    criterion=Identity("output", "input", operations=10, each=("block", "activation")),
    control={"centred": False},
)
def residual_zero_is_identity(
    seeds, *, activations=("relu", "tanh", "sigmoid", "softplus", "gelu"), width=6, centred=True
):
    """Puts normal inputs through Keras layers with zero weights and biases, in double precision.

    The dense block is the formula of the cheat sheet; the convolutional one is that of the lectures, two 3x3
    convolutions with an activation each, minus what it makes of zeros. The control leaves out the subtraction of
    φ(0), which is not zero for the sigmoid and the softplus.
    """
    zero = {"kernel_initializer": "zeros", "dtype": "float64"}
    blocks = {
        (kind, activation): keras.Sequential(
            [keras.layers.Dense(width, activation=activation, **zero)]
            if kind == "dense"
            else [keras.layers.Conv2D(width, 3, padding="same", activation=activation, **zero) for _ in range(2)]
        )
        for kind in ("dense", "convolutional")
        for activation in activations
    }
    tables = []
    for seed in seeds:
        x = np.random.default_rng(seed).normal(size=(2, 5, 5, width))
        for (kind, activation), block in blocks.items():
            at_zero = keras.activations.get(activation)(keras.ops.zeros((), dtype="float64"))
            output = x + block(x) - (at_zero if centred else 0)
            columns = {"input": x.ravel(), "output": keras.ops.convert_to_numpy(output).ravel()}
            tables.append(pd.DataFrame({"seed": seed, "block": kind, "activation": activation, **columns}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"In networks deeper than 50 layers $1 \times 1$ convolutions that reduce the dimension before the larger "
    "convolution cut the cost of a block.",
    source=lectures("3.5.5"),
    kind="formula",
    literature="He et al. 2016, table 1",
    criterion=AllOf(
        multiplications=AtMost("multiplications", "single_multiplications"),
        parameters=AtMost("parameters", "single_parameters"),
    ),
    control={"reduction": 1},
    reported=(
        Reported("3.6", measure="multiply-adds, billions", setting="ResNet-34", place="He et al. 2016, table 1"),
        Reported("3.8", measure="multiply-adds, billions", setting="ResNet-50", place="He et al. 2016, table 1"),
    ),
)
def bottleneck_saves(*, reduction=4, stages=((56, 256), (28, 512), (14, 1024), (7, 2048))):
    """Counts multiply-adds and parameters of bottleneck blocks in Keras, at the sides and widths of ResNet-50.

    A block must cost less than a single 3x3 convolution of its width, half of a basic block: a block of one instead of
    two 3x3 convolutions would save as much without any 1x1 convolution. The control has the 1x1 convolutions, but they
    do not reduce.
    """
    rows = []
    for side, width in stages:
        narrow = width // reduction
        block = _stack(side, width, [(narrow, 1), (narrow, 3), (width, 1)])
        single = _stack(side, width, [(width, 3)])
        rows.append(
            {
                "width": width,
                "multiplications": multiplications(block),
                "single_multiplications": multiplications(single),
                "parameters": block.count_params(),
                "single_parameters": single.count_params(),
            }
        )
    return pd.DataFrame(rows)


@claim(
    "Global average pooling and a softmax classifier at the end of ResNet eliminate the need for fully connected "
    "layers.",
    source=lectures("3.5.5"),
    kind="formula",
    literature="He et al. 2016, table 1",
    criterion=AtMost("fully_connected", 0),
    smoke={"networks": ("ResNet50",)},
    correction=Correction(
        "They eliminate the hidden fully connected layers; the classifier is one itself, with 8 % of the parameters of "
        "ResNet-50.",
        counted="hidden",
    ),
)
def resnet_without_dense(*, networks=("ResNet50", "ResNet101", "ResNet152"), counted="all"):
    """Counts the dense layers of the residual networks in keras.applications.

    The mistake is one of words: the softmax classifier is a fully connected layer of 2048 x 1000 weights, so that one
    is left. The correction counts those whose outputs are not the network's.
    """
    rows = []
    for name in networks:
        with undrawn():
            model = getattr(keras.applications, name)(weights=None)
        dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
        if counted == "hidden":
            dense = [layer for layer in dense if layer.output is not model.output]
        share = sum(layer.count_params() for layer in dense) / model.count_params()
        rows.append({"network": name, "fully_connected": len(dense), "share_of_parameters": share})
    return pd.DataFrame(rows)


@claim(
    "Every layer of a dense block takes the outputs of all preceding layers as its input, so that the channels grow "
    "linearly, by the growth rate.",
    source=(lectures("3.5.7"), notes("Figure 56")),
    kind="formula",
    literature="Huang et al. 2017, section 3",
    criterion=Identity("channels", "linear_growth", each=("network",)),
    control={"joined_by": "addition"},
)
def densenet_connectivity(*, growth=12, layers=8, joined_by="concatenation"):
    """Reads the input channels of every layer off a dense block of our own and off the Keras DenseNet-121.

    Layer l of a block that begins with c channels and grows by k must take c + k (l - 1) channels, the first c and the
    k of each layer before it. The control adds the outputs, as a residual block does.
    """
    inputs = keras.Input((8, 8, growth))
    x, taken = inputs, []
    for _ in range(layers):
        taken.append(x.shape[-1])
        y = keras.layers.Conv2D(growth, 3, padding="same")(x)
        x = keras.layers.Concatenate()([x, y]) if joined_by == "concatenation" else keras.layers.Add()([x, y])
    rows = [
        {"network": "block", "layer": layer, "channels": channels, "linear_growth": growth * (layer + 1)}
        for layer, channels in enumerate(taken)
    ]
    with undrawn():
        model = keras.applications.DenseNet121(weights=None)
    begins = 64
    for block, length in enumerate((6, 12, 24, 16), start=2):
        for layer in range(length):
            first = model.get_layer(f"conv{block}_block{layer + 1}_1_conv")
            expected = begins + 32 * layer
            rows.append(
                {
                    "network": f"DenseNet-121, block {block - 1}",
                    "layer": layer,
                    "channels": first.input.shape[-1],
                    "linear_growth": expected,
                }
            )
        begins = (begins + 32 * length) // 2
    return pd.DataFrame(rows)


def _block(width, side, shortcut):
    """Two 3x3 convolutions with batch normalisation, and a shortcut: identity, projection or none."""
    inputs = keras.Input((side, side, width))
    x = inputs
    for _ in range(2):
        x = keras.layers.Conv2D(width, 3, padding="same", use_bias=False)(x)
        x = keras.layers.BatchNormalization()(x)
    if shortcut:
        projected = keras.layers.Conv2D(width, 1, use_bias=False)(inputs) if shortcut == "projection" else inputs
        x = keras.layers.Add()([x, projected])
    return keras.Model(inputs, keras.layers.ReLU()(x))


def _stack(side, width, layers):
    """A stack of (filters, side) convolutions with zero weights."""
    convolutions = [
        keras.layers.Conv2D(filters, window, padding="same", use_bias=False, kernel_initializer="zeros")
        for filters, window in layers
    ]
    return keras.Sequential([keras.Input((side, side, width)), *convolutions])
