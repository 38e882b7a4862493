"""Helpers of the claims on normalisation."""

import numpy as np
import pandas as pd
import pytest

from repro.claims.normalization import _stopping, _trainings, distributions, layers, training
from repro.engine import backend


@pytest.fixture(autouse=True)
def _configured():
    backend.configure()


def test_scale_and_shift_start_as_the_identity_and_act_on_each_unit():
    layer = _trainings.scale_and_shift()
    x = np.random.default_rng(0).normal(size=(4, 3)).astype(np.float32)
    np.testing.assert_allclose(np.asarray(layer(x)), x)
    layer.set_weights([np.array([2.0, 0.0, -1.0]), np.array([0.0, 5.0, 1.0])])
    np.testing.assert_allclose(np.asarray(layer(x)), x * [2, 0, -1] + [0, 5, 1], rtol=1e-6)


def test_steps_to_a_target_are_interpolated_and_infinite_where_it_is_never_reached():
    runs = {
        0: ([1.0, 0.01], [0.8, 0.9]),
        1: ([0.9, 0.8], [0.1, 0.2]),
        2: ([0.05, 0.01], [0.95, 0.9]),
        3: ([np.inf, 0.01], [0.1, 0.87]),
    }
    records = pd.DataFrame(
        [
            {"seed": seed, "step": step, "train_loss": loss, "test_accuracy": accuracy}
            for seed, (losses, accuracies) in runs.items()
            for step, loss, accuracy in zip((10, 20), losses, accuracies, strict=True)
        ]
    )
    # a tenth is halfway from 1 to a hundredth
    np.testing.assert_allclose(_trainings.steps_until("train_loss", 0.1, records, ["seed"]), [15, np.inf, 10, 20])
    np.testing.assert_allclose(
        _trainings.steps_until("test_accuracy", 0.85, records, ["seed"]), [15, np.inf, 10, 10 + 10 * 75 / 77]
    )


def test_dropout_of_a_variable_share_drops_it_and_keeps_the_mean():
    layer = training.variable_dropout()(0.25)
    values = np.asarray(layer(np.ones((200, 100), np.float32), training=True))
    assert sorted({round(float(value), 5) for value in np.unique(values)}) == [0.0, round(4 / 3, 5)]
    assert values.mean() == pytest.approx(1.0, abs=0.02)  # five standard errors
    np.testing.assert_array_equal(np.asarray(layer(np.ones((2, 3), np.float32))), 1)


def test_losses_at_a_level_are_interpolated_in_the_logarithm_of_the_training_loss():
    runs = pd.DataFrame(
        {
            "seed": [0, 0, 1, 1, 2, 2],
            "step": [10, 20] * 3,
            "train_loss": [1.0, 0.01, 0.05, 0.01, 1.0, 0.5],
            "test_loss": [1.0, 0.4, 0.3, 0.2, 1.0, 0.9],
        }
    )
    # a tenth is halfway from 1 to a hundredth; the second run starts below it, the third never gets there
    np.testing.assert_allclose(training._at_level(runs, 0.1), [0.7, 0.3, np.inf])


def test_the_largest_rate_is_interpolated_between_those_of_the_grid():
    rates = np.array([0.01, 0.1, 1.0])
    # from a loss of 0.2 to one of 0.4 a level of 0.3 is halfway, in the logarithm of the rate
    assert training._largest_rate(rates, np.array([0.9, 0.2, 0.4]), 0.3) == pytest.approx(10**-0.5)
    assert training._largest_rate(rates, np.array([0.9, 0.2, np.inf]), 0.3) < 10**-0.5
    assert training._largest_rate(rates, np.array([0.9, 0.9, 0.9]), 0.3) == 0.005
    assert training._largest_rate(rates, np.array([0.9, 0.9, 0.1]), 0.3) == 1.0


class Arm:
    """Stands for an arm whose loss on held-out images is least at a rate, after 20 steps."""

    def __init__(self, best):
        self.best = best

    def validate(self, *, seeds, learning_rate):
        course = {"step": [10, 20, 30], "validation_loss": [0.9, 0.5, 0.6]}
        tables = [
            pd.DataFrame({"seed": seed, "learning_rate": rate, **course}).assign(
                validation_loss=lambda table, rate=rate: table["validation_loss"] + abs(np.log(rate / self.best))
            )
            for seed in seeds
            for rate in learning_rate
        ]
        return type("Trained", (), {"records": pd.concat(tables, ignore_index=True)})()


def test_a_search_goes_beyond_its_edge_once():
    for best, tried in ((0.1, [0.01, 0.1, 1.0]), (0.01, [0.001, 0.01, 0.1, 1.0]), (10.0, [0.01, 0.1, 1.0, 10.0])):
        course = _stopping.search(Arm(best), [0.01, 0.1, 1.0])
        rates = course.index.get_level_values("learning_rate").unique()
        np.testing.assert_allclose(sorted(rates), tried)
        assert _stopping.trial({"learning_rate": 10.0}, course)["at_edge"] == (best == 10.0)


def test_training_stops_where_the_loss_on_held_out_images_is_least():
    course = _stopping.search(Arm(0.1), [0.01, 0.1, 1.0])
    chosen, stops = _stopping.best(course, {("steps", "few"): 10, ("steps", "many"): 30})
    assert (chosen, list(stops.values())) == ({"learning_rate": 0.1}, [10, 20])
    records = pd.DataFrame({"seed": 0, "step": [10, 20, 30], "test_loss": [0.8, 0.6, 0.4]})
    stopped = _stopping.at_stops(records, stops)
    assert list(stopped["limit"]) == [("steps", "few"), ("steps", "many")]
    assert list(stopped["test_loss"]) == [0.8, 0.6]


def test_the_divisor_of_the_variance():
    x = np.array([[1.0], [3.0]])
    np.testing.assert_allclose(layers.normalized(x, (0,), 0.0), [[-1], [1]])
    np.testing.assert_allclose(layers.normalized(x, (0,), 0.0, divisor=1), [[-(2**-0.5)], [2**-0.5]])


def test_distances_to_laws_tell_normal_from_heavy_tailed_values():
    generator = np.random.default_rng(0)
    tables = {
        "normal": generator.normal(size=(2000, 5)),
        "Laplace": generator.laplace(size=(2000, 5)),
    }
    for law, values in tables.items():
        rows = pd.DataFrame(distributions._laws(values)).set_index("law_compared")["distance"]
        assert (rows["Gaussian"] < rows["nearest other law"]) == (law == "normal")
