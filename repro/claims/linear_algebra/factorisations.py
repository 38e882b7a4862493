"""Cholesky, LU and singular value decompositions, and what they are used for."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, Boundary, Identity, Rival, cheatsheet, claim, notes
from repro.claims.linear_algebra._matrices import compared, determinant, with_spectrum

with epy.lazy_imports():
    import keras
    import PIL.Image
    import scipy.linalg
    import scipy.optimize
    import sklearn.datasets


def _property(name, operations=10**4):
    return Identity("computed", "expected", operations=operations, where={"property": name})


@claim(
    "A symmetric positive definite matrix is $L L^T$ with one lower triangular $L$ of positive diagonal; an invertible "
    r"one with $|A_{ii}| \geq \sum_{j \neq i} |A_{ij}|$ is $L U$; each solves $A x = b$ by one forward and one "
    "backward substitution.",
    source=(
        notes("Definitions 1.11-1.12", parts=("cholesky", "unique", "positive_diagonal", "lu")),
        notes("Remarks 1.8-1.9", parts=("solution",)),
    ),
    kind="theorem",
    scope="dominance by rows, equality included; LU without exchange of rows",
    literature="Golub and Van Loan 2013, theorems 4.2.7 and 3.2.1; section 4.1.1: a Schur complement of a dominant "
    "matrix is dominant",
    criterion=AllOf(
        cholesky=_property("Cholesky"),
        unique=_property("unique", 10**6),
        positive_diagonal=AtLeast("diagonal", bound="least", where={"property": "diagonal"}),
        lu=_property("LU"),
        no_exchange=_property("pivots"),
        solution=_property("solution", 10**6),
    ),
    full={"size": 40},
    control={"dominant": False},
)
def cholesky_and_lu(seed, *, dominant=True, size=6):
    """Factorises, multiplies again and solves: by Keras' Cholesky and substitutions, and by elimination in NumPy.

    Gram matrices of normal ones plus a tenth of the identity. The second route to L is the triangle of a QR
    decomposition of another factor, the symmetric root, with signs that make its diagonal positive: the same matrix, as
    L is unique; no entry of its diagonal is below the root of the least eigenvalue. Dominant matrices are of integers:
    strictly dominant ones, and ones with equality in every row that are invertible nevertheless, by an exact
    determinant; elimination goes without exchange of rows. Keras' LU decomposition, which looks for the largest pivot,
    is that of the transpose of a strictly dominant one, where no exchange is called for: its triangles, transposed, are
    those of the matrix. Right sides are A x of a random x, with which both solutions are compared. The control sets the
    first entry of the dominant matrices to zero and keeps them invertible: there is no first pivot, and what
    elimination would divide by it is left at zero.
    """
    generator, ops = np.random.default_rng(seed), keras.ops
    factor = generator.normal(size=(size, size))
    a = factor.T @ factor + 0.1 * np.eye(size)
    lower = ops.cholesky(a)
    values, vectors = np.linalg.eigh(a)
    triangle = np.linalg.qr(np.sqrt(values)[:, None] * vectors.T)[1]
    second = (triangle * np.sign(np.diag(triangle))[:, None]).T
    tables = [
        compared(ops.matmul(lower, ops.transpose(lower)), a, property="Cholesky"),
        compared(lower, second, property="unique"),
        pd.DataFrame(
            {"property": "diagonal", "diagonal": np.diag(ops.convert_to_numpy(lower)), "least": np.sqrt(values.min())}
        ),
    ]
    systems = [(a, lower, ops.transpose(lower))]
    for equality in (False, True):
        b = _dominant(generator, size, equality)
        if not dominant:
            b[0, 0] = 0.0
        lower, upper = _eliminate(b)
        tables.append(compared(lower @ upper, b, property="LU"))
        if not equality:
            packed, pivots = (ops.convert_to_numpy(part) for part in ops.lu_factor(b.T))
            product = np.triu(packed).T @ (np.tril(packed, -1) + np.eye(size)).T
            tables.append(compared(product, b, property="LU"))
            tables.append(compared(pivots, np.arange(size), property="pivots"))
        if dominant:
            systems.append((b, lower, upper))
    for matrix, lower, upper in systems:
        x = generator.normal(size=(size, 1))
        middle = ops.solve_triangular(lower, matrix @ x, lower=True)
        tables.append(compared(ops.solve_triangular(upper, middle), x, property="solution"))
    return pd.concat(tables, ignore_index=True)


def _dominant(generator, size, equality):
    """Invertible matrix of integers that is dominant by rows, with equality in each of them or in none."""
    while True:
        matrix = generator.integers(-3, 4, size=(size, size))
        np.fill_diagonal(matrix, 0)
        sums = np.abs(matrix).sum(axis=1) + (0 if equality else generator.integers(1, 3, size=size))
        np.fill_diagonal(matrix, generator.choice([-1, 1], size=size) * sums)
        without_first = matrix.copy()
        without_first[0, 0] = 0
        if determinant(matrix) and determinant(without_first):
            return matrix.astype(float)


def _eliminate(matrix):
    """Triangles of elimination without exchange of rows; nothing is divided by a pivot of zero."""
    lower, upper = np.eye(len(matrix)), matrix.copy()
    for step in range(len(matrix) - 1):
        pivot = upper[step, step]
        if pivot:
            lower[step + 1 :, step] = upper[step + 1 :, step] / pivot
            upper[step + 1 :] -= np.outer(lower[step + 1 :, step], upper[step])
    return lower, np.triu(upper)


@claim(
    r"For a real positive definite symmetric matrix the columns of $U$ and $V$ are eigenvectors of $A A^T$ and "
    r"$A^T A$, the non-zero singular values are the square roots of their non-zero eigenvalues; "
    r"$x = V \Sigma^{-1} U^T b$ solves $A x = b$.",
    source=notes("Remarks 1.13-1.14"),
    kind="theorem",
    scope="stated for positive definite symmetric matrices, the solution for invertible ones; general square matrices "
    "besides",
    literature="Golub and Van Loan 2013, sections 2.4 and 5.5",
    criterion=AllOf(
        left=_property("left"),
        right=_property("right"),
        values=_property("values"),
        each_value=_property("each value", 10**7),
        solution=_property("solution"),
    ),
    full={"size": 100},
    control={"exchanged": True},
)
def svd_relations(seed, *, exchanged=False, size=5):
    """Takes Keras' decomposition of four matrices and multiplies; eigenvalues are SciPy's.

    Positive definite symmetric matrices: with random eigenvalues, with a repeated one, and nearly singular, the least
    eigenvalue being a millionth; and a normal matrix that is not symmetric. Left: A A^T U against U times the squared
    singular values, and likewise A^T A V. Squares are compared with eigenvalues, whose roots would lose half of the
    digits of the smallest; and each singular value of a definite matrix is divided by the eigenvalue that it was made
    with, so that the smallest one counts as much as the largest. Of the solution the product A x is compared with b,
    itself the product of A with a normal vector, so that rounding does not depend on the condition. The control
    exchanges U and V, which makes no difference to a symmetric matrix, but to the other one.
    """
    generator, ops = np.random.default_rng(seed), keras.ops
    spectrum = generator.uniform(0.5, 3, size=size)
    spectra = {"definite": spectrum, "repeated": [2.0, 2.0, *spectrum[2:]], "near singular": [1e-6, *spectrum[1:]]}
    matrices = {kind: with_spectrum(generator, eigenvalues) for kind, eigenvalues in spectra.items()}
    matrices["general"] = generator.normal(size=(size, size))
    tables = []
    for kind, a in matrices.items():
        u, values, v_transposed = (ops.convert_to_numpy(part) for part in ops.svd(a))
        u, v = (v_transposed.T, u) if exchanged else (u, v_transposed.T)
        b = a @ generator.normal(size=size)
        x = v @ ((u.T @ b) / values)
        tables += [
            compared(a @ a.T @ u, u * values**2, property="left", kind=kind),
            compared(a.T @ a @ v, v * values**2, property="right", kind=kind),
            compared(values**2, scipy.linalg.eigvalsh(a @ a.T)[::-1], property="values", kind=kind),
            compared(a @ x, b, property="solution", kind=kind),
        ]
        if kind in spectra:
            shares = np.sort(values) / np.sort(spectra[kind])
            tables.append(compared(shares, np.ones(size), property="each value", kind=kind))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"Of a real 2 x 2 matrix $M = U \Sigma V^T$, $V^T$ acts as a rotation, $\Sigma$ scales along both axes, and $U$ is "
    "also a rotation.",
    source=notes("Figure 2"),
    kind="formula",
    scope="a figure that illustrates one matrix; the sign of the determinant and the choice of the singular vectors' "
    "signs are left open",
    left_open=("determinant",),
    literature="Golub and Van Loan 2013, section 2.4: U and V are orthogonal; since singular values are not negative, "
    "Det(U) Det(V) has the sign of Det(M)",
    criterion=Identity("computed", "expected", operations=1000, each=("determinant",)),
    boundary=Boundary(
        "for matrices with a positive determinant, such as the shear that the figure draws; otherwise one of the two "
        "is a reflection",
        holds="determinant == 'positive'",
        assumption="M keeps the orientation, as in the figure",
    ),
    full={"matrices": 1000},
)
def svd_rotations(seed, *, matrices=20):
    """Looks among all decompositions of a random matrix for one with two rotations, and multiplies it again.

    Normal matrices, whose sign is turned where that is asked for by exchanging their rows. Singular vectors are Keras';
    they are unique up to a common sign of each pair. Each choice of signs gives two rotations, with these first
    columns; the product of rotation, scaling and rotation that is nearest to M is compared with M. Where both
    determinants are one it is M; for a negative determinant no choice is, as the product of two rotations and a scaling
    by positive numbers has a positive one.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for _ in range(matrices):
        m = generator.normal(size=(2, 2))
        m = m if np.linalg.det(m) > 0 else m[::-1]
        for sign, matrix in (("positive", m), ("negative", m[::-1])):
            u, values, v_transposed = (keras.ops.convert_to_numpy(part) for part in keras.ops.svd(matrix))
            products = []
            for signs in np.array([[1, 1], [1, -1], [-1, 1], [-1, -1]]):
                rotations = [_rotation_like(vectors * signs) for vectors in (u, v_transposed.T)]
                products.append(rotations[0] * values @ rotations[1].T)
            nearest = min(products, key=lambda product, matrix=matrix: np.linalg.norm(product - matrix))
            tables.append(compared(nearest, matrix, determinant=sign))
    return pd.concat(tables, ignore_index=True)


