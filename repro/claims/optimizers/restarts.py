"""Several runs from random starts, or one long run."""

from __future__ import annotations

import numpy as np
import pandas as pd

from repro import AllOf, Boundary, Greater, PositiveControl, claim, lectures
from repro.claims.optimizers._descents import RippledErrors, path
from repro.engine import classifier, load_data, mlp, tune

RESTARTS, LONG, SHORT = "restarts", "one long run", "one run of the length of a restart"
APART = 2**27  # between the starts of a seed, more than any seed
RATE = 0.02  # on the rippled errors, whose largest curvature is at most 76


@claim(
    "Several restarts from different random initialisations increase the chances of converging to a better solution "
    "and the likelihood of finding the global minimum, especially on complex non-convex error surfaces.",
    source=lectures("2.3.1"),
    kind="tendency",
    scope="errors with several minima; how much they differ, which is the width of a network, is left open",
    left_open=("width",),
    literature="Choromanska et al. 2015: the minima of wide networks differ little",
    criterion=AllOf(
        functions=Greater(
            "share_found",
            of=RESTARTS,
            than=LONG,
            by="runs",
            smallest_difference=0.01,
            where={"problem": "rippled errors"},
        ),
        networks=Greater(
            "train_loss", of=LONG, than=RESTARTS, by="runs", each=("width",), where={"problem": "network"}
        ),
    ),
    boundary=Boundary(
        "beside one run of as many steps, where minima differ: on functions with several, and in narrow networks, not "
        "in wide ones, for which more steps are worth more",
        holds="part == 'functions' or width <= 4",
    ),
    smoke={"steps": 150},
    full={"data": "mnist", "images": 2000, "steps": 2000},
    positive_control=PositiveControl(
        "A run of all the steps has a smaller training loss than one of the length of a restart.",
        criterion=AllOf(
            networks=Greater(
                "train_loss",
                of=SHORT,
                than=LONG,
                by="runs",
                each=("width",),
                where={"problem": "network"},
                smallest_ratio=1.05**2,
                because="it is twice what matters",
            )
        ),
    ),
)
def restarts(seeds, *, count=8, functions=200, steps=400, images=100, widths=(2, 64), data="digits"):
    """Compares the best of eight short runs with one run of eight times the steps, which costs as much.

    That the best of several is better than one of them is so by construction; the rival is to spend their steps on one
    run. Functions: 200 parabolas with three ripples each, plain descent at a rate of 1/50 from uniform starts on the
    interval from -6 to 6, 200 steps a restart; the share of functions on which the deepest basin is reached. Networks:
    one hidden ReLU layer of two or of 64 units on 100 standardised images, which each seed redraws and all its runs
    share, SGD with batches of 32, short and long runs each at their rate of the least final training loss on seeds of
    their own; the training loss at the end. Beside them is the first of the restarts alone.
    """
    rows = []
    for seed in seeds:
        for runs, share in _shares_found(seed, count, functions).items():
            rows.append({"seed": seed, "problem": "rippled errors", "runs": runs, "share_found": share})
    tables, trials = [pd.DataFrame(rows)], []
    loaded = load_data(data).standardized().flat()
    starts = [seed + number * APART for seed in seeds for number in range(count)]
    for width in widths:
        arm = {
            runs: classifier(
                mlp,
                # All runs of a seed have its images; their weights and batches are their own.
                lambda start: loaded.subset(images, start % APART),
                steps=steps if runs == RESTARTS else count * steps,
                metrics={},
                widths=(width,),
            )
            for runs in (RESTARTS, LONG)
        }
        losses = {}
        for runs, of_runs in arm.items():
            rates = [0.03, 0.1, 0.3, 1.0]
            tuning = tune(of_runs, {"learning_rate": rates}, len(rates), widen=2)
            trials += tuning.table(width=width, runs=runs)
            chosen = starts if runs == RESTARTS else starts[::count]
            found = of_runs(seeds=chosen, learning_rate=tuning.best["learning_rate"]).final.set_index("seed")
            losses[runs] = found.loc[chosen, "train_loss"].to_numpy().reshape(len(seeds), -1)
        for runs, of_seeds in (
            (RESTARTS, losses[RESTARTS].min(axis=1)),
            (SHORT, losses[RESTARTS][:, 0]),
            (LONG, losses[LONG][:, 0]),
        ):
            columns = {"seed": list(seeds), "train_loss": of_seeds}
            tables.append(pd.DataFrame({**columns, "problem": "network", "width": width, "runs": runs}))
    table = pd.concat(tables, ignore_index=True)
    table.attrs["tuning"] = trials
    return table


def _shares_found(seed, count, functions, steps=200):
    """Share of functions on which the deepest basin is found, by restarts and by one long run."""
    errors = RippledErrors(np.random.default_rng((seed, 5)), functions)
    generator = np.random.default_rng((seed, 6))
    low, high = errors.basin
    coefficients = np.array([(RATE, 0.0, 0.0)])
    options = {"noise": 0.0, "generator": generator}
    start = generator.uniform(-6, 6, size=(count, len(low)))
    *_, ends = path(errors.gradient, start, coefficients, steps=steps, **options)
    *_, end = path(errors.gradient, start[0], coefficients, steps=count * steps, **options)
    return {
        RESTARTS: ((low < ends[0]) & (ends[0] < high)).any(axis=0).mean(),
        LONG: ((low < end[0]) & (end[0] < high)).mean(),
    }
