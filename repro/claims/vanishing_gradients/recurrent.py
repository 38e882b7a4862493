"""Gradients on their way back through the steps of a recurrent network, and the layers of a feed-forward one."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Falls, Greater, claim, lectures

with epy.lazy_imports():
    import keras


@claim(
    "The vanishing-gradient problem is particularly evident in recurrent networks, but it also affects deep "
    "feed-forward ones.",
    source=lectures("2.2.3"),
    kind="tendency",
    scope="saturating activations, long sequences against usual depths; the size of the inputs is left open",
    left_open=("inputs",),
    literature="Bengio, Simard and Frasconi 1994; Pascanu et al. 2013; Chen, Pennington and Schoenholz 2018",
    criterion=AllOf(
        recurrent=Greater(
            "loss",
            of="recurrent",
            than="feed-forward",
            by="network",
            each=("inputs",),
            where={"quantity": "loss"},
        ),
        feed_forward=Falls("gradient", along="back", each=("inputs",), where={"quantity": "gradient"}),
    ),
    smoke={"networks": 16},
    full={"length": 300, "width": 256, "networks": 256},
    control={"length": 10, "networks": 150},
    seeds=48,
)
def recurrent_worse(seed, *, length=100, depth=10, drives=(0.1, 1.0), width=64, networks=64, examples=8):
    r"""Compares how much of a gradient is lost along 100 steps of a recurrent network and along ten layers.

    Untrained tanh networks of 64 units, normal weights of variance 1/n, the same for all steps or new in each layer. A
    recurrent network has a normal input of variance 0.1 or 1 for each unit at every step, a feed-forward one such
    biases, so that what enters the units has the same variance in both; both start from a normal signal of variance 1.
    The loss of gradient is the norm of the gradient with respect to what enters the units at the last step, or layer,
    over that at the first: root mean squares over 64 networks and eight inputs, a random direction at the end; it is
    one measure for both. Expected, by mean-field theory (Chen, Pennington and Schoenholz 2018), the second route: the
    loss per step is the same, however the weights are tied, so that recurrent networks lose more because sequences are
    longer than others are deep. The control has sequences of ten steps, and more networks, as it takes more of them to
    see no difference.
    """
    rows = []
    for drive in drives:
        options = {"drive": drive, "width": width, "networks": networks, "examples": examples}
        layers = gradient_norms(seed, steps=depth, tied=False, **options)
        place = {"inputs": drive, "quantity": "gradient"}
        rows += [{**place, "back": back, "gradient": gradient} for back, gradient in enumerate(layers)]
        steps = gradient_norms(seed, steps=length, tied=True, **options)
        place = {"inputs": drive, "quantity": "loss"}
        for network, norms in (("recurrent", steps), ("feed-forward", layers)):
            rows.append({**place, "network": network, "loss": norms[0] / norms[-1]})
    return pd.DataFrame(rows)


def gradient_norms(seed, *, steps, tied, drive, width, networks, examples):
    """Root mean squares of the gradient with respect to what enters the units, from the last step back to the first.

    Args:
        seed: Seed of weights, inputs and direction.
        steps: Number of steps, or layers.
        tied: Whether the weights are the same at every step.
        drive: Variance of what is added to what enters a unit: inputs where the weights are tied, biases else.
        width: Number of units.
        networks: Number of networks that are averaged.
        examples: Number of inputs of each network.
    """
    generator = np.random.default_rng((seed, steps, tied))

    def normal(*shape):
        return generator.standard_normal(shape, dtype=np.float32)

    def draw():
        return keras.ops.convert_to_tensor(normal(networks, width, width) / width**0.5)

    kernels = [draw()] * steps if tied else [draw() for _ in range(steps)]
    signal = keras.ops.convert_to_tensor(normal(networks, examples, width))
    slopes = []
    for kernel in kernels:
        added = normal(networks, examples, width) if tied else normal(networks, 1, width)
        signal = keras.ops.tanh(keras.ops.matmul(signal, kernel) + drive**0.5 * added)
        slopes.append(1 - signal**2)
    passed = keras.ops.convert_to_tensor(normal(networks, examples, width)) * slopes[-1]
    norms = [_root_mean_square(passed)]
    for kernel, slope in zip(kernels[:0:-1], slopes[-2::-1], strict=True):
        # What is left after a hundred steps is less than single precision holds, so that each step is scaled by itself.
        gradient = passed / _root_mean_square(passed)
        passed = keras.ops.matmul(gradient, keras.ops.transpose(kernel, (0, 2, 1))) * slope
        norms.append(norms[-1] * _root_mean_square(passed))
    return norms


def _root_mean_square(values):
    return float(keras.ops.mean(keras.ops.square(values))) ** 0.5
