"""Convolutional layers as dense ones."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, AtMost, Boundary, Identity, Rival, claim, lectures, notes

with epy.lazy_imports():
    import keras


@claim(
    r"A convolution equals a dense layer $a = Wx + b$ in which most entries of $W$ are zero, weights are shared, and "
    "the structure is circular.",
    source=lectures("3.3.5"),
    kind="formula",
    scope="filters small against the image; padding, on which the meaning of circular depends, is left open",
    left_open=("padding",),
    literature="Gray 2006, Toeplitz and Circulant Matrices: a review; Sedghi, Gupta and Long 2019, for convolutions of "
    "images",
    criterion=AllOf(
        product=Identity("convolution", "product", operations=100, dtype="float32", where={"quantity": "outputs"}),
        zeros=AtLeast("zeros", 0.5, where={"quantity": "outputs"}),
        shared=AtMost("distinct_weights", "filter_weights", where={"quantity": "outputs"}),
        circular=AtMost("displaced_entries", 0, where={"quantity": "structure"}, each=("padding",)),
    ),
    boundary=Boundary(
        "with every padding but for circularity, which zeros around the image break: the matrix is circulant with "
        "periodic padding, its rows are cyclic shifts of one another without padding, and with zeros those at the "
        "borders lack weights that the others have (doubly block Toeplitz)",
        holds="part != 'circular' or padding != 'same'",
        assumption="Sedghi, Gupta and Long 2019 take periodic padding for the matrix to be circulant",
    ),
    control={"window": 6},
)
def sparse_shared_dense(seed, *, paddings=("valid", "same", "periodic"), side=6, channels=2, filters=3, window=3):
    """Writes the matrix of a Keras convolution down, entry by entry, and looks at its rows.

    Images of 6 x 6 positions and two channels, three filters of 3 x 3, normal values. A row belongs to one output. It
    is circular if it is the first row of its filter, shifted cyclically along both axes of the image by the distance of
    the outputs; all entries that are not where they would be then are counted, and the values besides zero that a
    filter's rows have. Most entries are zero if more than half of every row are. The control has filters as large as
    the image, which makes an ordinary dense layer of the convolution.
    """
    tables = []
    for padding in paddings:
        generator = np.random.default_rng(seed)
        x = generator.normal(size=(1, side, side, channels))
        layer = keras.layers.Conv2D(filters, window, padding="same" if padding == "same" else "valid")
        layer.build(x.shape)
        layer.set_weights([generator.normal(size=weights.shape) for weights in layer.weights])
        convolution = layer(_wrapped(x, window) if padding == "periodic" else x)
        kernel, bias = layer.get_weights()
        matrix = _matrix(kernel, side, padding)
        product = matrix.reshape(*matrix.shape[:3], -1) @ x.ravel() + bias
        columns = {
            "convolution": keras.ops.convert_to_numpy(keras.layers.Flatten()(convolution)).ravel(),
            "product": product.ravel(),
            "zeros": (matrix == 0).mean(axis=(3, 4, 5)).ravel(),
            "distinct_weights": np.broadcast_to(_distinct_weights(matrix), product.shape).ravel(),
            "filter_weights": kernel[..., 0].size,
        }
        tables.append(pd.DataFrame({"quantity": "outputs", "padded": padding, **columns}))
        displaced = (matrix != _cyclic(matrix)).sum(axis=(3, 4, 5)).ravel()
        tables.append(pd.DataFrame({"quantity": "structure", "padding": padding, "displaced_entries": displaced}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"A $3 \times 3$ convolution of four channels is a dense layer that gets, at every point, the nine neighbouring "
    "vectors concatenated to one of 36 components.",
    source=(notes("Remark 3.28"), notes("Figure 24")),
    kind="formula",
    scope="images of any shape; the figure leaves the biases out",
    criterion=Identity("convolution", "dense", operations=100, dtype="float32"),
    control={"neighbours": False},
)
def patch_mlp(seed, *, neighbours=True, sizes=((6, 6), (3, 8)), channels=4, filters=5, window=3):
    """Concatenates nine shifted copies of an image and gives each point of them to a Keras dense layer.

    Images of two shapes, normal, in a border of zeros; the dense layer has the weights and biases of the convolution,
    in the order of the copies. The control concatenates nine copies of the point itself.
    """
    generator = np.random.default_rng(seed)
    kernel = generator.normal(size=(window, window, channels, filters))
    bias = keras.initializers.Constant(generator.normal(size=filters))
    weights, weights_of_points = (
        {"kernel_initializer": keras.initializers.Constant(values), "bias_initializer": bias}
        for values in (kernel, kernel.reshape(-1, filters))
    )
    convolution = keras.layers.Conv2D(filters, window, padding="same", **weights)
    dense = keras.layers.Dense(filters, **weights_of_points)
    tables = []
    for height, width in sizes:
        x = generator.normal(size=(2, height, width, channels)).astype(np.float32)
        bordered = np.pad(x, [(0, 0), (1, 1), (1, 1), (0, 0)])
        corners = itertools.product(range(window), repeat=2)
        copies = [bordered[:, i : i + height, j : j + width] if neighbours else x for i, j in corners]
        points = keras.layers.Reshape((height * width, -1))(keras.layers.Concatenate()(copies))
        columns = {"convolution": convolution(x), "dense": dense(points)}
        values = {name: keras.ops.convert_to_numpy(column).ravel() for name, column in columns.items()}
        tables.append(pd.DataFrame({"shape": f"{height} x {width}", **values}))
    return pd.concat(tables, ignore_index=True)


@claim(
    "Without non-linear activation functions a convolutional network is equivalent to a linear classifier.",
    source=lectures("3.3.2"),
    kind="theorem",
    scope="stacks of convolutions and dense layers, linear up to the bias; max pooling comes later in the lectures, "
    "which call it non-linear",
    criterion=Identity("network", "linear", operations=200, dtype="float32"),
    rival=Rival("It is equivalent to a linear classifier with max pooling, too.", subsamplings=("max pooling",)),
    control={"activation": "relu"},
)
def linear_without_activation(
    seed, *, subsamplings=("strides", "average pooling"), activation=None, images=32, side=10, classes=5
):
    """Compares a Keras network with the linear classifier that agrees with it wherever one input is one or none is.

    Two convolutions of 3 x 3 with four filters, a subsampling by two after the first, a dense layer; images of 10 x 10
    and all weights are normal. The classifier is worked out by NumPy from the weights, not from Keras' outputs, and its
    scores are superpositions of those of single pixels. The rival subsamples by maxima, which are no superposition; the
    control has ReLU.
    """
    tables = []
    for subsampling in subsamplings:
        generator = np.random.default_rng(seed)
        network = _network(subsampling, activation, side, classes)
        network.set_weights([generator.normal(size=weights.shape) for weights in network.weights])
        x = generator.normal(size=(images, side, side, 1)).astype(np.float32)
        units = np.eye(side**2).reshape(-1, side, side, 1)
        weights = network.get_weights()
        offset = _forward(np.zeros((1, side, side, 1)), weights, subsampling)
        matrix = _forward(units, weights, subsampling) - offset
        columns = {
            "network": keras.ops.convert_to_numpy(network(x)).ravel(),
            "linear": (x.reshape(images, -1) @ matrix + offset).ravel(),
        }
        tables.append(pd.DataFrame({"subsampling": subsampling, **columns}))
    return pd.concat(tables, ignore_index=True)


def _wrapped(x, window):
    """Continue images periodically, as far as a window centred on a position reaches."""
    before = (window - 1) // 2
    around = (before, window - 1 - before)
    return np.pad(x, [(0, 0), around, around, (0, 0)], mode="wrap")


def _matrix(kernel, side, padding):
    """Matrix of a convolution, [row, column, filter, input row, input column, channel]."""
    window, _, channels, filters = kernel.shape
    outputs, before = (side - window + 1, 0) if padding == "valid" else (side, (window - 1) // 2)
    matrix = np.zeros((outputs, outputs, filters, side, side, channels))
    for row, column in itertools.product(range(outputs), repeat=2):
        for above, left in itertools.product(range(window), repeat=2):
            i, j = row + above - before, column + left - before
            if padding == "periodic":
                i, j = i % side, j % side
            if 0 <= i < side and 0 <= j < side:
                matrix[row, column, :, i, j] = kernel[above, left].T
    return matrix


def _distinct_weights(matrix):
    """Number of values besides zero in the rows of each filter."""
    return np.array([len(np.unique(rows[rows != 0])) for rows in np.moveaxis(matrix, 2, 0)])


def _cyclic(matrix):
    """The first row of every filter, shifted along the image by the place of each output."""
    shifted = np.empty_like(matrix)
    for row, column in np.ndindex(matrix.shape[:2]):
        shifted[row, column] = np.roll(matrix[0, 0], (row, column), axis=(1, 2))
    return shifted


def _network(subsampling, activation, side, classes):
    pooling = {
        "strides": [],
        "average pooling": [keras.layers.AveragePooling2D(2)],
        "max pooling": [keras.layers.MaxPooling2D(2)],
    }
    strides = 2 if subsampling == "strides" else 1
    return keras.Sequential(
        [
            keras.Input((side, side, 1)),
            keras.layers.Conv2D(4, 3, strides=strides, activation=activation),
            *pooling[subsampling],
            keras.layers.Conv2D(4, 3, activation=activation),
            keras.layers.Flatten(),
            keras.layers.Dense(classes),
        ]
    )


def _forward(x, weights, subsampling):
    """Scores of images, [images, classes], by the network without activations."""
    first, first_bias, second, second_bias, last, last_bias = (each.astype(float) for each in weights)
    maps = _convolved(x, first) + first_bias
    if subsampling == "strides":
        maps = maps[:, ::2, ::2]
    else:
        blocks = maps.reshape(len(maps), maps.shape[1] // 2, 2, maps.shape[2] // 2, 2, -1)
        maps = blocks.mean(axis=(2, 4)) if subsampling == "average pooling" else blocks.max(axis=(2, 4))
    maps = _convolved(maps, second) + second_bias
    return maps.reshape(len(maps), -1) @ last + last_bias


def _convolved(x, kernel):
    """What Keras' convolution without padding computes, from windows [image, row, column, channel, above, left]."""
    windows = np.lib.stride_tricks.sliding_window_view(x, kernel.shape[:2], axis=(1, 2))
    return np.einsum("nrcmij,ijmf->nrcf", windows, kernel)
