"""Helpers of the claims on linear models, against values worked out elsewhere."""

import numpy as np
import pytest
import scipy.special
import sklearn.linear_model

from repro.claims.linear_models import (
    _gradients,
    classifiers,
    cross_entropy,
    gaussians,
    logistic,
    posterior,
    softmax,
    squares,
    surfaces,
)
from repro.engine import backend

backend.configure()


def test_limit_is_the_pseudoinverse_of_small_matrices():
    np.testing.assert_allclose(squares._limit(np.array([[2.0]]), 9), [[0.5]], rtol=1e-10)
    np.testing.assert_allclose(squares._limit(np.ones((2, 2)), 9), np.full((2, 2), 0.25), rtol=1e-10)
    np.testing.assert_allclose(squares._limit(np.array([[1.0], [1.0]]), 1), [[1 / (2 + 2**-12)] * 2], rtol=1e-12)


def test_minimiser_of_a_parabola():
    weights = _gradients.doubles([1.0, 4.0])
    found = _gradients.minimiser_of_quadratic(lambda w: sum(weights[i] * (w[i] - 3.0) ** 2 for i in range(2)), 2)
    np.testing.assert_allclose(found, [3.0, 3.0])


@pytest.mark.parametrize("shape", [(6, 6), (20, 6), (6, 20)])
def test_ridge_is_that_of_scikit_learn(shape):
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=shape), generator.normal(size=shape[0])
    ridge = sklearn.linear_model.Ridge(alpha=shape[0] * squares.PENALTY, fit_intercept=False, solver="svd").fit(x, y)
    for found in (squares._ridge_by_keras(x, y), squares._ridge_by_rows(x, y)):
        np.testing.assert_allclose(found, ridge.coef_, rtol=1e-8)


def test_updates_of_one_record_are_those_by_hand():
    x, y, start = np.array([[[1.0, 2.0]]]), np.array([[3.0]]), np.array([[0.0, 0.0]])
    order = np.array([[0, 0]])
    expected = [[[3 / 32, 6 / 32], [3 / 32 + (3 - 15 / 32) / 32, 6 / 32 + (3 - 15 / 32) / 16]]]
    np.testing.assert_allclose(squares._updated(x, y, start, order, squares.RATE), expected)
    np.testing.assert_allclose(squares._descended(x, y, start, order), expected)


@pytest.mark.parametrize("derivative", [gaussians._complex_step, gaussians._by_autodiff])
def test_score_is_the_sum_of_deviations_over_the_variance(derivative):
    assert derivative(np.array([1.0, 2.0, 6.0]), 2.0, 0.5) == pytest.approx(12.0)


def test_likelihoods_are_highest_at_mean_and_median():
    sample = np.array([0.0, 1.0, 5.0])
    assert gaussians._most_likely(sample, 0.5, "Gaussian") == pytest.approx(2.0, abs=1e-6)
    assert gaussians._most_likely(sample, 0.5, "Laplace") == pytest.approx(1.0, abs=1e-6)


def test_gradient_of_a_record_is_its_error_times_its_inputs():
    record = np.array([[0.0, 2.0]], np.float32), np.array([[1.0]], np.float32)
    for form in ("probabilities", "scores"):
        gradient = logistic._gradient_of_record("binary_crossentropy", form, 2)
        found = np.asarray(gradient(np.array([[5.0], [0.0]], np.float32), *record))
        np.testing.assert_allclose(found[:, 0], [0.0, -1.0], atol=1e-6)  # the probability is a half


def test_least_cross_entropy_is_the_logistic_regression_of_scikit_learn():
    generator = np.random.default_rng(1)
    x = generator.normal(size=(80, 3)).astype(np.float32)
    y = (generator.uniform(size=80) < scipy.special.expit(x @ np.array([1.0, -1.0, 0.5]))).astype(int)
    regression = sklearn.linear_model.LogisticRegression(C=np.inf, fit_intercept=False, tol=1e-10, max_iter=1000)
    fitted = regression.fit(x.astype(float), y)
    np.testing.assert_allclose(cross_entropy._minimiser("cross-entropy", x, y), fitted.coef_[0], rtol=1e-4)


