"""Statistical learning theory: VC dimension and the VC inequality."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from etils import epy

from repro import AtMost, Correction, Identity, cheatsheet, claim

with epy.lazy_imports():
    import scipy.optimize


@claim(
    "The VC dimension is the largest $s$ at which some sample of size $s$ can be labelled in all $2^s$ ways; for "
    "half-spaces of dimension $d$ that is $d + 1$.",
    source=cheatsheet("1.9.4"),
    kind="formula",
    root="vc_dimension",
    literature="Vapnik and Chervonenkis 1971; Radon 1921 for the upper limit",
    criterion=Identity("dimension", "expected", each=("inputs",)),
    control={"threshold": False},
)
def vc_halfspaces(seed, *, inputs=(1, 2, 3), samples=3, threshold=True):
    """Looks for the largest sample that half-spaces shatter, by linear programming.

    For every size up to d + 2 a few random normal samples, and for every labelling (up to exchanging the labels) a
    linear programme that asks for a separating half-space. Without a threshold, half-spaces through the origin shatter
    only d points.
    """
    rows = []
    for dimension, shattered in _shattered(seed, inputs, samples, threshold):
        largest = max(size for size, found in shattered.items() if found)
        rows.append({"inputs": dimension, "dimension": largest, "expected": dimension + 1})
    return pd.DataFrame(rows)


@claim(
    r"$\mathrm{VC\text{-}dim}(F) := \max_s \sup_{|S|=s} \mathbf{1}[|F(S)| = 2^s]$.",
    source=cheatsheet("1.9.4"),
    kind="formula",
    root="vc_dimension",
    transcription=True,
    literature="Vapnik and Chervonenkis 1971",
    criterion=Identity("value", "expected", each=("inputs",)),
    correction=Correction(
        r"$\mathrm{VC\text{-}dim}(F) := \max\{s : \sup_{|S|=s} \mathbf{1}[|F(S)| = 2^s] = 1\}$: the largest size at "
        "which the indicator is 1, not the indicator's own largest value.",
        of="size",
    ),
)
def vc_formula(seed, *, inputs=(1, 2, 3), samples=3, of="indicator"):
    """Evaluates the expression for half-spaces by enumeration of labellings, against their VC dimension d + 1.

    The supremum is over a few random samples of every size up to d + 2 (Radon: no larger one is shattered). As printed,
    the maximum over sizes is that of an indicator, so that it is 1 for every class that can label one point both ways.
    """
    rows = []
    for dimension, shattered in _shattered(seed, inputs, samples, threshold=True):
        values = [found * (size if of == "size" else 1) for size, found in shattered.items()]
        rows.append({"inputs": dimension, "value": max(values), "expected": dimension + 1})
    return pd.DataFrame(rows)


@claim(
    r"$P(\sup_{f \in F} |\hat E(f) - E(f)| > \varepsilon) \le 8 |F(s)| e^{-s\varepsilon^2/32}$.",
    source=cheatsheet("1.9.4"),
    kind="theorem",
    literature="Devroye, Györfi and Lugosi 1996, theorem 12.5",
    criterion=AtMost("frequency", bound="bound"),
    control={"shatters": True},
)
def vc_inequality(seed, *, samples=20, sizes=(4000, 16_000), deviations=(0.3, 0.5, 0.7), shatters=False):
    """Compares how often the worst deviation of a class exceeds epsilon with the bound, where that is below 1.

    Thresholds and intervals on uniform inputs that are all of class 0, so that a function's error is the probability of
    where it says 1: the worst deviations over the whole class are the statistics of Kolmogorov and of Kuiper, exactly.
    |F(s)| is s + 1 and 1 + s (s + 1) / 2. The bound is far from sharp, so no violation is to be expected. The control
    also allows functions that say 1 on the sample alone: the class has no finite VC dimension, and the bound does not
    know it.
    """
    rows = []
    for size in sizes:
        points = np.sort(np.random.default_rng((seed, size)).uniform(size=(samples, size)), axis=1)
        above = (np.arange(1, size + 1) / size - points).max(axis=1)
        below = (points - np.arange(size) / size).max(axis=1)
        worst = {
            "thresholds": (np.maximum(above, below), size + 1),
            "intervals": (above + below, 1 + size * (size + 1) / 2),
        }
        for (name, (deviation, growth)), epsilon in itertools.product(worst.items(), deviations):
            bound = 8 * growth * np.exp(-size * epsilon**2 / 32)
            if bound < 1:
                frequency = np.mean((np.ones(samples) if shatters else deviation) > epsilon)
                labels = {"functions": name, "size": size, "epsilon": epsilon}
                rows.append({**labels, "frequency": frequency, "bound": bound})
    return pd.DataFrame(rows)


def _shattered(seed, inputs, samples, threshold):
    """For each dimension whether half-spaces shatter some random sample of each size up to d + 2."""
    generator = np.random.default_rng(seed)
    for dimension in inputs:
        yield (
            dimension,
            {
                size: any(_is_shattered(generator.normal(size=(size, dimension)), threshold) for _ in range(samples))
                for size in range(1, dimension + 3)
            },
        )


def _is_shattered(points, threshold):
    features = np.column_stack([points, np.ones(len(points))]) if threshold else points
    labellings = itertools.product((1.0, -1.0), repeat=len(points) - 1)
    return all(_is_separable(features * np.array([1.0, *labels])[:, None]) for labels in labellings)


def _is_separable(signed):
    """Whether some vector has a product of at least 1 with every row."""
    columns = signed.shape[1]
    programme = scipy.optimize.linprog(
        np.zeros(columns), A_ub=-signed, b_ub=-np.ones(len(signed)), bounds=[(None, None)] * columns
    )
    return programme.status == 0
