"""Where weight decay moves minima, and how much of it is best for a linear student."""

from __future__ import annotations

import itertools
from collections import defaultdict
from functools import cache

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Boundary, Correction, Equivalent, Identity, Rival, ScalingLaw, cheatsheet, claim
from repro.claims.weight_decay._gradients import doubles, minimiser_of_quadratic
from repro.engine.backend import compile_function, value_and_gradient

with epy.lazy_imports():
    import keras
    import scipy.optimize

DECAYS = (2**-7, 0.25, 1.0, 2.0)  # exact in single precision, which Keras keeps penalties in
FIVE_PER_CENT = float(np.log(1.05))


@claim(
    r"$(\Lambda + I)^{-1} \Lambda = \mathrm{diag}\left(\frac{\lambda_i}{\lambda_i + \mu}\right)$.",
    source=cheatsheet("1.8.2"),
    kind="formula",
    transcription=True,
    scope="Lambda is the diagonal matrix of the eigenvalues of H, beside H + mu I one line above",
    literature="Goodfellow, Bengio and Courville 2016, equation 7.13",
    criterion=Identity("inverse", "formula", operations=10**4),
    correction=Correction(
        r"$(\Lambda + \mu I)^{-1} \Lambda = \mathrm{diag}\left(\frac{\lambda_i}{\lambda_i + \mu}\right)$.",
        added="mu times the identity",
        decays=(0.01, 0.3, 1.0, 5.0),
    ),
)
def shrinkage_matrix(seed, *, decays=DECAYS, size=6, added="the identity"):
    r"""Compares the left side, by Keras' solver, with the right one, for four $\mu$ and eigenvalues of 0.01 to 10.

    Double precision; six eigenvalues, the smallest of them zero. As printed, $\mu$ stands on the right side only, so
    that the sides agree for $\mu = 1$ alone: with $\lambda = 1$ and $\mu = 3$ they are 1/2 and 1/4. The line above has
    $H + \mu I$, from which the correction follows by $H = Q^\top \Lambda Q$; a $\mu$ may be lost in copying.
    """
    generator = np.random.default_rng(seed)
    eigenvalues = np.append(0.0, 10 ** generator.uniform(-2, 1, size=size - 1))
    tables = []
    for decay in decays:
        factor = decay if added == "mu times the identity" else 1.0
        matrix = doubles(np.diag(eigenvalues) + factor * np.eye(size))
        inverse = keras.ops.convert_to_numpy(keras.ops.solve(matrix, doubles(np.diag(eigenvalues))))
        formula = np.diag(eigenvalues / (eigenvalues + decay))
        tables.append(pd.DataFrame({"decay": decay, "inverse": inverse.ravel(), "formula": formula.ravel()}))
    return pd.concat(tables, ignore_index=True)


