"""Deep architectures: depth, shortcuts, and what they cost."""

from __future__ import annotations

from functools import partial

from etils import epy

from repro import AllOf, Greater, Reported, claim, lectures
from repro.engine import classifier, compare_arms, load_data, residual_network

with epy.lazy_imports():
    import keras

DEPTHS = (8, 32)
MARGIN = 0.02
REASON = "two points of error are half of what He et al. found between plain networks of 20 and of 56 layers"
SMOKE = {"depths": (8, 32), "epochs": 6, "rates": (0.03,)}
FULL = {"data": "cifar10", "depths": (20, 32, 44, 56), "width": 16, "epochs": 160, "batch_size": 128}


def depth_experiment(
    seeds,
    *,
    shortcut=0.0,
    depths=DEPTHS,
    width=8,
    epochs=8,
    batch_size=96,
    rates=(0.01, 0.03, 0.1),
    data="digits",
):
    """Trains one family of networks of increasing depth, each depth at its own tuned learning rate.

    The networks of He et al. 2016 for small images: three stages of 3x3 convolutions with batch normalisation, and
    parameter-free shortcuts times a factor; with factor zero they are the plain networks, with the same variables and
    the same batches for the same seed. SGD with momentum 0.9; the rate with the lowest final training loss on seeds of
    its own. Errors are shares of misclassified images, in inference mode at the end.
    """
    images = load_data(data)
    steps = epochs * (len(images.x_train) // batch_size)
    arms = {
        depth: classifier(
            residual_network,
            images,
            steps=steps,
            batch_size=batch_size,
            optimizer=keras.optimizers.SGD(momentum=0.9),
            depth=depth,
            width=width,
            shortcut=shortcut,
        )
        for depth in depths
    }
    observations = compare_arms(arms, {"learning_rate": list(rates)}, len(rates), seeds, by="depth")
    observations["train_error"] = 1 - observations["train_accuracy"]
    observations["test_error"] = 1 - observations["test_accuracy"]
    return observations[["seed", "depth", "learning_rate", "train_loss", "test_loss", "train_error", "test_error"]]


@claim(
    "As the depth of plain networks increases their performance often worsens, on training as well as on test error: a "
    "difficulty of optimisation, not overfitting.",
    source=lectures("3.5.5"),
    kind="tendency",
    literature="He et al. 2016, figure 1 and section 4.2",
    reads=depth_experiment,
    criterion=AllOf(
        training=Greater(
            "train_error", of="deepest", than="shallowest", by="network", smallest_difference=MARGIN, because=REASON
        ),
        test=Greater(
            "test_error", of="deepest", than="shallowest", by="network", smallest_difference=MARGIN, because=REASON
        ),
    ),
    smoke=SMOKE,
    full=FULL,
    control={"shortcut": 1.0},
    tags=("headline",),
    seeds=13,
    reported=(
        Reported("27.94 %", measure="top-1 error", setting="plain-18, ImageNet", place="He et al. 2016, table 2"),
        Reported("28.54 %", measure="top-1 error", setting="plain-34, ImageNet", place="He et al. 2016, table 2"),
    ),
)
def plain_degrades(observations):
    """Compares the deepest network with the shallowest, paired by seed. Shortcuts take the difficulty away."""
    return ends(observations)


@claim(
    "Residual blocks let a network stack more layers without degradation.",
    source=lectures("3.5.5"),
    kind="tendency",
    literature="He et al. 2016, section 4.2",
    reads=partial(depth_experiment, shortcut=1.0),
    criterion=Greater(
        "train_error", of="shallowest", than="deepest", by="network", smallest_difference=-MARGIN, because=REASON
    ),
    smoke=SMOKE,
    full=FULL,
    control={"shortcut": 0.0},
    tags=("headline",),
    seeds=13,
    reported=(
        Reported("8.75 %", measure="test error", setting="ResNet-20, CIFAR-10", place="He et al. 2016, table 6"),
        Reported("6.97 %", measure="test error", setting="ResNet-56, CIFAR-10", place="He et al. 2016, table 6"),
        Reported("6.43 %", measure="test error", setting="ResNet-110, CIFAR-10", place="He et al. 2016, table 6"),
        Reported("7.93 %", measure="test error", setting="ResNet-1202, CIFAR-10", place="He et al. 2016, table 6"),
    ),
)
def resnet_trains_deep(observations):
    """Asks that the deepest network fits the training images no worse than the shallowest, paired by seed.

    Degradation is a matter of training error, which tells a failing optimisation from overfitting (He et al., section
    1); the test errors are in the table. Without shortcuts the deepest network is worse.
    """
    return ends(observations)


def ends(observations):
    """Keep the networks of least and of greatest depth, named so."""
    depth = observations["depth"]
    names = {depth.min(): "shallowest", depth.max(): "deepest"}
    return observations.assign(network=depth.map(names)).dropna(subset="network")