def test_a_single_score_is_that_of_the_second_class():
    np.testing.assert_allclose(cross_entropy._normalised(np.array([[np.log(3.0)]])), [[0.25, 0.75]])


def test_inversions_and_ties_are_counted():
    scores = np.array([[3.0, 2.0, 1.0]])
    same = softmax._compare_rankings(scores, np.array([[0.7, 0.2, 0.1]]))
    assert same == {"inversions": 0, "ties": 0, "changed_classes": 0}
    tied = softmax._compare_rankings(scores, np.array([[1.0, 0.0, 0.0]]))
    assert tied == {"inversions": 0, "ties": pytest.approx(1 / 3), "changed_classes": 0}
    inverted = softmax._compare_rankings(scores, np.array([[0.2, 0.7, 0.1]]))
    assert inverted == {"inversions": 1, "ties": 0, "changed_classes": 1}


@pytest.mark.parametrize(
    ("activation", "function"),
    [("linear", lambda a: a), ("relu", lambda a: max(a, 0.0)), ("tanh", np.tanh), ("sigmoid", scipy.special.expit)],
)
@pytest.mark.parametrize("wave", [0.0, 1.0])
def test_slope_of_a_matching_loss_is_output_minus_target(activation, function, wave):
    a, y, step = 0.7, 0.3, 2**-6
    above, below = (
        surfaces._losses(activation, "matching", np.array([[a + sign * step]]), np.array([y]), wave)[0]
        for sign in (1, -1)
    )
    output = function(a) + wave * np.sin(surfaces.FREQUENCY * a)
    assert (above - below) / (2 * step) == pytest.approx(output - y, abs=1e-3)


def test_nearest_point_of_a_line():
    np.testing.assert_allclose(classifiers._nearest(np.array([0.6, 0.8]), 2.0, np.zeros(2)), [1.2, 1.6])


def test_posterior_of_equal_deviations_is_logistic():
    joint = posterior.joint_probabilities(((-1.0, 1.0), (1.0, 1.0)))
    assert joint.sum() == pytest.approx(1)
    known = joint[:, 1] / joint.sum(axis=1)
    np.testing.assert_allclose(known, scipy.special.expit(2 * posterior.POINTS), atol=1e-4)


def test_examples_are_counted_once_and_a_fifth_is_held_out():
    for is_trial, tested in ((False, None), (True, 20)):
        drawn = posterior.Drawing("softmax", "cross-entropy", 100, is_trial)(3)
        chosen, counts, known, chance = posterior.split(drawn.y_train)
        np.testing.assert_array_equal(chosen, np.tile([1, 0, 0], (64, 1)))
        trained = counts.sum() / 64
        assert trained == pytest.approx(1, rel=1e-5)
        np.testing.assert_allclose(known.sum(axis=1), 1, rtol=1e-5)
        assert chance.mean() == pytest.approx(1, rel=1e-5)
        if tested:
            of_tests = posterior.split(drawn.y_test)[1] / 64 * tested
            np.testing.assert_allclose(of_tests, of_tests.round(), atol=1e-4)


def test_counted_loss_is_the_mean_over_examples():
    targets = np.array([[1, 0, 0, 3.0, 1.0, 0.5, 0.5, 1.0]], np.float32)  # three examples of class 0, one of class 1
    outputs = np.array([[0.2]], np.float32)
    expected = -3 * np.log(0.8) - np.log(0.2)
    assert np.asarray(posterior.chosen_loss(targets, outputs)) == pytest.approx([expected], rel=1e-5)
    assert np.asarray(posterior.posterior_error(targets, outputs)) == pytest.approx([0.3])
