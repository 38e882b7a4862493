"""Losses of classifiers."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import Identity, claim, notes
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras
    import scipy.special


@claim(
    "The cross-entropy of scores is the negative log-likelihood of their logarithmic softmax.",
    source=notes("Function 3.7"),
    kind="formula",
    criterion=Identity("cross_entropy", "negative_log_likelihood", operations=64, dtype="float32", each=("evaluated",)),
    control={"scores": False},
)
def cross_entropy_decomposes(seed, *, scores=True, examples=128, classes=10):
    """Compares Keras' loss of every example with less the logarithmic softmax at its class, by Keras and by SciPy.

    Normal scores of standard deviation 3, [128, 10], single precision. The control has the loss take the scores for
    probabilities.
    """
    generator = np.random.default_rng(seed)
    values = generator.normal(scale=3.0, size=(examples, classes)).astype(np.float32)
    labels = generator.integers(classes, size=examples)
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=scores, reduction=None)
    left = keras.ops.convert_to_numpy(loss(labels, values))
    likelihoods = {
        "by Keras": keras.ops.convert_to_numpy(keras.ops.log_softmax(values)),
        "by SciPy": scipy.special.log_softmax(values.astype(float), axis=1),
    }
    tables = []
    for evaluated, logarithms in likelihoods.items():
        right = -logarithms[np.arange(examples), labels]
        tables.append(pd.DataFrame({"evaluated": evaluated, "cross_entropy": left, "negative_log_likelihood": right}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"The hinge loss $\max(0, 1 - y \hat y)$ is zero where $y \hat y \geq 1$ and linear in $\hat y$ below.",
    source=notes("Definition 3.71"),
    kind="formula",
    criterion=Identity("keras", "stated", operations=16, dtype="float32", each=("quantity",)),
    control={"margin": 0.0},
)
def hinge(seed, *, margin=1.0, examples=256):
    """Compares Keras' loss, and its derivative by autodiff, with zero on one side and a line of slope -y on the other.

    Labels are -1 and 1, predictions normal of standard deviation 2. The control is the loss of the perceptron, whose
    margin is zero: that of predictions moved by one to the right side.
    """
    generator = np.random.default_rng(seed)
    y = generator.choice([-1.0, 1.0], size=examples).astype(np.float32)
    predicted = generator.normal(scale=2.0, size=examples).astype(np.float32)
    values, derivatives = _hinge(y, predicted + (1 - margin) * y)
    below = y * predicted < 1
    quantities = {
        "loss": (values, np.where(below, 1 - y * predicted, 0.0)),
        "derivative": (derivatives, np.where(below, -y, 0.0)),
    }
    tables = []
    for quantity, (computed, stated) in quantities.items():
        tables.append(pd.DataFrame({"quantity": quantity, "keras": computed, "stated": stated}))
    return pd.concat(tables, ignore_index=True)


def _hinge(y, predicted):
    """Keras' loss of every example by itself, and its derivative by the prediction."""

    def summed(variables):
        losses = keras.losses.hinge(y[:, None], variables[0][:, None])
        return keras.ops.sum(losses), losses

    _, losses, (derivatives,) = value_and_gradient(summed, [keras.ops.convert_to_tensor(predicted)])
    return keras.ops.convert_to_numpy(losses), keras.ops.convert_to_numpy(derivatives)
