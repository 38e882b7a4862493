"""Class activation maps: their weights as gradients, and where they point."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Correction, Greater, Identity, PositiveControl, Reported, Rival, claim, notes
from repro.claims.architectures._canvas import placed
from repro.claims.architectures.heads import convolutional_network, relabelled
from repro.engine import backend, classifier, constant_map, load_data, shuffled_map, tune

with epy.lazy_imports():
    import keras

SMOKE = {"training_images": 320, "steps": 240, "rates": (0.01,), "tested": 100}
FULL = {"data": "mnist", "training_images": 10_000, "steps": 3000, "widths": (64, 64)}
PLACES_STREAM = 4  # of random numbers of a seed


def weights_experiment(seed, *, sides=(2, 4, 7), channels=6, classes=4, exponent=1):
    """Differentiates the class scores of three heads by the activations of the maps before them, in Keras.

    Random maps, uniform on (0, 1), and normal weights of the classes; the score of class c is the sum over k of W_ck
    times the mean of map k, or its maximum, or a dense layer's sum over all activations. Keras takes means in single
    precision on JAX, whatever their type. A row per head, side, class and map: the weight, and the sum and the average
    of the gradient over positions. With another exponent the mean is that of powers, its root.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for side in sides:
        maps = generator.uniform(size=(classes, side, side, channels))
        weights = generator.normal(size=(classes, channels))
        of_places = generator.normal(size=maps.shape)
        average, maximum = (
            pooling(dtype="float64")
            for pooling in (keras.layers.GlobalAveragePooling2D, keras.layers.GlobalMaxPooling2D)
        )
        heads = {
            "average": lambda maps, pool=average, w=weights: w * pool(maps**exponent) ** (1 / exponent),
            "maximum": lambda maps, pool=maximum, w=weights: w * pool(maps),
            "dense": lambda maps, w=of_places: w * maps,
        }
        averages_by_hand = {
            "average": weights / side**2,
            "maximum": weights / side**2,
            "dense": of_places.mean(axis=(1, 2)),
        }
        for head, scores in heads.items():

            def score(values, scores=scores):
                return keras.ops.sum(scores(values[0])), ()  # example c is asked for class c

            _, _, (gradient,) = backend.value_and_gradient(score, [keras.ops.convert_to_tensor(maps)])
            gradient = keras.ops.convert_to_numpy(gradient)
            columns = {
                "weight": weights.ravel(),
                "sum": gradient.sum(axis=(1, 2)).ravel(),
                "average": gradient.mean(axis=(1, 2)).ravel(),
                "average_by_hand": averages_by_hand[head].ravel(),
            }
            maps_of = {
                "cam": np.einsum("ck,cijk->cij", weights, maps),
                "grad_cam": np.maximum(np.einsum("ck,cijk->cij", gradient.mean(axis=(1, 2)), maps), 0),
            }
            of_map = {name: values.ravel() for name, values in maps_of.items()}
            where = {"head": head, "side": side}
            tables += [
                pd.DataFrame({**where, "of": "weights", **columns}),
                pd.DataFrame({**where, "of": "maps", **of_map}),
            ]
    return pd.concat(tables, ignore_index=True)


POOLED = {"head": "average", "of": "weights"}


@claim(
    r"In the class activation map $\sum_k W_{ck} A_k$ of a network with global average pooling the weight is in theory "
    r"the sum of the score's gradient over positions: $W_{ck} = \sum_{ij} \partial y_c / \partial A_{kij}$.",
    source=(notes("Definition 3.33"), notes("Remark 3.25")),
    kind="formula",
    scope="global average pooling and one linear layer, scores before the softmax",
    root="cam_factor_z",
    literature="Zhou et al. 2016; Selvaraju et al. 2019",
    reads=weights_experiment,
    criterion=Identity("sum", "weight", operations=200, dtype="float32", where=POOLED),
    rival=Rival(
        "The weight is z times the sum of the gradient over z positions, as the last line of the proof has it.",
        criterion=Identity("z_times_sum", "weight", operations=200, dtype="float32", where=POOLED),
    ),
    control={"exponent": 2},
)
def cam(observations):
    """Compares weight and sum, for several sides of the maps.

    From y_c = Σ W_ck (1/z) Σ A_kij each of the z gradients is W_ck / z. The last line of the notes' proof has one
    factor z too many, its conclusion has not. In the control the pooled value is a root mean square.
    """
    return observations.assign(z_times_sum=observations["sum"] * observations["side"] ** 2)


