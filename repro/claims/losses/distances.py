"""What Wasserstein's distance has before divergences: far distributions, averages, small wiggles."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Greater, Identity, Reported, claim, notes
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras
    import scipy.integrate
    import scipy.optimize
    import scipy.spatial.distance

CASES = {
    "disjoint": ("bump", "from logarithms"),
    "overlapping tails": ("normal", "from logarithms"),
    "overlapping tails, single precision": ("normal", "by Keras"),
}
ARJOVSKY = tuple(
    Reported(
        value,
        measure=measure,
        setting="two parallel segments at a distance theta",
        place="Arjovsky et al. 2017, example 1",
    )
    for value, measure in (
        ("infinite, for every theta but zero", "Kullback-Leibler divergence"),
        ("log 2, for every theta but zero", "Jensen-Shannon divergence"),
        ("|theta|", "Wasserstein distance"),
    )
)


@claim(
    "For two distributions that are far apart the Kullback-Leibler divergence cannot reflect their distance and the "
    "Jensen-Shannon divergence is constant, which is deadly for backpropagation; the Wasserstein distance can tackle "
    "this, as the optimal plan always makes sense and varies.",
    source=notes("Remark 3.56"),
    kind="theorem",
    scope="distributions so far apart that their supports are disjoint, nearly at least; what tails that overlap and "
    "the precision of the computation do is left open",
    left_open=("supports",),
    literature="Arjovsky et al. 2017, example 1; the divergence of normal distributions of unit variance is half the "
    "square of their distance (Kullback and Leibler 1951)",
    criterion=AllOf(
        # the error of the grid at the kinks of densities is below 1e-5
        kl=Identity("found", "expected", dtype="float32", atol=1e-5, each=("supports",), where={"of": "KL"}),
        js=Identity("found", "expected", dtype="float32", atol=1e-5, each=("supports",), where={"of": "JS"}),
        wasserstein=Identity("found", "expected", operations=100, dtype="float32", where={"of": "W1"}),
    ),
    boundary=Boundary(
        "except that the Kullback-Leibler divergence of distributions with overlapping tails, where it is computed "
        "from the logarithms of densities, is half the square of their distance",
        holds="part != 'kl' or supports != 'overlapping tails'",
        assumption="Arjovsky et al. 2017: disjoint supports",
    ),
    control={"far": 0.3},
    reported=ARJOVSKY,
)
def disjoint_supports(seed, *, far=30.0):
    """Takes the three measures at two separations, from 30 to 40, and their slopes in the separation.

    Shapes of width about one: of disjoint supports, 1 + cos 2 pi x on an interval of length one, or with tails, normal
    ones of unit variance. From logarithms of the densities, in double precision, by Simpson's rule, with difference
    quotients as slopes; log 2 less the Jensen-Shannon divergence of the normal ones, which is exp(-112) and less, is
    beyond that precision. In single precision by Keras: probabilities of cells of 0.02 through Keras' divergence, which
    clips them at 1e-7, and the cumulated sum of their differences; slopes by automatic differentiation. Expected is of
    the Kullback-Leibler divergence that it is the same, such as infinite, at both separations, and that its slope is
    zero where it is finite, as the slope of an infinite one is not defined; of the Jensen-Shannon divergence so too; of
    Wasserstein's distance the separation itself, and a slope of one. In the control separations are from 0.3 to 0.4,
    and supports overlap.
    """
    near, farther = np.sort(np.random.default_rng(seed).uniform(far, far * 4 / 3, size=2))
    rows = []
    for supports, (shape, computed) in CASES.items():
        measure = _by_keras if computed == "by Keras" else partial(_from_logarithms, shape)
        first, second = measure(near), measure(farther)
        rows += [  # the part on Wasserstein's distance is about all supports together
            {"supports": supports if of != "W1" else np.nan, "of": of, "found": found, "expected": expected}
            for of, found, expected in (
                ("KL", second["KL"][0], first["KL"][0]),
                *([("KL", first["KL"][1], 0.0)] if np.isfinite(first["KL"][0]) else []),
                ("JS", second["JS"][0], first["JS"][0]),
                ("JS", first["JS"][1], 0.0),
                ("W1", first["W1"][0], near),
                ("W1", first["W1"][1], 1.0),
            )
        ]
    return pd.DataFrame(rows)


def _from_logarithms(shape, separation, step=1e-3):
    """Value and slope in the separation, by name of the measure, in double precision."""
    values, after, before = (_values(shape, separation + shift) for shift in (0.0, step, -step))
    return {
        of: (value, np.inf if np.isinf(value) else (after[of] - before[of]) / (2 * step))
        for of, value in values.items()
    }


def _values(shape, separation):
    x = np.linspace(-10.0, separation + 10, 40_001)
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        p, q = (_log_density(shape, x - place) for place in (0.0, separation))
        divergence = np.where(np.isneginf(p), 0.0, np.exp(p) * (p - q))
        overlap = np.where(np.isneginf(p), 0.0, np.exp(p) * np.logaddexp(0, q - p))
    cumulated = scipy.integrate.cumulative_simpson(np.exp(p) - np.exp(q), x=x, initial=0)
    kl = np.inf if np.isinf(divergence).any() else scipy.integrate.simpson(divergence, x=x)
    # by symmetry both halves of the divergence are the same
    js = np.log(2) - scipy.integrate.simpson(overlap, x=x)
    return {"KL": kl, "JS": js, "W1": scipy.integrate.simpson(np.abs(cumulated), x=x)}


def _log_density(shape, x):
    if shape == "normal":
        return -np.square(x) / 2 - np.log(2 * np.pi) / 2
    return np.where(np.abs(x) < 0.5, np.log1p(np.cos(2 * np.pi * x)), -np.inf)


def _by_keras(separation, cell=0.02, reach=52.0):
    """Value and slope in the separation, by name of the measure, of normal probabilities in single precision."""
    x = keras.ops.arange(-12.0, reach, cell, dtype="float32")

    def probabilities(place):
        density = keras.ops.exp(-keras.ops.square(x - place) / 2)
        return density / keras.ops.sum(density)

    def js(p, q):
        middle = (p + q) / 2
        return (keras.losses.kl_divergence(p, middle) + keras.losses.kl_divergence(q, middle)) / 2

    def w1(p, q):
        return cell * keras.ops.sum(keras.ops.abs(keras.ops.cumsum(p - q)))

    found = {}
    for of, measure in (("KL", keras.losses.kl_divergence), ("JS", js), ("W1", w1)):
        value, _, (slope,) = value_and_gradient(
            lambda places, measure=measure: (measure(probabilities(0.0), probabilities(places[0])), ()),
            [keras.ops.convert_to_tensor(separation, "float32")],
        )
        found[of] = (float(value), float(slope))
    return found


SHAPES = ("one ring", "one spot", "two spots whose masses differ")


@claim(
    "With the Wasserstein distance one can get a better average of distributions, and a geodesic that can preserve "
    "their basic structure, than with the Euclidean one.",
    source=notes("Remark 3.57"),
    kind="tendency",
    scope="distributions that differ by place and size, such as circles or one bump; masses that split and several "
    "modes are left open",
    left_open=("shapes",),
    literature="McCann 1997: displacement interpolation; the interpolation of a shape and the same moved and scaled is "
    "that shape, moved and scaled",
    criterion=AllOf(
        **{
            part: Greater(
                "distance_from_shape",
                of="Euclidean",
                than="Wasserstein",
                by="path",
                each=("shapes",),
                where={"of": part},
            )
            for part in ("average", "geodesic")
        }
    ),
    boundary=Boundary(
        "where one shape is moved and scaled; between two places that exchange mass the optimal plan leaves mass "
        "halfway",
        holds="shapes != 'two spots whose masses differ'",
    ),
    smoke={"points": 80},
    seeds=48,
)
def wasserstein_barycentre(seed, *, points=160, moved=4.0):
    """Measures how far from the shape of its ends a distribution in between has mass, on either path.

    Clouds of points in the plane: a ring or a spot, moved by 4 times its size and scaled by 1.5 to 2, and two spots at
    the same places at both ends with 30 and 70 % of the mass at one of them. Wasserstein: points go along the optimal
    assignment of both clouds; Euclidean: each cloud gives the share of its points. The distance from the shape is the
    energy distance (Székely and Rizzo 2013) to a fresh cloud of it, of two spots the least to those of any share of the
    mass from 0.1 to 0.9, so that neither path has its own answer for a reference, after both clouds are moved to mean
    zero and scaled to variance one. For the average it is taken halfway, for the geodesic at 1/4, 1/2 and 3/4, of which
    the largest counts.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for shapes in SHAPES:
        ends = [_cloud(generator, shapes, points, share) for share in (0.3, 0.7)]
        if shapes != SHAPES[-1]:
            angle = generator.uniform(0, 2 * np.pi)
            ends[1] = generator.uniform(1.5, 2) * ends[1] + moved * np.array([np.cos(angle), np.sin(angle)])
        costs = scipy.spatial.distance.cdist(*ends, "sqeuclidean")
        start, end = ends[0], ends[1][scipy.optimize.linear_sum_assignment(costs)[1]]
        distances = {"Wasserstein": {}, "Euclidean": {}}
        for t in (0.25, 0.5, 0.75):
            references = [_cloud(generator, shapes, points, share) for share in np.linspace(0.1, 0.9, 9)]
            of_end = generator.permutation(points) < round(t * points)
            between = {
                "Wasserstein": (1 - t) * start + t * end,
                "Euclidean": np.where(of_end[:, None], ends[1], ends[0]),
            }
            for path, cloud in between.items():
                distances[path][t] = min(_distance_from_shape(cloud, reference) for reference in references)
        for path, along in distances.items():
            for of, distance in (("average", along[0.5]), ("geodesic", max(along.values()))):
                rows.append({"shapes": shapes, "path": path, "of": of, "distance_from_shape": distance})
    return pd.DataFrame(rows)


