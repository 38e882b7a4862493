"""What the initial weights mean for training."""

from __future__ import annotations

import numpy as np
import pandas as pd

from repro import AllOf, AtMost, Boundary, Equivalent, Falls, Greater, Reported, claim, lectures
from repro.claims.initialization._courses import Rule, courses
from repro.claims.initialization._networks import (
    coarse_validation_loss,
    drawn_images,
    network_of,
    normal_network,
    probe_hidden,
    weights_of_deviation,
)
from repro.engine import Validation, classifier, horizons, join_tables, load_data, mlp, tune

INITIAL = lectures("2.3.5")
SMALL = {"variance 0.01": 0.01, "deviation 0.01": 0.0001}  # variances by name
TRAINED = "Glorot", "a third", "large", "deviation 0.01"
LARGE = 3.0  # times the usual deviation
RATES = (0.1, 0.3, 1.0, 0.03, 3.0, 0.01, 10.0, 30.0)  # usual ones first, see coarse_validation_loss


def trained_arm(training, rates, seeds, **labels):
    """Train an arm at the rate of the lowest validation loss, and measure after half of the steps and all.

    Returns:
        Table with the labels as columns and with the score of that rate, the trials in ``attrs["tuning"]``; and the
        rate.
    """
    tuning = tune(training, {"learning_rate": list(rates)}, len(rates), objective=Validation(coarse_validation_loss))
    table = horizons(training(seeds=list(seeds), **tuning.best).records).assign(**labels)
    table.attrs["tuning"] = tuning.table(**labels)
    table["validation_score"] = tuning.trials["score"].min()
    return table, tuning.best["learning_rate"]


