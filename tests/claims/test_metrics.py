"""Helpers of the claims on metrics, against values worked out elsewhere."""

import numpy as np
import pytest

from repro.claims.metrics import overlap, ranking, rates
from repro.engine import backend

backend.configure()


def test_derivatives_of_the_f_score():
    """F is 2 p r / (p + r) for beta one: the derivative by p is 2 r^2 / (p + r)^2."""
    by_precision, by_recall = rates._derivatives(1.0, 0.4, 0.6)
    assert by_precision == pytest.approx(2 * 0.36)
    assert by_recall == pytest.approx(2 * 0.16)


def test_rates_of_a_small_table():
    labels, scores = np.array([1, 1, 0, 0]), np.array([0.9, 0.3, 0.6, 0.1])
    found = rates._rates(labels, scores, [0.95, 0.5, 0.2])
    assert found == pytest.approx(np.array([[0, 0.5, 1], [0, 0.5, 0.5]]))


def test_threshold_for_a_low_accuracy():
    labels, scores = np.array([0, 0, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4])
    assert rates._threshold(labels, scores, "too low", 0.5) == pytest.approx(0.15)
    assert rates._threshold(labels, scores, "too high", 0.5) == pytest.approx(0.7)  # three of four are right


def test_area_of_four_records():
    assert ranking._area(np.array([0, 1, 0, 1]), np.array([0.1, 0.2, 0.3, 0.4])) == pytest.approx(0.75)
    assert ranking._area(np.array([0, 1]), np.array([0.2, 0.2])) == pytest.approx(0.5)
    # Of six pairs four are in order and one is tied.
    assert ranking._area(np.array([0, 1, 1, 0, 1]), np.array([0.2, 0.2, 1.0, 0.4, 0.7])) == pytest.approx(4.5 / 6)


def test_counts_of_two_masks():
    true, predicted = np.array([[1, 1], [0, 0]]), np.array([[1, 0], [1, 0]])
    assert overlap._counts(true, predicted) == (1, 1, 1)
    assert overlap._sets(true, predicted) == [{0, 1}, {0, 2}]
