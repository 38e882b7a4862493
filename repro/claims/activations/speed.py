"""How fast networks of different activations learn, at which rates, and what their centre has to do with it."""

from __future__ import annotations

import numpy as np
import pandas as pd

from repro import AllOf, Boundary, Greater, PositiveControl, Ratio, Reported, claim, lectures, notes
from repro.claims.activations._trainings import FULL, LOST, SMOKE, steps_until, trainings
from repro.engine import horizons

DEEP = ("depth",)
WITH_TARGET = ("depth", "target")


def _at_fastest(observations, targets):
    """Steps to training losses of networks at their fastest rate: columns seed, activation, depth, target, steps."""
    trained = observations[observations["of"] == "training"]
    chosen = trained[trained["learning_rate"] == trained["fastest_rate"]]
    tables = []
    for (activation, depth), records in chosen.groupby(["activation", "depth"]):
        for target in targets:
            steps = steps_until(records, target).reset_index()
            tables.append(steps.assign(activation=activation, depth=depth, target=target, of="steps"))
    return pd.concat(tables, ignore_index=True)


@claim(
    "Stochastic gradient descent converges approximately six times faster with ReLU than with sigmoid or tanh.",
    source=lectures("2.2.3"),
    kind="law",
    scope="the network, the data, the target and the initialisation are left open; the number is that of Krizhevsky et "
    "al., whom the lectures do not name, for ReLU against tanh",
    left_open=WITH_TARGET,
    literature="Krizhevsky et al. 2012, section 3.1; Glorot and Bengio 2010 for sigmoids in deep networks",
    reads=trainings,
    criterion=AllOf(
        **{
            than: Ratio("steps", of=than, than="relu", by="activation", expected=6.0, each=WITH_TARGET)
            for than in ("sigmoid", "tanh")
        }
    ),
    boundary=Boundary(
        "against the sigmoid in deep networks", holds="part == 'sigmoid' and depth >= 6", named=({"depth": 6},)
    ),
    smoke=SMOKE,
    full=FULL,
    reported=(
        Reported(
            "6",
            measure="epochs to 25 % training error, tanh over ReLU",
            setting="four-layer convolutional network, CIFAR-10, no regularisation, rates chosen for each",
            place="Krizhevsky et al. 2012, figure 1",
        ),
    ),
    seeds=48,
)
def relu_six_times_faster(observations, *, targets=(0.5, 0.1)):
    """Counts steps until training losses of 0.5 and of 0.1, each network at the rate of the fewest steps to 0.1.

    The size holds where the ratio of steps is nearer to six than to one, which is from the root of six on. A network
    that does not get there takes infinitely many.
    """
    return _at_fastest(observations, targets)


@claim(
    "Tanh is often preferred for hidden layers since it centres the data; being symmetric about zero, unlike the "
    "sigmoid, it can make optimisation easier.",
    source=(lectures("2.2"), lectures("3.3.2")),
    kind="tendency",
    scope="hidden layers; depth, initialisation and data are left open",
    left_open=DEEP,
    literature="LeCun et al. 1998, section 4.4; Glorot and Bengio 2010",
    reads=trainings,
    criterion=AllOf(
        than_sigmoid=Greater(
            "train_loss", of="sigmoid", than="tanh", by="arm", each=("depth", "steps"), where={"of": "training"}
        ),
        by_symmetry=Greater(
            "train_loss", of="off centre", than="tanh", by="arm", each=("depth", "steps"), where={"of": "training"}
        ),
    ),
    smoke=SMOKE,
    full=FULL,
    control={"centred": "tanh - 1", "off_centre": "tanh"},
    reported=(
        Reported(
            "1.76 and 2.21 %",
            measure="test error, tanh and sigmoid",
            setting="MNIST, deep networks, standard initialisation",
            place="Glorot and Bengio 2010, table 1",
        ),
        Reported(
            "55.9 and 57.28 %",
            measure="test error, tanh and sigmoid",
            setting="CIFAR-10, deep networks, standard initialisation",
            place="Glorot and Bengio 2010, table 1",
        ),
    ),
    seeds=48,
)
def tanh_beats_sigmoid(observations, *, centred="tanh", off_centre="tanh + 1"):
    """Compares training losses after half and all of the steps, each network at the rate of its least validation loss.

    By symmetry: tanh plus one, which is as steep as tanh and off centre as the sigmoid is, in the place of the sigmoid;
    the sigmoid itself is tanh of half the argument, so that it differs in slope, too. The control has tanh less one in
    the place of tanh, which is as steep but not symmetric about zero, and tanh in the place of tanh plus one.
    """
    trained = observations[observations["of"] == "training"]
    chosen = horizons(trained[trained["learning_rate"] == trained["best_rate"]])
    names = {"sigmoid": "sigmoid", off_centre: "off centre", centred: "tanh"}
    kept = chosen[chosen["activation"].isin(list(names))]
    return kept.assign(arm=kept["activation"].map(names)).reset_index(drop=True)


