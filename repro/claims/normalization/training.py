"""What batch normalisation does for the speed of training, for its rates and as a regulariser."""

from __future__ import annotations

from functools import cache, partial

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Greater, PositiveControl, Reported, claim, lectures
from repro.claims.normalization._stopping import at_stops, best, search, trial
from repro.claims.normalization._trainings import ARMS, FULL, SMOKE, scale_and_shift, steps_until, trainings
from repro.engine import classifier, horizons, load_data

with epy.lazy_imports():
    import keras

CONDITIONS = ("activation", "depth", "rates")
GUESSING = np.log(10)  # loss of equal probabilities of ten classes
SLOWER = "plain at a quarter of the rate"
IOFFE_AND_SZEGEDY = tuple(
    Reported(value, measure=measure, setting=setting, place="Ioffe and Szegedy 2015, figure 3")
    for value, measure, setting in (
        ("31.0", "steps to 72.2 % top-1 accuracy, plain, millions", "Inception, ImageNet"),
        ("13.3", "steps to 72.2 %, batch normalisation at the same rate, millions", "Inception, ImageNet"),
        (
            "2.1",
            "steps to 72.2 %, batch normalisation at five times the rate, millions",
            "Inception with six other changes, ImageNet",
        ),
    )
)


def _faster(of, than, **options):
    """Ask that an arm takes more steps than another to a training loss, and to a test accuracy."""
    return AllOf(
        **{
            part: Greater("steps", of=of, than=than, by="arm", each=CONDITIONS, where={"target": part}, **options)
            for part in ("training", "test")
        }
    )


@claim(
    "Batch normalisation allows higher learning rates, leading to faster convergence.",
    source=lectures("2.3.4"),
    kind="tendency",
    scope="deep networks, normalisation between linear layer and activation; depth, activation, batch size, and "
    "whether rates are equal or tuned are left open; that training efficiency and model performance can be enhanced "
    "significantly, which the section ends with, is judged by the steps alone",
    left_open=CONDITIONS,
    literature="Ioffe and Szegedy 2015; Santurkar et al. 2018",
    reads=trainings,
    criterion=_faster("plain", "batch normalisation"),
    boundary=Boundary(
        "in deep networks, and with the sigmoid in shallow ones too",
        holds="depth >= 8 or activation == 'sigmoid'",
        named=({"rates": "tuned"},),
    ),
    smoke=SMOKE,
    full=FULL,
    control={"normalisation": "scale and shift"},
    positive_control=PositiveControl(
        "A plain network at its tuned rate converges faster than at a quarter of it.",
        criterion=_faster(SLOWER, "plain", smallest_ratio=1.05**2, because="it is twice what matters"),
    ),
    tags=("headline",),
    seeds=48,
    reported=IOFFE_AND_SZEGEDY,
)
def bn_speeds_up(observations, *, normalisation="batch normalisation", reached=0.1, accuracy=0.9):
    """Counts the steps until a training loss of 0.1 and a test accuracy of 90 %, with and without batch normalisation.

    Weights as He's and Glorot's rules have them, so that the plain network is well initialised. Rates, tuned: each arm
    at the rate of the fewest steps to the training loss; equal, and not deciding: both at that of the plain network.
    Steps are interpolated between measurements. The effect is their paired ratio, infinite for a run that does not get
    there. Beside them the plain network at a quarter of its rate. The control keeps the learned scale and shift of
    normalisation without normalising.
    """
    records = observations[observations["scale"] == 1]
    targets = {"training": ("train_loss", reached), "test": ("test_accuracy", accuracy)}
    rows = []
    for (activation, depth), table in records.groupby(["activation", "depth"]):
        fastest = table.groupby("arm")["fastest_rate"].first()
        rates = np.sort(table["learning_rate"].unique())
        slower = rates[np.abs(np.log(4 * rates / fastest["plain"])).argmin()]
        arms = {
            ("tuned", "plain"): ("plain", fastest["plain"]),
            ("tuned", "batch normalisation"): (normalisation, fastest[normalisation]),
            ("tuned", SLOWER): ("plain", slower),
            ("equal", "plain"): ("plain", fastest["plain"]),
            ("equal", "batch normalisation"): (normalisation, fastest["plain"]),
            ("equal", SLOWER): ("plain", slower),
        }
        for (rate_is, arm), (trained, rate) in arms.items():
            chosen = table[(table["arm"] == trained) & (table["learning_rate"] == rate)]
            for target, (metric, level) in targets.items():
                found = steps_until(metric, level, chosen, ["seed"])
                labels = {"arm": arm, "rates": rate_is, "target": target, "activation": activation, "depth": depth}
                rows.append(found.rename("steps").reset_index().assign(**labels))
    return pd.concat(rows, ignore_index=True)


