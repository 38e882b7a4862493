"""Global pooling: what it computes, what it keeps, and what it costs."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Boundary, Greater, Identity, PositiveControl, claim, lectures, notes
from repro.claims.architectures._canvas import placed
from repro.claims.architectures._counts import operations
from repro.claims.architectures.classics import VGG_16, alexnet, vgg
from repro.engine import backend, load_data, undrawn

with epy.lazy_imports():
    import keras
    import scipy.linalg
    import sklearn.linear_model


@claim(
    "Global average pooling is multiplication of the feature maps by a block-diagonal constant matrix that is not "
    "trained.",
    source=lectures("3.5.3"),
    kind="formula",
    literature="Lin, Chen and Yan 2013, section 3.2",
    criterion=AllOf(
        product=Identity("pooled", "product", operations=100, dtype="float32"),
        trained=AtMost("trainable_weights", 0),
    ),
    control={"pooling": "maximum"},
)
def gap_constant_matrix(seeds, *, sides=(1, 3, 7), channels=5, pooling="average"):
    """Compares the Keras layer with a block-diagonal matrix from SciPy, on normal maps flattened one after the other.

    Each of the blocks, one per channel, is a row of side² entries 1 / side². Keras takes means in single precision on
    JAX, whatever their type. The control takes the maximum, which no constant matrix gives.
    """
    layer = _global_pooling(pooling)
    rows = []
    for seed in seeds:
        generator = np.random.default_rng(seed)
        for side in sides:
            maps = generator.normal(size=(4, side, side, channels))
            matrix = scipy.linalg.block_diag(*np.full((channels, 1, side**2), 1 / side**2))
            product = maps.transpose(0, 3, 1, 2).reshape(4, -1) @ matrix.T
            columns = {"pooled": keras.ops.convert_to_numpy(layer(maps)).ravel(), "product": product.ravel()}
            weights = len(layer.trainable_weights)
            rows.append(pd.DataFrame({"seed": seed, "side": side, "trainable_weights": weights, **columns}))
    return pd.concat(rows, ignore_index=True)


@claim(
    "Global average pooling spreads the gradient equally over all positions, global max pooling passes it only to the "
    "maximum.",
    source=notes("Remark 3.23"),
    kind="formula",
    scope="the gradient with respect to the pooled maps",
    criterion=AllOf(
        average=Identity("gradient", "expected", operations=100, dtype="float32", where={"pooling": "average"}),
        maximum=Identity("gradient", "expected", operations=100, dtype="float32", where={"pooling": "maximum"}),
    ),
    control={"exponent": 2},
)
def gap_gradients_dense(seed, *, side=6, channels=5, levels=8, exponent=1):
    """Differentiates a random combination of the pooled maps by every activation, in Keras.

    The average must give weight / side² everywhere. Of the maximum two numbers are compared for each map: the gradient
    at the places of the largest activation, together, with the weight, and the largest elsewhere with zero. Maps take a
    few values between 0 and 1 only, so that several places tie for the maximum in most. Keras takes means in single
    precision on JAX. In the control the average is that of squares (its root), whose gradient follows the activations.
    """
    generator = np.random.default_rng(seed)
    maps = generator.integers(1, levels, size=(1, side, side, channels)) / levels
    weights = generator.normal(size=channels)
    averaged = _gradient("average", maps, weights, exponent)
    shares = np.broadcast_to(weights / side**2, averaged.shape)
    highest = maps == maps.max(axis=(1, 2), keepdims=True)
    passed = _gradient("maximum", maps, weights, 1)
    at_highest = np.where(highest, passed, 0).sum(axis=(0, 1, 2))
    elsewhere = np.abs(np.where(highest, 0, passed)).max(axis=(0, 1, 2))
    columns = {
        "average": {"gradient": averaged.ravel(), "expected": shares.ravel()},
        "maximum": {
            "gradient": np.concatenate([at_highest, elsewhere]),
            "expected": np.concatenate([weights, np.zeros(channels)]),
        },
    }
    return pd.concat([pd.DataFrame(of_one).assign(pooling=pooling) for pooling, of_one in columns.items()])


@claim(
    "Global average pooling preserves more spatial information than global max pooling: its output retains a coarse "
    "understanding of the layout.",
    source=notes("Remark 3.23"),
    kind="tendency",
    scope="the pooled vector of a convolutional network; whether features depend on the position, by zero padding at "
    "the border, and whether the network is trained are left open",
    left_open=("padding",),
    literature="Islam et al. 2021: with zero padding the position is encoded in the channels after global pooling",
    criterion=Greater(
        "position_accuracy",
        of="average",
        than="maximum",
        by="pooling",
        each=("padding",),
    ),
    smoke={"images": 80},
    boundary=Boundary("where zero padding makes features depend on the position", holds="padding == 'zeros'"),
    positive_control=PositiveControl(
        "Averages over the cells of a 2 x 2 grid tell the quadrant better than the global maximum.", cells=2
    ),
)
def gap_keeps_layout(seed, *, cells=1, images=160, filters=16, layers=3, data="digits"):
    """Reads the quadrant in which an image stands off the pooled outputs of random convolutions.

    Every image stands in each of the four corners of a bright canvas, dark on bright. Three layers of random 3x3
    convolutions with ReLU in Keras, new ones for each seed, see it with zero padding, or without, after a bright margin
    was added that is as wide as what they see. A logistic regression learns the quadrant from the pooled outputs of
    half of the images and is tested on the other half; its accuracy is counted from chance (0, a quarter right) to
    always right (1). Without padding the outputs for the four places are equal, for the average and the maximum alike,
    since neither changes when positions are permuted: this cell could not come out otherwise, and the positive control
    shows that the reader would find what there is.
    """
    chosen = load_data(data).subset(images, seed).x_train
    side = chosen.shape[1]
    places = np.tile(np.arange(4), images)
    corners = np.column_stack([places // 2, places % 2]) * side
    canvas = 1 - placed(np.repeat(chosen, 4, axis=0), corners, 2 * side)
    margin = 2 * layers  # what an image has an influence on stays inside
    rows = []
    for padding, x, option in (
        ("none", np.pad(canvas, [(0, 0), (margin, margin), (margin, margin), (0, 0)], constant_values=1), "valid"),
        ("zeros", canvas, "same"),
    ):
        maps = keras.ops.convert_to_tensor(x)
        for layer in range(layers):
            kernel = keras.initializers.HeNormal(seed=1000 * seed + layer)
            options = {"padding": option, "activation": "relu", "kernel_initializer": kernel}
            maps = keras.layers.Conv2D(filters, 3, **options)(maps)
        average = keras.layers.AdaptiveAveragePooling2D(cells)
        for pooling, pool in (("average", average), ("maximum", _global_pooling("maximum"))):
            outputs = keras.ops.convert_to_numpy(pool(maps)).reshape(4 * images, -1)
            right = _held_out_accuracy(outputs, places)
            rows.append({"padding": padding, "pooling": pooling, "position_accuracy": (4 * right - 1) / 3})
    return pd.DataFrame(rows)


@claim(
    "Global average pooling is computationally more efficient than fully connected layers, which speeds up large "
    "networks especially.",
    source=notes("Remark 3.22"),
    kind="tendency",
    scope="heads of large networks, whose hidden dense layers it replaces; the share of the head in the work of the "
    "whole network, and hardware, are left open",
    left_open=("counted",),
    criterion=AtMost("operations", "five_per_cent_less", each=("counted",)),
    boundary=Boundary(
        "where dense layers do more than a twentieth of the work, which in VGG16 they do not",
        holds="counted != 'VGG16 as a whole'",
    ),
    control={"pooled": False},
)
def gap_cheaper(*, classes=1000, pooled=True):
    """Counts multiply-adds and additions in Keras of heads, alone and with the whole network.

    The heads are those of VGG16 and AlexNet, two hidden dense layers of 4096 units and the classifier on flattened
    maps; they are replaced by means of the maps and a classifier. More efficient is by five per cent at least. Dense
    layers take 0.12 of 15.5 thousand million multiply-adds of VGG16 and 0.06 of 0.7 of AlexNet, worked out by hand from
    the published shapes, so that the whole is expected to gain in the latter only. Time follows the operations where
    these are what takes it; it is not measured. Counts alone decide: this is a worked number. The control flattens.
    """
    rows = []
    with undrawn():
        networks = {
            "VGG16": vgg(VGG_16, size=224, channels=3, classes=None),
            "AlexNet": alexnet(size=224, channels=3, classes=None, padding=2, groups=2, hidden=()),
        }
        for name, trunk in networks.items():
            maps = trunk.layers[-2].output.shape[1:]  # before the flattening
            rest = operations(trunk)
            connected = operations(_head(maps, (4096, 4096, classes), keras.layers.Flatten()))
            pooling = keras.layers.GlobalAveragePooling2D() if pooled else keras.layers.Flatten()
            replaced = operations(_head(maps, (classes,) if pooled else (4096, 4096, classes), pooling))
            for counted, work in ((f"head of {name}", 0), (f"{name} as a whole", rest)):
                costs = {"operations": work + replaced, "five_per_cent_less": (work + connected) / 1.05}
                rows.append({"counted": counted, "share_of_head": connected / (work + connected), **costs})
    return pd.DataFrame(rows)


@claim(
    r"Adaptive average pooling gives maps of $(H_{\mathrm{out}}, W_{\mathrm{out}})$ for any input size, as many as it "
    r"gets; $1 \times 1$ is the global average.",
    source=(notes("Function 3.9"), notes("Example 71")),
    kind="formula",
    literature="PyTorch documentation of AdaptiveAvgPool2d",
    criterion=AllOf(
        size=Identity("values", "stated_values"),
        averages=Identity("pooled", "average", operations=100),
    ),
    control={"adaptive": False},
)
def adaptive_average_pool(
    seed, *, inputs=((5, 5), (6, 9), (8, 8), (13, 7), (31, 20)), outputs=((1, 1), (2, 3), (5, 5)), adaptive=True
):
    """Compares the Keras layer with averages in NumPy over the cells from floor(iH/h) to ceil((i+1)H/h).

    Maps are normal, [2, H, W, 3], in double precision, some of them smaller than the output. The control pools by
    windows of a fixed size, those that suit a map of 8 x 8.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for size in inputs:
        maps = generator.normal(size=(2, *size, 3))
        for wanted in outputs:
            window = [-(-8 // side) for side in wanted]
            layer = (
                keras.layers.AdaptiveAveragePooling2D(wanted, dtype="float64")
                if adaptive
                else keras.layers.AveragePooling2D(window, padding="same", dtype="float64")
            )
            pooled = keras.ops.convert_to_numpy(layer(maps)).ravel()
            average = cell_averages(maps, wanted).ravel()
            compared = min(len(pooled), len(average))
            columns = {"pooled": pooled[:compared], "average": average[:compared]}
            table = pd.DataFrame({"input": str(size), "output": str(wanted), **columns})
            tables.append(table.assign(values=len(pooled), stated_values=len(average)))
    return pd.concat(tables, ignore_index=True)


def _global_pooling(kind):
    layers = {"average": keras.layers.GlobalAveragePooling2D, "maximum": keras.layers.GlobalMaxPooling2D}
    return layers[kind](dtype="float64")


def _gradient(pooling, maps, weights, exponent):
    """Gradient of the weighted sum of pooled maps, each the root of the pooled power."""
    layer = _global_pooling(pooling)

    def score(values):
        pooled = layer(values[0] ** exponent) ** (1 / exponent)
        return keras.ops.sum(pooled * weights), ()

    _, _, (gradient,) = backend.value_and_gradient(score, [keras.ops.convert_to_tensor(maps)])
    return keras.ops.convert_to_numpy(gradient)


def _held_out_accuracy(features, labels):
    """Accuracy on the second half of a logistic regression that learned from the first."""
    half = len(labels) // 2
    scale = features[:half].std(axis=0) + np.finfo(np.float32).tiny
    features = (features - features[:half].mean(axis=0)) / scale
    reader = sklearn.linear_model.LogisticRegression(max_iter=1000).fit(features[:half], labels[:half])
    return reader.score(features[half:], labels[half:])


def _head(shape, widths, reduction):
    dense = [keras.layers.Dense(width, kernel_initializer="zeros") for width in widths]
    return keras.Sequential([keras.Input(shape), reduction, *dense])


def cell_averages(maps, wanted):
    """Averages over the cells of a grid, [examples, *wanted, channels]; neighbouring cells may overlap."""
    cells = [
        [slice(index * side // count, math.ceil((index + 1) * side / count)) for index in range(count)]
        for side, count in zip(maps.shape[1:3], wanted, strict=True)
    ]
    rows = [[maps[:, rows, columns].mean(axis=(1, 2)) for columns in cells[1]] for rows in cells[0]]
    return np.moveaxis(np.array(rows), 2, 0)
