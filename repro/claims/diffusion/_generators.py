"""Diffusion models as generators: their data, their training, and samples of them."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from functools import partial
from types import SimpleNamespace
from typing import Any, NamedTuple

import numpy as np
from etils import epy

from repro.claims.diffusion._processes import Array, schedule
from repro.claims.diffusion._trained import network_of, simulations
from repro.engine import Record, Training, ValidatedArm, load_data, mlp, train

with epy.lazy_imports():
    import keras

LEVEL_FEATURES = 12
HELD_OUT = 0.25
# The plane's clusters; the weights are unequal and the mean is not zero, as in any data.
CENTRES = np.array([[2.0, 0.5], [-1.0, 2.0], [0.5, -1.5]])
SHARES = (0.5, 0.3, 0.2)


class Points(NamedTuple):
    """Points to learn, points to compare samples with, and others that nothing is trained on, [n, dimensions] each."""

    train: Array
    test: Array
    fresh: Array
    classes: Array
    test_classes: Array
    fresh_classes: Array


def points_of(data: str, seed: int) -> Points:
    """Draw points of a seed: three clusters in the plane (``clusters``), or images of a data set, pixels from -1 to 1.

    Of images a quarter of the training set is left out as fresh ones, which the seed chooses; the test set stays.
    """
    if data == "clusters":
        generator = np.random.default_rng((seed, 2))
        part = generator.choice(3, size=3000, p=SHARES)
        x = CENTRES[part] + 0.2 * generator.normal(size=(3000, 2))
        (train, test, fresh), (of_train, of_test, of_fresh) = np.split(x, [2000, 2500]), np.split(part, [2000, 2500])
        return Points(train, test, fresh, of_train, of_test, of_fresh)
    images = load_data(data).flat()
    chosen = images.held_out(HELD_OUT, seed)
    train, test, fresh = (2 * x.astype(float) - 1 for x in (chosen.x_train, images.x_test, chosen.x_test))
    return Points(train, test, fresh, chosen.y_train, images.y_test, chosen.y_test)


def level_features(levels: int) -> Array:
    """Sines and cosines of each level, [levels, features]."""
    phase = np.pi * np.arange(1, levels + 1)[:, None] / levels * 2.0 ** np.arange(LEVEL_FEATURES // 2)
    return np.hstack([np.sin(phase), np.cos(phase)])


def weighted_squared_error(targets: Any, predictions: Any) -> Any:
    """Squared norm of the error times the weight in the last column but one of the targets, for each example."""
    return targets[:, -2] * keras.ops.sum(keras.ops.square(targets[:, :-2] - predictions), axis=-1)


def bound(targets: Any, predictions: Any) -> Any:
    """Squared norm of the error weighted as in the bound, by the last column of the targets: nats of one level."""
    return targets[:, -1] * keras.ops.sum(keras.ops.square(targets[:, :-2] - predictions), axis=-1)


def diffusion_arm(
    points: Callable[[int], Points],
    dimensions: int,
    *,
    levels: int,
    draws: int,
    widths: Sequence[int],
    prediction: str = "noise",
    weighting: str = "alike",
    trained_levels: str = "all",
    labels: Callable[[int, Points], Array] | None = None,
    classes: int = 0,
    **options: Any,
) -> ValidatedArm:
    """Prepare the training of a network that predicts the noise in noised points, or the points.

    Args:
        points: Function that draws the points of a seed.
        dimensions: of the points.
        levels: of a linear schedule.
        draws: Number of levels and noises drawn for each point.
        widths: of the hidden layers.
        prediction: ``noise`` or ``image``.
        weighting: of the squared errors over levels: ``alike``, or as in the ``bound``.
        trained_levels: ``all``, or ``last`` for the noisiest alone.
        labels: Function of seed and points that gives further inputs, [n, classes].
        classes: Number of these inputs.
        **options: of ``train``.

    Returns:
        An arm whose trials are measured on fresh points, and whose final training on test points.
    """

    def examples(seed: int, validated: bool) -> SimpleNamespace:
        of_seed = points(seed)
        noised = partial(
            _noised, levels=levels, prediction=prediction, weighting=weighting, trained_levels=trained_levels
        )
        generator = np.random.default_rng((seed, 3))
        more = np.zeros((len(of_seed.train), 0)) if labels is None else labels(seed, of_seed)
        x_train, y_train = noised(np.tile(of_seed.train, (draws, 1)), np.tile(more, (draws, 1)), generator)
        # As many of either, so that trials and the final training are one program.
        number = min(len(of_seed.fresh), len(of_seed.test))
        measured = (of_seed.fresh if validated else of_seed.test)[:number]
        x_test, y_test = noised(np.tile(measured, (2, 1)), np.zeros((2 * number, more.shape[1])), generator)
        return SimpleNamespace(x_train=x_train, y_train=y_train, x_test=x_test, y_test=y_test)

    def arm(validated: bool) -> partial[Training]:
        return partial(
            train,
            mlp,
            partial(examples, validated=validated),
            loss=weighted_squared_error,
            optimizer=keras.optimizers.Adam(),
            record=Record(metrics={"bound": bound}),
            inputs=dimensions + LEVEL_FEATURES + classes,
            outputs=dimensions,
            widths=tuple(widths),
            activation="swish",
            **options,
        )

    return ValidatedArm(arm(validated=False), arm(validated=True))


def _noised(original, more, generator, *, levels, prediction, weighting, trained_levels):
    """Noise points to random levels: inputs [n, inputs], and targets with the weight of the loss and of the bound."""
    chain = schedule("linear", levels)
    level = generator.integers(0 if trained_levels == "all" else levels - 1, levels, size=len(original))
    noise = generator.normal(size=original.shape)
    running = chain.running[level][:, None]
    inputs = np.hstack(
        [np.sqrt(running) * original + np.sqrt(1 - running) * noise, level_features(levels)[level], more]
    )
    # Weights of the bound with the variance beta, which is never zero (Ho et al. 2020, equation 12).
    of_bound = {
        "noise": chain.beta / (2 * chain.alpha * (1 - chain.running)),
        "image": chain.before * chain.beta / (2 * (1 - chain.running) ** 2),
    }[prediction][level]
    of_loss = of_bound if weighting == "bound" else np.ones_like(of_bound)
    targets = np.column_stack([noise if prediction == "noise" else original, of_loss, of_bound])
    return inputs.astype(np.float32), targets.astype(np.float32)


def sampled(
    training: Training,
    seeds: Sequence[int],
    levels: int,
    samples: int,
    *,
    within: tuple[float, float] = (-np.inf, np.inf),
    prediction: str = "noise",
    conditions: Array | None = None,
    scale: float = 1.0,
) -> list[Array]:
    """Sample from each replica by the reverse steps of a linear schedule, with posterior variances.

    Args:
        training: of the networks, one for each seed.
        seeds: of the noise.
        levels: of the schedule.
        samples: their number.
        within: range to which the predicted point is clipped (Ho et al. 2020 clip to that of the data).
        prediction: what the networks predict.
        conditions: further inputs, [samples, labels]; a condition of zeros is none.
        scale: of classifier-free guidance (Ho and Salimans 2022): 1 is the condition alone, 0 none.

    Returns:
        Samples of each seed, [samples, dimensions].
    """
    chain, dimensions = schedule("linear", levels), network_of(training).value.output_shape[-1]
    total = 1 - chain.running
    # The predicted point is a multiple of the noised one and a multiple of the output.
    of_noised, of_output = {
        "noise": (1 / np.sqrt(chain.running), -np.sqrt(total / chain.running)),
        "image": (np.zeros(levels), np.ones(levels)),
    }[prediction]
    per_level = (
        of_noised,
        of_output,
        np.full(levels, within[0]),
        np.full(levels, within[1]),
        np.sqrt(chain.alpha) * (1 - chain.before) / total,
        np.sqrt(chain.before) * chain.beta / total,
        np.sqrt(chain.posterior_variance),
        np.full(levels, scale),
        level_features(levels),
    )
    found = []
    for seed, simulate in zip(seeds, simulations(training, partial(reverse_step, conditions)), strict=True):
        noise = starting_noise(seed, (levels, samples, dimensions))
        found.append(simulate(noise[-1], tuple(values[::-1].copy() for values in (*per_level, noise))))
    return found


def starting_noise(seed: int, shape: tuple[int, ...]) -> Array:
    """Noise of all reverse steps of a seed, of which the last is what sampling starts from."""
    noise: Array = np.random.default_rng((seed, 1)).normal(size=shape)
    return noise


def reverse_step(conditions: Array | None, network: Any, x: Any, row: Any) -> Any:
    """Take one reverse step: predict the point, clip it, and draw from the posterior given it."""
    of_noised, of_output, lowest, highest, of_x, of_point, deviation, scale, features, noise = row
    inputs = [x, keras.ops.zeros_like(x[:, :1]) + features]
    if conditions is None:
        output = network(keras.ops.concatenate(inputs, axis=-1))
    else:
        given = keras.ops.convert_to_tensor(conditions, "float32")
        with_condition, without = (
            network(keras.ops.concatenate([*inputs, label], axis=-1)) for label in (given, keras.ops.zeros_like(given))
        )
        output = without + scale * (with_condition - without)
    point = keras.ops.minimum(keras.ops.maximum(of_noised * x + of_output * output, lowest), highest)
    return of_x * x + of_point * point + deviation * noise
