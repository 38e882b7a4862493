"""Newton's method: steps, roots, and the stationary points that it finds."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, AtMost, Boundary, Identity, Proportion, claim, notes
from repro.claims.optimizers._functions import Function, double_wells, random_form

with epy.lazy_imports():
    import keras

DIMENSION = 5
CAN = "what can happen is seen in most seeds, each of many starts"
NEAR, ANYWHERE = "near a simple root", "anywhere"
CONVEX, BOTH = "positive everywhere", "of both signs"


@claim(
    r"$x^{(n+1)} = x^{(n)} - f(x^{(n)}) / f'(x^{(n)})$, where the tangent meets the x-axis, is Newton's iterative "
    "method for finding the roots of a differentiable function f.",
    source=notes("Definition 3.13"),
    kind="formula",
    scope="differentiable functions of one variable; that the start is near a root with a slope is left open",
    left_open=("start",),
    literature="Süli and Mayers 2003, theorem 1.8: convergence near a root where the slope is not zero",
    criterion=AllOf(
        intercept=Identity("next", "intercept", operations=10_000, where={"quantity": "step"}),
        finds=AtMost("residual", bound=1e-8, each=("start",), where={"quantity": "run"}),
    ),
    boundary=Boundary(
        "near a root where the slope is not zero; elsewhere there are cycles",
        holds=f"part == 'intercept' or start == '{NEAR}'",
        assumption="Süli and Mayers 2003, theorem 1.8: a start near enough to a simple root",
    ),
    control={"sign": -1.0},
)
def newton_root(seed, *, sign=1.0, starts=40, steps=60):
    """Compares a step with the tangent's intercept, and runs 60 steps on cubics from near a root and from anywhere.

    Cubics with three random roots at least 1/2 apart; derivatives by Keras' automatic differentiation, double
    precision. The intercept is that of the line through two points of the tangent. Near: within a quarter of the slope
    at a root over the largest second derivative around it, where the theorem promises convergence. Anywhere: normal
    starts three wide, and starts near zero for x^3 - 2x + 2, which is drawn into a cycle between 0 and 1. What is left
    is |f| at the end; 1e-8 is eight digits of convergence, far above rounding. The control steps away from the
    intercept.
    """
    generator = np.random.default_rng(seed)
    roots = np.cumsum(generator.uniform(0.5, 1.5, size=3)) - 2
    cubic = Function(_polynomial, (np.poly(roots),))
    near = []
    for root, slope in zip(roots, np.polyval(np.polyder(np.poly(roots)), roots), strict=True):
        curvatures = np.polyval(np.polyder(np.poly(roots), 2), [root - 0.25, root + 0.25])
        radius = min(0.25, abs(slope) / (4 * np.abs(curvatures).max()))
        near.append(root + radius * generator.uniform(-1, 1, size=starts // 4))
    places = 3 * generator.normal(size=starts)
    values, slopes = cubic.values(places[:, None]), cubic.gradients(places[:, None])[:, 0]
    steep = np.abs(slopes) > 0.1
    lines = [
        np.linalg.solve([[1, x], [1, x + 1]], [value, value + slope])
        for x, value, slope in zip(places[steep], values[steep], slopes[steep], strict=True)
    ]
    step = {
        "quantity": "step",
        "next": (places - sign * values / slopes)[steep],
        "intercept": [-constant / slope for constant, slope in lines],
    }
    tables = [pd.DataFrame(step)]
    small = generator.uniform(-0.05, 0.05, size=starts // 4)
    for start, function, begin in (
        (NEAR, cubic, np.concatenate(near)),
        (ANYWHERE, cubic, places),
        (ANYWHERE, Function(_polynomial, (np.array([1.0, 0.0, -2.0, 2.0]),)), small),
    ):
        x = begin[:, None]
        for _ in range(steps):
            slope = function.gradients(x)
            x = np.clip(x - sign * function.values(x)[:, None] / np.where(slope == 0, 1e-300, slope), -1e50, 1e50)
        residual = {"quantity": "run", "start": start, "residual": np.abs(function.values(x))}
        tables.append(pd.DataFrame(residual))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"Newton's method in optimisation, $x \leftarrow x - f'(x) / f''(x)$, in more dimensions $x \leftarrow x - "
    r"(\nabla^2 f)^{-1} \nabla f$, goes to the stationary point of the second-order Taylor expansion, and is "
    r"rather similar to gradient descent with a step size of $1 / f''$.",
    source=(notes("Definition 3.14"), notes("Remark 3.14")),
    kind="formula",
    scope="twice differentiable f with an invertible second derivative; the likeness is meant for one dimension",
    literature="Nocedal and Wright 2006, section 2.2",
    criterion=AllOf(
        one_dimension=Identity("next", "stationary", operations=10_000, where={"dimension": 1, "quantity": "step"}),
        more=Identity("next", "stationary", operations=10_000, where={"dimension": DIMENSION, "quantity": "step"}),
        gradient_step=Identity("next", "stationary", operations=64, dtype="float32", where={"quantity": "descent"}),
        quadratic=Identity("next", "stationary", operations=100_000, where={"quantity": "quadratic"}),
    ),
    control={"curvature": "fixed"},
)
def newton_one_step(seed, *, curvature="of the function", starts=20):
    r"""Compares Newton's step with the expansion's stationary point, with a gradient step, and with a known minimum.

    Functions $\frac{1}{2} x^\top A x - b^\top x + \sum_i e^{-x_i^2 / 2}$ in one and in five dimensions, A with
    eigenvalues from 2 to 4 for Hessians that are invertible everywhere; Newton's step with derivatives by Keras'
    automatic differentiation, double precision. The other side has derivatives worked out by hand: the root of the
    derivative of the expansion as a polynomial, and in five dimensions the least-squares solution of its linear
    equations. Descent: a step of Keras' SGD at the rate $1 / f''$, in its single precision. Quadratic: one step from
    anywhere against the place where the minimum was put. The control has a fixed curvature of 1, which is descent at a
    fixed rate.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for dimension in (1, DIMENSION):
        matrix, _ = random_form(generator, generator.uniform(2, 4, size=dimension))
        vector = generator.normal(size=dimension)
        x = 2 * generator.normal(size=(starts, dimension))
        bumpy = Function(_bumpy, (matrix, vector, 1.0))
        gradients = x @ matrix - vector - x * np.exp(-(x**2) / 2)
        hessians = matrix + ((x**2 - 1) * np.exp(-(x**2) / 2))[:, :, None] * np.eye(dimension)
        if dimension == 1:
            expansions = np.column_stack([gradients[:, 0], hessians[:, 0, 0] / 2])
            stationary = x + [np.polynomial.Polynomial([0.0, *each]).deriv().roots() for each in expansions]
        else:
            stationary = x - [np.linalg.lstsq(h, g)[0] for h, g in zip(hessians, gradients, strict=True)]
        columns = {"next": _newton_step(bumpy, x, curvature).ravel(), "stationary": stationary.ravel()}
        tables.append(pd.DataFrame({"quantity": "step", "dimension": dimension, **columns}))
        form, minimum = Function(_bumpy, (matrix, matrix @ vector, 0.0)), np.broadcast_to(vector, x.shape)
        columns = {"next": _newton_step(form, x, curvature).ravel(), "stationary": minimum.ravel()}
        tables.append(pd.DataFrame({"quantity": "quadratic", "dimension": dimension, **columns}))
        if dimension == 1:
            columns = {"next": _newton_step(bumpy, x, curvature).ravel(), "stationary": _descended(bumpy, x).ravel()}
            tables.append(pd.DataFrame({"quantity": "descent", "dimension": dimension, **columns}))
    return pd.concat(tables, ignore_index=True)


