"""What batch normalisation does about weights and gradients that start badly."""

from __future__ import annotations

from functools import partial

import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Greater, PositiveControl, Reported, claim, lectures, notes
from repro.claims.normalization._trainings import DEEP, FULL, SMOKE, trainings
from repro.engine import classifier, compare_arms, horizons, load_data

with epy.lazy_imports():
    import keras


WORSE_AT_HALF_THE_SCALE = partial(
    Greater,
    of="plain, half the scale",
    than="plain",
    by="arm",
    smallest_ratio=1.05**2,
    because="it is twice what matters",
)


@claim(
    "Batch normalisation enhances the flow of gradients through the network, making it easier to train deep "
    "architectures.",
    source=lectures("2.3.4"),
    kind="tendency",
    scope="deep networks; scale of the weights, activation, shortcuts, at the start or during training are left open",
    left_open=("scale",),
    literature="Yang et al. 2019: at the start it makes gradients grow by a factor of 1.21 for each ReLU layer",
    reads=trainings,
    criterion=AllOf(
        flow=Greater(
            "imbalance", of="plain", than="batch normalisation", by="arm", each=("scale",), where={"quantity": "flow"}
        ),
        training=Greater(
            "train_loss",
            of="plain",
            than="batch normalisation",
            by="arm",
            each=("scale", "steps"),
            where={"quantity": "training"},
        ),
    ),
    boundary=Boundary(
        "in training, and in the flow of gradients off the critical variance of the weights, at which plain networks "
        "keep them",
        holds="part == 'training' or scale != 1",
        named=({"scale": 0.5}, {"scale": 1.0}),
    ),
    smoke=SMOKE,
    full=FULL,
    control={"normalisation": "scale and shift"},
    positive_control=PositiveControl(
        "Plain networks with weights of half the critical scale have less balanced gradients than at that scale, and "
        "train more slowly.",
        criterion=AllOf(
            flow=WORSE_AT_HALF_THE_SCALE("imbalance", each=("scale",), where={"quantity": "flow", "scale": 1.0}),
            training=WORSE_AT_HALF_THE_SCALE(
                "train_loss", each=("scale", "steps"), where={"quantity": "training", "scale": 1.0}
            ),
        ),
    ),
    reported=(
        Reported(
            "1.21",
            measure="growth of gradients for each ReLU layer at the start, the root of pi / (pi - 1)",
            setting="wide networks",
            place="Yang et al. 2019",
        ),
    ),
)
def bn_gradient_flow(observations, *, normalisation="batch normalisation"):
    """Compares networks of eight ReLU layers with and without batch normalisation over the scale of their weights.

    Scale 1 is He's, the critical one; at half of it a plain network loses half of its gradient in each layer, 128-fold
    from the last hidden layer to the first, while normalisation makes gradients independent of the scale. Flow: the
    imbalance at the start. Training: the training loss after half and after all of the steps, each arm and scale at its
    own rate. The control has the learned scale and shift without normalising; at the start it is the plain network.
    """
    deep = observations[(observations["depth"] >= DEEP) & (observations["activation"] == "relu")]
    deep = deep[deep["learning_rate"] == deep["best_rate"]]
    training = _with_arm(horizons(deep), normalisation).assign(quantity="training")
    flow = _with_arm(deep[deep["step"] == deep["step"].max()], normalisation).assign(quantity="flow")
    both = pd.concat([training, flow])
    half = both[(both["scale"] == 0.5) & (both["arm"] == "plain")].assign(arm="plain, half the scale", scale=1.0)
    return pd.concat([both, half], ignore_index=True)


