"""Softmax over linear scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import Identity, cheatsheet, claim
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras
    import scipy.special


@claim(
    r"$\ell(y, z) = (-z_y + \log \sum_j e^{z_j}) / \ln 2$ is the cross-entropy of the softmax of $z$ in bits.",
    source=cheatsheet("1.2.2"),
    kind="formula",
    scope="one class label and its scores; read as the cross-entropy in bits, with natural logarithms above",
    # On JAX, Keras' softmax is in single precision whatever the type of its inputs.
    criterion=Identity("softmax", "formula", operations=64, dtype="float32"),
    control={"bits": False},
)
def softmax_loss_bits(seed, *, bits=True, examples=64, classes=10):
    """Compares minus the binary logarithm of Keras' softmax at the class of an example, and its gradient by autodiff.

    Normal scores of standard deviation 2 and 10, [64, 10] each; the larger ones give losses of dozens of bits. The
    formula is evaluated by SciPy; its gradient by the scores is the softmax less one at the class, over the logarithm
    of two. The control leaves that logarithm out.
    """
    unit = np.log(2) if bits else 1.0
    generator = np.random.default_rng(seed)
    scales = np.repeat([2.0, 10.0], examples)[:, None]
    z, y = generator.normal(scale=scales, size=(2 * examples, classes)), generator.integers(classes, size=2 * examples)
    chosen = np.eye(classes)[y]
    losses, gradient = _by_keras(z, chosen)
    formulas = {
        "loss": (losses, (scipy.special.logsumexp(z, axis=1) - z[np.arange(len(y)), y]) / unit),
        "gradient": (gradient, (scipy.special.softmax(z, axis=1) - chosen) / unit),
    }
    tables = []
    for quantity, (left, right) in formulas.items():
        tables.append(pd.DataFrame({"quantity": quantity, "softmax": left.ravel(), "formula": right.ravel()}))
    return pd.concat(tables, ignore_index=True)


def _by_keras(z, chosen):
    """Cross-entropy of every example in bits, and the gradient of their sum by the scores."""

    def summed(values):
        likelihoods = keras.ops.sum(keras.activations.softmax(values[0]) * chosen, axis=1)
        losses = -keras.ops.log2(likelihoods)
        return keras.ops.sum(losses), losses

    _, losses, (gradient,) = value_and_gradient(summed, [keras.ops.convert_to_tensor(z, dtype="float64")])
    return keras.ops.convert_to_numpy(losses), keras.ops.convert_to_numpy(gradient)
