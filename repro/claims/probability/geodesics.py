"""Shortest curves under a metric that the data give."""

from __future__ import annotations

from functools import partial
from itertools import product

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Greater, PositiveControl, claim, notes
from repro.engine.backend import compile_function, value_and_gradient

with epy.lazy_imports():
    import keras
    import scipy.optimize

NOISE, FLOOR, SEGMENTS, STEP = 0.08, 1e-3, 20, 0.25
BANDWIDTHS = {"small": 0.12, "large": 0.8}
ENDS = ("on the data", "off the data")


def _pulled(curve, smallest, source=""):
    """Ask that data are denser along a curve than along the straight line."""
    return Greater(
        "density",
        of=curve,
        than="straight line",
        by="curve",
        smallest_ratio=smallest,
        each=("ends", "bandwidth"),
        where={"of": "density"},
        source=source,
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
    criterion=AllOf(
        direction=Greater(
            "distance",
            of="dearest",
            than="cheapest",
            by="axis",
            smallest_ratio=1.05,
            each=("ends", "bandwidth"),
            where={"of": "direction"},
        ),
        pulled=_pulled("geodesic", 1.05),
    ),
    boundary=Boundary(
        "for the direction, and for the pull if the bandwidth is well below the radius of the data, since a weighted "
        "square is largest at 1.4 bandwidths from a point",
        holds="part == 'direction' or bandwidth == 'small'",
    ),
    positive_control=PositiveControl(
        "A path along the circle between the same ends is denser than the straight line.",
        criterion=_pulled("circle", 1.1025, source="twice the smallest effect that matters"),
    ),
    control={"metric": "isotropic"},
    seeds=48,
)
def geodesic_direction(seeds, *, metric="diagonal", points=60):
    """Minimises the energy of curves under the metric of points on a noisy half circle; looks at lengths and places.

    60 points at radius one with normal noise of 0.08. The metric at x is diagonal, with one over the summed squared
    coordinates of offsets from x, weighted by a Gaussian of their length (bandwidth 0.12 or 0.8), plus 0.001. Curves of
    20 segments are optimised by SciPy's L-BFGS with gradients by Keras, until they converge. Direction: from a point of
    the circle or one at radius 0.5, geodesic distances to both points 0.25 away (a third of the large bandwidth, twice
    the small one) along the axis of the smaller eigenvalue there are compared with those along the other axis. Pull:
    ends are places of the circle, 120 to 150 degrees apart, or at radius 0.5 and 1.5, 60 to 90 degrees apart; curves
    start from the straight line and from a path along the circle, and the better one counts; density is the mean of
    that of the points by length. The positive control is that path, radius, arc and radius. The control's metric has
    the mean of both covariances on either axis, so that no axis is cheaper.
    """
    energy = compile_function(partial(_energy, isotropic=metric == "isotropic"))
    rows = []
    for seed in seeds:
        generator = np.random.default_rng(seed)
        angles = generator.uniform(0, np.pi, size=points)
        data = _polar(1 + NOISE * generator.normal(size=points), angles)
        middle, half = generator.uniform(1.3, 1.8), np.deg2rad(generator.uniform(60, 75))
        apart = np.deg2rad(generator.uniform(60, 90))
        first = generator.uniform(0.2, np.pi - 0.2 - apart)
        paths = {
            "on the data": _paths(1.0, 1.0, middle - half, middle + half),
            "off the data": _paths(0.5, 1.5, first, first + apart),
        }
        cases = list(product(ENDS, BANDWIDTHS))
        places = [_polar(1.0 if ends == "on the data" else 0.5, generator.uniform(0.3, np.pi - 0.3)) for ends in ENDS]
        widths = np.array([BANDWIDTHS[bandwidth] for _, bandwidth in cases])
        steps = [_steps(places[ENDS.index(ends)], data, BANDWIDTHS[bandwidth]) for ends, bandwidth in cases]
        _, lengths = _optimise(energy, np.stack(steps), data, widths)
        curves, of_curves = _optimise(energy, np.stack([paths[ends] for ends, _ in cases]), data, widths)
        for place, (ends, bandwidth) in enumerate(cases):
            case = {"seed": seed, "ends": ends, "bandwidth": bandwidth}
            straight, circle = paths[ends]
            geodesic = curves[place, of_curves[place].argmin()]
            for name, curve in (("geodesic", geodesic), ("straight line", straight), ("circle", circle)):
                rows.append({**case, "of": "density", "curve": name, "density": _mean_density(curve)})
            for axis, both in (("cheapest", lengths[place, :2]), ("dearest", lengths[place, 2:])):
                rows.append({**case, "of": "direction", "axis": axis, "distance": both.mean()})
    return pd.DataFrame(rows)


