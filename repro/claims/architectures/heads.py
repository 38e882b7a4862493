"""Trained networks with heads of global average pooling, global max pooling and dense layers."""

from __future__ import annotations

import math
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtMost, Boundary, Greater, Identity, PositiveControl, Reported, claim, lectures, notes
from repro.claims.architectures._canvas import placed
from repro.claims.architectures._images import repeated
from repro.engine import Record, ValidatedArm, backend, convolution, horizons, join_tables, load_data, train, tune

with epy.lazy_imports():
    import keras

SHIFTS = (1, 2)
# Standard deviation of noise, share of outliers and their size; on maps in units of their root mean square.
NOISE, OUTLIERS, OUTLIER = {"maps": 1.0, "pixels": 0.2}, 0.02, {"maps": 5.0, "pixels": 1.0}
STRONGER = 4  # times as much noise, or as many outliers
SMOKE = {"training_images": 240, "steps": 720, "rates": (0.01,)}
FULL = {"data": "mnist", "training_images": 2000, "steps": 4000, "widths": (32, 64, 64)}
NOISE_STREAM = 6  # of random numbers of a seed


def heads_experiment(
    seeds,
    *,
    training_images=400,
    steps=800,
    batch_size=32,
    widths=(8, 16),
    hidden=64,
    rates=(0.003, 0.01, 0.03),
    data="digits",
):
    """Trains convolutional networks on few images in the middle of dark canvases, with three heads.

    Padded 3x3 convolutions with ReLU, the first of stride 2; then the means or the maxima of the maps and one dense
    layer, or all their values, a hidden dense layer of 64 units and the classifier, as in AlexNet and VGG. A further
    head has weighted sums in place of the means, with random weights for the positions that are not trained, the same
    for all channels; a further arm has the dense head and a third of the images, each repeated. Adam, each head at the
    rate of the lowest loss on held-out images; every seed redraws the training images and all noise. Errors are shares
    of misclassified test images after half and all of the steps: clean ones, and shifted by one or two pixels in one of
    eight directions.

    At the end the trained networks are disturbed: normal noise on the last maps, as large as their root mean square, or
    a fiftieth of their values larger by five times that; normal noise of 0.2 on the pixels of the image, from 0 to 1,
    or a fiftieth of them white. The canvas around the image stays dark. All are there a second time four times as
    strong, and a third time drawn once for all positions of a map or of an image.
    """
    loaded = load_data(data)
    names = ["clean", *(f"shift {shift}" for shift in SHIFTS)]
    heads = {"average": "average", "maximum": "maximum", "dense": "dense", "weighted": "weighted", "fewer": "dense"}
    tables = []
    for name, head in heads.items():
        share = 1 / 3 if name == "fewer" else 1.0

        def on(chosen, head=head, share=share):
            return partial(
                train,
                convolutional_network,
                lambda seed: _shifted_tests(repeated(chosen(seed), share), seed),
                loss=_loss_of_class,
                optimizer="adam",
                steps=steps,
                batch_size=batch_size,
                record=Record(
                    every=steps // 2, metrics={of: partial(_error, index, len(names)) for index, of in enumerate(names)}
                ),
                shape=(*(side + 2 * (side // 4) for side in loaded.shape[:2]), loaded.shape[2]),
                classes=loaded.classes,
                widths=widths,
                strides=(2,) + (1,) * (len(widths) - 1),
                head=head,
                hidden=hidden,
            )

        arm = ValidatedArm(
            on(lambda seed: loaded.subset(training_images, seed)),
            on(lambda seed: loaded.subset(training_images, seed).held_out(0.2, seed)),
        )
        tuning = tune(arm, {"learning_rate": list(rates)}, len(rates), objective="validation_loss", widen=2)
        training = arm(seeds=list(seeds), **tuning.best)
        found = horizons(training.records)
        found["train_error"] = found["train_clean"] / len(names)
        found = found.drop(columns=[column for column in found if column.startswith("train_shift")])
        if head in ("average", "maximum"):
            found = found.merge(_disturbed_errors(training, loaded), on=["seed", "steps"], how="left")
        tables.append(found.assign(head=name))
        tables[-1].attrs["tuning"] = tuning.table(head=name)
    return join_tables(tables)


@claim(
    "Fully connected layers hold many parameters and are prone to overfitting; global average pooling reduces them, to "
    "a number that is independent of the size of the maps, can take images of different sizes, and helps to prevent "
    "overfitting, especially with limited training data.",
    source=(
        lectures("3.5.3", parts=("parameters", "sizes", "overfitting")),
        notes("Remark 3.22", parts=("parameters", "independent", "overfitting")),
    ),
    kind="tendency",
    scope="classifiers with hidden dense layers on flattened maps, as AlexNet and VGG have, against global average "
    "pooling and a linear classifier",
    literature="Lin, Chen and Yan 2013, section 4.6",
    reads=heads_experiment,
    criterion=AllOf(
        parameters=AtMost("parameters", "five_per_cent_fewer", where={"head": "pooled"}),
        independent=Identity("parameters", "parameters_of_smaller", where={"head": "pooled"}),
        sizes=Identity("classes_of_other_size", "classes", where={"head": "pooled"}),
        overfitting=Greater(
            "gap_of_errors", of="dense", than="pooled", by="head", smallest_difference=0.01, each=("steps",)
        ),
    ),
    smoke=SMOKE,
    full=FULL,
    control={"dense": "maximum"},
    positive_control=PositiveControl(
        "A dense head overfits more when it learned from a third of the images.", pooled="dense", dense="fewer"
    ),
    seeds=48,
    reported=(
        Reported(
            "11.59 %",
            measure="test error, dense head",
            setting="network in network, CIFAR-10",
            place="Lin, Chen and Yan 2013, table 5",
        ),
        Reported(
            "10.88 %",
            measure="test error, dense head with dropout",
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
def gap_parameters(observations, *, pooled="average", dense="dense", channels=512, classes=1000, sides=(7, 14)):
    """Counts parameters of heads for VGG16's last maps, for two input sizes, and takes test minus training error.

    The dense head has two hidden layers of 4096 units on the smaller maps, as VGG16's has; the pooled one is also built
    for images of any size and given another. Fewer is by five per cent. The gap is of shares of misclassified images,
    in inference mode. What is counted is the same in control and positive control, which differ in the trained heads:
    in the control the other head is of maxima and has no more parameters, so that no overfitting is saved; in the
    positive control both are dense, on training sets of two sizes.
    """
    counted = [head_parameters(side, channels, classes, pooled=True) for side in sides]
    of_dense = head_parameters(sides[0], channels, classes, pooled=False)
    arms = relabelled(observations, {"pooled": pooled, "dense": dense})
    return arms.assign(
        gap_of_errors=arms["test_clean"] - arms["train_error"],
        parameters=counted[-1],
        parameters_of_smaller=counted[0],
        five_per_cent_fewer=of_dense / 1.05,
        classes=classes,
        classes_of_other_size=_classes_of_any_size(sides[0] + 1, channels, classes),
    )


@claim(
    "Averaging over positions makes a network more robust to shifts of the image than fully connected layers, which "
    "are sensitive to the arrangement in space.",
    source=(lectures("3.5.3"), notes("Remark 3.22")),
    kind="tendency",
    scope="one convolutional trunk under both heads, shifts small against the image; stride and padding of the trunk, "
    "and shifts in training, are left open",
    literature="Azulay and Weiss 2019 and Zhang 2019: strides break what convolutions preserve",
    reads=heads_experiment,
    criterion=Greater("rise_of_error", of="dense", than="pooled", by="head", each=("steps",)),
    smoke=SMOKE,
    full=FULL,
    control={"pooled": "weighted"},
    positive_control=PositiveControl(
        "A head of sums with random weights of the positions is less robust than one of averages.", dense="weighted"
    ),
    seeds=48,
)
def gap_shift_robust(observations, *, pooled="average", dense="dense"):
    """Compares the rise of the test error when images are shifted by one and two pixels, the mean of both, by seed.

    The shifted images still fit the canvas; training images stand in its middle. The control sums over positions, too,
    one number per channel, but with random weights: what does not treat positions alike is not robust.
    """
    arms = relabelled(observations, {"pooled": pooled, "dense": dense})
    shifted = arms[[f"test_shift {shift}" for shift in SHIFTS]].mean(axis=1)
    return arms.assign(rise_of_error=shifted - arms["test_clean"])


@claim(
    "Global average pooling is generally more robust to noise and to outliers than global max pooling.",
    source=notes("Remark 3.23"),
    kind="tendency",
    scope="noise and outliers in the feature map; noise on the pixels is left open",
    left_open=("place",),
    reads=heads_experiment,
    criterion=AllOf(
        noise=Greater("rise_of_error", of="maximum", than="average", by="head", where={"of": "noise"}, each=("place",)),
        outliers=Greater(
            "rise_of_error", of="maximum", than="average", by="head", where={"of": "outliers"}, each=("place",)
        ),
    ),
    boundary=Boundary("where the maps themselves are disturbed", holds="place == 'maps'"),
    smoke=SMOKE,
    full=FULL,
    control={"kind": "common"},
    positive_control=PositiveControl(
        "Disturbances four times as strong raise the error of the head of averages by more.",
        maximum="average",
        stronger=True,
    ),
    seeds=48,
)
def gap_beats_gmp_on_noise(observations, *, maximum="maximum", kind="independent", stronger=False):
    """Compares the rise of the test error under noise and outliers, on the last maps and on the pixels, by seed.

    At the end of training, where both heads err on few clean images. An average over z positions has a zth of the
    variance of independent noise, a maximum takes the largest. On pixels the noise passes layers of ReLU, behind which
    it has a mean that no average removes. In the control a map, or an image, has one disturbance at all its positions,
    of which an average leaves as much as a maximum.
    """
    last = observations[observations["steps"] == observations["steps"].max()]
    tables = []
    for of in ("noise", "outliers"):
        for place in NOISE:
            for label, head in (("average", "average"), ("maximum", maximum)):
                disturbed = "stronger" if stronger and label == "maximum" else kind
                rows = last[last["head"] == head]
                rise = rows[f"test_{of} {place}, {disturbed}"] - rows["test_clean"]
                columns = {"seed": rows["seed"], "head": label, "of": of, "place": place, "rise_of_error": rise}
                tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def convolutional_network(*, shape, classes, widths, strides, head, hidden=64):
    """Build padded 3x3 convolutions with ReLU and a head on the last maps.

    Heads are linear on means, weighted sums or maxima, or have a hidden layer on all values. A weighted sum has weights
    for the positions that are drawn like initial values and not trained.
    """
    inputs = keras.Input(shape)
    maps = inputs
    for width, stride in zip(widths, strides, strict=True):
        maps = convolution(width, 3, strides=stride, padding="same", activation="relu")(maps)
    if head == "weighted":
        _, height, width, channels = maps.shape
        maps = keras.layers.Permute((2, 1))(keras.layers.Reshape((height * width, channels))(maps))
        weights = keras.initializers.RandomNormal(stddev=1 / (height * width))
        maps = keras.layers.Dense(1, use_bias=False, kernel_initializer=weights, trainable=False)(maps)
    pooling = {"average": keras.layers.GlobalAveragePooling2D, "maximum": keras.layers.GlobalMaxPooling2D}
    pooled = pooling.get(head, keras.layers.Flatten)()(maps)
    if head == "dense":
        pooled = keras.layers.Dense(hidden, activation="relu")(pooled)
    return keras.Model(inputs, keras.layers.Dense(classes)(pooled))


def head_parameters(side, channels, classes, *, pooled):
    """Count the parameters of a head on maps of shape [side, side, channels]: pooled, or with two hidden layers."""
    first = keras.layers.GlobalAveragePooling2D() if pooled else keras.layers.Flatten()
    widths = (classes,) if pooled else (4096, 4096, classes)
    dense = [keras.layers.Dense(units, kernel_initializer="zeros") for units in widths]
    return keras.Sequential([keras.Input((side, side, channels)), first, *dense]).count_params()


def _classes_of_any_size(side, channels, classes):
    """Number of scores that a pooled head, built for maps of any size, gives for maps of one."""
    head = keras.Sequential(
        [
            keras.Input((None, None, channels)),
            keras.layers.GlobalAveragePooling2D(),
            keras.layers.Dense(classes, kernel_initializer="zeros"),
        ]
    )
    return head(np.zeros((1, side, side, channels), np.float32)).shape[-1]


def relabelled(observations, heads):
    """Keep the heads of a comparison under their names in it."""
    arms = [observations[observations["head"] == head].assign(head=name) for name, head in heads.items()]
    return pd.concat(arms, ignore_index=True)


def _on_canvas(images, corners):
    """Put every image on a canvas half as large again."""
    side = images.shape[1]
    return placed(images, np.broadcast_to(corners, (len(images), 2)), side + 2 * (side // 4))


def _shifted_tests(images, seed):
    """Put images in the middle of canvases, and the test images beside it as well.

    Targets are pairs: the class, and the number of the version of the test images, which are clean first.
    """
    generator = np.random.default_rng((seed, NOISE_STREAM))
    middle = images.x_test.shape[1] // 4
    angles = generator.integers(8, size=len(images.x_test)) * math.pi / 4
    directions = np.sign(np.round(np.column_stack([np.sin(angles), np.cos(angles)]), 6)).astype(int)
    x_test = [_on_canvas(images.x_test, middle + shift * directions) for shift in (0, *SHIFTS)]
    return SimpleNamespace(
        x_train=_on_canvas(images.x_train, (middle, middle)),
        y_train=np.column_stack([images.y_train, np.zeros_like(images.y_train)]),
        x_test=np.concatenate(x_test),
        y_test=np.column_stack(
            [np.tile(images.y_test, len(x_test)), np.repeat(range(len(x_test)), len(images.y_test))]
        ),
        left_out=max(0, len(x_test) * images.left_out - len(SHIFTS) * len(images.x_test)),  # a program for both
    )


def _disturbed_errors(training, images):
    """Errors of trained networks on test images whose pixels, or whose last maps, are disturbed; a row per seed."""
    middle = images.x_test.shape[1] // 4
    clean = _on_canvas(images.x_test, (middle, middle))
    inside = _on_canvas(np.ones_like(images.x_test), (middle, middle)) > 0
    model = training.model(0)
    classify = backend.compile_function(partial(_scores_of_disturbed, model))
    like = model.layers[-3].output.shape[1:]  # of the last maps
    last = training.records["step"].max()
    rows = []
    for seed, weights in zip(training.replicas["seed"], training.weights, strict=True):
        generator = np.random.default_rng((seed, NOISE_STREAM, 1))
        values = [keras.ops.convert_to_tensor(value) for value in weights]
        row = {"seed": seed, "steps": last}
        for kind in ("independent", "common", "stronger"):
            times = STRONGER if kind == "stronger" else 1
            of_maps, of_pixels = (
                (len(clean), *((1, 1, size[2]) if kind == "common" else size)) for size in (like, clean.shape[1:])
            )
            noise = times * generator.normal(size=of_maps, scale=NOISE["maps"])
            outliers = OUTLIER["maps"] * (generator.random(of_maps) < times * OUTLIERS)
            on_pixels = clean + inside * times * generator.normal(size=of_pixels, scale=NOISE["pixels"])
            white = inside & (generator.random(of_pixels) < times * OUTLIERS)
            versions = {
                "noise maps": (clean, noise),
                "outliers maps": (clean, outliers),
                "noise pixels": (on_pixels, 0),
                "outliers pixels": (np.where(white, OUTLIER["pixels"], clean), 0),
            }
            for version, (x, added) in versions.items():
                whole = np.broadcast_to(added, (len(clean), *like))
                scores = classify(values, x.astype(np.float32), whole.astype(np.float32))
                wrong = keras.ops.convert_to_numpy(scores).argmax(axis=1) != images.y_test
                row[f"test_{version}, {kind}"] = wrong.mean()
        rows.append(row)
    return pd.DataFrame(rows)


def _scores_of_disturbed(model, weights, x, added):
    """Scores of the classes, with something added to the last maps in units of their root mean square."""
    _, *convolutions, pooling, dense = model.layers
    with keras.StatelessScope(state_mapping=list(zip(model.weights, weights, strict=True))):
        maps = x
        for layer in convolutions:
            maps = layer(maps)
        size = keras.ops.sqrt(keras.ops.mean(keras.ops.square(maps), axis=(1, 2, 3), keepdims=True))
        return dense(pooling(maps + size * added))


def _loss_of_class(targets, outputs):
    return keras.losses.sparse_categorical_crossentropy(targets[:, 0], outputs, from_logits=True)


def _error(version, versions, targets, outputs):
    """Error on one version; the mean over all versions, equally many, is the share of misclassified images."""
    wrong = 1 - keras.metrics.sparse_categorical_accuracy(targets[:, 0], outputs)
    return versions * wrong * keras.ops.cast(targets[:, 1] == version, wrong.dtype)
