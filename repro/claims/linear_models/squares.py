"""Least squares: solutions, gradients, steps and the ridge."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Correction, Identity, Rival, cheatsheet, claim
from repro.claims.linear_models._gradients import doubles, gradient_of, minimiser_of_quadratic
from repro.engine.backend import compile_function, value_and_gradient

with epy.lazy_imports():
    import keras
    import scipy.linalg

RATE = 2**-5  # exact in single precision, which Keras keeps rates in
PENALTY = 0.5


def _half_mean_of_squares(x, y):
    """Make the function h(w) = |Xw - y|^2 / (2 s) of s records, in Keras' operations."""
    x, y = doubles(x), doubles(y)
    return lambda w: keras.ops.sum((keras.ops.matmul(x, w) - y) ** 2) / (2 * x.shape[0])


def _sum_of_absolutes(x, y):
    x, y = doubles(x), doubles(y)
    return lambda w: keras.ops.sum(keras.ops.abs(keras.ops.matmul(x, w) - y))


@claim(
    r"$w^* = X^+ y$ is among the minimisers of $h(w) = \frac{1}{2s} \lVert X w - y \rVert^2$, where the Moore-Penrose "
    r"inverse is $X^+ = \lim_{\delta \to 0} (X^\top X + \delta I)^{-1} X^\top$.",
    source=cheatsheet("1.2.1"),
    kind="formula",
    scope="any real X, of deficient rank included",
    literature="Penrose 1955; Albert 1972, theorem 3.4, for the limit",
    criterion=AllOf(
        limit=Identity("inverse", "pseudoinverse", operations=10**5, where={"quantity": "limit"}),
        minimiser=Identity("inverse", "projection", operations=10**5, where={"quantity": "minimiser"}),
        keras=Identity("inverse", "pseudoinverse", operations=1000, where={"quantity": "keras"}),
        least_norm=Identity("inverse", "pseudoinverse", operations=1000, where={"quantity": "least norm"}),
    ),
    full={"shapes": ((200, 50, 50), (50, 200, 50), (200, 100, 40))},
    control={"is_limit": False},
)
def pseudoinverse(seed, *, shapes=((20, 6, 6), (6, 20, 6), (20, 10, 4)), levels=9, is_limit=True):
    r"""Compares the limit, by Keras' linear algebra, with a pseudoinverse by SVD, and its fit with a projection.

    Matrices of full column rank, of full row rank and of rank 4 of 10, [20, 6], [6, 20] and [20, 10], with singular
    values from 1 to 2; normal targets; double precision. The limit is Richardson's extrapolation of $(X^\top X + \delta
    I)^{-1} X^\top$ from nine $\delta$ between $2^{-4}$ and $2^{-12}$, since so small a $\delta$ that nothing were left
    of it would make the equations singular. A $w$ minimises $h$ if and only if $Xw$ is the projection of $y$ on the
    column space, here by a QR decomposition with pivoting. Keras: its own pseudoinverse. Least norm: the solution by
    its least squares, which of all minimisers is $X^+ y$. The control stops at the smallest $\delta$.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for rows, columns, rank in shapes:
        left, _ = np.linalg.qr(generator.normal(size=(rows, rank)))
        right, _ = np.linalg.qr(generator.normal(size=(columns, rank)))
        x, y = (left * generator.uniform(1, 2, size=rank)) @ right.T, generator.normal(size=rows)
        inverse, pseudoinverse = _limit(x, levels if is_limit else 1), scipy.linalg.pinv(x)
        solution = keras.ops.lstsq(doubles(x), doubles(y))
        basis = scipy.linalg.qr(x, mode="economic", pivoting=True)[0][:, :rank]
        sides = {
            "limit": {"inverse": inverse.ravel(), "pseudoinverse": pseudoinverse.ravel()},
            "minimiser": {"inverse": x @ (inverse @ y), "projection": basis @ (basis.T @ y)},
            "keras": {"inverse": np.ravel(keras.ops.pinv(doubles(x))), "pseudoinverse": pseudoinverse.ravel()},
            "least norm": {"inverse": np.ravel(solution), "pseudoinverse": pseudoinverse @ y},
        }
        shape = f"{rows} x {columns}, rank {rank}"
        tables += [pd.DataFrame({"matrix": shape, "quantity": name, **values}) for name, values in sides.items()]
    return pd.concat(tables, ignore_index=True)


def _limit(x, levels, smallest=2.0**-12):
    """Extrapolate the regularised inverse to no regularisation, from a number of levels, each twice the one before."""
    gram, transposed = x.T @ x, doubles(x.T)
    values = []
    for level in range(levels):
        regularised = doubles(gram + smallest * 2**level * np.eye(len(gram)))
        values.append(keras.ops.convert_to_numpy(keras.ops.solve(regularised, transposed)))
    for order in range(1, levels):
        values = [(2**order * finer - coarser) / (2**order - 1) for finer, coarser in itertools.pairwise(values)]
    return values[0]


@claim(
    r"The gradient of $h(w) = \frac{1}{2s} \lVert X w - y \rVert^2$ is $2 X^\top X w - 2 X^\top y$.",
    source=cheatsheet("1.2.1"),
    kind="formula",
    scope="the h that is printed one line above; whether a positive factor is meant to count is left open",
    left_open=("counts",),
    literature="Petersen and Pedersen 2012, equation 84: the printed gradient is that of the sum of squares",
    criterion=Identity("gradient", "printed", operations=1000, each=("counts",)),
    boundary=Boundary(
        "up to a positive factor, which is 2 s: the gradient is 1/s of X'Xw - X'y, and the printed one that of the sum "
        "of squares",
        holds="counts == 'direction'",
        assumption="Boyd and Vandenberghe 2004, section 9.2: a direction of descent is given up to a positive factor, "
        "which the step length absorbs",
    ),
    full={"records": (1, 7, 100, 1000)},
    control={"is_squared": False},
)
def least_squares_gradient(seed, *, records=(1, 7, 50), inputs=5, points=4, is_squared=True):
    r"""Compares automatic differentiation of h with the printed gradient, in value and in direction.

    Normal data of 1, 7 and 50 records with five inputs, at four normal $w$ each; double precision. The direction is the
    gradient over its norm, sign included, so that both vanish at the same $w$. By the chain rule the gradient is
    $\frac{1}{s} (X^\top X w - X^\top y)$: for $s = 1$, $X = 1$, $y = 0$ and $w = 1$ it is 1, and the printed one 2. The
    control has absolute errors in place of squares.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for count in records:
        x, y = generator.normal(size=(count, inputs)), generator.normal(size=count)
        function = (_half_mean_of_squares if is_squared else _sum_of_absolutes)(x, y)
        for w in generator.normal(size=(points, inputs)):
            gradient, printed = gradient_of(function, w), 2 * x.T @ x @ w - 2 * x.T @ y
            value = {"counts": "value", "gradient": gradient, "printed": printed}
            lengths = np.linalg.norm(gradient), np.linalg.norm(printed)
            direction = {"counts": "direction", "gradient": gradient / lengths[0], "printed": printed / lengths[1]}
            columns = {"records": count, "ratio": lengths[1] / lengths[0]}
            tables += [pd.DataFrame({**columns, **value}), pd.DataFrame({**columns, **direction})]
    return pd.concat(tables, ignore_index=True)


