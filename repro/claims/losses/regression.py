"""Losses of differences."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, AtMost, Boundary, Correction, Identity, claim, notes
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras

SMALL, LARGE = 4, 127  # differences in levels of 255
DIFFERENCES = (1, SMALL, 25, LARGE)


@claim(
    "The L2 loss squares differences of pixels, which amplifies larger errors; this means that even small differences "
    "can lead to a relatively higher loss, making smoother or blurry results more likely.",
    source=notes("Remark 3.45"),
    kind="possibility",
    scope="image translation, where a prediction is compared with the true image pixel by pixel",
    left_open=("pixels", "relative_to"),
    criterion=AllOf(
        amplifies=AtLeast("l2", "l1", where={"question": "amplifies"}),
        small=AtLeast("l2", "l1", each=("pixels", "relative_to"), where={"question": "small"}),
        blurry=AtMost("l2", "l1", where={"question": "blurry"}),
    ),
    boundary=Boundary(
        "where a level is a unit, relative to the L1 loss of the same difference; the square of a difference below one "
        "is smaller than the difference",
        holds="part != 'small' or (pixels == '0 to 255' and relative_to == 'L1 of the same difference')",
    ),
)
def l2_raises_small_differences(seed, *, pixels=64, targets=31):
    """Compares Keras' mean squared and mean absolute error on images of 64 pixels, and what minimises them.

    Small: a difference of 4 levels of 255 in every pixel, with pixels from 0 to 1 and from 0 to 255, by its loss; and
    by its share of the loss of an image where a quarter of the pixels each is off by 1, 4, 25 and 127 levels, together
    with the pixels that are off by one. The loss crosses over at a difference of one, which is a worked number; the
    gradient, whose entries are twice the difference and one, at one half. Amplifies: the share of the pixels that are
    off by 127 levels. Blurry: the steepest step between neighbouring pixels of the prediction that minimises either
    loss over 31 images of an edge in one of several places, the likelier one more often. It is found by bisection on
    the signs of Keras' derivatives, and is by pixel the mean of the images, or their median, as theory has it.
    """
    generator = np.random.default_rng(seed)
    rows = []
    levels = generator.integers(256, size=(1, pixels))
    mixed = np.repeat(DIFFERENCES, pixels // len(DIFFERENCES))[None]
    for scale, largest in (("0 to 1", 1.0), ("0 to 255", 255.0)):
        alone = [_loss(name, levels, np.full_like(levels, SMALL), largest) for name in LOSSES]
        image = [_loss(name, levels, mixed, largest) for name in LOSSES]
        small, large = (
            [_loss(name, levels, mixed * chosen, largest) / of for name, of in zip(LOSSES, image, strict=True)]
            for chosen in (mixed <= SMALL, mixed == LARGE)
        )
        rows += [
            {"question": "small", "pixels": scale, "relative_to": "L1 of the same difference", **_named(alone)},
            {"question": "small", "pixels": scale, "relative_to": "other differences in the image", **_named(small)},
            {"question": "amplifies", **_named(large)},
        ]
    edges = edge_images(generator, targets, pixels)
    sharpness = [np.abs(np.diff(minimiser(name, edges))).max() for name in LOSSES]
    rows.append({"question": "blurry", **_named(sharpness)})
    return pd.DataFrame(rows)


@claim(
    r"The $L^2$ loss is $\|v - \hat v\|_2^2 = \sqrt{\sum_i |\hat v_i - v_i|^2} = \sum_i |\hat v_i - v_i|^2$.",
    source=notes("Definition 3.64"),
    kind="formula",
    scope="vectors of real numbers; a square on the root may have been lost",
    transcription=True,
    literature="the notes' own Remark 3.47: the norm, squared, is the loss",
    criterion=AllOf(
        norm=Identity("norm", "sum", operations=256, dtype="float32"),
        root=Identity("root", "sum", operations=256, dtype="float32", where={"vectors": "any"}),
        unit=Identity("root", "sum", operations=256, dtype="float32", where={"vectors": "differ by a unit vector"}),
    ),
    correction=Correction(
        r"The root is the norm, whose square is the loss: $\left(\sqrt{\sum_i |\hat v_i - v_i|^2}\right)^2$.", power=2
    ),
)
def l2_loss_forms(seed, *, power=1, pairs=32, length=64):
    """Compares the squared norm and the root with the sum of squares, which is Keras' mean squared error times n.

    32 pairs of normal vectors of 64 components, and 32 that differ by a vector of norm one, single precision; the norm
    by Keras' operation, the root by NumPy in double precision. The root equals the sum only where that is zero or one:
    for a difference of (1, 1) it is 1.41, the sum is 2. The correction squares the root.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for vectors in ("any", "differ by a unit vector"):
        true = generator.normal(size=(pairs, length))
        difference = generator.normal(size=(pairs, length))
        if vectors != "any":
            difference /= np.linalg.norm(difference, axis=1, keepdims=True)
        predicted = (true + difference).astype(np.float32)
        true = true.astype(np.float32)
        columns = {
            "norm": keras.ops.convert_to_numpy(keras.ops.square(keras.ops.norm(predicted - true, axis=1))),
            "root": np.sqrt(np.square(predicted.astype(float) - true).sum(axis=1)) ** power,
            "sum": keras.ops.convert_to_numpy(keras.losses.mean_squared_error(true, predicted)) * length,
        }
        tables.append(pd.DataFrame({"vectors": vectors, **columns}))
    return pd.concat(tables, ignore_index=True)


LOSSES = ("mean_squared_error", "mean_absolute_error")


def edge_images(generator, number, pixels):
    """Images [number, pixels] of one edge from 0 to 1, in three of five cases at one place, else at others nearby."""
    place = generator.integers(pixels // 4, pixels // 2)
    moved = np.where(generator.uniform(size=number) < 0.6, 0, generator.integers(-4, 5, size=number))
    return (np.arange(pixels) >= (place + moved)[:, None]).astype(float)


def minimiser(name, images, halvings=20):
    """Predicted image [pixels] with the least of Keras' losses in the mean over images with pixels from 0 to 1."""

    def summed(variables):
        predicted = keras.ops.broadcast_to(variables[0], images.shape)
        return keras.ops.sum(keras.losses.get(name)(keras.ops.convert_to_tensor(images, "float32"), predicted)), ()

    pixels = np.full(images.shape[1], 0.5, np.float32)
    for halving in range(2, halvings + 2):
        _, _, (derivatives,) = value_and_gradient(summed, [keras.ops.convert_to_tensor(pixels)])
        pixels -= np.sign(keras.ops.convert_to_numpy(derivatives)) * np.float32(0.5**halving)
    return pixels


def _named(values):
    return dict(zip(("l2", "l1"), map(float, values), strict=True))


def _loss(name, levels, differences, largest):
    """Keras' loss of an image whose prediction is off by some levels, with pixels from 0 to the largest."""
    predicted = np.where(levels + differences > 255, levels - differences, levels + differences)
    true, other = ((values * (largest / 255)).astype(np.float32) for values in (levels, predicted))
    return float(keras.losses.get(name)(true, other)[0])