@claim(
    r"The weight $W_{ck}$ of a class activation map is nothing but the average of the gradient of $y_c$ with respect "
    r"to $A_{kij}$, as Grad-CAM argues.",
    source=notes("Remark 3.25"),
    kind="formula",
    scope="global average pooling and one linear layer; heat maps are the same up to their scale",
    root="cam_factor_z",
    literature="Selvaraju et al. 2019, section 3.1, where the factor 1/z is said to be normalised out in a heat map",
    reads=weights_experiment,
    criterion=Identity("gradient", "weight", operations=200, dtype="float32", where=POOLED),
    correction=Correction(
        r"The weight is the sum of the gradient over positions, z times its average for z positions.",
        reduction="sum",
        sides=(3, 5, 9),
    ),
)
def cam_weight_is_average(observations, *, reduction="average"):
    """Compares weight and average, for several sides of the maps.

    Each of the z gradients is W_ck / z, so that their average is too: it is the weight only for maps of one position.
    That is the derivation of the notes themselves, whose proof ends with the sum; automatic differentiation is the
    second route. Divided by their maximum both heat maps are one, for which the factor means nothing.
    """
    return observations.assign(gradient=observations[reduction])


@claim(
    r"Grad-CAM, $\mathrm{ReLU}(\sum_k W'_{ck} A_k)$ with $W'_{ck} = \frac{1}{z} \sum_{ij} \partial y_c / \partial "
    r"A_{kij}$, generalises the class activation map, which needs global average pooling, by weighting channels with "
    "averaged gradients, and does not require that layer.",
    source=(notes("Definition 3.34"), notes("Remark 3.24"), notes("Remark 3.25")),
    kind="formula",
    scope="heat maps, alike up to a positive factor; any differentiable head for Grad-CAM",
    root="cam_factor_z",
    literature="Selvaraju et al. 2019, section 3.1",
    reads=weights_experiment,
    criterion=AllOf(
        generalises=Identity(
            "grad_cam_shape", "cam_shape", operations=1000, dtype="float32", where={"head": "average", "of": "maps"}
        ),
        without_pooling=Identity(
            "average", "average_by_hand", operations=200, dtype="float32", where={"of": "weights"}
        ),
    ),
    rival=Rival(
        "Grad-CAM is the class activation map itself, its negative values included.",
        criterion=Identity(
            "grad_cam_shape", "signed_shape", operations=1000, dtype="float32", where={"head": "average", "of": "maps"}
        ),
    ),
    control={"exponent": 2},
    reported=(
        Reported(
            "56.51 %",
            measure="top-1 localisation error, Grad-CAM",
            setting="VGG-16, ImageNet",
            place="Selvaraju et al. 2017, table 1",
        ),
        Reported(
            "57.20 %",
            measure="top-1 localisation error, CAM",
            setting="VGG-16 with global average pooling, ImageNet",
            place="Selvaraju et al. 2017, table 1",
        ),
    ),
)
def gradcam_generalises_cam(observations):
    """Compares both maps of a network with global average pooling, each in units of its norm, after the ReLU.

    The one positive factor between them is z, as each of the z gradients is W_ck / z. Without that pooling the averaged
    gradients exist all the same: W_ck / z for maxima, and the mean over positions of a dense layer's weights, by hand
    against automatic differentiation. In the control the pooled value is a root mean square, for which no single weight
    stands for the gradients of a map.
    """
    maps = observations["of"] == "maps"
    of_map = [observations.loc[maps, name] for name in ("seed", "head", "side")]
    columns = {
        "grad_cam_shape": observations["grad_cam"],
        "cam_shape": observations["cam"].clip(lower=0),
        "signed_shape": observations["cam"],
    }
    shapes = {}
    for name, values in columns.items():
        squares = values[maps].pow(2).groupby(of_map).transform("sum")
        shapes[name] = values / squares.pow(0.5)
    return observations.assign(**shapes)


