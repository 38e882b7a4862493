"""Helpers of the claims on expressivity, against counts and values worked out elsewhere."""

import numpy as np
import pytest

from repro.claims.expressivity import _approximation, _regions, _sawtooth, approximation

SQUARE = np.array([[0.0, 0.0], [1.0, 0.0], [1.0, 1.0], [0.0, 1.0]])


@pytest.mark.parametrize(
    ("planes", "dimension", "regions"), [(1, 2, 2), (3, 2, 7), (5, 2, 16), (4, 3, 15), (5, 3, 26), (3, 1, 4)]
)
def test_most_regions_are_cake_numbers(planes, dimension, regions):
    assert _regions.most_regions(planes, dimension) == regions


@pytest.mark.parametrize(
    ("normals", "offsets", "regions"),
    [
        ([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], [0.0, 0.0, 1.0], 7),
        ([[1.0, 0.0], [0.0, 1.0], [0.6, 0.8]], [0.0, 0.0, 0.0], 6),
        ([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0]], [0.0, 1.0, 2.0], 4),
        (np.eye(3), np.zeros(3), 8),
    ],
)
def test_a_point_is_found_in_every_region(normals, offsets, regions):
    normals, offsets = np.asarray(normals), np.asarray(offsets)
    points = _regions.witnesses(np.random.default_rng(0), normals, offsets)
    assert len(np.unique(points @ normals.T > offsets, axis=0)) == regions


def test_pieces_of_networks_that_are_known():
    absolute = [(np.array([[1.0, -1.0]]), np.zeros(2)), (np.ones((2, 1)), np.zeros(1))]
    assert _regions.linear_pieces(absolute, np.array([[-1.0], [1.0]])) == 2
    idle = [(np.array([[1.0, 1.0]]), np.array([-0.5, 2.0])), (np.array([[0.0], [1.0]]), np.zeros(1))]
    assert _regions.linear_pieces(idle, np.array([[0.0], [1.0]])) == 1  # a kink that the next layer does not see
    cross = [(np.array([[1.0, 0.0], [0.0, 1.0]]), np.array([-0.5, -0.5]))]
    assert _regions.linear_pieces(cross, SQUARE) == 4


@pytest.mark.parametrize(("inputs", "units", "layers", "pieces"), [(1, 3, 2, 12), (1, 2, 3, 12), (2, 4, 2, 44)])
def test_folding_networks_attain_the_bound_within_the_cube(inputs, units, layers, pieces):
    network = _regions.folding_network(np.random.default_rng(1), units, inputs, layers)
    assert _regions.linear_pieces(network, SQUARE if inputs == 2 else np.array([[0.0], [1.0]])) == pieces


def test_networks_are_equal_to_their_sawtooth():
    x = np.linspace(0, 1, 101)
    kinks, heights = np.array([0.0, 0.2, 0.7, 1.0]), np.array([0.3, 1.0, -1.0, 0.5])
    expected = np.interp(x, kinks, heights)
    assert _sawtooth.values(_sawtooth.one_layer(kinks, heights), x) == pytest.approx(expected, abs=1e-12)
    folded = np.interp(x, np.linspace(0, 1, 9), np.arange(9) % 2)
    assert _sawtooth.values(_sawtooth.many_layers(3), x) == pytest.approx(folded, abs=1e-12)


@pytest.mark.parametrize(("activation", "rank"), [("linear", 2), ("square", 3), ("cube", 4)])
def test_sums_of_polynomial_units_are_polynomials(activation, rank):
    x = np.linspace(0, 1, 50)
    hidden = _approximation.hidden_layer(np.random.default_rng(0), x, 10, activation)
    assert np.linalg.matrix_rank(np.column_stack([hidden, np.ones(50)]), tol=1e-6) == rank
    assert max(_approximation.best_errors(hidden, x ** (rank - 1))) < 1e-8


def test_hidden_layer_has_the_activation_of_keras():
    hidden = _approximation.hidden_layer(np.random.default_rng(0), np.linspace(0, 1, 5), 3, "relu")
    slopes = np.diff(hidden, axis=0) / 0.25
    assert np.abs(slopes).max() == pytest.approx(1.0)
    assert (hidden >= 0).all()


def test_pursuit_finds_the_units_a_function_is_made_of():
    generator = np.random.default_rng(0)
    candidates = generator.normal(size=(60, 20))
    errors = approximation._greedy_errors(3 * candidates[:, 4] - candidates[:, 11] + 2, candidates, (1, 2))
    assert errors[0] > 0.1
    assert errors[1] == pytest.approx(0, abs=1e-20)


def test_barron_constant_of_the_bump():
    """In one dimension its spectrum is normal with deviation two, and the mean of |omega| is 2 sqrt(2 / pi)."""
    x = np.array([[0.0], [0.5]])
    values, constant, _ = approximation._barron_function(np.random.default_rng(0), x, "bump")
    assert values == pytest.approx([1.0, np.exp(-0.5)])
    assert constant == pytest.approx(2 * np.sqrt(2 / np.pi))


def test_fixed_basis_begins_with_the_lowest_frequencies():
    x = np.linspace(-1, 1, 7)[:, None]
    expected = [np.ones(7), np.cos(np.pi * x[:, 0]), np.sin(np.pi * x[:, 0]), np.cos(2 * np.pi * x[:, 0])]
    assert approximation._lowest_frequencies(x, 3) == pytest.approx(np.array(expected).T)
