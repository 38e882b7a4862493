"""Matrices of which something is known exactly, and tables that compare two arrays entry by entry."""

from __future__ import annotations

import numpy as np
import pandas as pd

from repro import ReproError


def compared(computed, expected, **labels):
    """Table of the entries of two arrays, complex ones by real and imaginary part, in columns of these names.

    Args:
        computed: Array or tensor.
        expected: Another one of the same shape.
        **labels: Further columns, constant in the table.
    """
    sides = [np.asarray(side) for side in (computed, expected)]
    if any(np.iscomplexobj(side) for side in sides):
        sides = [np.stack([side.real, side.imag]) for side in sides]
    return pd.DataFrame({**labels, "computed": sides[0].ravel(), "expected": sides[1].ravel()})


def determinant(matrix):
    """Determinant of a matrix of integers, exactly, by Bareiss' elimination without fractions (1968).

    Args:
        matrix: Square array of integers, of any type.

    Raises:
        ReproError: the array is not square, or an entry is no integer.
    """
    values = np.asarray(matrix)
    if values.ndim != 2 or values.shape[0] != values.shape[1] or not np.array_equal(values, np.rint(values)):
        raise ReproError(f"determinant takes a square array of integers, not {values.tolist()}")
    rows, size, sign, divisor = [[int(entry) for entry in row] for row in values], len(values), 1, 1
    for step in range(size - 1):
        pivot = next((row for row in range(step, size) if rows[row][step]), None)
        if pivot is None:
            return 0
        if pivot != step:
            rows[step], rows[pivot], sign = rows[pivot], rows[step], -sign
        for row in range(step + 1, size):
            for column in range(step + 1, size):
                product = rows[row][column] * rows[step][step] - rows[row][step] * rows[step][column]
                rows[row][column] = product // divisor
        divisor = rows[step][step]
    return sign * rows[-1][-1] if size else 1


def integers(generator, size, largest=3):
    """Invertible matrix [size, size] of integers up to a largest one in size."""
    while True:
        matrix = generator.integers(-largest, largest, endpoint=True, size=(size, size))
        if determinant(matrix):
            return matrix.astype(float)


def unimodular(generator, size):
    """Matrix [size, size] of integers with determinant one, and its inverse, of integers too."""
    lower, upper = (np.tril(generator.integers(-1, 2, size=(size, size)), -1) + np.eye(size) for _ in range(2))
    matrix = lower @ upper.T
    return matrix, np.rint(np.linalg.inv(matrix))


def similar_to(generator, form):
    """Matrix of integers that is similar to a given one of integers, such as a Jordan form."""
    change, inverse = unimodular(generator, len(form))
    return change @ form @ inverse


def jordan(*blocks):
    """Jordan form with blocks that are given by eigenvalue and size."""
    total = sum(size for _, size in blocks)
    form, start = np.zeros((total, total)), 0
    for eigenvalue, size in blocks:
        place = slice(start, start + size)
        form[place, place] = eigenvalue * np.eye(size) + np.eye(size, k=1)
        start += size
    return form


def orthogonal(generator, size):
    """Product of reflections at random hyperplanes, and its determinant: one more reflection turns the sign."""
    reflections = size - int(generator.integers(2))
    matrix = np.eye(size)
    for _ in range(reflections):
        normal = generator.normal(size=size)
        normal /= np.linalg.norm(normal)
        matrix = matrix - 2 * np.outer(matrix @ normal, normal)
    return matrix, (-1.0) ** reflections


def with_spectrum(generator, eigenvalues):
    """Symmetric matrix with given eigenvalues, in a random orthogonal basis."""
    basis, _ = orthogonal(generator, len(eigenvalues))
    matrix = basis * np.asarray(eigenvalues) @ basis.T
    return (matrix + matrix.T) / 2