@claim(
    r"Ridge regression, $h(w) + \frac{\lambda}{2} \lVert w \rVert^2$ with $h(w) = \frac{1}{2s} \lVert X w - y "
    r"\rVert^2$, has the solution $w = (X X^\top + \lambda I)^{-1} X^\top y$.",
    source=cheatsheet("1.2.1"),
    kind="formula",
    scope="X of s records by n inputs, as in Xw; the h of linear regression with its 1/(2s)",
    literature="Hoerl and Kennard 1970; Hastie, Tibshirani and Friedman 2009, equation 3.44",
    criterion=Identity("formula", "minimiser", operations=10**5),
    correction=Correction(
        r"The solution is $w = (X^\top X + s \lambda I)^{-1} X^\top y$.",
        gram="of inputs",
        shapes=((6, 6), (20, 6), (6, 20)),
    ),
    rival=Rival(
        r"The solution is $w = (X^\top X + \lambda I)^{-1} X^\top y$, without the number of records.",
        criterion=Identity("without_records", "minimiser", operations=10**5),
    ),
)
def ridge_closed_form(seed, *, shapes=((6, 6), (9, 9)), gram="of records"):
    r"""Compares the formula with the minimiser of the printed objective, found by three routes.

    Normal data, $\lambda = 1/2$, double precision. Routes: the zero of the gradient of Keras' objective, half the mean
    of squares with its L2 regulariser of $\lambda / 2$, by automatic differentiation; and SciPy's least squares for $X$
    with $\sqrt{s \lambda} I$ below it. As printed, $X X^\top$ has a row for each record and $X^\top y$ one for each
    input, so that the product exists for $s = n$ only, where it is evaluated; there it is wrong too, for $X$ and
    $X^\top$ need not commute. For one record and one input the orders agree, and the factor of $\lambda$ is right as
    well: $s = 1$. Factors may have changed places: $X^\top (X X^\top + s \lambda I)^{-1} y$ is the same solution, and a
    route of its own. The correction runs at $s \ne n$ too; the rival shows that its factor $s$, which comes from the
    $1/(2s)$, is needed.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for records, inputs in shapes:
        x, y = generator.normal(size=(records, inputs)), generator.normal(size=records)
        if gram == "of records":
            formula = np.linalg.solve(x @ x.T + PENALTY * np.eye(records), x.T @ y)
        else:
            formula = np.linalg.solve(x.T @ x + records * PENALTY * np.eye(inputs), x.T @ y)
        without_records = np.linalg.solve(x.T @ x + PENALTY * np.eye(inputs), x.T @ y)
        routes = {
            "gradient": _ridge_by_keras(x, y),
            "least squares": _ridge_by_rows(x, y),
            "of records": x.T @ np.linalg.solve(x @ x.T + records * PENALTY * np.eye(records), y),
        }
        for route, minimiser in routes.items():
            columns = {"formula": formula, "minimiser": minimiser, "without_records": without_records}
            tables.append(pd.DataFrame({"shape": f"{records} x {inputs}", "route": route, **columns}))
    return pd.concat(tables, ignore_index=True)


def _ridge_by_keras(x, y):
    squares, penalty = _half_mean_of_squares(x, y), keras.regularizers.L2(PENALTY / 2)
    return minimiser_of_quadratic(lambda w: squares(w) + penalty(w), x.shape[1])


def _ridge_by_rows(x, y):
    records, inputs = x.shape
    stacked = np.vstack([x, np.sqrt(records * PENALTY) * np.eye(inputs)])
    return scipy.linalg.lstsq(stacked, np.concatenate([y, np.zeros(inputs)]))[0]


@claim(
    r"Stochastic gradient descent of linear regression updates $w \leftarrow w + \eta (y_i - w^\top x_i) x_i$, with "
    "$i$ uniform among the records.",
    source=cheatsheet("1.2.1"),
    kind="formula",
    scope="linear regression, one record a step; the learning rate is left open",
    literature="Widrow and Hoff 1960",
    criterion=AllOf(
        run=Identity("keras", "formula", operations=1000, where={"quantity": "run"}),
        expected=Identity("keras", "formula", operations=1000, where={"quantity": "expected step"}),
    ),
    full={"records": 100, "inputs": 30, "steps": 200},
    control={"is_uniform": False},
    rival=Rival(
        r"The update is $w \leftarrow w + 2 \eta (y_i - w^\top x_i) x_i$, as it is without the half of $h$.",
        criterion=Identity("keras", "doubled", operations=1000, where={"quantity": "run"}),
    ),
)
def sgd_least_squares(seeds, *, records=12, inputs=5, steps=30, is_uniform=True):
    r"""Compares runs of Keras' SGD on single records with the update, and the expected update with a step down h.

    Normal data, rate 1/32, double precision. Run: 30 steps, each on half the squared error of a record that is drawn
    uniformly, differentiated automatically; weights after each are compared. Expected step: the mean of the update over
    all records, each with the probability that it is drawn with, against $-\eta \nabla h$ by automatic differentiation
    of $h(w) = \frac{1}{2s} \lVert X w - y \rVert^2$: equal for uniform draws alone. The control draws records in
    proportion to the square of their norm. The rival has Keras' own mean squared error in mind, without the half.
    """
    drawn = [_regression(seed, records, inputs, steps, is_uniform) for seed in seeds]
    x, y, start, chance, order = (np.stack(arrays) for arrays in zip(*drawn, strict=True))
    by_keras = _descended(x, y, start, order)
    by_hand, doubled = (_updated(x, y, start, order, rate) for rate in (RATE, 2 * RATE))
    tables = []
    for place, seed in enumerate(seeds):
        run = {"keras": by_keras[place], "formula": by_hand[place], "doubled": doubled[place]}
        flat = {name: np.ravel(values) for name, values in run.items()}
        tables.append(pd.DataFrame({"seed": seed, "quantity": "run", **flat}))
        updates = RATE * (y[place] - x[place] @ start[place])[:, None] * x[place]
        down = -RATE * gradient_of(_half_mean_of_squares(x[place], y[place]), start[place])
        sides = {"keras": down, "formula": chance[place] @ updates}
        tables.append(pd.DataFrame({"seed": seed, "quantity": "expected step", **sides}))
    return pd.concat(tables, ignore_index=True)


def _regression(seed, records, inputs, steps, is_uniform):
    """Inputs, targets, weights at the start, the chance of each record, and the record of each step."""
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(records, inputs)), generator.normal(size=records)
    weights = np.ones(records) if is_uniform else np.square(x).sum(axis=1)
    chance = weights / weights.sum()
    return x, y, generator.normal(size=inputs), chance, generator.choice(records, size=steps, p=chance)


def _updated(x, y, start, order, rate):
    """Weights after each step of the update, [seeds, steps, inputs]."""
    path, seeds = [start], np.arange(len(x))
    for chosen in order.T:
        of_record, target, w = x[seeds, chosen], y[seeds, chosen], path[-1]
        error = target - (w * of_record).sum(axis=1)
        path.append(w + rate * error[:, None] * of_record)
    return np.stack(path[1:], axis=1)


def _descended(x, y, start, order):
    """Weights after each step of Keras' SGD on half the squared error of a record, all seeds side by side."""
    w, stepping, seeds = keras.Variable(start, dtype="float64"), keras.optimizers.SGD(RATE), np.arange(len(x))

    def half_squared(values, of_record, target):
        return keras.ops.sum((keras.ops.sum(values[0] * of_record, axis=1) - target) ** 2) / 2, ()

    gradient = compile_function(lambda w, *record: value_and_gradient(half_squared, [w], *record)[2][0])
    path = []
    for chosen in order.T:
        stepping.apply([gradient(w.value, doubles(x[seeds, chosen]), doubles(y[seeds, chosen]))], [w])
        path.append(np.array(w.numpy()))
    return np.stack(path, axis=1)