@claim(
    "With batch normalisation the strong dependence on the initial weights is mitigated, as normalising stabilises "
    "learning.",
    source=lectures("2.3.4"),
    kind="tendency",
    scope="scale or scheme of the initial weights, rate, one for all or tuned for each, and optimiser are left open",
    left_open=("rate",),
    literature="Ioffe and Szegedy 2015, section 3.3",
    reads=trainings,
    criterion=Greater("accuracy_spread", of="plain", than="batch normalisation", by="arm", each=("rate", "steps")),
    smoke=SMOKE,
    full=FULL,
    control={"normalisation": "scale and shift"},
    positive_control=PositiveControl(
        "Without normalisation the accuracy depends on the scale of the initial weights.",
        criterion=Greater(
            "accuracy_spread",
            of="plain",
            than="no dependence",
            by="arm",
            smallest_difference=0.02,
            because="it is twice what matters",
            each=("rate", "steps"),
        ),
    ),
    seeds=48,
)
def bn_init_robust(observations, *, normalisation="batch normalisation"):
    """Measures how much the training accuracy differs between weights of different scales, the same in every seed.

    Networks of three hidden ReLU layers with a fifth of, one and three times He's deviation in every layer (at standard
    from a tenth to five times). The spread is the largest training accuracy minus the smallest, after half and after
    all of the steps; each scale at its own rate, and all at that of the least loss over the scales. The control has the
    learned scale and shift without normalising. The passage takes for granted that plain networks depend on the scale,
    which is seen where their spread is above none.
    """
    shallow = observations[(observations["depth"] < DEEP) & (observations["activation"] == "relu")]
    records = _with_arm(horizons(shallow), normalisation)
    tables = []
    for name, column in (("its own", "best_rate"), ("one for all", "common_rate")):
        chosen = records[records["learning_rate"] == records[column]]
        groups = chosen.groupby(["seed", "arm", "steps"])["train_accuracy"]
        spread = (groups.max() - groups.min()).rename("accuracy_spread").reset_index()
        none = spread[spread["arm"] == "plain"].assign(arm="no dependence", accuracy_spread=0.0)
        tables.append(pd.concat([spread, none]).assign(rate=name))
    return pd.concat(tables, ignore_index=True)


@claim(
    "One might conjecture that a layer with values 100 times those of another might necessitate compensatory "
    "adjustments of the learning rates.",
    source=notes("Remark 3.58"),
    kind="possibility",
    scope="how the scales arise, activation and optimiser are left open; that drift of distributions hampers "
    "convergence, which the inventors of batch normalisation postulated informally, is not measured",
    literature="Ioffe and Szegedy 2015",
    criterion=Greater("train_loss", of="one rate", than="compensated rates", by="arm", each=("steps",)),
    smoke={"steps": 200, "trials": 7, "arms": ("one rate", "compensated rates")},
    full={"data": "mnist", "images": 50_000, "steps": 5000},
    control={"scaled": False},
)
def layer_scales_slow_training(
    seeds,
    *,
    factor=100.0,
    images=1000,
    steps=500,
    trials=13,
    arms=("one rate", "compensated rates", "batch normalisation"),
    scaled=True,
    data="digits",
):
    """Trains networks whose first layer has 100 times the usual weights and the second a hundredth.

    With ReLU between them that is the same function. One rate for all; rates in proportion to the square of each
    layer's scale, which takes the same steps as from the usual weights; and, for the table, one rate with batch
    normalisation. Three hidden layers on standardised images, which each seed redraws, batches of 32, SGD, each arm at
    the rate from 1e-6 to 1 of the least loss on held-out images, on seeds of its own; training loss after half and
    after all of the steps. In the control all layers have the usual scale, and rates are adjusted all the same.
    """
    loaded = load_data(data).standardized().flat()
    trainings_of = {
        arm: classifier(
            rescaled_network,
            lambda seed: loaded.subset(images, seed),
            steps=steps,
            every=steps // 2,
            metrics={},
            width=64,
            factor=factor,
            compensated=arm == "compensated rates",
            normalized=arm == "batch normalisation",
            scaled=scaled,
        )
        for arm in arms
    }
    space = {"learning_rate": (1e-6, 1.0)}
    return horizons(compare_arms(trainings_of, space, trials, seeds, objective="validation_loss", widen=1))


def _with_arm(observations, normalisation):
    """Let an arm stand for batch normalisation, and leave the other one out."""
    kept = observations[observations["arm"].isin(["plain", normalisation])]
    return kept.assign(arm=kept["arm"].replace(normalisation, "batch normalisation"))


def rescaled_network(*, inputs, outputs, width, factor, compensated, normalized, scaled=True):
    """Build a ReLU network with the first layer's weights times a factor and the second's divided by it.

    Compensated, the factors stand behind the weights: a rate for those is the rate of the product times factor squared.
    Not scaled, the product is as usual, so that factors behind the weights change the rates alone.
    """
    layers = [keras.Input((inputs,))]
    for scale in (factor, 1 / factor, 1.0):
        of_product = scale if scaled else 1.0
        of_weights = of_product / scale if compensated else of_product
        initializer = keras.initializers.VarianceScaling(2 * of_weights**2, "fan_in", "untruncated_normal")
        layers.append(keras.layers.Dense(width, kernel_initializer=initializer, use_bias=False))
        if compensated and scale != 1:
            layers.append(keras.layers.Rescaling(scale))
        if normalized:
            layers.append(keras.layers.BatchNormalization(momentum=0.9))
        layers.append(keras.layers.ReLU())
    return keras.Sequential([*layers, keras.layers.Dense(outputs)])
