"""How much the batch size matters for batch normalisation."""

from __future__ import annotations

from repro import Correction, Greater, Peak, claim, notes
from repro.claims.normalization.training import normalized_network
from repro.engine import classifier, compare_arms, join_tables, load_data

SIZES = (8, 16, 32, 64, 128, 256, 512)


@claim(
    "Batch normalisation works best for moderate mini-batch sizes in the range of 50 to 100.",
    source=notes("Remark 3.59"),
    kind="law",
    literature="Masters and Luschi 2018: from 2 to 32 with or without batch normalisation",
    criterion=Peak(
        x="batch_size",
        y="test_loss",
        at=70.7,
        within=2**0.5,
        prominence=1.1,
        kind="minimum",
        because="the range is a factor of the root of two around its middle; best means a tenth less loss than at the "
        "ends of the sizes tried",
    ),
    smoke={"batch_sizes": (8, 32, 64, 128, 512), "rates": (0.01, 0.1, 0.5, 2.0)},
    full={"data": "cifar10", "images": 40_960, "epochs": 50},
    control={"statistics": "frozen"},
    correction=Correction(
        "Batch normalisation works better for moderate mini-batch sizes than for two, whose statistics say next to "
        "nothing, and than for the whole set, which leaves too few steps; where between them it works best is not "
        "settled by that.",
        batch_sizes=(2, 64, 1024),
    ),
    decided_by="some 200 seeds: which of 64 and 128, around the end of the range, is best differs between seeds.",
)
def bn_batch_size(
    seeds,
    *,
    batch_sizes=SIZES,
    images=1024,
    epochs=5,
    starts=2,
    rates=(0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
    statistics="batch",
    data="digits",
):
    """Asks at which batch size the test loss is least, after equally many epochs.

    Three hidden layers of 64 ReLU units on 1024 images, SGD, every batch size at its own rate, that of the least test
    loss on seeds of its own; losses in inference mode at the end, the mean over two starts of a seed. Without
    normalisation (frozen statistics) the batch size has less to do.
    """
    return _over_batch_sizes(seeds, batch_sizes, [statistics], images, epochs, starts, rates, data)


@claim(
    "With batch normalisation the choice of the batch size may be even more significant than without.",
    source=notes("Remark 3.59"),
    kind="possibility",
    literature="Wu and He 2018, figure 1",
    criterion=Greater(
        "spread",
        of="batch",
        than="none",
        by="statistics",
        smallest_ratio=1.2,
        because="a fifth more between the best and the worst batch size makes the choice more significant",
    ),
    smoke={"batch_sizes": (8, 64, 512), "rates": (0.01, 0.1, 0.5, 2.0)},
    full={"data": "cifar10", "images": 40_960, "epochs": 50},
    control={"normalized": "none again"},
    correction=Correction(
        "The choice matters more with batch normalisation where single examples are among the sizes, since subtracting "
        "its own mean leaves nothing of an example.",
        batch_sizes=(1, 64),
    ),
)
def bn_batch_size_matters_more(
    seeds,
    *,
    batch_sizes=SIZES,
    images=1024,
    epochs=5,
    starts=2,
    rates=(0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
    normalized="batch",
    data="digits",
):
    """Compares the spread of the test loss over batch sizes, the largest over the smallest, with and without.

    The networks of ``bn_batch_size``. In the control the normalised arm is a second one without normalisation.
    """
    kinds = ["none", "batch" if normalized == "batch" else "frozen"]
    losses = _over_batch_sizes(seeds, batch_sizes, kinds, images, epochs, starts, rates, data)
    losses["statistics"] = losses["statistics"].replace("frozen", "batch")
    by_arm = losses.groupby(["seed", "statistics"])["test_loss"]
    table = (by_arm.max() / by_arm.min()).rename("spread").reset_index()
    table.attrs = losses.attrs
    return table


def _over_batch_sizes(seeds, batch_sizes, kinds, images, epochs, starts, rates, data):
    """Train networks of every kind of normalisation at every batch size, each at its tuned rate."""
    chosen = load_data(data).standardized().flat().subset(images, 0)
    replicas = [seed * starts + start for seed in seeds for start in range(starts)]
    tables = []
    for statistics in kinds:
        arms = {
            size: classifier(
                normalized_network,
                chosen,
                steps=epochs * (images // size),
                batch_size=size,
                metrics={},
                widths=(64, 64, 64),
                activation="relu",
                statistics=statistics,
            )
            for size in batch_sizes
        }
        space = {"learning_rate": list(rates)}
        tables.append(
            compare_arms(
                arms, space, len(rates), replicas, by="batch_size", objective="test_loss", statistics=statistics
            )
        )
    records = join_tables(tables)
    means = records.groupby([records["seed"] // starts, "statistics", "batch_size"])["test_loss"].mean().reset_index()
    means.attrs = records.attrs
    return means
