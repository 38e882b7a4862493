"""Helpers of the claims on rates, acceleration and adaptive methods, against closed forms and Keras."""

import keras
import numpy as np
import pandas as pd
import pytest
import scipy.integrate

from repro.claims.optimizers import (
    _accelerations,
    _functions,
    _speed,
    accumulators,
    inputs,
    nesterov,
    quadratic_forms,
    rates,
    restarts,
    roots,
    shrinking,
    signs,
    stationary,
)
from repro.claims.optimizers._quadratics import follow_keras
from repro.engine import load_data


def _generator():
    return np.random.default_rng(0)


class TestFunctions:
    def test_derivatives_of_a_quadratic_form_are_its_matrix_and_vector(self):
        matrix, directions = _functions.random_form(_generator(), np.array([3.0, 1.0, -2.0]))
        assert np.linalg.eigvalsh(matrix) == pytest.approx([-2, 1, 3])
        assert matrix @ directions[:, 0] == pytest.approx(3 * directions[:, 0])
        vector, points = np.array([1.0, 2.0, 3.0]), _generator().normal(size=(3, 3))
        form = _functions.Function(_functions.quadratic, (matrix, vector))
        assert form.gradients(points) == pytest.approx(points @ matrix - vector)
        assert form.hessians(points) == pytest.approx(np.broadcast_to(matrix, (3, 3, 3)))

    def test_network_is_that_of_layers_of_keras_in_double_precision(self):
        loss = _functions.random_network(_generator())
        weights = _generator().normal(size=_functions.NETWORK_SIZE)
        layers = [keras.layers.Dense(3, "tanh"), keras.layers.Dense(1)]
        model = keras.Sequential([keras.Input((2,)), *layers])
        kernel, bias, output, offset = np.split(weights, [6, 9, 12])
        model.set_weights([kernel.reshape(2, 3), bias, output[:, None], offset])
        x, y, _ = loss.arrays
        errors = keras.ops.convert_to_numpy(model(x))[:, 0] - y
        assert loss.values(weights[None])[0] == pytest.approx(np.square(errors).mean() / 2, rel=1e-5)
        step = 1e-6 * np.eye(len(weights))
        differences = (loss.values(weights + step) - loss.values(weights - step)) / 2e-6
        assert loss.gradients(weights[None])[0] == pytest.approx(differences, abs=1e-7)

    def test_logistic_loss_has_a_quarter_of_the_squares_for_a_hessian_at_zero(self):
        signed = _generator().normal(size=(6, 4))
        loss = _functions.Function(_functions.logistic, (signed, 0.5))
        assert loss.values(np.zeros((1, 4))) == pytest.approx([np.log(2)])
        expected = signed.T @ signed / 24 + 0.5 * np.eye(4)
        assert loss.hessians(np.zeros((1, 4)))[0] == pytest.approx(expected)


def test_slow_function_is_as_high_as_the_integral_of_its_slope():
    slope, number = 0.1, 7
    bottom, start = -slope, slope * number
    area, _ = scipy.integrate.quad(
        lambda x: float(rates.slow_gradient(np.array(x), slope=slope, number=number)), bottom, start, limit=200
    )
    assert rates.slow_height(slope, number) == pytest.approx(area)


def test_descent_on_the_slow_function_sees_one_slope_until_the_bottom():
    x, seen = np.array(0.7), []
    for _ in range(9):
        seen.append(float(rates.slow_gradient(x, slope=0.1, number=7)))
        x = x - seen[-1]
    assert seen == pytest.approx([0.1] * 8 + [0.0], abs=1e-12)


