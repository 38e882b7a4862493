"""Trained networks with heads of global average pooling, global max pooling and dense layers."""

from __future__ import annotations

import math
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Correction, Greater, Identity, Reported, claim, lectures, notes
from repro.claims.architectures._canvas import placed
from repro.engine import Record, compare_arms, convolution, load_data, train

with epy.lazy_imports():
    import keras

SHIFTS = (1, 2)
NOISES = {"gaussian": 0.2, "salt": 0.02, "maps": 1.0}
SMOKE = {"training_images": 300, "steps": 240, "rates": (0.01,)}
FULL = {"data": "mnist", "training_images": 2000, "steps": 4000, "widths": (32, 64, 64)}
POINTS = "two points of error are what choosing another seed changes here"


def heads_experiment(
    seeds, *, training_images=500, steps=600, batch_size=32, widths=(8, 16, 16), rates=(0.003, 0.01), data="digits"
):
    """Trains convolutional networks on few images in the middle of dark canvases, with three heads.

    Three padded 3x3 convolutions with ReLU, the second of stride 2; then the means or the maxima of the maps, or all
    their values, and one dense layer; Adam, each head at the learning rate of the lowest training loss. Tested on clean
    images, on images shifted by a number of pixels in one of eight directions, and under noise: Gaussian pixel noise of
    standard deviation 0.2, or a fiftieth of the pixels white, where pixels are from 0 to 1, or Gaussian noise on the
    last maps as large as their root mean square.
    """
    examples, names = _tests(load_data(data).subset(training_images, 0), widths[-1])
    arms = {
        head: partial(
            train,
            convolutional_network,
            examples,
            loss=_loss_of_class,
            optimizer="adam",
            steps=steps,
            batch_size=batch_size,
            record=Record(metrics={name: partial(_error, index, len(names)) for index, name in enumerate(names)}),
            shape=examples.x_train.shape[1:],
            classes=examples.classes,
            widths=widths,
            strides=(1, 2, 1),
            head=head,
            noisy=True,
        )
        for head in ("average", "maximum", "dense")
    }
    observations = compare_arms(arms, {"learning_rate": list(rates)}, len(rates), seeds, by="head")
    observations["train_error"] = observations["train_clean"] / len(names)
    measured = ["train_loss", "train_error", *(f"test_{name}" for name in names)]
    return observations[["seed", "head", "learning_rate", *measured]]


@claim(
    "Global average pooling needs far fewer parameters than fully connected layers, as many for every input size, and "
    "overfits less.",
    source=(lectures("3.5.3"), notes("Remark 3.22")),
    kind="tendency",
    literature="Lin, Chen and Yan 2013, section 4.6",
    reads=heads_experiment,
    criterion=AllOf(
        parameters=AtMost("parameters", "tenth_of_dense", where={"head": "pooled"}),
        size=Identity("parameters", "parameters_of_smaller", where={"head": "pooled"}),
        overfitting=Greater(
            "generalization_gap", of="dense", than="pooled", by="head", smallest_difference=0.02, because=POINTS
        ),
    ),
    smoke=SMOKE,
    full=FULL,
    control={"pooled": "dense"},
    correction=Correction(
        "Global average pooling needs far fewer parameters than fully connected layers, as many for every input size, "
        "and overfits less to where things are: on shifted images its errors exceed those of training by less. Where "
        "images are placed as in training it overfits as much.",
        tested="shift 2",
    ),
    seeds=12,
    reported=(
        Reported(
            "11.59 %",
            measure="test error, dense head",
            setting="network in network, CIFAR-10",
            place="Lin, Chen and Yan 2013, table 5",
        ),
        Reported(
            "10.41 %",
            measure="test error, pooled head",
            setting="network in network, CIFAR-10",
            place="Lin, Chen and Yan 2013, table 5",
        ),
    ),
)
def gap_parameters(observations, *, pooled="average", tested="clean", channels=512, classes=1000, sides=(7, 14)):
    """Counts parameters of heads for VGG16's last maps, for two input sizes, and takes test minus training error.

    Far fewer means at most a tenth. The gap is of shares of misclassified images after training, in inference mode. The
    mistake is to expect less overfitting of whatever has fewer parameters. In the control the pooling is left out; the
    correction tests images shifted by two pixels.
    """
    observations["generalization_gap"] = observations[f"test_{tested}"] - observations["train_error"]
    heads = {"pooled": pooled, "dense": "dense"}
    counted = {name: [head_parameters(head, side, channels, classes) for side in sides] for name, head in heads.items()}
    arms = relabelled(observations, heads)
    arms["parameters"] = arms["head"].map({name: counts[-1] for name, counts in counted.items()})
    arms["parameters_of_smaller"] = arms["head"].map({name: counts[0] for name, counts in counted.items()})
    return arms.assign(tenth_of_dense=counted["dense"][-1] / 10)


