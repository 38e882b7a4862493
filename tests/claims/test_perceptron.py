"""Helpers of the claims on the perceptron, against values worked out elsewhere."""

import numpy as np
import pytest

from repro.claims.perceptron import _learning, _sets, capacity, geometry, margins, neurons


@pytest.mark.parametrize(
    ("signed", "margin"),
    [
        ([[1.0, 0.0], [0.0, 1.0]], np.sqrt(0.5)),  # the hull's nearest point is their middle
        ([[3.0, 4.0]], 5.0),
        ([[1.0, 1.0], [1.0, -1.0], [5.0, 0.0]], 1.0),
    ],
)
def test_maximum_margin_is_the_distance_of_the_hull_from_the_origin(signed, margin):
    found, direction = _sets.maximum_margin(np.array(signed))
    assert found == pytest.approx(margin)
    assert np.linalg.norm(direction) == pytest.approx(1)


def test_points_around_the_origin_are_not_separable():
    assert not _sets.separable(np.array([[1.0, 0.0], [-1.0, 1.0], [-1.0, -1.0]]))
    assert not _sets.separable(np.array([[1.0, 0.0], [-1.0, 0.0]]))
    assert _sets.separable(np.array([[1.0, 0.0], [-1.0, 1.0]]))


def test_the_sum_of_orthogonal_points_separates_them_with_the_largest_margin():
    points = _sets.orthogonal_set(np.random.default_rng(0), dimension=5, norm=3.0)
    assert points @ points.T == pytest.approx(9 * np.eye(5), abs=1e-12)
    labels = np.array([1, -1, 1, 1, -1])
    found, direction = _sets.maximum_margin(points * labels[:, None])
    assert found == pytest.approx(3 / np.sqrt(5))
    assert direction == pytest.approx((points * labels[:, None]).sum(axis=0) / (3 * np.sqrt(5)))


def test_largest_separable_start_of_a_sequence():
    signed = np.array([[1.0, 0.0], [0.0, 1.0], [1.0, 1.0], [-1.0, -1.0], [1.0, 0.0]])
    assert capacity._largest_separable(signed) == 3


@pytest.mark.parametrize(
    ("points", "dimension", "number"),
    [(2, 2, 4), (3, 2, 6), (4, 2, 8), (4, 3, 14), (5, 3, 22)],  # 14 of 16 but XOR and its mirror
)
def test_separable_labellings_are_those_of_covers_table(points, dimension, number):
    x = np.random.default_rng(points).normal(size=(points, dimension))
    assert capacity._cover(points, dimension) == number
    assert capacity._separable_labellings(x) == number


def test_random_labels_in_a_subspace_of_half_the_dimension_are_separable_for_half_as_many_points():
    options = {"dimensions": (20,), "labellings": 100}
    places = [
        capacity.cover_transition([0, 1], subspace=subspace, **options)["half_point"].mean() for subspace in (1.0, 0.5)
    ]
    assert places == pytest.approx([2.0, 1.0], abs=0.15)


def test_share_of_separable_sequences_is_interpolated():
    largest = [2, 3, 3, 4]  # shares at 2, 3, 4, 5 points: 1, 3/4, 1/4, 0
    assert capacity._crossing(largest, 6, 0.75) == pytest.approx(3)
    assert capacity._crossing(largest, 6, 0.5) == pytest.approx(3.5)
    assert capacity._crossing(largest, 6, 0.25) == pytest.approx(4)


def test_epochs_with_mistakes_are_counted():
    assert _learning.count_epochs(np.array([[1.0, 0.0]]), np.array([1.0, 0.0])) == 1
    assert _learning.count_epochs(np.array([[1.0, 0.0]]), np.array([-1.5, 0.0])) == 2


def test_rounds_on_the_worst_mistake_do_not_depend_on_the_order():
    points, start = np.array([[1.0, 0.0], [0.0, 1.0], [-0.5, 2.0]]), np.array([-2.5, -0.5])
    assert _learning.count_rounds(points, start) == pytest.approx(5 / 3)  # the first twice, the third, the first twice
    assert _learning.count_rounds(points[::-1], start) == pytest.approx(5 / 3)
    assert _learning.count_rounds(points, np.array([1.0, 1.0])) == pytest.approx(1 / 3)


@pytest.mark.parametrize("order", ["cyclic", "worst first"])
def test_orthogonal_points_are_mistakes_once_each(order):
    points = _sets.orthogonal_set(np.random.default_rng(0), dimension=5, norm=3.0)
    assert _learning.count_updates(points, order, at_most=10) == 5
    assert len(_learning.trajectory(points)) == 5


def test_fewest_mistakes_of_any_line():
    square = np.array([[-1.0, -1.0], [-1.0, 1.0], [1.0, -1.0], [1.0, 1.0]])
    assert neurons._least_mistakes(square, np.array([-1, 1, 1, -1])) == 1
    assert neurons._least_mistakes(square, np.array([-1, 1, 1, 1])) == 0


def test_keras_descends_on_the_loss_of_the_perceptron_by_hebbian_updates():
    x, t = np.array([[[1.0, 2.0], [3.0, -1.0]]]), np.array([[1.0, -1.0]])
    start = np.array([[0.0, -1.0, 0.0]])  # wrong for the first point alone, right for the second after the first step
    expected = [[[0.5, -0.5, 1.0], [0.0, -2.0, 1.5]]]
    assert geometry._hebbian_run(x, t, start) == pytest.approx(np.array([[[0.5, -0.5, 1.0], [0.5, -0.5, 1.0]]]))
    assert geometry._keras_run(x, t, start, "misclassified") == pytest.approx(geometry._hebbian_run(x, t, start))
    assert geometry._keras_run(x, t, start, "all points") == pytest.approx(np.array(expected))


def test_logistic_regression_on_two_points_tends_to_their_bisector():
    """By symmetry from the start on, and in the limit from any start (Soudry et al. 2018)."""
    sets, start = np.array([[[1.0, 0.0], [0.0, 1.0]]] * 2), np.array([[0.0, 0.0], [3.0, -1.0]])
    found = margins._logistic_regressions(sets, start, (10, 20), 200)
    assert list(found) == ["10 steps", "20 steps", margins.LIMIT]
    directions = {name: w / np.linalg.norm(w, axis=1, keepdims=True) for name, w in found.items()}
    assert directions["10 steps"][0] == pytest.approx([0.5**0.5] * 2)
    assert directions["10 steps"][1] != pytest.approx([0.5**0.5] * 2, abs=0.1)
    assert directions[margins.LIMIT] == pytest.approx(np.full((2, 2), 0.5**0.5), abs=0.05)


def test_nearest_point_of_a_hyperplane():
    w = np.array([-10.0, 3.0, 4.0])  # 3 x + 4 y = 10, two from the origin
    nearest = geometry._nearest(w, np.array([[0.0, 0.0], [4.2, 5.6]]))
    assert nearest == pytest.approx(np.array([[1.2, 1.6], [1.2, 1.6]]))


def test_summed_distance_is_that_of_misclassified_points():
    w, x = np.array([0.0, 0.0, 2.0]), np.array([[5.0, 1.0], [0.0, -3.0], [1.0, 4.0]])
    assert geometry._summed_distance(w, x, np.array([1.0, 1.0, -1.0])) == pytest.approx(7)
