"""Boolean functions of threshold neurons, and how Hebbian learning finds them or fails to."""

from __future__ import annotations

import itertools
from functools import partial
from types import SimpleNamespace

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, AtMost, Correction, Identity, claim, lectures
from repro.claims.perceptron._sets import separable
from repro.engine import Record, mlp, train

with epy.lazy_imports():
    import keras

BITS = np.array([[0, 0], [0, 1], [1, 0], [1, 1]])
OR, AND, XOR = (np.array(column) for column in ([0, 1, 1, 1], [0, 0, 0, 1], [0, 1, 1, 0]))
SIGNED_INPUTS = np.column_stack([np.ones(4), 2 * BITS - 1])
SIGNED_OR = 2 * OR - 1
EXAMPLE = lectures("1.3.3 example")


@claim(
    r"A neuron that gives 1 if $-\frac{1}{2} + x_1 + x_2 > 0$ and 0 otherwise computes OR on $\{0, 1\}^2$.",
    source=lectures("1.3.2 OR example"),
    kind="formula",
    scope="inputs 0 and 1, threshold at zero",
    literature="McCulloch and Pitts 1943",
    criterion=Identity("output", "target"),
    control={"bias": -1.5},
)
def or_neuron(*, bias=-0.5, weights=(1.0, 1.0)):
    """Puts the four inputs through a Keras Dense layer with these weights, which puts out 1 for sums over zero.

    A worked number: four sums decide. At a bias of -3/2, the control, the same weights compute AND.
    """
    return pd.DataFrame({"output": _threshold_neuron(bias, weights, BITS), "target": OR})


