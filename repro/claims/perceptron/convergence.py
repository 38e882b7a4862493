"""What perceptron learning does from update to update, and which solution it finds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, AtMost, Equivalent, Greater, Identity, Rival, cheatsheet, claim, lectures, notes
from repro.claims.perceptron._sets import draw_pairs, maximum_margin, orthogonal_set, pair_of_classes, random_set
from repro.engine.backend import compile_function, value_and_gradient

with epy.lazy_imports():
    import keras
    import sklearn.svm


@claim(
    r"If a unit vector separates the data with margin $\gamma > 0$ and $R$ is the largest norm of a point, the number "
    r"$t$ of perceptron updates satisfies $t \le R^2/\gamma^2$.",
    source=cheatsheet("1.1 Convergence"),
    kind="theorem",
    scope="linearly separable data, no bias, start at zero, updates on mistakes only",
    literature="Novikoff 1962",
    criterion=AtMost("updates", bound="bound"),
    smoke={"points": 50},
    full={"data": "mnist", "points": 1000, "dimensions": (2, 5, 20, 100, 500), "pairs": 20},
    control={"separable": False},
    rival=Rival(
        r"The number of perceptron updates is at most half of that, $t \le R^2/(2\gamma^2)$.",
        criterion=AtMost("updates", bound="half_bound"),
    ),
    tags=("headline",),
)
def novikoff(
    seed, *, points=200, dimensions=(2, 5, 20, 100), margins=(0.01, 0.1), pairs=5, data="digits", separable=True
):
    r"""Runs the perceptron from zero weights until it makes no mistake and counts its updates.

    For each seed: random sets of unit vectors labelled by a random hyperplane, without the points closer to it than a
    margin, for every dimension and margin; pairs of classes of real images, with a constant pixel for the bias, as far
    as they are separable; and sets that attain the bound, as many orthogonal points of one norm as dimensions, whose
    largest margin is $R / \sqrt{n}$, so that each is a mistake once. Each set is learned in a random cyclic order, and
    once more always updating on the worst mistake. The bound takes the maximum margin, the distance of the convex hull
    of all y x from the origin (by non-negative least squares). Without separability a tenth of the labels are flipped
    after the margin was taken; the run is cut off once it has exceeded the bound.
    """
    generator = np.random.default_rng(seed)
    sets = {
        f"random, dimension {dimension}, margin {margin}": random_set(generator, points, dimension, margin)
        for dimension in dimensions
        for margin in margins
    }
    sets |= {f"{data} {a} and {b}": pair_of_classes(data, a, b) for a, b in draw_pairs(generator, data, pairs)}
    sets |= {f"orthogonal, dimension {dimension}": orthogonal_set(generator, dimension) for dimension in dimensions}
    rows = []
    for name, signed in sets.items():
        margin, _ = maximum_margin(signed)
        if margin <= 0:
            continue
        bound = (np.linalg.norm(signed, axis=1).max() / margin) ** 2
        flipped = generator.permutation(len(signed)) < (0 if separable else max(1, len(signed) // 10))
        learned = generator.permutation(np.where(flipped[:, None], -signed, signed))
        for order in ("cyclic", "worst first"):
            updates = _updates(learned, order, at_most=int(bound) + 1)
            rows.append({"data": name, "order": order, "updates": updates, "bound": bound, "half_bound": bound / 2})
    return pd.DataFrame(rows)


def _updates(signed, order, at_most):
    """Number of updates until every point has a positive product with the weights, or one more than the limit."""
    weights = np.zeros(signed.shape[1])
    position = 0
    for updates in range(at_most + 1):
        products = signed @ weights
        if order == "cyclic":
            products = np.roll(products, -position)
            mistakes = np.flatnonzero(products <= 0)
            mistake = (position + mistakes[0]) % len(signed) if len(mistakes) else None
        else:
            mistake = products.argmin() if products.min() <= 0 else None
        if mistake is None:
            return updates
        weights += signed[mistake]
        position = (mistake + 1) % len(signed)
    return at_most + 1


@claim(
    r"After $t$ updates from zero the weights satisfy $w_t \cdot u \ge t\gamma$ and $\|w_t\| \le R\sqrt{t}$, hence "
    r"$\cos(u, w_t) \ge \sqrt{t}\,\gamma / R$, for a unit vector $u$ that separates the data with margin $\gamma$ and "
    r"points of norm at most $R$.",
    source=cheatsheet("1.1 Convergence"),
    kind="theorem",
    literature="Novikoff 1962",
    criterion=AllOf(
        progress=AtLeast("projection", bound="least_projection"),
        growth=AtMost("norm", bound="largest_norm"),
        angle=AtLeast("cosine", bound="least_cosine"),
    ),
    smoke={"points": 50, "pairs": 1},
    full={"data": "mnist", "points": 1000, "dimensions": (2, 5, 20, 100, 500), "pairs": 20},
    control={"updates_on": "every point"},
)
def alignment(
    seed, *, points=200, dimensions=(2, 5, 20, 100), margin=0.05, pairs=3, data="digits", updates_on="mistakes"
):
    """Follows the weights of perceptron learning through every update, on random sets and pairs of classes of images.

    The unit vector is that of the maximum margin (by non-negative least squares), for which the bounds are tightest;
    points come in cycles of a random order, from zero weights until no mistake is left. Updating on every point, right
    or wrong, for two cycles leaves out why the norm grows so slowly: a mistake has no positive product with the
    weights.
    """
    generator = np.random.default_rng(seed)
    sets = [random_set(generator, points, dimension, margin) for dimension in dimensions]
    sets += [pair_of_classes(data, a, b) for a, b in draw_pairs(generator, data, pairs)]
    tables = []
    for signed in sets:
        largest_margin, direction = maximum_margin(signed)
        if largest_margin <= 0:
            continue
        weights = _trajectory(generator.permutation(signed), every_point=updates_on == "every point")
        norm, radius = np.linalg.norm(weights, axis=1), np.linalg.norm(signed, axis=1).max()
        table = pd.DataFrame({"update": np.arange(1, len(weights) + 1)})
        table["projection"], table["norm"] = weights @ direction, norm
        table["cosine"] = table["projection"] / norm
        table["least_projection"] = table["update"] * largest_margin
        table["largest_norm"] = radius * np.sqrt(table["update"])
        table["least_cosine"] = np.sqrt(table["update"]) * largest_margin / radius
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


def _trajectory(signed, *, start=0.0, every_point=False, cycles=100_000):
    """Weights after every update, [updates, dimension]; two cycles where every point is an update."""
    weights, trajectory = np.zeros(signed.shape[1]) + start, []
    for _ in range(2 if every_point else cycles):
        updates = len(trajectory)
        for point in signed:
            if every_point or point @ weights <= 0:
                weights = weights + point
                trajectory.append(weights)
        if len(trajectory) == updates:
            break
    return np.array(trajectory)


@claim(
    r"Weights that start in the span of the data stay there: $w_0 \in \mathrm{span}(x_1, \ldots, x_s)$ implies "
    r"$w_t \in \mathrm{span}(x_1, \ldots, x_s)$ for all $t$.",
    source=cheatsheet("1.1 Perceptron Learning"),
    kind="theorem",
    criterion=Identity("weights", "projected", operations=1000),
    full={"points": 200, "dimensions": (250, 400)},
    control={"noise": 0.01},
)
def span(seed, *, points=20, dimensions=(25, 50), updates=50, noise=0.0):
    """Compares the weights of perceptron learning with their orthogonal projection on the span of the data.

    Normal points, fewer than dimensions, with random labels; the rule with a bias, which adds y x to the weights and y
    to the bias on a mistake, from a random combination of the points. All components after each of the first updates
    on the worst mistake; the projection comes from a singular value decomposition. The control adds noise to the
    updates.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for dimension in dimensions:
        x = generator.normal(size=(points, dimension))
        signed = np.column_stack([x, np.ones(points)]) * generator.choice([-1, 1], size=(points, 1))
        start = np.append(generator.normal(size=points) @ x, 0)
        weights = _noisy_trajectory(generator, signed, start, updates, noise)[:, :-1]
        _, _, basis = np.linalg.svd(x, full_matrices=False)
        columns = {"weights": weights.ravel(), "projected": (weights @ basis.T @ basis).ravel()}
        tables.append(pd.DataFrame({"dimension": dimension, **columns}))
    return pd.concat(tables, ignore_index=True)


