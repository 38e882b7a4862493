"""What a point is where the gradient is zero: a minimum, a maximum, or a saddle."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, AtMost, Boundary, claim, lectures, notes
from repro.claims.optimizers._functions import NETWORK_SIZE, Function, double_wells, logistic, random_network

with epy.lazy_imports():
    import keras
    import scipy.optimize

DIMENSION, PENALTY = 3, 0.01
CONVEX, NETWORK = "convex", "not convex"


@claim(
    r"The weights that minimise $J(w)$ are sought by solving $\partial J(w) / \partial w = 0$.",
    source=lectures("2.3.1"),
    kind="theorem",
    root="stationary_point",
    scope="interior minima of a differentiable J; whether J is convex is left open; that networks generally have no "
    "closed form is not judged",
    left_open=("convexity",),
    literature="Boyd and Vandenberghe 2004, section 4.2.3: for convex functions a zero gradient is sufficient, too; "
    "Dauphin et al. 2014: saddle points of networks",
    criterion=AllOf(
        necessary=AtMost("gradient", bound=1e-6, each=("convexity",), where={"quantity": "minimum"}),
        sufficient=AtLeast("curvature", bound=-1e-9, each=("convexity",), where={"quantity": "stationary point"}),
    ),
    boundary=Boundary(
        "at every minimum the gradient is zero; the solutions are minima where J is convex, as a network's is not",
        holds=f"part == 'necessary' or convexity == '{CONVEX}'",
        assumption="a convex J, Boyd and Vandenberghe 2004, section 4.2.3",
    ),
    control={"trained": False},
)
def stationary_is_minimum(seed, *, trained=True, starts=12):
    """Measures the gradient at minima that values alone lead to, and the curvature at points where it is zero.

    Logistic regression in three dimensions, and half the mean squared error of a tanh network of 13 weights by Keras,
    both with a small ridge penalty, so that they have minima. Minimum: a search that is given values of J, not its
    gradient, whose largest component there, by automatic differentiation, is then compared with ten times the 1e-7 at
    which the search stops. Stationary point: solutions that a root finder (Levenberg and Marquardt's method)
    reaches from 12 normal starts, to ten digits, and the least eigenvalue of the Hessian there. In the control random
    points stand for the minima.
    """
    generator = np.random.default_rng(seed)
    functions = {
        CONVEX: (Function(logistic, (generator.normal(size=(8, DIMENSION)), PENALTY)), DIMENSION),
        NETWORK: (random_network(generator, penalty=PENALTY), NETWORK_SIZE),
    }
    tables = []
    for convexity, (function, dimension) in functions.items():
        w = generator.normal(size=dimension)
        if trained:
            w = scipy.optimize.minimize(_value, w, args=(function,), jac=_differences, method="BFGS", tol=1e-7).x
        columns = {"quantity": "minimum", "gradient": [np.abs(function.gradients(w[None])).max()]}
        tables.append(pd.DataFrame({"convexity": convexity, **columns}))
        points = stationary_points(function, generator.normal(size=(starts, dimension)))
        columns = {"quantity": "stationary point", "curvature": np.linalg.eigvalsh(function.hessians(points))[:, 0]}
        tables.append(pd.DataFrame({"convexity": convexity, **columns}))
    return pd.concat(tables, ignore_index=True)


@claim(
    "If the Hessian at an interior critical point of a function with continuous second derivatives is indefinite, "
    "there are a direction along which the point is a strict minimum and one along which it is a strict maximum: it is "
    "a saddle point.",
    source=notes("Remark 3.15"),
    kind="theorem",
    scope="interior critical points of functions with continuous second partial derivatives",
    literature="Magnus and Neudecker 2019, section 7.9",
    criterion=AllOf(
        minimum=AtLeast("rise", bound=1e-12, where={"direction": "of positive curvature"}),
        maximum=AtMost("rise", bound=-1e-12, where={"direction": "of negative curvature"}),
    ),
    control={"functions": ("semidefinite",)},
)
def indefinite_hessian_is_saddle(seed, *, functions=("network", "wells"), starts=12, distances=(1e-3, 2e-3, 4e-3)):
    r"""Follows functions from critical points with an indefinite Hessian, along directions of either curvature.

    Half the mean squared error of a tanh network of 13 weights with a small penalty, at solutions of a root finder to
    ten digits, Hessian by Keras' automatic differentiation with eigenvalues beyond 0.02 of both signs, besides which
    third derivatives are small at these distances; and double wells $\sum_i (z_i^2 - 1)^2 / 4$ along five
    random directions z, where every z is -1, 0 or 1. Along the extreme eigenvectors and along random directions whose
    curvature is at least a twentieth of the largest, both ways, the function at distances of 0.001 to 0.004 is above
    its value at the point, or below, by more than rounding. The control has $x^2 + y^4$, $x^2 - y^4$ and $x^2 + y^3$,
    whose Hessian at zero is the same semidefinite one while the first is no saddle: along y it does not fall.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for name in functions:
        for function, points in _critical_points(name, generator, starts):
            hessians = function.hessians(points)
            eigenvalues, vectors = np.linalg.eigh(hessians)
            drawn = generator.normal(size=(len(points), 20, points.shape[1]))
            drawn /= np.linalg.norm(drawn, axis=2, keepdims=True)
            directions = np.concatenate([vectors[:, :, [0, -1]].swapaxes(1, 2), drawn], axis=1)
            curvatures = np.einsum("pdi,pij,pdj->pd", directions, hessians, directions)
            clear = np.abs(curvatures) >= np.abs(eigenvalues).max(axis=1, keepdims=True) / 20
            clear[:, :2] = True  # the control's least curvature is zero
            rises = curvatures > np.maximum(eigenvalues[:, :1], 0.0) + 1e-9
            steps = np.multiply.outer([*distances, *(-d for d in distances)], directions)
            values = function.values((points[:, None] + steps).reshape(-1, points.shape[1])).reshape(steps.shape[:-1])
            rise = (values - function.values(points)[:, None])[:, clear]
            signs = np.where(rises, "of positive curvature", "of negative curvature")[clear]
            columns = {"direction": np.tile(signs, len(steps)), "rise": rise.ravel()}
            tables.append(pd.DataFrame({"function": name, **columns}))
    return pd.concat(tables, ignore_index=True)


def _critical_points(name, generator, starts):
    """Yield functions, each with critical points whose Hessian is indefinite, or semidefinite for the control."""
    if name == "network":
        function = random_network(generator, penalty=PENALTY)
        points = stationary_points(function, generator.normal(size=(starts, NETWORK_SIZE)))
        least, *_, largest = np.linalg.eigvalsh(function.hessians(points)).T
        indefinite = (least < -0.02) & (largest > 0.02)
        if indefinite.any():
            yield function, points[indefinite]
    elif name == "wells":
        directions = np.linalg.qr(generator.normal(size=(5, 5)))[0]
        places = np.array([0.0, 1.0, *generator.integers(-1, 2, size=3)])
        yield Function(double_wells, (directions,)), (directions @ places)[None]
    else:
        directions = np.linalg.qr(generator.normal(size=(2, 2)))[0]
        for powers in ((1.0, 0.0), (-1.0, 0.0), (0.0, 1.0)):
            yield Function(_semidefinite, (directions, *map(np.array, powers))), np.zeros((1, 2))


def stationary_points(function, starts, steps=200):
    """Points where the gradient is zero to ten digits, [found, parameters], that a root finder reaches from starts.

    The steps of Levenberg and Marquardt solve (H H + damping) step = -H g, from all starts at once; the damping falls
    where the gradient shrinks, and rises where it does not, from where the step is taken back.
    """
    w, damping = starts, np.ones(len(starts))
    gradients = function.gradients(w)
    for _ in range(steps):
        hessians = function.hessians(w)
        normal = hessians @ hessians + damping[:, None, None] * np.eye(starts.shape[1])
        after = w - np.linalg.solve(normal, (hessians @ gradients[..., None]))[..., 0]
        changed = function.gradients(after)
        shrinks = np.linalg.norm(changed, axis=1) < np.linalg.norm(gradients, axis=1)
        w, gradients = np.where(shrinks[:, None], after, w), np.where(shrinks[:, None], changed, gradients)
        damping = np.clip(damping * np.where(shrinks, 0.2, 5.0), 1e-15, 1e8)
        if np.abs(gradients).max() < 1e-12:
            break
    return w[np.abs(gradients).max(axis=1) < 1e-10]


def _value(w, function):
    return function.values(w[None])[0]


def _differences(w, function, distance=1e-5):
    """Gradient by central differences of values."""
    steps = distance * np.eye(len(w))
    above, below = np.split(function.values(np.vstack([w + steps, w - steps])), 2)
    return (above - below) / (2 * distance)


def _semidefinite(points, directions, fourth, third):
    """The square of one coordinate, with a multiple of the fourth and of the third power of the other."""
    z = keras.ops.matmul(points, directions)
    x, y = z[:, 0], z[:, 1]
    return x * x + fourth * y * y * y * y + third * y * y * y