@claim(
    "A head of global average pooling is more robust to shifts of the image than a dense head.",
    source=(lectures("3.5.3"), notes("Remark 3.22")),
    kind="tendency",
    reads=heads_experiment,
    criterion=Greater(
        "rise",
        of="dense",
        than="pooled",
        by="head",
        smallest_difference=0.02,
        because=POINTS,
        each=("shift",),
    ),
    smoke=SMOKE,
    full=FULL,
    control={"pooled": "dense"},
    seeds=12,
)
def gap_shift_robust(observations, *, pooled="average"):
    """Compares the rise of the test error when images are shifted, paired by seed, for several shifts in pixels.

    The shifted images still fit the canvas. In the control the pooling is left out.
    """
    arms = relabelled(observations, {"pooled": pooled, "dense": "dense"})
    return rises(arms, {f"shift {shift}": shift for shift in SHIFTS}, "shift")


@claim(
    "Global average pooling is more robust to noise than global max pooling.",
    source=notes("Remark 3.23"),
    kind="tendency",
    reads=heads_experiment,
    criterion=Greater(
        "rise",
        of="maximum",
        than="average",
        by="head",
        smallest_difference=0.02,
        because=POINTS,
        each=("noise",),
    ),
    smoke=SMOKE,
    full=FULL,
    control={"average": "maximum"},
    correction=Correction(
        "The average itself moves less under independent noise of mean zero on the maps than their maximum: by the "
        "noise divided by the root of the number of positions, the maximum by about as much as the noise or more. But "
        "the differences between images that a classifier reads are smaller in an average, too, and noise on the "
        "pixels leaves ReLU layers with a mean that is not zero.",
        measured="pooled values",
    ),
    seeds=12,
)
def gap_beats_gmp_on_noise(observations, *, average="average", measured="test error"):
    """Compares the rise of the test error under noise, paired by seed, for noise on the pixels and on the last maps.

    The mistake is to conclude from the pooled value to the network. The correction measures the root mean square
    change of the value that Keras pools from normal maps of 6 x 6 after ReLU, under standard normal noise: 1/6 for the
    average. In the control the maximum takes the place of the average.
    """
    arms = relabelled(observations, {"average": average, "maximum": "maximum"})
    if measured == "pooled values":
        return pd.concat([_changes_of_pooled(seed) for seed in arms["seed"].unique()], ignore_index=True)
    return rises(arms, {name: name for name in NOISES}, "noise")


def _changes_of_pooled(seed, side=6, examples=500):
    generator = np.random.default_rng(seed)
    maps, noise = generator.normal(size=(2, examples, side, side, 1))
    maps = np.maximum(maps, 0)
    layers = {"average": keras.layers.GlobalAveragePooling2D(), "maximum": keras.layers.GlobalMaxPooling2D()}
    changes = {head: keras.ops.convert_to_numpy(pool(maps + noise) - pool(maps)) for head, pool in layers.items()}
    rows = [{"head": head, "rise": np.sqrt(np.square(change).mean())} for head, change in changes.items()]
    return pd.DataFrame(rows).assign(seed=seed, noise="maps")


