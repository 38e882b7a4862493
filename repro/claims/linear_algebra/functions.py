"""Exponential and logarithm of matrices."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Identity, claim, notes
from repro.claims.linear_algebra._matrices import compared, jordan, orthogonal, with_spectrum

with epy.lazy_imports():
    import keras
    import scipy.integrate
    import scipy.linalg

TERMS = 200
# Distances of numbers from one, and eigenvalues of A - I, on both sides of the radius of convergence.
DISTANCES, NUMBERS, EIGENVALUES = ("below one", "above one"), ((0.0, 0.85), (1.2, 3.0)), ((-0.8, 0.8), (1.2, 2.0))


@claim(
    r"$\log(A B) = \log A + \log B$.",
    source=notes("1.10"),
    kind="formula",
    scope="a rule for matrices, printed without a condition: whether they commute and are positive definite is left "
    "open",
    left_open=("pair",),
    literature="Higham 2008, theorem 11.3, and Aprahamian and Higham 2014: for matrices that commute, if the arguments "
    "of eigenvalues that belong to one eigenvector add up to less than pi in size",
    criterion=Identity("computed", "expected", operations=10**5, each=("pair",)),
    boundary=Boundary(
        "for matrices that commute, if the angles of eigenvalues that belong together add up to less than half a turn, "
        "as for positive definite ones",
        holds="pair not in ('not commuting, definite', 'rotations by more than half a turn in all')",
        assumption="Higham 2008, theorem 11.3",
    ),
    full={"size": 20},
)
def log_of_product(seed, *, size=4):
    """Compares SciPy's logarithm of a product with the sum of logarithms by Keras' eigenvalues and eigenvectors.

    Pairs: positive numbers; symmetric positive definite matrices with the same eigenvectors, and with others, whose
    eigenvalues are from a third to three; and rotations of the plane, which commute but are not symmetric: by angles
    from 0.4 to 1.5, and from 1.7 to 3, where the principal logarithm of their product has another angle than the sum,
    by a whole turn. Column "commutator" has the norm of A B - B A relative to that of A B. Already in two dimensions, A
    = diag(1, 4) and B = [[2, 1], [1, 2]] have logarithms whose sum, which is symmetric, cannot be that of A B, which is
    not.
    """
    generator = np.random.default_rng(seed)

    def eigenvalues():
        return np.exp(generator.uniform(-np.log(3), np.log(3), size=size))

    basis, _ = orthogonal(generator, size)
    narrow, wide = generator.uniform(0.4, 1.5, size=2), generator.uniform(1.7, 3, size=2)
    pairs = {
        "positive numbers": [np.array([[eigenvalues()[0]]]) for _ in range(2)],
        "commuting, definite": [basis * eigenvalues() @ basis.T for _ in range(2)],
        "not commuting, definite": [with_spectrum(generator, eigenvalues()) for _ in range(2)],
        "rotations by less than half a turn in all": [_rotation(angle) for angle in narrow],
        "rotations by more than half a turn in all": [_rotation(angle) for angle in wide],
    }
    tables = []
    for pair, (a, b) in pairs.items():
        product = a @ b
        commutator = np.linalg.norm(product - b @ a) / np.linalg.norm(product)
        labels = {"pair": pair, "commutator": commutator}
        tables.append(compared(scipy.linalg.logm(product), _logarithm(a) + _logarithm(b), **labels))
    return pd.concat(tables, ignore_index=True)


def _rotation(angle):
    return np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])


def _logarithm(matrix):
    """Principal logarithm of a diagonalisable matrix, by its eigenvalues and eigenvectors."""
    if np.allclose(matrix, matrix.T):
        values, vectors = (keras.ops.convert_to_numpy(part) for part in keras.ops.eigh((matrix + matrix.T) / 2))
        return vectors * np.log(values) @ vectors.T
    values, vectors = (keras.ops.convert_to_numpy(part) for part in keras.ops.eig(matrix))
    return np.linalg.solve(vectors.T, (vectors * np.log(values)).T).T


@claim(
    r"$f(t) = e^{A t} c$ solves $f'(t) = A f(t)$, with the power series $e^{A t} = \sum_i A^i t^i / i!$.",
    source=notes("1.11"),
    kind="formula",
    scope="real square A, f(t) a vector",
    literature="Higham 2008, section 2.1; Moler and Van Loan 2003 on the rounding of the series",
    criterion=AllOf(
        solution=Identity("computed", "expected", operations=10**6, where={"route": "integrator"}),
        exponential=Identity("computed", "expected", operations=10**4, where={"route": "Padé"}),
    ),
    full={"size": 20},
    control={"powers": "entry by entry"},
)
def exponential_solves_ode(seed, *, powers="of matrices", size=4, times=(0.25, 1.0, 2.0)):
    """Compares the series, summed by Keras, with an integrator of the equation and with SciPy's exponential.

    Normal matrices of spectral norm one to two, a defective Jordan block, a rotation and a nilpotent matrix; c is
    normal. The integrator is SciPy's DOP853 at relative tolerance 1e-13, the exponential its Padé approximant with
    scaling and squaring. Column "terms" has how many terms were summed until they were below 1e-18 for all matrices.
    Norms of A t are below five: in double precision the series has an error of about 1e-16 e^|A t|, which is a matter
    of rounding, not of the formula. Rows "large norm" have it, relative to the exponential, and that estimate for
    symmetric negative definite matrices of norm 5, 15 and 25. The control takes powers of entries in place of powers of
    the matrix.
    """
    generator = np.random.default_rng(seed)
    random, turn = generator.normal(size=(size, size)), np.array([[0.0, -1.0], [1.0, 0.0]])
    kinds = {
        "random": random / np.linalg.norm(random, 2) * generator.uniform(1, 2),
        "defective": jordan((0, size)) + generator.uniform(-1, 0.5) * np.eye(size),
        "rotation": np.kron(np.eye(size // 2), turn) * generator.uniform(1, 2),
        "nilpotent": np.triu(random, 1) / np.linalg.norm(np.triu(random, 1), 2) * generator.uniform(1, 2),
    }
    matrices, c = np.stack(list(kinds.values())), generator.normal(size=(len(kinds), size))
    solution, start, tables = c, 0.0, []
    for time in times:
        series, terms = _series(matrices * time, powers)
        by_series = keras.ops.convert_to_numpy(keras.ops.matmul(series, c[:, :, None]))[..., 0]
        solution = _integrate(matrices, solution, time - start)
        start = time
        for place, kind in enumerate(kinds):
            labels = {"kind": kind, "time": time, "terms": terms}
            tables.append(compared(by_series[place], solution[place], route="integrator", **labels))
            exact = scipy.linalg.expm(matrices[place] * time)
            tables.append(compared(series[place], exact, route="Padé", **labels))
    if powers == "of matrices":
        large = [with_spectrum(generator, -norm * np.linspace(0.1, 1, size)) for norm in (5.0, 15.0, 25.0)]
        tables += [_rounding(matrix) for matrix in large]
    return pd.concat(tables, ignore_index=True)


def _rounding(matrix):
    """Row with the error of the series for a matrix, relative to its exponential, and with the estimate of it."""
    norm, exact = np.linalg.norm(matrix, 2), scipy.linalg.expm(matrix)
    series = keras.ops.convert_to_numpy(_series(matrix[None], "of matrices")[0])[0]
    errors = {"rounding_error": np.linalg.norm(series - exact, 2), "estimate": 1e-16 * np.exp(norm)}
    relative = {name: error / np.linalg.norm(exact, 2) for name, error in errors.items()}
    return pd.DataFrame([{"route": "large norm", "norm": norm, **relative}])


def _integrate(matrices, start, time):
    """Solutions [matrices, size] of f' = A f after a time, by SciPy."""

    def derivative(_, f):
        return np.einsum("kij,kj->ki", matrices, f.reshape(start.shape)).ravel()

    solved = scipy.integrate.solve_ivp(derivative, (0, time), start.ravel(), method="DOP853", rtol=1e-13, atol=1e-15)
    return solved.y[:, -1].reshape(start.shape)


