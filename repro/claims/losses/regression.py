"""Losses of differences."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AtLeast, Correction, claim, notes
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras

DIFFERENCES = (1, 4, 25, 127)  # of 255 levels


@claim(
    "With the L2 loss even small differences in pixel values lead to a relatively higher loss than with L1.",
    source=notes("Remark 3.45"),
    kind="possibility",
    criterion=AtLeast("l2", "l1", each=("quantity",)),
    correction=Correction(
        "L2 raises differences above one and lowers those below, and its gradient exceeds that of L1 for differences "
        "above one half: on pixels from 0 to 255 all differences, on pixels from 0 to 1 large ones at most.",
        largest=255.0,
    ),
)
def l2_raises_small_differences(seed, *, largest=1.0, pixels=64):
    """Compares Keras' mean squared and mean absolute error, and their derivatives by the pixels, for equal differences.

    Images of 64 pixels from 0 to 1, predicted images that differ by 1, 4, 25 or 127 levels of 255 in every pixel;
    derivatives are taken away from the true pixel. The mistake: the square of a small number is smaller. The correction
    has pixels from 0 to 255.
    """
    levels = np.random.default_rng(seed).integers(256, size=(1, pixels))
    tables = []
    for difference in DIFFERENCES:
        predicted = np.where(levels + difference > 255, levels - difference, levels + difference)
        scaled = [(values * (largest / 255)).astype(np.float32) for values in (levels, predicted)]
        l2, l2_gradient = _loss_and_gradient(keras.losses.mean_squared_error, *scaled)
        l1, l1_gradient = _loss_and_gradient(keras.losses.mean_absolute_error, *scaled)
        loss = {"quantity": "loss", "l2": [l2], "l1": [l1]}
        gradient = {"quantity": "gradient", "l2": l2_gradient, "l1": l1_gradient}
        tables += [pd.DataFrame({"difference": difference, **columns}) for columns in (loss, gradient)]
    return pd.concat(tables, ignore_index=True)


def _loss_and_gradient(loss, true, predicted):
    """Loss of an image, and its derivatives by the pixels, each away from the true one."""

    def of_image(variables):
        return loss(true, variables[0])[0], ()

    value, _, (gradient,) = value_and_gradient(of_image, [keras.ops.convert_to_tensor(predicted)])
    return float(value), (np.sign(predicted - true) * keras.ops.convert_to_numpy(gradient)).ravel()
