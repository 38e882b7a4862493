"""Outputs of classifiers as posterior probabilities."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from functools import partial
from types import SimpleNamespace

import numpy as np
from etils import epy

from repro import AllOf, Boundary, Equivalent, Reported, claim, lectures
from repro.engine import Record, ValidatedArm, compare_arms, horizons, join_tables, train

with epy.lazy_imports():
    import keras
    import scipy.stats

# Means and standard deviations of the classes on the line.
PROBLEMS = {"sigmoid": ((-1.5, 1.0), (1.0, 0.6)), "softmax": ((-2.0, 1.0), (0.0, 0.7), (2.0, 1.2))}
FEW, MANY = 100, 20_000
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
    scope="classes coded 0 and 1, one-hot for the softmax; loss, capacity and amount of data are left open",
    left_open=("loss", "examples"),
    literature="Richard and Lippmann 1991: cross-entropy and squared error are least where outputs are posterior "
    "probabilities",
    criterion=AllOf(sigmoid=_close("sigmoid"), softmax=_close("softmax")),
    boundary=Boundary(
        "with many examples; a network of this size has not the freedom that would let it miss",
        holds=f"examples > {FEW}",
        named=({"examples": MANY, "loss": "cross-entropy"}, {"examples": MANY, "loss": "squared error"}),
    ),
    smoke={"rates": (0.003, 0.01, 0.03), "steps": 1000},
    full={"width": 64, "steps": 20_000, "batch_size": 1000},
    control={"losses": ("absolute error",)},
    reported=(
        Reported(
            "16.53 %",
            measure="calibration error",
            setting="ResNet-110, CIFAR-100",
            place="Guo et al. 2017, table 1",
        ),
    ),
)
def sigmoid_output_is_posterior(
    seeds,
    *,
    losses=("cross-entropy", "squared error"),
    examples=(FEW, MANY),
    width=8,
    steps=2000,
    batch_size=500,
    rates=(0.001, 0.003, 0.01, 0.03, 0.1),
    tests=2000,
):
    """Compares outputs of trained networks with posterior probabilities that are known, on fresh inputs.

    Two classes for a sigmoid and three for a softmax, normal on the line with means and deviations of their own,
    equally frequent, so that Bayes' rule gives the posterior. 20,000 examples, which each seed draws, and 100 of them
    for the first loss; one hidden layer of eight tanh units; Adam with batches of up to 500, half and all of 2000
    steps, at the rate of the least loss on a fifth of the examples, held out, on seeds of its own. The error is the
    mean distance of output and posterior: their difference for the sigmoid, half the sum of absolute differences over
    classes for the softmax. Losses are cross-entropy and squared error, both least at the posterior; the control has
    the absolute error of the same outputs, which is least at 0 or 1.
    """
    tables = []
    for output, loss, number in itertools.product(PROBLEMS, losses, examples):
        if number < max(examples) and loss != losses[0]:
            continue  # one loss shows what few examples do
        drawing = Drawing(output, loss, number, max(examples), tests)
        arms = {"network": _arm(drawing, width, steps, batch_size)}
        space = {"learning_rate": list(rates)}
        labels = {"output": output, "loss": loss, "examples": number}
        tables.append(compare_arms(arms, space, len(rates), seeds, objective="validation_loss", widen=1, **labels))
    records = join_tables(tables)
    found = horizons(records).rename(columns={"test_posterior_error": "posterior_error"})
    found.attrs = records.attrs
    return found


@dataclass(frozen=True)
class Drawing:
    """Draws examples of a seed: a number on the line, its class and the posterior probabilities of all classes.

    Few examples are repeated to fill as many rows as many of them have, so that all have one program.

    Attributes:
        output: Problem, by the output that it is for.
        loss: Loss, which stands in the targets, so that losses have one program, too.
        examples: Number of different training examples.
        rows: Number of training rows.
        tests: Number of test examples.
        is_trial: Whether a fifth of the training examples takes the place of the test examples.
    """

    output: str
    loss: str
    examples: int
    rows: int
    tests: int
    is_trial: bool = False

    def __call__(self, seed):
        """Draw the examples of a seed; targets are [n, 1 + losses + classes], the class first."""
        generator = np.random.default_rng((seed, 11))
        classes = PROBLEMS[self.output]
        number = self.examples + self.tests
        labels = generator.integers(len(classes), size=number)
        means, deviations = np.array(classes).T
        x = generator.normal(means[labels], deviations[labels])[:, None]
        chosen = np.tile([name == self.loss for name in LOSSES], (number, 1))
        y = np.column_stack([labels, chosen, posterior(x, classes)]).astype(np.float32)
        x = x.astype(np.float32)
        end = self.examples
        if not self.is_trial:
            places = np.resize(np.arange(end), self.rows)
            return SimpleNamespace(x_train=x[places], y_train=y[places], x_test=x[end:], y_test=y[end:])
        kept = end - end // 5
        held_out = np.resize(np.arange(kept, end), self.rows // 5)
        places = np.resize(np.arange(kept), self.rows - self.rows // 5)
        tests = {"x_test": x[held_out], "y_test": y[held_out], "left_out": self.tests}
        return SimpleNamespace(x_train=x[places], y_train=y[places], **tests)


def posterior(x, classes):
    """Posterior probabilities, [n, classes], of equally frequent normal classes at points [n, 1]."""
    means, deviations = np.array(classes).T
    densities = scipy.stats.norm.pdf(x, means, deviations)
    return densities / densities.sum(axis=1, keepdims=True)


def network(*, output, width):
    """Build a network of one hidden layer of tanh units whose outputs are probabilities."""
    units = 1 if output == "sigmoid" else len(PROBLEMS[output])
    layers = [keras.layers.Dense(width, activation="tanh"), keras.layers.Dense(units, activation=output)]
    return keras.Sequential([keras.Input((1,)), *layers])


def posterior_error(targets, outputs):
    """Distance of outputs and posterior probabilities."""
    known = targets[:, 1 + len(LOSSES) :]
    if outputs.shape[-1] == 1:
        return keras.ops.abs(outputs[:, 0] - known[:, 1])
    return keras.ops.sum(keras.ops.abs(outputs - known), axis=-1) / 2


def chosen_loss(targets, outputs):
    """Keras' loss of outputs for the class, by the loss that the targets choose."""
    if outputs.shape[-1] == 1:
        labels, cross_entropy = targets[:, :1], keras.losses.binary_crossentropy
    else:
        labels = keras.ops.one_hot(keras.ops.cast(targets[:, 0], "int32"), outputs.shape[-1])
        cross_entropy = keras.losses.categorical_crossentropy
    losses = (cross_entropy, keras.losses.mean_squared_error, keras.losses.mean_absolute_error)
    return sum(targets[:, 1 + place] * loss(labels, outputs) for place, loss in enumerate(losses))


def _arm(drawing, width, steps, batch_size):
    def on(drawn):
        return partial(
            train,
            network,
            drawn,
            loss=chosen_loss,
            optimizer="adam",
            steps=steps,
            batch_size=batch_size,
            record=Record(every=steps // 2, metrics={"posterior_error": posterior_error}),
            output=drawing.output,
            width=width,
        )

    return ValidatedArm(on(drawing), on(replace(drawing, is_trial=True)))