@claim(
    "Batch normalisation allows the use of higher learning rates.",
    source=lectures("2.3.4"),
    kind="tendency",
    scope="depth, activation, initialisation and optimiser are left open",
    left_open=("activation", "depth"),
    literature="Ioffe and Szegedy 2015, section 3.3; Bjorck et al. 2018",
    reads=trainings,
    criterion=Greater(
        "largest_rate", of="batch normalisation", than="plain", by="arm", each=("activation", "depth", "steps")
    ),
    smoke=SMOKE,
    full=FULL,
    control={"normalisation": "scale and shift"},
    seeds=48,
    reported=(
        Reported(
            "5 and 30",
            measure="learning rate, batch normalisation / plain",
            setting="Inception, ImageNet",
            place="Ioffe and Szegedy 2015, section 4.2",
        ),
    ),
)
def bn_higher_rates(observations, *, normalisation="batch normalisation", level=0.3):
    """Looks for the largest rate at which networks train to a loss of 0.3, with and without batch normalisation.

    Within half and within all of the steps; weights as He's and Glorot's rules have them. Between the largest rate of
    the grid that gets there and the next one, the rate is interpolated linearly in its logarithm, where no loss counts
    as more than that of guessing. A network that trains at no rate counts with half the smallest. The control keeps the
    learned scale and shift of normalisation without normalising.
    """
    records = observations[observations["scale"] == 1]
    records = horizons(records[records["arm"].isin(["plain", normalisation])])
    records["arm"] = records["arm"].replace(normalisation, "batch normalisation")
    by = ["seed", "activation", "depth", "steps", "arm"]
    rows = []
    for labels, table in records.sort_values("learning_rate").groupby(by):
        largest = _largest_rate(table["learning_rate"].to_numpy(), table["train_loss"].to_numpy(), level)
        rows.append(dict(zip(by, labels, strict=True)) | {"largest_rate": largest})
    return pd.DataFrame(rows)


def _largest_rate(rates, losses, level):
    """Largest rate of an ascending grid with a loss within a level, interpolated to the next one.

    Example:
        >>> round(_largest_rate(np.array([0.1, 1.0]), np.array([0.0, 5.0]), level=np.log(10) / 2), 3)
        0.316
    """
    losses = np.minimum(losses, GUESSING)
    reached = np.flatnonzero(losses <= level)
    if not len(reached):
        return rates[0] / 2
    last = reached[-1]
    if last == len(rates) - 1:
        return rates[last]
    part = (level - losses[last]) / (losses[last + 1] - losses[last])
    return float(rates[last] * (rates[last + 1] / rates[last]) ** part)


LESS_WITH_DROPOUT = partial(
    Greater,
    of="plain",
    than="plain with dropout",
    by="arm",
    smallest_ratio=1.05**2,
    because="it is twice what matters",
)


