"""Regions into which the kinks of ReLU networks cut the space of their inputs."""

from __future__ import annotations

from itertools import combinations, product
from math import comb

import numpy as np
from etils import epy

with epy.lazy_imports():
    import keras


def most_regions(planes, dimension):
    """Sum of the binomial coefficients of the planes over 0 to the dimension."""
    return sum(comb(planes, number) for number in range(min(dimension, planes) + 1))


def witnesses(generator, normals, offsets):
    """Points in the regions of an arrangement of hyperplanes, [points, dimension]: in all of them, in general position.

    A region of planes whose normals span the space has a corner, where as many planes as there are dimensions meet, and
    in general position no others pass there: the points are just beside each corner, on either side of each of its
    planes. Where normals do not span the space, corners are taken within their span. Random points beside them find
    regions of planes that all meet in one point.

    Args:
        generator: Random generator.
        normals: Unit normals, [planes, dimension].
        offsets: Distances of the planes from the origin along the normals, [planes].
    """
    planes, dimension = normals.shape
    rank = np.linalg.matrix_rank(normals)
    found = [generator.normal(size=(500, dimension)) * scale for scale in (1, 10)]
    for chosen in combinations(range(planes), rank):
        some = normals[list(chosen)]
        if np.linalg.matrix_rank(some, tol=1e-9) < rank:
            continue
        inverse = np.linalg.pinv(some)
        sides = np.array(list(product((-1e-6, 1e-6), repeat=rank)))
        found.append((offsets[list(chosen)] + sides) @ inverse.T)
    return np.concatenate(found)


def linear_pieces(weights, corners):
    """Count the linear functions of which a ReLU network is made up within a polygon or an interval.

    The polygon is cut along the kinks of the units, layer by layer. Keras' network is then evaluated at the middle of
    each piece: the units that it finds active give the function there. Functions are counted once, wherever they occur,
    which never counts more regions than there are.

    Args:
        weights: Kernel, [inputs, units], and bias, [units], of each layer; all layers have ReLU.
        corners: Corners of a convex polygon in their order, [corners, 2], or ends of an interval, [2, 1].
    """
    middles = np.array([piece.mean(axis=0) for piece in _cut(weights, corners)])
    layers = [keras.layers.Dense(len(bias), activation="relu", dtype="float64") for _, bias in weights]
    x, active = keras.ops.convert_to_tensor(middles), []
    for layer, values in zip(layers, weights, strict=True):
        layer.build(x.shape)
        layer.set_weights(list(values))
        x = layer(x)
        active.append(keras.ops.convert_to_numpy(x) > 0)
    matrices = np.broadcast_to(np.eye(middles.shape[1]), (len(middles), middles.shape[1], middles.shape[1]))
    offsets = np.zeros((len(middles), middles.shape[1]))
    for (kernel, bias), on in zip(weights, active, strict=True):
        matrices = matrices @ kernel * on[:, None, :]
        offsets = (offsets @ kernel + bias) * on
    functions = np.concatenate([matrices.reshape(len(middles), -1), offsets], axis=1)
    size = np.abs(functions).max() or 1.0  # nought where all units are off everywhere
    return len(np.unique(np.round(functions / size, 9) + 0.0, axis=0))


def _cut(weights, corners):
    """Pieces of a polygon in which all units are either active or not."""
    inputs = corners.shape[1]
    pieces = [(corners, np.eye(inputs), np.zeros(inputs))]
    for kernel, bias in weights:
        following = []
        for piece, matrix, offset in pieces:
            slopes, levels = matrix @ kernel, offset @ kernel + bias
            parts = [piece]
            for slope, level in zip(slopes.T, levels, strict=True):
                parts = [part for whole in parts for part in _split(whole, whole @ slope + level)]
            for part in parts:
                on = part.mean(axis=0) @ slopes + levels > 0
                following.append((part, slopes * on, levels * on))
        pieces = following
    return [piece for piece, _, _ in pieces]


def _split(piece, values):
    """Cut a convex piece where a linear function with these values at its corners is nought."""
    tolerance = 1e-9
    if (values > -tolerance).all() or (values < tolerance).all():
        return [piece]
    if piece.shape[1] == 1:
        where = piece[0] - values[0] * (piece[1] - piece[0]) / (values[1] - values[0])
        return [np.array([piece[0], where]), np.array([where, piece[1]])]
    sides = {1: [], -1: []}
    for number, (corner, value) in enumerate(zip(piece, values, strict=True)):
        following, next_value = piece[(number + 1) % len(piece)], values[(number + 1) % len(piece)]
        for side in (1, -1):
            if side * value >= -tolerance:
                sides[side].append(corner)
        if min(value, next_value) < -tolerance and max(value, next_value) > tolerance:
            crossing = corner + value / (value - next_value) * (following - corner)
            for found in sides.values():
                found.append(crossing)
    return [np.array(found) for found in sides.values()]


def folding_network(generator, units, inputs, layers):
    """Weights of the network of Montúfar et al. 2014, section 3, that folds the unit cube onto itself layer by layer.

    Each hidden layer but the last gives every input as many units as it can and folds it to a zigzag; units that are
    left go to the first inputs. The last layer has random hyperplanes in general position through the middle of the
    cube, turned so that nowhere all of them are off.
    """
    shares = [units // inputs + (number < units % inputs) for number in range(inputs)]
    mixing, offset, weights = np.eye(inputs), np.zeros(inputs), []
    for _ in range(layers - 1):
        kernel, bias, back = np.zeros((inputs, units)), np.zeros(units), np.zeros((units, inputs))
        start = 0
        for number, share in enumerate(shares):
            for fold in range(share):
                kernel[number, start + fold] = share if fold == 0 else 2 * share
                bias[start + fold] = -2.0 * fold
                back[start + fold, number] = (-1.0) ** fold
            start += share
        weights.append((mixing @ kernel, offset @ kernel + bias))
        mixing, offset = back, np.zeros(inputs)
    while True:
        angles = np.pi * (np.arange(units) + 0.3 * generator.uniform(size=units)) / units
        normals = np.column_stack([np.cos(angles), np.sin(angles)]) if inputs == 2 else np.ones((units, 1))
        spread = 0.05 if inputs == 2 else 0.2
        centre = 0.5 + spread * generator.uniform(-1, 1, size=(units, inputs))
        kernel, bias = normals.T, -(normals * centre).sum(axis=1)
        cube = np.array([[0.0], [1.0]]) if inputs == 1 else np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])
        points = np.array([piece.mean(axis=0) for piece in _cut([(kernel, bias)], cube)])
        if len(points) == most_regions(units, inputs):  # all regions of the arrangement reach into the cube
            break
    patterns = {tuple(row) for row in (points @ kernel + bias > 0).astype(int)}
    turned = next(signs for signs in np.ndindex(*[2] * units) if signs not in patterns)
    flip = np.where(np.array(turned) == 1, -1.0, 1.0)
    kernel, bias = kernel * flip, bias * flip
    return [*weights, (mixing @ kernel, offset @ kernel + bias)]
