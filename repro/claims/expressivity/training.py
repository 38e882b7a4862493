"""How many units it takes, whether training finds their weights, and how many layers classification needs."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, ChangesAs, Greater, Reported, claim, lectures
from repro.claims.expressivity._sawtooth import Curve, many_layers, one_layer, values, zigzag
from repro.engine import ImageData, Record, classifier, compare_arms, horizons, load_data, mlp, train, tune

with epy.lazy_imports():
    import keras

RESTARTS = 3
EDGE = 3**0.5  # numbers that are uniform up to it on either side have variance one


@claim(
    "Approximating a function with a single hidden layer may require an exponential number of hidden units, in "
    "practice an excessively large one.",
    source=(lectures("2.5"), lectures("2.2.2")),
    kind="possibility",
    scale="exact",
    scope="one hidden layer; the class of functions, and in what the number is exponential, are left open",
    left_open=("target",),
    literature="Telgarsky 2016: sawtooths; Rolnick and Tegmark 2018: 2^n units for products of n numbers",
    criterion=ChangesAs("exponential", "size", "units", each=("target",)),
)
def exponential_units(seed, *, sizes=(1, 2, 3, 4, 5, 6)):
    """Units of a Keras network that is equal to a sawtooth of k doublings, or to the parity of k bits, against k.

    A sawtooth of k doublings has 2^k rising and falling pieces between nought and one. Whatever is nearer to it than a
    half everywhere crosses a half 2^k times, which takes as many pieces, and so 2^k - 1 ReLU units of one layer: the
    network with 2^k of them is but one from the least. Parity is a zigzag of the sum of the bits with k pieces, and k
    units are enough: what is exponential for one function is not for another. A network counts if its largest error,
    on 4096 random numbers or draws of the bits, is below a thousandth, else its number of units is infinite. A further
    column has the 2 k units of k layers that represent the same sawtooths. A worked number: what could make it fail are
    Keras' layers.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for size in sizes:
        kinks, heights = np.linspace(0, 1, 2**size + 1), np.arange(2**size + 1) % 2.0
        x = generator.uniform(size=4096)
        error, of_deep = (
            np.abs(values(layers, x) - zigzag(kinks, heights, x)).max()
            for layers in (one_layer(kinks, heights), many_layers(size))
        )
        units, deep_units = 2**size if error < 1e-3 else np.inf, 2 * size if of_deep < 1e-3 else np.inf
        found = {"units": units, "error": error, "deep_units": deep_units}
        rows.append({"target": "sawtooth", "size": size, **found})
        bits = np.arange(size + 1.0)
        sums = generator.integers(2, size=(4096, size)).sum(axis=1).astype(float)
        error = np.abs(values(one_layer(bits, bits % 2), sums) - sums % 2).max()
        rows.append({"target": "parity", "size": size, "units": size if error < 1e-3 else np.inf, "error": error})
    return pd.DataFrame(rows)


