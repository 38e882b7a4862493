"""Outputs of classifiers as posterior probabilities."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace

import numpy as np
from etils import epy

from repro import AllOf, Boundary, Equivalent, claim, lectures
from repro.engine import Record, ValidatedArm, compare_arms, horizons, join_tables, train

with epy.lazy_imports():
    import keras
    import scipy.stats

# Means and standard deviations of the classes on the line.
PROBLEMS = {"sigmoid": ((-1.5, 1.0), (1.0, 0.6)), "softmax": ((-2.0, 1.0), (0.0, 0.7), (2.0, 1.2))}
POINTS = np.linspace(-5, 5, 64)
FEW, MANY = 100, 100_000
LOSSES = ("cross-entropy", "squared error", "absolute error")


def _close(output):
    """Ask that the outputs of one kind are the posterior probabilities, to a point."""
    return Equivalent(
        "posterior_error",
        0.0,
        smallest_difference=0.01,
        each=("loss", "examples", "steps"),
        where={"output": output},
    )


@claim(
    "With classes coded 0 and 1 a sigmoid output can be interpreted as the posterior probability of a class; a softmax "
    "normalises the outputs and provides class probabilities.",
    source=lectures("2.2.1"),
    kind="possibility",
    scope="classes coded 0 and 1, one-hot for the softmax; loss and amount of data are left open, capacity is held "
    "at eight units, few for a network",
    left_open=("loss", "examples"),
    literature="Richard and Lippmann 1991: cross-entropy and squared error are least where outputs are posterior "
    "probabilities",
    criterion=AllOf(sigmoid=_close("sigmoid"), softmax=_close("softmax")),
    boundary=Boundary(
        "with many examples, of which each parameter has thousands; few leave the outputs a sampling error of several "
        "points",
        holds=f"examples > {FEW}",
        named=({"examples": FEW, "loss": "cross-entropy"}, {"examples": MANY, "loss": "cross-entropy"}),
    ),
    smoke={"steps": 1000},
    full={"width": 64, "steps": 20_000},
    control={"losses": ("absolute error",)},
)
def sigmoid_output_is_posterior(
    seeds,
    *,
    losses=("cross-entropy", "squared error"),
    examples=(FEW, MANY),
    width=8,
    steps=2000,
    rates=(0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0),
):
    """Compares outputs of trained networks with posterior probabilities that are known, over all inputs.

    Two classes for a sigmoid and three for a softmax, equally frequent, with the probabilities that normal densities of
    different means and deviations have at 64 points on the line, so that Bayes' rule gives the posterior and examples
    with one input can be counted. 100 or 100,000 examples, whose counts each seed draws; one hidden layer of eight tanh
    units; Adam on all examples at once, half and all of 2000 steps, at the rate of the least loss on a fifth of the
    examples, held out, on seeds of its own. The error is the expected distance of output and posterior: their
    difference for the sigmoid, half the sum of absolute differences over classes for the softmax. Losses are Keras'
    cross-entropy and squared error, both least at the posterior; the control has the absolute error of the same
    outputs, which is least at 0 or 1.
    """
    tables = []
    for output, loss, number in itertools.product(PROBLEMS, losses, examples):
        arm = _arm(Drawing(output, loss, number), width, steps)
        space = {"learning_rate": list(rates)}
        labels = {"output": output, "loss": loss, "examples": number}
        options = {"objective": "validation_loss", "widen": 2, **labels}
        tables.append(compare_arms({"network": arm}, space, len(rates), seeds, **options))
    records = join_tables(tables)
    found = horizons(records).rename(columns={"test_posterior_error": "posterior_error"})
    found.attrs = records.attrs
    return found


@dataclass(frozen=True)
class Drawing:
    """Draws the examples of a seed, and counts them by point and class.

    Attributes:
        output: Problem, by the output that it is for.
        loss: Loss, which stands in the targets, so that losses have one program.
        examples: Number of examples.
        is_trial: Whether a fifth of the examples is held out to test on, in place of the distribution.
    """

    output: str
    loss: str
    examples: int
    is_trial: bool = False

    def __call__(self, seed):
        """Draw the examples of a seed: all points, and targets [64, losses + 2 classes + 1], see ``split``."""
        generator = np.random.default_rng((seed, 11))
        joint = joint_probabilities(PROBLEMS[self.output])
        drawn = generator.multinomial(self.examples, joint.ravel()).reshape(joint.shape)
        tested = joint
        if self.is_trial:
            tested = generator.multivariate_hypergeometric(drawn.ravel(), self.examples // 5).reshape(joint.shape)
            drawn = drawn - tested
        x = POINTS[:, None].astype(np.float32)
        return SimpleNamespace(
            x_train=x, y_train=self._targets(drawn, joint), x_test=x, y_test=self._targets(tested, joint)
        )

    def _targets(self, counted, joint):
        """Which loss, what each class counts at each point, the posterior, and the probability of the point."""
        chosen = np.tile([name == self.loss for name in LOSSES], (len(POINTS), 1))
        counts = len(POINTS) * counted / counted.sum()
        chance = joint.sum(axis=1, keepdims=True)
        columns = np.hstack([chosen, counts, joint / chance, len(POINTS) * chance])
        return columns.astype(np.float32)


def joint_probabilities(classes):
    """Probability of every point together with every class, [64, classes]."""
    means, deviations = np.array(classes).T
    densities = scipy.stats.norm.pdf(POINTS[:, None], means, deviations)
    return densities / densities.sum(axis=0) / len(classes)


def network(*, output, width):
    """Build a network of one hidden layer of tanh units whose outputs are probabilities."""
    units = 1 if output == "sigmoid" else len(PROBLEMS[output])
    layers = [keras.layers.Dense(width, activation="tanh"), keras.layers.Dense(units, activation=output)]
    return keras.Sequential([keras.Input((1,)), *layers])


def split(targets):
    """Split targets into which loss is meant, what classes count, their posterior, and what the point counts."""
    classes = (targets.shape[1] - len(LOSSES) - 1) // 2
    first, second = len(LOSSES), len(LOSSES) + classes
    return targets[:, :first], targets[:, first:second], targets[:, second:-1], targets[:, -1]


def posterior_error(targets, outputs):
    """Distance of outputs and posterior probabilities, by what the point counts."""
    _, _, known, chance = split(targets)
    if outputs.shape[-1] == 1:
        return chance * keras.ops.abs(outputs[:, 0] - known[:, 1])
    return chance * keras.ops.sum(keras.ops.abs(outputs - known), axis=-1) / 2


def chosen_loss(targets, outputs):
    """Keras' loss that the targets choose, of the outputs for each class, by what the class counts at the point."""
    chosen, counts, _, _ = split(targets)
    is_single = outputs.shape[-1] == 1
    cross_entropy = keras.losses.binary_crossentropy if is_single else keras.losses.categorical_crossentropy
    losses = (cross_entropy, keras.losses.mean_squared_error, keras.losses.mean_absolute_error)
    total = 0.0
    for label in range(counts.shape[1]):
        coded = np.array([label]) if is_single else np.eye(counts.shape[1])[label]
        code = keras.ops.zeros_like(outputs) + coded.astype(np.float32)
        total += counts[:, label] * sum(chosen[:, place] * loss(code, outputs) for place, loss in enumerate(losses))
    return total


def _arm(drawing, width, steps):
    def on(drawn):
        return partial(
            train,
            network,
            drawn,
            loss=chosen_loss,
            optimizer="adam",
            steps=steps,
            batch_size=len(POINTS),
            record=Record(every=steps // 2, metrics={"posterior_error": posterior_error}),
            output=drawing.output,
            width=width,
        )

    return ValidatedArm(on(drawing), on(replace(drawing, is_trial=True)))
