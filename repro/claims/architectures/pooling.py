"""Global pooling: what it computes, what it keeps, and what it costs."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Correction, Greater, Identity, claim, lectures, notes
from repro.claims.architectures._canvas import placed
from repro.claims.architectures._counts import operations
from repro.engine import backend, load_data

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
        product=Identity("pooled", "product", operations=100, dtype="float32", each=("side",)),
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
    criterion=Identity("gradient", "expected", operations=100, dtype="float32", each=("pooling",)),
    control={"exponent": 2},
)
def gap_gradients_dense(seed, *, side=6, channels=5, exponent=1):
    """Differentiates a random combination of the pooled maps by every activation, in Keras.

    The average must give weight / side² everywhere, the maximum the weight at the largest activation of its map and
    zero elsewhere. Maps are uniform on (0, 1), without ties; Keras takes means in single precision on JAX. In the
    control the average is that of squares (its root), whose gradient follows the activations.
    """
    generator = np.random.default_rng(seed)
    maps = generator.uniform(size=(1, side, side, channels))
    weights = generator.normal(size=channels)
    largest = (maps == maps.max(axis=(1, 2), keepdims=True)).astype(float)
    tables = []
    for pooling, share in (("average", np.full_like(maps, 1 / side**2)), ("maximum", largest)):
        gradient = _gradient(pooling, maps, weights, exponent if pooling == "average" else 1)
        columns = {"gradient": gradient.ravel(), "expected": (weights * share).ravel()}
        tables.append(pd.DataFrame({"pooling": pooling, **columns}))
    return pd.concat(tables, ignore_index=True)


@claim(
    "Global average pooling preserves more spatial information than global max pooling: its output retains a coarse "
    "understanding of the layout.",
    source=notes("Remark 3.23"),
    kind="tendency",
    criterion=Greater(
        "position_accuracy",
        of="average",
        than="maximum",
        by="pooling",
        smallest_difference=0.1,
        because="with four positions chance is right in a quarter of the cases; a tenth more is the least that could "
        "be called a coarse understanding",
    ),
    correction=Correction(
        "Both give the same output wherever an object is, so neither says anything about its position; averages over "
        "the cells of a coarse grid do.",
        cells=2,
    ),
)
def gap_keeps_layout(seed, *, cells=1, images=200, filters=8, data="digits"):
    """Reads the quadrant in which an image stands off the pooled outputs of a fixed convolution.

    Images stand in one of four places of a dark canvas, away from its border; the convolution is a random one of 3x3
    in Keras with ReLU, a new one for each seed. A logistic regression learns the place from the pooled outputs of half
    of the images and is tested on the other half. The mistake: an average over all positions is the same for every
    permutation of them, just as a maximum is. The correction averages over 2 x 2 cells with the Keras layer.
    """
    chosen = load_data(data).subset(images, seed).x_train
    places = np.random.default_rng((seed, 1)).permutation(images) % 4
    side = chosen.shape[1] + 2
    corners = np.column_stack([places // 2, places % 2]) * side + 1
    canvas = placed(chosen, corners, 2 * side)
    weights = keras.initializers.HeNormal(seed=seed)
    maps = keras.layers.Conv2D(filters, 3, padding="same", activation="relu", kernel_initializer=weights)(canvas)
    average = keras.layers.AdaptiveAveragePooling2D(cells)
    rows = []
    for pooling, layer in (("average", average), ("maximum", _global_pooling("maximum"))):
        outputs = keras.ops.convert_to_numpy(layer(maps)).reshape(images, -1)
        rows.append({"pooling": pooling, "position_accuracy": _held_out_accuracy(outputs, places)})
    return pd.DataFrame(rows)


@claim(
    "A head of global average pooling takes significantly less computation than a fully connected one.",
    source=notes("Remark 3.22"),
    kind="tendency",
    criterion=AtMost("pooling_head", "half_connected_head"),
    control={"pooled": False},
)
def gap_cheaper(*, sides=(2, 4, 7, 14), channels=(64, 512), classes=(10, 1000), pooled=True):
    """Counts multiply-adds and additions of both heads in Keras, from maps of side² positions to class scores.

    The connected head multiplies each of the side² C values by every class; the other adds them up and multiplies C
    means by every class, a share of about 1 / classes + 1 / side² of the operations. Significant means at most half.
    Time follows the operations where these are what takes it. The control flattens instead of pooling.
    """
    rows = []
    for side in sides:
        for maps in channels:
            for outputs in classes:
                pooling = keras.layers.GlobalAveragePooling2D() if pooled else keras.layers.Flatten()
                pooling_head, connected = (
                    operations(_head(side, maps, outputs, layer)) for layer in (pooling, keras.layers.Flatten())
                )
                rows.append(
                    {
                        "side": side,
                        "channels": maps,
                        "classes": outputs,
                        "pooling_head": pooling_head,
                        "half_connected_head": connected / 2,
                    }
                )
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


def _head(side, channels, classes, reduction):
    layers = [keras.Input((side, side, channels)), reduction]
    return keras.Sequential([*layers, keras.layers.Dense(classes, kernel_initializer="zeros")])


def cell_averages(maps, wanted):
    """Averages over the cells of a grid, [examples, *wanted, channels]; neighbouring cells may overlap."""
    cells = [
        [slice(index * side // count, math.ceil((index + 1) * side / count)) for index in range(count)]
        for side, count in zip(maps.shape[1:3], wanted, strict=True)
    ]
    rows = [[maps[:, rows, columns].mean(axis=(1, 2)) for columns in cells[1]] for rows in cells[0]]
    return np.moveaxis(np.array(rows), 2, 0)