@claim(
    r"Around a minimum $\theta^*$ where the loss is quadratic, $H = Q^\top \Lambda Q$, weight decay moves it to "
    r"$\theta^*_\mu = (H + \mu I)^{-1} H \theta^*$: it is shrunk along directions with small eigenvalues, by "
    r"$\frac{\lambda_i}{\lambda_i + \mu}$.",
    source=cheatsheet("1.8.2"),
    kind="formula",
    scope="quadratic approximation around the minimum, H positive semidefinite; small is small beside mu",
    literature="Goodfellow, Bengio and Courville 2016, equations 7.10 to 7.13",
    criterion=AllOf(
        weights=Identity("minimiser", "formula", operations=10**6, where={"quantity": "weights"}),
        directions=Identity("minimiser", "formula", operations=10**6, where={"quantity": "directions"}),
        network=ScalingLaw("decay", "error", expected=2.0, rivals=(1.0, 3.0), where={"quantity": "network"}),
    ),
    full={"inputs": 30, "records": 100, "examples": 500},
    control={"is_shrunk": False},
    rival=Rival(
        r"All directions are shrunk by one factor, $\bar\lambda / (\bar\lambda + \mu)$ of the mean eigenvalue.",
        criterion=Identity("minimiser", "uniform", operations=10**6, where={"quantity": "weights"}),
    ),
)
def local_shrinkage(
    seed, *, records=12, inputs=6, examples=60, shares=(1 / 512, 1 / 256, 1 / 128, 1 / 64), is_shrunk=True
):
    r"""Compares minima with weight decay with the formula, of quadratic losses and of a small network.

    Quadratic losses $\frac12 (\theta - \theta^*)^\top H (\theta - \theta^*)$ of normal regressions with 12 records and
    4, fewer than the six inputs, so that $H$ is singular; decays of 1/128 to 2 by Keras' L2 regulariser of $\mu /
    2$; the minimiser solves the linear equations that its gradient by automatic differentiation at nought and at the
    unit vectors gives. Directions: its coefficients along the
    eigenvectors over those of $\theta^*$. Network: two sigmoid units of two inputs without biases, fitted by Newton's
    method to 60 noisy outputs of another one, then with decays of 1/512 to 1/64 of the smallest eigenvalue; the
    distance from the formula, with the Hessian at the minimum, is the error of the quadratic approximation, and grows
    as $\mu^2$, where a wrong formula would have errors in proportion to $\mu$. Double precision. The control leaves
    $\theta^*$ where it is.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for count, decay in itertools.product((records, inputs - 2), DECAYS):
        x, optimum = generator.normal(size=(count, inputs)), generator.normal(size=inputs)
        hessian = x.T @ x / count
        eigenvalues, vectors = np.linalg.eigh(hessian)
        eigenvalues = eigenvalues.clip(min=0)
        found = _minimum_of_quadratic(hessian, optimum, decay)
        factors = eigenvalues / (eigenvalues + decay) if is_shrunk else np.ones(inputs)
        mean = eigenvalues.mean()
        weights = {
            "minimiser": found,
            "formula": vectors @ (factors * (vectors.T @ optimum)),
            "uniform": mean / (mean + decay) * optimum,
        }
        along = {"minimiser": (vectors.T @ found) / (vectors.T @ optimum), "formula": factors}
        tables.append(pd.DataFrame({"quantity": "weights", "records": count, "decay": decay, **weights}))
        tables.append(pd.DataFrame({"quantity": "directions", "records": count, "decay": decay, **along}))
    tables.append(_network_errors(generator, examples, shares, is_shrunk).assign(quantity="network"))
    return pd.concat(tables, ignore_index=True)


def _minimum_of_quadratic(hessian, optimum, decay):
    """Minimiser of a quadratic loss around an optimum with Keras' penalty on the weights."""
    matrix, center, penalty = doubles(hessian), doubles(optimum), keras.regularizers.L2(decay / 2)

    def objective(theta):
        offset = theta - center
        return keras.ops.sum(offset * keras.ops.matmul(matrix, offset)) / 2 + penalty(theta)

    return minimiser_of_quadratic(objective, len(optimum))


def _network_errors(generator, examples, shares, is_shrunk):
    """Distance of a network's moved minimum from the formula, for decays that are shares of the least eigenvalue."""
    x = generator.normal(size=(examples, 2))
    teacher = np.array([2.0, 0.5, -0.5, 2.0, 2.0, -2.0]) + 0.3 * generator.normal(size=6)
    y = _outputs(teacher, x) + 0.1 * generator.normal(size=examples)
    gradient = lambda theta, decay: keras.ops.convert_to_numpy(_slope()(theta, x, y)) + decay * theta  # noqa: E731
    minimum = _newton(lambda theta: gradient(theta, 0.0), teacher)
    hessian = _jacobian(lambda theta: gradient(theta, 0.0), minimum)
    least = np.linalg.eigvalsh(hessian)[0]
    rows = []
    for share in shares:
        decay = share * least
        moved = _newton(lambda theta, decay=decay: gradient(theta, decay), minimum)
        formula = np.linalg.solve(hessian + decay * np.eye(6), hessian @ minimum) if is_shrunk else minimum
        rows.append({"decay": share, "error": np.linalg.norm(moved - formula)})
    return pd.DataFrame(rows)


