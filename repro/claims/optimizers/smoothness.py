"""Inequalities of smooth and of convex functions."""

from __future__ import annotations

import itertools

import numpy as np
import pandas as pd

from repro import AllOf, AtLeast, AtMost, Boundary, Correction, Rival, cheatsheet, claim
from repro.claims.optimizers._functions import (
    NETWORK_SIZE,
    Function,
    logistic,
    negative_logistic,
    quadratic,
    random_form,
    random_network,
)

DIMENSION, EXAMPLES = 8, 6  # fewer examples than parameters, so that some directions are flat
NEAR = 1e-3  # distance of near pairs, and of the second differences
ALONG = np.linspace(0, 1, 9)
ROUNDING = 1e-10


@claim(
    r"An $L$-smooth function satisfies $\ell(w) - \ell(w') \le \nabla \ell(w')^\top (w - w') + \frac{L}{2} "
    r"\lVert w - w' \rVert^2$ and $\ell''(x) \le L$.",
    source=cheatsheet("1.3.2"),
    kind="theorem",
    scope="L-smooth on the set considered, convex or not",
    literature="Nesterov 2004, lemma 1.2.3",
    criterion=AllOf(
        bound=AtMost("above_tangent", bound="largest", atol=ROUNDING, where={"quantity": "pair"}),
        curvature=AtMost("second_difference", bound="constant", atol=1e-6, where={"quantity": "curvature"}),
    ),
    control={"smooth": False},
    rival=Rival(
        r"$\ell(w) - \ell(w') \le \nabla \ell(w')^\top (w - w') + \frac{L}{4} \lVert w - w' \rVert^2$.",
        criterion=AtMost("above_tangent", bound="half_as_large", atol=ROUNDING, where={"quantity": "pair"}),
    ),
)
def descent_lemma(seed, *, smooth=True, far=30, near=400, radius=2.0):
    """Both inequalities at pairs of points far from each other and near, on convex losses and on a network's.

    How far a function lies above its tangent (nothing, where it lies below), over L/2 times the squared distance, and
    second differences along the pair against L. Functions: an indefinite quadratic form, where L is the spectral norm;
    a logistic loss of 6 examples in 8 dimensions, where L is the squared spectral norm of the data over four times
    their number; and half the mean squared error of a tanh network of 13 weights by Keras, where L is the largest
    absolute eigenvalue of its Hessian over far pairs and seven places between them. The form attains the bound along
    its steepest direction, the logistic loss nearly does near zero. Derivatives by automatic differentiation, double
    precision. The control has a ReLU network, whose gradient jumps between places at which its Hessian is small; the
    rival has half of L. Near pairs are 0.001 apart; of the control's about one in fifty has a jump between.
    """
    generator = np.random.default_rng(seed)
    matrix, directions = random_form(generator, np.concatenate([[3.0], generator.uniform(-2, 2, DIMENSION - 1)]))
    signed = generator.normal(size=(EXAMPLES, DIMENSION))
    top = np.linalg.svd(signed)[2][0]
    form = Function(quadratic, (matrix, generator.normal(size=DIMENSION)))
    losses = Function(logistic, (signed, 0.0))
    of_network = random_network(generator, smooth=smooth)
    constants = {
        "quadratic form": (form, np.linalg.norm(matrix, 2), [(np.ones(DIMENSION), directions[:, 0])]),
        "logistic loss": (losses, np.linalg.norm(signed, 2) ** 2 / (4 * EXAMPLES), [(np.zeros(DIMENSION), 0.01 * top)]),
        "network": (of_network, None, []),
    }
    tables = []
    for name, (function, constant, extremal) in constants.items():
        dimension = NETWORK_SIZE if name == "network" else DIMENSION
        start, step = _pairs(generator, far, near, dimension, radius)
        if extremal:
            start, step = (np.vstack([drawn, *added]) for drawn, *added in zip((start, step), *extremal, strict=True))
        if constant is None:
            between = (start[:far, None] + ALONG[:, None] * step[:far, None]).reshape(-1, dimension)
            constant = np.abs(np.linalg.eigvalsh(function.hessians(between))).max()
        tangent = function.values(start) + (function.gradients(start) * step).sum(axis=1)
        largest = constant / 2 * (step**2).sum(axis=1)
        pair = {
            "quantity": "pair",
            "above_tangent": np.maximum(function.values(start + step) - tangent, 0.0),
            "largest": largest,
            "half_as_large": largest / 2,
        }
        curvature = {
            "quantity": "curvature",
            "second_difference": _second_difference(function, start + step / 2, step),
            "constant": constant,
        }
        tables += [pd.DataFrame({"function": name, **columns}) for columns in (pair, curvature)]
    return pd.concat(tables, ignore_index=True)


