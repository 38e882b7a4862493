"""One hidden layer approximates what it is asked to: which functions, with which activations, and how fast."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Boundary, Rival, ScalingLaw, cheatsheet, claim, lectures, notes
from repro.claims.expressivity._approximation import best_errors, hidden_layer, targets

with epy.lazy_imports():
    import keras
    import scipy.special


def _falls(each, **where):
    """Any accuracy is reached where errors fall on with the width, as some power of it."""
    because = "halfway between none and the inverse root, of a jump that falls into one of as many cells as units"
    return ScalingLaw("width", "error", at_most=-0.25, because=because, each=each, where=where)


@claim(
    "A network with one hidden layer of S-shaped units, such as sigmoid or tanh, can approximate any measurable "
    "function on a compact set to any accuracy; ReLU networks are universal approximators.",
    source=(lectures("Theorem 2.2.1", parts=("s_shaped",)), cheatsheet("1.2.4", parts=("relu",))),
    kind="theorem",
    scope="unbounded width, existence of weights; in which sense a discontinuous function is approximated is left open",
    left_open=("target", "accuracy"),
    literature="Cybenko 1989 and Hornik 1991: uniformly if continuous, in the mean otherwise; Hornik, Stinchcombe and "
    "White 1989: measurable functions in measure; Leshno et al. 1993 for ReLU",
    criterion=AllOf(
        s_shaped=_falls(("target", "accuracy"), shape="S"),
        relu=_falls(("target", "accuracy"), shape="ReLU"),
    ),
    boundary=Boundary(
        "for continuous functions uniformly and in the mean, for discontinuous ones in the mean: a network is "
        "continuous, and misses a jump by half of it somewhere",
        holds="target == 'continuous' or accuracy == 'mean'",
        assumption="accuracy in measure or in the mean where the function is not continuous; Hornik, Stinchcombe and "
        "White 1989",
    ),
    smoke={"widths": (32, 64, 128)},
    control={"instead": "cube"},
)
def universal_approximation(seed, *, widths=(32, 64, 128, 256), instead=""):
    """Errors of one hidden Keras layer with the best output weights against its width, on the unit interval.

    Targets are random sums of three sines, and the same with a jump of their own range at a random place; both have
    values from nought to one. Hidden weights are constructed: middles or kinks spread over the interval, S-shaped units
    as steep as their neighbours allow. Mean is the root mean square over 2001 points, sup the largest error; widths are
    32 to 256. The slowest error that theory lets vanish is that of the jump: it is missed within one of m cells, which
    leaves the inverse root of m in the mean. The control has the cube for all activations, whose sums are polynomials
    of degree three.
    """
    generator = np.random.default_rng(seed)
    x, functions = targets(generator)
    rows = []
    shapes = (("sigmoid", "S"), ("tanh", "S"), ("relu", "ReLU"))
    for (activation, shape), width in itertools.product(shapes, widths):
        hidden = hidden_layer(generator, x, width, instead or activation)
        for target, values in functions.items():
            errors = zip(("mean", "sup"), best_errors(hidden, values), strict=True)
            place = {"activation": activation, "shape": shape, "target": target, "width": width}
            rows += [{**place, "accuracy": accuracy, "error": error} for accuracy, error in errors]
    return pd.DataFrame(rows)


@claim(
    "With a non-linear activation a two-layer network is a universal approximator of functions; with the identity it "
    "is not.",
    source=notes("Remark 3.62"),
    kind="theorem",
    scope="one hidden layer of unbounded width; which non-linear functions are meant is left open",
    left_open=("activation",),
    literature="Leshno, Lin, Pinkus and Schocken 1993: if and only if the activation is no polynomial",
    criterion=AllOf(
        mean=_falls(("activation",), accuracy="mean"),
        sup=_falls(("activation",), accuracy="sup"),
    ),
    boundary=Boundary(
        "for activations that are no polynomials; sums of units that are polynomials are polynomials of the same "
        "degree, whatever their number",
        holds="activation == 'tanh' or activation == 'relu'",
        assumption="the activation is no polynomial; Leshno, Lin, Pinkus and Schocken 1993",
    ),
    smoke={"widths": (32, 64, 128)},
    control={"activations": ("linear",)},
)
def nonlinear_suffices(seed, *, widths=(32, 64, 128, 256), activations=("tanh", "relu", "square", "cube")):
    """Errors of one hidden Keras layer with the best output weights against its width, on continuous targets.

    As in ``universal_approximation``, with square and cube for non-linear activations that are polynomials; the control
    has the identity.
    """
    generator = np.random.default_rng(seed)
    x, functions = targets(generator)
    rows = []
    for activation, width in itertools.product(activations, widths):
        errors = best_errors(hidden_layer(generator, x, width, activation), functions["continuous"])
        for accuracy, error in zip(("mean", "sup"), errors, strict=True):
            rows.append({"activation": activation, "width": width, "accuracy": accuracy, "error": error})
    return pd.DataFrame(rows)


# Exponents end halfway between the theorem's -1 and -2/d, the rate of the best fixed basis (Barron 1993, theorem 6).
def _rate(error, dimension, **where):
    halfway = -(1 + 2 / dimension) / 2
    because = f"halfway between -1 and that of the best fixed basis in {dimension} dimensions"
    return ScalingLaw("units", error, at_most=halfway, because=because, where={"dimension": dimension, **where})


@claim(
    r"For f with finite $C_f = \int \|\omega\| |\hat f(\omega)| d\omega$ there is a network $g_m$ with one hidden "
    r"layer of width m with $\int_B (f(x) - g_m(x))^2 \mu(dx) \le O(1/m)$.",
    source=cheatsheet("1.2.3"),
    kind="theorem",
    scope="sigmoid units, bounded B, any probability measure; the best network of its width, not a trained one; the "
    "sheet has the transform of the derivative beside the factor of the frequency",
    transcription=True,
    literature="Barron 1993, theorem 1: (2 r C_f)^2 / m in a ball of radius r; theorem 6: no better than m^(-2/d) for "
    "a fixed basis",
    criterion=AllOf(
        bound=AtMost("squared_error", bound="barron"),
        three_dimensions=_rate("relative_error", 3),
        five_dimensions=_rate("relative_error", 5),
    ),
    rival=Rival(
        "The same holds for the first m functions of a fixed basis.",
        criterion=AllOf(
            three_dimensions=_rate("fixed_basis", 3, of="cosines"),
            five_dimensions=_rate("fixed_basis", 5, of="cosines"),
        ),
    ),
    smoke={"points": 600},
)
def barron_rate(seed, *, dimensions=(3, 5), points=1500, units=(8, 16, 32, 64)):
    r"""Squared errors of networks that are built greedily, unit by unit, with the best output weights for each width.

    The measure is that of 1500 uniform points in the unit ball of three or five dimensions. Functions: sums of three
    cosines of random directions, phases and frequencies from six to twelve, with $C_f$ the sum of amplitudes times
    frequencies; and a Gaussian bump of deviation one half, with $C_f = \sqrt 2\, \Gamma((d + 1) / 2) / (\Gamma(d / 2) /
    2)$. Units are Keras' sigmoids in directions of their spectrum, as in Barron's proof, with random offsets and
    slopes; each step takes the one that correlates best with what is left (orthogonal matching pursuit). Errors are
    squared means, against (2 r C_f)^2 / m; for the rate relative to the variance, of both functions together. The fixed
    basis has the cosines and sines of lowest frequencies of the lattice pi k, fitted by least squares; it is
    asked of the sums of cosines, since a smooth bump is easy for it.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for dimension in dimensions:
        x = generator.normal(size=(points, dimension))
        x *= generator.uniform(size=(points, 1)) ** (1 / dimension) / np.linalg.norm(x, axis=1, keepdims=True)
        basis = _lowest_frequencies(x, max(units))
        for name in ("cosines", "bump"):
            values, barron, directions = _barron_function(generator, x, name)
            errors = _greedy_errors(values, _sigmoids(generator, x, directions), units)
            fixed = [np.mean((values - _fitted(basis[:, :number], values)) ** 2) for number in units]
            table = {
                "units": units,
                "squared_error": errors,
                "barron": (2 * barron) ** 2 / np.array(units),
                "relative_error": errors / np.var(values),
                "fixed_basis": np.array(fixed) / np.var(values),
            }
            rows.append(pd.DataFrame({"dimension": dimension, "of": name, **table}))
    return pd.concat(rows, ignore_index=True)


