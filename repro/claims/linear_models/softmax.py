"""Softmax over linear scores."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Identity, cheatsheet, claim, lectures
from repro.engine import classifier, load_data, mlp
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


@claim(
    "In a single-layer classifier the softmax can be omitted, since it does not affect the ranking of the class "
    "scores.",
    source=lectures("3.2.1"),
    kind="theorem",
    scope="scores of one image, at prediction",
    literature="Bridle 1990: the softmax increases with the score of its class",
    criterion=AllOf(
        ranking=AtMost("inversions", bound=0.0),
        decision=AtMost("changed_classes", bound=0.0),
    ),
    full={"data": "mnist", "images": 10_000, "steps": 2000},
    control={"temperatures": "of each class"},
)
def softmax_keeps_ranking(seeds, *, images=500, steps=200, rate=0.1, temperatures="one", data="digits"):
    """Counts pairs of classes that Keras' softmax brings into the other order, and images whose class it changes.

    Linear classifiers of standardised images, of which each seed redraws 500, trained by 200 steps of SGD at rate 0.1;
    their scores of all test images, as they are, and multiplied so that their standard deviation is 1000, where most of
    the probabilities are nought in single precision. An inversion is a pair of classes of one image of which one has
    the higher score and the lower probability. Real numbers allow none, as the softmax of one image has one denominator
    and an increasing numerator; what rounding adds are pairs that become equal, whose share of all pairs with different
    scores is counted beside (``ties``): most of those of saturating scores, hardly any of the others.
    The control divides the scores of each class by a temperature of its own, from a half to two.
    """
    loaded = load_data(data).standardized().flat()
    arm = classifier(mlp, lambda seed: loaded.subset(images, seed), steps=steps, widths=())
    training = arm(seeds=list(seeds), learning_rate=rate)
    rows = []
    for seed, (kernel, bias) in zip(training.replicas["seed"], training.weights, strict=True):
        scores = loaded.x_test @ kernel + bias
        spread = np.exp(np.random.default_rng(seed).uniform(-np.log(2), np.log(2), size=loaded.classes))
        by_class = spread.astype(np.float32) if temperatures == "of each class" else 1.0
        for kind, z in (("of trained classifiers", scores), ("saturating", 1000 * scores / scores.std())):
            probabilities = keras.ops.convert_to_numpy(keras.activations.softmax(z / by_class))
            rows.append({"seed": seed, "scores": kind, **_compare_rankings(z, probabilities)})
    return pd.DataFrame(rows)


def _compare_rankings(scores, probabilities):
    """Count pairs of classes in another order, or equal, in probability, and images of another class."""
    higher = scores[:, :, None] > scores[:, None, :]
    differences = probabilities[:, :, None] - probabilities[:, None, :]
    at_top = np.take_along_axis(probabilities, scores.argmax(axis=1)[:, None], axis=1)[:, 0]
    return {
        "inversions": float((higher & (differences < 0)).sum()),
        "ties": float((higher & (differences == 0)).mean() / higher.mean()),
        "changed_classes": float((at_top < probabilities.max(axis=1)).sum()),
    }


def _by_keras(z, chosen):
    """Cross-entropy of every example in bits, and the gradient of their sum by the scores."""

    def summed(values):
        likelihoods = keras.ops.sum(keras.activations.softmax(values[0]) * chosen, axis=1)
        losses = -keras.ops.log2(likelihoods)
        return keras.ops.sum(losses), losses

    _, losses, (gradient,) = value_and_gradient(summed, [keras.ops.convert_to_tensor(z, dtype="float64")])
    return keras.ops.convert_to_numpy(losses), keras.ops.convert_to_numpy(gradient)