class TestAccelerations:
    def test_plain_descent_takes_the_steps_of_its_slowest_axis(self):
        curvatures, start = np.array([0.1, 1.0]), np.ones(2)
        steps, swings, overshoot = _accelerations.measure("plain", curvatures, start, 0.5, most=1000)
        # 0.95^n <= 1e-6 sqrt(2)
        assert steps == np.ceil(np.log(1e-6 * 2**0.5) / np.log(0.95))
        assert (swings, overshoot) == (0, 0)

    def test_swings_of_plain_descent_are_a_geometric_series(self):
        _, swings, overshoot = _accelerations.measure("plain", np.array([1.0]), np.array([2.0]), 1.5, most=1000)
        assert swings == pytest.approx(2.0, rel=1e-5)
        assert overshoot == pytest.approx(0.5)

    def test_polyaks_coefficients_have_the_radius_of_their_root(self):
        rate, memory = _accelerations.best_heavy_ball(100)
        assert _accelerations._radius("heavy ball", 100, rate, memory) == pytest.approx(9 / 11, abs=1e-4)
        assert memory**0.5 == pytest.approx(9 / 11)

    def test_nesterovs_coefficients_have_the_radius_of_lessard_recht_and_packard(self):
        radius = _accelerations._radius("Nesterov", 100, *_accelerations.best_nesterov(100))
        assert radius == pytest.approx(1 - 2 / 301**0.5, abs=1e-3)

    def test_the_best_rate_without_memory_balances_both_ends(self):
        assert _accelerations.best_rate("plain", 10, 0.0) == pytest.approx(_accelerations.best_plain(10), abs=0.01)

    def test_the_printed_update_is_no_more_than_twice_as_fast_as_plain_descent(self):
        rate, alpha = _accelerations.best_printed(1000)
        assert rate + alpha < 4
        plain = _accelerations._radius("plain", 1000, _accelerations.best_plain(1000), 0.0)
        speed = np.log(_accelerations._radius("printed", 1000, rate, alpha)) / np.log(plain)
        assert 1.9 < speed < 2


def test_heavy_ball_ends_in_the_cycle_of_lessard_recht_and_packard():
    end = nesterov._on_slopes("heavy ball", 3.3, 1.0, 1 / 9, 4 / 9)
    cycle = np.array([792, -2208, 2592]) / 1225
    assert np.abs(cycle - end).min() < 1e-6
    assert nesterov._on_slopes("Nesterov", 3.3, 1.0, 1 / 25, 2 / 3) == pytest.approx(0, abs=1e-9)


def test_stationary_points_of_double_wells_are_where_they_were_put():
    wells = _functions.Function(_functions.double_wells, (np.eye(3),))
    found = stationary.stationary_points(wells, _generator().normal(size=(10, 3)))
    assert len(found) > 5
    assert np.abs(found * (found - 1) * (found + 1)) == pytest.approx(0, abs=1e-9)


def test_update_of_bfgs_keeps_symmetry_and_maps_the_step_to_the_change():
    generator = _generator()
    hessian, _ = _functions.random_form(generator, np.array([0.5, 1.0, 2.0]))
    s = generator.normal(size=3)
    y = s + 0.1 * generator.normal(size=3)
    updated = quadratic_forms.update(hessian, s, y)
    assert updated @ s == pytest.approx(y)
    assert updated == pytest.approx(updated.T)


def test_residual_of_steepest_descent_is_that_of_the_closed_form():
    u, squares = 0.1, (2 * np.sqrt(0.1 * 0.9) / (0.1 - 0.9)) ** 2
    residual = np.array([u**0.5, (1 - u) ** 0.5])
    after = quadratic_forms._steepest_descent(np.diag([1.0, -1.0]), residual, 1)
    assert after @ after == pytest.approx(squares)
    assert after[0] ** 2 / (after @ after) == pytest.approx(1 - u)


def test_conjugate_gradients_solve_an_indefinite_system_in_as_many_steps_as_it_has_dimensions():
    residual = quadratic_forms._conjugate_gradients(np.diag([2.0, -1.0, 0.5]), np.array([1.0, 1.5, -0.7]), 3)
    assert residual == pytest.approx(0, abs=1e-8)


def test_rprop_grows_its_steps_and_takes_back_the_one_that_crossed_the_minimum():
    path = signs.rprop(lambda w, _: w, np.array([0.25]), 5)[:, 0]
    # 0.25 - 0.1, then 0.12 to 0.03, 0.144 to -0.114, back to 0.03, then a step of half of 0.144.
    assert path == pytest.approx([0.15, 0.03, -0.114, 0.03, -0.042])


