"""The logistic function."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Identity, cheatsheet, claim
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras
    import scipy.special


@claim(
    r"$\sigma(z) + \sigma(-z) = 1$, $\sigma' = \sigma(1 - \sigma)$ and $\sigma'' = \sigma(1 - \sigma)(1 - 2\sigma)$.",
    source=cheatsheet("1.2.1"),
    kind="formula",
    scope="real z",
    criterion=AllOf(
        symmetry=Identity("left", "right", operations=64, where={"identity": "symmetry"}),
        first_derivative=Identity("left", "right", operations=64, where={"identity": "first derivative"}),
        second_derivative=Identity("left", "right", operations=64, where={"identity": "second derivative"}),
    ),
    control={"steepness": 2.0},
)
def logistic_identities(seed, *, steepness=1.0, points=512, largest=300.0):
    """Compares Keras' sigmoid and its derivatives by autodiff, once and twice, with the products of its values.

    Normal points of standard deviation 3, and points of either sign from 0.001 to 300. Backends differentiate their
    sigmoid by the first of these products, so the first derivative is taken by another route too, a complex step
    (Squire and Trapp 1998), which differentiates nothing. A function twice as steep, the control, has the symmetry but
    other derivatives.
    """
    generator = np.random.default_rng(seed)
    sizes = np.geomspace(1e-3, largest, 32) * generator.choice([-1.0, 1.0], size=32)
    values = np.concatenate([generator.normal(scale=3.0, size=points), sizes])
    z = keras.ops.convert_to_tensor(values, dtype="float64")
    value, mirrored, first, second = (
        keras.ops.convert_to_numpy(side)
        for side in (_sigmoid(z, steepness), _sigmoid(-z, steepness), *_derivatives(z, steepness))
    )
    identities = {
        "symmetry": (value + mirrored, np.ones(len(values))),
        "first derivative": (
            np.concatenate([first, _complex_step(values, steepness)]),
            np.tile(value * (1 - value), 2),
        ),
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
    scope="labels of 0 and 1",
    criterion=Identity("cross_entropy", "logarithm", operations=64, dtype="float32"),
    control={"labels": (0.0, 0.5, 1.0)},
)
def cross_entropy_forms(seed, *, labels=(0.0, 1.0), points=512):
    """Compares Keras' binary cross-entropy, of probabilities and of scores, with less the logarithmic sigmoid by SciPy.

    Labels are drawn from 0 and 1; standard normal scores, single precision. Scores of 10 to 80 of either sign are given
    to the loss of scores alone, since of probabilities 1 - p cancels there, which is no matter of the identity; for
    them both sides are divided by the right one, so that small losses count as much as large ones. In the control some
    labels are one half, where the right side is log 2 at any score.
    """
    generator = np.random.default_rng(seed)
    moderate = generator.normal(size=(points, 1)).astype(np.float32)
    extreme = (generator.uniform(10, 80, size=(points, 1)) * generator.choice([-1, 1], (points, 1))).astype(np.float32)
    tables = []
    for evaluated, z in {"of probabilities": moderate, "of scores": moderate, "of extreme scores": extreme}.items():
        y = generator.choice(labels, size=(points, 1)).astype(np.float32)
        is_of_scores = evaluated != "of probabilities"
        loss = keras.losses.BinaryCrossentropy(from_logits=is_of_scores, reduction=None)
        values = keras.ops.convert_to_numpy(loss(y, z if is_of_scores else keras.activations.sigmoid(z)))
        logarithm = -scipy.special.log_expit((2 * y - 1) * z.astype(float)).ravel()
        unit = logarithm if evaluated == "of extreme scores" else 1.0
        columns = {"evaluated": evaluated, "cross_entropy": values / unit, "logarithm": logarithm / unit}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def _sigmoid(z, steepness):
    return keras.activations.sigmoid(steepness * z)


def _complex_step(z, steepness, step=1e-30):
    """First derivative of the logistic function as the imaginary part at a point beside the real axis."""
    return (1 / (1 + np.exp(-steepness * (z + 1j * step)))).imag / step


def _derivatives(z, steepness):
    """First and second derivative at every point."""

    def summed(values):
        return keras.ops.sum(_sigmoid(values[0], steepness)), ()

    def slopes(values):
        _, _, (slope,) = value_and_gradient(summed, values)
        return keras.ops.sum(slope), slope

    _, first, (second,) = value_and_gradient(slopes, [z])
    return first, second