@claim(
    "The universal approximation theorem does not guarantee that the learning algorithm finds the necessary weights.",
    source=lectures("2.2.2"),
    kind="possibility",
    scope="one hidden layer; algorithm, length of training and target are left open",
    left_open=("algorithm",),
    literature="Rahaman et al. 2019: gradient descent learns high frequencies last",
    criterion=Greater("error", of="trained", than="constructed", by="network", each=("algorithm", "steps")),
    smoke={"steps": 1000},
    control={"target": "line"},
    seeds=48,
)
def training_may_not_find_it(seeds, *, steps=4000, teeth=8, points=256, width=32, target="sawtooth"):
    """Root mean squared error of the best of three trained networks, and of a constructed one of the same width.

    The target is a sawtooth of eight teeth of random widths, with values from nought to one, at 256 evenly spaced
    points of mean nought and variance one, as inputs are prepared for training; 16 of 32 ReLU units represent it, to
    rounding. Training minimises the squared error on these points with batches of 64, by Keras' Adam and SGD with
    momentum 0.9, each at the rate of the least error on other seeds. After half and all of the steps the best of three
    restarts must be worse by a point of the range; a column has the error of the best constant, which is 0.29. The
    control has a straight line for the target.
    """
    rows = []
    for seed in seeds:
        kinks, heights = _corners(seed, teeth, target)
        curve = _curve(seed, teeth, points, target)
        off = values(one_layer(kinks, heights), curve.x_train[:, 0].astype(float)) - curve.y_train[:, 0]
        constructed = {"seed": seed, "network": "constructed", "error": np.sqrt(np.mean(off**2))}
        constructed["best_constant"] = np.std(curve.y_train)
        rows += [
            {**constructed, "algorithm": algorithm, "steps": number}
            for algorithm in ("adam", "sgd")
            for number in (steps // 2, steps)
        ]
    tables = [pd.DataFrame(rows)]
    spaces = {"adam": [0.001, 0.003, 0.01, 0.03, 0.1], "sgd": [0.003, 0.01, 0.03, 0.1, 0.3]}
    optimizers = {"adam": keras.optimizers.Adam(), "sgd": keras.optimizers.SGD(momentum=0.9)}
    for algorithm, rates in spaces.items():
        arm = partial(
            train,
            mlp,
            partial(_restarted_curve, teeth=teeth, points=points, target=target),
            loss="mean_squared_error",
            optimizer=optimizers[algorithm],
            steps=steps,
            batch_size=64,
            record=Record(every=steps // 2),
            inputs=1,
            outputs=1,
            widths=(width,),
        )
        tuning = tune(arm, {"learning_rate": rates}, len(rates), widen=2)
        restarts = [RESTARTS * seed + number for seed in seeds for number in range(RESTARTS)]
        records = horizons(arm(seeds=restarts, **tuning.best).records)
        records["seed"] //= RESTARTS
        best = records.groupby(["seed", "steps"], as_index=False)["train_loss"].min()
        best["error"] = np.sqrt(best.pop("train_loss"))
        tables.append(best.assign(network="trained", algorithm=algorithm))
        tables[-1].attrs["tuning"] = tuning.table(algorithm=algorithm)
    found = pd.concat(tables, ignore_index=True)
    found.attrs["tuning"] = [trial for table in tables for trial in table.attrs.get("tuning", [])]
    return found


@claim(
    "For classification tasks typically only one additional hidden layer is needed for satisfactory performance.",
    source=lectures("2.2.2"),
    kind="tendency",
    scope="multi-layer perceptrons; additional is taken to count from none, satisfactory as no worse than with a "
    "second hidden layer; data are left open",
    left_open=("data",),
    literature="Zhang et al. 2017, table 1",
    criterion=AllOf(
        needed=Greater("test_accuracy", of="one", than="none", by="hidden", each=("data", "steps")),
        enough=Greater(
            "test_accuracy",
            of="one",
            than="two",
            by="hidden",
            smallest_difference=-0.01,
            each=("data", "steps"),
        ),
    ),
    smoke={"steps": 600, "rates": (0.03, 0.1, 0.3)},
    control={"activation": "linear"},
    reported=(
        Reported(
            "50.51 % and 52.39 %",
            measure="test accuracy of one and of three hidden layers of 512 units, with weight decay",
            setting="CIFAR-10",
            place="Zhang et al. 2017, table 1",
        ),
    ),
    seeds=48,
)
def one_more_layer_classifies(
    seeds, *, steps=2000, images=500, rates=(0.01, 0.03, 0.1, 0.3, 1.0), activation="relu", data=("digits", "rings")
):
    """Test accuracy of networks with no, one and two hidden layers, the latter of about equal numbers of parameters.

    Digits: 500 standardised images of 8 x 8 pixels, which each seed redraws; hidden layers of 64 units or twice 40.
    Rings: 500 points of a plane, normally distributed, in three classes by their distance from the origin up to noise
    of deviation 0.1, as many in each; hidden layers of 64 units or twice 16. SGD with batches of 32, each network at
    the rate of the least loss on held-out examples, after half and all of the steps. A hidden layer is needed if it
    gains a point, and enough if the second gains no more than that. In the control hidden layers are linear.
    """
    tables = []
    for name in data:
        draw = partial(_rings, size=images) if name == "rings" else _digits(name, images)
        twice = (16, 16) if name == "rings" else (40, 40)
        arms = {
            hidden: classifier(mlp, draw, steps=steps, every=steps // 2, widths=widths, activation=activation)
            for hidden, widths in (("none", ()), ("one", (64,)), ("two", twice))
        }
        space = {"learning_rate": list(rates)}
        tables.append(
            compare_arms(arms, space, len(rates), seeds, by="hidden", objective="validation_loss", widen=2, data=name)
        )
    records = pd.concat(tables, ignore_index=True)
    found = horizons(records)
    found.attrs["tuning"] = [trial for table in tables for trial in table.attrs.get("tuning", [])]
    return found


def _corners(seed, teeth, target):
    """Kinks and heights of the target of a seed, on an interval whose uniform distribution is standardised."""
    if target == "line":
        return np.array([-EDGE, EDGE]), np.array([0.0, 1.0])
    widths = np.random.default_rng((seed, 1)).uniform(0.5, 1.5, size=2 * teeth)
    kinks = np.concatenate([[0.0], np.cumsum(widths) / widths.sum()])
    return EDGE * (2 * kinks - 1), np.arange(2 * teeth + 1) % 2.0


def _curve(seed, teeth, points, target):
    x = np.linspace(-EDGE, EDGE, points)[:, None]
    y = zigzag(*_corners(seed, teeth, target), x)
    x, y = x.astype(np.float32), y.astype(np.float32)
    return Curve(x, y, x, y)


def _restarted_curve(seed, teeth, points, target):
    """Target of a replica: restarts of a seed have the same."""
    return _curve(seed // RESTARTS, teeth, points, target)


def _digits(name, size):
    loaded = load_data(name).standardized().flat()
    return lambda seed: loaded.subset(size, seed)


def _rings(seed, size, tests=1000):
    generator = np.random.default_rng((seed, 2))
    x = generator.normal(size=(size + tests, 2))
    radius = np.linalg.norm(x, axis=1) + 0.1 * generator.normal(size=len(x))
    # A third each lies within sqrt(2 log(3/2)) and within sqrt(2 log 3) of the origin.
    labels = np.digitize(radius, np.sqrt(2 * np.log([1.5, 3.0])))
    inputs, classes = x.astype(np.float32), labels.astype(np.int32)
    return ImageData("rings", 3, inputs[:size], classes[:size], inputs[size:], classes[size:])
