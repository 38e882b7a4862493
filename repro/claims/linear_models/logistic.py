"""The logistic function."""

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
    r"$\sigma(z) + \sigma(-z) = 1$, $\sigma' = \sigma(1 - \sigma)$ and $\sigma'' = \sigma(1 - \sigma)(1 - 2\sigma)$.",
    source=cheatsheet("1.2.1"),
    kind="formula",
    criterion=Identity("left", "right", operations=64, each=("identity",)),
    control={"steepness": 2.0},
)
def logistic_identities(seed, *, steepness=1.0, points=512):
    """Compares Keras' sigmoid and its derivatives by autodiff, once and twice, with the products of its values.

    Normal points of standard deviation 3, double precision. A function twice as steep, the control, has the symmetry
    but other derivatives.
    """
    z = keras.ops.convert_to_tensor(np.random.default_rng(seed).normal(scale=3.0, size=points), dtype="float64")
    value, mirrored, first, second = (
        keras.ops.convert_to_numpy(values)
        for values in (_sigmoid(z, steepness), _sigmoid(-z, steepness), *_derivatives(z, steepness))
    )
    identities = {
        "symmetry": (value + mirrored, np.ones(points)),
        "first derivative": (first, value * (1 - value)),
        "second derivative": (second, value * (1 - value) * (1 - 2 * value)),
    }
    tables = []
    for identity, (left, right) in identities.items():
        tables.append(pd.DataFrame({"identity": identity, "left": left, "right": right}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"$-y \log \sigma(z) - (1 - y) \log(1 - \sigma(z)) = -\log \sigma((2y - 1) z)$.",
    source=cheatsheet("1.2.1"),
    kind="formula",
    criterion=Identity("cross_entropy", "logarithm", operations=64, dtype="float32", each=("evaluated",)),
    control={"labels": (0.0, 0.5, 1.0)},
)
def cross_entropy_forms(seed, *, labels=(0.0, 1.0), points=512):
    """Compares Keras' binary cross-entropy, of probabilities and of scores, with less the logarithmic sigmoid by SciPy.

    Labels are drawn from 0 and 1; scores are standard normal, single precision: far from zero 1 - p cancels, which is
    no matter of the identity. In the control some labels are one half, where the right side is log 2 at any score.
    """
    generator = np.random.default_rng(seed)
    z = generator.normal(size=(points, 1)).astype(np.float32)
    y = generator.choice(labels, size=(points, 1)).astype(np.float32)
    logarithm = -scipy.special.log_expit((2 * y - 1) * z.astype(float)).ravel()
    tables = []
    for evaluated, scores in {"of probabilities": False, "of scores": True}.items():
        loss = keras.losses.BinaryCrossentropy(from_logits=scores, reduction=None)
        values = keras.ops.convert_to_numpy(loss(y, z if scores else keras.activations.sigmoid(z)))
        tables.append(pd.DataFrame({"evaluated": evaluated, "cross_entropy": values, "logarithm": logarithm}))
    return pd.concat(tables, ignore_index=True)


def _sigmoid(z, steepness):
    return keras.activations.sigmoid(steepness * z)


def _derivatives(z, steepness):
    """First and second derivative at every point."""

    def summed(values):
        return keras.ops.sum(_sigmoid(values[0], steepness)), ()

    def slopes(values):
        _, _, (slope,) = value_and_gradient(summed, values)
        return keras.ops.sum(slope), slope

    _, first, (second,) = value_and_gradient(slopes, [z])
    return first, second