def localisation_experiment(
    seeds,
    *,
    training_images=600,
    steps=480,
    batch_size=32,
    tested=200,
    widths=(16, 16),
    rates=(0.003, 0.01, 0.03),
    data="digits",
):
    """Trains networks with two heads on images in random quadrants, and asks where two objects of one canvas are.

    Two padded 3x3 convolutions, the first of stride 2, and a linear layer on means or maxima of the last maps; Adam,
    each head at the rate of the lowest loss on held-out images. Every seed redraws the training images and their
    quadrants, and the test canvases, which hold two images of different classes in different quadrants. For each of
    both classes the class activation map is made from the weights of the last layer. Compared are objects that both
    heads classify rightly, alone on a canvas, so that the heads are equally accurate on them.

    A map points rightly if its largest value lies in the quadrant of the class (the pointing game of Zhang et al.
    2016). Its overlap is the intersection over union of the region above a threshold with the quadrant, averaged over
    thresholds from a tenth to nine tenths of its range. From both the value of the same map with its pixels permuted is
    taken, and the columns named constant have those of a map that is the same everywhere.
    """
    loaded = load_data(data)
    maps, trials = {}, []
    canvases = {seed: _two_on_one(loaded, tested, seed) for seed in seeds}
    for head in ("average", "maximum"):
        arm = classifier(
            convolutional_network,
            lambda seed: _in_quadrants(loaded.subset(training_images, seed), seed),
            steps=steps,
            batch_size=batch_size,
            optimizer="adam",
            widths=widths,
            strides=(2, 1),
            head=head,
        )
        tuning = tune(arm, {"learning_rate": list(rates)}, len(rates), objective="validation_loss", widen=2)
        trials += tuning.table(head=head)
        training = arm(seeds=list(seeds), **tuning.best)
        explain = backend.compile_function(partial(_maps_and_scores, training.model(0)))
        for seed, weights in zip(training.replicas["seed"], training.weights, strict=True):
            values = [keras.ops.convert_to_tensor(value) for value in weights]
            both, alone, classes, _ = canvases[seed]
            activations, _ = map(keras.ops.convert_to_numpy, explain(values, both))
            _, scores = map(keras.ops.convert_to_numpy, explain(values, alone))
            activation_map = np.einsum("nk,nijk->nij", weights[-2][:, classes].T, activations)
            maps[seed, head] = activation_map, scores.argmax(axis=1) == classes
    rows = []
    for seed in seeds:
        known = maps[seed, "average"][1] & maps[seed, "maximum"][1]
        quadrants = canvases[seed][3][known]
        for head in ("average", "maximum"):
            of_head, right = maps[seed, head]
            chosen = of_head[known]
            found = pointing_and_overlap(chosen, quadrants)
            shuffled = pointing_and_overlap(shuffled_map(chosen, seed), quadrants)
            constant = pointing_and_overlap(constant_map(chosen.shape), quadrants)
            names = ("pointing_accuracy", "overlap")
            row = {"seed": seed, "head": head, "test_error": 1 - right.mean(), "objects": len(chosen)}
            row |= {name: value - chance for name, value, chance in zip(names, found, shuffled, strict=True)}
            row |= {f"shuffled_{name}": chance for name, chance in zip(names, shuffled, strict=True)}
            row |= {f"constant_{name}": value for name, value in zip(names, constant, strict=True)}
            rows.append(row)
    observations = pd.DataFrame(rows)
    observations.attrs["tuning"] = trials
    return observations