def _noisy_trajectory(generator, signed, weights, updates, noise):
    """Weights from the start on and after each update on the worst mistake, at most [updates + 1, dimension]."""
    trajectory = [weights]
    while len(trajectory) <= updates and (signed @ weights).min() <= 0:
        weights = weights + signed[(signed @ weights).argmin()] + noise * generator.normal(size=len(weights))
        trajectory.append(weights)
    return np.array(trajectory)


@claim(
    "How many epochs the perceptron needs depends on the initial weights and on the order in which the data are "
    "presented.",
    source=lectures("1.3.3"),
    kind="tendency",
    criterion=Greater(
        "epochs",
        of="slowest run",
        than="fastest run",
        by="run",
        smallest_ratio=1.5,
        because="half as many epochs again are more than one epoch more or less, in runs of three epochs or longer",
        each=("varied",),
    ),
    smoke={"runs": 10},
    full={"points": 1000, "dimension": 100, "runs": 100},
    control={"points": 1, "initial_scale": 0.0},
)
def order_matters(seed, *, points=100, dimension=10, margin=0.02, runs=20, initial_scale=1.0):
    """Counts the epochs of perceptron learning on one data set, over many orders and over many initial weights.

    Unit vectors separable with a margin; an epoch is a pass through all points, and the last one makes no mistake.
    Orders are random permutations, from the same initial weights; initial weights are normal, in the same order. The
    effect is the ratio of the longest to the shortest run of a seed. A single point, from zero weights, leaves nothing
    to choose.
    """
    generator = np.random.default_rng(seed)
    signed = random_set(generator, points, dimension, margin)
    start, *starts = initial_scale * generator.normal(size=(runs + 1, dimension))
    epochs = {
        "order": [_epochs(generator.permutation(signed), start) for _ in range(runs)],
        "initialisation": [_epochs(signed, other) for other in starts],
    }
    rows = []
    for varied, counts in epochs.items():
        for run, count in (("slowest run", max(counts)), ("fastest run", min(counts))):
            rows.append({"varied": varied, "run": run, "epochs": count})
    return pd.DataFrame(rows)


