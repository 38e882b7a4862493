"""Pooling over windows."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Identity, claim, lectures, notes

with epy.lazy_imports():
    import keras


@claim(
    r"Max pooling over $2 \times 2$ windows with stride 2 halves height and width, discards three quarters of the "
    "values and treats channels separately.",
    source=(lectures("3.3.3"), notes("Remark 3.20")),
    kind="formula",
    criterion=AllOf(
        size=Identity("sides", "half_sides", each=("axis",)),
        kept=Identity("kept_values", "quarter_of_values"),
        separate=Identity("pooled", "channel_maximum", dtype="float32"),
    ),
    control={"stride": 1},
)
def max_pool(seed, *, sizes=((2, 2), (6, 8), (12, 10)), channels=3, stride=2):
    """Compares the Keras layer with the maxima of the windows of every channel by itself, in NumPy.

    Maps of even height and width with normal values, none of which occurs twice; a value is kept if it is among the
    pooled ones. Keras drops the last row or column of an odd size. The control has stride 1.
    """
    layer = keras.layers.MaxPooling2D(2, strides=stride)
    tables = []
    for height, width in sizes:
        generator = np.random.default_rng(seed)
        maps = generator.normal(size=(1, height, width, channels)).astype(np.float32)
        pooled = keras.ops.convert_to_numpy(layer(maps))
        windows = np.lib.stride_tricks.sliding_window_view(maps[0], (2, 2), axis=(0, 1))[::stride, ::stride]
        columns = {"pooled": pooled.ravel(), "channel_maximum": windows.max(axis=(-2, -1)).ravel()}
        counts = {"kept_values": np.isin(maps, pooled).sum(), "quarter_of_values": maps.size / 4}
        for axis, (sides, whole) in enumerate(zip(pooled.shape[1:3], (height, width), strict=True)):
            size = {"axis": ("height", "width")[axis], "sides": sides, "half_sides": whole / 2}
            tables.append(pd.DataFrame({**size, **counts, **columns}))
    return pd.concat(tables, ignore_index=True)
