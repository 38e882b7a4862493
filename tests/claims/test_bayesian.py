"""Helpers of the claims on Bayesian networks, against values worked out elsewhere."""

import keras
import numpy as np
import pytest
import scipy.integrate
import scipy.stats
from sklearn.linear_model import Ridge

from repro.claims.bayesian import _models, markov_chains, posterior


@pytest.fixture
def model():
    return _models.LinearModel.draw(np.random.default_rng(0))


def test_posterior_mean_is_ridge_regression(model):
    ridge = Ridge(alpha=model.noise**2 / model.prior**2, fit_intercept=False).fit(model.x, model.y)
    assert model.mean == pytest.approx(ridge.coef_)


def test_energy_is_least_at_the_posterior_mean_and_curved_by_the_precision(model):
    steps = model.mean + 1e-3 * np.array([[0.0, 0.0], [1.0, 0.0], [-1.0, 0.0]])
    least, ahead, behind = keras.ops.convert_to_numpy(model.energy(keras.ops.convert_to_tensor(steps)))
    assert ahead - behind == pytest.approx(0, abs=1e-10)
    assert (ahead - 2 * least + behind) / 1e-6 == pytest.approx(model.precision[0, 0], rel=1e-5)


def test_energies_on_the_grid_are_minus_logarithms_of_the_posterior():
    network = _models.SmallNetwork(np.array([0.5, -1.0, 2.0]), noise=0.5, prior=1.5, side=3)
    y = np.array([[0.3, 0.7]])
    a, b = network.weights.T
    logarithms = scipy.stats.norm.logpdf(y, (a * np.tanh(b * network.x[:2, None])).T, 0.5).sum(axis=1)
    logarithms += scipy.stats.norm.logpdf(network.weights, scale=1.5).sum(axis=1)
    assert np.diff(network.energies(y)[0]) == pytest.approx(-np.diff(logarithms), rel=1e-5)


def test_moves_between_two_states():
    """From the likelier state a third of the proposals are accepted, from the other all."""
    moves = markov_chains._transitions(np.array([0.75, 0.25]), np.full((2, 2), 0.5), "printed")
    assert [moves[0, 1], moves[1, 0]] == pytest.approx([0.5 / 3, 0.5])


def test_a_proposal_without_a_way_back_is_never_accepted():
    moves = markov_chains._transitions(np.array([0.5, 0.5]), np.array([[0.0, 1.0], [0.0, 1.0]]), "printed")
    assert moves[0, 1] == 0


def test_stationary_moments_of_an_autoregression():
    matrix, offset = np.diag([0.0, 0.0, 0.5, -0.5]), np.array([0.0, 0.0, 1.0, 0.0])
    mean, second = markov_chains._stationary_moments([(matrix, offset)], noise=0.3)
    assert mean == pytest.approx([0, 0, 2, 0])
    assert np.diag(second - np.outer(mean, mean)) == pytest.approx([0, 0, 0.4, 0.4])


def test_update_by_a_gradient_that_is_read_off_at_unit_vectors(model):
    matrix, offset = markov_chains._affine_update(*markov_chains._affine_gradient(model, slice(None)), 0.1, 1.5)
    theta, v = np.array([0.3, -0.7]), np.array([1.0, 0.2])
    gradient = model.precision @ (theta - model.mean)
    expected = np.concatenate([theta + 0.1 * v, 0.85 * v - 0.1 * gradient])
    assert matrix @ np.concatenate([theta, v]) + offset == pytest.approx(expected)


def test_slope_of_the_energy_is_that_of_keras():
    curvature, theta = np.array([[2.0, 0.5], [0.5, 1.0]]), np.array([0.4, -1.2])
    slope, energy = markov_chains._slope_and_energy(theta, curvature)
    assert slope == pytest.approx(markov_chains._slope(theta, curvature))
    assert energy == pytest.approx(theta @ curvature @ theta / 2 + (theta**4).sum() / 4)


def test_average_over_the_posterior_is_a_double_integral():
    network = _models.SmallNetwork(np.array([1.0, -0.5]), noise=0.7, prior=1.5, side=101)
    average, _ = posterior._predictions(network, np.array([[0.8]]))

    def integral(factor):
        def integrand(b, a):
            logarithm = -((0.8 - a * np.tanh(b)) ** 2) / (2 * 0.7**2) - (a**2 + b**2) / (2 * 1.5**2)
            return np.exp(logarithm) * factor(a * np.tanh(-0.5 * b))

        return scipy.integrate.dblquad(integrand, -7.5, 7.5, -7.5, 7.5, epsabs=1e-8)[0]

    assert average[0] == pytest.approx(integral(lambda f: f) / integral(lambda _: 1.0), abs=1e-4)


def test_energies_of_several_parameters_at_once():
    curvature, theta = np.stack([np.eye(2), 3 * np.eye(2)]), np.array([[1.0, 0.0], [0.0, 2.0]])
    slopes, energies = markov_chains._slope_and_energy(theta, curvature)
    assert energies == pytest.approx([1 / 2 + 1 / 4, 6 + 4])
    assert slopes == pytest.approx(np.array([[2.0, 0.0], [0.0, 14.0]]))
