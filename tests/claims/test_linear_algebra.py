"""Helpers of the claims on linear algebra, against values worked out elsewhere."""

import numpy as np
import pytest

from repro import ReproError
from repro.claims.linear_algebra import _matrices, factorisations, functions, products
from repro.engine import backend

backend.configure()


@pytest.mark.parametrize(
    ("matrix", "expected"),
    [
        ([[7]], 7),
        ([[0, 1], [1, 0]], -1),
        ([[1, 2, 3], [4, 5, 6], [7, 8, 9]], 0),
        ([[1, 1, 1], [1, 2, 4], [1, 3, 9]], 2),  # Vandermonde: (2 - 1)(3 - 1)(3 - 2)
        ([[0, 2, 0], [3, 0, 0], [0, 0, 10**12]], -6 * 10**12),
    ],
)
def test_determinants_of_integers(matrix, expected):
    assert _matrices.determinant(matrix) == expected


@pytest.mark.parametrize("matrix", [[[1, 2]], [[0.5]], [1, 2]])
def test_only_squares_of_integers_have_an_exact_determinant(matrix):
    with pytest.raises(ReproError, match="square array of integers"):
        _matrices.determinant(matrix)


def test_similar_matrices_of_integers_keep_the_jordan_form():
    form = _matrices.jordan((2, 2), (-1, 1))
    assert form.tolist() == [[2, 1, 0], [0, 2, 0], [0, 0, -1]]
    similar = _matrices.similar_to(np.random.default_rng(0), form)
    assert similar == pytest.approx(np.rint(similar))
    assert [np.trace(similar), _matrices.determinant(similar)] == [3, -4]
    product = (similar - 2 * np.eye(3)) @ (similar + np.eye(3))
    assert product.any()
    assert not (product @ (similar - 2 * np.eye(3))).any()


def test_complex_entries_are_compared_by_real_and_imaginary_part():
    table = _matrices.compared(np.array([1 + 2j]), np.array([3.0]))
    assert table["computed"].tolist() == [1, 2]
    assert table["expected"].tolist() == [3, 0]


def test_adjugate_of_a_textbook():
    assert products._adjugate(np.array([[1, 2], [3, 4]])).tolist() == [[4, -2], [-3, 1]]


def test_singular_matrices_times_their_adjugate_are_zero():
    tables = list(products._complex_and_singular(np.random.default_rng(0), (3,)))
    assert tables[1]["computed"].tolist() == np.eye(3).ravel().tolist()


def test_rounding_of_the_exponential_series_grows_with_the_norm():
    small, large = (functions._rounding(np.diag([-norm, -norm / 10])) for norm in (1.0, 20.0))
    assert small["rounding_error"].item() < 1e-14
    assert 1e-12 < large["rounding_error"].item() < 1e-6


def test_splatting_adds_to_four_neighbours():
    image = products._splat(np.array([[0.25], [1.5]]), np.array([8.0]), 3)
    assert image.tolist() == [[0, 3, 3], [0, 1, 1], [0, 0, 0]]


@pytest.mark.parametrize("kind", ["periodic", "zero at the boundary", "free"])
def test_derivatives_of_random_functions_satisfy_the_divergence_theorem(kind):
    """Without a boundary term the integral of a derivative is zero."""
    function = products._function(np.random.default_rng(0), kind, degree=3)
    assert function["weights"].sum() == pytest.approx(1)
    integral = np.sum(function["weights"] * function["x"])
    assert (abs(integral) < 1e-12) == (kind != "free")


def test_elimination_and_a_missing_pivot():
    lower, upper = factorisations._eliminate(np.array([[2.0, 1.0], [4.0, 5.0]]))
    assert lower.tolist() == [[1, 0], [2, 1]]
    assert upper.tolist() == [[2, 1], [0, 3]]
    lower, upper = factorisations._eliminate(np.array([[0.0, 1.0], [1.0, 0.0]]))
    assert (lower @ upper).tolist() == [[0, 1], [0, 0]]


@pytest.mark.parametrize("equality", [False, True])
def test_dominant_matrices(equality):
    matrix = np.abs(factorisations._dominant(np.random.default_rng(0), 5, equality))
    excess = 2 * np.diag(matrix) - matrix.sum(axis=1)
    assert (excess == 0).all() if equality else (excess > 0).all()


@pytest.mark.parametrize(
    ("matrix", "norm"), [([[3.0, 0.0], [0.0, -4.0]], 4), ([[1.0, 1.0], [0.0, 1.0]], (1 + 5**0.5) / 2)]
)
def test_largest_stretch(matrix, norm):
    assert factorisations._stretch(np.array(matrix), np.array([1.0, 0.3])) == pytest.approx(norm)


def test_exponential_of_a_jordan_block():
    series, terms = functions._series(np.array([[[2.0, 2.0], [0.0, 2.0]]]), "of matrices")
    assert np.asarray(series)[0] == pytest.approx(np.exp(2) * np.array([[1, 2], [0, 1]]))
    assert 20 < terms < 40  # 2^n / n! is below 1e-18 from 27 on


def test_series_of_the_logarithm():
    sums = functions._partial_sum(np.array([[[0.5]], [[-0.5]]]), -1.0).ravel()
    assert sums == pytest.approx([np.log(1.5), np.log(0.5)])
