"""LeNet, AlexNet and VGG: their shapes, their parameters, and what small filters save."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, AtMost, Boundary, Identity, Reported, Rival, claim, lectures, notes
from repro.claims.architectures._counts import layers_of
from repro.engine import backend, undrawn

with epy.lazy_imports():
    import keras

VGG_16 = ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512))
VGG_11 = ((1, 64), (1, 128), (2, 256), (2, 512), (2, 512))


@claim(
    r"LeNet has two sigmoid convolutions, each followed by average pooling, and three dense layers, the first of which "
    r"takes $16 \cdot 5 \cdot 5$ features of a $28 \times 28$ image.",
    source=notes("3.5.2"),
    kind="formula",
    literature="LeCun et al. 1998; Zhang et al. 2021, section 6.6",
    criterion=Identity("counted", "stated", digits=0),
    control={"padding": "valid"},
)
def lenet_shapes(*, padding="same"):
    """Builds the documented layers in Keras and reads off what it infers.

    The number of parameters is compared with 6(25+1) + 16(6*25+1) + 120(400+1) + 84(120+1) + 10(84+1). The control
    leaves out the padding of the first convolution, on which the 5 x 5 maps depend.
    """
    model = lenet(size=28, padding=padding)
    stated = {"convolutions": 2, "dense layers": 3, "features": 16 * 5 * 5, "parameters": 61_706}
    return comparison(counts(model), stated)


@claim(
    "The documented AlexNet recipe hands 6400 features to its first dense layer.",
    source=notes("3.5.3 snippet"),
    kind="formula",
    literature="Krizhevsky et al. 2012; Zhang et al. 2021, section 7.1",
    criterion=Identity("counted", "stated", digits=0),
    control={"padding": 2},
)
def alexnet_shapes(*, size=224, padding=1):
    """Builds the documented layers in Keras for grey images of 224 x 224 pixels and reads off what it infers.

    The side of the maps goes 224, 54, 26, 12, 5. The control pads the images by two pixels, as later implementations
    do, which leaves 6 x 6 maps.
    """
    model = alexnet(size=size, channels=1, classes=10, padding=padding)
    return comparison(counts(model), {"convolutions": 5, "dense layers": 3, "features": 6400})


@claim(
    r"The documented VGG recipe, blocks of $(1, 64), (1, 128), (2, 256), (2, 512), (2, 512)$ convolutions and filters, "
    r"ends in $512 \cdot 7 \cdot 7$ features.",
    source=notes("3.5.4 snippet"),
    kind="formula",
    literature="Simonyan and Zisserman 2014, configuration A; Zhang et al. 2021, section 7.2",
    criterion=Identity("counted", "stated", digits=0),
    control={"padding": "valid"},
)
def vgg_snippet_shapes(*, size=224, padding="same"):
    """Builds the documented layers in Keras for grey images of 224 x 224 pixels and reads off what it infers.

    Padded 3x3 convolutions keep the side, and five poolings halve it: 224 / 32 = 7. The control does not pad.
    """
    model = vgg(VGG_11, size=size, channels=1, classes=10, padding=padding)
    return comparison(counts(model), {"convolutions": 8, "dense layers": 3, "features": 512 * 7 * 7})


@claim(
    r"VGG16 takes images of $224 \times 224 \times 3$ and has 138 million parameters.",
    source=lectures("3.5.2"),
    kind="formula",
    literature="Simonyan and Zisserman 2014, table 2",
    criterion=Identity("counted", "stated", digits=0),
    control={"dense": False},
    reported=(
        Reported("138", measure="parameters, millions", setting="VGG16", place="Simonyan and Zisserman 2014, table 2"),
    ),
)
def vgg16_parameters(*, dense=True):
    """Counts the parameters of Keras' own VGG16 and of the block recipe, in millions.

    The control leaves out the three dense layers, which hold nine tenths of the parameters.
    """
    with undrawn():
        models = {
            "keras.applications": keras.applications.VGG16(
                weights=None, include_top=dense, input_shape=None if dense else (224, 224, 3)
            ),
            "recipe": vgg(VGG_16, size=224, channels=3, classes=1000 if dense else None),
        }
    stated = {"height": 224, "width": 224, "channels": 3, "parameters, million": 138}
    rows = [
        comparison(
            dict(zip(("height", "width", "channels"), model.inputs[0].shape[1:], strict=True))
            | {"parameters, million": model.count_params() / 1e6},
            stated,
        ).assign(model=name)
        for name, model in models.items()
    ]
    return pd.concat(rows, ignore_index=True)


@claim(
    r"AlexNet has five convolutional and three dense layers, takes images of $224 \times 224 \times 3$, and has 60 "
    "million parameters.",
    source=lectures("3.5.1"),
    kind="formula",
    scope="the net of Krizhevsky et al. 2012 for 1000 classes, to the digits printed; two groups of filters, as "
    "trained, or one tower is left open",
    left_open=("groups",),
    literature="Krizhevsky et al. 2012",
    criterion=AllOf(
        layers=Identity("counted", "stated", digits=0, where={"unit": "layers"}, each=("groups",)),
        parameters=Identity("counted", "stated", digits=-1, where={"unit": "million"}, each=("groups",)),
    ),
    control={"hidden": ()},
    reported=(
        Reported("60", measure="parameters, millions", setting="AlexNet", place="Krizhevsky et al. 2012, abstract"),
    ),
)
def alexnet_parameters(*, groups=(1, 2), hidden=(4096, 4096)):
    """Counts layers and parameters of the original net, two towers that exchange maps once, and of a single tower.

    Sixty million has one significant digit: anything from 55 to 65 million agrees (the original has 60,965,224, the
    single tower 62,378,344). The first convolution is padded by two pixels; without, the arithmetic of 224 pixels does
    not come out at the paper's 55 x 55 maps. The control has no hidden dense layers, which hold most parameters.
    """
    tables = []
    for count in groups:
        with undrawn():
            model = alexnet(size=224, channels=3, classes=1000, padding=2, groups=count, hidden=hidden)
        counted = counts(model)
        counted["million"] = counted["parameters"] / 1e6
        table = comparison(counted, {"convolutions": 5, "dense layers": 3, "million": 60})
        tables.append(table.assign(groups=count, unit=["layers", "layers", "million"]))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"A stack of $3 \times 3$ convolutions has the receptive field of one larger filter, with fewer parameters and "
    "more non-linearities.",
    source=lectures("3.5.2"),
    kind="formula",
    scope="stacks without pooling in between, with as many outputs as inputs; layers that widen are left open",
    left_open=("widening",),
    literature="Simonyan and Zisserman 2014, section 2.3",
    criterion=AllOf(
        receptive_field=Identity("stack_side", "filter_side", where={"counted": "stack"}),
        two_layers=AtMost("stack_parameters", "filter_parameters", where={"depth": 2}, each=("widening",)),
        three_layers=AtMost("stack_parameters", "filter_parameters", where={"depth": 3}, each=("widening",)),
        whole_network=AtMost("stack_parameters", "filter_parameters", where={"counted": "VGG16"}),
        activations=AtLeast("stack_activations", "more_than_filter", where={"counted": "stack"}),
    ),
    rival=Rival(
        r"The receptive field of a stack of $3 \times 3$ convolutions grows by a factor of three with every layer, as "
        "that of convolutions whose windows do not overlap.",
        criterion=Identity("nested_side", "stack_side", where={"counted": "stack"}),
    ),
    boundary=Boundary(
        "where a layer has at most 16/9 as many outputs as inputs, of two layers, and 20/9 of three",
        holds="not ((part == 'two_layers' and widening > 16 / 9) or (part == 'three_layers' and widening > 20 / 9))",
        assumption="as many outputs as inputs: Simonyan and Zisserman 2014, section 2.3",
    ),
)
def small_filters(*, depths=(2, 3), channels=((64, 64), (256, 256), (64, 128))):
    """Compares stacks of two and three Keras convolutions with single ones of 5x5 and 7x7, and VGG16 as a whole.

    The receptive field is the side of the square on which the gradient of one output does not vanish, for positive
    weights. A stack has 9(ab + (n-1)b²) weights for a input and b output channels, the single filter (2n+1)² ab: 18/25
    and 27/49 of it for a = b, which is the case of the source. From a stack that widens, by b/a, its own b² takes over:
    the count turns at b/a = ((2n+1)² - 9) / (9(n-1)), that is 16/9 and 20/9 (derived here; the Keras counts are the
    second route). Doubling, as VGG16 does between blocks, lies between the two. Beside single layers of the same
    receptive fields VGG16 as a whole has 14.7 against 21.1 million weights of convolutions.
    """
    rows = []
    for depth in depths:
        side = 2 * depth + 1
        for inputs, outputs in channels:
            stack, single = convolutions(inputs, [(outputs, 3)] * depth), convolutions(inputs, [(outputs, side)])
            weights = {"stack_parameters": stack.count_params(), "filter_parameters": single.count_params()}
            rows.append({"counted": "layers", "depth": depth, "widening": outputs / inputs, **weights})
            activations = [layers_of(model, keras.layers.ReLU) for model in (stack, single)]
            rows.append(
                {
                    "counted": "stack",
                    "stack_side": receptive_side(depth, 3),
                    "filter_side": side,
                    "nested_side": 3**depth,
                    "stack_activations": activations[0],
                    "more_than_filter": activations[1] + 1,
                }
            )
    with undrawn():
        stacks = [(filters, 3) for layers, filters in VGG_16 for _ in range(layers)]
        singles = [(filters, 2 * layers + 1) for layers, filters in VGG_16]
        whole, rival = (convolutions(3, layers).count_params() for layers in (stacks, singles))
    rows.append({"counted": "VGG16", "stack_parameters": whole, "filter_parameters": rival})
    return pd.DataFrame(rows)


def lenet(*, size, padding):
    """Build the LeNet of the notes for grey images."""
    return keras.Sequential(
        [
            keras.Input((size, size, 1)),
            keras.layers.Conv2D(6, 5, padding=padding, activation="sigmoid"),
            keras.layers.AveragePooling2D(2, 2),
            keras.layers.Conv2D(16, 5, activation="sigmoid"),
            keras.layers.AveragePooling2D(2, 2),
            keras.layers.Flatten(),
            keras.layers.Dense(120, activation="sigmoid"),
            keras.layers.Dense(84, activation="sigmoid"),
            keras.layers.Dense(10),
        ]
    )


def alexnet(*, size, channels, classes, padding, groups=1, hidden=(4096, 4096)):
    """Build AlexNet with zero weights, its second, fourth and fifth convolution perhaps in groups; see ``vgg``."""

    def convolution(filters, side, of=1, **options):
        return keras.layers.Conv2D(filters, side, activation="relu", groups=of, kernel_initializer="zeros", **options)

    layers = [
        keras.Input((size, size, channels)),
        keras.layers.ZeroPadding2D(padding),
        convolution(96, 11, strides=4),
        keras.layers.MaxPooling2D(3, 2),
        convolution(256, 5, groups, padding="same"),
        keras.layers.MaxPooling2D(3, 2),
        convolution(384, 3, padding="same"),
        convolution(384, 3, groups, padding="same"),
        convolution(256, 3, groups, padding="same"),
        keras.layers.MaxPooling2D(3, 2),
        keras.layers.Flatten(),
    ]
    for units in hidden:
        layers += [_zero_dense(units, "relu"), keras.layers.Dropout(0.5)]
    return keras.Sequential([*layers, *([] if classes is None else [_zero_dense(classes)])])


def vgg(blocks, *, size, channels, classes, padding="same"):
    """Build VGG with zero weights from blocks of (convolutions, filters); without classes, without dense layers."""
    layers = [keras.Input((size, size, channels))]
    for convolutions_in_block, filters in blocks:
        layers += [
            keras.layers.Conv2D(filters, 3, padding=padding, activation="relu", kernel_initializer="zeros")
            for _ in range(convolutions_in_block)
        ]
        layers.append(keras.layers.MaxPooling2D(2, 2))
    layers.append(keras.layers.Flatten())
    if classes is not None:
        for _ in range(2):
            layers += [_zero_dense(4096, "relu"), keras.layers.Dropout(0.5)]
        layers.append(_zero_dense(classes))
    return keras.Sequential(layers)


def convolutions(channels, layers):
    """Build a stack of (filters, side) convolutions with zero weights, each followed by a ReLU."""
    stack = [keras.Input((None, None, channels))]
    for filters, side in layers:
        stack += [keras.layers.Conv2D(filters, side, kernel_initializer="zeros"), keras.layers.ReLU()]
    return keras.Sequential(stack)


def receptive_side(depth, side, size=15):
    """Side of the square of inputs that the central output of a stack of padded convolutions depends on."""
    stack = [keras.layers.Conv2D(1, side, padding="same", kernel_initializer="ones") for _ in range(depth)]

    def central(values):
        x = values[0]
        for layer in stack:
            x = layer(x)
        return x[0, size // 2, size // 2, 0], ()

    _, _, (gradient,) = backend.value_and_gradient(central, [keras.ops.ones((1, size, size, 1))])
    return math.isqrt(np.count_nonzero(keras.ops.convert_to_numpy(gradient)))


def counts(model):
    """Count convolutions, dense layers, features that the first dense layer takes, and parameters."""
    flattened = next(layer for layer in model.layers if isinstance(layer, keras.layers.Flatten))
    return {
        "convolutions": layers_of(model, keras.layers.Conv2D),
        "dense layers": layers_of(model, keras.layers.Dense),
        "features": flattened.output.shape[1],
        "parameters": model.count_params(),
    }


def comparison(counted, stated):
    """Put what was counted beside what is stated, one row per quantity that is stated."""
    return pd.DataFrame([{"quantity": name, "counted": counted[name], "stated": stated[name]} for name in stated])


def _zero_dense(units, activation=None):
    return keras.layers.Dense(units, activation=activation, kernel_initializer="zeros")
