"""Helpers of the claims on generalisation, against values worked out elsewhere."""

import numpy as np
import pytest
import sklearn.linear_model
import sklearn.model_selection

from repro.claims.generalization import learning_theory, overfitting, pac_bayes, resampling


@pytest.mark.parametrize(
    ("losses", "patience", "place"),
    [
        ([3, 2, 1, 2, 0], 0, 2),
        ([3, 2, 1, 2, 0], 1, 4),
        ([3, 2, 1, 2, 2, 0], 1, 2),
        ([1, 1, 0], 0, 0),
        ([3, 2, 1], 0, 2),
    ],
)
def test_stopping_place_is_the_last_minimum_before_patience_runs_out(losses, patience, place):
    assert overfitting.stopping_place(np.array(losses), patience) == place


def test_fold_errors_are_those_of_separate_fits():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(40, 6)), generator.choice([-1.0, 1.0], size=40)
    order = generator.permutation(40)
    expected = []
    for fold in range(5):
        held_out = order[fold::5]
        rest = np.setdiff1d(order, held_out)
        ridge = sklearn.linear_model.Ridge(alpha=0.1, fit_intercept=False).fit(x[rest], y[rest])
        expected.append(np.mean(np.sign(ridge.predict(x[held_out])) != y[held_out]))
    np.testing.assert_allclose(resampling._fold_errors(x, y, order[None], 5)[0], expected)


def test_squared_error_of_folds_is_that_of_scikit_learn():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(50, 5)), generator.normal(size=50)
    scores = sklearn.model_selection.cross_val_score(
        sklearn.linear_model.LinearRegression(fit_intercept=False), x, y, cv=10, scoring="neg_mean_squared_error"
    )
    np.testing.assert_allclose(resampling._folded(x, y, 10), -scores.mean())


def test_strata_are_dealt_out_equally():
    strata = np.repeat([0, 1], [80, 20])
    order = resampling._by_strata(np.random.default_rng(0), strata, 3)
    assert sorted(order[0]) == list(range(100))
    for fold in range(5):
        np.testing.assert_array_equal(strata[order[:, fold::5]].sum(axis=1), 4)


@pytest.mark.parametrize(
    ("points", "shattered"),
    [
        ([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0]], True),
        ([[0.0, 0.0], [1.0, 0.0], [2.0, 0.0]], False),  # the middle one of three on a line
        ([[0.0, 0.0], [1.0, 0.0], [0.0, 1.0], [1.0, 1.0]], False),  # exclusive or
    ],
)
def test_half_planes_shatter_triangles_alone(points, shattered):
    assert learning_theory._is_shattered(np.array(points), threshold=True) is shattered


def test_gaps_vanish_on_average_for_a_distribution_that_knows_no_data():
    expected, empirical = pac_bayes._errors(np.random.default_rng(0), size=50, samples=4000)
    gap, divergence = pac_bayes._gibbs(expected, empirical, sharpness=0.0)
    np.testing.assert_allclose(divergence, 0, atol=1e-12)
    assert abs(gap.mean()) < 4 * gap.std() / np.sqrt(len(gap))
