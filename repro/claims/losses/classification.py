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
    "The cross-entropy loss of raw scores is log-softmax followed by the negative log-likelihood, with a weight for "
    "each class if there are any.",
    source=notes("Function 3.7"),
    kind="formula",
    scope="raw scores and one class index for each example",
    criterion=Identity("cross_entropy", "negative_log_likelihood", operations=64, dtype="float32"),
    control={"softmaxes": 2},
)
def cross_entropy_decomposes(seed, *, softmaxes=1, examples=128, classes=10):
    """Compares Keras' loss of every example with less the logarithmic softmax at its class, times the class' weight.

    Normal scores of standard deviation 3, [128, 10], single precision; the logarithmic softmax is evaluated by Keras
    and, as a second route, by SciPy in double precision; weights are all one, or uniform from 0.5 to 2. The control
    has the loss apply its softmax to probabilities, as happens to networks that end in a softmax.
    """
    generator = np.random.default_rng(seed)
    scores = generator.normal(scale=3.0, size=(examples, classes)).astype(np.float32)
    labels = generator.integers(classes, size=examples)
    likelihoods = {
        "Keras": keras.ops.convert_to_numpy(keras.ops.log_softmax(scores)),
        "SciPy": scipy.special.log_softmax(scores.astype(float), axis=1),
    }
    loss = keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction=None)
    given = scores if softmaxes == 1 else scipy.special.softmax(scores, axis=1)
    tables = []
    for weighted in (False, True):
        weights = generator.uniform(0.5, 2.0, size=classes).astype(np.float32) if weighted else np.ones(classes)
        left = keras.ops.convert_to_numpy(loss(labels, given, sample_weight=weights[labels]))
        for by, logarithms in likelihoods.items():
            right = -weights[labels] * logarithms[np.arange(examples), labels]
            columns = {"weighted": weighted, "by": by, "cross_entropy": left, "negative_log_likelihood": right}
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"The hinge loss $\max(0, 1 - y \hat y)$ is zero where $y \hat y \geq 1$ and linear in $\hat y$ below.",
    source=notes("Definition 3.71"),
    kind="formula",
    scope="labels of -1 and 1",
    criterion=Identity("keras", "stated", operations=16, dtype="float32"),
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