def _rotation_like(vectors):
    """Rotation with the first column of orthonormal vectors [2, 2]."""
    first = vectors[:, 0]
    return np.column_stack([first, [-first[1], first[0]]])


@claim(
    r"Keeping 50 terms of the singular value decomposition of a 450 x 333 image stores $(1 + 450 + 333) \cdot 50 = "
    "39200$ numbers, 26 % of the original.",
    source=notes("Example 4"),
    kind="formula",
    scope="a count of stored numbers; photographs of that size stand for the figure's",
    literature="Eckart and Young 1936: no matrix of that rank is nearer",
    criterion=AllOf(
        numbers=Identity("stored", "printed", where={"found": "count"}),
        share=Identity("share_in_per_cent", "printed_share", digits=0, where={"found": "count"}),
    ),
    rival=Rival(
        "One number less for each term, as singular values can be multiplied into the vectors: 39150.",
        criterion=Identity("stored", "without_values", where={"found": "count"}),
    ),
)
def svd_compression(seed, *, terms=50, rows=450, columns=333):
    """Counts the entries of the arrays that Keras' decomposition leaves to be stored; a worked number.

    No network or data could change the count. Beside it stands what the 50 terms are worth: a random part of one of
    scikit-learn's two photographs, grey and 450 x 333, its relative error for 1, 5, 20 and 50 terms, that of the bound
    by Eckart and Young (the singular values left out), and that of a picture made smaller until it has as many numbers,
    and enlarged again, by Pillow's bicubic filter.
    """
    generator = np.random.default_rng(seed)
    photograph = _photographs()[int(generator.integers(2))]
    top, left = (
        int(generator.integers(large - small + 1))
        for large, small in zip(photograph.shape, (rows, columns), strict=True)
    )
    image = photograph[top : top + rows, left : left + columns]
    u, values, v_transposed = keras.ops.svd(image, full_matrices=False)
    kept = (u[:, :terms], values[:terms], v_transposed[:terms])
    stored = sum(int(np.prod(part.shape)) for part in kept)
    count = {
        "found": "count",
        "stored": float(stored),
        "printed": 39200.0,
        "share_in_per_cent": 100 * stored / image.size,
        "printed_share": 26.0,
        "without_values": 39150.0,
    }
    found, singular, norm = [count], keras.ops.convert_to_numpy(values), np.linalg.norm(image)
    for number in (1, 5, 20, 50):
        approximation = keras.ops.matmul(u[:, :number] * values[:number], v_transposed[:number])
        smaller = _made_smaller(image, (rows + columns + 1) * number)
        errors = {
            "error": np.linalg.norm(keras.ops.convert_to_numpy(approximation) - image) / norm,
            "bound": np.linalg.norm(singular[number:]) / norm,
            "error_of_smaller_picture": np.linalg.norm(smaller - image) / norm,
        }
        found.append({"found": "error", "terms": number, **errors})
    return pd.DataFrame(found)