def _cloud(generator, shapes, points, share):
    """Points [points, 2] of a shape; of two spots one has a share of them."""
    noise = generator.normal(size=(points, 2))
    if shapes == "one ring":
        angles = generator.uniform(0, 2 * np.pi, size=points)
        return np.column_stack([np.cos(angles), np.sin(angles)]) + 0.1 * noise
    if shapes == "one spot":
        return noise
    sides = np.where(np.arange(points) < round(share * points), -2.0, 2.0)
    return 0.3 * noise + np.column_stack([sides, np.zeros(points)])


def _distance_from_shape(cloud, reference):
    """Energy distance of two clouds that are first moved to mean zero and scaled to variance one."""
    cloud, reference = (points - points.mean(axis=0) for points in (cloud, reference))
    cloud, reference = cloud / cloud.std(), reference / reference.std()
    across, within, among = (
        scipy.spatial.distance.cdist(*pair).mean()
        for pair in ((cloud, reference), (cloud, cloud), (reference, reference))
    )
    return float(np.sqrt(2 * across - within - among))


SMALL = ("length", "height")


@claim(
    "The Wasserstein distance is insensitive to small wiggles.",
    source=notes("Remark 3.57"),
    kind="tendency",
    scale="exact",
    scope="small wiggles on a density; how short and how high small is, and to what else a distance should be more "
    "sensitive, are left open: here to the same mass moved from one half to the other, beside a divergence",
    left_open=SMALL,
    literature="the dual of W1 weighs differences with functions of slope one at most, which a wiggle of length l "
    "changes by l; Peyre 2018: comparison of W2 with a negative Sobolev norm, which divides by the frequency",
    criterion=AllOf(
        **{
            distance: Greater("share", of="root of KL", than=distance, by="distance", each=SMALL)
            for distance in ("W1", "W2")
        }
    ),
    control={"waves": (0.5,)},
)
def wasserstein_wiggles(seed, *, waves=(8, 64), heights=(0.03, 0.3), cells=2**15):
    """Measures how far a density is from its wiggled version, as a share of the same mass moved to the other half.

    Densities on [0, 1] in 32,768 cells: 1/4 plus three normal bumps at random places, times 1 + a cos(2 pi k x +
    phase), k = 8 and 64, a = 0.03 and 0.3; or with as much mass as that moves taken from the left half and put into the
    right one. W1 is the integral of the difference of distribution functions, W2 that of quantiles; against them stands
    the root of the Kullback-Leibler divergence, a first-order quantity like them, which places do not matter to. As
    distances are nearly proportional to heights, the share depends on the length alone. The control has half a wave
    over the whole range, which is not small: it moves mass from one half to the other.
    """
    generator = np.random.default_rng(seed)
    x = (np.arange(cells) + 0.5) / cells
    places, widths = generator.uniform(0.2, 0.8, size=(3, 1)), generator.uniform(0.05, 0.2, size=(3, 1))
    density = 0.25 + np.exp(-np.square((x - places) / widths) / 2).sum(axis=0)
    density /= density.mean()
    phase = generator.uniform(0, 2 * np.pi)
    rows = []
    for k in waves:
        for a in heights:
            wiggled = density * (1 + a * np.cos(2 * np.pi * k * x + phase * (k >= 1)))
            wiggled /= wiggled.mean()
            moved = np.abs(wiggled - density).mean() / 2
            elsewhere = density * (1 + np.where(x < 0.5, -moved, moved) / np.where(x < 0.5, *_halves(density)))
            of_wiggle, of_move = (_distances(density, changed) for changed in (wiggled, elsewhere))
            rows += [
                {"length": 1 / k, "height": a, "distance": name, "share": distance / of_move[name]}
                for name, distance in of_wiggle.items()
            ]
    return pd.DataFrame(rows)


def _distances(density, changed):
    w1, w2 = _wasserstein(density, changed)
    return {"W1": w1, "W2": w2, "root of KL": np.sqrt((density * np.log(density / changed)).mean())}


def _halves(density):
    """Masses of a density on [0, 1] left and right of the middle."""
    half = len(density) // 2
    return density[:half].mean() / 2, density[half:].mean() / 2


def _wasserstein(p, q):
    """Wasserstein distances of order one and two of densities on [0, 1], given in cells."""
    edges = np.linspace(0, 1, len(p) + 1)
    cumulated = [np.concatenate([[0.0], np.cumsum(each) / len(each)]) for each in (p, q)]
    w1 = np.abs(cumulated[0] - cumulated[1]).mean()
    levels = (np.arange(len(p)) + 0.5) / len(p)
    quantiles = [np.interp(levels, each / each[-1], edges) for each in cumulated]
    return w1, np.sqrt(np.square(quantiles[0] - quantiles[1]).mean())