@claim(
    "With all weights zero the symmetry between units is never broken, and the model fails to converge.",
    source=INITIAL,
    kind="theorem",
    scope="networks with hidden layers; failing to converge means a loss that stays above that from random weights",
    root="zero_weights",
    literature="Goodfellow, Bengio and Courville 2016, section 8.4",
    criterion=AllOf(
        symmetric=AtMost("distance", bound=0.0, atol=1e-3, where={"weights": "zero", "quantity": "units"}),
        converges=Greater(
            "train_loss", of="zero", than="random", by="weights", each=("steps",), where={"quantity": "training"}
        ),
    ),
    smoke={"steps": 400},
    full={"data": "mnist", "width": 128, "examples": 5000, "steps": 5000},
    control={"noise": 0.01},
)
def symmetry(seeds, *, noise=0.0, width=16, examples=600, steps=1000, rates=RATES, data="digits"):
    """Trains networks with one hidden layer from zero weights and from Glorot's, and compares their hidden units.

    Sigmoid units, to whose weights a gradient comes at all: from zero weights tanh and ReLU never move (``zero_init``).
    The distance is the root mean square, after training, of the differences between units' weights, incoming, bias and
    outgoing, and their mean, over the root mean square of these weights. By induction, the second route, equal units
    have equal gradients, so that they stay equal; rounding alone can tell them apart. Losses are cross-entropies over
    600 standardised training images that each seed redraws, after half of the steps and all, each start at its own rate
    of plain stochastic gradient descent, tuned on validation images. The control adds noise of deviation 0.01.
    """
    random = weights_of_deviation(noise) if noise else "zeros"
    tables = []
    for weights, initializer in (("zero", random), ("random", "glorot_uniform")):
        options = {"widths": (width,), "activation": "sigmoid", "initializer": initializer}
        arm = classifier(mlp, drawn_images(data, examples), steps=steps, every=steps // 2, **options)
        tuning = tune(arm, {"learning_rate": list(rates)}, len(rates), objective=Validation(coarse_validation_loss))
        trained = arm(seeds=list(seeds), **tuning.best)
        losses = horizons(trained.records)[["seed", "steps", "train_loss"]].assign(quantity="training")
        distances = [_unit_distance(*values) for values in trained.weights]
        units = pd.DataFrame({"seed": list(seeds), "distance": distances, "quantity": "units"})
        tables.append(pd.concat([losses, units], ignore_index=True).assign(weights=weights))
        tables[-1].attrs["tuning"] = tuning.table(weights=weights)
    return join_tables(tables)


def _unit_distance(kernel, bias, output_kernel, _):
    """Root mean square of the differences between units' weights and their mean, over that of the weights."""
    units = np.vstack([kernel, bias, output_kernel.T])
    size = np.linalg.norm(units)
    return np.linalg.norm(units - units.mean(axis=1, keepdims=True)) / size if size else 0.0


@claim(
    "In deep networks large initial weights can make gradients explode on their way back, leading to instability and "
    "slow convergence.",
    source=INITIAL,
    kind="possibility",
    scope="deep networks; activation and how large is left open",
    left_open=("activation", "factor"),
    root="large_weights",
    literature="Glorot and Bengio 2010; He et al. 2015, section 2.2",
    criterion=AllOf(
        explode=Falls("gradient", along="layer", each=("factor",), where={"quantity": "gradient"}),
        unstable=Greater(
            "train_loss",
            of="large at the usual rate",
            than="usual",
            by="arm",
            each=("steps",),
            where={"quantity": "training"},
        ),
        slow=Greater("train_loss", of="large", than="usual", by="arm", each=("steps",), where={"quantity": "training"}),
    ),
    boundary=Boundary("above the usual deviation", holds="factor > 1"),
    smoke={"steps": 400},
    full={"data": "mnist", "depth": 20, "width": 256, "examples": 5000, "steps": 10_000},
)
def large_init_unstable(
    seeds,
    *,
    factors=(1.0, 1.1, 3.0),
    depth=6,
    width=32,
    networks=64,
    examples=600,
    steps=600,
    rates=(0.1, 0.3, 0.03, 1.0, 1e-2, 1e-3, 1e-4, 1e-5, 1e-6, 1e-7),
    data="digits",
):
    r"""Follows gradients of untrained ReLU networks and trains them, from He's and from larger standard deviations.

    Explode: root mean square of the gradient with respect to what enters a layer, at the last of six hidden layers over
    that at the first, over 64 networks; a random direction stands for the loss. Expected, the second route: it grows
    going back by the factor on the deviation in every layer, as He's variance keeps it. Unstable: cross-entropy, over
    600 standardised training images that each seed redraws, of networks from three times the deviation at the rate
    that suits the usual ones, infinite where they diverge. Slow: the same at a rate of their own. Stochastic gradient
    descent, losses after half of the steps and all, rates tuned on validation images.
    """
    rules = {factor: Rule("relu", "normal", lambda n, _, factor=factor: factor * (2 / n) ** 0.5) for factor in factors}
    tables = []
    for seed in seeds:
        options = {"networks": networks, "examples": 16, "data": data, "backward": True}
        course = courses(seed, rules, sizes=(load_data(data).x_train[0].size, *[width] * depth), **options)
        course = course[course["measured"] == "gradient"].rename(columns={"rule": "factor"})
        place = {"seed": seed, "quantity": "gradient", "gradient": course["value"] ** 0.5}
        tables.append(course.assign(layer=depth + 1 - course["layer"], **place))
    usual, large = (
        classifier(
            normal_network,
            drawn_images(data, examples),
            steps=steps,
            every=steps // 2,
            scale=2 * factor**2,
            activation="relu",
            depth=depth,
            width=width,
        )
        for factor in (1.0, LARGE)
    )
    labels = {"quantity": "training", "factor": LARGE}
    table, rate = trained_arm(usual, rates, seeds, arm="usual", **labels)
    at_usual_rate = horizons(large(seeds=list(seeds), learning_rate=rate).records)
    at_usual_rate = at_usual_rate.assign(arm="large at the usual rate", **labels)
    return join_tables([*tables, table, at_usual_rate, trained_arm(large, rates, seeds, arm="large", **labels)[0]])


def weights_experiment(
    seeds,
    *,
    activations=("sigmoid", "tanh"),
    depths=(1, 6),
    width=32,
    probed_widths=(32, 256),
    examples=600,
    steps=600,
    rates=RATES,
    data="digits",
):
    """Trains shallow and deep networks of equal hidden layers from normal initial weights of four sizes.

    Their variances are Glorot's 2/(n_in + n_out), sixteen times that, 1/(3 n_in) and 0.0001. Stochastic gradient
    descent on 600 standardised training images that each seed redraws, every network at its own rate, tuned on
    validation images; measured after half of the steps and all. Before training, the gradient of the loss with respect
    to the outputs of the hidden layers is measured in deep tanh networks of two widths, Euclidean norm over 256 images.
    The share of training images that are of the commonest class stands beside.
    """
    images = drawn_images(data, examples)
    tables = []
    for of_width in probed_widths:
        shape = {"activation": "tanh", "depth": max(depths), "width": of_width}
        tables.append(probe_hidden(network_of, data, seeds, weights=list(SMALL), **shape).assign(quantity="gradient"))
    for activation in activations:
        for depth in depths:
            for weights in TRAINED:
                shape = {"activation": activation, "depth": depth, "width": width}
                arm = classifier(network_of, images, steps=steps, every=steps // 2, weights=weights, **shape)
                labels = {"quantity": "training", "activation": activation, "depth": depth, "weights": weights}
                tables.append(trained_arm(arm, rates, seeds, **labels)[0])
    observations = join_tables(tables)
    commonest = {seed: np.bincount(images(seed).y_train).max() / examples for seed in seeds}
    observations["commonest_class"] = observations["seed"].map(commonest)
    return observations


@claim(
    "The refined Xavier rule works well for activations like sigmoid or tanh.",
    source=INITIAL,
    kind="tendency",
    scope="the refined rule 2/(n_in + n_out); depth, and what well is compared with, is left open",
    left_open=("depth",),
    reads=weights_experiment,
    literature="Glorot and Bengio 2010: sigmoids drive the top hidden layer of deep networks into saturation",
    criterion=AllOf(
        sigmoid=Greater(
            "test_accuracy",
            of="rule",
            than="best other",
            by="arm",
            smallest_difference=-0.01,
            each=("depth", "steps"),
            where={"activation": "sigmoid"},
        ),
        tanh=Greater(
            "test_accuracy",
            of="rule",
            than="best other",
            by="arm",
            smallest_difference=-0.01,
            each=("depth", "steps"),
            where={"activation": "tanh"},
        ),
    ),
    boundary=Boundary("with tanh, and with the sigmoid in shallow networks", holds="part == 'tanh' or depth == 1"),
    smoke={"steps": 400},
    full={"data": "mnist", "depths": (1, 10), "width": 256, "examples": 5000, "steps": 10_000},
    control={"rule": "deviation 0.01"},
    reported=(
        Reported(
            "52.92 % and 55.9 %",
            measure="test error of tanh networks, normalised and standard initialisation",
            setting="CIFAR-10, five layers of 1000 units",
            place="Glorot and Bengio 2010, table 1",
        ),
        Reported(
            "57.28 %",
            measure="test error of sigmoid networks",
            setting="CIFAR-10, five layers of 1000 units",
            place="Glorot and Bengio 2010, table 1",
        ),
    ),
    seeds=48,
)
def xavier_suits_sigmoid_tanh(observations, *, rule="Glorot"):
    """Compares accuracy on test images from Glorot's weights with that from the best other ones.

    To work well is to be no more than a point below the best of the other initial weights, which validation images
    choose for each activation and depth. Mean-field theory (Schoenholz et al. 2017) expects tanh, of slope one at zero,
    to train from Glorot's variance at any usual depth; the sigmoid, of slope 1/4, lets a signal through only from
    weights four times as large, which are among the others, and in networks of one hidden layer that does not matter.
    The control has the rule replaced by the deviation 0.01.
    """
    trained = observations[observations["quantity"] == "training"]
    others = trained[trained["weights"] != rule]
    ordered = others.sort_values("validation_score", kind="stable")
    best = ordered.drop_duplicates(["activation", "depth", "seed", "steps"])
    judged = trained[trained["weights"] == rule]
    return pd.concat([judged.assign(arm="rule"), best.assign(arm="best other")], ignore_index=True)


@claim(
    r"Small Gaussian weights, such as $\mathcal{N}(0, \sigma^2)$ with 0.01, work for shallow networks, but may pose "
    "challenges for deeper ones: they can make gradients shrink in each layer, slowing down learning and potentially "
    "leading to vanishing gradients; if they are too small, learning effectively halts.",
    source=INITIAL,
    kind="possibility",
    scope="tanh networks; whether 0.01 is the variance or the deviation, and the width, is left open",
    left_open=("small", "width"),
    transcription=True,
    reads=weights_experiment,
    literature="Glorot and Bengio 2010; Krizhevsky et al. 2012 used a deviation of 0.01",
    criterion=AllOf(
        shallow=Greater(
            "test_accuracy",
            of="small",
            than="Glorot",
            by="arm",
            smallest_difference=-0.01,
            each=("steps",),
            where={"quantity": "training", "network": "shallow"},
        ),
        gradients=Falls("gradient", along="layers_back", each=("small", "width"), where={"quantity": "gradient"}),
        deep=Greater(
            "train_loss",
            of="small",
            than="Glorot",
            by="arm",
            each=("steps",),
            where={"quantity": "training", "network": "deep"},
        ),
        halts=Equivalent(
            "train_accuracy",
            "commonest_class",
            smallest_difference=0.01,
            each=("steps",),
            where={"quantity": "training", "network": "deep", "arm": "small"},
        ),
    ),
    boundary=Boundary(
        "in deep networks where the variance of the weights times the width is below one",
        holds="part != 'gradients' or variance * width < 1",
        named=(
            {"part": "shallow"},
            {"part": "gradients", "small": "variance 0.01"},
            {"part": "deep"},
            {"part": "halts"},
        ),
    ),
    smoke={"steps": 400},
    full={"data": "mnist", "depths": (1, 10), "width": 256, "examples": 5000, "steps": 10_000},
    reported=(
        Reported(
            "1.7e4",
            measure="factor by which gradients shrink from the tenth convolution to the second, deviation 0.01",
            setting="VGG of ten convolutions",
            place="He et al. 2015, section 2.2",
        ),
    ),
    seeds=48,
)
def small_gaussian(observations):
    r"""Compares networks from small weights with such from Glorot's, and follows gradients through deep ones.

    Tanh networks of one and of six hidden layers. To work is to be no more than a point of test accuracy below Glorot's
    weights, to learn slowly to have a larger training loss. Learning has halted where no more training images are
    classified than by naming the commonest class, within a point. The passage's formula equates a distribution with
    0.01, which may be the variance or the deviation: gradients are followed for both, networks are trained from the
    deviation, as for 32 units the variance 0.01 is that which was standard, 1/(3 n). The sum of n terms decides, not
    one: expected, by mean-field theory (Schoenholz et al. 2017), is that the mean square of a gradient is multiplied by
    at most n times the variance in each layer, so that gradients shrink while that is below one, as it is for 32 units,
    but for 256 with the deviation 0.01 alone.
    """
    gradients = observations[observations["quantity"] == "gradient"].rename(columns={"weights": "small"})
    tables = [gradients.assign(variance=gradients["small"].map(SMALL))]
    trained = observations[(observations["quantity"] == "training") & (observations["activation"] == "tanh")]
    trained = trained.assign(network=np.where(trained["depth"] == trained["depth"].min(), "shallow", "deep"))
    arms = {"deviation 0.01": "small", "Glorot": "Glorot"}
    tables.append(trained[trained["weights"].isin(arms)].assign(arm=trained["weights"].map(arms)))
    return pd.concat(tables, ignore_index=True)
