"""What vanishing and exploding gradients do to training."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Correction, ExponentialDecay, Greater, claim, lectures, notes
from repro.claims.vanishing_gradients._networks import HALF_IN_TEN_LAYERS, cross_entropy, equal_layers
from repro.engine import Record, classifier, compare_arms, join_tables, load_data, probe, train

with epy.lazy_imports():
    import keras

SCALE = {"relu": 2.0}  # He's for ReLU, Xavier's for the others


def layer_experiment(seeds, *, activation="sigmoid", depth=6, width=32, steps=400, rates=(0.03, 0.1), data="digits"):
    """Trains networks of equal layers and measures for the first and the last hidden layer how much they learn.

    Stochastic gradient descent with batches of 32 on standardised images, at several rates: what is compared is the
    layers of one network. Normal weights of variance 1 / n, for ReLU 2 / n. The gradient is the Euclidean norm of that
    with respect to the layer's weights over 128 training images, the mean of two measurements during training; the
    change is the Euclidean norm of the change of the kernel over the training, relative to the initial one.
    """
    images = load_data(data).standardized().flat()
    trained = train(
        equal_layers,
        images,
        loss=cross_entropy(),
        optimizer=keras.optimizers.SGD(),
        steps=steps,
        batch_size=32,
        record=Record(every=steps // 2, probed=128),
        seeds=list(seeds),
        learning_rate=list(rates),
        depth=depth,
        width=width,
        activation=activation,
        scale=SCALE.get(activation, 1.0),
        inputs=images.x_train.shape[1],
        outputs=images.classes,
    )
    gradients = trained.layers.groupby(["seed", "learning_rate", "layer"])["weight_gradient"].mean()
    rows = []
    for replica, of in enumerate(trained.replicas[["seed", "learning_rate"]].itertuples(index=False)):
        kernels, after = trained.builders[replica]().get_weights()[::2], trained.weights[replica][::2]
        for end, layer in (("first", 1), ("last", depth)):
            change = np.linalg.norm(after[layer - 1] - kernels[layer - 1]) / np.linalg.norm(kernels[layer - 1])
            rows.append({**of._asdict(), "layer": end, "gradient": gradients[(*of, layer)], "change": change})
    return pd.DataFrame(rows)


TWICE = "layers that learn alike differ by less than twofold, as those of a ReLU network do"
SMOKE = {"depth": 5, "steps": 200}
FULL = {"data": "mnist", "depth": 8, "width": 128, "steps": 10_000}


@claim(
    "In deep networks the early layers are often prone to vanishing gradients, which hinder their learning.",
    source=lectures("2.4.3"),
    kind="tendency",
    root="which_layers_slow",
    literature="Glorot and Bengio 2010",
    reads=layer_experiment,
    criterion=AllOf(
        gradient=Greater(
            "gradient", of="last", than="first", by="layer", smallest_ratio=2.0, because=TWICE, each=("learning_rate",)
        ),
        learning=Greater(
            "change", of="last", than="first", by="layer", smallest_ratio=2.0, because=TWICE, each=("learning_rate",)
        ),
    ),
    smoke=SMOKE,
    full=FULL,
    control={"activation": "relu"},
)
def early_layers_learn_slower(observations):
    """Compares the last hidden layer with the first, in sigmoid networks; ReLU at He's variance is the control."""
    return observations


@claim(
    "With the sigmoid gradients become very small during backpropagation, which slows down learning in deeper layers.",
    source=lectures("3.3.2"),
    kind="tendency",
    root="which_layers_slow",
    literature="Glorot and Bengio 2010",
    reads=layer_experiment,
    criterion=Greater(
        "change", of="other", than="slowed", by="end", smallest_ratio=2.0, because=TWICE, each=("learning_rate",)
    ),
    smoke=SMOKE,
    full=FULL,
    correction=Correction(
        "With the sigmoid gradients become very small during backpropagation, which slows down learning in the layers "
        "nearest to the input: gradients reach them last.",
        slowed="first",
    ),
)
def deeper_layers_slower(observations, *, slowed="last"):
    """Compares the change of the slowed layer with that of the hidden layer at the other end of the network.

    Deeper layers are those farther from the input. Backpropagation begins at the output, so that the layers that it
    makes small are the early ones: the document has the ends the wrong way round.
    """
    return observations.assign(end=np.where(observations["layer"] == slowed, "slowed", "other"))


