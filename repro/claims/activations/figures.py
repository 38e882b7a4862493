"""Classes in the plane, learned by few and by many units: errors, and boundaries with corners and without."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd

from repro import AllOf, Greater, claim, notes
from repro.claims.activations._networks import forward, network
from repro.engine import ImageData, classifier, horizons, join_tables, tune

FEW, SIX, MANY = 3, 6, 32
DIRECTIONS, SHARPEST = 360, 10
REACH = np.sqrt(2)  # of the points around a circle of radius one, half of which then lie inside
SMOKE = {"steps": 600}


def planar(seeds, *, examples=400, steps=2000, rates=(0.003, 0.01, 0.03, 0.1, 0.3)):
    """Trains networks of one hidden layer of 3, 6 and 32 units on classes in the plane, and follows their boundaries.

    Disc: uniform points in a circle, of which half lie in a smaller one; board: the fields of a board of three times
    three in a square. 400 points, which each seed redraws, a thousand to test on; ReLU, tanh and identity, Adam in
    batches of 32 at the rate of the least error on held-out points, half and all of the steps. Boundary of the disc: on
    each of 360 rays from the centre, where the score changes its sign, or else at the end of the ray, the direction of
    the score's gradient, which a boundary is at right angles to; the concentration is the share of the ten sharpest
    turns, of 360, in the sum of all, the corners are the turns that make up 90 %, after the last step.
    """
    tables = []
    for task in ("disc", "board"):
        of_seed = partial(_points, task, examples)
        for activation in ("relu", "tanh", "linear"):
            for width in (FEW, SIX, MANY):
                shape = {"depth": 1, "width": width, "activation": activation}
                arm = classifier(network, of_seed, steps=steps, every=steps // 2, optimizer="adam", **shape)
                objective = "validation_loss"
                tuning = tune(arm, {"learning_rate": list(rates)}, len(rates), objective=objective, widen=3)
                labels = {"task": task, "activation": activation, "width": width}
                training = arm(seeds=list(seeds), **tuning.best)
                records = horizons(training.records)
                tables.append(records.assign(test_error=1 - records["test_accuracy"], of="errors", **labels))
                tables[-1].attrs["tuning"] = tuning.table(**labels)
                if task == "disc":
                    turns = [_turns(weights, activation) for weights in training.weights]
                    boundary = pd.DataFrame([_corners(each) for each in turns]).assign(seed=training.replicas["seed"])
                    tables.append(boundary.assign(of="boundary", **labels))
    return join_tables(tables)


def _points(task, examples, seed):
    generator = np.random.default_rng(seed)
    arrays = []
    for number in (examples, 1000):
        if task == "disc":
            radius = REACH * np.sqrt(generator.uniform(size=number))
            angle = generator.uniform(0, 2 * np.pi, size=number)
            x, y = np.column_stack([radius * np.cos(angle), radius * np.sin(angle)]), radius < 1
        else:
            x = generator.uniform(-1.5, 1.5, size=(number, 2))
            y = np.floor(x + 1.5).sum(axis=1) % 2
        arrays += [x.astype(np.float32), y.astype(np.int32)]
    return ImageData(task, 2, *arrays)


def _turns(weights, activation, halvings=30):
    """Angles by which the direction of the score's gradient turns from one ray to the next, [rays], up to pi."""
    angles = np.linspace(0, 2 * np.pi, DIRECTIONS, endpoint=False)
    rays = np.column_stack([np.cos(angles), np.sin(angles)])

    def score(x):
        outputs = forward(weights, x, activation)[2]
        return outputs[:, 1] - outputs[:, 0]

    at_centre = score(np.zeros((1, 2)))[0]
    low, high = np.zeros(DIRECTIONS), np.full(DIRECTIONS, REACH)
    for _ in range(halvings):
        middle = (low + high) / 2
        inside = score(middle[:, None] * rays) * at_centre > 0
        low, high = np.where(inside, middle, low), np.where(inside, high, middle)
    step = 1e-6 * np.eye(2)
    places = low[:, None] * rays  # on the inner side: a unit is on or off there, and not both
    gradient = np.column_stack([score(places + each) - score(places - each) for each in step])
    direction = np.arctan2(gradient[:, 1], gradient[:, 0])
    turns = np.diff(direction, append=direction[0])
    return np.abs((turns + np.pi) % (2 * np.pi) - np.pi)


def _corners(turns, rounding=1e-6):
    ordered = np.sort(turns)[::-1]
    total = ordered.sum()
    if total < rounding * DIRECTIONS:  # a straight line has no corners
        return {"concentration": 0.0, "corners": 0}
    shares = np.cumsum(ordered) / total
    return {"concentration": shares[SHARPEST - 1], "corners": int(np.searchsorted(shares, 0.9)) + 1}


@claim(
    "Around a circular class tanh draws a clean envelope, a linear model fails completely, and ReLU draws a hexagon "
    "with several pointed corners.",
    source=notes("Figure 40"),
    kind="tendency",
    scope="a class inside a circle in the plane, a small network whose number of hidden units is left open",
    left_open=("width",),
    literature="Montufar et al. 2014: networks of ReLUs are linear in pieces, so that their boundaries are polygons",
    reads=planar,
    criterion=AllOf(
        corners=Greater(
            "concentration", of="relu", than="tanh", by="activation", each=("width",), where={"of": "boundary"}
        ),
        linear=Greater(
            "test_error", of="linear", than="tanh", by="activation", each=("steps",), where={"of": "errors at six"}
        ),
    ),
    smoke=SMOKE,
    control={"pointed": "linear"},
    seeds=48,
)
def relu_boundary_is_polygonal(observations, *, pointed="relu"):
    """Compares how much of its turning a boundary does in the ten sharpest of 360 places, at 3, 6 and 32 hidden units.

    A circle turns alike everywhere, which makes 0.03; six equal corners make one. Linear: the test error of six units
    with the identity for their activation, of which half is guessing. Six corners are not asked for, whose number goes
    with that of the units; the observations have it. The control has the identity in the place of ReLU.
    """
    disc = observations[observations["task"] == "disc"]
    boundary = disc[(disc["of"] == "boundary") & disc["activation"].isin([pointed, "tanh"])]
    errors = disc[(disc["of"] == "errors") & (disc["width"] == SIX)].assign(of="errors at six")
    return pd.concat([boundary.replace({"activation": {pointed: "relu"}}), errors], ignore_index=True)


@claim(
    "A few ReLUs in a network do not give satisfactory results; an abundance of them lets it build the whole map of "
    "points.",
    source=notes("Remark 3.63"),
    kind="tendency",
    scope="task and depth, and what few and satisfactory mean, are left open: here 3 and 32 units of one hidden layer",
    left_open=("task",),
    literature="Zaslavsky 1975: n lines in the plane make at most 1 + n + n (n - 1) / 2 regions",
    reads=planar,
    criterion=Greater("test_error", of=FEW, than=MANY, by="width", each=("task", "steps")),
    smoke=SMOKE,
    control={"activation": "linear"},
    seeds=48,
)
def many_relus_needed(observations, *, activation="relu"):
    """Compares test errors of networks of 3 and of 32 ReLU units on a disc and on a board of three times three fields.

    The observations have tanh units in the same numbers beside them, which tell the need of width from that of ReLUs.
    One start for each seed: networks that end badly from it count as they are. The control has the identity, of which
    no number makes more than one line.
    """
    errors = observations[(observations["of"] == "errors") & (observations["activation"] == activation)]
    return errors[errors["width"].isin([FEW, MANY])].reset_index(drop=True)
