"""What the ingredients of LeNet, AlexNet and VGG are worth, taken away one at a time."""

from __future__ import annotations

import pandas as pd
from etils import epy

from repro import AllOf, Greater, PositiveControl, Reported, Rival, claim, lectures, notes
from repro.claims.architectures._images import repeated, shifted, unshifted
from repro.engine import ValidatedArm, classifier, compare_arms, convolution, horizons, load_data

with epy.lazy_imports():
    import keras

DECAY, NO_DECAY = 5e-4, 1e-9  # of the weights in a step at rate 1; none would be a program of its own


def small_alexnet(*, shape, classes, filters=(8, 16), hidden=64, activation="relu", pooling="maximum", dropout=0.5):
    """Build AlexNet for small images: convolutions, each pooled with overlap, and one hidden dense layer.

    Args:
        shape: of the images.
        classes: number of classes.
        filters: of the 3x3 convolutions.
        hidden: units of the dense layer.
        activation: of all layers but the last.
        pooling: "maximum" or "average", over 3x3 windows with stride 2.
        dropout: probability of dropping a hidden unit.
    """
    pool = {"maximum": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}[pooling]
    layers = [keras.Input(shape)]
    for width in filters:
        layers += [convolution(width, 3, padding="same", activation=activation), pool(3, 2, padding="same")]
    layers += [keras.layers.Flatten(), keras.layers.Dense(hidden, activation=activation)]
    layers += [keras.layers.Dropout(dropout)] if dropout else []
    return keras.Sequential([*layers, keras.layers.Dense(classes)])


ABLATIONS = {
    "complete": {},
    "ReLU": {"activation": "sigmoid"},
    "dropout": {"dropout": 0.0},
    "augmentation": {"augment": unshifted},
    "weight decay": {"weight_decay": NO_DECAY},
    "max pooling": {"pooling": "average"},
    "fewer images": {"augment": lambda images: shifted(repeated(images, 1 / 3))},
}


def alexnet_experiment(
    seeds, *, training_images=300, steps=1500, batch_size=32, rates=(0.01, 0.03, 0.1), data="digits"
):
    """Trains a small AlexNet on few images, complete and without each of its five ingredients.

    Without ReLU the activation is the sigmoid, with which the notes contrast it; without max pooling it is the average.
    Augmentation adds the images shifted by one pixel in four directions, where without it each is there five times, so
    that all take as many steps through as many images. SGD with momentum 0.9 and decay 0.0005, as in the paper, each
    arm at the rate of the lowest loss on images that are held out before they are shifted; every seed redraws the
    training images. Few images and long training let the complete network fit them: the errors are shares of
    misclassified images at the end, and those of training stand beside them. A further arm has a third of the images.
    """
    loaded = load_data(data)
    arms = {}
    for name, changed in ABLATIONS.items():
        augment = changed.get("augment", shifted)
        options = {"weight_decay": DECAY} | {key: value for key, value in changed.items() if key != "augment"}

        def on(chosen, augment=augment, options=options):
            return classifier(
                small_alexnet,
                lambda seed: augment(chosen(seed)),
                steps=steps,
                batch_size=batch_size,
                optimizer=keras.optimizers.SGD(momentum=0.9),
                **options,
            ).final

        arms[name] = ValidatedArm(
            on(lambda seed: loaded.subset(training_images, seed)),
            on(lambda seed: loaded.subset(training_images, seed).held_out(0.2, seed)),
        )
    space = {"learning_rate": list(rates)}
    records = compare_arms(arms, space, len(rates), seeds, by="without", objective="validation_loss", widen=2)
    for split in ("train", "test"):
        records[f"{split}_error"] = 1 - records[f"{split}_accuracy"]
    return records[["seed", "without", "learning_rate", "train_loss", "train_error", "test_loss", "test_error"]]


INGREDIENTS = {
    "relu": "ReLU",
    "dropout": "dropout",
    "augmentation": "augmentation",
    "decay": "weight decay",
    "pooling": "max pooling",
}


