"""Error surfaces of single-layer models."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AtMost, Boundary, claim, notes

with epy.lazy_imports():
    import keras

# Single neurons whose losses are examined; the squared error is the matching loss of the linear one.
NEURONS = (
    ("linear", "matching"),
    ("sigmoid", "squared error"),
    ("sigmoid", "matching"),
    ("tanh", "squared error"),
    ("tanh", "matching"),
    ("relu", "squared error"),
    ("relu", "matching"),
)
FREQUENCY = 3.0


@claim(
    "If the activation function is monotonic, the error surface of a single-layer model is guaranteed to be convex.",
    source=notes("Remark 3.62"),
    kind="theorem",
    scope="single-layer models; whether the loss is one that matches the activation or the squared error is left open",
    left_open=("activation", "loss"),
    literature="Auer, Herbster and Warmuth 1996: matching losses are convex, while the squared error of a sigmoid may "
    "have exponentially many minima",
    criterion=AtMost("excess", bound=0.0, atol=1e-5, each=("activation", "loss")),
    boundary=Boundary(
        "for the loss that matches the activation, its integral: the squared error of a linear neuron, the "
        "cross-entropy of a sigmoid",
        holds="loss == 'matching'",
        assumption="Auer, Herbster and Warmuth 1996; Helmbold, Kivinen and Warmuth 1999: a loss matches a monotonic "
        "activation if its derivative by the weighted sum is output minus target",
    ),
    full={"segments": 20_000, "examples": (1, 3, 10, 100)},
    control={"wave": 1.0},
)
def monotone_activation_convex(seed, *, examples=(1, 3, 10), inputs=2, segments=500, wave=0.0):
    r"""Looks for segments in weight space whose middle has a higher loss than the mean of its ends.

    Single neurons with Keras' activations, normal inputs, targets that a neuron of random weights and noise gives; the
    loss is the mean over 1, 3 or 10 examples. A function is convex if no middle exceeds that mean; 500 segments between
    normal weights of deviation 3 are tried, and the largest excess is kept, over one plus the largest of the three
    losses, single precision. The matching loss of an activation $\varphi$ is $\int \varphi - y a$ in the weighted sum
    $a$, whose second derivative $\varphi'$ is not negative; that of the sigmoid is Keras' cross-entropy of scores. The
    squared error of one sigmoid, with target 0, is $\sigma(a)^2$, which bends downwards for large $a$: a counterexample
    by hand. The control adds $\sin 3a$ to the activations, which are no longer monotonic.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for activation, loss in NEURONS:
        for count in examples:
            x = generator.normal(size=(count, inputs))
            teacher = keras.activations.get(activation)(x @ (3 * generator.normal(size=inputs)))
            noise = 0.3 * generator.normal(size=count)
            y = keras.ops.convert_to_numpy(teacher) + noise * (activation != "sigmoid")
            ends = 3 * generator.normal(size=(2, segments, inputs))
            first, last, middle = (_losses(activation, loss, w @ x.T, y, wave) for w in (*ends, ends.mean(axis=0)))
            size = 1 + np.abs([first, last, middle]).max(axis=0)
            excess = ((middle - (first + last) / 2) / size).max()
            rows.append({"activation": activation, "loss": loss, "examples": count, "excess": excess})
    return pd.DataFrame(rows)


def _losses(activation, loss, a, y, wave):
    """Loss, averaged over examples, of a neuron with weighted sums [segments, examples]."""
    sums, targets = a.astype(np.float32), np.broadcast_to(y, a.shape).astype(np.float32)
    output = keras.activations.get(activation)(sums) + wave * np.sin(FREQUENCY * sums)
    if loss == "squared error":
        return keras.ops.convert_to_numpy(keras.losses.mean_squared_error(targets, output)).astype(float)
    if activation == "sigmoid":
        matching = keras.losses.binary_crossentropy(targets, sums, from_logits=True)
    else:
        matching = keras.ops.mean(_integral(activation, sums) - targets * sums, axis=1)
    of_wave = -wave / FREQUENCY * np.cos(FREQUENCY * a).mean(axis=1)
    return keras.ops.convert_to_numpy(matching).astype(float) + of_wave


def _integral(activation, sums):
    """Integral of an activation from zero, up to a constant."""
    if activation == "linear":
        return sums**2 / 2
    if activation == "relu":
        return keras.ops.relu(sums) ** 2 / 2
    return sums + keras.ops.softplus(-2 * sums)  # the logarithm of the hyperbolic cosine, and log 2
