"""Methods made for quadratic forms: BFGS, steepest descent and conjugate gradients."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, AtMost, Boundary, Identity, Rival, claim, notes
from repro.claims.optimizers._functions import NETWORK_SIZE, Function, logistic, random_form, random_network

with epy.lazy_imports():
    import scipy.optimize

DIMENSION, EXAMPLES, PENALTY = 5, 20, 0.1
MINIMUM, SOLUTION = "a minimum", "the solution of the equations"


@claim(
    r"BFGS repeats, as x converges to the solution: $p = -H^{-1} \nabla f$, a line search for $\alpha$, exact or in "
    r"practice usually any that satisfies the Wolfe conditions, $s = \alpha p$, $y = \nabla f_{new} - \nabla f$, and "
    r"$H \leftarrow H + \frac{y y^\top}{y^\top s} - \frac{H s s^\top H^\top}{s^\top H s}$.",
    source=notes("Definition 3.15"),
    kind="formula",
    scope="smooth f without constraints; an approximate Hessian to begin with, here a positive definite one, and a "
    "convex f for the convergence; which line search is left open",
    left_open=("search",),
    literature="Nocedal and Wright 2006, section 6.1 and theorem 6.5",
    criterion=AllOf(
        update=Identity("documented", "scipy", operations=10_000, where={"quantity": "update"}),
        inverse=Identity("documented", "inverse_form", operations=100_000, where={"quantity": "update"}),
        secant=Identity("documented", "change", operations=100_000, where={"quantity": "secant"}),
        definite=AtLeast("least_eigenvalue", bound=0.0, where={"quantity": "eigenvalue"}),
        converges=AtMost("distance", bound=1e-6, each=("search",), where={"quantity": "run"}),
    ),
    control={"curvature_condition": False},
    rival=Rival(
        r"$H \leftarrow H + \frac{y y^\top}{y^\top s} - \frac{H s s^\top H^\top}{s^\top y}$.",
        criterion=Identity("other_divisor", "scipy", operations=10_000, where={"quantity": "update"}),
    ),
)
def bfgs(seed, *, curvature_condition=True, pairs=20, iterations=40):
    r"""Compares the update with SciPy's and with the inverse form, and follows whole runs to a known solution.

    Pairs s and y of a tanh network's loss of 13 weights, which is not convex, with $y^\top s > 0$, gradients by Keras'
    automatic differentiation; H is random and positive definite. The update against ``scipy.optimize.BFGS`` and against
    the inverse of the form that updates the inverse; its product with s against y; its least eigenvalue. Runs of 40
    iterations on a logistic loss of five weights with a ridge penalty from normal starts, exact search by Brent's
    method and Wolfe search by SciPy's: distance to the minimum that SciPy's trust-region Newton method finds, of which
    1e-6 is far above rounding. The control takes pairs as they come, without the condition that a line search secures,
    so that H becomes indefinite; the rival has another divisor. On functions that are not convex, runs end at local
    minima.
    """
    generator = np.random.default_rng(seed)
    loss = random_network(generator)
    s, w = 0.5 * generator.normal(size=(8 * pairs, NETWORK_SIZE)), generator.normal(size=(8 * pairs, NETWORK_SIZE))
    y = loss.gradients(w + s) - loss.gradients(w)
    products = (s * y).sum(axis=1)
    # Products near zero make every form lose digits.
    clear = np.abs(products) > 0.05 * np.linalg.norm(s, axis=1) * np.linalg.norm(y, axis=1)
    chosen = np.flatnonzero(clear & (products > 0) if curvature_condition else clear)[:pairs]
    tables = []
    for place in chosen:
        step, change = s[place], y[place]
        before, _ = random_form(generator, generator.uniform(0.5, 2, size=NETWORK_SIZE))
        after = update(before, step, change)
        product = before @ step
        columns = {
            "documented": after.ravel(),
            "scipy": _by_scipy(before, step, change).ravel(),
            "inverse_form": np.linalg.inv(_inverse_form(np.linalg.inv(before), step, change)).ravel(),
            "other_divisor": (
                before + np.outer(change, change) / (change @ step) - np.outer(product, product) / (step @ change)
            ).ravel(),
        }
        tables.append(pd.DataFrame({"quantity": "update", **columns}))
        tables.append(pd.DataFrame({"quantity": "secant", "documented": after @ step, "change": change}))
        least = np.linalg.eigvalsh((after + after.T) / 2)[0]
        tables.append(pd.DataFrame({"quantity": "eigenvalue", "least_eigenvalue": [least]}))
    convex = Function(logistic, (generator.normal(size=(EXAMPLES, DIMENSION)), PENALTY))
    start = generator.normal(size=DIMENSION)
    for search in ("exact", "Wolfe"):
        columns = {"quantity": "run", "search": search, "distance": [_distance(convex, start, search, iterations)]}
        tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def update(hessian, s, y):
    """The documented update of an approximate Hessian."""
    product = hessian @ s
    return hessian + np.outer(y, y) / (y @ s) - np.outer(product, product) / (s @ product)


def _inverse_form(inverse, s, y):
    """The update of the inverse, equation 6.17 of Nocedal and Wright 2006."""
    rho, identity = 1 / (y @ s), np.eye(len(s))
    return (identity - rho * np.outer(s, y)) @ inverse @ (identity - rho * np.outer(y, s)) + rho * np.outer(s, s)


def _by_scipy(hessian, s, y):
    strategy = scipy.optimize.BFGS(
        exception_strategy="skip_update", min_curvature=-np.inf, init_scale=(hessian + hessian.T) / 2
    )
    strategy.initialize(len(s), "hess")
    strategy.update(s, y)
    return strategy.get_matrix()


def _distance(function, start, search, iterations):
    """Distance of a run of BFGS, from the identity for a Hessian, to the minimum that another method finds."""

    def value(w):
        return function.values(w[None])[0]

    def gradient(w):
        return function.gradients(w[None])[0]

    minimum = scipy.optimize.minimize(
        value, start, jac=gradient, hess=lambda w: function.hessians(w[None])[0], method="trust-exact", tol=1e-12
    ).x
    w, hessian, slope = start, np.eye(len(start)), gradient(start)
    for _ in range(iterations):
        if np.linalg.norm(slope) < 1e-9:
            break
        p = -np.linalg.solve(hessian, slope)
        if search == "exact":
            alpha = scipy.optimize.minimize_scalar(lambda a, w=w, p=p: value(w + a * p)).x
        else:
            alpha = scipy.optimize.line_search(value, gradient, w, p, slope)[0]
        if alpha is None:  # near the minimum no step lowers the value by more than rounding
            break
        s = alpha * p
        y = gradient(w + s) - slope
        w, slope = w + s, slope + y
        if y @ s > 0:
            hessian = update(hessian, s, y)
    return np.linalg.norm(w - minimum)


@claim(
    "For the quadratic form of a singular matrix a line, the bottom of the valley, is the set of solutions; for that "
    "of an indefinite one the solution is a saddle point, so that steepest descent and conjugate gradients will not "
    "work; in three dimensions and more a singular matrix can also have a saddle.",
    source=notes("Figure 13"),
    kind="theorem",
    scope="half x A x minus b x with a symmetric A; what not working means is left open: to reach no minimum, or no "
    "solution of A x = b; step lengths, here the exact ones",
    left_open=("method", "meaning"),
    literature="Shewchuk 1994, figure 5; Nocedal and Wright 2006, section 7.1; Paige and Saunders 1975: on indefinite "
    "systems conjugate gradients may break down, and do so for special starts only",
    criterion=AllOf(
        valley=Identity("value", "least", operations=1000, where={"quantity": "valley"}),
        saddle=AtLeast("both_ways", bound=1e-6, where={"quantity": "saddle"}),
        methods=AtLeast("left", bound=1e-6, each=("method", "meaning"), where={"quantity": "run"}),
    ),
    boundary=Boundary(
        "as methods that descend to a minimum, which there is none; as solvers conjugate gradients reach the saddle, "
        "and steepest descent does from some starts",
        holds=f"part != 'methods' or meaning == '{MINIMUM}'",
        assumption="Shewchuk 1994, section 4: the methods are meant to minimise the form",
    ),
    control={"indefinite": False},
)
def descent_fails_on_indefinite(seed, *, indefinite=True, dimensions=(2, 3, 20), starts=20, steps=300):
    r"""Runs both methods with exact step lengths on forms with eigenvalues of both signs, from random starts.

    Eigenvalues between 1/2 and 2 in size, one at least of each sign; steepest descent takes 300 steps of $r^\top r /
    r^\top A r$, conjugate gradients as many as there are dimensions, and two more. Minimum: by how much a point at
    distance one is lower than where the method ends, from the gradient and the least eigenvalue there; by
    hand that is 1/4 at least for every point, so that this part is a worked number. Solution: the
    norm of the residual over that at the start. In two dimensions a step of steepest descent leaves the residual
    $(\lambda_1 - \lambda_2)^2 u (1 - u) / (\lambda_1 u + \lambda_2 (1 - u))^2$ of its square, u being the share along
    the first axis, which becomes 1 - u: for eigenvalues 1 and -1 it converges from every start with $8 u (1 - u) < 1$.
    Valley: the form at random places of the line, singular matrices with one eigenvalue of zero, against $-\frac{1}{2}
    b^\top A^+ b$. Saddle: by how much the form rises along one direction and falls along another, the lesser of both,
    in three and twenty dimensions with one eigenvalue of zero. The control has positive eigenvalues.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for dimension in dimensions:
        sizes = generator.uniform(0.5, 2, size=dimension)
        signs = np.where(np.arange(dimension) % 2, -1, 1) if indefinite else np.ones(dimension)
        matrix, directions = random_form(generator, signs * sizes)
        solution = generator.normal(size=dimension)
        least = (signs * sizes).min()
        downward = directions[:, (signs * sizes).argmin()]
        for _ in range(starts):
            start = solution + generator.normal(size=dimension)
            first = matrix @ (solution - start)
            for method, run in (("steepest descent", _steepest_descent), ("conjugate gradients", _conjugate_gradients)):
                residual = run(matrix, first, steps if method == "steepest descent" else dimension + 2)
                left = {
                    MINIMUM: abs(residual @ downward) - least / 2,
                    SOLUTION: np.linalg.norm(residual) / np.linalg.norm(first),
                }
                columns = {"meaning": list(left), "left": list(left.values())}
                tables.append(pd.DataFrame({"quantity": "run", "method": method, **columns}))
        semidefinite, axes = random_form(generator, np.where(np.arange(dimension) == 0, 0.0, sizes))
        vector = semidefinite @ generator.normal(size=dimension)
        lowest = np.linalg.lstsq(semidefinite, vector, rcond=1e-10)[0]
        line = lowest + 3 * generator.normal(size=(starts, 1)) * axes[:, 0]
        values = _form(line, semidefinite, vector)
        columns = {"value": values, "least": -vector @ np.linalg.pinv(semidefinite, rcond=1e-10) @ vector / 2}
        tables.append(pd.DataFrame({"quantity": "valley", **columns}))
        if dimension > 2:
            singular, axes = random_form(generator, np.where(np.arange(dimension) == 0, 0.0, sizes * signs))
            up, down = (axes[:, place] for place in np.argsort(sizes * signs * (np.arange(dimension) > 0))[[-1, 0]])
            rises = _form(np.stack([up, down]), singular, np.zeros(dimension))
            both_ways = min(rises[0], -rises[1])
            tables.append(pd.DataFrame({"quantity": "saddle", "both_ways": [both_ways]}))
    return pd.concat(tables, ignore_index=True)


def _form(points, matrix, vector):
    return np.einsum("pi,ij,pj->p", points, matrix, points) / 2 - points @ vector


def _steepest_descent(matrix, residual, steps):
    """Residual after steps of the exact length, as long as numbers last."""
    for _ in range(steps):
        product = matrix @ residual
        curvature = residual @ product
        if curvature == 0 or not 1e-14 < np.linalg.norm(residual) < 1e100:
            break
        residual = residual - residual @ residual / curvature * product
    return residual


def _conjugate_gradients(matrix, residual, steps):
    direction = residual
    for _ in range(steps):
        product = matrix @ direction
        curvature = direction @ product
        if curvature == 0 or np.linalg.norm(residual) < 1e-14:
            break
        after = residual - residual @ residual / curvature * product
        direction = after + after @ after / (residual @ residual) * direction
        residual = after
    return residual
