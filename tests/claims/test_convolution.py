"""Matrices and linear equivalents of convolutions, against counts by hand."""

import numpy as np
import pytest

from repro.claims.convolution.layers import linear_without_activation, sparse_shared_dense


@pytest.mark.parametrize(
    ("padding", "outputs", "weights", "displaced"),
    [("valid", 16, [9], 0), ("periodic", 36, [9], 0), ("same", 36, [4, 6, 9], 35 * 3)],
)
def test_rows_of_the_matrix_of_a_convolution(padding, outputs, weights, displaced):
    table = sparse_shared_dense([0], paddings=(padding,), channels=1)
    rows = table[table["quantity"] == "outputs"]
    assert len(rows) == 3 * outputs
    np.testing.assert_allclose(np.unique(1 - rows["zeros"]) * 36, weights)
    assert set(rows["distinct_weights"]) == {9}
    assert (table["displaced_entries"] > 0).sum() == displaced


def test_a_window_of_the_size_of_the_image_leaves_no_zeros():
    table = sparse_shared_dense([0], paddings=("valid",), window=6)
    assert (table["zeros"].dropna() == 0).all()


@pytest.mark.parametrize(
    ("subsampling", "linear"), [("strides", True), ("average pooling", True), ("max pooling", False)]
)
def test_the_linear_equivalent_is_worked_out_without_the_network(subsampling, linear):
    table = linear_without_activation([0], subsamplings=(subsampling,))
    assert np.allclose(table["network"], table["linear"], rtol=1e-4, atol=1e-4) == linear
