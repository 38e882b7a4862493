"""How many labellings of points a hyperplane can separate."""

from __future__ import annotations

import itertools
import math

import numpy as np
import pandas as pd

from repro import AllOf, Correction, Equivalent, Greater, Identity, Rival, ScalingLaw, cheatsheet, claim
from repro.claims.perceptron._sets import separable

COVER = cheatsheet("1.1 Cover's Theorem")


@claim(
    r"$C(s+1, n) = 2 \sum_{i=0}^{n-1} \binom{s}{i}$, where $C(s, n)$ is the number of ways to separate $s$ points in "
    r"$n$ dimensions; $C(s, n) = 2^s$ for $s \le n$.",
    source=COVER,
    kind="formula",
    scope="hyperplanes through the origin, points in general position (which is not printed)",
    literature="Cover 1965",
    criterion=AllOf(
        formula=Identity("separable", "formula"),
        all=Identity("separable", "labellings", where={"few": True}),
    ),
    smoke={"most": 6},
    full={"most": 11, "dimensions": (1, 2, 3, 4, 5, 6)},
    control={"arrangement": "on a line"},
    rival=Rival(
        r"$C(s+1, n) = 2 \sum_{i=0}^{n} \binom{s}{i}$, as it is for hyperplanes with a bias.",
        criterion=Identity("separable", "with_bias"),
    ),
)
def cover_count(seed, *, most=8, dimensions=(1, 2, 3, 4), arrangement="general"):
    """Counts the separable labellings of random points exhaustively, for every number of points up to the given one.

    Normal points, hyperplanes through the origin; the rival's have a bias, which is one more dimension. A labelling is
    separable unless the origin lies in the convex hull of all y x, which non-negative least squares decide. Points on
    one line, the control, have fewer separable labellings.
    """
    rows = []
    for dimension in dimensions:
        generator = np.random.default_rng((seed, dimension))
        x = generator.normal(size=(most, dimension))
        if arrangement == "on a line":
            x = x[0] + np.outer(generator.normal(size=most), x[1])
        for number in range(1, most + 1):
            formulas = {"formula": _cover(number, dimension), "with_bias": _cover(number, dimension + 1)}
            row = {"separable": _separable_labellings(x[:number]), "labellings": 2**number, **formulas}
            rows.append({"dimension": dimension, "points": number, "few": number <= dimension, **row})
    return pd.DataFrame(rows)


def _cover(points, dimension):
    """Number of separable labellings of points in general position, as the cheat sheet prints it."""
    return 2 * sum(math.comb(points - 1, i) for i in range(dimension))


def _separable_labellings(x):
    """Number of labellings of points that a hyperplane through the origin separates; each has a mirror image."""
    others = itertools.product((-1, 1), repeat=len(x) - 1)
    return 2 * sum(separable(x * np.array([1, *labels])[:, None]) for labels in others)


