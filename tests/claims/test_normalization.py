"""Helpers of the claims on normalisation."""

import numpy as np
import pandas as pd

from repro.claims.normalization import training


def test_scale_and_shift_start_as_the_identity_and_act_on_each_unit():
    layer = training.scale_and_shift()
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(layer(x)), x)
    layer.set_weights([np.array([2.0, 0.0, -1.0]), np.array([0.0, 5.0, 1.0])])
    np.testing.assert_allclose(np.asarray(layer(x)), x * [2, 0, -1] + [0, 5, 1], rtol=1e-6)


def test_a_target_that_is_never_reached_takes_infinitely_many_steps():
    records = pd.DataFrame({"seed": [0, 0, 1, 1], "step": [10, 20, 10, 20], "loss": [0.3, 0.1, 0.9, 0.8]})
    steps = training._steps_until(lambda table: table["loss"] <= 0.2, records, ["seed"])
    assert list(steps) == [20, np.inf]
