"""Gradients on their way back through blocks with identity shortcuts, and without."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import Boundary, Correction, ExponentialDecay, Greater, claim, lectures
from repro.claims.vanishing_gradients._networks import drawn_images

with epy.lazy_imports():
    import keras

HE = 2.0  # variance of the weights, times the number of inputs


@claim(
    "Identity shortcuts let gradients flow more freely through a deep network and help to mitigate their vanishing.",
    source=lectures("3.5.5"),
    kind="tendency",
    scope="deep residual networks; normalisation and scale of the weights are left open; their training is "
    "architectures.resnet_trains_deep",
    left_open=("normalisation", "scale"),
    literature="He et al. 2016: test error on CIFAR-10 of 110 layers 6.43 % with shortcuts and over 60 % without; "
    "they doubt that their plain networks, which had batch normalisation, suffered from vanishing. Yang et al. 2019 on "
    "normalised plain networks, De and Smith 2020 on residual ones",
    criterion=Greater(
        "spread",
        of="plain",
        than="with shortcuts",
        by="network",
        each=("normalisation", "scale"),
        where={"quantity": "spread"},
    ),
    boundary=Boundary(
        "where blocks are normalised, or the variance of the weights is below 1.11 over the number of inputs: plain "
        "blocks multiply the mean square of a gradient by half of its square, u, and those with shortcuts by 1 + u",
        holds="normalisation == 'batch' or scale < 1.11",
    ),
    smoke={"scales": (0.5, 1.0, 2.0), "depth": 10, "networks": 8},
    full={"data": "mnist", "depth": 40, "width": 256},
    correction=Correction(
        "At Glorot's variance gradients neither vanish nor stay in networks with shortcuts: their mean square grows by "
        "a factor of 1 + 1/2 in each block, their norm at the rate log(1.5) / 2.",
        criterion=ExponentialDecay(
            "blocks_back",
            "gradient",
            expected=-float(np.log(1.5)) / 2,
            rivals=(0.0, -float(np.log(2)) / 2),
            where={"quantity": "gradient", "network": "with shortcuts", "scale": 1.0, "normalisation": "none"},
        ),
    ),
)
def residual_connections_help(
    seed, *, scales=(0.5, 1.0, 2.0, 4.0), depth=20, width=64, networks=32, examples=64, data="digits"
):
    r"""Compares how far gradients differ between the blocks of untrained networks with and without shortcuts.

    A block is two Dense layers of 64 units with ReLU after the first, its input added to its output or not; normal
    weights of variances from half to four over the number of inputs, Keras' default, Glorot's, being one and He's two,
    and He's with batch normalisation before each ReLU as well. The spread is the largest of the gradients at the
    outputs of the blocks over the smallest, so that vanishing and exploding both count; a gradient is the root mean
    square over networks, 64 standardised images, which are a batch and which each seed redraws, and units, and a random
    direction stands for the loss. Expected, the second route: two layers and a ReLU between them multiply the mean
    square of a gradient by $u$, half of the squared scale, so that shortcuts help where $u < 1 / (1 + u)$. A plain
    normalised block divides by the deviation of what ReLU passes of a standard normal signal, $\sqrt{(\pi - 1) /
    (2\pi)}$, and multiplies the mean square by $\pi / (\pi - 1) = 1.47$ whatever the weights; with shortcuts the
    signal grows from block to block, what a block adds counts less and less, and gradients grow as a power only.
    """
    rows = []
    for normalisation, of_scales in (("none", scales), ("batch", (HE,))):
        for scale in of_scales:
            for network in ("plain", "with shortcuts"):
                gradients = block_gradients(
                    seed,
                    scale=scale,
                    shortcut=network == "with shortcuts",
                    normalised=normalisation == "batch",
                    depth=depth,
                    width=width,
                    networks=networks,
                    images=drawn_images(data, examples)(seed).x_train,
                )
                place = {"normalisation": normalisation, "scale": scale, "network": network}
                rows.append({**place, "quantity": "spread", "spread": max(gradients) / min(gradients)})
                rows += [
                    {**place, "quantity": "gradient", "blocks_back": back, "gradient": gradient}
                    for back, gradient in enumerate(gradients)
                ]
    return pd.DataFrame(rows)


def block_gradients(seed, *, scale, shortcut, normalised, depth, width, networks, images):
    """Root mean squares of the gradient with respect to the outputs of blocks, from the last one back to the first.

    Args:
        seed: Seed of weights and direction.
        scale: Variance of the weights times the number of inputs.
        shortcut: Whether a block adds its input to its output.
        normalised: Whether what enters a ReLU is normalised over the images.
        depth: Number of blocks; a linear layer comes before them.
        width: Number of units.
        networks: Number of networks that are averaged.
        images: Inputs, [images, numbers].
    """
    ops, generator = keras.ops, np.random.default_rng(seed)

    def normal(*shape):
        return ops.convert_to_tensor(generator.standard_normal(shape, dtype=np.float32))

    def kernel(inputs):
        return normal(networks, inputs, width) * (scale / inputs) ** 0.5

    signal, blocks = ops.matmul(images, kernel(images.shape[1])), []
    for _ in range(depth):
        first, second = kernel(width), kernel(width)
        entering, deviation = ops.matmul(signal, first), 1.0
        if normalised:
            deviation = ops.std(entering, axis=1, keepdims=True)
            entering = (entering - ops.mean(entering, axis=1, keepdims=True)) / deviation
        added = ops.matmul(ops.relu(entering), second)
        signal = signal + added if shortcut else added
        blocks.append((first, second, entering, deviation))
    gradient = normal(networks, len(images), width)
    found = [_root_mean_square(gradient)]
    for first, second, entering, deviation in blocks[:0:-1]:
        passed = ops.matmul(gradient, ops.transpose(second, (0, 2, 1))) * ops.cast(entering > 0, "float32")
        if normalised:
            along = entering * ops.mean(passed * entering, axis=1, keepdims=True)
            passed = (passed - ops.mean(passed, axis=1, keepdims=True) - along) / deviation
        passed = ops.matmul(passed, ops.transpose(first, (0, 2, 1)))
        gradient = gradient + passed if shortcut else passed
        found.append(_root_mean_square(gradient))
    return found


def _root_mean_square(values):
    return float(keras.ops.mean(keras.ops.square(values))) ** 0.5
