"""Residual, grouped and dense connections: what they are and what they cost."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Identity, Reported, cheatsheet, claim, lectures
from repro.claims.architectures._counts import multiplications, operations
from repro.engine import undrawn

with epy.lazy_imports():
    import keras


@claim(
    "Identity shortcuts add no parameters and no significant computation.",
    source=lectures("3.5.5"),
    kind="formula",
    scope="the identity between equal shapes, not projections where width or stride changes",
    literature="He et al. 2016, section 3.2",
    criterion=AllOf(
        parameters=AtMost("added_parameters", 0),
        computation=AtMost("operations_with", "five_per_cent_more"),
    ),
    control={"shortcut": "projection"},
)
def identity_shortcut_is_free(*, shortcut="identity", widths=(16, 64, 128, 256, 512), side=8):
    """Counts parameters and operations of blocks of two 3x3 convolutions in Keras, with and without the shortcut.

    Operations are multiply-adds of the weights and additions of the shortcut, C per pixel against 18 C² for C
    channels: a share of 1/(18C), 0.3 % for 16 channels. Significant is five per cent. The control puts a 1x1
    convolution into the shortcut, as He et al. do in their option C, which takes C² more, a share of 1/18.
    """
    rows = []
    for width in widths:
        plain, residual = (_block(width, side, kind) for kind in (None, shortcut))
        rows.append(
            {
                "width": width,
                "added_parameters": residual.count_params() - plain.count_params(),
                "operations_with": operations(residual),
                "five_per_cent_more": 1.05 * operations(plain),
            }
        )
    return pd.DataFrame(rows)


@claim(
    r"With zero weights a residual block is the identity: $F[0, 0] = \mathrm{id}$ for "
    r"$F[W, b](x) = x + (\varphi(Wx + b) - \varphi(0))$, and what a network passes to a convolutional block leaves it "
    "unaltered.",
    source=(cheatsheet("1.2.2", parts=("formula",)), lectures("3.5.5", parts=("block",))),
    kind="formula",
    scope="the sheet: any activation; the lectures: convolutional blocks with identity shortcuts, where a ReLU after "
    "the addition is left open",
    left_open=("after_addition",),
    literature="He et al. 2016; Hardt and Ma 2017",
    criterion=AllOf(
        formula=Identity("output", "input", operations=10, where={"of": "formula"}),
        block=Identity(
            "output", "input", operations=10, dtype="float32", where={"of": "block"}, each=("after_addition",)
        ),
    ),
    control={"subtracted": False},
)
def residual_zero_is_identity(
    seeds, *, activations=("relu", "tanh", "sigmoid", "softplus", "gelu"), width=6, subtracted=True
):
    """Puts normal inputs through the formula in Keras, double precision, and maps through blocks of Keras' ResNets.

    The formula is a dense layer with zero weights and biases, φ(0) being zero for three of the activations and not for
    the sigmoid and the softplus; the control leaves out its subtraction. The blocks are the second of ResNet-50, with a
    ReLU after the addition, and of ResNet-50 V2, without: weights are absolute values of normal numbers, but scale and
    shift of the last normalisation, or kernel and bias of the last convolution, zero; every 32nd channel is compared.
    The inputs of the former are positive, as the ReLU of the block before leaves them; negative ones would not pass its
    own.
    """
    dense = {
        name: keras.layers.Dense(width, activation=name, kernel_initializer="zeros", dtype="float64")
        for name in activations
    }
    with undrawn():
        blocks = {
            "ReLU": _zeroed_block(keras.applications.ResNet50, "conv2_block1_out", "conv2_block2_out", "_3_bn"),
            "nothing": _zeroed_block(keras.applications.ResNet50V2, "conv2_block1_out", "conv2_block2_out", "_3_conv"),
        }
    tables = []
    for seed in seeds:
        generator = np.random.default_rng(seed)
        x = generator.normal(size=(20, width))
        for name, layer in dense.items():
            at_zero = keras.activations.get(name)(keras.ops.zeros((), dtype="float64"))
            output = x + layer(x) - (at_zero if subtracted else 0)
            columns = {"input": x.ravel(), "output": keras.ops.convert_to_numpy(output).ravel()}
            tables.append(pd.DataFrame({"seed": seed, "of": "formula", "activation": name, **columns}))
        for after, block in blocks.items():
            maps = generator.normal(size=(1, *block.input.shape[1:])).astype(np.float32)
            maps = np.maximum(maps, 0) if after == "ReLU" else maps
            block.set_weights(_drawn_but_zeros(block.get_weights(), generator))
            sides = {"input": maps, "output": keras.ops.convert_to_numpy(block(maps))}
            columns = {name: values[..., ::32].ravel() for name, values in sides.items()}
            tables.append(pd.DataFrame({"seed": seed, "of": "block", "after_addition": after, **columns}))
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
    scope="hidden fully connected layers: the classifier, named beside them, is one as well",
    literature="He et al. 2016, table 1",
    criterion=AtMost("hidden_fully_connected", 0),
    smoke={"networks": ("ResNet50",)},
    control={"networks": ("VGG16",)},
)
def resnet_without_dense(*, networks=("ResNet50", "ResNet101", "ResNet152")):
    """Counts the dense layers of networks in keras.applications whose outputs are not those of the network.

    The classifier of 2048 x 1000 weights is left, a fully connected layer with 8 % of the parameters of ResNet-50. The
    control is a network that flattens its maps instead of averaging them.
    """
    rows = []
    for name in networks:
        with undrawn():
            model = getattr(keras.applications, name)(weights=None)
        dense = [layer for layer in model.layers if isinstance(layer, keras.layers.Dense)]
        hidden = [layer for layer in dense if layer.output is not model.output]
        of_all = {
            "share_of_classifier": sum(layer.count_params() for layer in dense if layer not in hidden),
            "share_of_hidden": sum(layer.count_params() for layer in hidden),
        }
        shares = {share: count / model.count_params() for share, count in of_all.items()}
        rows.append({"network": name, "hidden_fully_connected": len(hidden), **shares})
    return pd.DataFrame(rows)


@claim(
    "Every layer of a dense block takes the outputs of all preceding layers as its input.",
    source=lectures("3.5.7"),
    kind="formula",
    scope="one dense block, whose outputs are joined along the channels",
    literature="Huang et al. 2017, section 3",
    criterion=AllOf(
        outputs=Identity("outputs_taken", "outputs_before", atol=1e-9),
        channels=Identity("channels", "linear_growth"),
    ),
    control={"joined_by": "addition"},
)
def densenet_connectivity(*, growth=12, layers=8, joined_by="concatenation"):
    """Follows the input of every layer back through the graphs of a block of our own and of the Keras DenseNet-121.

    Counted are the outputs of earlier layers of the block that concatenations alone bring to a layer: all of them,
    l - 1 for layer l. Its channels then are c + k (l - 1) for a block that begins with c and grows by k. The control
    adds the outputs, as a residual block does, so that no layer has those before it as they were.
    """
    inputs = keras.Input((8, 8, growth))
    x, tables, before = inputs, [], []
    for layer in range(layers):
        tables.append(_taken(x, before) | {"network": "block", "linear_growth": growth * (layer + 1)})
        y = keras.layers.Conv2D(growth, 3, padding="same")(x)
        before.append(y)
        x = keras.layers.Concatenate()([x, y]) if joined_by == "concatenation" else keras.layers.Add()([x, y])
    with undrawn():
        model = keras.applications.DenseNet121(weights=None)
    begins = 64
    for block, length in enumerate((6, 12, 24, 16), start=2):
        names = [f"conv{block}_block{layer + 1}" for layer in range(length)]
        before = [model.get_layer(f"{name}_2_conv").output for name in names]
        for layer, name in enumerate(names):
            taken = _taken(model.get_layer(f"{name}_0_bn").input, before[:layer])
            tables.append(taken | {"network": "DenseNet-121", "linear_growth": begins + 32 * layer})
        begins = (begins + 32 * length) // 2
    return pd.DataFrame(tables)


def _taken(tensor, before):
    """Count how many of some outputs concatenations bring to a tensor, and its channels."""
    joined, waiting = set(), [tensor]
    while waiting:
        part = waiting.pop()
        joined.add(id(part))
        operation = part._keras_history.operation
        if isinstance(operation, keras.layers.Concatenate):
            waiting += operation.input
    taken = sum(id(output) in joined for output in before)
    return {"outputs_taken": taken, "outputs_before": len(before), "channels": tensor.shape[-1]}


def _zeroed_block(application, before, after, last):
    """Cut a block out of a network of keras.applications: kernel and bias, or scale and shift, of a layer are zero."""
    network = application(weights=None, include_top=False, input_shape=(32, 32, 3))
    block = keras.Model(network.get_layer(before).output, network.get_layer(after).output)
    for layer in block.layers:
        zeros = 2 if layer.name.endswith(last) else 0
        layer.set_weights([np.full(weight.shape, place >= zeros) for place, weight in enumerate(layer.weights)])
    return block


def _drawn_but_zeros(weights, generator):
    """Draw positive weights, as variances must be, where there are no zeros."""
    return [np.abs(generator.normal(size=weight.shape)) if weight.any() else weight for weight in weights]


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