@claim(
    "Dropout, ReLU and data augmentation were key steps to AlexNet's performance (the notes); ReLU, dropout, weight "
    "decay and max pooling countered overfitting and improved it (the lectures).",
    source=(
        notes("Remark 3.86", parts=("dropout", "relu", "augmentation")),
        lectures("3.5.1", parts=("relu", "dropout", "decay", "pooling")),
    ),
    kind="finding",
    scope="AlexNet on ImageNet, 60 million parameters; who was first is history and not judged",
    literature="Krizhevsky et al. 2012, sections 3.1, 3.4 and 4",
    reads=alexnet_experiment,
    criterion=AllOf(
        **{
            part: Greater("error", of="without", than="with", by="arm", where={"ingredient": part})
            for part in INGREDIENTS
        }
    ),
    smoke={"training_images": 200, "steps": 400},
    full={"data": "cifar10", "training_images": 5000, "steps": 50_000},
    control={"measured_on": "train"},
    seeds=48,
    positive_control=PositiveControl(
        "The complete network makes more errors when it learned from a third of the images.", without="fewer images"
    ),
    reported=(
        Reported(
            "6 times fewer",
            measure="iterations to 25 % training error, ReLU against tanh",
            setting="four-layer convolutional network, CIFAR-10",
            place="Krizhevsky et al. 2012, figure 1",
        ),
        Reported(
            "0.4 points more",
            measure="top-1 error without overlapping pooling",
            setting="AlexNet, ImageNet",
            place="Krizhevsky et al. 2012, section 3.4",
        ),
        Reported(
            "over 1 point more",
            measure="top-1 error without colour augmentation",
            setting="AlexNet, ImageNet",
            place="Krizhevsky et al. 2012, section 4.1",
        ),
    ),
)
def alexnet_innovations(observations, *, without="", measured_on="test"):
    """Compares the test error without each ingredient with that of the complete network, paired by seed.

    At this scale none of them contradicts the statement about AlexNet, which had 60 million parameters and a million
    images; each list is judged for the document that has it. The control asks for the same networks' errors on the
    images that they learned from, where there is no overfitting to counter.
    """
    observations = observations.assign(error=observations[f"{measured_on}_error"])
    complete = observations[observations["without"] == "complete"].assign(arm="with")
    tables = []
    for part, ingredient in INGREDIENTS.items():
        ablated = observations[observations["without"] == (without or ingredient)].assign(arm="without")
        tables += [table.assign(ingredient=part) for table in (complete, ablated)]
    return pd.concat(tables, ignore_index=True)


def lenet_experiment(
    seeds,
    *,
    training_images=600,
    steps=1500,
    batch_size=32,
    rates=(0.003, 0.01, 0.03),
    versions=("sigmoid, average", "relu, maximum", "centred, average", "relu, average", "sigmoid, maximum"),
    data="digits",
):
    """Trains LeNet for small images, with its activation and kind of pooling, and with others.

    Two padded convolutions, 6 of 5x5 and 16 of 3x3, each pooled over 2x2 pixels, and dense layers of 120, 84 and 10
    units. Beside the sigmoid s there is a centred one, 4 s - 2, which is nought and has slope one where s is a half and
    has slope a quarter. Adam, each version at the rate and the initialisation, Glorot's or He's, of the lowest loss on
    held-out images; every seed redraws the training images. Test errors are shares of misclassified images after half
    and all of the steps.
    """
    loaded = load_data(data)
    arms = {}
    for version in versions:
        activation, pooling = version.split(", ")
        arms[version] = classifier(
            small_lenet,
            lambda seed: loaded.subset(training_images, seed),
            steps=steps,
            batch_size=batch_size,
            optimizer="adam",
            every=steps // 2,
            activation=activation,
            pooling=pooling,
        )
    space = {"learning_rate": list(rates), "initializer": ["glorot_uniform", "he_normal"]}
    records = compare_arms(arms, space, 2 * len(rates), seeds, by="version", objective="validation_loss", widen=2)
    found = horizons(records)
    found["test_error"] = 1 - found["test_accuracy"]
    found.attrs = records.attrs
    return found[["seed", "version", "learning_rate", "initializer", "steps", "train_loss", "test_loss", "test_error"]]


