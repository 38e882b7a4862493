"""Shortest curves under a metric that the data give."""

from __future__ import annotations

from itertools import product

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Greater, PositiveControl, claim, notes
from repro.engine.backend import compile_function, value_and_gradient

with epy.lazy_imports():
    import keras
    import scipy.optimize

NOISE, FLOOR, SEGMENTS = 0.08, 1e-3, 20
BANDWIDTHS = {"small": 0.12, "large": 0.8}
ENDS = ("along the data", "across the data")


def _followed_and_denser(curve, smallest, source=""):
    """Ask that a curve follows the cheapest axis, and that data are denser along it than along the straight line."""
    each = ("ends", "bandwidth")
    return AllOf(
        direction=Greater(
            "alignment",
            of="cheapest",
            than="dearest",
            by="axis",
            smallest_ratio=smallest,
            each=each,
            where={"of": "direction", "curve": curve},
            source=source,
        ),
        pulled=Greater(
            "density",
            of=curve,
            than="straight line",
            by="curve",
            smallest_ratio=smallest,
            each=each,
            where={"of": "density"},
            source=source,
        ),
    )


@claim(
    "The inverse of a local diagonal covariance can be treated as a metric tensor: the eigenvector of its smallest "
    "eigenvalue is the direction of the geodesic, and geodesics are pulled towards the data, where the metric is "
    "small.",
    source=notes("Remark 2.11"),
    kind="tendency",
    scope="the locally cheapest direction, data in two dimensions; end points and the bandwidth of the local "
    "covariance are left open",
    left_open=("ends", "bandwidth"),
    literature="Arvanitidis, Hansen and Hauberg 2016, section 3: weights of the local covariance are Gaussian, and a "
    "small constant is added",
    criterion=_followed_and_denser("geodesic", 1.05),
    boundary=Boundary(
        "for the direction unless the curve crosses the data and the bandwidth is large, since with a small one the "
        "local covariance away from the data points to the nearest of them; and for the pull between two points of the "
        "data with a bandwidth below the gap that the straight line crosses",
        holds="(part == 'direction' and (ends == 'along the data' or bandwidth == 'small')) or "
        "(ends == 'along the data' and bandwidth == 'small')",
    ),
    positive_control=PositiveControl(
        "A path along the circle follows the cheapest axis and is denser than the straight line.",
        criterion=_followed_and_denser("circle", 1.1025, source="twice the smallest effect that matters"),
    ),
    control={"metric_of": "uniform points"},
    seeds=48,
)
def geodesic_direction(seeds, *, metric_of="data", points=60):
    """Minimises the energy of curves under the metric of points on a noisy half circle, and looks where they go.

    60 points at radius one with normal noise of 0.08. The metric at x is diagonal, with one over the summed squared
    coordinates of offsets from x, weighted by a Gaussian of their length (bandwidth 0.12 or 0.8), plus 0.001. Curves of
    20 segments are optimised by SciPy's L-BFGS with gradients by Keras, from the straight line and from a path along
    the circle, and the better one counts. Ends are two places of the circle, 120 to 150 degrees apart, or lie on a ray
    at radius 0.5 and 1.5. Alignment with an axis is the mean squared cosine, by length, of the angle between them, and
    that with the axis of the smaller eigenvalue must exceed that with the other; density is the mean of that of the
    points, also by length, compared with the straight line's. The positive control is a path along the circle. The
    control takes the metric of as many points that are uniform over a rectangle around the half circle.
    """
    energy = compile_function(_energy)
    rows = []
    for seed in seeds:
        generator = np.random.default_rng(seed)
        angles = generator.uniform(0, np.pi, size=points)
        radii = 1 + NOISE * generator.normal(size=points)
        data = np.column_stack([radii * np.cos(angles), radii * np.sin(angles)])
        if metric_of == "uniform points":
            data = generator.uniform([-1.5, -0.5], [1.5, 1.5], size=(points, 2))
        middle, half = generator.uniform(1.3, 1.8), np.deg2rad(generator.uniform(60, 75))
        ray = generator.uniform(np.pi / 4, 3 * np.pi / 4)
        cases = [(*case, _paths(case[0], middle, half, ray)) for case in product(ENDS, BANDWIDTHS)]
        widths = [BANDWIDTHS[bandwidth] for _, bandwidth, _ in cases]
        curves, energies = _optimise(energy, np.stack([starts for *_, starts in cases]), data, np.array(widths))
        for place, (ends, bandwidth, starts) in enumerate(cases):
            geodesic, circle = curves[place, energies[place].argmin()], cases[0][2][1]
            for name, curve in (("geodesic", geodesic), ("straight line", starts[0]), ("circle", circle)):
                case = {"seed": seed, "ends": ends, "bandwidth": bandwidth, "curve": name}
                cheapest = _alignment(curve, data, widths[place])
                rows.append({**case, "of": "density", "density": _mean_density(curve)})
                rows.append({**case, "of": "direction", "axis": "cheapest", "alignment": cheapest})
                rows.append({**case, "of": "direction", "axis": "dearest", "alignment": 1 - cheapest})
    return pd.DataFrame(rows)


