"""What the initial weights mean for training."""

from __future__ import annotations

import itertools

import numpy as np

from repro import AllOf, AtMost, Correction, ExponentialDecay, Greater, Proportion, claim, lectures
from repro.claims.initialization._networks import normal_network, probe_hidden
from repro.engine import classifier, compare_arms, join_tables, load_data, mlp, tune

HALF_IN_TEN_LAYERS = np.log(2) / 10
VANISHES = "a gradient of which ten layers leave less than half vanishes in networks of ordinary depth"
TWOFOLD = "twice the loss after the same steps, each at its best rate, is more than seeds differ by"
INITIAL = lectures("2.3.5")


def tuned(arms, rates, seeds, by="weights", **labels):
    """Train arms, each at the rate of the lowest final training loss on seeds of its own, with labels as columns."""
    return compare_arms(arms, {"learning_rate": list(rates)}, len(rates), seeds, by=by, **labels)


@claim(
    "With all weights zero the symmetry between units is never broken, and the model fails to converge.",
    source=INITIAL,
    kind="theorem",
    root="zero_weights",
    literature="Goodfellow, Bengio and Courville 2016, section 8.4",
    criterion=AllOf(
        symmetric=AtMost("distance", bound=0.0, atol=1e-3, where={"weights": "zero"}, each=("activation",)),
        converges=Greater(
            "train_loss",
            of="zero",
            than="random",
            by="weights",
            smallest_ratio=2.0,
            because=TWOFOLD,
            each=("activation",),
        ),
    ),
    smoke={"activations": ("sigmoid",), "steps": 200, "rates": (0.3, 1.0)},
    full={"data": "mnist", "width": 128, "steps": 5000},
    control={"noise": 0.01},
)
def symmetry(
    seeds,
    *,
    activations=("sigmoid", "tanh"),
    noise=0.0,
    width=16,
    steps=400,
    rates=(0.1, 0.3, 1.0, 3.0),
    data="digits",
):
    """Trains networks with one hidden layer from zero weights and from Glorot's, and compares their hidden units.

    The distance is the root mean square of the differences between units' weights, incoming, bias and outgoing, and
    their mean, over the root mean square of these weights; zero where all are zero. Losses are cross-entropies over all
    training images, each start at its own tuned rate of plain stochastic gradient descent. The control adds noise of
    standard deviation 0.01 to the zeros.
    """
    images = load_data(data).standardized().flat()
    random = {"class_name": "RandomNormal", "config": {"stddev": noise}}
    tables = []
    for activation, (weights, initializer) in itertools.product(
        activations, (("zero", random if noise else "zeros"), ("random", "glorot_uniform"))
    ):
        training = classifier(mlp, images, steps=steps, widths=(width,), activation=activation, initializer=initializer)
        tuning = tune(training, {"learning_rate": list(rates)}, len(rates))
        trained = training(seeds=list(seeds), **tuning.best)
        distance = [_unit_distance(*values) for values in trained.weights]
        labels = {"activation": activation, "weights": weights}
        tables.append(trained.final.drop(columns=["initializer", "widths"]).assign(distance=distance, **labels))
        tables[-1].attrs["tuning"] = tuning.table(**labels)
    return join_tables(tables)


def _unit_distance(kernel, bias, output_kernel, _):
    """Root mean square of the differences between units' weights and their mean, over that of the weights."""
    units = np.vstack([kernel, bias, output_kernel.T])
    size = np.linalg.norm(units)
    return np.linalg.norm(units - units.mean(axis=1, keepdims=True)) / size if size else 0.0


@claim(
    "In deep networks large initial weights can make gradients explode, which leads to instability and slow "
    "convergence.",
    source=INITIAL,
    kind="possibility",
    root="large_weights",
    literature="Glorot and Bengio 2010; He et al. 2015",
    criterion=AllOf(
        explode=Greater(
            "growth",
            of="large",
            than="usual",
            by="weights",
            smallest_ratio=10.0,
            because="ten times the growth from the last to the first layer is no matter of chance",
            where={"quantity": "gradient"},
            each=("depth",),
        ),
        convergence=Greater(
            "train_loss",
            of="large",
            than="usual",
            by="weights",
            smallest_ratio=2.0,
            because=TWOFOLD,
            where={"quantity": "training"},
            each=("depth",),
        ),
    ),
    smoke={"depths": (6,), "steps": 150, "rates": (1e-5, 1e-3, 0.03, 0.1)},
    full={"data": "mnist", "depths": (10, 30), "width": 256, "steps": 10_000},
    control={"factor": 1.0},
)
def large_init_unstable(
    seeds,
    *,
    depths=(5, 10),
    factor=3.0,
    width=32,
    steps=300,
    rates=(1e-7, 1e-5, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3),
    data="digits",
):
    """Compares gradients before and losses after training of ReLU networks, at He's and at a larger standard deviation.

    The growth is the ratio of the gradients' Euclidean norms, with respect to the outputs of the first and of the last
    hidden layer of untrained networks, over 256 standardised training images. Losses are cross-entropies over all
    training images after the same steps, each scale of the weights at its own tuned rate. The control leaves the
    weights at He's scale.
    """
    images = load_data(data).standardized().flat()
    tables = []
    for depth in depths:
        scales = {"usual": 2.0, "large": 2.0 * factor**2}
        shape = {"activation": "relu", "depth": depth, "width": width}
        probed = probe_hidden(normal_network, data, seeds, scale=sorted(set(scales.values())), **shape)
        gradients = probed.set_index(["layer", "scale", "seed"])["gradient"]
        growth = (gradients[1] / gradients[depth]).rename("growth").reset_index()
        for weights, scale in scales.items():
            rows = growth[growth["scale"] == scale]
            tables.append(rows.assign(quantity="gradient", weights=weights, depth=depth))
        arms = {
            weights: classifier(normal_network, images, steps=steps, scale=scale, **shape)
            for weights, scale in scales.items()
        }
        tables.append(tuned(arms, rates, seeds, quantity="training", depth=depth))
    return join_tables(tables)