@claim(
    "In LeNet ReLU and max pooling work better than the sigmoid and average pooling.",
    source=notes("Remark 3.85"),
    kind="tendency",
    scope="the pair against LeNet's pair in image classification; rate, initialisation and length of training are left "
    "open",
    literature="Zhang et al. 2021, section 6.6",
    reads=lenet_experiment,
    criterion=Greater("test_error", of="sigmoid, average", than="relu, maximum", by="version", each=("steps",)),
    smoke={
        "training_images": 300,
        "steps": 300,
        "versions": ("sigmoid, average", "relu, maximum", "centred, average"),
    },
    full={"data": "mnist", "training_images": 10000, "steps": 10000},
    rival=Rival(
        "LeNet's pair falls behind by defects of the sigmoid alone: centred and of slope one, it works better with "
        "average pooling than ReLU and max pooling do.",
        criterion=Greater("test_error", of="relu, maximum", than="centred, average", by="version", each=("steps",)),
    ),
    reported=(
        Reported(
            "5.22 %",
            measure="test error, max pooling",
            setting="convolutional network, NORB",
            place="Scherer et al. 2010, table 1",
        ),
        Reported(
            "7.32 %",
            measure="test error, subsampling",
            setting="convolutional network, NORB",
            place="Scherer et al. 2010, table 1",
        ),
    ),
)
def relu_maxpool_beat_lenet(observations):
    """Compares the test error of LeNet with that after both changes, paired by seed.

    Single changes, where they were trained, stand beside it unjudged. The rival explanation is judged on the same
    networks: a sigmoid without the defects for which it is replaced, with outputs that are centred and slope one at the
    centre, so that layers neither shift nor shrink what passes them (LeCun et al. 1998, Efficient BackProp, section
    4.4). Only what ReLU and max pooling are worth beyond that is left.
    """
    return observations


def small_lenet(*, shape, classes, activation, pooling, initializer="glorot_uniform"):
    """Build LeNet for small images, with the given activation, kind of pooling and initialiser."""
    pool = {"maximum": keras.layers.MaxPooling2D, "average": keras.layers.AveragePooling2D}[pooling]
    activation = centred_sigmoid if activation == "centred" else activation
    options = {"activation": activation, "kernel_initializer": initializer}
    return keras.Sequential(
        [
            keras.Input(shape),
            convolution(6, 5, padding="same", **options),
            pool(2),
            convolution(16, 3, padding="same", **options),
            pool(2),
            keras.layers.Flatten(),
            keras.layers.Dense(120, **options),
            keras.layers.Dense(84, **options),
            keras.layers.Dense(classes, kernel_initializer=initializer),
        ]
    )


def centred_sigmoid(z):
    """Scale and shift the sigmoid to be nought and of slope one at nought."""
    return 4 * keras.ops.sigmoid(z) - 2


# Filters and sides of the convolutions of two blocks.
STACKS = {
    "deep and narrow": (((12, 3), (12, 3)), ((24, 3), (24, 3))),
    "5x5": (((12, 5),), ((24, 5),)),
    "5x5, as many weights": (((13, 5),), ((26, 5),)),
}