def _polar(radius, angle):
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], axis=-1)


def _paths(inner, outer, first, last):
    """Straight line between two places, and the path along radius, circle and radius, [2, SEGMENTS + 1, 2]."""
    share = np.linspace(0, 1, SEGMENTS + 1)
    ends = _polar(inner, first), _polar(outer, last)
    corners = np.cumsum([0.0, 1 - inner, last - first, outer - 1])
    along = share * corners[-1]
    radius = np.interp(along, corners, [inner, 1.0, 1.0, outer]) if inner != outer else np.ones_like(along)
    circle = _polar(radius, first + np.clip(along - corners[1], 0, last - first))
    return np.stack([ends[0] + share[:, None] * (ends[1] - ends[0]), circle])


def _steps(place, data, width):
    """Straight lines from a place, both ways along the axis of the smaller eigenvalue, then along the other one."""
    cheapest = np.eye(2)[_metric(place, data, width, np).argmin()]
    ends = STEP * np.array([cheapest, -cheapest, cheapest[::-1], -cheapest[::-1]])
    return place + np.linspace(0, 1, SEGMENTS + 1)[None, :, None] * ends[:, None]


def _metric(places, data, width, ops):
    """Diagonal of the metric [..., 2] at some places; ``width`` is one bandwidth, or broadcasts with places."""
    offsets = ops.square(places[..., None, :] - data)
    weights = ops.exp(-ops.sum(offsets, axis=-1, keepdims=True) / (2 * width**2))
    return 1 / (ops.sum(weights * offsets, axis=-2) + FLOOR)


def _energy(inner, starts, data, width, *, isotropic=False):
    """Summed logarithms of the energies of curves, each least at constant speed along a geodesic.

    Args:
        inner: Points of curves between the ends, [cases, paths, SEGMENTS - 1, 2].
        starts: Curves with their ends, [cases, paths, SEGMENTS + 1, 2].
        data: Points of the metric, [points, 2].
        width: Bandwidths, [cases, 1, 1, 1, 1].
        isotropic: Whether both axes have the mean of the covariances.

    Returns:
        The sum, the logarithms [cases, paths], and the gradient of the sum.
    """

    def logarithms(values):
        curve = keras.ops.concatenate([starts[:, :, :1], values[0], starts[:, :, -1:]], axis=2)
        steps, middles = curve[:, :, 1:] - curve[:, :, :-1], (curve[:, :, 1:] + curve[:, :, :-1]) / 2
        metric = _metric(middles, data, width, keras.ops)
        if isotropic:
            metric = 1 / keras.ops.mean(1 / metric, axis=-1, keepdims=True)
        of_curves = keras.ops.log(keras.ops.sum(metric * keras.ops.square(steps), axis=(2, 3)))
        return keras.ops.sum(of_curves), of_curves

    total, of_curves, (gradient,) = value_and_gradient(logarithms, [inner])
    return total, of_curves, gradient


def _optimise(energy, starts, data, widths):
    """Curves [cases, paths, SEGMENTS + 1, 2] of least energies from all starts, and their lengths [cases, paths]."""
    shape = starts[:, :, 1:-1].shape
    fixed = [keras.ops.convert_to_tensor(array) for array in (starts, data, widths.reshape(-1, 1, 1, 1, 1))]

    def objective(flat):
        total, _, gradient = energy(keras.ops.convert_to_tensor(flat.reshape(shape)), *fixed)
        return float(total), keras.ops.convert_to_numpy(gradient).ravel()

    options = {"maxiter": 400, "maxfun": 500}
    found = scipy.optimize.minimize(objective, starts[:, :, 1:-1].ravel(), jac=True, method="L-BFGS-B", options=options)
    inner = found.x.reshape(shape)
    _, of_curves, _ = energy(keras.ops.convert_to_tensor(inner), *fixed)
    curves = np.concatenate([starts[:, :, :1], inner, starts[:, :, -1:]], axis=2)
    return curves, np.sqrt(SEGMENTS * np.exp(keras.ops.convert_to_numpy(of_curves)))  # at constant speed


def _mean_density(curve):
    """Mean density of points on the noisy half circle along a curve, by length, up to a constant factor."""
    lengths = np.linalg.norm(np.diff(curve, axis=0), axis=1)
    middles = (curve[1:] + curve[:-1]) / 2
    radius = np.linalg.norm(middles, axis=1)
    density = np.exp(-((radius - 1) ** 2) / (2 * NOISE**2)) / radius * (middles[:, 1] > 0)
    return float(np.sum(density * lengths) / lengths.sum())