def depth_experiment(
    seeds,
    *,
    activations=("sigmoid", "tanh"),
    depths=(1, 15),
    width=32,
    steps=300,
    rates=(0.001, 0.01, 0.1, 0.3, 1.0, 3.0),
    data="digits",
):
    """Trains shallow and deep networks in equally many steps.

    Networks of equal layers, normal weights of variance 1 / n (for ReLU 2 / n), standardised images,
    stochastic gradient descent with batches of 32, each network at the rate of the lowest final training loss on seeds
    of its own.
    """
    images = load_data(data).standardized().flat()
    shapes = dict(zip(("shallow", "deep"), depths, strict=True))
    tables = []
    for activation in activations:
        network = {"width": width, "activation": activation, "scale": SCALE.get(activation, 1.0)}
        arms = {
            name: classifier(equal_layers, images, steps=steps, depth=depth, **network)
            for name, depth in shapes.items()
        }
        space = {"learning_rate": list(rates)}
        tables.append(compare_arms(arms, space, len(rates), seeds, by="network", activation=activation))
    observations = join_tables(tables)
    observations["train_error"] = 1 - observations["train_accuracy"]
    return observations


@claim(
    "In deep networks with saturating activations (sigmoid, tanh) learning becomes extremely slow or even impossible.",
    source=lectures("2.2.3"),
    kind="tendency",
    reads=depth_experiment,
    literature="Glorot and Bengio 2010",
    criterion=Greater(
        "train_error",
        of="deep",
        than="shallow",
        by="network",
        smallest_difference=0.5,
        because="a network that leaves half of the images more unlearned has learned at most half as much",
        each=("activation",),
    ),
    smoke={"depths": (1, 8), "steps": 150, "rates": (0.01, 0.1, 1.0)},
    full={"data": "mnist", "depths": (1, 30), "width": 128, "steps": 10_000},
    control={"activations": ("relu",)},
    correction=Correction(
        "Deep sigmoid networks hardly learn in the steps that a shallow one takes to learn almost all. Tanh networks "
        "at Xavier's variance do learn: they saturate too, but not near zero, where their signals stay.",
        among=("sigmoid",),
    ),
)
def training_stalls(observations, *, among=("sigmoid", "tanh", "relu")):
    """Compares the share of misclassified training images; ReLU networks are the control.

    The mistake is to count tanh among the activations that stall: near zero, where Xavier's variance keeps its signals,
    its slope is one.
    """
    return observations[observations["activation"].isin(among)]


@claim(
    "If the initial weights are too large, gradients get larger and larger layer by layer going backward, which leads "
    "to unstable learning or divergence.",
    source=(lectures("2.3.5"), notes("Definition 3.52")),
    kind="possibility",
    root="large_weights",
    literature="Glorot and Bengio 2010; He et al. 2015; Schoenholz et al. 2017",
    criterion=AllOf(
        gradients=ExponentialDecay(
            x="layers_back",
            y="gradient",
            at_most=-HALF_IN_TEN_LAYERS,
            because="a gradient that ten layers more than double explodes in networks of ordinary depth",
            where={"quantity": "gradient"},
            each=("activation",),
        ),
        learning=Greater(
            "train_loss",
            of="large",
            than="usual",
            by="weights",
            smallest_ratio=2.0,
            because="twice the loss after the same steps, at the best rate there is, is more than seeds differ by",
            where={"quantity": "training"},
            each=("activation",),
        ),
    ),
    smoke={"activations": ("relu",), "depth": 8, "steps": 150, "rates": (1e-6, 1e-3, 0.03, 0.1)},
    full={"data": "mnist", "depth": 30, "width": 256, "steps": 10_000},
    control={"factor": 1.0},
)
def large_weights_explode(
    seeds,
    *,
    activations=("relu", "tanh"),
    factor=4.0,
    depth=10,
    width=32,
    steps=300,
    rates=(1e-8, 1e-6, 1e-4, 1e-3, 0.01, 0.03, 0.1, 0.3),
    data="digits",
):
    """Measures gradients from layer to layer, and the loss after training, for weights larger than usual by a factor.

    The usual standard deviation is that of He for ReLU and of Xavier for tanh; gradients are those with respect to the
    outputs of the hidden layers of untrained networks, Euclidean norms over 256 standardised training images. Training
    is stochastic gradient descent with batches of 32, both scales of the weights at their own rate of the lowest final
    loss on seeds of its own. The control leaves the weights at their usual scale.
    """
    images = load_data(data).standardized().flat()
    space = {"learning_rate": list(rates)}
    tables = []
    for activation in activations:
        usual = SCALE.get(activation, 1.0)
        network = {"depth": depth, "width": width, "activation": activation, "scale": usual * factor**2}
        shape = {"inputs": images.x_train.shape[1], "outputs": images.classes}
        probed = probe(equal_layers, images, seeds, loss=cross_entropy(), **network, **shape).query("layers_back > 0")
        arms = {
            name: classifier(equal_layers, images, steps=steps, **network | {"scale": scale})
            for name, scale in (("usual", usual), ("large", usual * factor**2))
        }
        labels = {"quantity": "training", "activation": activation}
        tables += [
            probed.assign(quantity="gradient"),
            compare_arms(arms, space, len(rates), seeds, by="weights", **labels),
        ]
    return join_tables(tables)
