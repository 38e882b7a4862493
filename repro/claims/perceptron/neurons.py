"""Boolean functions of threshold neurons, and how Hebbian learning finds them or fails to."""

from __future__ import annotations

from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, Correction, Identity, Proportion, claim, lectures
from repro.engine import Record, mlp, train

with epy.lazy_imports():
    import keras

BITS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
OR, AND, XOR = (np.array(column) for column in ([0, 1, 1, 1], [0, 0, 0, 1], [0, 1, 1, 0]))
SIGNED_INPUTS = np.column_stack([np.ones(4), 2 * BITS - 1])
SIGNED_OR = 2 * OR - 1
EXAMPLE = lectures("1.3.3 example")


@claim(
    r"A threshold neuron with bias $-\frac{1}{2}$ and weights $1, 1$ computes OR on $\{0, 1\}^2$.",
    source=lectures("1.3.2 OR example"),
    kind="formula",
    literature="McCulloch and Pitts 1943",
    criterion=Identity("output", "target"),
    control={"bias": -1.5},
)
def or_neuron(*, bias=-0.5, weights=(1.0, 1.0)):
    """Puts the four inputs through a Keras Dense layer with these weights, which puts out 1 for sums over zero.

    At a bias of -3/2 the same weights compute AND.
    """
    return pd.DataFrame({"output": _threshold_neuron(bias, weights, BITS), "target": OR})


@claim(
    r"A threshold neuron with bias $-2$ and weights $\frac{3}{2}, 1$ computes AND on $\{0, 1\}^2$.",
    source=lectures("1.3.2 AND example"),
    kind="formula",
    literature="McCulloch and Pitts 1943",
    criterion=Identity("output", "target"),
    control={"bias": -0.5},
)
def and_neuron(*, bias=-2.0, weights=(1.5, 1.0)):
    """Puts the four inputs through a Keras Dense layer with these weights, which puts out 1 for sums over zero.

    At a bias of -1/2 the same weights compute OR.
    """
    return pd.DataFrame({"output": _threshold_neuron(bias, weights, BITS), "target": AND})


def _threshold_neuron(bias, weights, inputs):
    """Outputs of a threshold neuron made of a Keras layer, [examples]."""
    neuron = keras.layers.Dense(1, activation=lambda sums: keras.ops.where(sums > 0, 1.0, 0.0))
    neuron.build(inputs.shape)
    neuron.set_weights([np.reshape(weights, (-1, 1)), np.array([bias])])
    return keras.ops.convert_to_numpy(neuron(inputs.astype(np.float32)))[:, 0]


@claim(
    r"Hebbian learning of OR on $\{-1, 1\}^2$ from zero weights with $\eta = \frac{1}{2}$ passes through "
    r"$(-\frac{1}{2}, \frac{1}{2}, \frac{1}{2})$, $(0, 0, 1)$ and $(\frac{1}{2}, \frac{1}{2}, \frac{1}{2})$ in its "
    r"first epoch.",
    source=EXAMPLE,
    kind="formula",
    criterion=Identity("learned", "stated"),
    control={"order": (3, 2, 1, 0)},
)
def hebbian_or_first_epoch(*, order=(0, 1, 2, 3)):
    """Traces the rule: on a mistake the weights, bias first, get half the target times the input added.

    The rows come in the order of the table in the document; all weights after each of the four are compared, those
    after the last, which is right, with those before. A weighted sum of zero is a mistake. The control presents the
    rows in reverse.
    """
    trace, _ = _hebbian_epoch(np.zeros(3), order)
    stated = [(-0.5, 0.5, 0.5), (0, 0, 1), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)]
    return pd.DataFrame({"learned": trace.ravel(), "stated": np.ravel(stated)})


@claim(
    r"Continued for several epochs until all records are right, that run ends at the weights $(-\frac{1}{2}, 1, 1)$.",
    source=EXAMPLE,
    kind="formula",
    criterion=AllOf(
        weights=Identity("learned", "stated", where={"quantity": "weights"}),
        table=Identity("learned", "stated", where={"quantity": "truth table"}),
    ),
    correction=Correction(
        r"That run ends at $(\frac{1}{2}, \frac{1}{2}, \frac{1}{2})$, which it reaches in the first epoch: all records "
        r"are right then. $(-\frac{1}{2}, 1, 1)$ is wrong for two of them.",
        stated=(0.5, 0.5, 0.5),
    ),
)
def hebbian_or_final(*, stated=(-0.5, 1.0, 1.0)):
    """Continues the run until an epoch makes no mistake, and puts the table through a neuron with the stated weights.

    The document's weights give -1/2 for two of the records whose output should be 1; worked by hand, its own
    first epoch ends at weights that are right for all four, so that no further epoch changes them.
    """
    weights, mistakes = np.zeros(3), 1
    while mistakes:
        trace, mistakes = _hebbian_epoch(weights, range(4))
        weights = trace[-1]
    outputs = np.sign(SIGNED_INPUTS @ np.array(stated))
    return pd.DataFrame(
        {
            "quantity": ["weights"] * 3 + ["truth table"] * 4,
            "learned": [*weights, *outputs],
            "stated": [*stated, *SIGNED_OR],
        }
    )


