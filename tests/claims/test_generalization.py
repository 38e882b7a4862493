"""Helpers of the claims on generalisation, against values worked out elsewhere."""

from types import SimpleNamespace

import numpy as np
import pandas as pd
import pytest
import scipy.stats
import sklearn.linear_model
import sklearn.model_selection

from repro.claims.generalization import (
    dimension,
    double_descent,
    flat_minima,
    learning_theory,
    overfitting,
    pac_bayes,
    resampling,
)
from repro.claims.generalization._examples import FewExamples


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
    np.testing.assert_allclose(resampling._shares_of_mistakes(x, y, order[None], 5)[0], expected)


def test_squared_errors_of_folds_are_those_of_scikit_learn():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(50, 5)), generator.normal(size=50)
    scores = sklearn.model_selection.cross_validate(
        sklearn.linear_model.LinearRegression(fit_intercept=False),
        x,
        y,
        cv=10,
        scoring="neg_mean_squared_error",
        return_train_score=True,
    )
    held_out, fitted, unseen, _ = resampling.fold_errors(x[None], y[None], 10)
    model = sklearn.linear_model.LinearRegression(fit_intercept=False).fit(x[5:], y[5:])
    assert unseen[0, 0] == pytest.approx(1 + np.square(model.coef_).sum())
    np.testing.assert_allclose(held_out[0], -scores["test_score"])
    np.testing.assert_allclose(fitted[0], -scores["train_score"])


def test_errors_of_least_squares_have_their_expected_value():
    generator = np.random.default_rng(0)
    x, y = generator.normal(size=(20_000, 12, 3)), generator.normal(size=(20_000, 12))
    weights = np.linalg.solve(x.mT @ x, x.mT @ y[..., None])[..., 0]
    assert 1 + np.square(weights).sum(axis=1).mean() == pytest.approx(resampling.expected_error(12, 3), rel=0.02)


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


def test_errors_on_samples_are_those_expected_on_average():
    expected, empirical = pac_bayes._errors(np.random.default_rng(0), size=50, samples=4000)
    np.testing.assert_allclose(empirical.mean(axis=0), expected, atol=4 * 0.5 / np.sqrt(50 * 4000))


@pytest.mark.parametrize(("size", "logarithm"), [(24, pac_bayes.FORMS[0]), (2400, pac_bayes.FORMS[1])])
def test_bound_is_violated_as_often_as_by_a_normal_gap(size, logarithm):
    # the mistake of a random threshold is min(x, 1 - x), and where a label is wrong max(x, 1 - x)
    variance = 0.8 / 12 + 0.2 * 7 / 12 - 0.35**2
    root = {24: 2 * np.sqrt(24 * 0.01), 2400: 2 * np.sqrt(2400) * 0.01}[size]
    expected = scipy.stats.norm.sf(np.sqrt(-2 * np.log(root) / variance))
    table = pac_bayes.pac_bayes_bound([0], sizes=(size,), confidences=(0.01,), temperatures=(0.0,))
    share = table.set_index("logarithm")["share"][logarithm]
    assert share == pytest.approx(expected, rel=0.15)
    assert share > 10 * 0.01


def test_one_draw_is_evaluated_at_the_weights_that_it_was_trained_at():
    inputs = np.random.default_rng(0).normal(size=(3, 5)).astype(np.float32)
    options = {"inputs": 5, "width": 4, "examples": 100, "penalised": 0.0}
    for switches, is_alike in (({"anew": 0.0, "kept": 1.0}, True), ({"anew": 1.0, "kept": 0.0}, False)):
        network = flat_minima.bound_network(**options, **switches)
        training, evaluated = (np.asarray(network(inputs, training=mode)) for mode in (True, False))
        assert np.allclose(training, evaluated[:, : flat_minima.CLASSES], atol=1e-5) is is_alike


def test_gap_of_tables_is_that_of_enumerated_errors():
    gap, divergence = pac_bayes._tables(np.random.default_rng(0), size=1, samples=1000)
    # one input and one label: its bit is right with probability 1 / (1 + exp(-1))
    right = 1 / (1 + np.exp(-1))
    of_wrong_label, of_right_label = (0.8 * right + 0.2 * (1 - right)), (0.8 * (1 - right) + 0.2 * right)
    np.testing.assert_allclose(
        np.unique(gap.round(9)),
        sorted({round(of_right_label - (1 - right), 9), round(of_wrong_label - (1 - right), 9)}),
    )
    np.testing.assert_allclose(divergence, np.log(2) + right * np.log(right) + (1 - right) * np.log(1 - right))


def test_unstructured_inputs_have_to_be_seen_by_half():
    generator = np.random.default_rng(0)
    needed = [dimension._needed(generator, "nearest neighbour", "without structure", 8, 8) for _ in range(20)]
    assert np.median(needed) == pytest.approx(2**8 * np.log(2), rel=0.25)


def test_few_examples_have_the_error_of_trunk():
    features = np.arange(1, 101)
    signal = (1 / features).sum()
    theory = scipy.stats.norm.cdf(-signal / np.sqrt((1 + 1 / 20) * signal + 100 / 20))
    draw = FewExamples(100, 100, 20, 500, 20, 0.5)
    errors = [dimension._nearer_mean_error(draw(seed)) for seed in range(200)]
    assert np.mean(errors) == pytest.approx(theory, rel=0.2)


def test_examples_left_out_of_use_are_noughts():
    few, every = (FewExamples(used, 50, 10, 10, 20, 0.5)(3) for used in (20, 50))
    np.testing.assert_array_equal(few.x_train[:, :20], every.x_train[:, :20])
    assert not few.x_test[:, 20:].any()


@pytest.mark.parametrize("ridge", [0.0, 0.5])
def test_wide_features_have_the_errors_of_narrow_ones(monkeypatch, ridge):
    generator = np.random.default_rng(0)
    chosen = SimpleNamespace(
        x_train=generator.normal(size=(20, 6)).astype(np.float32),
        y_train=generator.normal(size=(20, 3)),
        x_test=generator.normal(size=(30, 6)).astype(np.float32),
        y_test=generator.normal(size=(30, 3)),
    )
    means = []
    for wide in (100, 1):
        monkeypatch.setattr(double_descent, "WIDE", wide)
        errors = [
            double_descent._least_squares_errors(np.random.default_rng(draw), chosen, 400, ridge) for draw in range(40)
        ]
        means.append(np.mean(errors, axis=0))
    np.testing.assert_allclose(means[1], means[0], rtol=0.05, atol=1e-6)


def test_leave_one_out_is_unbiased_for_one_example_fewer():
    claim = resampling.leave_one_out_unbiased
    table = claim(range(13), drawn=50_000)
    verdict = claim.judge(table)
    assert verdict.status == "conditional"
    assert verdict.boundary_found
    assert claim.rival.criterion(table, kind="theorem").status == "refuted"


def test_control_of_falling_training_error_has_the_cells_of_the_claim():
    steps = np.arange(1, 401)
    losses = {"train_loss": np.exp(-steps / 100), "future_loss": 1 + (steps / 400 - 0.1) ** 2}
    records = pd.concat(
        pd.DataFrame({"seed": seed, "descent": descent, "rate": 0.3, "step": steps, **losses})
        for seed in range(13)
        for descent in ("whole set", "stochastic")
    )
    claim = overfitting.training_error_falls
    own, control = (claim.criterion(claim.function(records, share=share)) for share in (1.0, 0.05))
    assert own.status == "reproduced"
    assert control.status == "conditional"  # the training error falls, and nothing has degraded by then
    assert [cell.name for cell in own.cells] == [cell.name for cell in control.cells]
