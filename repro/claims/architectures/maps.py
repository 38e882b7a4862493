"""Class activation maps: their weights as gradients, and where they point."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Correction, Greater, Identity, claim, notes
from repro.claims.architectures._canvas import placed
from repro.claims.architectures.heads import convolutional_network, relabelled
from repro.engine import backend, classifier, load_data, tune

with epy.lazy_imports():
    import keras

SMOKE = {"steps": 240, "rates": (0.01,), "tested": 60}
FULL = {"data": "mnist", "steps": 3000, "widths": (64, 64)}


def weights_experiment(seed, *, sides=(1, 2, 4, 7), channels=6, classes=4, exponent=1):
    """Differentiates the class scores of a pooling head by the activations of its maps, in Keras.

    Random maps, uniform on (0, 1), and random weights of the classes; the score of class c is the sum over k of W_ck
    times the mean of map k, which Keras takes in single precision on JAX, whatever its type. One row per class and map:
    the weight, and the sum and the average of the gradient over positions. With another exponent the mean is that of
    powers, its root.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for side in sides:
        maps = generator.uniform(size=(classes, side, side, channels))
        weights = generator.normal(size=(classes, channels))
        pooling = keras.layers.GlobalAveragePooling2D(dtype="float64")

        def score(values, pooling=pooling, weights=weights):
            pooled = pooling(values[0] ** exponent) ** (1 / exponent)
            return keras.ops.sum(pooled * weights), ()  # example c is asked for class c

        _, _, (gradient,) = backend.value_and_gradient(score, [keras.ops.convert_to_tensor(maps)])
        gradient = keras.ops.convert_to_numpy(gradient)
        columns = {"sum": gradient.sum(axis=(1, 2)).ravel(), "average": gradient.mean(axis=(1, 2)).ravel()}
        tables.append(pd.DataFrame({"side": side, "weight": weights.ravel(), **columns}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"In the class activation map $\sum_k W_{ck} A_k$ of a network with global average pooling the weight is the sum "
    r"of the score's gradient over positions: $W_{ck} = \sum_{ij} \partial y_c / \partial A_{kij}$.",
    source=(notes("Definition 3.33"), notes("Remark 3.25")),
    kind="formula",
    root="cam_factor_z",
    literature="Zhou et al. 2016; Selvaraju et al. 2019",
    reads=weights_experiment,
    criterion=Identity("sum", "weight", operations=200, dtype="float32", each=("side",)),
    control={"exponent": 2},
)
def cam(observations):
    """Compares weight and sum, for several sides of the maps.

    From y_c = Σ W_ck (1/z) Σ A_kij each of the z gradients is W_ck / z. The last line of the notes' proof has one
    factor z too many, its conclusion has not. In the control the pooled value is a root mean square.
    """
    return observations


@claim(
    r"The weight $W_{ck}$ of a class activation map is nothing but the average of the gradient of $y_c$ with respect "
    r"to $A_{kij}$.",
    source=notes("Remark 3.25"),
    kind="formula",
    root="cam_factor_z",
    literature="Selvaraju et al. 2019, section 3.1",
    reads=weights_experiment,
    criterion=Identity("gradient", "weight", operations=200, dtype="float32", each=("side",)),
    correction=Correction(
        r"The weight is the sum of the gradient over positions, z times its average for z positions.", reduction="sum"
    ),
)
def cam_weight_is_average(observations, *, reduction="average"):
    """Compares weight and average, for several sides of the maps.

    Each of the z gradients is W_ck / z, so that their average is too; it is the weight only for maps of one position.
    """
    return observations.assign(gradient=observations[reduction])


def localisation_experiment(
    seeds,
    *,
    training_images=1000,
    steps=400,
    batch_size=32,
    tested=200,
    widths=(16, 16),
    rates=(0.003, 0.01),
    data="digits",
):
    """Trains networks with three heads on images in random quadrants, and asks where two objects of one canvas are.

    Two padded 3x3 convolutions, the first of stride 2, and a linear layer on means, maxima or all values of the
    last maps; Adam, each head at the learning rate of the lowest training loss. Test canvases hold two images of
    different classes in different quadrants. For each of both classes the class activation map (weights of the last
    layer) and the Grad-CAM (average gradients, by Keras) are made; a map hits if its largest value lies in the quadrant
    of the class, and its overlap is that of the region over a fifth of its maximum with the quadrant (intersection over
    union), as Zhou et al. 2016 measure boxes. A dense head has no class activation map.
    """
    source = load_data(data).subset(training_images, 0)
    examples = _in_quadrants(source)
    canvases, classes, quadrants = _two_on_one(source, tested)
    rows, trials = [], []
    for head in ("average", "maximum", "dense"):
        arm = classifier(
            convolutional_network,
            examples,
            steps=steps,
            batch_size=batch_size,
            optimizer="adam",
            widths=widths,
            strides=(2, 1),
            head=head,
        )
        tuning = tune(arm, {"learning_rate": list(rates)}, len(rates))
        trials += tuning.table(head=head)
        training = arm(seeds=list(seeds), **tuning.best)
        explain = backend.compile_function(partial(_maps_and_gradients, training.model(0)))
        errors = 1 - training.final["test_accuracy"]
        for seed, error, weights in zip(training.replicas["seed"], errors, training.weights, strict=True):
            values = [keras.ops.convert_to_tensor(value) for value in weights]
            maps, gradients = map(keras.ops.convert_to_numpy, explain(values, canvases, classes))
            average = gradients.mean(axis=(1, 2))
            grad_cam = np.maximum(np.einsum("nk,nijk->nij", average, maps), 0)
            row = {"seed": seed, "head": head, "test_error": error, "grad_cam_hits": _hits(grad_cam, quadrants)}
            if head != "dense":
                of_class = weights[-2][:, classes].T
                activation_map = np.einsum("nk,nijk->nij", of_class, maps)
                row |= {"cam_hits": _hits(activation_map, quadrants), "overlap": _overlap(activation_map, quadrants)}
                row |= _fit(average, of_class, maps.shape[1] * maps.shape[2])
            rows.append(row)
    observations = pd.DataFrame(rows)
    observations.attrs["tuning"] = trials
    return observations


@claim(
    r"Grad-CAM, $\mathrm{ReLU}(\sum_k W'_{ck} A_k)$ with $W'_{ck} = \frac{1}{z} \sum_{ij} \partial y_c / \partial "
    r"A_{kij}$, needs no layer of global average pooling, and on a network that has one its weights are those of the "
    "class activation map.",
    source=(notes("Definition 3.34"), notes("Remark 3.24"), notes("Remark 3.25")),
    kind="formula",
    root="cam_factor_z",
    literature="Selvaraju et al. 2019, section 3.1",
    reads=localisation_experiment,
    criterion=AllOf(
        weights=Identity(
            "scale_of_weights", "stated_scale", operations=100, dtype="float32", where={"part": "weights"}
        ),
        proportional=Identity("misfit", "zero", dtype="float32", atol=1e-5, where={"part": "weights"}),
        localisation=Greater(
            "hits",
            of="Grad-CAM",
            than="chance",
            by="pointed_by",
            smallest_difference=0.25,
            because="of two objects chance points at the right one half of the time; clearly better is halfway from "
            "there to always",
            where={"part": "localisation"},
            each=("head",),
        ),
    ),
    smoke=SMOKE,
    full=FULL,
    correction=Correction(
        r"On a network with global average pooling the weights of Grad-CAM are those of the class activation map "
        r"divided by the number of positions z: the maps are proportional, up to the ReLU. Without one it points at "
        "objects where the head treats all positions alike, such as max pooling; with a dense head the average "
        "over positions mixes what it says of each, and it does not.",
        divided=True,
        without=("maximum",),
    ),
    seeds=10,
)
def gradcam_generalises_cam(observations, *, divided=False, without=("maximum", "dense")):
    """Compares the weights of both maps by their least-squares ratio, and asks where Grad-CAM points without pooling.

    The mistake is the factor: each of the z gradients is W_ck / z, and so is their average. A map of chance would hit
    the right one of two objects half of the time.
    """
    weights = observations[observations["head"] == "average"].assign(part="weights")
    located = observations[observations["head"].isin(without)].assign(part="localisation")
    by_map = located.assign(pointed_by="Grad-CAM", hits=located["grad_cam_hits"])
    table = pd.concat([weights, by_map, located.assign(pointed_by="chance", hits=0.5)], ignore_index=True)
    stated = 1 / table["positions"] if divided else 1.0
    return table.assign(scale_of_weights=table["ratio"], stated_scale=stated, zero=0.0)


@claim(
    "Global average pooling is more suitable for class activation maps than global max pooling.",
    source=notes("Remark 3.23"),
    kind="tendency",
    literature="Zhou et al. 2016, section 2",
    reads=localisation_experiment,
    criterion=Greater(
        "overlap",
        of="average",
        than="maximum",
        by="head",
        smallest_difference=0.05,
        because="a twentieth of the overlap shifts every side of the region by a fortieth of its length",
    ),
    smoke=SMOKE,
    full=FULL,
    control={"average": "maximum"},
    seeds=10,
)
def cam_gap_over_gmp(observations, *, average="average"):
    """Compares how well the maps of both heads cover the object of a class, paired by seed.

    Max pooling lets one discriminative part of an object do, average pooling needs all of it, say Zhou et al. The head
    of averages classifies worse here, after as many steps, so that the comparison is not one at equal accuracy, and the
    overlap rewards what is spread out: a map that is the same everywhere has an overlap of a quarter. In the control
    max pooling takes the place of average pooling.
    """
    return relabelled(observations, {"average": average, "maximum": "maximum"})


def _in_quadrants(images):
    """Put every image into one quadrant of a dark canvas of twice its size."""
    generator = np.random.default_rng(0)

    def canvas(x):
        return placed(x, _corners(generator.integers(4, size=len(x)), x.shape[1]), 2 * x.shape[1])

    return replace(images, x_train=canvas(images.x_train), x_test=canvas(images.x_test))


def _two_on_one(images, count):
    """Put two test images of different classes on each canvas.

    Returns:
        Every canvas twice, once for each of its classes, [2 count, ...]; these classes and their quadrants, [2 count].
    """
    generator = np.random.default_rng(1)
    first, second = (generator.integers(len(images.y_test), size=20 * count) for _ in range(2))
    different = np.flatnonzero(images.y_test[first] != images.y_test[second])[:count]
    first, second = first[different], second[different]
    side = images.x_test.shape[1]
    quadrants = np.array([generator.permutation(4)[:2] for _ in range(count)])
    canvas = sum(
        placed(images.x_test[chosen], _corners(quadrants[:, place], side), 2 * side)
        for place, chosen in enumerate((first, second))
    )
    classes = np.concatenate([images.y_test[first], images.y_test[second]])
    return np.concatenate([canvas, canvas]), classes, quadrants.T.ravel()


def _corners(quadrants, side):
    return np.column_stack([quadrants // 2, quadrants % 2]) * side


def _maps_and_gradients(model, weights, x, classes):
    """Last maps of a network, and the gradients of one class score of every example by them, of the same shape."""
    _, *convolutions, pooling, dense = model.layers
    with keras.StatelessScope(state_mapping=list(zip(model.weights, weights, strict=True))):
        maps = x
        for layer in convolutions:
            maps = layer(maps)

        def score(values):
            scores = dense(pooling(values[0]))
            return keras.ops.sum(scores * keras.ops.one_hot(classes, scores.shape[-1])), ()

        _, _, (gradient,) = backend.value_and_gradient(score, [maps])
    return maps, gradient


def _hits(maps, quadrants):
    """Share of maps, [n, side, side], whose largest value lies in the given quadrant."""
    half = maps.shape[1] // 2
    rows, columns = np.divmod(maps.reshape(len(maps), -1).argmax(axis=1), maps.shape[2])
    return float(np.mean(2 * (rows // half) + columns // half == quadrants))


def _overlap(maps, quadrants):
    """Mean intersection over union of the region above a fifth of the maximum with the given quadrant."""
    half = maps.shape[1] // 2
    inside = np.kron(np.eye(4)[quadrants].reshape(-1, 2, 2), np.ones((half, half))) > 0
    peaks = np.maximum(maps.max(axis=(1, 2), keepdims=True), np.finfo(np.float32).tiny)
    region = maps > 0.2 * peaks
    return float(np.mean((region & inside).sum(axis=(1, 2)) / (region | inside).sum(axis=(1, 2))))


def _fit(averages, weights, positions):
    """Least-squares ratio of average gradients to weights, and what of the averages it leaves, relative to them."""
    ratio = float((averages * weights).sum() / np.square(weights).sum())
    misfit = float(np.linalg.norm(averages - ratio * weights) / np.linalg.norm(averages))
    return {"ratio": ratio, "misfit": misfit, "positions": positions}