def _epochs(signed, weights):
    """Number of passes until one makes no mistake."""
    epochs, mistakes = 0, 1
    while mistakes:
        mistakes = 0
        for point in signed:
            if point @ weights <= 0:
                weights = weights + point
                mistakes += 1
        epochs += 1
    return epochs


LARGER = "a twentieth of the largest margin is more than learners that seek the same solution would differ by"


@claim(
    "Among all hyperplanes that separate the data the hard-margin support vector machine finds the one with the "
    r"largest margin, $\arg\max_{w, b} \min_{(x, y)} y (x \cdot w + b) / \|w\|$; logistic regression and the "
    "perceptron return some separating solution.",
    source=(cheatsheet("1.1 Maximum Margin Classifier"), notes("Remark 3.8")),
    kind="theorem",
    literature="Soudry et al. 2018: logistic regression by gradient descent tends to the largest margin too, but so "
    "slowly that its margin falls short of it by the inverse logarithm of the number of steps",
    criterion=AllOf(
        separates=AtLeast("margin", bound=0.0, each=("learner",)),
        machine=Equivalent(
            "share",
            1.0,
            smallest_difference=0.01,
            because="the machine's own stopping rule leaves less than a hundredth",
            where={"learner": "support vector machine"},
        ),
        perceptron=Greater(
            "share",
            of="support vector machine",
            than="perceptron",
            by="learner",
            smallest_difference=0.05,
            because=LARGER,
        ),
        regression=Greater(
            "share",
            of="support vector machine",
            than="logistic regression",
            by="learner",
            smallest_difference=0.05,
            because=LARGER,
        ),
    ),
    smoke={"points": 30},
    full={"points": 1000, "dimension": 100, "steps": 5000},
    control={"flipped": 3},
)
def max_margin(seeds, *, points=60, dimension=5, margin=0.1, steps=500, flipped=0):
    """Compares the margins of three learners on the same separable sets, as shares of the largest margin.

    One set of unit vectors for each seed, hyperplanes through the origin. The largest margin is the distance of the
    convex hull of all y x from the origin, by non-negative least squares; the machine is that of scikit-learn with a
    prohibitive penalty; the perceptron stops at its first solution; logistic regression is trained from zero by 500
    full-batch steps of Keras' gradient descent at rate 1. With a few labels flipped no hyperplane separates.
    """
    generators = [np.random.default_rng(seed) for seed in seeds]
    sets = np.stack([random_set(generator, points, dimension, margin) for generator in generators])
    sets[:, :flipped] *= -1
    directions = {
        "support vector machine": [_support_vector_machine(signed) for signed in sets],
        "perceptron": [_trajectory(signed, cycles=20)[-1] for signed in sets],
        "logistic regression": _logistic_regressions(sets, steps),
    }
    tables = []
    for learner, normals in directions.items():
        margins = [
            (signed @ normal).min() / np.linalg.norm(normal) for signed, normal in zip(sets, normals, strict=True)
        ]
        tables.append(pd.DataFrame({"seed": list(seeds), "learner": learner, "margin": margins}))
    observations = pd.concat(tables, ignore_index=True)
    largest = [maximum_margin(signed)[0] for signed in sets]
    observations["share"] = observations["margin"] / np.tile(largest, len(directions))
    return observations


def _support_vector_machine(signed):
    """Normal vector of the hard-margin machine through the origin: with all points mirrored it needs no bias."""
    machine = sklearn.svm.SVC(kernel="linear", C=1e6, tol=1e-6, max_iter=200_000)
    machine.fit(np.concatenate([signed, -signed]), np.repeat([1, -1], len(signed)))
    return machine.coef_[0]


def _logistic_regressions(sets, steps):
    """Weights of logistic regressions after some steps from zero, all at once: [sets, dimension]."""
    signed = keras.ops.convert_to_tensor(sets)
    weights = keras.Variable(np.zeros((len(sets), sets.shape[2])), dtype="float64")
    descent = keras.optimizers.SGD(1.0)

    def loss(values, signed):
        products = keras.ops.einsum("spd,sd->sp", signed, values[0])
        return keras.ops.sum(keras.ops.mean(keras.ops.softplus(-products), axis=1)), ()

    gradient = compile_function(lambda values, signed: value_and_gradient(loss, [values], signed)[2][0])
    for _ in range(steps):
        descent.apply([gradient(weights.value, signed)], [weights])
    return keras.ops.convert_to_numpy(weights.value)