@claim(
    "Global average pooling is more suitable for class activation maps than global max pooling.",
    source=notes("Remark 3.23"),
    kind="tendency",
    scope="maps of classifiers with either head; the size of the object is left open",
    literature="Zhou et al. 2016, section 2",
    reads=localisation_experiment,
    criterion=AllOf(
        pointing=Greater("pointing_accuracy", of="average", than="maximum", by="head"),
        overlap=Greater("overlap", of="average", than="maximum", by="head", smallest_difference=0.01),
    ),
    smoke=SMOKE,
    full=FULL,
    control={"average": "shuffled"},
    positive_control=PositiveControl(
        "The maps of global max pooling beat themselves with permuted pixels.", average="maximum", maximum="shuffled"
    ),
    reported=(
        Reported(
            "56.40 %",
            measure="top-1 localisation error",
            setting="GoogLeNet with global average pooling, ImageNet",
            place="Zhou et al. 2016, table 2",
        ),
        Reported(
            "57.78 %",
            measure="top-1 localisation error",
            setting="GoogLeNet with global max pooling, ImageNet",
            place="Zhou et al. 2016, table 2",
        ),
    ),
)
def cam_gap_over_gmp(observations, *, average="average", maximum="maximum"):
    """Compares where the maps of both heads point and what they cover, beyond maps with permuted pixels.

    Paired by seed, at the end of training. In the control the pixels of the maps of average pooling are permuted, which
    leaves their values and takes their places.
    """
    shuffled = observations[observations["head"] == "maximum"].assign(
        head="shuffled", pointing_accuracy=0.0, overlap=0.0
    )
    return relabelled(pd.concat([observations, shuffled]), {"average": average, "maximum": maximum})


def _in_quadrants(images, seed):
    """Put every image into one quadrant of a dark canvas of twice its size."""
    generator = np.random.default_rng((seed, PLACES_STREAM))

    def canvas(x):
        return placed(x, _corners(generator.integers(4, size=len(x)), x.shape[1]), 2 * x.shape[1])

    return replace(images, x_train=canvas(images.x_train), x_test=canvas(images.x_test))


def _two_on_one(images, count, seed):
    """Put two test images of different classes on each canvas.

    Returns:
        Every canvas twice, once for each of its classes, and canvases with the image of that class alone, both
        [2 count, ...]; these classes and their quadrants, [2 count].
    """
    generator = np.random.default_rng((seed, PLACES_STREAM, 1))
    first, second = (generator.integers(len(images.y_test), size=20 * count) for _ in range(2))
    different = np.flatnonzero(images.y_test[first] != images.y_test[second])[:count]
    first, second = first[different], second[different]
    side = images.x_test.shape[1]
    quadrants = np.array([generator.permutation(4)[:2] for _ in range(count)])
    alone = [
        placed(images.x_test[chosen], _corners(quadrants[:, place], side), 2 * side)
        for place, chosen in enumerate((first, second))
    ]
    both = np.concatenate([sum(alone), sum(alone)])
    classes = np.concatenate([images.y_test[first], images.y_test[second]])
    return both, np.concatenate(alone), classes, quadrants.T.ravel()


def _corners(quadrants, side):
    return np.column_stack([quadrants // 2, quadrants % 2]) * side


def _maps_and_scores(model, weights, x):
    """Last maps of a network, and the scores of the classes."""
    _, *convolutions, pooling, dense = model.layers
    with keras.StatelessScope(state_mapping=list(zip(model.weights, weights, strict=True))):
        maps = x
        for layer in convolutions:
            maps = layer(maps)
        return maps, dense(pooling(maps))


def pointing_and_overlap(maps, quadrants):
    """Share of maps, [n, side, side], that point into the given quadrant, and their mean overlap over thresholds."""
    half = maps.shape[1] // 2
    rows, columns = np.divmod(maps.reshape(len(maps), -1).argmax(axis=1), maps.shape[2])
    pointing = np.mean(2 * (rows // half) + columns // half == quadrants)
    inside = np.kron(np.eye(4)[quadrants].reshape(-1, 2, 2), np.ones((half, half))) > 0
    low, high = maps.min(axis=(1, 2), keepdims=True), maps.max(axis=(1, 2), keepdims=True)
    overlaps = []
    for threshold in np.linspace(0.1, 0.9, 9):
        region = maps >= low + threshold * (high - low)
        overlaps.append(((region & inside).sum(axis=(1, 2)) / (region | inside).sum(axis=(1, 2))).mean())
    return float(pointing), float(np.mean(overlaps))