def small_weights_experiment(
    seeds,
    *,
    variance=0.01,
    widths=(32, 64, 256),
    depths=(1, 12),
    trained_width=32,
    steps=300,
    rates=(0.01, 0.03, 0.1, 0.3, 1.0),
    data="digits",
):
    """Measures gradients of untrained tanh networks of several widths, and losses of narrow ones after training.

    Gradients are those with respect to the outputs of the hidden layers, Euclidean norms over 256 standardised training
    images; the decay rate is the least-squares slope of their logarithm. Losses are cross-entropies over all training
    images after the same steps, each network at its own tuned rate, compared with Xavier's variance 1 / n.
    """
    images = load_data(data).standardized().flat()
    shallow, deep = depths
    tables = []
    for width in widths:
        shape = {"activation": "tanh", "depth": deep, "width": width}
        probed = probe_hidden(constant_variance_network, data, seeds, weight_variance=variance, **shape)
        tables.append(probed.assign(quantity="gradient"))
    arms = {}
    for name, depth in (("shallow", shallow), ("deep", deep)):
        shape = {"activation": "tanh", "depth": depth, "width": trained_width}
        arms[f"small, {name}"] = classifier(
            constant_variance_network, images, steps=steps, weight_variance=variance, **shape
        )
        arms[f"Xavier, {name}"] = classifier(normal_network, images, steps=steps, scale=1.0, **shape)
    tables.append(tuned(arms, rates, seeds, by="network", quantity="training"))
    return join_tables(tables)


@claim(
    r"Small Gaussian weights, $\mathcal{N}(0, \sigma^2)$ with $\sigma^2 = 0.01$, work in shallow networks, but in deep "
    "ones the gradients shrink and learning effectively stops.",
    source=INITIAL,
    kind="possibility",
    transcription=True,
    reads=small_weights_experiment,
    literature="Glorot and Bengio 2010; Krizhevsky et al. 2012 used a standard deviation of 0.01",
    criterion=AllOf(
        shallow=Greater(
            "train_loss",
            of="Xavier, shallow",
            than="small, shallow",
            by="network",
            smallest_ratio=0.5,
            because="weights work that leave less than twice the loss",
            where={"quantity": "training"},
        ),
        gradients=ExponentialDecay(
            x="layers_back",
            y="gradient",
            at_least=HALF_IN_TEN_LAYERS,
            because=VANISHES,
            where={"quantity": "gradient"},
            each=("width",),
        ),
        deep=Greater(
            "train_loss",
            of="small, deep",
            than="Xavier, deep",
            by="network",
            smallest_ratio=2.0,
            because=TWOFOLD,
            where={"quantity": "training"},
        ),
    ),
    smoke={"depths": (1, 8), "steps": 150, "rates": (0.03, 0.1, 0.3)},
    full={"data": "mnist", "depths": (1, 30), "steps": 10_000},
    correction=Correction(
        r"Whether $\mathcal{N}(0, 0.01)$ is small depends on the number of inputs $n$: in deep tanh networks gradients "
        r"shrink while $0.01\,n < 1$, but not beyond.",
        among=(32, 64),
    ),
)
def small_gaussian(observations, *, among=(32, 64, 256)):
    """Asks for gradients at every width, and for training at the narrowest.

    The document names no width, and the variance of a sum of n terms decides, not that of one.
    """
    return observations[observations["width"].isin(among) | (observations["quantity"] == "training")]