def _outputs(theta, x):
    """Outputs of the network in NumPy: two hidden weights for each unit, then the weights of the units."""
    return 1 / (1 + np.exp(-x @ theta[:4].reshape(2, 2).T)) @ theta[4:]


@cache
def _slope():
    """Compile the gradient of half the mean squared error of the network by its six weights."""

    def error(values, x, y):
        hidden = keras.ops.sigmoid(keras.ops.matmul(x, keras.ops.transpose(keras.ops.reshape(values[0][:4], (2, 2)))))
        return keras.ops.sum((keras.ops.matmul(hidden, values[0][4:]) - y) ** 2) / (2 * x.shape[0]), ()

    gradient = compile_function(lambda theta, x, y: value_and_gradient(error, [theta], x, y)[2][0])
    return lambda *arrays: gradient(*map(doubles, arrays))


def _jacobian(function, theta, step=1e-5):
    """Derivatives of a function of theta with as many values, by central differences, symmetrised."""
    columns = [
        (function(theta + step * unit) - function(theta - step * unit)) / (2 * step) for unit in np.eye(len(theta))
    ]
    return (np.stack(columns) + np.stack(columns).T) / 2


def _newton(gradient, start, tolerance=1e-12, most=20):
    """Find a minimum near a start: Newton's method, in directions of the wrong curvature downhill."""
    theta = np.array(start)
    for _ in range(most):
        slope = gradient(theta)
        if np.linalg.norm(slope) < tolerance:
            break
        eigenvalues, vectors = np.linalg.eigh(_jacobian(gradient, theta))
        step = vectors @ ((vectors.T @ slope) / np.abs(eigenvalues).clip(min=1e-6))
        theta -= step * min(1.0, 0.5 / np.linalg.norm(step))
    return theta


