"""Pooling over windows."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Identity, Rival, claim, lectures, notes

with epy.lazy_imports():
    import keras


@claim(
    r"Max pooling over $2 \times 2$ windows keeps the maximum of each, typically discards 75 % of the values, with "
    "stride 2 halves height and width, and treats each channel separately, so that their number is unchanged.",
    source=(
        lectures("3.3.3", parts=("size", "kept", "maxima", "separate")),
        notes("Remark 3.20", parts=("separate", "channels")),
    ),
    kind="formula",
    scope="even heights and widths, stride 2",
    criterion=AllOf(
        size=Identity("sides", "half_sides", where={"quantity": "sides"}),
        kept=Identity("kept_values", "quarter_of_values", where={"quantity": "counts"}),
        maxima=Identity("pooled", "maximum", dtype="float32", where={"quantity": "values"}),
        separate=Identity("alone", "pooled", dtype="float32", where={"quantity": "values"}),
        channels=Identity("pooled_channels", "channels", where={"quantity": "counts"}),
    ),
    control={"stride": 1},
    rival=Rival(
        "A window keeps the mean of its values.",
        criterion=Identity("pooled", "mean", dtype="float32", where={"quantity": "values"}),
    ),
)
def max_pool(seed, *, sizes=((2, 2), (6, 8), (12, 10)), channels=3, stride=2):
    """Looks at what Keras' layer makes of maps of even height and width, with normal values, all of them different.

    Size and number of channels of the output; how many of the values are among the pooled ones, which is a quarter;
    pooled values beside the maxima and means of the windows, by NumPy; and each channel pooled alone beside the same
    channel pooled with the others. Where a side is odd, Keras drops the last row or column and keeps less than a
    quarter. The control has stride 1, whose windows overlap.
    """
    layer = keras.layers.MaxPooling2D(2, strides=stride)
    tables = []
    for height, width in sizes:
        generator = np.random.default_rng(seed)
        maps = generator.normal(size=(1, height, width, channels)).astype(np.float32)
        pooled = keras.ops.convert_to_numpy(layer(maps))
        alone = [keras.ops.convert_to_numpy(layer(maps[..., [channel]])) for channel in range(channels)]
        windows = np.lib.stride_tricks.sliding_window_view(maps[0], (2, 2), axis=(0, 1))[::stride, ::stride]
        columns = {
            "pooled": pooled.ravel(),
            "maximum": windows.max(axis=(-2, -1)).ravel(),
            "mean": windows.mean(axis=(-2, -1)).ravel(),
            "alone": np.concatenate(alone, axis=-1).ravel(),
        }
        sides = {"sides": pooled.shape[1:3], "half_sides": [height / 2, width / 2]}
        counts = {
            "kept_values": [np.isin(maps, pooled).sum()],
            "quarter_of_values": [maps.size / 4],
            "pooled_channels": [pooled.shape[-1]],
            "channels": [channels],
        }
        for quantity, values in (("values", columns), ("sides", sides), ("counts", counts)):
            tables.append(pd.DataFrame({"quantity": quantity, **values}))
    return pd.concat(tables, ignore_index=True)