@claim(
    "Newton's method in its original version does not work if the Hessian is not invertible, and can converge to a "
    "saddle point instead of a local minimum if the Hessian is not positive definite.",
    source=notes("Remark 3.16"),
    kind="possibility",
    scope="Newton's method with full steps; start and dimension are left open",
    left_open=("dimension",),
    literature="Nocedal and Wright 2006, section 3.3; Dauphin et al. 2014",
    criterion=AllOf(
        singular=Proportion("fails", at_least=0.5, because=CAN, source=CAN, each=("dimension",)),
        saddle=Proportion("ends_at_saddle", at_least=0.5, because=CAN, source=CAN, each=("dimension",)),
    ),
    control={"method": "gradient descent"},
)
def newton_saddle(seed, *, method="newton", dimensions=(2, 10), starts=50, steps=30):
    r"""Runs Newton's method from random starts on functions whose critical points are known.

    Saddle: double wells $\sum_i (z_i^2 - 1)^2 / 4$ along random directions z, whose critical points have every z at -1,
    0 or 1: minima without a zero, one maximum, saddles in between; whether one of 50 normal starts ends, with a
    gradient below 1e-8, where the Hessian has eigenvalues of both signs. Singular: $\sum_i (x_i^4 / 4 + c_i x_i)$
    where one coordinate is zero, so that its curvature is, too, and its slope is not: whether the linear equations
    have no solution. Derivatives by Keras' automatic differentiation. The control, gradient descent at rate 1/10, ends
    at minima and takes a step that lowers the function from there.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for dimension in dimensions:
        directions = np.linalg.qr(generator.normal(size=(dimension, dimension)))[0]
        wells = Function(double_wells, (directions,))
        x = generator.normal(size=(starts, dimension))
        for _ in range(steps if method == "newton" else 5 * steps):
            x = _newton_step(wells, x) if method == "newton" else x - 0.1 * wells.gradients(x)
        eigenvalues = np.linalg.eigvalsh(wells.hessians(x))
        arrived = np.linalg.norm(wells.gradients(x), axis=1) < 1e-8
        at_saddle = arrived & (eigenvalues.min(axis=1) < -0.1) & (eigenvalues.max(axis=1) > 0.1)
        flat = Function(_quartic, (generator.uniform(0.5, 1, size=dimension),))
        place = generator.uniform(0.5, 1, size=(1, dimension)) * (np.arange(dimension) > 0)
        rows.append(
            {
                "dimension": dimension,
                "ends_at_saddle": at_saddle.any(),
                "share_at_saddles": at_saddle.mean(),
                "fails": _fails(flat, place, method),
            }
        )
    return pd.DataFrame(rows)


@claim(
    r"Newton's method in optimisation finds the minima of a twice differentiable f, the solutions of $f'(x) = 0$; "
    r"$t = -f' / f''$, where the derivative of the expansion is zero, can make $f(x + t)$ as small as possible.",
    source=notes("Definition 3.14"),
    kind="theorem",
    root="stationary_point",
    scope="twice differentiable functions of one variable; the sign of the second derivative is left open",
    left_open=("second_derivative",),
    literature="Nocedal and Wright 2006, sections 2.2 and 3.3: the expansion has a minimum where the second derivative "
    "is positive; the notes' Remark 3.16 warns of saddles",
    criterion=AllOf(
        end=AtLeast("curvature", bound=0.0, each=("second_derivative",), where={"quantity": "end"}),
        expansion=AtLeast("curvature", bound=0.0, each=("second_derivative",), where={"quantity": "steps"}),
    ),
    boundary=Boundary(
        "where the second derivative is positive; elsewhere the same step goes to a maximum of the expansion",
        holds=f"second_derivative == '{CONVEX}'",
        assumption="a positive second derivative, Nocedal and Wright 2006, section 3.3",
    ),
    control={"amplitude": 10.0},
)
def newton_finds_minima(seed, *, amplitude=1.0, starts=40, steps=30):
    r"""Looks at the second derivative where Newton's method ends, and at each of its steps, from random starts.

    Functions $\frac{a}{2} x^2 - b x + e^{-x^2 / 2}$ by Keras with a between 2 and 4, so that the second derivative is
    positive, and with a between 0.1 and 0.3, which have two minima and a maximum. Ends count where the slope is below
    1e-8 after 30 steps; a stationary point with a negative second derivative is a maximum, of the function or of the
    expansion at that step. At x = 0 with a = 0.2 and b = 0 the method stays at a maximum, by hand. The control has a
    bump of ten times the height, so that all functions have maxima.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for sign, low, high in ((CONVEX, 2, 4), (BOTH, 0.1, 0.3)):
        matrix, vector = generator.uniform(low, high, size=(1, 1)), 0.2 * generator.normal(size=1)
        function = Function(_bumpy, (matrix, vector, amplitude))
        x, seen = generator.uniform(-4, 4, size=(starts, 1)), []
        for _ in range(steps):
            seen.append(function.hessians(x).ravel())
            x = x - function.gradients(x) / seen[-1][:, None]
        arrived = np.abs(function.gradients(x)[:, 0]) < 1e-8
        for quantity, curvature in (("end", function.hessians(x[arrived]).ravel()), ("steps", np.concatenate(seen))):
            tables.append(pd.DataFrame({"quantity": quantity, "second_derivative": sign, "curvature": curvature}))
    return pd.concat(tables, ignore_index=True)