PAIRS = {"tanh, relu": ("tanh", "relu"), "relu6, relu": ("relu6", "relu")}


@claim(
    "With an activation of finite range gradient-based training tends to be more stable; with an infinite one it is "
    "generally more efficient, and smaller learning rates are typically necessary.",
    source=notes("Remark 3.62"),
    kind="tendency",
    scope="gradient-based training; stable is read as training at larger rates, which is what smaller rates being "
    "necessary means, too; initialisation, depth, normalisation and task are left open",
    left_open=("pair", "depth"),
    reads=trainings,
    criterion=AllOf(
        stable=Greater(
            "largest_rate", of="finite", than="infinite", by="range", each=("pair", "depth"), where={"of": "rates"}
        ),
        efficient=Greater(
            "steps", of="finite", than="infinite", by="range", each=("pair", "depth"), where={"of": "steps"}
        ),
    ),
    boundary=Boundary(
        "for stability alone: where tanh networks train they take fewer steps than ReLU networks, and a cap at six "
        "takes none away where inputs are smaller",
        holds="part == 'stable'",
    ),
    smoke=SMOKE,
    full=FULL,
    positive_control=PositiveControl(
        "Networks train at larger rates than a quarter of their largest one, and sigmoid networks, of finite range, "
        "take more steps than ReLU networks.",
        criterion=AllOf(
            stable=Greater(
                "largest_rate",
                of="finite",
                than="quarter",
                by="range",
                each=("pair", "depth"),
                where={"of": "rates"},
                smallest_ratio=1.05**2,
                because="it is twice what matters",
            ),
            efficient=Greater(
                "steps",
                of="sigmoid",
                than="infinite",
                by="range",
                each=("pair", "depth"),
                where={"of": "steps"},
                smallest_ratio=1.05**2,
                because="it is twice what matters",
            ),
        ),
    ),
    seeds=48,
)
def bounded_range_is_stabler(observations, *, level=0.3):
    """Compares activations of finite with such of infinite range: tanh with ReLU, and a ReLU capped at six with ReLU.

    Stable, and smaller rates necessary: the largest rate of the grid at which the training loss is below 0.3 after the
    last step, interpolated to the next one linearly in logarithms of rates and losses, where no loss counts as more
    than that of guessing; half the smallest rate where no rate does. Efficient: steps until a training loss of 0.1 at
    the fastest rate. The capped ReLU tells what the range does from what slope and saturation at zero do, and starts
    from the same weights as ReLU; tanh starts from weights of another variance, Glorot's and not He's.
    """
    trained = observations[observations["of"] == "training"]
    last = trained[trained["step"] == trained["step"].max()].sort_values("learning_rate")
    steps = _at_fastest(observations, (0.1,))
    rows, tables = [], []
    for pair, names in PAIRS.items():
        ranges = dict(zip(("finite", "infinite"), names, strict=True))
        for side, activation in ({**ranges, "sigmoid": "sigmoid"}).items():
            tables.append(steps[steps["activation"] == activation].assign(pair=pair, range=side))
        for side, activation in ranges.items():
            for (seed, depth), runs in last[last["activation"] == activation].groupby(["seed", "depth"]):
                rate = _largest_rate(runs["learning_rate"].to_numpy(), runs["train_loss"].to_numpy(), level)
                labels = {"seed": seed, "depth": depth, "pair": pair, "of": "rates"}
                rows.append({**labels, "range": side, "largest_rate": rate})
                if side == "finite":
                    rows.append({**labels, "range": "quarter", "largest_rate": rate / 4})
    return pd.concat([*tables, pd.DataFrame(rows)], ignore_index=True)


def _largest_rate(rates, losses, level):
    """Largest of ascending rates with a loss within a level, interpolated to the next one.

    Example:
        >>> round(_largest_rate(np.array([0.1, 1.0]), np.array([0.1, 10.0]), level=np.sqrt(0.1 * np.log(10))), 3)
        0.316
    """
    losses = np.clip(losses, 1e-6, LOST)
    reached = np.flatnonzero(losses <= level)
    if not len(reached):
        return float(rates[0] / 2)
    last = reached[-1]
    if last == len(rates) - 1:
        return float(rates[last])
    part = np.log(level / losses[last]) / np.log(losses[last + 1] / losses[last])
    return float(rates[last] * (rates[last + 1] / rates[last]) ** part)


