"""Counts, canvases and references behind the claims about architectures."""

import keras
import numpy as np
import pandas as pd
import pytest

from repro.claims.architectures._canvas import placed
from repro.claims.architectures._counts import multiplications, operations, weighted_depth
from repro.claims.architectures._images import repeated, shifted, unshifted
from repro.claims.architectures.ablations import blocks_network
from repro.claims.architectures.auxiliary import auxiliary_losses
from repro.claims.architectures.classics import receptive_side, small_filters
from repro.claims.architectures.connections import path_network
from repro.claims.architectures.depth import scaled_residual_network, wide_resnet
from repro.claims.architectures.efficiency import mobilenet
from repro.claims.architectures.maps import pointing_and_overlap
from repro.claims.architectures.pooling import cell_averages, gap_cheaper, gap_keeps_layout
from repro.engine import ImageData, build_seeded, residual_network


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


def few_images():
    x = np.arange(5 * 9, dtype=np.float32).reshape(5, 3, 3, 1)
    return ImageData("five", 5, x, np.arange(5, dtype=np.int32), x, np.arange(5, dtype=np.int32))


def test_repeats_the_first_images():
    assert repeated(few_images(), 0.4).y_train.tolist() == [0, 1, 0, 1, 0]
    assert repeated(few_images(), 1.0).y_train.tolist() == [0, 1, 2, 3, 4]


def test_shifts_by_a_pixel_in_four_directions():
    images = few_images()
    moved = shifted(images).x_train[:, :, :, 0].reshape(5, 5, 3, 3)[:, 0]  # the first image, five times
    assert moved[0].tolist() == [[0, 1, 2], [3, 4, 5], [6, 7, 8]]
    assert moved[1].tolist() == [[0, 0, 0], [0, 1, 2], [3, 4, 5]]
    assert moved[4].tolist() == [[1, 2, 0], [4, 5, 0], [7, 8, 0]]
    assert unshifted(images).x_train.tolist() == np.tile(images.x_train, (5, 1, 1, 1)).tolist()


def test_shifted_images_leave_room_for_those_held_out():
    sizes = []
    for images in (few_images(), few_images().held_out(0.4, 0)):
        moved = shifted(images)
        sizes.append(len(moved.y_train) + len(moved.y_test) + moved.left_out)
    assert sizes[0] == sizes[1] == 5 * 5 + 5


@pytest.mark.parametrize("depth", [8, 14])
@pytest.mark.parametrize("shortcut", [0.0, 1.0])
def test_scaled_shortcuts_are_those_of_the_residual_network(depth, shortcut):
    options = {"shape": (8, 8, 1), "classes": 3, "depth": depth, "width": 4, "shortcut": shortcut}
    ours, reference = (
        build_seeded(lambda build=build: build(**options), 0) for build in (scaled_residual_network, residual_network)
    )
    generator = np.random.default_rng(0)
    drawn = [generator.normal(size=weight.shape) for weight in reference.trainable_weights]
    for model in (ours, reference):
        for weight, value in zip(model.trainable_weights, drawn, strict=True):
            weight.assign(value)
    x = generator.normal(size=(4, 8, 8, 1)).astype(np.float32)
    np.testing.assert_allclose(ours(x), reference(x), rtol=2e-4, atol=1e-4)


def test_wide_network_of_smoke_costs_no_more_than_the_deep_one():
    costs = {}
    for name, depth, width in (("deep", 20, 4), ("wide", 8, 7)):
        model = scaled_residual_network(shape=(8, 8, 1), classes=10, depth=depth, width=width)
        costs[name] = sum(weight.numpy().size for weight in model.trainable_weights), multiplications(model)
    # 9 w² (6 + 2 + 4 * 5 + 8 + 16 * 5) against 9 w² (2 + 2 + 4 + 8 + 16) weights of kernels but the first
    assert costs["deep"][0] == pytest.approx(9 * 16 * 116, rel=0.1)
    assert costs["wide"][0] == pytest.approx(9 * 49 * 32, rel=0.1)
    for wide, deep in zip(costs["wide"], costs["deep"], strict=True):
        assert 0.8 * deep < wide < deep


def test_a_slope_of_one_is_linear():
    x = np.random.default_rng(0).normal(size=(2, 8, 8, 1)).astype(np.float32)
    for slope, is_linear in ((0.0, False), (1.0, True)):
        model = blocks_network(shape=(8, 8, 1), classes=3, blocks=(((4, 3), (4, 3)),), slope=slope)
        first = keras.Sequential(model.layers[:2])  # without bias at first
        assert np.allclose(first(-x), -first(x), atol=1e-5) == is_linear


