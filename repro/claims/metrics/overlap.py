"""Overlap of two masks: intersection over union, and Dice."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, AtMost, Correction, Identity, claim, notes

with epy.lazy_imports():
    import keras

EPSILON = 1e-7


def _masks(generator, size):
    """Pairs of masks [size, size] of zeros and ones by name: random ones of random density, and extremal ones."""
    one, other = (generator.uniform(size=(size, size)) < generator.uniform(0.1, 0.9) for _ in range(2))
    full, empty = np.ones_like(one), np.zeros_like(one)
    pairs = {
        "random": (one, other),
        "identical": (one, one),
        "disjoint": (one, ~one),
        "full": (full, full),
        "in full": (one, full),
        "one empty": (other, empty),
        "nested": (one, one & other),
    }
    return {name: (true.astype(int), predicted.astype(int)) for name, (true, predicted) in pairs.items()}


def _sets(true, predicted):
    """Sets of the places of the ones of two masks."""
    return [set(np.flatnonzero(mask).tolist()) for mask in (true, predicted)]


def _counts(true, predicted):
    """True positives, false positives and false negatives."""
    return int((true & predicted).sum()), int((predicted & ~true & 1).sum()), int((true & ~predicted & 1).sum())


@claim(
    "IoU = TP / (TP + FP + FN), the intersection of both sets over their union.",
    source=notes("Definition 3.61"),
    kind="formula",
    scope="the union is not empty",
    literature="Jaccard 1912",
    criterion=AllOf(
        formula=Identity("formula", "sets", operations=16),
        keras=Identity("by_keras", "sets", operations=16, dtype="float32"),
        keras_binary=Identity("by_keras_binary", "sets", operations=16, dtype="float32"),
    ),
    control={"twice": 2},
)
def iou(seed, *, twice=1, size=12):
    """Compares the formula and two of Keras' metrics with the sizes of sets of Python, on seven pairs of masks.

    Masks of 12 x 12 are random with densities from 0.1 to 0.9, and identical, disjoint, full, nested, one within a full
    one, and one beside an empty one. Keras' IoU takes classes, its BinaryIoU scores on either side of the threshold;
    both look at class one. Keras adds up all of an update; two empty masks, whose union is empty, are left out. The
    control counts true positives twice, which is Dice.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for name, (true, predicted) in _masks(generator, size).items():
        a, b = _sets(true, predicted)
        tp, fp, fn = _counts(true, predicted)
        by_class = keras.metrics.IoU(num_classes=2, target_class_ids=[1])
        by_class.update_state(true, predicted)
        binary = keras.metrics.BinaryIoU(target_class_ids=[1], threshold=0.5)
        binary.update_state(true, (predicted + generator.uniform(0.01, 0.99, size=true.shape)) / 2)
        columns = {
            "formula": twice * tp / (twice * tp + fp + fn),
            "sets": len(a & b) / len(a | b),
            "by_keras": float(by_class.result()),
            "by_keras_binary": float(binary.result()),
        }
        rows.append({"masks": name, **columns})
    return pd.DataFrame(rows)


@claim(
    r"The Dice loss is $-\frac{2 |A \cap B|}{|A| + |B|} = \frac{TP}{2 TP + FP + FN} = -\frac{2 \langle v_{true}, "
    r"v_{pred} \rangle}{\|v_{true}\|^2 + \|v_{pred}\|^2 + \epsilon} \in (-1, 0]$; the Dice score is "
    r"$\frac{TP}{2 TP + FP + FN}$.",
    source=(
        notes("Definition 3.62", parts=("vectors", "keras", "above", "below", "counts")),
        notes("Remark 3.44", parts=("score",)),
    ),
    kind="formula",
    scope="one-hot vectors, a small constant epsilon",
    literature="Dice 1945; Milletari, Navab and Ahmadi 2016, section 3: the coefficient has 2 TP above",
    criterion=AllOf(
        # The constant, and single precision in Keras, are of the size of one rounding.
        vectors=Identity("vectors", "sets", operations=16, dtype="float32", where={"empty": "not both"}),
        keras=Identity("by_keras", "sets", operations=16, dtype="float32", where={"empty": "not both"}),
        above=AtLeast("vectors", bound=-1.0),
        below=AtMost("vectors", bound=0.0),
        counts=Identity("counts", "sets", operations=16, where={"empty": "not both"}),
        score=Identity("score", "coefficient", operations=16, where={"empty": "not both"}),
    ),
    correction=Correction(
        r"By counts the loss is $-\frac{2 TP}{2 TP + FP + FN}$ and the score $\frac{2 TP}{2 TP + FP + FN}$, which is "
        r"$\frac{2 IoU}{1 + IoU}$.",
        criterion=AllOf(
            counts=Identity("counts", "sets", operations=16, where={"empty": "not both"}),
            score=Identity("score", "coefficient", operations=16, where={"empty": "not both"}),
            from_iou=Identity("score", "from_iou", operations=16, where={"empty": "not both"}),
        ),
        factor=-2.0,
    ),
)
def dice(seed, *, factor=1.0, size=12):
    """Compares the printed forms with the sizes of sets of Python, and with Keras' loss less one, on pairs of masks.

    Masks of 12 x 12 as for the claim on IoU, one-hot masks of three classes, 12 x 12 x 3, and two empty ones, for which
    the form with epsilon, 1e-7, is zero. Keras' loss is one less the coefficient. As printed, the form by counts lacks
    the factor -2, and the score the factor 2: identical masks have TP / (2 TP) = 1/2, where the coefficient is one and
    the loss -1. With epsilon the loss is above -1, up to rounding. The correction has the factor, and is compared with
    what follows from IoU besides.
    """
    generator = np.random.default_rng(seed)
    pairs = _masks(generator, size)
    pairs["one-hot"] = tuple(np.eye(3, dtype=int)[generator.integers(3, size=(2, size, size))])
    pairs["both empty"] = (np.zeros((size, size), dtype=int),) * 2
    rows = []
    for name, (true, predicted) in pairs.items():
        a, b = _sets(true, predicted)
        tp, fp, fn = _counts(true, predicted)
        v_true, v_pred = (mask.ravel().astype(float) for mask in (true, predicted))
        loss = keras.losses.dice(true.astype("float32"), predicted.astype("float32"))
        row = {
            "masks": name,
            "empty": "not both" if a | b else "both",
            "vectors": -2 * (v_true @ v_pred) / (v_true @ v_true + v_pred @ v_pred + EPSILON),
            "by_keras": float(loss) - 1,
        }
        if a | b:
            coefficient, overlap = 2 * len(a & b) / (len(a) + len(b)), len(a & b) / len(a | b)
            share = tp / (2 * tp + fp + fn)
            row |= {
                "sets": -coefficient,
                "counts": factor * share,
                "score": abs(factor) * share,
                "coefficient": coefficient,
                "from_iou": 2 * overlap / (1 + overlap),
            }
        rows.append(row)
    return pd.DataFrame(rows)