def _newton_step(function, x, curvature="of the function"):
    """Places after a full step of Newton's method from each of several, [points, parameters]."""
    hessians = function.hessians(x) if curvature == "of the function" else np.eye(x.shape[1])
    return x - np.linalg.solve(hessians, function.gradients(x)[..., None])[..., 0]


def _descended(function, x):
    """Places after one step of Keras' SGD at the inverse second derivative, each by itself, [points, 1]."""
    places = []
    for place in x:
        parameters = keras.Variable(place, dtype="float64")
        rate = 1 / function.hessians(place[None])[0, 0, 0]
        gradient = keras.ops.convert_to_tensor(function.gradients(place[None])[0])
        keras.optimizers.SGD(rate).apply([gradient], [parameters])
        places.append(np.array(parameters.numpy()))
    return np.stack(places)


def _fails(function, place, method):
    """Whether a step has no solution, or does not lower the function."""
    try:
        after = _newton_step(function, place) if method == "newton" else place - 0.1 * function.gradients(place)
    except np.linalg.LinAlgError:
        return True
    return not bool(function.values(after)[0] < function.values(place)[0])


def _polynomial(points, coefficients):
    """A cubic, highest power first."""
    x = points[:, 0]
    value = coefficients[0] * x + coefficients[1]
    return (value * x + coefficients[2]) * x + coefficients[3]


def _bumpy(points, matrix, vector, amplitude):
    """A quadratic form with a bump of Gaussian shape on each coordinate."""
    bumps = amplitude * keras.ops.sum(keras.ops.exp(-points * points / 2), axis=1)
    return keras.ops.sum(points * (keras.ops.matmul(points, matrix) / 2 - vector), axis=1) + bumps


def _quartic(points, slopes):
    squares = points * points
    return keras.ops.sum(squares * squares / 4 + slopes * points, axis=1)
