"""How many labellings of points a hyperplane can separate."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd

from repro import AllOf, Correction, Equivalent, Greater, Identity, ScalingLaw, cheatsheet, claim
from repro.claims.perceptron._sets import separable

COVER = cheatsheet("1.1 Cover's Theorem")


@claim(
    r"$C(s+1, n) = 2 \sum_{i=0}^{n-1} \binom{s}{i}$, where $C(s, n)$ is the number of ways to separate $s$ points in "
    r"$n$ dimensions; $C(s, n) = 2^s$ for $s \le n$.",
    source=COVER,
    kind="formula",
    literature="Cover 1965; for hyperplanes through the origin and points in general position",
    criterion=AllOf(
        formula=Identity("separable", "formula"),
        all=Identity("separable", "labellings", where={"few": True}),
    ),
    smoke={"most": 6},
    full={"most": 11, "dimensions": (1, 2, 3, 4, 5, 6)},
    control={"arrangement": "on a line"},
)
def cover_count(seed, *, most=8, dimensions=(1, 2, 3, 4), arrangement="general"):
    """Counts the separable labellings of random points exhaustively, for every number of points up to the given one.

    Normal points, hyperplanes through the origin (a bias is one more dimension, as the document counts it). A labelling
    is separable unless the origin lies in the convex hull of all y x, which non-negative least squares decide. Points
    on one line have fewer separable labellings.
    """
    rows = []
    for dimension in dimensions:
        generator = np.random.default_rng((seed, dimension))
        x = generator.normal(size=(most, dimension))
        if arrangement == "on a line":
            x = x[0] + np.outer(generator.normal(size=most), x[1])
        for number in range(1, most + 1):
            formula = 2 * sum(math.comb(number - 1, i) for i in range(dimension))
            row = {"separable": _separable_labellings(x[:number]), "formula": formula, "labellings": 2**number}
            rows.append({"dimension": dimension, "points": number, "few": number <= dimension, **row})
    return pd.DataFrame(rows)


def _separable_labellings(x):
    """Number of labellings of points that a hyperplane through the origin separates; each has a mirror image."""
    others = itertools.product((-1, 1), repeat=len(x) - 1)
    return 2 * sum(separable(x * np.array([1, *labels])[:, None]) for labels in others)


@claim(
    r"Whether $s$ randomly labelled points in dimension $n$ can be separated has a phase transition at $s = 2n$.",
    source=COVER,
    kind="law",
    literature="Cover 1965: the largest separable number has mean and median 2n and standard deviation √(2n)",
    criterion=AllOf(
        place=Equivalent(
            "half_point",
            2.0,
            smallest_difference=0.2,
            because="a tenth of the place is a point for five dimensions, about what whole numbers of points resolve",
            each=("dimension",),
        ),
        sharpening=ScalingLaw(
            x="dimension",
            y="width",
            at_least=-0.75,
            at_most=-0.25,
            because="a transition sharpens with the dimension: as its square root, neither not at all nor inversely",
        ),
    ),
    smoke={"dimensions": (5, 20), "labellings": 50},
    full={"dimensions": (5, 10, 20, 40, 80), "labellings": 200},
    control={"labels": "of a teacher"},
)
def cover_transition(seed, *, dimensions=(5, 10, 20, 40), labellings=50, labels="random"):
    """Finds the share of labellings that are separable against the number of points over the dimension.

    Each labelling is a growing sequence of normal points with random labels, up to five for every dimension; bisection
    finds how many of them a hyperplane through the origin separates. The half-point is where the share of separable
    sequences, interpolated, falls through one half; the width is from three quarters to one quarter; both over the
    dimension. Labels of a linear teacher are separable for any number of points.
    """
    rows = []
    for dimension in dimensions:
        generator = np.random.default_rng((seed, dimension))
        most = 5 * dimension
        largest = []
        for _ in range(labellings):
            x = generator.normal(size=(most, dimension))
            y = np.sign(x[:, 0]) if labels == "of a teacher" else generator.choice([-1, 1], size=most)
            largest.append(_largest_separable(x * y[:, None]))
        three_quarters, half, quarter = (_crossing(largest, most, share) for share in (0.75, 0.5, 0.25))
        place = {"half_point": half / dimension, "width": (quarter - three_quarters) / dimension}
        rows.append({"dimension": dimension, **place})
    return pd.DataFrame(rows)


def _largest_separable(signed):
    """Number of points of a sequence, from its start, that are separable; as many as dimensions always are."""
    fewest, most = signed.shape[1], len(signed)
    while fewest < most:
        middle = (fewest + most + 1) // 2
        fewest, most = (middle, most) if separable(signed[:middle]) else (fewest, middle - 1)
    return fewest


def _crossing(largest, most, share):
    """Number of points, interpolated, at which the share of separable sequences falls through a value."""
    numbers = np.arange(most + 2)
    shares = (np.array(largest)[:, None] >= numbers).mean(axis=0)
    before = np.flatnonzero(shares >= share)[-1]
    return before + (shares[before] - share) / (shares[before] - shares[before + 1])


@claim(
    "For $s > 2n$ randomly labelled points an empty version space, no separating weights, is the exception, otherwise "
    "the rule.",
    source=COVER,
    kind="law",
    literature="Cover 1965: the probability of a separable labelling is C(s, n) / 2^s, which falls through 1/2 at 2n",
    criterion=Greater(
        "share",
        of="rule",
        than="exception",
        by="version_space",
        smallest_difference=0.3,
        because="a rule holds at least about twice as often as its exception",
        each=("dimension", "points_per_dimension"),
    ),
    smoke={"dimensions": (10,)},
    full={"dimensions": (10, 20, 40), "labellings": 500},
    correction=Correction(
        "For $s > 2n$ an empty version space is the rule, for $s < 2n$ the exception; at $s = 2n$ it is as likely as "
        "not.",
        empty_is_the_rule="beyond 2n",
    ),
)
def empty_version_space(
    seed,
    *,
    dimensions=(10, 20),
    points_per_dimension=(1.0, 1.5, 2.5, 3.0),
    labellings=50,
    empty_is_the_rule="up to 2n",
):
    """Measures the share of random labellings of normal points that no hyperplane through the origin separates.

    Compared with the share of those that one does, below and above two points for every dimension; non-negative least
    squares decide. The document has it the wrong way round: its own formula counts all labellings as separable for few
    points, and a vanishing share for many.
    """
    rows = []
    for dimension, ratio in itertools.product(dimensions, points_per_dimension):
        generator = np.random.default_rng((seed, dimension, round(100 * ratio)))
        size = (labellings, round(ratio * dimension), dimension)
        signed = generator.normal(size=size) * generator.choice([-1, 1], size=(*size[:2], 1))
        empty = np.mean([not separable(points) for points in signed])
        as_rule = (ratio > 2) == (empty_is_the_rule == "beyond 2n")
        for version_space, share in (
            ("rule", empty if as_rule else 1 - empty),
            ("exception", 1 - empty if as_rule else empty),
        ):
            where = {"dimension": dimension, "points_per_dimension": ratio}
            rows.append(where | {"version_space": version_space, "share": share})
    return pd.DataFrame(rows)
