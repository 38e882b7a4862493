"""Helpers of the claims on losses, against values worked out elsewhere."""

import keras
import numpy as np
import pytest
import scipy.optimize

from repro.claims.losses import regression


@pytest.mark.parametrize(("loss", "minimiser"), [("mean_squared_error", np.mean), ("mean_absolute_error", np.median)])
def test_mean_and_median_minimise_losses_over_images(loss, minimiser):
    column = regression.edge_images(np.random.default_rng(0), number=31, pixels=64)[:, 16:40].T
    pixel = next(values for values in column if 0 < values.mean() < 0.5)

    def total(value):
        return float(keras.ops.mean(keras.losses.get(loss)(pixel[:, None], np.full((31, 1), value))))

    found = scipy.optimize.minimize_scalar(total, bounds=(-1, 2), method="bounded")
    assert found.x == pytest.approx(minimiser(pixel), abs=1e-3)


def test_images_have_one_edge():
    images = regression.edge_images(np.random.default_rng(0), number=5, pixels=64)
    np.testing.assert_array_equal(np.diff(images, axis=1).sum(axis=1), 1)
    assert set(np.unique(images)) == {0.0, 1.0}
