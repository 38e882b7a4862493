"""What vanishing and exploding gradients do to training."""

from __future__ import annotations

import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Correction, Falls, Greater, PositiveControl, Preserved, Ratio, claim, lectures
from repro.claims.vanishing_gradients._networks import (
    averaged_gradients,
    coarse_validation_loss,
    cross_entropy,
    drawn_images,
    equal_layers,
)
from repro.engine import Record, Validation, classifier, horizons, join_tables, load_data, train, tune

with epy.lazy_imports():
    import keras

SCALE = {"sigmoid": 1.0, "tanh": 1.0, "relu": 2.0}  # He's for ReLU, Xavier's for the others


def layer_experiment(
    seeds,
    *,
    activations=("sigmoid", "tanh", "relu"),
    depth=6,
    width=32,
    examples=600,
    steps=400,
    rate=0.1,
    data="digits",
):
    """Trains networks of equal layers and measures what gradient each hidden layer gets, and how fast it learns.

    Stochastic gradient descent with batches of 32 at a rate of 0.1, the same for all layers of a network, which are
    what is compared; 600 standardised images that each seed redraws. Normal weights of variance 1/n, for ReLU 2/n, so
    that the kernels of all layers, of 32 units each, start with about the same norm. The gradient is the Euclidean norm
    of that with respect to the layer's outputs over 128 training images; the speed is the norm of that with respect to
    its kernel, which every step changes by rate times speed. Means over four measurements in the first half of the
    steps, and over eight in all.
    """
    images = load_data(data)
    tables = []
    for activation in activations:
        trained = train(
            equal_layers,
            drawn_images(data, examples),
            loss=cross_entropy(),
            optimizer=keras.optimizers.SGD(rate),
            steps=steps,
            batch_size=32,
            record=Record(every=steps // 8, probed=128),
            seeds=list(seeds),
            depth=depth,
            width=width,
            activation=activation,
            scale=SCALE[activation],
            inputs=images.x_train[0].size,
            outputs=images.classes,
        )
        hidden = trained.layers[trained.layers["layer"] <= depth].rename(columns={"weight_gradient": "speed"})
        for until in (steps // 2, steps):
            measured = hidden[hidden["step"] <= until].groupby(["seed", "layer"], as_index=False)
            means = measured[["gradient", "speed"]].mean()
            labels = {"activation": activation, "steps": until, "layers_back": depth - means["layer"]}
            tables.append(means.assign(**labels))
    return pd.concat(tables, ignore_index=True)


SMOKE = {"depth": 5, "steps": 320}
FULL = {"data": "mnist", "depth": 8, "width": 128, "examples": 5000, "steps": 8000}


@claim(
    "In deep networks early layers are often prone to vanishing gradients, which can hinder learning.",
    source=lectures("2.4.3"),
    kind="tendency",
    scope="deep networks; activation and initialisation are left open",
    left_open=("activation",),
    root="which_layers_slow",
    literature="Glorot and Bengio 2010, section 4",
    reads=layer_experiment,
    criterion=AllOf(
        gradient=Falls("gradient", along="layers_back", each=("activation", "steps")),
        learning=Falls("speed", along="layers_back", each=("activation", "steps")),
    ),
    boundary=Boundary(
        "of gradients with sigmoid and tanh, of learning with the sigmoid",
        holds="part == 'gradient' or activation == 'sigmoid'",
    ),
    smoke=SMOKE,
    full=FULL,
    control={"compared": ("relu",)},
    seeds=48,
)
def early_layers_learn_slower(observations, *, compared=("sigmoid", "tanh")):
    """Compares the first hidden layer with the last one, for the two activations that saturate.

    Expected: every layer of sigmoids, of slope up to 1/4, takes three quarters of a gradient or more, which no input
    makes up for; with tanh gradients fall as a power of the depth, and the first layer, whose inputs are 64 pixels of
    variance one, which is more than tanh units put out, learns no slower. ReLU networks from He's variance, which keeps
    gradients, are the control.
    """
    return observations[observations["activation"].isin(compared)]


@claim(
    "With the sigmoid, which has largely fallen out of favour in deep convolutional networks, gradients become very "
    "small during backpropagation, which slows learning in deeper layers.",
    source=lectures("3.3.2"),
    kind="tendency",
    scope="deep networks with sigmoid; whether deeper counts from the input or along the backward pass is left open",
    left_open=("counted",),
    root="which_layers_slow",
    literature="Glorot and Bengio 2010, section 4",
    reads=layer_experiment,
    criterion=Falls("speed", along="depth", each=("counted", "steps")),
    boundary=Boundary("where deeper counts along the backward pass, from the loss", holds="counted == 'from the loss'"),
    smoke=SMOKE,
    full=FULL,
    control={"activation": "tanh"},
    seeds=48,
)
def deeper_layers_slower(observations, *, activation="sigmoid"):
    """Compares how fast the deepest hidden layer learns with the shallowest, counted from the input and from the loss.

    Fully connected networks stand for convolutional ones, of which the passage speaks. Backpropagation begins at the
    loss, so that expected is that layers near the input, deep in the backward pass, are slowed; section 2.4.3 of the
    same lectures says so of early layers. Counted from the input these are the last to be called deep. The control has
    tanh, which saturates as the sigmoid does, but has a slope of one at zero instead of a quarter.
    """
    chosen = observations[observations["activation"] == activation]
    return pd.concat(
        [
            chosen.assign(counted="from the input", depth=chosen["layer"]),
            chosen.assign(counted="from the loss", depth=chosen["layers_back"]),
        ],
        ignore_index=True,
    )


# Networks that are trained: activation, variance of the weights times the number of inputs, whether of one layer too.
TRAINED = {
    "sigmoid": ("sigmoid", 1.0, True),
    "tanh": ("tanh", 1.0, False),
    "small tanh": ("tanh", 0.25, True),
    "large tanh": ("tanh", 16.0, False),
    "relu": ("relu", 2.0, True),
}


def deep_experiment(
    seeds,
    *,
    depth=6,
    width=32,
    examples=600,
    steps=800,
    rates=(0.1, 0.3, 0.03, 1.0, 0.01, 3.0, 0.003, 10.0),  # usual ones first, see coarse_validation_loss
    followed=10,
    networks=1024,
    data="digits",
):
    """Follows gradients through many untrained deep networks, and trains deep networks and shallow ones.

    Gradients: root mean square, over networks of ten layers (at smoke eight) of 64 units without biases, units and four
    images, of that with respect to what enters a layer, from the last one back; ReLU from once, twice and four times
    1/n, tanh from one to four times the deviation 1/sqrt(n). Training: one and six hidden layers of 32 units, normal
    weights, stochastic gradient descent on 600 standardised images, each network at its own rate, tuned on validation
    images; tanh from four times the deviation at the rate of that from Glorot's besides. Measured after half of the
    steps and all. Each seed redraws images and weights.
    """
    tables = []
    for seed in seeds:
        options = {"depth": followed, "width": 64, "examples": 4, "data": data}
        for activation, scales, count in (
            ("relu", (1.0, 2.0, 4.0), networks),
            ("tanh", (1.0, 2.25, 4.0, 16.0), networks // 8),  # which grow or fall by far more than networks scatter
        ):
            gradients = averaged_gradients(seed, activation=activation, scales=scales, networks=count, **options)
            tables.append(gradients.assign(seed=seed, quantity="gradient"))
    images, best, arms = drawn_images(data, examples), {}, {}
    for units, (activation, scale, _) in TRAINED.items():
        for layers in (1, depth) if TRAINED[units][2] else (depth,):
            shape = {"depth": layers, "width": width, "activation": activation, "scale": scale}
            arms[units] = classifier(equal_layers, images, steps=steps, every=steps // 2, **shape)
            objective = Validation(coarse_validation_loss)
            tuning = tune(arms[units], {"learning_rate": list(rates)}, len(rates), objective=objective)
            best[units] = tuning.best
            labels = {"units": units, "network": "shallow" if layers == 1 else "deep", "quantity": "training"}
            tables.append(horizons(arms[units](seeds=list(seeds), **best[units]).records).assign(**labels))
            tables[-1].attrs["tuning"] = tuning.table(**labels)
    labels = {"units": "large tanh at the usual rate", "network": "deep", "quantity": "training"}
    tables.append(horizons(arms["large tanh"](seeds=list(seeds), **best["tanh"]).records).assign(**labels))
    observations = join_tables(tables)
    observations["train_error"] = 1 - observations["train_accuracy"]
    return observations


DEEP_SMOKE = {"steps": 400, "followed": 8, "networks": 512}
DEEP_FULL = {"data": "mnist", "depth": 10, "width": 128, "examples": 5000, "steps": 10_000}


def _stalls(units):
    """Ask for a larger training error of deep networks."""
    return Greater("train_error", of="deep", than="shallow", by="network", each=("steps",), where={"units": units})


@claim(
    "The vanishing-gradient problem makes learning extremely slow or even impossible, especially in deep networks.",
    source=lectures("2.2.3"),
    kind="tendency",
    scope="networks of saturating activations in which gradients vanish; scale of the weights, depth and optimiser are "
    "left open",
    literature="Glorot and Bengio 2010",
    reads=deep_experiment,
    criterion=AllOf(sigmoid=_stalls("sigmoid"), tanh=_stalls("small tanh")),
    smoke=DEEP_SMOKE,
    full=DEEP_FULL,
    control={"units": ("relu", "relu")},
    seeds=48,
)
def training_stalls(observations, *, units=("sigmoid", "small tanh")):
    """Compares the share of misclassified training images of deep networks with that of shallow ones.

    Gradients vanish exponentially, by mean-field theory (Schoenholz et al. 2017), in sigmoid networks from Glorot's
    variance and in tanh networks from a quarter of it; from Glorot's own tanh networks keep most of a gradient, and are
    none in which it vanishes. Extremely slow is seen from the size of the difference: the error is 90 % where nothing
    is learned. The control has ReLU networks from He's variance, which keeps gradients, in place of both: as deep, they
    tell whether depth alone would do it.
    """
    trained = observations[observations["quantity"] == "training"]
    parts = zip(("sigmoid", "small tanh"), units, strict=True)
    return pd.concat([trained[trained["units"] == name].assign(units=part) for part, name in parts], ignore_index=True)


@claim(
    "If the initial weights are too large, gradients can grow excessively during backpropagation, which leads to "
    "unstable learning or divergence.",
    source=lectures("2.3.5"),
    kind="possibility",
    scope="deep networks at initialisation; activation, depth and how large are left open",
    left_open=("factor",),
    root="large_weights",
    literature="Glorot and Bengio 2010; Schoenholz et al. 2017",
    reads=deep_experiment,
    criterion=AllOf(
        gradients=Falls("gradient", along="layer", each=("factor",), where={"quantity": "gradient"}),
        learning=Greater(
            "train_loss",
            of="large tanh at the usual rate",
            than="tanh",
            by="units",
            each=("steps",),
            where={"quantity": "training"},
        ),
    ),
    boundary=Boundary("above the usual deviation", holds="part == 'learning' or factor > 1"),
    smoke=DEEP_SMOKE,
    full=DEEP_FULL,
)
def large_weights_explode(observations):
    """Follows gradients of untrained tanh networks, from usual and larger weights, and trains from both at one rate.

    The factor multiplies the deviation 1/sqrt(n). Gradients: root mean square at the last of the layers, which has to
    be less than at the first. Mean-field theory (Poole et al. 2016), the second route, expects tanh networks to become
    chaotic, and gradients to grow, for any factor above one. Learning: cross-entropy of networks from four times the
    deviation, at the rate that suits those from the usual one. ReLU networks are in
    ``initialization.large_init_unstable``.
    """
    gradients = observations[(observations["quantity"] == "gradient") & (observations["activation"] == "tanh")]
    trained = observations[(observations["quantity"] == "training") & (observations["network"] == "deep")]
    return pd.concat([gradients.assign(factor=gradients["scale"] ** 0.5), trained], ignore_index=True)


def _easier(than):
    """Ask for a larger training loss of other deep networks than of ReLU networks."""
    return Greater("train_loss", of=than, than="relu", by="units", each=("steps",), where={"quantity": "training"})


@claim(
    "An advantage of ReLU: it avoids both the vanishing and the exploding gradient problem, which makes deep networks "
    "easier to train.",
    source=lectures("2.2.3"),
    kind="tendency",
    scope="as an alternative to saturating activations in deep networks; scale of the weights and depth are left open",
    left_open=("scale",),
    literature="He et al. 2015: the factor per layer is the root of half the variance times the number of units",
    reads=deep_experiment,
    criterion=AllOf(
        avoids=Preserved("gradient", along="layers_back", each=("scale",), where={"quantity": "gradient"}),
        easier_than_sigmoid=_easier("sigmoid"),
        easier_than_tanh=_easier("tanh"),
    ),
    boundary=Boundary("at the variance 2/n", holds="part != 'avoids' or scale == 2"),
    smoke=DEEP_SMOKE,
    full=DEEP_FULL,
    positive_control=PositiveControl(
        "Deep tanh networks from small weights, in which gradients vanish exponentially, are harder to train than ReLU "
        "networks.",
        criterion=_easier("small tanh"),
    ),
    correction=Correction(
        "Every layer halves the mean square of a gradient and multiplies it by the variance times the number of units: "
        "below 2/n gradients vanish exponentially, and above they explode.",
        criterion=Ratio(
            "change",
            of="measured",
            than="expected",
            by="side",
            expected=1.0,
            within=1.05,
            each=("scale",),
            where={"quantity": "change"},
        ),
    ),
    seeds=48,
)
def relu_avoids_both(observations):
    """Compares gradients at the first of several ReLU layers with those at the last, and trains deep networks.

    From variances of 1/n, 2/n and 4/n (Xavier's, He's, twice He's); the document names none, and the same lectures
    speak of exploding gradients of ReLU networks and of scales of weights. Expected, the second route: half of the
    signs are positive, so that the norm changes by the root of half the scale in every layer, which is the correction's
    prediction. Training: loss of deep sigmoid and tanh networks from Glorot's variance over that of ReLU networks from
    He's.
    """
    gradients = observations[(observations["quantity"] == "gradient") & (observations["activation"] == "relu")]
    trained = observations[(observations["quantity"] == "training") & (observations["network"] == "deep")]
    by_network = gradients.sort_values("layers_back").groupby(["seed", "scale"])
    measured = by_network["gradient"].last() / by_network["gradient"].first()
    scales = measured.index.get_level_values("scale").to_numpy()
    expected = pd.Series((scales / 2) ** (by_network["layers_back"].last() / 2), measured.index)
    changes = [
        change.rename("change").reset_index().assign(side=side, quantity="change")
        for side, change in (("measured", measured), ("expected", expected))
    ]
    # The scale is a condition of the gradients; networks are trained from the one that suits their activation.
    return pd.concat([gradients, trained.drop(columns="scale"), *changes], ignore_index=True)
