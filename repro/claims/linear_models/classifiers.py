"""Linear classifiers: distances between their planes, and the number of their connections."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Correction, Identity, ScalingLaw, claim, lectures, notes

with epy.lazy_imports():
    import keras


@claim(
    r"The distance $|a|$ of $w^\top x - b = c_1$ and $w^\top x - b = c_2$, where $w$ is a unit vector and $a w$ leads "
    r"from the first to the second, follows from $a w^\top w = c_2 - c_1$ as $a = -\frac{c_2 - c_1}{\|w\|}$.",
    source=notes("Remark 3.5"),
    kind="formula",
    scope="unit vectors w, and for the distance vectors of other norms besides; the distance is the absolute value, "
    "the sign of a a step of its derivation",
    literature="Boyd and Vandenberghe 2004, exercise 2.5, for the distance",
    criterion=AllOf(
        distance=Identity("formula", "found", operations=1000, where={"quantity": "distance"}),
        displacement=Identity("formula", "found", operations=1000, where={"quantity": "displacement"}),
    ),
    full={"planes": 1000, "dimensions": (2, 10, 100, 500)},
    correction=Correction(
        r"$a = \frac{c_2 - c_1}{\|w\|}$: the line before it gives this sign.", sign=1.0, dimensions=(2, 5, 50)
    ),
)
def hyperplane_offset(seed, *, sign=-1.0, planes=20, dimensions=(2, 10, 100)):
    """Compares the formula with the way from a point of the first plane to the nearest point of the second.

    Normal unit vectors, b, c_1 and c_2, points of the first plane, in double precision; the nearest point of a plane
    solves the equations of Lagrange's multiplier. Displacement: that way along w, sign included. Distance: its length,
    against the absolute value of the formula. The counterexample is w = 1 in one dimension, b = 0, c_1 = 0 and c_2 = 1,
    where the way leads from 0 to 1 and a is 1; the printed one is -1, a slip of the last line. The distance is right,
    since only |a| counts, and for norms of 1/2 and 3 as well, where a counts along w over its norm.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for dimension in dimensions:
        for length in np.resize([1.0, 0.5, 3.0], 3 * planes):
            w = generator.normal(size=dimension)
            w *= length / np.linalg.norm(w)
            b, first, second = generator.normal(size=3)
            start = _nearest(w, b + first, generator.normal(size=dimension))
            way = _nearest(w, b + second, start) - start
            norm = keras.ops.sqrt(keras.ops.sum(keras.ops.square(keras.ops.convert_to_tensor(w))))
            formula = sign * (second - first) / float(norm)
            sides = {"displacement": (formula, way @ w), "distance": (abs(formula), np.linalg.norm(way))}
            for quantity, (left, right) in sides.items():
                if quantity == "displacement" and length != 1:
                    continue  # the statement is about unit vectors
                rows.append({"dimension": dimension, "quantity": quantity, "formula": left, "found": right})
    return pd.DataFrame(rows)


def _nearest(w, offset, point):
    """Point of the plane w x = offset that is nearest to a given one, by Lagrange's multiplier."""
    size = len(w)
    system = np.block([[np.eye(size), w[:, None]], [w[None], np.zeros((1, 1))]])
    return np.linalg.solve(system, np.append(point, offset))[:size]


@claim(
    r"Connecting the $d$ inputs of a flattened image to $L$ classes takes a matrix $W$ of $L \times d$ weights, a "
    "number that grows with the dimensions of the image.",
    source=lectures("3.2.1"),
    kind="formula",
    scope="single-layer classifier of flattened colour images; that the number becomes impractical, and prevents the "
    "use of deep networks on large data sets, is an opinion, and not judged",
    literature="LeCun et al. 1998, section 2.A: weights of fully connected layers grow with the image, those of "
    "convolutions do not",
    criterion=AllOf(
        number=Identity("weights", "stated"),
        growth=ScalingLaw("side", "weights", expected=2.0, rivals=(1.0, 3.0)),
    ),
    full={"sides": (32, 64, 128, 256, 512)},
    control={"layer": "convolution"},
)
def linear_connections(*, sides=(32, 64, 128, 256), classes=10, layer="dense"):
    """Counts the weights of Keras' dense layer on flattened colour images of 32 to 256 pixels a side, with ten classes.

    A worked number, 30,720 for 32 x 32 x 3, which only a layer of another kind could change: the control has a
    convolution of 3 x 3 with ten channels, whose number of weights is the same for any image. Growth: their exponent in
    the side of the image, which is that of its area; in the number of inputs it is one.
    """
    rows = []
    for side in sides:
        if layer == "dense":
            connecting = keras.layers.Dense(classes)
            connecting(keras.layers.Flatten()(keras.Input((side, side, 3))))
        else:
            connecting = keras.layers.Conv2D(classes, 3)
            connecting.build((None, side, side, 3))
        weights = float(np.prod(connecting.kernel.shape))
        rows.append({"side": float(side), "weights": weights, "stated": float(classes * side * side * 3)})
    return pd.DataFrame(rows)
