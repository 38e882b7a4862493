r"""Wide networks in the parametrisation of the tangent kernel, many at once: kernels, training, the infinite limit.

Layer l has weights $\sigma_w \varepsilon / \sqrt{m}$ and biases $\sigma_b \beta / \sqrt{m}$ with m inputs and standard
normal $\varepsilon$, $\beta$, which are the parameters. A network is a list of pairs of both, each with the networks on
the first axis: [networks, inputs, units] and [networks, 1, units]. Networks and gradients are written out, in double
precision and without compilation; a test compares them with a network of Keras and its automatic derivatives.
"""

from __future__ import annotations

from itertools import pairwise

import numpy as np

SIGMA_B = 0.5


def sigma_w(activation):
    """Standard deviation of weights at which signals neither grow nor shrink: root two for ReLU, one for tanh.

    Raises:
        ValueError: another activation than tanh and relu.
    """
    if activation not in ("tanh", "relu"):
        raise ValueError(f"no activation {activation!r}: tanh or relu")
    return 2**0.5 if activation == "relu" else 1.0


def draw(generator, networks, sizes):
    """Draw parameters.

    Args:
        generator: Random generator of NumPy.
        networks: Number of networks.
        sizes: Numbers of inputs, of units of each hidden layer, and one output.
    """
    return [
        (generator.normal(size=(networks, before, after)), generator.normal(size=(networks, 1, after)))
        for before, after in pairwise(sizes)
    ]


def forward(parameters, x, activation, mean_field=False):
    """Outputs of networks at inputs.

    Args:
        parameters: Networks.
        x: Inputs, [s, inputs] for all networks or [networks, s, inputs].
        activation: Name of the activation.
        mean_field: Whether outputs are divided by the width, not by its root.

    Returns:
        Outputs, [networks, s], and for each layer what enters it and the slopes of the activation after it.
    """
    course, x = [], np.broadcast_to(x, (len(parameters[0][0]), *x.shape[-2:]))
    for layer, (weights, biases) in enumerate(parameters):
        scale = _scale(parameters, layer, mean_field)
        z = scale * (sigma_w(activation) * (x @ weights) + SIGMA_B * biases)
        if layer == len(parameters) - 1:
            course.append((x, np.ones_like(z)))
            return z[:, :, 0], course
        after = np.tanh(z) if activation == "tanh" else np.maximum(z, 0.0)
        course.append((x, 1 - after**2 if activation == "tanh" else (z > 0).astype(float)))
        x = after
    return x[:, :, 0], course


def slopes(parameters, course, activation, mean_field=False):
    """Derivatives of the output with respect to what leaves the linear part of each layer, [networks, s, units]."""
    found = [course[-1][1]]
    for layer in range(len(parameters) - 1, 0, -1):
        factor = _scale(parameters, layer, mean_field) * sigma_w(activation)
        back = factor * (found[0] @ parameters[layer][0].transpose(0, 2, 1))
        found.insert(0, back * course[layer - 1][1])
    return found


def gradient(parameters, x, activation, weights, mean_field=False):
    """Gradient of a weighted sum of the outputs of each network, in the form of the parameters.

    Args:
        parameters: Networks.
        x: Inputs, [s, inputs] or [networks, s, inputs].
        activation: Name of the activation.
        weights: Function that maps outputs to the weights of the sum, both [networks, s].
        mean_field: Whether outputs are divided by the width, not by its root.
    """
    outputs, course = forward(parameters, x, activation, mean_field)
    weighted, found = weights(outputs)[:, :, None], []
    for layer, slope in enumerate(slopes(parameters, course, activation, mean_field)):
        scale, each = _scale(parameters, layer, mean_field), slope * weighted
        of_weights = sigma_w(activation) * (course[layer][0].transpose(0, 2, 1) @ each)
        found.append((scale * of_weights, scale * SIGMA_B * each.sum(axis=1, keepdims=True)))
    return found


def move(parameters, step, direction):
    """Parameters plus a step, a number or one for each network [networks, 1, 1], along a direction."""
    return [
        tuple(value + step * part for value, part in zip(layer, along, strict=True))
        for layer, along in zip(parameters, direction, strict=True)
    ]