def stacks_experiment(
    seeds,
    *,
    training_images=600,
    steps=1000,
    batch_size=32,
    rates=(0.003, 0.01, 0.03),
    stacks=tuple(STACKS),
    data="digits",
):
    """Trains networks of two blocks: two layers of 3x3 filters in each, or one of 5x5 with the same receptive field.

    With as many channels, as in the paper, or with about as many weights. A block ends in 2x2 max pooling; all
    activations are ReLU, the last maps are averaged, Adam, each arm at the rate of the lowest loss on held-out images;
    every seed redraws the training images. Test errors after half and all of the steps. Two further arms are the deep
    network on a tenth of the images, each repeated, and without the ReLU between the layers of a pair.
    """
    loaded = load_data(data)
    deep = STACKS["deep and narrow"]
    chosen = [(name, STACKS[name], 1.0, 0.0) for name in stacks]
    chosen += [("fewer images", deep, 0.1, 0.0), ("linear pairs", deep, 1.0, 1.0)]
    arms = {
        name: classifier(
            blocks_network,
            lambda seed, share=share: repeated(loaded.subset(training_images, seed), share),
            steps=steps,
            batch_size=batch_size,
            optimizer="adam",
            every=steps // 2,
            blocks=blocks,
            slope=slope,
        )
        for name, blocks, share, slope in chosen
    }
    space = {"learning_rate": list(rates)}
    records = compare_arms(arms, space, len(rates), seeds, by="network", objective="validation_loss", widen=2)
    found = horizons(records)
    found["test_error"] = 1 - found["test_accuracy"]
    found.attrs = records.attrs
    return found[["seed", "network", "learning_rate", "steps", "train_loss", "test_error"]]


@claim(
    "Simonyan and Zisserman found several layers of deep and narrow convolutions more effective than fewer layers of "
    "wider ones.",
    source=notes("Remark 3.87"),
    kind="finding",
    scope="VGG networks on ImageNet; narrow and wide are sizes of filters, 3x3 and 5x5",
    literature="Simonyan and Zisserman 2014, section 4.1",
    reads=stacks_experiment,
    criterion=Greater("test_error", of="wide", than="deep and narrow", by="network", each=("steps",)),
    smoke={"training_images": 300, "steps": 300, "rates": (0.01,), "stacks": ("deep and narrow", "5x5")},
    full={"data": "cifar10", "training_images": 20000, "steps": 20000, "batch_size": 128},
    control={"deep": "linear pairs"},
    positive_control=PositiveControl(
        "The deep network makes more errors when it learned from a tenth of the images.", wide="fewer images"
    ),
    reported=(
        Reported(
            "7 % higher",
            measure="top-1 error of a single 5x5 layer instead of each pair of 3x3",
            setting="network B, ImageNet",
            place="Simonyan and Zisserman 2014, section 4.1",
        ),
    ),
)
def deep_narrow_beats_shallow_wide(observations, *, wide="5x5", deep="deep and narrow"):
    """Compares the test error of pairs of 3x3 layers with that of single 5x5 layers of as many channels.

    Paired by seed; networks with as many weights, where they were trained, stand beside it unjudged. Images of 8 x 8
    pixels leave the finding on ImageNet open, whatever comes out. The control keeps the pairs of small filters and
    takes the ReLU between them, without which two layers are no deeper than one (Simonyan and Zisserman 2014, section
    2.3, name the additional non-linearity as the first reason).
    """
    arms = {wide: "wide", deep: "deep and narrow"}
    chosen = observations[observations["network"].isin(arms)]
    return chosen.assign(network=chosen["network"].map(arms))


def blocks_network(*, shape, classes, blocks, slope=0.0):
    """Build blocks of (filters, side) convolutions with ReLU, each pooled, and a linear layer on the mean maps.

    Between the layers of a block negative values are multiplied by a slope, a weight that is not trained: 0 is the
    ReLU, 1 leaves a pair linear. Both are one program.
    """
    layers = [keras.Input(shape)]
    for *inner, (last, side) in blocks:
        for filters, of_inner in inner:
            leaky = keras.layers.PReLU(keras.initializers.Constant(slope), shared_axes=[1, 2], trainable=False)
            layers += [convolution(filters, of_inner, padding="same"), leaky]
        layers += [convolution(last, side, padding="same", activation="relu"), keras.layers.MaxPooling2D(2)]
    return keras.Sequential([*layers, keras.layers.GlobalAveragePooling2D(), keras.layers.Dense(classes)])