@claim(
    r"The separability of $s$ randomly labelled points in dimension $n$ has a phase transition at $s = 2n$.",
    source=COVER,
    kind="law",
    scope="points in general position, hyperplanes through the origin; sharp as n grows",
    literature="Cover 1965: the largest separable number has mean and median 2n and standard deviation √(2n)",
    criterion=AllOf(
        place=Equivalent(
            "half_point",
            2.0,
            smallest_difference=0.1,
            source="the project's table: five per cent of a ratio, which is 2 here",
            where={"largest": True},
        ),
        sharpening=ScalingLaw(
            x="dimension",
            y="width",
            expected=-0.5,
            rivals=(0.0, -1.0),
            because="by the standard deviation √(2n) of Cover 1965; rivals are a constant width and an inverse one",
        ),
    ),
    smoke={"dimensions": (5, 20), "labellings": 100},
    full={"dimensions": (5, 10, 20, 40, 80), "labellings": 200},
    control={"subspace": 0.5},
)
def cover_transition(seed, *, dimensions=(5, 10, 20, 40), labellings=50, subspace=1.0):
    """Finds the share of labellings that are separable against the number of points over the dimension.

    Each labelling is a growing sequence of normal points with random labels, up to five for every dimension; bisection
    finds how many of them a hyperplane through the origin separates. The half-point is where the share of separable
    sequences, interpolated, falls through one half; the width is from three quarters to one quarter; both over the
    dimension. The place is that of the largest dimension; by Cover's formula the share is C(s, n) / 2^s, which is one
    half at 2n exactly. Points in a subspace of half the dimension, the control, are not in general position: theirs is
    at half as many points.
    """
    rows = []
    for dimension in dimensions:
        generator = np.random.default_rng((seed, dimension))
        most = 5 * dimension
        largest = []
        for _ in range(labellings):
            x = generator.normal(size=(most, dimension))
            x[:, round(subspace * dimension) :] = 0
            largest.append(_largest_separable(x * generator.choice([-1, 1], size=(most, 1))))
        three_quarters, half, quarter = (_crossing(largest, most, share) for share in (0.75, 0.5, 0.25))
        place = {"half_point": half / dimension, "width": (quarter - three_quarters) / dimension}
        rows.append({"dimension": dimension, "largest": dimension == max(dimensions), **place})
    return pd.DataFrame(rows)


def _largest_separable(signed):
    """Number of points of a sequence, from its start, that are separable; a single point always is."""
    fewest, most = 1, len(signed)
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
    scope="random labels, points in general position, hyperplanes through the origin",
    literature="Cover 1965: the probability of a separable labelling is C(s, n) / 2^s, which falls through 1/2 at 2n",
    criterion=AllOf(
        beyond=Greater(
            "share",
            of="not empty",
            than="empty",
            by="version_space",
            smallest_difference=0.01,
            where={"side": "s > 2n"},
        ),
        otherwise=Greater(
            "share",
            of="empty",
            than="not empty",
            by="version_space",
            smallest_difference=0.01,
            where={"side": "s < 2n"},
        ),
    ),
    smoke={"dimensions": (10,)},
    full={"dimensions": (10, 20, 40), "labellings": 500},
    correction=Correction(
        r"A share $1 - C(s, n) / 2^s$ of all labellings has an empty version space: the exception for $s < 2n$, one "
        "half at $s = 2n$, the rule beyond.",
        criterion=Identity("empty", "predicted", atol=1e-12, where={"side": "all labellings"}),
    ),
)
def empty_version_space(
    seed, *, dimensions=(10, 20), points_per_dimension=(1.0, 1.5, 2.5, 3.0), labellings=50, counted=(3, 4, 5, 6, 7, 9)
):
    """Measures the share of random labellings of normal points that no hyperplane through the origin separates.

    Compared with the share of those that one does, over all sizes below and all above two points for every dimension;
    non-negative least squares decide. The document has it the wrong way round: its own formula counts all labellings as
    separable for few points, and a vanishing share for many. The correction comes from that formula (Cover's, with a
    proof by induction) and is checked by counting all labellings of 3 to 9 points in three dimensions, 6 being 2n.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for side, ratios in (
        ("s < 2n", [ratio for ratio in points_per_dimension if ratio < 2]),
        ("s > 2n", [ratio for ratio in points_per_dimension if ratio > 2]),
    ):
        empty = []
        for dimension, ratio in itertools.product(dimensions, ratios):
            size = (labellings, round(ratio * dimension), dimension)
            signed = generator.normal(size=size) * generator.choice([-1, 1], size=(*size[:2], 1))
            empty += [not separable(points) for points in signed]
        share = np.mean(empty)
        for version_space, part in (("empty", share), ("not empty", 1 - share)):
            rows.append({"side": side, "version_space": version_space, "share": part})
    x = generator.normal(size=(max(counted), 3))
    for points in counted:
        empty, predicted = (1 - number / 2**points for number in (_separable_labellings(x[:points]), _cover(points, 3)))
        rows.append({"side": "all labellings", "points": points, "empty": empty, "predicted": predicted})
    return pd.DataFrame(rows)
