"""Images that are translated by networks of the L1 and of the L2 loss."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Greater, claim, notes
from repro.claims.losses._arms import Examples, arm, perceptron
from repro.engine import horizons, tune

with epy.lazy_imports():
    import keras

PLACES = 4
TASKS = (
    ("edge", "symmetric", 0.0),
    ("line", "skewed", 0.0),
    ("line", "symmetric", 0.0),
    ("edge", "none", 0.1),
)
TRUE_ENERGY = {"edge": 1.0, "line": 2.0}  # a line goes up and down again
LOSSES = {"L1": "mean_absolute_error", "L2": "mean_squared_error"}


@claim(
    "In image translation the L1 loss is often preferred for fine details, as it tends to give sharper results and is "
    "less affected by outliers or large errors; the L2 loss is more likely to give smoother or blurry results.",
    source=notes("Remark 3.45"),
    kind="tendency",
    scope="image translation; how ambiguous and how skewed the true images are is left open",
    left_open=("detail", "ambiguity"),
    literature="the mean minimises squared and the median absolute differences, pixel by pixel; Isola et al. 2017, "
    "section 3.1, take L1 rather than L2 as it encourages less blurring",
    criterion=AllOf(
        sharpness=Greater(
            "gradient_energy",
            of="L1",
            than="L2",
            by="loss",
            each=("detail", "ambiguity", "steps"),
            where={"of": "sharpness"},
        ),
        outliers=Greater("deviation", of="L2", than="L1", by="loss", each=("steps",), where={"of": "outliers"}),
    ),
    boundary=Boundary(
        "where each pixel has a value that more than half of the likely images share, and these make a sharp image: "
        "edges wherever they may be, and lines that are mostly in one place; of lines that may be anywhere L1 leaves "
        "nothing",
        holds="part == 'outliers' or detail == 'edge' or ambiguity == 'skewed'",
    ),
    smoke={"steps": 600},
    full={"hidden": 256, "examples": 20_000, "steps": 10_000},
    seeds=48,
)
def l1_median_l2_mean(seeds, *, pixels=24, examples=1000, hidden=32, steps=2000, rates=(0.001, 0.003, 0.01, 0.03, 0.1)):
    """Trains small translators from an image that shows roughly where something is to one that shows it exactly.

    Images of one row of 24 pixels from 0 to 1. Inputs are bars of one of four places, with normal noise; targets are an
    edge or a line of one pixel there, moved by up to three pixels to either side: symmetric, each as likely, or skewed,
    in four of five cases not at all. Sharpness: the sum of squared differences of neighbouring pixels in translated
    test images, as a share of that of the true ones. Outliers: edges that are not moved, a tenth of whose pixels are
    uniform from -3 to 3; the root-mean-square deviation from clean edges. One hidden layer of 32 ReLU units, Adam in
    batches of 32, each loss at the rate of its least value on held-out images; half and all of the steps. A thousand
    training images, which each seed redraws.
    """
    tables, trials = [], []
    for detail, ambiguity, outliers in TASKS:
        of_seed = partial(_images, detail, ambiguity, outliers, pixels, examples)
        held_out = lambda seed, of_seed=of_seed: of_seed((seed, 1))  # noqa: E731  it is data, as much as images are
        part = "outliers" if outliers else "sharpness"
        for loss, of_keras in LOSSES.items():
            trained = arm(
                perceptron,
                keras.losses.get(of_keras),
                of_seed,
                held_out,
                steps=steps,
                every=steps // 2,
                metrics={"energy": _gradient_energy, "squares": keras.losses.mean_squared_error},
                optimizer="adam",
                inputs=pixels,
                outputs=pixels,
                hidden=hidden,
            )
            tuning = tune(trained, {"learning_rate": list(rates)}, len(rates), objective="validation_loss", widen=1)
            labels = {"detail": detail, "ambiguity": ambiguity, "loss": loss}
            trials += tuning.table(**labels)
            records = horizons(trained(seeds=list(seeds), **tuning.best).records)
            columns = {
                "gradient_energy": records["test_energy"] / TRUE_ENERGY[detail],
                "deviation": np.sqrt(records["test_squares"]),
            }
            tables.append(records[["seed", "steps"]].assign(of=part, **labels, **columns))
    table = pd.concat(tables, ignore_index=True)
    table.attrs["tuning"] = trials
    return table


def _images(detail, ambiguity, outliers, pixels, examples, seed):
    """Draw bars as inputs, and edges or lines as targets, of which only those to train on have outliers."""
    generator = np.random.default_rng(seed)
    drawn = []
    for _ in ("train", "test"):
        place = 5 + generator.integers(PLACES, size=examples) * (pixels - 10) // (PLACES - 1)
        moved = generator.integers(-3, 4, size=examples)
        if ambiguity == "skewed":
            moved = np.where(generator.uniform(size=examples) < 0.8, 0, moved)
        exact = (place + moved * (ambiguity != "none"))[:, None]
        at = np.arange(pixels)
        bars = (np.abs(at - place[:, None]) <= 2) + 0.1 * generator.normal(size=(examples, pixels))
        targets = at >= exact if detail == "edge" else at == exact
        drawn += [bars.astype(np.float32), targets.astype(np.float32)]
    x_train, y_train, x_test, y_test = drawn
    is_outlier = generator.uniform(size=y_train.shape) < outliers
    y_train = np.where(is_outlier, generator.uniform(-3, 3, size=y_train.shape), y_train).astype(np.float32)
    return Examples(x_train, y_train, x_test, y_test)


def _gradient_energy(targets, outputs):
    del targets
    return keras.ops.sum(keras.ops.square(outputs[:, 1:] - outputs[:, :-1]), axis=1)
