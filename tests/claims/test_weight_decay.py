"""Helpers of the claims on weight decay, against values worked out elsewhere."""

import keras
import numpy as np
import pytest
import sklearn.linear_model

from repro.claims.weight_decay import generalisation, minima, priors, sparsity
from repro.claims.weight_decay._networks import penalised_network
from repro.engine import backend

backend.configure()


def test_best_decay_of_orthogonal_inputs_is_noise_over_the_signal_of_a_weight():
    spectra, along = np.full((1, 4), 10.0), np.full((1, 4), 0.5)
    found = minima._best_decay(spectra, along, np.eye(4)[None], noise=2.0, start=1.0)
    assert found == pytest.approx(2.0 / 0.25, rel=1e-4)


def test_newton_finds_the_minimum_of_a_curved_valley():
    # Rosenbrock's function, whose minimum is at (1, 1)
    def gradient(theta):
        x, y = theta
        return np.array([-2 * (1 - x) - 400 * x * (y - x**2), 200 * (y - x**2)])

    np.testing.assert_allclose(minima._newton(gradient, np.array([0.9, 0.7])), [1.0, 1.0], atol=1e-9)
    np.testing.assert_allclose(minima._jacobian(gradient, np.ones(2)), [[802, -400], [-400, 200]], rtol=1e-6)


def test_outputs_of_the_small_network_are_those_that_are_differentiated():
    theta, x = np.array([1.0, 0.0, 0.0, 1.0, 2.0, -3.0]), np.array([[0.0, np.log(3.0)]])
    assert minima._outputs(theta, x) == pytest.approx([2 * 0.5 - 3 * 0.75])
    slope = np.asarray(minima._slope()(theta, x, np.zeros(1)))
    assert slope[4:] == pytest.approx(-1.25 * np.array([0.5, 0.75]))


def test_minimum_with_a_penalty_is_shrunk_by_its_eigenvalue():
    found = minima._minimum_of_quadratic(np.diag([1.0, 3.0]), np.array([4.0, 4.0]), 1.0)
    np.testing.assert_allclose(found, [2.0, 3.0])


def test_penalised_error_is_the_posterior_up_to_a_constant():
    # a residual of 1 and a weight of 3: 1 / (2 * 1/4) and 9 / (2 * 9/4)
    nought = priors._noise(np.zeros(1)) + priors._negative_prior(np.zeros(1))
    assert priors._noise(np.ones(1)) + priors._negative_prior(np.full(1, 3.0)) - nought == pytest.approx(4.0)
    assert priors._penalised_error(np.ones(1), np.zeros(1), np.full(1, 3.0)) == pytest.approx(4.0)


def test_printed_objective_counts_outputs_with_the_wrong_sign():
    outputs, weights = np.array([[2.0]]), np.array([[3.0]])
    assert priors._objective(np.ones(1), outputs, weights, "of the output") == pytest.approx([1 - 4 + 1])
    assert priors._objective(np.ones(1), outputs, weights, "of the difference") == pytest.approx([1 + 1])


def test_ridges_are_those_of_scikit_learn():
    generator = np.random.default_rng(0)
    x, t = generator.normal(size=(20, 5)), generator.normal(size=20)
    of_sums = sklearn.linear_model.Ridge(3.0, fit_intercept=False).fit(x, t).coef_
    np.testing.assert_allclose(generalisation._ridge(x, t, 3.0), of_sums)
    np.testing.assert_allclose(sparsity._ridge(x, t, 3.0 / 20), of_sums)


def test_degrees_of_freedom_are_those_of_the_singular_values():
    rows = generalisation._ridge_path(7, examples=30, inputs=4, are_weights_penalised=True)
    x = np.random.default_rng((7, 5)).normal(1.0, size=(30, 4))
    squares = np.linalg.svd(x - x.mean(axis=0), compute_uv=False) ** 2
    for row in rows:
        assert row["degrees_of_freedom"] == pytest.approx(1 + (squares / (squares + row["gamma"])).sum())


def test_features_of_an_orthogonal_design_are_chosen_by_their_coefficients():
    x = np.linalg.qr(np.random.default_rng(0).normal(size=(30, 12)))[0]
    coefficients = np.array([0.0, 9, 0, 7, 0, 5, 0, 3, 0, 11, 0, 0])
    for choose in (sparsity._first, sparsity._largest):
        assert set(choose(x, x @ coefficients)) == {1, 3, 5, 7, 9}


def test_least_strength_leaves_no_coefficient():
    x, t, relevant = sparsity._problem(3, 40, 30, 0.9)
    least = sparsity._least_strength(x, t)
    for share in (1.001, 0.9):
        fitted = sklearn.linear_model.Lasso(share * least, fit_intercept=False).fit(x, t)
        assert fitted.coef_.any() == (share < 1)
    other = next(place for place in range(30) if place not in relevant)
    assert np.abs(np.corrcoef(x[:, [other, *relevant]].T)[0, 1:]).max() > 0.8


def test_minimiser_of_powers_has_no_gradient():
    x, t, _ = sparsity._problem(3, 40, 60, 0.0)
    w = sparsity._bridge(x, t, 0.4, 1.5)
    gradient = x.T @ (x @ w - t) / 40 + 0.4 * np.sign(w) * np.abs(w) ** 0.5
    np.testing.assert_allclose(gradient, 0, atol=1e-6)
    np.testing.assert_allclose(sparsity._bridge(x, t, 0.4, 2.0), sparsity._ridge(x, t, 0.4))


def test_best_decay_of_isotropic_inputs_is_noise_over_the_signal_of_a_weight():
    table = minima.optimal_decay([3], sizes=(10, 40), noises=(1.0,))
    deviations = table[table["quantity"] == "deviation"].set_index(["inputs", "error", "signal"])["deviation"]
    assert deviations["isotropic", "sum", "per weight"] < 0.1
    assert deviations["isotropic", "sum", "in all"] == pytest.approx(np.log(20), rel=0.05)


def test_descent_with_l2_reaches_the_ridge():
    generator = np.random.default_rng(0)
    x, t = generator.normal(size=(40, 3)), generator.normal(size=40)
    found = sparsity._descended([(0, 1.0, x, t, 0.5)], 2.0, rate=0.25, steps=200)
    np.testing.assert_allclose(found[0], sparsity._ridge(x, t, 0.5), rtol=1e-6)


@pytest.mark.parametrize("statistics", ["none", "batch"])
def test_network_penalises_half_the_squares(statistics):
    network = penalised_network(inputs=3, outputs=2, width=4, statistics=statistics, decay=0.5)
    network(np.zeros((2, 3), np.float32))
    kernels = [weight.numpy() for weight in network.weights if weight.path.endswith("kernel")]
    expected = 0.25 * sum(np.square(kernel).sum() for kernel in kernels)
    assert len(kernels) == 3
    assert float(keras.ops.sum(keras.ops.stack(network.losses))) == pytest.approx(expected, rel=1e-5)