def convolutional_network(*, shape, classes, widths, strides, head, noisy=False):
    """Build padded 3x3 convolutions with ReLU and a linear head on means, maxima or all values of the last maps.

    Where it is noisy the channels of the input after the first are noise, one for each of the last maps, to which it is
    added in units of their root mean square.
    """
    inputs = keras.Input(shape)
    maps = inputs[..., :1] if noisy else inputs
    for width, stride in zip(widths, strides, strict=True):
        maps = convolution(width, 3, strides=stride, padding="same", activation="relu")(maps)
    if noisy:
        size = keras.ops.sqrt(keras.ops.mean(keras.ops.square(maps), axis=(1, 2, 3), keepdims=True))
        maps = maps + size * inputs[:, : maps.shape[1], : maps.shape[2], 1:]
    pooling = {
        "average": keras.layers.GlobalAveragePooling2D,
        "maximum": keras.layers.GlobalMaxPooling2D,
        "dense": keras.layers.Flatten,
    }[head]
    return keras.Model(inputs, keras.layers.Dense(classes)(pooling()(maps)))


def head_parameters(head, side, channels, classes):
    """Count the parameters of a head on maps of shape [side, side, channels]."""
    pooling = keras.layers.Flatten() if head == "dense" else keras.layers.GlobalAveragePooling2D()
    dense = keras.layers.Dense(classes, kernel_initializer="zeros")
    return keras.Sequential([keras.Input((side, side, channels)), pooling, dense]).count_params()


def relabelled(observations, heads):
    """Keep the heads of a comparison under their names in it; two names may stand for one head."""
    arms = [observations[observations["head"] == head].assign(head=name) for name, head in heads.items()]
    return pd.concat(arms, ignore_index=True)


def rises(arms, columns, condition):
    """Rise of the test error over that on clean images, one row per seed, head and condition."""
    rows = [
        arms[["seed", "head"]].assign(**{condition: value, "rise": arms[f"test_{name}"] - arms["test_clean"]})
        for name, value in columns.items()
    ]
    return pd.concat(rows, ignore_index=True)


def _tests(images, maps):
    """Put images in the middle of canvases half as large again, and the test images there in several versions.

    Targets are pairs: the class, and the number of the version. As many channels as there are last maps are appended to
    the images: noise for these in one version, zeros in the others.
    """
    generator = np.random.default_rng(0)
    height = images.shape[0]
    middle = height // 4
    size = height + 2 * middle

    def on_canvas(x, corners):
        return placed(x, np.broadcast_to(corners, (len(x), 2)), size)

    clean = on_canvas(images.x_test, (middle, middle))
    versions = {"clean": clean}
    angles = generator.integers(8, size=len(clean)) * math.pi / 4
    directions = np.sign(np.round(np.column_stack([np.sin(angles), np.cos(angles)]), 6)).astype(int)
    for shift in SHIFTS:
        versions[f"shift {shift}"] = on_canvas(images.x_test, middle + shift * directions)
    noise = generator.normal(size=clean.shape, scale=NOISES["gaussian"]).astype(np.float32)
    versions["gaussian"] = clean + noise
    versions["salt"] = np.where(generator.random(clean.shape) < NOISES["salt"], np.float32(1), clean)
    versions["maps"] = clean
    quiet = {name: np.zeros((*x.shape[:3], maps), np.float32) for name, x in versions.items()}
    noise_of_maps = quiet | {"maps": generator.normal(size=quiet["maps"].shape, scale=NOISES["maps"])}
    x_train = on_canvas(images.x_train, (middle, middle))
    train_targets = np.column_stack([images.y_train, np.zeros_like(images.y_train)])
    test_targets = [np.column_stack([images.y_test, np.full_like(images.y_test, i)]) for i in range(len(versions))]
    examples = SimpleNamespace(
        x_train=np.concatenate([x_train, np.zeros((*x_train.shape[:3], maps), np.float32)], axis=-1),
        y_train=train_targets,
        x_test=np.concatenate([np.concatenate([x, noise_of_maps[n]], axis=-1) for n, x in versions.items()]).astype(
            np.float32
        ),
        y_test=np.concatenate(test_targets),
        classes=images.classes,
    )
    return examples, list(versions)


def _loss_of_class(targets, outputs):
    return keras.losses.sparse_categorical_crossentropy(targets[:, 0], outputs, from_logits=True)


def _error(version, versions, targets, outputs):
    """Error on one version; the mean over all versions, equally many, is the share of misclassified images."""
    wrong = 1 - keras.metrics.sparse_categorical_accuracy(targets[:, 0], outputs)
    return versions * wrong * keras.ops.cast(targets[:, 1] == version, wrong.dtype)
