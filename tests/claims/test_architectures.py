"""Counts, canvases and references behind the claims about architectures."""

import keras
import numpy as np
import pytest

from repro.claims.architectures._canvas import placed
from repro.claims.architectures._counts import multiplications, operations, weighted_depth
from repro.claims.architectures.classics import receptive_side
from repro.claims.architectures.efficiency import mobilenet
from repro.claims.architectures.pooling import cell_averages


def network():
    inputs = keras.Input((8, 8, 3))
    x = keras.layers.Conv2D(4, 3, padding="same")(inputs)
    y = keras.layers.DepthwiseConv2D(3, padding="same")(x)
    x = keras.layers.Add()([x, y])
    return keras.Model(inputs, keras.layers.Dense(10)(keras.layers.GlobalAveragePooling2D()(x)))


def test_multiplications_by_hand():
    assert multiplications(network()) == 64 * 9 * 3 * 4 + 64 * 9 * 4 + 4 * 10


def test_operations_add_those_of_merging_and_pooling():
    assert operations(network()) - multiplications(network()) == 64 * 4 + 63 * 4


def test_weighted_depth_follows_the_longest_path():
    assert weighted_depth(network()) == 3


def test_multiplications_of_mobilenet_as_published():
    # Howard et al. 2017, table 4, in millions
    assert multiplications(mobilenet(separable=True)) / 1e6 == pytest.approx(569, abs=1)
    assert multiplications(mobilenet(separable=False)) / 1e6 == pytest.approx(4866, rel=1e-3)


def test_mobilenet_has_the_parameters_of_the_one_in_keras():
    assert mobilenet(separable=True).count_params() == keras.applications.MobileNet(weights=None).count_params()


@pytest.mark.parametrize(("depth", "side", "expected"), [(1, 3, 3), (2, 3, 5), (3, 3, 7), (2, 5, 9)])
def test_receptive_side(depth, side, expected):
    assert receptive_side(depth, side) == expected


def test_places_images_at_their_corners():
    images = np.arange(1, 9, dtype=np.float32).reshape(2, 2, 2, 1)
    canvas = placed(images, np.array([[0, 0], [1, 2]]), 4)
    assert canvas.shape == (2, 4, 4, 1)
    np.testing.assert_array_equal(canvas[0, :2, :2, 0], [[1, 2], [3, 4]])
    np.testing.assert_array_equal(canvas[1, 1:3, 2:, 0], [[5, 6], [7, 8]])
    assert canvas.sum() == images.sum()


def test_cells_of_an_adaptive_average_may_overlap():
    maps = np.array([1.0, 2.0, 4.0]).reshape(1, 3, 1, 1)
    np.testing.assert_allclose(cell_averages(maps, (2, 1)).ravel(), [1.5, 3.0])
