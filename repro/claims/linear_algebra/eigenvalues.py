"""Orthogonal and positive definite matrices, eigenvalues, and factorisations by them."""

from __future__ import annotations

from itertools import combinations, product

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, AtMost, Correction, Identity, claim, notes
from repro.claims.linear_algebra._matrices import (
    compared,
    determinant,
    integers,
    jordan,
    orthogonal,
    similar_to,
    unimodular,
    with_spectrum,
)

with epy.lazy_imports():
    import keras


def _property(name, operations=1000):
    return Identity("computed", "expected", operations=operations, where={"property": name})


@claim(
    r"If $A^T A = I$, rows and columns of $A$ are orthonormal, $Det(A)$ is 1 or -1, $\|A x\| = \|x\|$, and the inverse "
    "is $A^T$.",
    source=notes("1.4"),
    kind="theorem",
    scope="real square matrices; that the inverse is cheap, as a transpose takes no arithmetic, is not judged",
    literature="Golub and Van Loan 2013, section 2.1",
    criterion=AllOf(
        orthonormal=_property("orthonormal"),
        determinant=_property("determinant"),
        length=_property("length"),
        inverse=_property("inverse"),
    ),
    full={"sizes": (2, 10, 100)},
    control={"normalised": False},
)
def orthogonal_matrices(seed, *, normalised=True, sizes=(2, 3, 10)):
    """Looks at products of reflections, of which an even number is a rotation and an odd number is not.

    Products of as many reflections at random hyperplanes as the matrix has rows, or one fewer, double precision. Keras'
    product of A with its transpose is compared with the identity, on either side; its determinant with the sign by the
    number of reflections; norms of 20 products A x with those of x; and its inverse, by elimination, with the
    transpose. The control multiplies the columns by factors from a half to two: they are orthogonal still, but not
    normalised.
    """
    generator, ops = np.random.default_rng(seed), keras.ops
    tables = []
    for size in sizes:
        a, sign = orthogonal(generator, size)
        if not normalised:
            a = a * generator.uniform(0.5, 2, size=size)
        x = generator.normal(size=(size, 20))
        tables.append(compared(ops.matmul(a, a.T), np.eye(size), property="orthonormal", size=size))
        tables.append(compared(ops.matmul(a.T, a), np.eye(size), property="orthonormal", size=size))
        lengths = ops.sqrt(ops.sum(ops.square(ops.matmul(a, x)), axis=0))
        tables.append(compared(ops.det(a), sign, property="determinant", size=size))
        tables.append(compared(lengths, np.linalg.norm(x, axis=0), property="length", size=size))
        tables.append(compared(ops.inv(a), a.T, property="inverse", size=size))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"$\prod_i \lambda^{(i)} = Det(A)$ and $\sum_i \lambda^{(i)} = Tr(A)$.",
    source=notes("Remark 1.6"),
    kind="theorem",
    scope="square matrices, eigenvalues counted with their multiplicity, complex ones included",
    literature="Horn and Johnson 2013, section 1.2: coefficients of the characteristic polynomial",
    criterion=AllOf(product=_property("product", 10**5), sum=_property("sum", 10**5)),
    full={"size": 20},
    control={"multiplicity": False},
)
def eigenvalue_products(seed, *, multiplicity=True, size=6):
    """Compares Keras' eigenvalues with determinant and trace, which are exact: all matrices are of integers.

    A random matrix, most of whose eigenvalues are complex, a symmetric one, and two that are similar to a Jordan form:
    a diagonal one with an eigenvalue of multiplicity three, and a defective one with a block of size three. Products
    are divided by that of the lengths of the rows, Hadamard's bound of the determinant, sums by the Frobenius norm,
    which are the scales of rounding. The control counts eigenvalues that are nearer to each other than 0.05 once; the
    block's are apart by some 1e-4, as rounding does to a defective matrix, which product and sum do not feel.
    """
    generator = np.random.default_rng(seed)
    base = generator.integers(-3, 4, size=(size, size)).astype(float)
    eigenvalues = (int(value) for value in generator.choice([-3, -2, -1, 1, 2, 3], size=2, replace=False))
    repeated, other = eigenvalues
    matrices = {
        "random": base,
        "symmetric": base + base.T,
        "repeated": similar_to(generator, jordan((repeated, 1), (repeated, 1), (repeated, 1), (other, 1))),
        "defective": similar_to(generator, jordan((repeated, 3), (other, 1))),
    }
    tables = []
    for kind, a in matrices.items():
        values = keras.ops.convert_to_numpy(keras.ops.eig(a)[0])
        if not multiplicity:
            values = _distinct(values)
        bound, norm = np.prod(np.linalg.norm(a, axis=1)), np.linalg.norm(a)
        tables.append(compared(np.prod(values) / bound, determinant(a) / bound, property="product", kind=kind))
        tables.append(compared(np.sum(values) / norm, np.trace(a) / norm, property="sum", kind=kind))
    return pd.concat(tables, ignore_index=True)


