"""Rules of products, transposes, inverses, traces and determinants; adjoints."""

from __future__ import annotations

import math

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Correction, Identity, claim, notes
from repro.claims.linear_algebra._matrices import compared, determinant, integers

with epy.lazy_imports():
    import keras
    import scipy.fft


def _rules(*groups, operations=10**4):
    return AllOf(
        **{group: Identity("computed", "expected", operations=operations, where={"group": group}) for group in groups}
    )


@claim(
    r"$A B = \sum_i A_{:,i} \otimes B_{i,:}$, and the entries of $A B$ are the inner products of rows of $A$ with "
    "columns of $B$.",
    source=notes("Definition 1.1"),
    kind="formula",
    scope="square A and B as printed; rectangular ones besides",
    literature="Golub and Van Loan 2013, section 1.1: the outer product and the dot product form of multiplication",
    criterion=_rules("outer", "inner", operations=100),
    full={"shapes": ((50, 50, 50), (30, 70, 20))},
    control={"slices": "rows with columns"},
)
def outer_product_sum(seed, *, slices="columns with rows", shapes=((1, 1, 1), (4, 4, 4), (3, 7, 5))):
    """Compares Keras' product of normal matrices with both forms, entries of which are summed in NumPy.

    Shapes [m, k] and [k, n], double precision; the outer products are added one by one, inner products are sums that
    are rounded once (math.fsum). Keras' matmul and einsum are each compared with both. The control pairs rows of A with
    columns of B, for square matrices: their outer products add up to the transpose of B A.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for m, k, n in shapes:
        a, b = generator.normal(size=(m, k)), generator.normal(size=(k, n))
        if slices == "columns with rows":
            outer = sum(np.outer(a[:, i], b[i]) for i in range(k))
        elif m == k == n:
            outer = sum(np.outer(a[i], b[:, i]) for i in range(k))
        else:
            continue
        inner = np.array([[math.fsum(a[i] * b[:, j]) for j in range(n)] for i in range(m)])
        for product in (keras.ops.matmul(a, b), keras.ops.einsum("ik,kj->ij", a, b)):
            tables.append(compared(product, outer, group="outer", rows=m, columns=n))
            tables.append(compared(product, inner, group="inner", rows=m, columns=n))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"The rules for inverses, transposes, traces and determinants hold: $(A B)^{-1} = B^{-1} A^{-1}$ and so for more "
    r"factors, $(A^{-1})^T = (A^T)^{-1}$, $(r A)^{-1} = r^{-1} A^{-1}$; $(A B)^T = B^T A^T$ and so for more factors, "
    r"$(A + B)^T = A^T + B^T$, $(r A)^T = r A^T$; $Tr(A B) = Tr(B A)$, $Tr(A B C) = Tr(B C A) = Tr(C A B)$, the trace "
    r"is linear, $Tr(A^T) = Tr(A)$, $Tr(P^{-1} A P) = Tr(A)$; $Det(A B) = Det(A) Det(B)$, "
    r"$Det(A^{-1}) = Det(A)^{-1}$, $Det(A^T) = Det(A)$, $Det(r A) = r^n Det(A)$, $Det(A) = \prod \lambda$, which are "
    "the diagonal entries if A is triangular or diagonal.",
    source=notes("1.6-1.9"),
    kind="formula",
    scope="shapes that fit, inverses that exist; a lower-case c in products is read as a transcribed C",
    literature="Horn and Johnson 2013, chapter 0",
    criterion=_rules("inverse", "transpose", "trace", "determinant", operations=10**5),
    full={"size": 20, "other": 30},
    control={"order": "exchanged"},
)
def trace_and_determinant_rules(seed, *, order="kept", size=5, other=3):
    """Evaluates the left side of each rule by Keras and the right side by NumPy, on matrices that do not commute.

    Square matrices of integers up to three with a non-zero determinant, [5, 5], whose inverses are rounded only;
    products of which a trace is taken have rectangular factors, [5, 3] and [3, 5]. Determinants on the right are exact,
    in integers, and what is compared is divided by them, so that rules between numbers of very different size count
    alike. Triangular matrices are upper, lower and diagonal ones; their diagonal is compared with Keras' determinant
    and with the sorted eigenvalues. The control exchanges two factors on the right where there are three: C^-1 A^-1
    B^-1, A^T C^T B^T, Tr(A C B), and Det(r A) is taken to be r Det(A).
    """
    generator, ops = np.random.default_rng(seed), keras.ops
    a, b, c = (integers(generator, size) for _ in range(3))
    tall, wide = generator.normal(size=(size, other)), generator.normal(size=(other, size))
    r, inverse = float(generator.uniform(0.5, 2)), np.linalg.inv
    kept = order == "kept"
    first, second, third = (c, b, a) if kept else (c, a, b)
    exact = determinant(a)
    rules = {
        "inverse": [
            (ops.inv(a @ b), inverse(b) @ inverse(a)),
            (ops.inv(a @ b @ c), inverse(first) @ inverse(second) @ inverse(third)),
            (ops.transpose(ops.inv(a)), inverse(a.T)),
            (ops.inv(r * a), inverse(a) / r),
        ],
        "transpose": [
            (ops.transpose(ops.matmul(tall, wide)), wide.T @ tall.T),
            (ops.transpose(ops.matmul(ops.matmul(a, b), c)), first.T @ second.T @ third.T),
            (ops.transpose(ops.add(a, b)), a.T + b.T),
            (ops.transpose(ops.multiply(r, a)), r * a.T),
        ],
        "trace": [
            (ops.trace(ops.matmul(tall, wide)), np.trace(wide @ tall)),
            (ops.trace(ops.matmul(ops.matmul(a, tall), wide)), np.trace(tall @ wide @ a)),
            (ops.trace(ops.matmul(ops.matmul(a, b), c)), np.trace(c @ a @ b if kept else a @ c @ b)),
            (ops.trace(ops.add(a, b)), np.trace(a) + np.trace(b)),
            (ops.trace(ops.transpose(a)), np.trace(a)),
            (ops.trace(ops.multiply(r, a)), r * np.trace(a)),
            (ops.trace(ops.matmul(ops.matmul(ops.inv(b), a), b)), np.trace(a)),
        ],
        "determinant": [
            (ops.det(ops.matmul(a, b)) / exact / determinant(b), 1.0),
            (ops.det(ops.inv(a)) * exact, 1.0),
            (ops.det(ops.transpose(a)) / exact, 1.0),
            (ops.det(ops.multiply(r, a)) / exact / r ** (size if kept else 1), 1.0),
            (np.prod(ops.convert_to_numpy(ops.eig(a)[0])).real / exact, 1.0),
            *_of_triangular(generator, size),
        ],
    }
    tables = [compared(left, right, group=group) for group, pairs in rules.items() for left, right in pairs]
    return pd.concat(tables, ignore_index=True)


def _of_triangular(generator, size):
    """Determinants and eigenvalues of triangular matrices by Keras, with what their diagonals predict."""
    full = generator.normal(size=(size, size)) + 3 * np.diag(np.arange(size) + 1.0)  # eigenvalues far apart
    largest = np.abs(np.diag(full)).max()
    for matrix in (np.triu(full), np.tril(full), np.diag(np.diag(full))):
        eigenvalues = keras.ops.convert_to_numpy(keras.ops.eig(matrix)[0])
        yield keras.ops.det(matrix) / np.prod(np.diag(full)), 1.0
        yield np.sort(eigenvalues.real) / largest, np.sort(np.diag(full)) / largest


@claim(
    r"Adjoint means the (conjugate) transpose $A^*$, classic adjoint the adjugate; the adjugate of a real matrix is "
    r"its transpose, since $\langle A f, g \rangle = \langle f, A^T g \rangle$; and $Det(A) A^{-1} = A^*$.",
    source=(
        notes("Remark 1.1", parts=("inner_product", "adjugate_is_transpose")),
        notes("1.9", parts=("rule",)),
        notes("Definition 1.2", parts=("rule",)),
    ),
    kind="formula",
    scope="real matrices in the proof; which of the two the symbol A* stands for in 1.9 is left open, Definition 1.2 "
    "has it for the conjugate transpose",
    left_open=("star",),
    literature="Horn and Johnson 2013, section 0.8.2: the adjugate is the transposed matrix of cofactors, and not "
    "related to the adjoint",
    criterion=AllOf(
        inner_product=Identity("computed", "expected", operations=1000, where={"of": "inner product"}),
        rule=Identity("computed", "expected", operations=10**5, each=("star",), where={"of": "rule"}),
        adjugate_is_transpose=Identity("computed", "expected", where={"of": "word"}),
    ),
    correction=Correction(
        r"A slip of a word and of a symbol: the conjugate transpose is the adjoint, as the proof itself shows, for "
        r"complex matrices too; the adjugate is the transposed matrix of cofactors, with $A\, adj(A) = Det(A) I$ also "
        "for a singular A. They are equal for rotations.",
        criterion=AllOf(
            adjoint=Identity("computed", "expected", operations=1000, where={"of": "complex inner product"}),
            adjugate=Identity("computed", "expected", where={"of": "singular"}),
            rotations=Identity("computed", "expected", operations=1000, where={"of": "rotations"}),
        ),
        complex_and_singular=True,
    ),
)
def adjugate(seed, *, complex_and_singular=False, sizes=(2, 3, 5)):
    """Compares inner products, and the scaled inverse by Keras with the adjugate and with the transpose.

    Matrices of integers up to three with a non-zero determinant, whose cofactors are exact determinants of their
    minors, in integers. The inner product identity, which is what the proof shows, holds for the transpose. The word
    "adjugate" in its heading is a slip for "adjoint": the adjugate of [[1, 2], [3, 4]] is [[4, -2], [-3, 1]], its
    transpose [[1, 3], [2, 4]]. So is the symbol in 1.9, if it is the one that Definition 1.2 introduces; read as the
    adjugate, as some textbooks write it, the rule holds. The correction runs complex normal matrices, whose inner
    products need the conjugate in the transpose; singular matrices, one row of which is the sum of the others, with a
    product in integers, which is zero (the identity is added on both sides, for a scale); and rotations of the plane.
    """
    generator, ops = np.random.default_rng(seed), keras.ops
    tables = list(_complex_and_singular(generator, sizes)) if complex_and_singular else []
    for size in sizes:
        a, f, g = integers(generator, size), generator.normal(size=size), generator.normal(size=size)
        left, right = ops.sum(ops.matmul(a, f) * g), float(f @ (a.T @ g))
        tables.append(compared(left, right, of="inner product"))
        classical = _adjugate(a)
        scaled = ops.det(a) * ops.inv(a)
        tables.append(compared(scaled, classical, of="rule", star="adjugate"))
        tables.append(compared(scaled, a.conj().T, of="rule", star="conjugate transpose"))
        tables.append(compared(classical, a.T, of="word"))
    return pd.concat(tables, ignore_index=True)


def _complex_and_singular(generator, sizes):
    """Tables of what tells adjoint and adjugate apart where a real invertible matrix does not, and of rotations."""
    ops = keras.ops
    for size in sizes:
        a, f, g = (generator.normal(size=(*shape, 2)) @ [1, 1j] for shape in ((size, size), (size,), (size,)))
        # By real parts, as Keras multiplies complex numbers in single precision on TensorFlow.
        by_parts = ops.matmul(np.block([[a.real, -a.imag], [a.imag, a.real]]), np.concatenate([f.real, f.imag]))
        real, imaginary = np.split(ops.convert_to_numpy(by_parts), 2)
        left = np.vdot(g, real + 1j * imaginary)
        yield compared(np.array([left]), np.array([np.vdot(a.conj().T @ g, f)]), of="complex inner product")
        singular = integers(generator, size)
        singular[-1] = singular[:-1].sum(axis=0)
        product = ops.matmul(singular, _adjugate(singular))
        yield compared(product + np.eye(size), (determinant(singular) + 1.0) * np.eye(size), of="singular")
    for angle in generator.uniform(-np.pi, np.pi, size=10):
        turn = np.array([[np.cos(angle), -np.sin(angle)], [np.sin(angle), np.cos(angle)]])
        yield compared(ops.det(turn) * ops.inv(turn), turn.T, of="rotations")


def _adjugate(matrix):
    """Adjugate of a matrix of integers: cofactors, transposed."""
    size = len(matrix)
    cofactors = np.empty((size, size))
    for i in range(size):
        for j in range(size):
            minor = np.delete(np.delete(matrix, i, axis=0), j, axis=1)
            cofactors[i, j] = (-1) ** (i + j) * determinant(minor)
    return cofactors.T


# Settings in which the four adjoints hold: functions without a boundary or zero at it, the unitary transform.
HOLDS = "setting == 'without a boundary term' or setting == 'unitary' or part == 'interpolation'"


@claim(
    r"The adjoint of the gradient is minus the divergence, $\langle \nabla f, g \rangle = \langle f, -\nabla \cdot g "
    r"\rangle$, that of the Fourier transform its inverse, that of the Laplacian itself, and that of linear "
    r"interpolation splatting, $\langle f \circ \phi, g \rangle = \langle f, \phi^* g \rangle$.",
    source=notes("Example 2"),
    kind="formula",
    scope="boundary conditions, the normalisation of the transform and the discretisation are left open",
    left_open=("setting",),
    literature="Evans 2010, appendix C.2: Green's formulas have integrals over the boundary; Plancherel: the transform "
    "is unitary with a factor 1 / sqrt(n) each way",
    criterion=AllOf(
        gradient=Identity("computed", "expected", operations=10**4, each=("setting",), where={"of": "gradient"}),
        fourier=Identity("computed", "expected", operations=10**4, each=("setting",), where={"of": "Fourier"}),
        laplacian=Identity("computed", "expected", operations=10**4, each=("setting",), where={"of": "Laplacian"}),
        interpolation=Identity("computed", "expected", operations=10**4, where={"of": "interpolation"}),
    ),
    boundary=Boundary(
        "for functions without a boundary or zero at it, on a grid with backward differences in the divergence if the "
        "gradient has forward ones; and for the unitary transform",
        holds=HOLDS,
        assumption="Evans 2010, appendix C.2, and Plancherel's theorem",
    ),
    control={"sign": 1.0},
)
def adjoint_examples(seed, *, sign=-1.0, degree=4, size=16, points=200):
    """Compares inner products on both sides: of functions of two variables, of complex arrays, and of samples.

    Gradient and Laplacian act on random polynomials over the unit square, with and without a factor that makes them
    zero at its boundary, integrated exactly by the rule of Gauss; and on random trigonometric polynomials over a
    period, summed over an even grid, which is exact as well. Only f or only g being zero there would do for the
    gradient. The transform is Keras' of two dimensions, plain or multiplied by 1 / sqrt(n) for n entries, against
    SciPy's inverse with the same convention: the plain adjoint is n times the inverse. Interpolation is Keras'
    map_coordinates of order one at random places, splatting adds every sample to the four neighbours of its place with
    weights by their distances, in NumPy. On a periodic grid [16, 16] the gradient is of forward differences by Keras,
    and the divergence of backward or of forward ones. The control takes plus the divergence, and minus the Laplacian.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for functions in ("periodic", "zero at the boundary", "free"):
        setting = "with a boundary term" if functions == "free" else "without a boundary term"
        f, g, h = (_function(generator, functions, degree) for _ in range(3))
        weights = f["weights"]
        gradient = np.sum(weights * (f["x"] * g["value"] + f["y"] * h["value"]))
        divergence = np.sum(weights * f["value"] * (g["x"] + h["y"]))
        tables.append(compared(gradient, sign * divergence, of="gradient", setting=setting))
        left, right = (np.sum(weights * one["laplacian"] * other["value"]) for one, other in ((f, g), (g, f)))
        tables.append(compared(left, -sign * right, of="Laplacian", setting=setting))
    f, *g = generator.normal(size=(3, size, size))
    gradient = [keras.ops.roll(f, -1, axis=axis) - f for axis in (0, 1)]
    left = sum(keras.ops.sum(slope * component) for slope, component in zip(gradient, g, strict=True))
    for setting, shift in (("without a boundary term", 1), ("forward differences twice", 0)):
        slopes = [np.roll(part, shift - 1, axis) - np.roll(part, shift, axis) for axis, part in enumerate(g)]
        tables.append(compared(left, sign * np.sum(f * sum(slopes)), of="gradient", setting=setting))
    f, g = generator.normal(size=(2, size, size, 2)) @ [1, 1j]
    for setting, scale, norm in (("unitary", 1 / size, "ortho"), ("plain", 1.0, "backward")):
        real, imaginary = (keras.ops.convert_to_numpy(part) for part in keras.ops.fft2((f.real, f.imag)))
        left = np.vdot(g, scale * (real + 1j * imaginary))
        right = np.vdot(scipy.fft.ifft2(g, norm=norm), f)
        tables.append(compared(np.array([left]), np.array([right]), of="Fourier", setting=setting))
    image, samples = generator.normal(size=(size, size)), generator.normal(size=points)
    places = generator.uniform(0, size - 1, size=(2, points))
    values = keras.ops.image.map_coordinates(image, places, order=1)
    left, right = keras.ops.sum(values * samples), np.sum(image * _splat(places, samples, size))
    tables.append(compared(left, right, of="interpolation"))
    return pd.concat(tables, ignore_index=True)


