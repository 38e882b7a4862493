"""Helpers of the claims on losses, against values worked out elsewhere."""

import numpy as np
import pytest

from repro.claims.losses import regression


@pytest.mark.parametrize(("loss", "expected"), [("mean_squared_error", np.mean), ("mean_absolute_error", np.median)])
def test_mean_and_median_minimise_losses_over_images(loss, expected):
    images = regression.edge_images(np.random.default_rng(0), number=31, pixels=64)
    np.testing.assert_allclose(regression.minimiser(loss, images), expected(images, axis=0), atol=1e-5)


def test_images_have_one_edge():
    images = regression.edge_images(np.random.default_rng(0), number=5, pixels=64)
    np.testing.assert_array_equal(np.diff(images, axis=1).sum(axis=1), 1)
    assert set(np.unique(images)) == {0.0, 1.0}
