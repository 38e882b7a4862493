"""Losses of classifiers."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import Identity, claim, notes

with epy.lazy_imports():
    import keras
    import scipy.special


@claim(
    "The cross-entropy of scores is the negative log-likelihood of their logarithmic softmax.",
    source=notes("Function 3.7"),
    criterion=Identity("cross_entropy", "negative_log_likelihood", operations=64, dtype="float32", each=("evaluated",)),
    control={"scores": False},
)
def cross_entropy_decomposes(seeds, *, scores=True, examples=128, classes=10):
    """Compares Keras' loss of every example with less the logarithmic softmax at its class, by Keras and by SciPy.

    Normal scores of standard deviation 3, [128, 10], single precision. The control has the loss take the scores for
    probabilities.
    """
    tables = []
    for seed in seeds:
        generator = np.random.default_rng(seed)
        values = generator.normal(scale=3.0, size=(examples, classes)).astype(np.float32)
        labels = generator.integers(classes, size=examples)
        loss = keras.losses.SparseCategoricalCrossentropy(from_logits=scores, reduction=None)
        left = keras.ops.convert_to_numpy(loss(labels, values))
        likelihoods = {
            "by Keras": keras.ops.convert_to_numpy(keras.ops.log_softmax(values)),
            "by SciPy": scipy.special.log_softmax(values.astype(float), axis=1),
        }
        for evaluated, logarithms in likelihoods.items():
            right = -logarithms[np.arange(examples), labels]
            columns = {"cross_entropy": left, "negative_log_likelihood": right}
            tables.append(pd.DataFrame({"seed": seed, "evaluated": evaluated, **columns}))
    return pd.concat(tables, ignore_index=True)
