"""How much the batch size matters for batch normalisation."""

from __future__ import annotations

from functools import partial

import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Greater, PositiveControl, Reported, claim, notes
from repro.claims.normalization._stopping import at_stops, best, search, trial
from repro.engine import classifier, load_data

with epy.lazy_imports():
    import keras

RANGES = {"2 to 16": (2, 16), "16 to 256": (16, 256)}
SMALL, MODERATE, LARGE = 16, 64, 256
SMOKE = {
    "sizes": (2, 16, 64, 256),
    "rates": (0.01, 0.06, 0.4, 2.4),
    "steps": 320,
    "every": 10,
    "images": 512,
    "width": 32,
}
FULL = {"data": "cifar10", "images": 40_960, "steps": 100_000, "every": 1000}
WU_AND_HE = partial(Reported, setting="ResNet-50, ImageNet", place="Wu and He 2018, figure 1")
WITH_BATCH_NORMALISATION = WU_AND_HE(
    "23.6, 23.7, 24.8, 27.3, 34.7 %", measure="error with batch normalisation at 32, 16, 8, 4 and 2 images for each GPU"
)


def over_batch_sizes(
    seeds,
    *,
    sizes=(2, 4, 8, 16, 64, 256),
    images=1024,
    width=64,
    steps=1280,
    every=20,
    rates=(0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0, 10.0),
    data="digits",
):
    """Trains networks with and without batch normalisation at batch sizes from 2 on, each at its own rate.

    Two hidden ReLU layers on standardised images, which each seed redraws; SGD, as many steps for every size, with the
    rate of the least loss on held-out images, on seeds of its own. Test loss in inference mode where the loss on these
    images is least, so that no size is judged by how far it has come: within all and within half of the steps (budget:
    equal steps), and within as many epochs as batches of 16 make in these steps (equal epochs), where larger batches
    have fewer steps. Batches of 2 have no more steps for that, and are left out of it.
    """
    loaded = load_data(data).standardized().flat()
    tables, trials = [], []
    for statistics in ("none", "batch"):
        for size in sizes:
            arm = classifier(
                two_layers,
                lambda seed: loaded.subset(images, seed),
                steps=steps,
                batch_size=size,
                every=every,
                metrics={},
                width=width,
                statistics=statistics,
            )
            labels = {"statistics": statistics, "batch_size": size}
            budgets = {("equal steps", horizon): horizon for horizon in (steps // 2, steps)}
            if size >= SMALL:
                budgets |= {("equal epochs", horizon): horizon * SMALL // size for horizon in (steps // 2, steps)}
            course = search(arm, rates)
            chosen, stops = best(course, budgets)
            trials.append(trial(chosen, course, **labels))
            stopped = at_stops(arm(seeds=list(seeds), **chosen).records, stops)
            stopped[["budget", "steps"]] = pd.DataFrame(stopped["limit"].tolist(), index=stopped.index)
            tables.append(stopped.assign(**labels)[["seed", *labels, "budget", "steps", "step", "test_loss"]])
    table = pd.concat(tables, ignore_index=True)
    table.attrs["tuning"] = trials
    return table


@claim(
    "Batch normalisation works best for moderate mini-batch sizes in the range of 50 to 100; why is called a puzzle, "
    "on which preliminary research sheds some light.",
    source=notes("Remark 3.59"),
    kind="law",
    scope="the batch that the statistics are taken of; data, network, rate and budget, equal epochs or equal steps, "
    "are left open",
    left_open=("budget",),
    literature="Masters and Luschi 2018: from 2 to 32; Shallue et al. 2019: which size is best depends on the budget, "
    "of steps or of epochs",
    reads=over_batch_sizes,
    criterion=AllOf(
        smaller=Greater("test_loss", of=SMALL, than=MODERATE, by="batch_size", each=("budget", "steps")),
        larger=Greater("test_loss", of=LARGE, than=MODERATE, by="batch_size", each=("budget", "steps")),
    ),
    boundary=Boundary(
        "against smaller batches where they get as many steps, against larger ones where they get as many epochs: what "
        "decides is the budget, not a range",
        holds="(part == 'smaller' and budget == 'equal steps') or (part == 'larger' and budget == 'equal epochs')",
    ),
    smoke=SMOKE,
    full=FULL,
    control={"statistics": "none"},
    positive_control=PositiveControl(
        "With batches of 2, whose statistics say next to nothing, normalised networks have a greater loss.",
        criterion=Greater(
            "test_loss",
            of=2,
            than=MODERATE,
            by="batch_size",
            smallest_ratio=1.05**2,
            because="it is twice what matters",
            each=("steps",),
            where={"budget": "equal steps"},
        ),
    ),
    seeds=48,
    reported=(
        WITH_BATCH_NORMALISATION,
        Reported(
            "2 to 32",
            measure="best batch size",
            setting="CIFAR-10, CIFAR-100, ImageNet",
            place="Masters and Luschi 2018",
        ),
    ),
)
def bn_batch_size(observations, *, statistics="batch"):
    """Compares batches of 64 with those of 16 and of 256: best is what is better than what is smaller and larger.

    The control has no normalisation: where it does as the claim does, batch normalisation has no part in it.
    """
    return observations[observations["statistics"] == statistics].reset_index(drop=True)


@claim(
    "When batch normalisation is applied the choice of the batch size may be even more significant than without it.",
    source=notes("Remark 3.59"),
    kind="possibility",
    scope="range of batch sizes, budget and rates are left open",
    left_open=("sizes",),
    literature="Wu and He 2018, figure 1",
    reads=over_batch_sizes,
    criterion=Greater("spread", of="batch", than="none", by="statistics", each=("sizes", "steps")),
    boundary=Boundary("among small batches, whose statistics are those of a few examples", holds="sizes == '2 to 16'"),
    smoke=SMOKE,
    full=FULL,
    reported=(
        WITH_BATCH_NORMALISATION,
        WU_AND_HE("24.1, 24.1 %", measure="error with group normalisation at 32 and at 2 images for each GPU"),
    ),
)
def bn_batch_size_matters_more(observations):
    """Compares the spread of the test loss over batch sizes, the largest over the smallest, with and without.

    Over small (2 to 16) and over large sizes (16 to 256), all with as many steps.
    """
    tables = []
    equal = observations[observations["budget"] == "equal steps"]
    for name, (smallest, largest) in RANGES.items():
        chosen = equal[equal["batch_size"].between(smallest, largest)]
        by_arm = chosen.groupby(["seed", "statistics", "steps"])["test_loss"]
        tables.append((by_arm.max() / by_arm.min()).rename("spread").reset_index().assign(sizes=name))
    return pd.concat(tables, ignore_index=True)


def two_layers(*, inputs, outputs, width, statistics):
    """Build a network of two hidden ReLU layers, with batch normalisation before them or none."""
    layers = [keras.Input((inputs,))]
    for _ in range(2):
        layers.append(keras.layers.Dense(width, kernel_initializer="he_normal"))
        if statistics == "batch":
            layers.append(keras.layers.BatchNormalization(momentum=0.9))
        layers.append(keras.layers.ReLU())
    return keras.Sequential([*layers, keras.layers.Dense(outputs)])