@claim(
    r"For generalisation the optimal weight decay is $\mu = \sigma^2 / u^2$, with the teacher's signal $u$: inversely "
    "proportional to the signal-to-noise ratio.",
    source=cheatsheet("1.8.2"),
    kind="law",
    scope="linear student of a linear teacher with noise of variance sigma^2; sum or mean of squares, the signal of "
    "one weight or of all, and the inputs are left open",
    left_open=("error", "signal", "inputs"),
    literature="Krogh and Hertz 1992, section 3: half the sum of squares, u^2 the mean square of the teacher's "
    "weights, inputs alike in all directions; Kobak, Lomond and Sanchez 2020, Wu and Xu 2020: otherwise the optimum "
    "depends on the teacher's directions, down to zero and below",
    criterion=AllOf(
        proportional=ScalingLaw(
            "noise_to_signal",
            "optimum",
            expected=1.0,
            rivals=(0.5, 2.0),
            each=("inputs",),
            where={"quantity": "optimum"},
        ),
        equal=Equivalent(
            "deviation",
            0.0,
            smallest_difference=FIVE_PER_CENT,
            each=("inputs", "error", "signal"),
            where={"quantity": "deviation"},
            source="five per cent of a ratio, which the project's table has",
        ),
    ),
    boundary=Boundary(
        "for inputs alike in all directions, and there with this factor for half the sum of squares and u^2 of one "
        "weight",
        holds="inputs == 'isotropic' and (part == 'proportional' or (error == 'sum' and signal == 'per weight'))",
    ),
    full={"draws": 1000, "weights": 50, "sizes": (20, 100, 400)},
    seeds=48,
)
def optimal_decay(seed, *, draws=1000, weights=20, sizes=(10, 40, 160), noises=(0.25, 1.0, 4.0, 16.0)):
    r"""Finds the decay of the least expected test error of ridge regression, and compares it with the formula.

    Teachers of 20 weights, [20]; 10 to 160 normal examples with noise of variance 1/4 to 16. The student minimises half
    the sum of squared errors plus $\frac{\mu}{2} \lVert w \rVert^2$, whose expected test error over the noise is bias
    and variance in closed form, averaged over 1000 draws of the inputs and minimised over $\mu$ by Brent's method. For
    half the mean of squares the optimum is the same over the number of examples. The signal per weight is $\lVert u
    \rVert^2 / 20$, that in all $\lVert u \rVert^2$. Inputs are isotropic, or have variances that fall as the inverse of
    their number with a teacher in the five strongest directions; these have more examples than weights, since with
    fewer the best decay may be negative. Equal: the root mean square, over sizes and noises, of the logarithm of the
    optimum over the ratio of the reading. For isotropic inputs the law is exact: the error averaged over inputs is the
    same for all teachers of a length, hence that of normal ones, whose posterior mean is the ridge with this decay.
    """
    generator = np.random.default_rng(seed)
    spectrum = 1 / np.arange(1, weights + 1)
    strong = np.arange(weights) < weights // 4
    cases = {
        "isotropic": (np.ones(weights), generator.normal(size=weights)),
        "correlated": (spectrum / spectrum.mean(), generator.normal(size=weights) * strong),
    }
    rows, logarithms = [], defaultdict(list)
    for (inputs, (variances, teacher)), size in itertools.product(cases.items(), sizes):
        if inputs == "correlated" and size <= weights:
            continue
        x = generator.normal(size=(draws, size, weights)) * np.sqrt(variances)
        spectra, vectors = np.linalg.eigh(np.swapaxes(x, 1, 2) @ x)
        along = np.swapaxes(vectors, 1, 2) @ teacher
        tested = np.swapaxes(vectors, 1, 2) @ (variances[:, None] * vectors)
        for noise in noises:
            signal = teacher @ teacher / weights
            ratio = noise / signal
            best = _best_decay(spectra.clip(min=0), along, tested, noise, start=ratio)
            values = {"noise_to_signal": ratio, "optimum": best}
            rows.append({"quantity": "optimum", "inputs": inputs, "size": size, **values})
            logarithms[inputs, "sum", "per weight"].append(np.log(best / ratio))
            if inputs == "isotropic":  # for others these readings are wrong by the same factors
                logarithms[inputs, "sum", "in all"].append(np.log(best / ratio * weights))
                logarithms[inputs, "mean", "per weight"].append(np.log(best / ratio / size))
                logarithms[inputs, "mean", "in all"].append(np.log(best / ratio / size * weights))
    for (inputs, error, reading), values in logarithms.items():
        labels = {"quantity": "deviation", "inputs": inputs, "error": error, "signal": reading}
        rows.append({**labels, "deviation": np.sqrt(np.mean(np.square(values)))})
    return pd.DataFrame(rows)


def _best_decay(spectra, along, tested, noise, start):
    """Decay with the least expected test error.

    Args:
        spectra: Eigenvalues of the inputs' products, [draws, weights].
        along: Teacher along the eigenvectors, [draws, weights].
        tested: Covariance of test inputs in the same directions, [draws, weights, weights].
        noise: Variance of the noise.
        start: Decay around which to look.
    """
    variances = np.diagonal(tested, axis1=1, axis2=2)

    def risk(logarithm):
        decay = np.exp(logarithm)
        bias = decay / (spectra + decay) * along
        variance = noise * (variances * spectra / (spectra + decay) ** 2).sum(axis=1)
        return ((bias * (tested @ bias[:, :, None])[:, :, 0]).sum(axis=1) + variance).mean()

    around, width = np.log(start), 7.0
    found = scipy.optimize.minimize_scalar(risk, bounds=(around - width, around + width), method="bounded").x
    if abs(found - around) > 0.99 * width:
        raise ValueError("the best decay lies at a bound of the search")
    return float(np.exp(found))