@claim(
    r"A neuron that gives 1 if $-2 + \frac{3}{2} x_1 + x_2 > 0$ and 0 otherwise computes AND on $\{0, 1\}^2$.",
    source=lectures("1.3.2 AND example"),
    kind="formula",
    scope="inputs 0 and 1, threshold at zero",
    literature="McCulloch and Pitts 1943",
    criterion=Identity("output", "target"),
    control={"bias": -0.5},
)
def and_neuron(*, bias=-2.0, weights=(1.5, 1.0)):
    """Puts the four inputs through a Keras Dense layer with these weights, which puts out 1 for sums over zero.

    A worked number: four sums decide. At a bias of -1/2, the control, the same weights compute OR.
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
    r"first epoch; the fourth row is then right.",
    source=EXAMPLE,
    kind="formula",
    scope="bias input 1, output 0 for a sum of zero, updates on wrong rows only, rows in the printed order",
    criterion=Identity("learned", "stated"),
    control={"order": (3, 2, 1, 0)},
)
def hebbian_or_first_epoch(*, order=(0, 1, 2, 3)):
    """Traces the rule: on a mistake the weights, bias first, get half the target times the input added.

    A worked number. The rows come in the order of the table in the document; all weights after each of the four are
    compared, those after the last, which is right, with those before. A weighted sum of zero is a mistake. The control
    presents the rows in reverse.
    """
    trace, _ = _hebbian_epoch(np.zeros(3), order)
    stated = [(-0.5, 0.5, 0.5), (0, 0, 1), (0.5, 0.5, 0.5), (0.5, 0.5, 0.5)]
    return pd.DataFrame({"learned": trace.ravel(), "stated": np.ravel(stated)})


@claim(
    r"That run needs further epochs; repeated until all records are right, it ends after multiple epochs at the "
    r"weights $(-\frac{1}{2}, 1, 1)$.",
    source=EXAMPLE,
    kind="formula",
    scope="the run of the first epoch, continued until every record is right",
    criterion=AllOf(
        weights=Identity("learned", "stated", where={"quantity": "weights"}),
        table=Identity("learned", "stated", where={"quantity": "truth table"}),
        epochs=AtLeast("learned", "stated", where={"quantity": "epochs with mistakes"}),
    ),
    correction=Correction(
        r"That run ends at $(\frac{1}{2}, \frac{1}{2}, \frac{1}{2})$, which it reaches in the first epoch: all records "
        r"are right then. $(-\frac{1}{2}, 1, 1)$ is wrong for two of them.",
        stated=(0.5, 0.5, 0.5),
        epochs=1,
    ),
)
def hebbian_or_final(*, stated=(-0.5, 1.0, 1.0), epochs=2):
    """Continues the run until an epoch makes no mistake, and puts the table through a neuron with the stated weights.

    A worked number. Worked by hand, the document's own first epoch ends at weights that are right for all four records
    (their sums are -1/2, 1/2, 1/2 and 3/2), so that no further epoch changes them. The document's weights give -1/2 for
    two of the records whose output should be 1; they are those of OR on inputs 0 and 1.
    """
    weights, mistakes, mistaken = np.zeros(3), 1, 0
    while mistakes:
        trace, mistakes = _hebbian_epoch(weights, range(4))
        weights, mistaken = trace[-1], mistaken + (mistakes > 0)
    outputs = np.sign(SIGNED_INPUTS @ np.array(stated))
    return pd.DataFrame(
        {
            "quantity": ["weights"] * 3 + ["truth table"] * 4 + ["epochs with mistakes"],
            "learned": [*weights, *outputs, mistaken],
            "stated": [*stated, *SIGNED_OR, epochs],
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


STARTS = 3


@claim(
    "Where the data have no linearly separable boundary the perceptron fails; alternative approaches are then needed, "
    "including non-linear boundaries, the basis of multi-layer perceptrons, or different input representations.",
    source=lectures("1.3.3"),
    kind="theorem",
    scope="a single threshold neuron on the raw inputs; XOR, which the passage does not name, is the data set that the "
    "alternatives learn, with the four records of this data set",
    literature="Minsky and Papert 1969",
    criterion=AllOf(
        hyperplanes=AtLeast("mistakes", bound=1.0, where={"learner": "best hyperplane"}),
        perceptron=AtLeast("mistakes", bound=1.0, where={"learner": "perceptron"}),
        multilayer=AtMost("mistakes", bound=0.0, where={"learner": "multi-layer perceptron"}),
        representation=AtMost("mistakes", bound=0.0, where={"learner": "perceptron with product"}),
    ),
    full={"units": 32},
    control={"activation": "linear"},
)
def xor(seeds, *, activation="tanh", units=8, steps=300, epochs=100, points=8):
    """Counts the mistakes on XOR and on random sets that no hyperplane separates.

    XOR has four records, a random set eight normal points of the plane with the first random labels that are not
    separable. The best hyperplane makes the fewest mistakes of all: the distance to the nearest of the separable
    labellings, which non-negative least squares tell. A perceptron learns with Hebbian updates from normal weights in a
    random order; the fewest mistakes at any time of its training count. On XOR it learns once more with the product of
    both inputs as a third, and a Keras network with one hidden layer is trained with all four records by Adam, from
    three starts, of which the best counts at the end of the training. With linear units, the control, it is a
    perceptron.
    """
    signed, targets = SIGNED_INPUTS[:, 1:], 2 * XOR - 1
    product = np.column_stack([signed, signed.prod(axis=1)])
    by_network = _network_mistakes(signed, XOR, seeds, activation, units, steps)
    rows = []
    for seed, of_network in zip(seeds, by_network, strict=True):
        random = _inseparable_set(np.random.default_rng((seed, 1)), points)
        for data, (x, t) in (("XOR", (signed, targets)), ("random", random)):
            rows.append({"data": data, "learner": "best hyperplane", "mistakes": _least_mistakes(x, t)})
            rows.append({"data": data, "learner": "perceptron", "mistakes": _fewest_mistakes(x, t, seed, epochs)})
        with_product = _fewest_mistakes(product, targets, seed, epochs)
        rows.append({"data": "XOR", "learner": "perceptron with product", "mistakes": with_product})
        rows.append({"data": "XOR", "learner": "multi-layer perceptron", "mistakes": of_network})
    observations = pd.DataFrame(rows).astype({"mistakes": float})
    return observations.assign(seed=np.repeat(seeds, len(rows) // len(seeds)))


def _inseparable_set(generator, points):
    """Normal points of the plane, [points, 2], with the first random labels that no line separates, [points]."""
    x = generator.normal(size=(points, 2))
    while True:
        t = generator.choice([-1, 1], size=points)
        if not separable(np.column_stack([np.ones(points), x]) * t[:, None]):
            return x, t


def _least_mistakes(x, targets):
    """Fewest mistakes of any hyperplane with a bias: the distance to the nearest separable labels."""
    biased = np.column_stack([np.ones(len(x)), x])
    labels = np.array(list(itertools.product((-1, 1), repeat=len(x))))
    distances = (labels != targets).sum(axis=1)
    nearest_first = distances.argsort(kind="stable")
    return next(distances[i] for i in nearest_first if separable(biased * labels[i][:, None]))


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
    """Mistakes of trained networks, those of the best of several starts, [seeds]."""
    x, y = x.astype(np.float32), targets.astype(np.float32)[:, None]
    trained = train(
        mlp,
        SimpleNamespace(x_train=x, y_train=y, x_test=x, y_test=y),
        loss=keras.losses.BinaryCrossentropy(from_logits=True),
        optimizer=keras.optimizers.Adam(0.03),
        steps=steps,
        batch_size=len(x),
        seeds=[STARTS * seed + start for seed in seeds for start in range(STARTS)],
        record=Record(metrics={"accuracy": partial(keras.metrics.binary_accuracy, threshold=0.0)}),
        inputs=2,
        outputs=1,
        widths=(units,),
        activation=activation,
    )
    mistakes = (len(x) * (1 - trained.final["train_accuracy"])).round()
    return mistakes.to_numpy().reshape(-1, STARTS).min(axis=1)