def constant_variance_network(*, depth, width, activation, weight_variance, inputs, outputs):
    """Build a network of equal layers whose weights all have the same variance."""
    initializer = {"class_name": "RandomNormal", "config": {"stddev": weight_variance**0.5}}
    return mlp(inputs=inputs, outputs=outputs, widths=(width,) * depth, activation=activation, initializer=initializer)


@claim(
    "He initialisation prevents gradients from shrinking and keeps a better gradient flow than Xavier's, especially in "
    "deep ReLU networks.",
    source=INITIAL,
    kind="tendency",
    literature="He et al. 2015, figure 3: a 30-layer network learns from it and stalls from Xavier's",
    criterion=AllOf(
        he=ExponentialDecay(
            x="layers_back",
            y="gradient",
            at_most=HALF_IN_TEN_LAYERS,
            because="a gradient of which ten layers leave more than half does not shrink much",
            where={"quantity": "gradient", "weights": "He"},
        ),
        xavier=ExponentialDecay(
            x="layers_back",
            y="gradient",
            at_least=HALF_IN_TEN_LAYERS,
            because=VANISHES,
            where={"quantity": "gradient", "weights": "Xavier"},
        ),
        training=Greater(
            "train_loss",
            of="Xavier",
            than="He",
            by="weights",
            smallest_ratio=2.0,
            because=TWOFOLD,
            where={"quantity": "training"},
        ),
    ),
    smoke={"steps": 400, "rates": (0.01, 0.03, 0.1)},
    full={"data": "mnist", "depth": 50, "width": 256, "steps": 10_000},
    control={"scale": 1.0},
)
def he_beats_xavier(
    seeds, *, scale=2.0, depth=20, width=64, steps=1000, rates=(0.003, 0.01, 0.03, 0.1, 0.3, 1.0), data="digits"
):
    """Compares both in deep ReLU networks: gradients before training, losses after it.

    Normal weights of variance 2 / n and 1 / n. Gradients are those with respect to the outputs of the hidden layers,
    Euclidean norms over 256 standardised training images; the decay rate is the least-squares slope of their logarithm.
    Losses are cross-entropies over all training images after the same steps, each at its own tuned rate. The control
    takes away the larger variance.
    """
    scales = {"He": scale, "Xavier": 1.0}
    shape = {"activation": "relu", "depth": depth, "width": width}
    probed = probe_hidden(normal_network, data, seeds, scale=sorted(set(scales.values())), **shape)
    gradients = [probed[probed["scale"] == each].assign(weights=name) for name, each in scales.items()]
    images = load_data(data).standardized().flat()
    arms = {name: classifier(normal_network, images, steps=steps, scale=each, **shape) for name, each in scales.items()}
    trained = tuned(arms, rates, seeds, quantity="training")
    return join_tables([*(table.assign(quantity="gradient") for table in gradients), trained])


def xavier_experiment(
    seeds,
    *,
    activations=("sigmoid", "tanh"),
    depths=(5, 10),
    width=32,
    steps=500,
    target=0.9,
    rates=(0.01, 0.03, 0.1, 0.3, 1.0, 3.0),
    data="digits",
):
    """Trains networks of several depths from Xavier's initial weights.

    Normal weights of variance 1 / n, equal hidden layers, standardised images, each activation and depth at its own
    tuned rate of plain stochastic gradient descent; trained is what classifies nine of ten training images.
    """
    images = load_data(data).standardized().flat()
    tables = []
    for activation, depth in itertools.product(activations, depths):
        training = classifier(
            normal_network, images, steps=steps, activation=activation, depth=depth, width=width, scale=1.0
        )
        table = tuned({depth: training}, rates, seeds, by="depth", activation=activation)
        tables.append(table.assign(trained=table["train_accuracy"] >= target))
    return join_tables(tables)


@claim(
    "Xavier initialisation works well for activations like sigmoid or tanh.",
    source=INITIAL,
    kind="tendency",
    reads=xavier_experiment,
    literature="Glorot and Bengio 2010: sigmoid networks of four hidden layers hardly train, tanh networks do",
    criterion=Proportion(
        "trained",
        at_least=0.5,
        because="what works well works more often than not",
        each=("activation", "depth"),
    ),
    smoke={"depths": (5,), "steps": 200, "rates": (0.03, 0.1, 0.3)},
    full={"data": "mnist", "depths": (5, 10, 30), "width": 256, "steps": 10_000},
    correction=Correction(
        "Xavier initialisation works well for tanh, whose slope at zero is one, as its derivation assumes; not for "
        "deep sigmoid networks, whose units lose at least three quarters of a gradient in every layer.",
        among=("tanh",),
    ),
)
def xavier_suits_sigmoid_tanh(observations, *, among=("sigmoid", "tanh")):
    """Asks which share of seeds is trained, for every activation and depth.

    The mistake is the sigmoid, to which the derivation, for activations of slope one at zero, does not apply.
    """
    return observations[observations["activation"].isin(among)]
