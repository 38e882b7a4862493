"""Helpers of the claims on dropout."""

import numpy as np
import pytest

from repro.claims.dropout import masks, regularisation, selection
from repro.engine import backend


@pytest.fixture(autouse=True)
def _configured():
    backend.configure()


def test_what_removing_a_unit_does():
    # two units that see one pixel each; the first decides for class 0, the second for class 1 by as much
    weights = [np.eye(2), np.zeros(2), np.eye(2), np.zeros(2)]
    x, labels = np.array([[2.0, 0.0], [3.0, 1.0], [0.0, 2.0], [1.0, 3.0]]), np.array([0, 0, 1, 1])
    found = regularisation._reliance([*weights, np.array([0, 0], np.uint32)], x, labels, seed=0)
    # without the first unit the second image goes to class 1; where the outputs are equal the first class is chosen
    assert found["one unit"] == pytest.approx(3 / 8)
    assert found["unevenness"] == pytest.approx(1 / 3)  # a quarter and a half of the images
    assert found["correlation within classes"] == pytest.approx(1)


def test_features_before_the_hidden_layer_are_linear():
    halves = [np.array([[0.5, 0.0], [0.0, 0.5]]), np.zeros(2), 2 * np.eye(2), np.zeros(2), np.eye(2), np.zeros(2)]
    x, labels = np.array([[2.0, 0.0], [3.0, 1.0], [0.0, 2.0], [1.0, 3.0]]), np.array([0, 0, 1, 1])
    whole = [np.eye(2), np.zeros(2), np.eye(2), np.zeros(2)]
    found, expected = (regularisation._reliance(weights, x, labels, seed=0) for weights in (halves, whole))
    assert found == expected


def test_outputs_of_convolutions():
    model = selection.convolutional_network(shape=(8, 8, 1), classes=3, filters=4, width=5, dropped=(0.5, 0.5))
    layers = [layer for layer in model.layers if "conv" in layer.name]
    assert selection._mapped((8, 8, 1), 4) == sum(np.prod(layer.output.shape[1:]) for layer in layers)


def test_thinned_networks_of_a_network_share_its_weights():
    table = masks._shared(seed=3, units=6)
    np.testing.assert_allclose(table["output"], table["shared"], rtol=1e-5, atol=1e-6)


def test_counts_of_masks():
    assert sorted(masks._counts(np.array([[1, 0, 1], [1, 0, 1], [0, 0, 1]], bool))) == [1, 2]