@claim(
    r"Under L-smoothness the sheet lists $\lVert \nabla h(\theta_1) - \nabla h(\theta_2) \rVert \le L \lVert "
    r"\theta_1 - \theta_2 \rVert$ for all $\theta_1, \theta_2$ and, below it, $\lambda_{\max}(\nabla^2 h) \le L$.",
    source=cheatsheet("1.3.2"),
    kind="theorem",
    scope="twice differentiable h; whether h is convex, and whether the second line is a consequence of the first or "
    "an equivalent of it, is left open",
    left_open=("convexity",),
    literature="Nesterov 2004, lemma 1.2.2: equivalent to the first line is that all eigenvalues lie between -L and L",
    criterion=AllOf(
        consequence=AtMost(
            "curvature", bound="lipschitz", atol=ROUNDING, each=("convexity",), where={"quantity": "curvature"}
        ),
        equivalent=AtMost("ratio", bound="constant", rtol=1e-6, each=("convexity",), where={"quantity": "gradients"}),
    ),
    boundary=Boundary(
        "as a consequence, and where h is convex also as an equivalent: negative curvature is bounded by the first "
        "line alone",
        holds="part == 'consequence' or convexity == 'convex'",
        assumption="Nesterov 2004, theorem 2.1.6: for convex functions the two are equivalent",
    ),
    correction=Correction(
        r"$\max_i |\lambda_i(\nabla^2 h)| \le L$ is what the first line says, convex or not.",
        largest="absolute",
    ),
)
def smoothness_by_hessian(seed, *, largest="signed", points=60, radius=2.0, raised=0.1):
    r"""Each line from the other, on convex functions and on others.

    Consequence: the largest eigenvalue of the Hessian at random points and at zero, by automatic differentiation,
    against the Lipschitz constant of the gradient, known from the spectral norms of matrix and data. Equivalent: the
    gradient's Lipschitz ratio over pairs, one along the direction of the largest absolute curvature, against the
    largest eigenvalue found. Convex: a positive definite form and a logistic loss; not convex: a form with eigenvalues
    from -3 to 1, and less the logistic loss plus a twentieth of the squared norm, whose largest eigenvalue is 1/10
    while its gradient changes by more. The form
    $-\theta^2$ shows it by hand: eigenvalue -2, Lipschitz constant 2. The correction takes absolute eigenvalues.
    """
    generator = np.random.default_rng(seed)
    signed = generator.normal(size=(EXAMPLES, DIMENSION))
    of_losses = np.linalg.norm(signed, 2) ** 2 / (4 * EXAMPLES)
    steepest = np.linalg.svd(signed)[2][0]
    functions = []
    for convexity, eigenvalues in (("convex", [3.0, 0.0]), ("not convex", [-3.0, 1.0])):
        drawn = np.concatenate([eigenvalues, generator.uniform(*sorted(eigenvalues), DIMENSION - 2)])
        matrix, directions = random_form(generator, drawn)
        form = Function(quadratic, (matrix, generator.normal(size=DIMENSION)))
        functions.append((convexity, form, np.linalg.norm(matrix, 2), directions[:, 0]))
        value = logistic if convexity == "convex" else negative_logistic
        penalty = 0.0 if convexity == "convex" else -raised
        functions.append((convexity, Function(value, (signed, penalty)), max(of_losses + penalty, raised), steepest))
    tables = []
    for convexity, function, lipschitz, direction in functions:
        start, step = _pairs(generator, points // 2, points // 2, DIMENSION, radius)
        start, step = np.vstack([start, np.zeros(DIMENSION)]), np.vstack([step, 0.01 * direction])
        eigenvalues = np.linalg.eigvalsh(function.hessians(start))
        constant = (np.abs(eigenvalues) if largest == "absolute" else eigenvalues).max()
        change = function.gradients(start + step) - function.gradients(start)
        curvature = {
            "quantity": "curvature",
            "curvature": (np.abs(eigenvalues) if largest == "absolute" else eigenvalues).max(axis=1),
            "lipschitz": lipschitz,
        }
        gradients = {
            "quantity": "gradients",
            "ratio": np.linalg.norm(change, axis=1) / np.linalg.norm(step, axis=1),
            "constant": constant,
        }
        tables += [pd.DataFrame({"convexity": convexity, **columns}) for columns in (curvature, gradients)]
    return pd.concat(tables, ignore_index=True)


@claim(
    r"Convex: $\ell(\lambda w + (1 - \lambda) w') \le \lambda \ell(w) + (1 - \lambda) \ell(w')$, $\ell''(x) \ge 0$, "
    r"and for differentiable $\ell$ equivalently $\ell(w) \ge \ell(w') + \nabla \ell(w')^\top (w - w')$. Strongly "
    r"convex: $\frac{\mu}{2} \lVert w - w' \rVert^2$ is added on the right, and $\ell''(x) \ge \mu$.",
    source=cheatsheet("1.3.5"),
    kind="theorem",
    scope="lambda in [0, 1]; differentiable functions where derivatives occur, twice where second ones do",
    literature="Nesterov 2004, theorems 2.1.2, 2.1.4, 2.1.9 and 2.1.11; Boyd and Vandenberghe 2004, section 3.1",
    criterion=AllOf(
        chord=AtMost("between", bound="chord", atol=ROUNDING, where={"quantity": "chord"}),
        tangent=AtLeast("value", bound="tangent", atol=ROUNDING, where={"quantity": "pair"}),
        curvature=AtLeast("least_curvature", bound=0.0, atol=ROUNDING, where={"quantity": "curvature"}),
        strong=AtLeast("value", bound="strong_tangent", atol=ROUNDING, where={"quantity": "pair"}),
        strong_curvature=AtLeast("least_curvature", bound="mu", atol=ROUNDING, where={"quantity": "curvature"}),
        equivalence=AtMost("disagreement", bound=0.0, where={"quantity": "equivalence"}),
    ),
    control={"convex": False},
    rival=Rival(
        r"$\mu \lVert w - w' \rVert^2$ is added on the right, twice as much.",
        criterion=AtLeast("value", bound="doubly_strong", atol=ROUNDING, where={"quantity": "pair"}),
    ),
)
def convexity_inequalities(seed, *, convex=True, far=60, near=20, radius=2.0, penalty=0.25):
    """Every inequality at pairs of points, on logistic losses and least squares with and without a ridge penalty.

    Six examples in eight dimensions, so that the least curvature is known: it is the penalty, mu (1/4, or nothing), in
    the two directions that no example has, where some of the pairs lie and attain the equality. Chords at lambda from 0
    to 1; tangents, and the least eigenvalue of the Hessian, by automatic differentiation in double precision.
    Equivalence, a worked check of a theorem: on the line through each far pair, of these and of two functions that are
    not convex (less the logistic loss, and a tanh network's loss), chords lie below the function somewhere exactly if
    tangents lie above it somewhere. In the control the network's loss with the penalty takes the place of the convex
    ones; the rival has a mu twice the least curvature.
    """
    generator = np.random.default_rng(seed)
    signed = generator.normal(size=(EXAMPLES, DIMENSION))
    free = np.linalg.svd(signed)[2][EXAMPLES:]
    square = signed.T @ signed / EXAMPLES
    functions = {
        "logistic loss": (Function(logistic, (signed, 0.0)), 0.0),
        "logistic loss with penalty": (Function(logistic, (signed, penalty)), penalty),
        "least squares with penalty": (
            Function(quadratic, (square + penalty * np.eye(DIMENSION), signed.sum(axis=0))),
            penalty,
        ),
    }
    others = {
        "less the logistic loss": (Function(negative_logistic, (signed, 0.0)), 0.0),
        "network with penalty": (random_network(generator, penalty=penalty), penalty),
    }
    tables = []
    for name, (function, mu) in (functions | others).items():
        dimension = NETWORK_SIZE if name == "network with penalty" else DIMENSION
        start, step = _pairs(generator, far, near, dimension, radius)
        on_lines = _disagreement(function, start[:far], step[:far])
        if dimension == DIMENSION:
            start, step = np.vstack([start, start[: len(free)]]), np.vstack([step, free])
        if name in functions if convex else name == "network with penalty":
            tables += _inequalities(function, start, step, mu)
        tables.append(pd.DataFrame({"quantity": "equivalence", "disagreement": on_lines}))
    return pd.concat(tables, ignore_index=True)


def _pairs(generator, far, near, dimension, radius):
    """Points in a ball, and steps to others: far ones to another point of the ball, then near ones."""
    count = far + near
    places = generator.normal(size=(2, count, dimension))
    places *= radius * generator.uniform(size=(2, count, 1)) / np.linalg.norm(places, axis=2, keepdims=True)
    start, step = places[0], places[1] - places[0]
    step[far:] *= NEAR / np.linalg.norm(step[far:], axis=1, keepdims=True)
    return start, step


def _second_difference(function, points, step):
    unit = NEAR * step / np.linalg.norm(step, axis=1, keepdims=True)
    values = [function.values(points + sign * unit) for sign in (-1, 0, 1)]
    return (values[0] - 2 * values[1] + values[2]) / NEAR**2


def _inequalities(function, start, step, mu):
    """Both sides of the inequalities, for pairs that are a step apart."""
    first, second = function.values(start), function.values(start + step)
    between = np.stack([function.values(start + share * step) for share in ALONG])
    chord = first + ALONG[:, None] * (second - first)
    tangent = first + (function.gradients(start) * step).sum(axis=1)
    squares = (step**2).sum(axis=1)
    pair = {
        "quantity": "pair",
        "value": second,
        "tangent": tangent,
        "strong_tangent": tangent + mu / 2 * squares,
        "doubly_strong": tangent + mu * squares,
    }
    least = np.linalg.eigvalsh(function.hessians(start)).min(axis=1)
    columns = (
        {"quantity": "chord", "between": between.ravel(), "chord": chord.ravel()},
        pair,
        {"quantity": "curvature", "least_curvature": least, "mu": mu},
    )
    return list(map(pd.DataFrame, columns))


def _disagreement(function, start, step):
    """Whether, on the line of each pair, just one of chords and tangents shows that a function is not convex.

    What shows it clearly, by a thousandth of the values, is compared with what does not show it at all.
    """
    places = np.linspace(-1, 2, 25)
    points = start[:, None] + places[:, None] * step[:, None]
    values = function.values(points.reshape(-1, points.shape[2])).reshape(points.shape[:2])
    gradients = function.gradients(points.reshape(-1, points.shape[2])).reshape(points.shape)
    slopes = np.einsum("plj,pj->pl", gradients, step)
    tangents = values[:, :, None] + slopes[:, :, None] * (places[None, None, :] - places[None, :, None])
    of_tangents = (tangents - values[:, None, :]).max(axis=(1, 2))
    first, between, last = np.array(list(itertools.combinations(range(len(places)), 3))).T
    share = (places[between] - places[first]) / (places[last] - places[first])
    chords = values[:, first] + share * (values[:, last] - values[:, first])
    of_chords = (values[:, between] - chords).max(axis=1)
    clear = 1e-3 * np.abs(values).max(axis=1)
    shown_once = (of_tangents > clear) & (of_chords < ROUNDING) | (of_chords > clear) & (of_tangents < ROUNDING)
    return shown_once.astype(float)