def _series(matrices, powers):
    """Sum of the exponential's power series by Keras for a batch of matrices, and the number of its terms."""
    ops, step = keras.ops, keras.ops.matmul if powers == "of matrices" else keras.ops.multiply
    first = np.eye(matrices.shape[-1]) if powers == "of matrices" else np.ones(matrices.shape[1:])
    term = total = ops.convert_to_tensor(np.broadcast_to(first, matrices.shape))
    count = 0
    while float(ops.max(ops.abs(term))) > 1e-18:
        count += 1
        term = step(term, matrices) / count
        total = total + term
    return total, count


@claim(
    r"$\ln(a) = \sum_i (-1)^{i+1} (a - 1)^i / i$ defines the logarithm on the real numbers, and "
    r"$\ln(A) = \sum_i (-1)^{i+1} (A - I)^i / i$ that of square matrices.",
    source=notes("Definitions 1.9-1.10"),
    kind="formula",
    scope="printed on all of R and of R^(n x n), without a radius of convergence",
    left_open=("distance",),
    literature="Higham 2008, section 11.3 (Mercator's series): it converges if the spectral radius of A - I is below "
    "one",
    criterion=AllOf(
        number=Identity("computed", "expected", operations=10**4, each=("distance",), where={"of": "number"}),
        matrix=Identity("computed", "expected", operations=10**6, each=("distance",), where={"of": "matrix"}),
    ),
    boundary=Boundary(
        "where a, or every eigenvalue of A, lies within a distance of one of the number 1",
        holds="distance == 'below one'",
        assumption="Higham 2008, section 11.3",
    ),
    control={"sign": 1.0},
)
def logarithm_series(seed, *, sign=-1.0, numbers=20, matrices=5, size=4):
    """Compares sums of the first 200 terms, by Keras, with the logarithms of NumPy and SciPy.

    Numbers whose distance from one is from 0 to 0.85, and from 1.2 to 3 on either side: below zero the real part of the
    logarithm stands for it. Matrices are upper triangular in a random orthogonal basis with entries of norm about four
    above the diagonal, so that the norm of A - I is above one; eigenvalues are nearer to one than 0.8, or 1.2 to 2
    above it, where SciPy finds the logarithm without difficulty. At a distance of exactly one the series converges for
    a = 2 alone, too slowly to be summed. The 200th term is 4e-17 at a distance of 0.85, and 3e13 at 1.2. The control
    has all terms positive.
    """
    generator = np.random.default_rng(seed)
    offsets = [generator.choice([-1.0, 1.0], size=numbers) * generator.uniform(*ends, size=numbers) for ends in NUMBERS]
    by_series = _partial_sum(np.concatenate(offsets)[:, None, None], sign).reshape(2, numbers)
    tables = []
    for distance, offset, series in zip(DISTANCES, offsets, by_series, strict=True):
        tables.append(compared(series, np.log(np.abs(1 + offset)), of="number", distance=distance))
    offsets = [_triangular(generator, size, *ends) for ends in EIGENVALUES for _ in range(matrices)]
    for place, series in enumerate(_partial_sum(np.stack(offsets), sign)):
        exact = scipy.linalg.logm(np.eye(size) + offsets[place])
        tables.append(compared(series, exact, of="matrix", distance=DISTANCES[place // matrices]))
    return pd.concat(tables, ignore_index=True)


def _triangular(generator, size, least, most):
    """Matrix with eigenvalues from a range, far from normal: triangular in a random orthogonal basis."""
    basis, _ = orthogonal(generator, size)
    form = np.triu(generator.normal(scale=1.5, size=(size, size)), 1)
    return basis @ (form + np.diag(generator.uniform(least, most, size=size))) @ basis.T


def _partial_sum(offsets, sign):
    """Sum of the first terms of the series of the logarithm, by Keras, for a batch of matrices A - I."""
    powers = keras.ops.convert_to_tensor(offsets)[None]
    while len(powers) < TERMS:  # the second half of the powers is the first half times the last of it
        powers = keras.ops.concatenate([powers, keras.ops.matmul(powers, powers[-1])])
    count = np.arange(1, TERMS + 1.0)[:, None, None, None]
    return keras.ops.convert_to_numpy(keras.ops.sum(powers[:TERMS] * (sign ** (count + 1) / count), axis=0))