def regularised(
    seeds,
    *,
    batch_sizes=(8, 128),
    images=300,
    width=64,
    steps=800,
    every=10,
    level=0.1,
    rates=(0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
    dropped=(0.25, 0.5, 0.75),
    data="digits",
):
    """Trains networks with and without normalisation and dropout, until the loss on held-out images is least.

    Two hidden ReLU layers on 300 standardised images, which each seed redraws; SGD with small and with large batches.
    Each arm at the rate, and with dropout also the share of dropped units, of the least loss on held-out images, on
    seeds of its own. Gain by dropout: the test loss without it over that with it, each where the loss on held-out
    images is least within half and within all of the steps; plain networks that have their best dropout already gain a
    factor of one by it. Loss at equal training loss: the test loss without dropout where the training loss is 0.1,
    interpolated linearly in its logarithm between measurements 10 steps apart; infinite for a run that does not get
    there. Beside it is that of plain networks with dropout of a half. The share of dropped units is a variable, so that
    all shares have one program.
    """
    loaded = load_data(data).standardized().flat()
    limits = {steps // 2: steps // 2, steps: steps}
    tables, trials = [], []
    for size in batch_sizes:
        for label, statistics in ARMS.items():
            arm = classifier(
                dropping_network,
                lambda seed: loaded.subset(images, seed),
                steps=steps,
                batch_size=size,
                every=every,
                metrics={},
                width=width,
                statistics=statistics,
            )
            course = search(arm, rates, dropped=[0.0, *dropped])
            is_without = course.index.get_level_values("dropped") == 0.0
            labels, losses = {"arm": label, "batch_size": size}, {}
            for name, of_shares in (("without", course[is_without]), ("with", course[~is_without])):
                chosen, stops = best(of_shares, limits)
                trials.append(trial(chosen, course, dropout=name, **labels))
                records = arm(seeds=list(seeds), **chosen).records
                losses[name] = at_stops(records, stops).set_index(["seed", "limit"])["test_loss"]
                if name == "without":
                    equal = {label: records}
                    if label == "plain":
                        equal["plain with dropout"] = arm(seeds=list(seeds), **(chosen | {"dropped": 0.5})).records
                    for each, table in equal.items():
                        at_level = _at_level(table, level).rename("test_loss").reset_index()
                        tables.append(
                            at_level.assign(quantity="loss at equal training loss", arm=each, batch_size=size)
                        )
            gain = (losses["without"] / losses["with"]).rename("gain").rename_axis(["seed", "steps"]).reset_index()
            tables.append(gain.assign(quantity="gain by dropout", **labels))
            if label == "plain":  # with its best dropout there is nothing left to gain by it
                tables.append(tables[-1].assign(gain=1.0, arm="plain with dropout"))
    table = pd.concat(tables, ignore_index=True)
    table.attrs["tuning"] = trials
    return table


@claim(
    "Batch normalisation acts as a form of regularisation, slightly decreasing the need for techniques like dropout.",
    source=lectures("2.3.4"),
    kind="tendency",
    scope="batch size, which is that of the noise, and size of data and network are left open",
    left_open=("batch_size",),
    literature="Ioffe and Szegedy 2015, section 3.4; Luo et al. 2019: a penalty that falls as the inverse of the batch "
    "size",
    reads=regularised,
    criterion=AllOf(
        need=Greater(
            "gain",
            of="plain",
            than="batch normalisation",
            by="arm",
            each=("batch_size", "steps"),
            where={"quantity": "gain by dropout"},
        ),
        regularisation=Greater(
            "test_loss",
            of="plain",
            than="batch normalisation",
            by="arm",
            each=("batch_size",),
            where={"quantity": "loss at equal training loss"},
        ),
    ),
    boundary=Boundary("at small batches, whose statistics are noisy", holds="batch_size <= 16"),
    smoke={"steps": 240, "rates": (0.02, 0.1, 0.5, 2.5), "dropped": (0.25, 0.5), "width": 32},
    full={"data": "mnist", "images": 1000, "steps": 8000},
    control={"normalisation": "scale and shift"},
    positive_control=PositiveControl(
        "Plain networks gain by dropout, and have less test loss at equal training loss with it.",
        criterion=AllOf(
            need=LESS_WITH_DROPOUT("gain", each=("batch_size", "steps"), where={"quantity": "gain by dropout"}),
            regularisation=LESS_WITH_DROPOUT(
                "test_loss", each=("batch_size",), where={"quantity": "loss at equal training loss"}
            ),
        ),
    ),
    seeds=48,
    reported=(
        Reported(
            "85.75 and 82.00 %",
            measure="test accuracy with and without batch normalisation, no other regulariser",
            setting="Inception, CIFAR-10",
            place="Zhang et al. 2017, table 1",
        ),
    ),
)
def bn_regularises(observations, *, normalisation="batch normalisation"):
    """Measures the need for dropout by its gain, and regularisation by the test loss at equal training loss.

    The control has the learned scale and shift of normalisation without normalising.
    """
    kept = observations[observations["arm"].isin(["plain", "plain with dropout", normalisation])]
    return kept.assign(arm=kept["arm"].replace(normalisation, "batch normalisation")).reset_index(drop=True)


def _at_level(records, level):
    """Test loss of each seed where its training loss first reaches a level, linear in the logarithm of that."""
    losses = {}
    for seed, run in records.sort_values("step").groupby("seed"):
        train, test = run["train_loss"].to_numpy(), run["test_loss"].to_numpy()
        reached = np.flatnonzero(train <= level)
        if not len(reached):
            losses[seed] = np.inf
        elif reached[0] == 0:
            losses[seed] = test[0]
        else:
            before, after = reached[0] - 1, reached[0]
            part = np.log(train[before] / level) / np.log(train[before] / train[after])
            losses[seed] = test[before] + part * (test[after] - test[before])
    return pd.Series(losses).rename_axis("seed")


def dropping_network(*, inputs, outputs, width, statistics, dropped):
    """Build a network of two hidden ReLU layers with dropout, normalised, scaled and shifted, or neither."""
    layers = [keras.Input((inputs,))]
    for _ in range(2):
        layers.append(keras.layers.Dense(width, kernel_initializer="he_normal"))
        if statistics == "batch":
            layers.append(keras.layers.BatchNormalization(momentum=0.9))
        elif statistics == "scale and shift":
            layers.append(scale_and_shift())
        layers += [keras.layers.ReLU(), variable_dropout()(dropped)]
    return keras.Sequential([*layers, keras.layers.Dense(outputs)])


@cache
def variable_dropout():
    """Make the class of a layer of dropout whose share of dropped units is a variable."""

    class VariableDropout(keras.layers.Layer):
        """Dropout: zeros with a probability, what is kept divided by the probability of keeping; the inputs if none."""

        def __init__(self, dropped):
            super().__init__()
            self.share_initializer = keras.initializers.Constant(dropped)
            self.seed_generator = keras.random.SeedGenerator()

        def build(self, shape):
            del shape  # one share for all units
            self.share = self.add_weight(shape=(), initializer=self.share_initializer, trainable=False, name="share")

        def call(self, inputs, training=False):
            if not training:
                return inputs
            draws = keras.random.uniform(keras.ops.shape(inputs), seed=self.seed_generator)
            kept = keras.ops.cast(draws >= self.share, inputs.dtype)
            return inputs * kept / (1 - self.share)

        def compute_output_shape(self, shape):
            return shape

    return VariableDropout