def _barron_function(generator, x, name):
    """Values at the points, constant of Barron, and directions of the spectrum."""
    dimension = x.shape[1]
    directions = generator.normal(size=(3 if name == "cosines" else 200, dimension))
    directions /= np.linalg.norm(directions, axis=1, keepdims=True)
    if name == "bump":
        mean_norm = 2**0.5 * np.exp(scipy.special.gammaln((dimension + 1) / 2) - scipy.special.gammaln(dimension / 2))
        return np.exp(-2 * (x**2).sum(axis=1)), 2 * mean_norm, directions
    frequencies, amplitudes = generator.uniform(6, 12, size=3), generator.uniform(0.5, 1, size=3)
    phases = generator.uniform(0, 2 * np.pi, size=3)
    return np.cos(x @ directions.T * frequencies + phases) @ amplitudes, amplitudes @ frequencies, directions


def _sigmoids(generator, x, directions, candidates=600):
    """Values of units in random ones of the directions, [points, candidates], by Keras."""
    chosen = directions[generator.integers(len(directions), size=candidates)]
    slopes = np.exp(generator.uniform(np.log(2), np.log(40), size=candidates))
    offsets = generator.uniform(-1, 1, size=candidates)
    z = slopes * (x @ chosen.T - offsets)
    return keras.ops.convert_to_numpy(keras.activations.sigmoid(keras.ops.convert_to_tensor(z)))


def _greedy_errors(values, candidates, units):
    """Mean squared errors of orthogonal matching pursuit with a bias, at each number of units."""
    basis = np.full((len(values), 1), len(values) ** -0.5)
    left, errors = values - values.mean(), []
    candidates = candidates - candidates.mean(axis=0)
    for number in range(1, max(units) + 1):
        norms = np.linalg.norm(candidates, axis=0)
        usable = norms > 1e-6
        scores = np.where(usable, np.abs(left @ candidates) / np.where(usable, norms, 1.0), 0.0)
        best = candidates[:, scores.argmax()] / norms[scores.argmax()]
        basis = np.column_stack([basis, best])
        left = left - best * (best @ left)
        candidates = candidates - np.outer(best, best @ candidates)
        if number in units:
            errors.append(np.mean(left**2))
    return np.array(errors)


def _lowest_frequencies(x, number):
    """Bias, then cosines and sines of the lattice's lowest frequencies, as many functions as asked for besides it."""
    reach = range(-2, 3)
    lattice = sorted(itertools.product(reach, repeat=x.shape[1]), key=lambda k: (np.square(k).sum(), k))
    half = [k for k in lattice if k > tuple([0] * x.shape[1])][: -(-number // 2)]
    angles = np.pi * x @ np.array(half).T
    pairs = np.stack([np.cos(angles), np.sin(angles)], axis=2).reshape(len(x), -1)
    return np.column_stack([np.ones(len(x)), pairs[:, :number]])


def _fitted(features, values):
    return features @ np.linalg.lstsq(features, values, rcond=None)[0]