@claim(
    "ELU aims to bring mean activations closer to zero, which can accelerate learning.",
    source=lectures("2.2.3"),
    kind="possibility",
    scope="as a variant of ReLU; alpha, depth and normalisation are left open",
    left_open=("depth",),
    literature="Clevert et al. 2016",
    reads=trainings,
    criterion=AllOf(
        centred=Greater("offset", of="relu", than="elu", by="activation", each=DEEP, where={"of": "units"}),
        faster=Greater("steps", of="relu", than="elu", by="activation", each=DEEP, where={"of": "steps"}),
    ),
    smoke=SMOKE,
    full=FULL,
    seeds=48,
)
def elu_centres(observations, *, target=0.1):
    """Compares mean outputs of units after training, and steps to a training loss of 0.1, with those of ReLU networks.

    The offset is the size of a unit's mean output over the root mean square of all, in the mean over units and layers.
    Alpha is one. Each network at its own rate: that of the fewest steps, and for the offset that of the least
    validation loss. Beside them stand networks of a ReLU that is shifted down by 0.4, to about the same mean.
    """
    return pd.concat([_mean_over_layers(observations), _at_fastest(observations, (target,))], ignore_index=True)


def _mean_over_layers(observations, state="end"):
    units = observations[(observations["of"] == "units") & (observations["state"] == state)]
    measures = ["active_share", "offset", "one_signed_share"]
    return units.groupby(["seed", "activation", "depth"], as_index=False)[measures].mean().assign(of="units")


@claim(
    "ReLU outputs are not zero-centred, which can lead to imbalanced updates under gradient descent.",
    source=lectures("2.2.3"),
    kind="possibility",
    scope="gradient descent, hidden layers; normalisation and biases are left open",
    left_open=("depth",),
    literature="LeCun et al. 1998, section 4.3: if all inputs of a unit are positive, its weights for one example all "
    "increase or all decrease together",
    reads=trainings,
    criterion=AllOf(
        not_centred=Greater("offset", of="relu", than="tanh", by="activation", each=DEEP),
        imbalanced=Greater(
            "one_signed_share",
            of="relu",
            than="tanh",
            by="activation",
            each=DEEP,
            smallest_difference=0.01,
            because="one point of a share matters as one of an error does",
            source="the project's table for shares in points",
        ),
    ),
    smoke=SMOKE,
    full=FULL,
    seeds=48,
)
def relu_not_zero_centred(observations):
    """Compares mean outputs of units, and how many updates of single examples are of one sign, with tanh networks.

    After training on standardised images, at the rate of the least validation loss. The offset is the size of a unit's
    mean output over the root mean square of all. The gradient of one example by the weights into a unit is a number
    times the outputs of the layer before, so that all its entries are of one sign if these are, apart from zeros: with
    ReLU always, which is a worked fact; the share of examples is in the mean over hidden layers. What is measured is
    that updates are imbalanced; that this does harm is not claimed.
    """
    return _mean_over_layers(observations)


@claim(
    "With ReLU only a portion of the hidden units, those with positive input, is active, which makes the "
    "representation more efficient.",
    source=lectures("2.2.3"),
    kind="tendency",
    scope="hidden layers of ReLU networks; biases, data, and what efficient means are left open: here that units which "
    "are not zero are fewer at no more error",
    left_open=("depth", "state"),
    literature="Glorot, Bordes and Bengio 2011",
    reads=trainings,
    criterion=AllOf(
        portion=Greater(
            "active_share",
            of="tanh",
            than="relu",
            by="activation",
            each=("depth", "state"),
            where={"of": "units"},
        ),
        efficient=Greater(
            "test_error",
            of="tanh",
            than="relu",
            by="activation",
            each=("depth", "steps"),
            where={"of": "training"},
            smallest_difference=-0.01,  # no more error than by a point, the project's smallest that matters
        ),
    ),
    boundary=Boundary(
        "for the portion of active units; that they do as well is expected of shallow networks, deep ones of few units "
        "lose by it",
        holds="part == 'portion' or depth <= 2",
    ),
    smoke=SMOKE,
    full=FULL,
    control={"sparse": "leaky_relu"},
    reported=(
        Reported(
            "83.4 and 72.0 %",
            measure="share of zeros of hidden units after training",
            setting="MNIST and CIFAR-10, three hidden layers of 1000 rectifiers",
            place="Glorot, Bordes and Bengio 2011, section 4.1",
        ),
    ),
    seeds=48,
)
def relu_sparsity(observations, *, sparse="relu"):
    """Compares the share of outputs of hidden units that are not zero, at the start and at the end, and test errors.

    With tanh networks, whose units are all active; at the rates of the least validation loss, errors after half and all
    of the steps, which may be more by less than a point. With the multiplications by zeros left out, a layer needs as
    many as its share of active inputs. The control has the leaky ReLU, which is as steep but never zero.
    """
    names = {"tanh": "tanh", sparse: "relu"}
    units = [_mean_over_layers(observations, state).assign(state=state) for state in ("start", "end")]
    trained = observations[observations["of"] == "training"]
    chosen = horizons(trained[trained["learning_rate"] == trained["best_rate"]])
    chosen = chosen.assign(test_error=1 - chosen["test_accuracy"]).drop(columns="state")
    table = pd.concat([*units, chosen], ignore_index=True)
    kept = table[table["activation"].isin(list(names))]
    return kept.assign(activation=kept["activation"].map(names)).reset_index(drop=True)