def tangent_kernels(parameters, x, activation, mean_field=False, of_weights=False):
    """Products of gradients with respect to all parameters, between inputs, layer by layer.

    Args:
        parameters: Networks.
        x: Inputs, [s, inputs].
        activation: Name of the activation.
        mean_field: Whether outputs are divided by the width, not by its root.
        of_weights: Whether gradients are those with respect to weights w and biases b, not epsilon and beta.

    Returns:
        Outputs, [networks, s], and kernels, [networks, s, s].
    """
    outputs, course = forward(parameters, x, activation, mean_field)
    total = 0.0
    for layer, slope in enumerate(slopes(parameters, course, activation, mean_field)):
        before, scale = course[layer][0], _scale(parameters, layer, mean_field)
        of_weight, of_bias = (1.0, 1.0) if of_weights else (scale * sigma_w(activation), scale * SIGMA_B)
        products = of_weight**2 * (before @ before.transpose(0, 2, 1)) + of_bias**2
        total = total + products * (slope @ slope.transpose(0, 2, 1))
    return outputs, total


def train(parameters, x, y, activation, *, rates, target, steps, mean_field=False):
    """Descend on half the squared error of each network, at its own rate, until it is no more than a target.

    Args:
        parameters: Networks.
        x: Inputs, [s, inputs].
        y: Targets, [networks, s].
        activation: Name of the activation.
        rates: Learning rates, [networks].
        target: Half squared error at which a network rests.
        steps: Number of steps at most.
        mean_field: Whether outputs are divided by the width, not by its root.

    Returns:
        Networks, and their half squared errors at the last step that counted.
    """
    errors = np.full(len(y), np.inf)

    def weights(outputs):
        errors[:] = ((outputs - y) ** 2).sum(axis=1) / 2
        return outputs - y

    for _ in range(steps):
        along = gradient(parameters, x, activation, weights, mean_field)
        if (errors <= target).all():
            break
        parameters = move(parameters, -np.where(errors > target, rates, 0.0)[:, None, None], along)
    return parameters, errors


def tilted(generator, inputs):
    """Inputs of length root of their number, orthogonal up to a tilt, [inputs, inputs]."""
    x = np.linalg.qr(generator.normal(size=(inputs, inputs)))[0] + 0.2 * generator.normal(size=(inputs, inputs))
    return inputs**0.5 * x / np.linalg.norm(x, axis=1, keepdims=True)


def infinite_kernels(x, activation, hidden):
    r"""Kernels of networks of infinite width, between inputs.

    The recursion of Jacot et al. 2018, theorem 1: with $\Sigma$ the moments of what enters the units of a layer, and
    $\dot\Sigma$ those of the derivatives of the activation, $\Theta \leftarrow \Theta \dot\Sigma + \Sigma$. Biases of
    deviation $\sigma_b / \sqrt{m}$ count in the first layer alone.

    Args:
        x: Inputs, [s, inputs].
        activation: Name of the activation.
        hidden: Number of hidden layers.

    Returns:
        Moments of the output at the start, and its tangent kernel, both [s, s].
    """
    variance = sigma_w(activation) ** 2
    moments = (variance * x @ x.T + SIGMA_B**2) / x.shape[1]
    tangent = moments
    for _ in range(hidden):
        of_values, of_slopes = _expectations(activation, moments)
        moments = variance * of_values
        tangent = variance * of_slopes * tangent + moments
    return moments, tangent


def _scale(parameters, layer, mean_field):
    width = float(parameters[layer][0].shape[1])
    return 1 / width if mean_field and layer == len(parameters) - 1 else width**-0.5


def _expectations(activation, moments):
    """Expected products of activations, and of their derivatives, of jointly normal numbers.

    For ReLU the closed forms of Cho and Saul 2009, for tanh Gauss-Hermite quadrature with 60 x 60 nodes.
    """
    deviation = np.sqrt(np.diag(moments))
    correlation = np.clip(moments / np.outer(deviation, deviation), -1, 1)
    if activation == "relu":
        angle = np.arccos(correlation)
        values = np.outer(deviation, deviation) * (np.sin(angle) + (np.pi - angle) * correlation) / (2 * np.pi)
        return values, (np.pi - angle) / (2 * np.pi)
    nodes, weights = np.polynomial.hermite_e.hermegauss(60)
    weights = weights / np.sqrt(2 * np.pi)
    left = np.broadcast_to(nodes[:, None], (60, 60)) * deviation[:, None, None, None]
    mixed = correlation[..., None, None] * nodes[:, None] + np.sqrt(1 - correlation**2)[..., None, None] * nodes
    right = mixed * deviation[None, :, None, None]
    return tuple(
        np.einsum("a,b,ijab->ij", weights, weights, function(left) * function(right))
        for function in (np.tanh, lambda z: 1 - np.tanh(z) ** 2)
    )