def test_whitened_images_have_no_correlations_but_for_the_ridge():
    images = inputs.transformed(load_data("digits").flat().subset(300, 0), "whitened", 1e-9)
    covariance = np.cov(images.x_train.T, bias=True)
    kept = np.diag(covariance) > 0.5
    assert kept.sum() > 45
    assert covariance[np.ix_(kept, kept)] == pytest.approx(np.eye(kept.sum()), abs=2e-3)
    rotated = inputs.transformed(load_data("digits").flat().subset(300, 0), "rotated", 1e-9)
    distances = [
        np.linalg.norm(x[0] - x[1]) for x in (rotated.x_train, load_data("digits").flat().subset(300, 0).x_train)
    ]
    assert distances[0] == pytest.approx(distances[1], rel=1e-5)


def test_steps_to_a_loss_are_linear_in_its_logarithm():
    run = {"step": [10, 20, 30], "train_loss": [1.0, 0.1, 0.01]}
    slow = {"step": [10, 20, 30], "train_loss": [1.0, 0.9, 0.8]}
    records = pd.concat([pd.DataFrame({"seed": 0, **run}), pd.DataFrame({"seed": 1, **slow})])
    assert _speed.steps_to(records, 10**-1.5).tolist() == pytest.approx([25, np.inf])


def test_adagrad_with_a_power_of_a_half_is_that_of_keras():
    start, gradient = np.ones((2, 3)), lambda w: np.arange(6).reshape(2, 3) * w - 1.0
    own = roots.powered_adagrad()(2**-3, power=0.5, epsilon=1e-7)
    theirs = keras.optimizers.Adagrad(2**-3, initial_accumulator_value=0.0, epsilon=1e-7)
    paths = [follow_keras(start, gradient, [2**-3] * 5, optimizer) for optimizer in (own, theirs)]
    assert paths[0] == pytest.approx(paths[1])
    restored = type(own).from_config(own.get_config())
    assert (restored.power, restored.epsilon) == (0.5, 1e-7)


@pytest.mark.parametrize("method", ["AdaGrad", "RMSprop", "AdaDelta"])
def test_courses_of_adaptive_rates_are_those_of_keras(method):
    course = shrinking._Course([3], 1, shrinking.NOISE, 32)
    optimizer = {
        "AdaGrad": lambda: keras.optimizers.Adagrad(2**-3, initial_accumulator_value=0.0, epsilon=1e-8),
        "RMSprop": lambda: keras.optimizers.RMSprop(2**-3, rho=0.9, epsilon=1e-8),
        "AdaDelta": lambda: keras.optimizers.Adadelta(2**-3, rho=0.95, epsilon=1e-6),
    }[method]()
    losses, _ = course.follow(method, np.array([[2**-3]]), 6)
    noise = iter(course.noise[:, 0])
    minimum = course.minima[0, 0]
    path = follow_keras(
        course.start[0, :, 0], lambda w: course.curvatures * (w - minimum) + next(noise), [2**-3] * 5, optimizer
    )
    expected = [(course.curvatures * (w - minimum) ** 2).sum(axis=1).mean() / 2 for w in path]
    assert losses[1:, 0, 0] == pytest.approx(expected, rel=1e-5)


def test_adadelta_of_zeiler_starts_as_the_printed_formula_at_the_root_of_epsilon_and_then_grows():
    gradient, epsilon = np.array([[2.0, -0.5]]), 1e-6
    first, second = accumulators._zeiler(np.zeros((1, 2)), lambda _: gradient, [1.0, 1.0], epsilon=epsilon)
    expected = -(epsilon**0.5) * gradient / np.sqrt(0.125 * gradient**2 + epsilon)
    assert first == pytest.approx(expected)
    average = 0.125 * 1.875 * gradient**2 + epsilon
    assert second - first == pytest.approx(-np.sqrt((0.125 * expected**2 + epsilon) / average) * gradient)


def test_restarts_find_more_deepest_basins_than_one_run():
    shares = restarts._shares_found(0, 8, 40)
    assert 0 <= shares[restarts.LONG] < shares[restarts.RESTARTS] <= 1