def _hebbian_epoch(weights, order, rate=0.5):
    """Weights after each row of the table of OR, [4, 3], and the number of mistakes."""
    trace, mistakes = [], 0
    for x, target in zip(SIGNED_INPUTS[list(order)], SIGNED_OR[list(order)], strict=True):
        if np.sign(x @ weights) != target:
            weights = weights + rate * target * x
            mistakes += 1
        trace.append(weights)
    return np.array(trace), mistakes


MOST = "a learner that solves a problem does so more often than not, from whatever weights it starts"


@claim(
    "A perceptron fails on data without a linear boundary, such as XOR; a non-linear boundary (a multi-layer "
    "perceptron) or another representation of the input solves it.",
    source=lectures("1.3.3"),
    kind="theorem",
    literature="Minsky and Papert 1969",
    criterion=AllOf(
        perceptron=AtLeast("mistakes", bound=1.0, where={"learner": "perceptron"}),
        multilayer=Proportion("solved", at_least=0.5, because=MOST, where={"learner": "multi-layer perceptron"}),
        representation=Proportion("solved", at_least=0.5, because=MOST, where={"learner": "perceptron with product"}),
    ),
    full={"units": 32},
    control={"activation": "linear"},
)
def xor(seeds, *, activation="tanh", units=8, steps=300, epochs=100):
    """Counts the mistakes on the four records of XOR, of perceptrons the fewest at any time of a training.

    A perceptron learns with Hebbian updates from normal weights in a random order; once more with the product of both
    inputs as a third. The multi-layer perceptron is a Keras network with one hidden layer, trained with all four
    records by Adam; its mistakes are those at the end. With linear units it is a perceptron.
    """
    signed, targets = SIGNED_INPUTS[:, 1:], 2 * XOR - 1
    product = np.column_stack([signed, signed.prod(axis=1)])
    mistakes = {
        "perceptron": [_fewest_mistakes(signed, targets, seed, epochs) for seed in seeds],
        "perceptron with product": [_fewest_mistakes(product, targets, seed, epochs) for seed in seeds],
        "multi-layer perceptron": _network_mistakes(signed, XOR, seeds, activation, units, steps),
    }
    observations = pd.concat(
        pd.DataFrame({"seed": list(seeds), "learner": learner, "mistakes": np.array(counts, float)})
        for learner, counts in mistakes.items()
    ).reset_index(drop=True)
    return observations.assign(solved=observations["mistakes"] == 0)


def _fewest_mistakes(x, targets, seed, epochs):
    """Fewest mistakes of any weights that Hebbian learning passes through."""
    generator = np.random.default_rng(seed)
    order = generator.permutation(len(x))
    signed = np.column_stack([np.ones(len(x)), x])[order] * targets[order, None]
    weights, fewest = generator.normal(size=signed.shape[1]), len(x)
    for _ in range(epochs):
        for point in signed:
            fewest = min(fewest, (signed @ weights <= 0).sum())
            if point @ weights <= 0:
                weights = weights + point
    return fewest


def _network_mistakes(x, targets, seeds, activation, units, steps):
    """Mistakes of trained networks, [seeds]."""
    x, y = x.astype(np.float32), targets.astype(np.float32)[:, None]
    trained = train(
        mlp,
        SimpleNamespace(x_train=x, y_train=y, x_test=x, y_test=y),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        optimizer=keras.optimizers.Adam(0.03),
        steps=steps,
        batch_size=len(x),
        seeds=list(seeds),
        record=Record(metrics={"accuracy": partial(keras.metrics.binary_accuracy, threshold=0.0)}),
        inputs=2,
        outputs=1,
        widths=(units,),
        activation=activation,
    )
    return (len(x) * (1 - trained.final["train_accuracy"])).round().tolist()
