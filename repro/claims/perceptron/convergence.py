"""What perceptron learning does from update to update, and how long it takes."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import (
    AllOf,
    AtLeast,
    AtMost,
    Boundary,
    Greater,
    Identity,
    PositiveControl,
    Rival,
    cheatsheet,
    claim,
    lectures,
)
from repro.claims.perceptron._learning import count_epochs, count_rounds, count_updates, trajectory
from repro.claims.perceptron._sets import draw_pairs, maximum_margin, orthogonal_set, pair_of_classes, random_set
from repro.engine.backend import compile_function, value_and_gradient

with epy.lazy_imports():
    import keras


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
            updates = count_updates(learned, order, at_most=int(bound) + 1)
            rows.append({"data": name, "order": order, "updates": updates, "bound": bound, "half_bound": bound / 2})
    return pd.DataFrame(rows)


@claim(
    r"After $t$ updates from zero the weights satisfy $w_t \cdot u \ge t\gamma$ and $\|w_t\| \le R\sqrt{t}$, hence "
    r"$\cos(u, w_t) \ge \sqrt{t}\,\gamma / R$, for a unit vector $u$ that separates the data with margin $\gamma$ and "
    r"points of norm at most $R$.",
    source=cheatsheet("1.1 Convergence"),
    kind="theorem",
    scope="linearly separable data, no bias, start at zero, updates on mistakes only",
    literature="Novikoff 1962",
    criterion=AllOf(
        progress=AtLeast("projection", bound="least_projection"),
        growth=AtMost("norm", bound="largest_norm"),
        angle=AtLeast("cosine", bound="least_cosine"),
    ),
    smoke={"points": 50, "pairs": 1},
    full={"data": "mnist", "points": 1000, "dimensions": (2, 5, 20, 100, 500), "pairs": 20},
    control={"updates_on": "every point"},
    rival=Rival(
        r"The bounds are closer by a twentieth: $w_t \cdot u \ge 1.05\, t\gamma$ and $\|w_t\| \le 0.95\, R\sqrt{t}$, "
        r"hence $\cos(u, w_t) \ge 1.1\, \sqrt{t}\,\gamma / R$.",
        criterion=AllOf(
            progress=AtLeast("projection", bound="closer_projection"),
            growth=AtMost("norm", bound="closer_norm"),
            angle=AtLeast("cosine", bound="closer_cosine"),
        ),
    ),
)
def alignment(
    seed, *, points=200, dimensions=(2, 5, 20, 100), margin=0.05, pairs=3, data="digits", updates_on="mistakes"
):
    """Follows the weights of perceptron learning through every update, on three kinds of separable sets.

    Random unit vectors, pairs of classes of images, and as many orthogonal points of one norm as dimensions, for which
    all three bounds are attained at every update, so that closer ones, the rival's, are violated. The
    unit vector is that of the maximum margin (by non-negative least squares), for which the bounds are tightest; points
    come in cycles of a random order, from zero weights until no mistake is left. Updating on every point, right or
    wrong, for two cycles, the control, leaves out why the norm grows so slowly: a mistake has no positive product with
    the weights.
    """
    generator = np.random.default_rng(seed)
    sets = [random_set(generator, points, dimension, margin) for dimension in dimensions]
    sets += [pair_of_classes(data, a, b) for a, b in draw_pairs(generator, data, pairs)]
    sets += [orthogonal_set(generator, dimension) for dimension in dimensions]
    tables = []
    for signed in sets:
        largest_margin, direction = maximum_margin(signed)
        if largest_margin <= 0:
            continue
        weights = trajectory(generator.permutation(signed), every_point=updates_on == "every point")
        norm, radius = np.linalg.norm(weights, axis=1), np.linalg.norm(signed, axis=1).max()
        table = pd.DataFrame({"update": np.arange(1, len(weights) + 1)})
        table["projection"], table["norm"] = weights @ direction, norm
        table["cosine"] = table["projection"] / norm
        table["least_projection"] = table["update"] * largest_margin
        table["largest_norm"] = radius * np.sqrt(table["update"])
        table["least_cosine"] = np.sqrt(table["update"]) * largest_margin / radius
        for quantity, bound, factor in (
            ("projection", "least", 1.05),
            ("norm", "largest", 0.95),
            ("cosine", "least", 1.1),
        ):
            table[f"closer_{quantity}"] = factor * table[f"{bound}_{quantity}"]
        tables.append(table)
    return pd.concat(tables, ignore_index=True)


@claim(
    r"Weights that start in the span of the data stay there: $w_0 \in \mathrm{span}(x_1, \ldots, x_s)$ implies "
    r"$w_t \in \mathrm{span}(x_1, \ldots, x_s)$ for all $t$.",
    source=cheatsheet("1.1 Perceptron Learning"),
    kind="theorem",
    scope="perceptron updates w + y x on mistakes; any data",
    criterion=Identity("weights", "projected", operations=1000),
    full={"points": 200, "dimensions": (250, 400)},
    control={"optimizer": "adam"},
)
def span(seeds, *, points=20, dimensions=(25, 50), updates=50, optimizer="sgd"):
    """Compares the weights of perceptron learning in Keras with their orthogonal projection on the span of the data.

    Normal points, fewer than dimensions, with random labels; Keras' stochastic gradient descent at rate one on the
    perceptron's loss, whose step at a mistake adds y x to the weights and y to the bias, from a random combination of
    the points. All components after each of the first updates on the worst mistake, for all seeds side by side; the
    projection comes from a singular value decomposition. The control is Adam, which gives each coordinate a rate of its
    own and so leaves the span.
    """
    tables = []
    for dimension in dimensions:
        generators = [np.random.default_rng((seed, dimension)) for seed in seeds]
        x = np.stack([generator.normal(size=(points, dimension)) for generator in generators])
        labels = np.stack([generator.choice([-1.0, 1.0], size=(points, 1)) for generator in generators])
        combination = np.stack([generator.normal(size=(1, points)) for generator in generators])
        signed = np.concatenate([x, np.ones((len(seeds), points, 1))], axis=2) * labels
        start = np.concatenate([(combination @ x)[:, 0], np.zeros((len(seeds), 1))], axis=1)
        weights = _worst_first(signed, start, updates, optimizer)[:, :, :-1]
        for seed, of_seed, images in zip(seeds, weights, x, strict=True):
            _, _, basis = np.linalg.svd(images, full_matrices=False)
            columns = {"weights": of_seed.ravel(), "projected": (of_seed @ basis.T @ basis).ravel()}
            tables.append(pd.DataFrame({"seed": seed, "dimension": dimension, **columns}))
    return pd.concat(tables, ignore_index=True)


def _worst_first(signed, start, updates, optimizer):
    """Weights from the start on and after each step of a Keras optimiser on the worst mistake of each seed.

    Args:
        signed: Points with a bias, times their label, [seeds, points, dimension].
        start: Weights at the start, [seeds, dimension].
        updates: Number of steps.
        optimizer: ``sgd`` or ``adam``.

    Returns:
        Weights, [seeds, updates + 1, dimension].
    """
    weights, path = keras.Variable(start, dtype="float64"), [start]
    stepping = {"sgd": keras.optimizers.SGD, "adam": keras.optimizers.Adam}[optimizer](1.0)

    def loss(values, worst):
        return keras.ops.sum(keras.ops.relu(-keras.ops.sum(worst * values[0], axis=1))), ()

    gradient = compile_function(lambda w, worst: value_and_gradient(loss, [w], worst)[2][0])
    for _ in range(updates):
        products = (signed @ path[-1][:, :, None])[:, :, 0]
        worst = signed[np.arange(len(signed)), products.argmin(axis=1)]
        stepping.apply([gradient(weights.value, keras.ops.convert_to_tensor(worst))], [weights])
        path.append(keras.ops.convert_to_numpy(weights.value).copy())
    return np.stack(path, axis=1)


@claim(
    "How many epochs the perceptron needs depends on the initial weights and on the order in which the data are "
    "presented.",
    source=lectures("1.3.3"),
    kind="tendency",
    scope="Hebbian learning of separable data until no error; the data set and the learning rate are left open",
    left_open=("data", "rate"),
    criterion=AllOf(
        order=Greater(
            "epochs",
            of="slowest run",
            than="fastest run",
            by="run",
            smallest_ratio=1.05,
            where={"varied": "order"},
            each=("data", "rate"),
        ),
        initial_weights=Greater(
            "epochs",
            of="slowest run",
            than="fastest run",
            by="run",
            smallest_ratio=1.05,
            where={"varied": "initial weights"},
            each=("data", "rate"),
        ),
    ),
    boundary=Boundary(
        "where points are not orthogonal; an update on one of several orthogonal points leaves the others as they are, "
        "so that no order matters to them, and initial weights do only if one update does not outweigh them, at the "
        "smaller rate",
        holds="data == 'random' or (part == 'initial_weights' and rate < 1)",
    ),
    smoke={"runs": 10},
    full={"points": 1000, "dimension": 100, "runs": 100},
    control={"presented": "worst mistake first"},
    positive_control=PositiveControl(
        "At a thirtieth of the learning rate learning takes more epochs.",
        criterion=Greater(
            "epochs",
            of="a thirtieth of the rate",
            than="the rate",
            by="run",
            smallest_ratio=1.1,
            source="twice the five per cent of the project's table",
            where={"varied": "learning rate"},
            each=("data", "rate"),
        ),
    ),
)
def order_matters(
    seed, *, points=100, dimension=10, margin=0.02, rates=(1.0, 0.1), runs=20, norm=10.0, presented="in order"
):
    """Counts the epochs of perceptron learning on one data set, over many orders and over many initial weights.

    An epoch is a pass through all points; those with a mistake are counted. Orders are random permutations, from the
    same initial weights; initial weights are normal, in the same order. The effect is the ratio of the longest to the
    shortest run of a seed, which is one if nothing matters. Random data are unit vectors separable with a margin;
    orthogonal data as many points of norm ten as dimensions: an update moves the product of its point with the weights
    by a hundred times the rate, and that of no other point, while initial products have a deviation of ten. At rate 1
    each point is right after one update at most, at rate 0.1 after one to a few, whatever the order. The positive
    control has a thirtieth of each rate. In the control the worst mistake comes first, wherever it stands; as many
    updates as there are points count as an epoch.
    """
    count = count_epochs if presented == "in order" else count_rounds
    generator = np.random.default_rng(seed)
    rows = []
    for data, signed in (
        ("random", random_set(generator, points, dimension, margin)),
        ("orthogonal", orthogonal_set(generator, dimension, norm)),
    ):
        orders = [generator.permutation(signed) for _ in range(runs)]
        for rate in rates:
            # Weights over the rate learn at rate one as the weights do at that rate.
            start, *starts = generator.normal(size=(runs + 1, dimension)) / rate
            by_order = [count(ordered, start) for ordered in orders]
            by_start = [count(signed, other) for other in starts]
            slow = {"a thirtieth of the rate": count(signed, 30 * start), "the rate": count(signed, start)}
            for varied, counts in (
                ("order", {"slowest run": max(by_order), "fastest run": min(by_order)}),
                ("initial weights", {"slowest run": max(by_start), "fastest run": min(by_start)}),
                ("learning rate", slow),
            ):
                for run, epochs in counts.items():
                    rows.append({"data": data, "rate": rate, "varied": varied, "run": run, "epochs": epochs})
    return pd.DataFrame(rows)