def _function(generator, functions, degree):
    """Value, derivatives and Laplacian of a random function of two variables on a grid, with weights of a rule.

    Functions are bilinear forms in polynomials or waves of either variable, whose derivatives are known exactly.
    """
    if functions == "periodic":
        nodes, weights = np.arange(4 * degree + 1) / (4 * degree + 1), np.full(4 * degree + 1, 1 / (4 * degree + 1))
        waves = np.exp(2j * np.pi * np.outer(nodes, np.arange(-degree, degree + 1)))
        factor = 2j * np.pi * np.arange(-degree, degree + 1)
        basis = [waves, waves * factor, waves * factor**2]
    else:
        nodes, weights = np.polynomial.legendre.leggauss(2 * degree + 4)
        nodes, weights = (nodes + 1) / 2, weights / 2
        bubble = np.polynomial.Polynomial([0, 1, -1] if functions == "zero at the boundary" else [1])
        powers = [bubble * np.polynomial.Polynomial.basis(power) for power in range(degree + 1)]
        basis = [np.stack([power.deriv(order)(nodes) for power in powers], axis=1) for order in range(3)]
    coefficients = generator.normal(size=(basis[0].shape[1],) * 2)
    if functions == "periodic":
        coefficients = coefficients * np.exp(2j * np.pi * generator.uniform(size=coefficients.shape))
    value, x, y, xx, yy = (
        (basis[i] @ coefficients @ basis[j].T).real for i, j in ((0, 0), (1, 0), (0, 1), (2, 0), (0, 2))
    )
    return {"value": value, "x": x, "y": y, "laplacian": xx + yy, "weights": np.outer(weights, weights)}


def _splat(places, samples, size):
    """Image [size, size] to which every sample was added at the four neighbours of its place."""
    image = np.zeros((size, size))
    corner = np.floor(places).astype(int)
    along = places - corner
    for down in (0, 1):
        for right in (0, 1):
            weight = np.abs(1 - down - along[0]) * np.abs(1 - right - along[1])
            np.add.at(image, (corner[0] + down, corner[1] + right), weight * samples)
    return image