def _distinct(values, apart=0.05):
    """Values of which none is as near as that to one before it."""
    kept = []
    for value in values:
        if all(abs(value - other) > apart for other in kept):
            kept.append(value)
    return np.array(kept)


@claim(
    r"For positive definite $A$, $B$ with eigenvalues $\lambda^{(i)}$ of $A$: $A + B$ is positive definite, every "
    r"$\lambda^{(i)} > 0$, $Tr(A) = \prod_i \lambda^{(i)} > 0$, $Det(A) = \sum_i \lambda^{(i)} > 0$, and principal "
    "submatrices of $A$ are positive definite.",
    source=notes("1.12"),
    kind="formula",
    scope="symmetric matrices",
    literature="Horn and Johnson 2013, sections 1.2 and 7.1: the trace is the sum, the determinant the product; so has "
    "Remark 1.6 of the same notes",
    criterion=AllOf(
        sum=AtLeast("least", bound=1.0, where={"property": "minors of the sum"}),
        eigenvalues=AtLeast("least", bound="positive_bound", where={"property": "eigenvalues"}),
        submatrices=AtLeast("least", bound=1.0, where={"property": "principal minors"}),
        trace_positive=AtLeast("trace", bound=1.0, where={"property": "values"}),
        determinant_positive=AtLeast("determinant", bound=1.0, where={"property": "values"}),
        trace_is_product=Identity("trace", "product", operations=10**5, where={"property": "values"}),
        determinant_is_sum=Identity("determinant", "sum", operations=10**5, where={"property": "values"}),
    ),
    correction=Correction(
        r"$Tr(A) = \sum_i \lambda^{(i)}$ and $Det(A) = \prod_i \lambda^{(i)}$: the two are exchanged.",
        criterion=AllOf(
            trace=Identity("trace", "sum", operations=10**5, where={"property": "values"}),
            determinant=Identity("determinant", "product", operations=10**5, where={"property": "values"}),
        ),
        sizes=(2, 4, 6),
    ),
)
def positive_definite(seed, *, sizes=(2, 3, 5)):
    """Looks at Gram matrices of integers, whose minors, trace and determinant are exact; eigenvalues are Keras'.

    A and B are transposed times plain, of matrices with entries up to three, plus n times the identity of size n; and,
    near the border, of matrices with determinant one, so that minors of one occur and eigenvalues of 0.01. An
    eigenvalue is at least the determinant over the other n - 1, of which none exceeds the trace: a positive bound. A
    matrix of integers is positive definite if its leading principal minors are at least one (Sylvester); all minors are
    taken for the submatrices. For A = diag(1, 2) trace and sum are 3, determinant and product 2, the other way round
    than printed. In one dimension all are the same. The correction, by the coefficients of the characteristic
    polynomial, is run for other sizes.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for size, near in product(sizes, (False, True)):
        if near:
            factors, added = [unimodular(generator, size)[0] for _ in range(2)], np.zeros((size, size))
        else:
            factors, added = [integers(generator, size) for _ in range(2)], size * np.eye(size)
        a, b = (factor.T @ factor + added for factor in factors)
        values = keras.ops.convert_to_numpy(keras.ops.eigh(a)[0])
        chosen = [list(places) for count in range(1, size + 1) for places in combinations(range(size), count)]
        leading = min(determinant((a + b)[:count, :count]) for count in range(1, size + 1))
        principal = min(determinant(a[np.ix_(places, places)]) for places in chosen)
        rows.append({"property": "minors of the sum", "least": leading})
        rows.append({"property": "principal minors", "least": principal})
        bound = determinant(a) / np.trace(a) ** (size - 1)
        rows.append({"property": "eigenvalues", "least": values.min(), "positive_bound": bound})
        if not near:  # products of eigenvalues are rounded relative to the largest one
            exact = {"trace": np.trace(a), "determinant": determinant(a)}
            rows.append({"property": "values", **exact, "product": np.prod(values), "sum": values.sum()})
    table = pd.DataFrame(rows)
    return table.astype(dict.fromkeys(table.columns.drop("property"), float))


@claim(
    r"A matrix with n linearly independent eigenvectors is $Q \Lambda Q^{-1}$, a real symmetric one $Q \Lambda Q^T$ "
    "with orthogonal $Q$; only diagonalisable matrices are factorised like this, a defective one is not.",
    source=(
        notes("Definition 1.13", parts=("factors",)),
        notes("Remarks 1.7, 1.10-1.11", parts=("factors", "symmetric", "orthogonal", "defective")),
    ),
    kind="theorem",
    scope="square matrices",
    literature="Horn and Johnson 2013, sections 1.3, 2.5 and 3.3: a matrix is diagonalisable if and only if its "
    "minimal polynomial has simple roots",
    criterion=AllOf(
        factors=_property("factors", 10**6),
        symmetric=_property("symmetric"),
        orthogonal=_property("orthogonal"),
        defective=AtLeast("remainder", bound=1.0, where={"property": "defective"}),
        annihilated=AtMost("remainder", bound=0.0, where={"property": "annihilated"}),
    ),
    full={"size": 30},
    control={"kinds": ("shear",)},
)
def eigendecomposition(seed, *, kinds=("random", "repeated"), size=6):
    """Multiplies Keras' eigenvectors and eigenvalues again, and shows of defective matrices that nothing could.

    Random normal matrices with complex eigenvalues, and matrices of integers that are similar to diag(2, 2, -1, 3), the
    repeated eigenvalue included; symmetric ones with a repeated eigenvalue. The product of A - x I over the distinct
    eigenvalues x is zero for every Q diag Q^-1. It is computed in integers: of defective matrices, similar to a Jordan
    form with blocks of two or three, it has an entry of at least one, which excludes that; of the diagonalisable matrix
    it is zero. These two parts are exact arithmetic, not a finding. Rows "near" have the condition of Q as [[1, 1], [0,
    1 + gap]] nears the shear with the gap: it grows as 2 / gap. The control decomposes the shear of the notes' figure
    1, with a random length, in place of the diagonalisable matrices.
    """
    generator, ops = np.random.default_rng(seed), keras.ops
    matrices = {
        "random": generator.normal(size=(size, size)),
        "repeated": similar_to(generator, np.diag([2.0, 2.0, -1.0, 3.0])),
        "shear": np.array([[1.0, generator.uniform(0.5, 2)], [0.0, 1.0]]),
    }
    tables = []
    for kind in kinds:
        values, vectors = (ops.convert_to_numpy(part) for part in ops.eig(matrices[kind]))
        product = np.linalg.solve(vectors.T, (vectors * values).T).T
        tables.append(compared(product, matrices[kind], property="factors", kind=kind))
    symmetric = with_spectrum(generator, [2.0, 2.0, *generator.normal(size=size - 2)])
    values, vectors = ops.eigh(symmetric)
    again = ops.matmul(vectors * values, ops.transpose(vectors))
    tables.append(compared(again, symmetric, property="symmetric"))
    tables.append(compared(ops.matmul(ops.transpose(vectors), vectors), np.eye(size), property="orthogonal"))
    forms = [jordan(*blocks) for blocks in (((2, 2), (-1, 1), (3, 1)), ((1, 3), (-2, 1)), ((0, 2), (1, 2)))]
    defective = [("defective", similar_to(generator, form), np.unique(np.diag(form))) for form in forms]
    for found, a, eigenvalues in (*defective, ("annihilated", matrices["repeated"], [2.0, -1.0, 3.0])):
        remainder = np.linalg.multi_dot([a - value * np.eye(len(a)) for value in eigenvalues])
        tables.append(pd.DataFrame({"property": found, "remainder": [np.abs(remainder).max()]}))
    for gap in (1e-1, 1e-3, 1e-5):
        vectors = ops.convert_to_numpy(ops.eig(np.array([[1.0, 1.0], [0.0, 1 + gap]]))[1])
        tables.append(pd.DataFrame({"property": "near", "gap": gap, "condition": [np.linalg.cond(vectors)]}))
    return pd.concat(tables, ignore_index=True)