def _paths(ends, middle, half, ray):
    """Straight line and another path between two ends, [2, SEGMENTS + 1, 2]."""
    share = np.linspace(0, 1, SEGMENTS + 1)[:, None]
    if ends == "along the data":
        angle = middle + half * (2 * share - 1)
        detour = np.hstack([np.cos(angle), np.sin(angle)])
        first, last = detour[0], detour[-1]
    else:
        direction = np.array([np.cos(ray), np.sin(ray)])
        first, last = 0.5 * direction, 1.5 * direction
        aside = np.array([-direction[1], direction[0]])
        detour = first + share * (last - first) + 0.3 * np.sin(np.pi * share) * aside
    return np.stack([first + share * (last - first), detour])


def _metric(places, data, width, ops):
    """Diagonal of the metric [..., 2] at some places; ``width`` is one bandwidth, or broadcasts with places."""
    offsets = ops.square(places[..., None, :] - data)
    weights = ops.exp(-ops.sum(offsets, axis=-1, keepdims=True) / (2 * width**2))
    return 1 / (ops.sum(weights * offsets, axis=-2) + FLOOR)


def _energy(inner, starts, data, width):
    """Summed logarithms of the energies of curves, each least at constant speed along a geodesic.

    Args:
        inner: Points of curves between the ends, [cases, paths, SEGMENTS - 1, 2].
        starts: Curves with their ends, [cases, paths, SEGMENTS + 1, 2].
        data: Points of the metric, [points, 2].
        width: Bandwidths, [cases, 1, 1, 1, 1].

    Returns:
        The sum, the logarithms [cases, paths], and the gradient of the sum.
    """

    def logarithms(values):
        curve = keras.ops.concatenate([starts[:, :, :1], values[0], starts[:, :, -1:]], axis=2)
        steps, middles = curve[:, :, 1:] - curve[:, :, :-1], (curve[:, :, 1:] + curve[:, :, :-1]) / 2
        metric = _metric(middles, data, width, keras.ops)
        of_curves = keras.ops.log(keras.ops.sum(metric * keras.ops.square(steps), axis=(2, 3)))
        return keras.ops.sum(of_curves), of_curves

    total, of_curves, (gradient,) = value_and_gradient(logarithms, [inner])
    return total, of_curves, gradient


def _optimise(energy, starts, data, widths):
    """Curves [cases, paths, SEGMENTS + 1, 2] of the least energies from all starts, and the logarithms of these."""
    shape = starts[:, :, 1:-1].shape
    fixed = [keras.ops.convert_to_tensor(array) for array in (starts, data, widths.reshape(-1, 1, 1, 1, 1))]

    def objective(flat):
        total, _, gradient = energy(keras.ops.convert_to_tensor(flat.reshape(shape)), *fixed)
        return float(total), keras.ops.convert_to_numpy(gradient).ravel()

    options = {"maxiter": 200, "maxfun": 250}
    found = scipy.optimize.minimize(objective, starts[:, :, 1:-1].ravel(), jac=True, method="L-BFGS-B", options=options)
    inner = found.x.reshape(shape)
    _, of_curves, _ = energy(keras.ops.convert_to_tensor(inner), *fixed)
    curves = np.concatenate([starts[:, :, :1], inner, starts[:, :, -1:]], axis=2)
    return curves, keras.ops.convert_to_numpy(of_curves)


def _alignment(curve, data, width):
    """Mean squared cosine of the angle between a curve and the axis of the smaller eigenvalue, by length."""
    steps = np.diff(curve, axis=0)
    metric = _metric((curve[1:] + curve[:-1]) / 2, data, width, np)
    lengths = np.linalg.norm(steps, axis=1)
    cheapest = np.take_along_axis(steps, metric.argmin(axis=1)[:, None], axis=1)[:, 0]
    return float(np.sum(cheapest**2 / lengths) / lengths.sum())


def _mean_density(curve):
    """Mean density of points on the noisy half circle along a curve, by length, up to a constant factor."""
    lengths = np.linalg.norm(np.diff(curve, axis=0), axis=1)
    middles = (curve[1:] + curve[:-1]) / 2
    radius = np.linalg.norm(middles, axis=1)
    density = np.exp(-((radius - 1) ** 2) / (2 * NOISE**2)) / radius * (middles[:, 1] > 0)
    return float(np.sum(density * lengths) / lengths.sum())