def test_an_earlier_network_takes_the_errors_of_that_time():
    rows = [
        {"seed": 0, "network": network, "steps": 80, "train_error": now, "test_error": now}
        | {
            "earlier_train_error": before,
            "earlier_test_error": before,
            "parameters": 1,
            "multiplications": 1,
            "layers": 2,
        }
        for network, now, before in (("deep", 0.2, 0.4), ("wide", 0.1, 0.3))
    ]
    table = wide_resnet.function(pd.DataFrame(rows), deep="earlier wide").set_index("network")
    assert table.loc["deep", "test_error"] == 0.3
    assert table.loc["wide", "test_error"] == 0.1


def test_the_count_of_small_filters_turns_where_derived():
    table = small_filters(depths=(2, 3), channels=((90, 159), (90, 161), (90, 199), (90, 201)))
    layers = table[table["counted"] == "layers"]
    fewer = layers["stack_parameters"] <= layers["filter_parameters"]
    limit = layers["depth"].map({2: 16 / 9, 3: 20 / 9})
    assert fewer.tolist() == (layers["widening"] < limit).tolist()


def test_paths_and_bottleneck_cost_the_same():
    options = {"shape": (8, 8, 1), "classes": 10, "channels": 64, "blocks": 2}
    costs = [multiplications(path_network(paths=count, width=width, **options)) for count, width in ((1, 18), (8, 4))]
    # per position of a block 2 * 64 * 18 + 9 * 18² against 2 * 64 * 32 + 9 * 8 * 4²
    assert costs[1] - costs[0] == 2 * 16 * ((2 * 64 * 32 + 9 * 8 * 16) - (2 * 64 * 18 + 9 * 18**2))


def test_equal_paths_begin_with_equal_weights():
    shape, paths = (8, 8, 1), 4
    model = build_seeded(
        lambda: path_network(shape=shape, classes=3, channels=8, blocks=1, paths=paths, width=2, equal=True), 0
    )
    to_paths, of_paths, from_paths = (weight.numpy() for weight in model.trainable_weights[2:8:2])
    for kernel, axis in ((to_paths, -1), (of_paths, -1), (from_paths, -2)):
        first, *others = np.split(kernel, paths, axis=axis)
        assert first.std() > 0
        for other in others:
            np.testing.assert_array_equal(first, other)


def test_maps_point_and_cover():
    maps = np.zeros((2, 4, 4))
    maps[:, :2, 2:] = 1  # all of the upper right quadrant
    assert pointing_and_overlap(maps, np.array([1, 1])) == (1.0, 1.0)
    assert pointing_and_overlap(maps, np.array([1, 2])) == (0.5, 0.5)
    assert pointing_and_overlap(np.ones((1, 4, 4)), np.array([0])) == (1.0, 0.25)


def test_heads_of_large_networks_by_hand():
    table = gap_cheaper().set_index("counted")
    dense = 512 * 7 * 7 * 4096 + 4096 * 4096 + 4096 * 1000
    assert table.loc["head of VGG16", "five_per_cent_less"] == pytest.approx(dense / 1.05)
    # Simonyan and Zisserman's network D: 15.3 thousand million multiply-adds of convolutions
    assert table.loc["VGG16 as a whole", "share_of_head"] == pytest.approx(dense / (15.35e9 + dense), rel=0.01)


def test_places_without_padding_are_not_told():
    table = gap_keeps_layout([3], images=20)
    np.testing.assert_allclose(table.loc[table["padding"] == "none", "position_accuracy"], 0, atol=1e-9)


def test_too_large_a_rate_is_compared_at_every_rate():
    rows = [
        (label, rate)
        for label, rates in (("without", (1, 2)), ("with", (1, 2)), ("too large a rate", (9,)))
        for rate in rates
    ]
    table = pd.DataFrame(rows, columns=["auxiliary", "learning_rate"])
    table["origin"] = table["auxiliary"]
    chosen = auxiliary_losses.function(table, without="too large a rate")
    chosen = chosen[chosen["auxiliary"] == "without"]
    assert chosen["learning_rate"].tolist() == [1, 2]
    assert set(chosen["origin"]) == {"too large a rate"}