@cache
def _photographs():
    """Grey photographs of scikit-learn, upright: [640, 427] each, from zero to one."""
    return [sklearn.datasets.load_sample_image(name).mean(axis=2).T / 255 for name in ("china.jpg", "flower.jpg")]


def _made_smaller(image, numbers):
    """The image made smaller to about a number of pixels, and enlarged again."""
    scale = np.sqrt(numbers / image.size)
    size = [max(1, round(scale * length)) for length in image.shape]
    picture = PIL.Image.fromarray(image.astype(np.float32))
    smaller = picture.resize(size[::-1], PIL.Image.Resampling.BICUBIC)
    return np.asarray(smaller.resize(image.shape[::-1], PIL.Image.Resampling.BICUBIC))


@claim(
    r"$\|A\|_2 = \max_{\|x\| = 1} \|A x\|_2 = \sigma_1(A)$.",
    source=cheatsheet("1.5.1"),
    kind="formula",
    scope="any real matrix",
    literature="Golub and Van Loan 2013, section 2.4",
    criterion=AllOf(
        # On JAX, Keras' norm is in single precision whatever the type of its inputs.
        norm=Identity("computed", "expected", operations=100, dtype="float32", where={"property": "norm"}),
        singular_value=_property("singular value"),
    ),
    full={"shapes": ((50, 50), (20, 100), (100, 20))},
    control={"largest": "eigenvalue"},
)
def spectral_norm(seed, *, largest="singular value", shapes=((4, 4), (3, 7), (8, 2)), starts=5):
    """Maximises the length of A x over unit vectors numerically, and compares with Keras' norm and singular values.

    Normal matrices, and a triangular one that is far from normal (a shear by ten). The squared length of A x over that
    of x is maximised by SciPy's BFGS with its gradient from five random starts, of which the best counts; at a maximum
    the error of the value is the square of that of the place. The control takes the spectral radius, the largest
    modulus of an eigenvalue, in place of the singular value, for square matrices.
    """
    generator, ops = np.random.default_rng(seed), keras.ops
    matrices = [generator.normal(size=shape) for shape in shapes]
    matrices.append(np.array([[1.0, 10.0], [0.0, generator.uniform(0.5, 2)]]))
    tables = []
    for a in matrices:
        maximum = max(_stretch(a, generator.normal(size=a.shape[1])) for _ in range(starts))
        tables.append(compared(ops.norm(a, ord=2), maximum, property="norm"))
        if largest == "singular value":
            value = ops.convert_to_numpy(ops.svd(a, compute_uv=False))[0]
        elif a.shape[0] == a.shape[1]:
            value = np.abs(ops.convert_to_numpy(ops.eig(a)[0])).max()
        else:
            continue
        tables.append(compared(value, maximum, property="singular value"))
    return pd.concat(tables, ignore_index=True)


def _stretch(matrix, start):
    """Largest length of A x over that of x that is found from a start."""
    gram = matrix.T @ matrix

    def negative(x):
        square = x @ x
        quotient = x @ gram @ x / square
        return -quotient, -2 * (gram @ x - quotient * x) / square

    found = scipy.optimize.minimize(negative, start, jac=True, method="BFGS", options={"gtol": 1e-10})
    return np.sqrt(-found.fun)
