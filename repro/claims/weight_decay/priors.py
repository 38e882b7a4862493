"""Weight decay as a Gaussian prior."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, Correction, Identity, Rival, cheatsheet, claim, lectures

with epy.lazy_imports():
    import keras
    import scipy.optimize
    import scipy.stats

NOISE, WIDTH = 0.5, 1.5  # standard deviations of the noise and of the prior
GAMMA = NOISE**2 / WIDTH**2


@claim(
    r"With a Gaussian prior $N(0, \sigma_w^2)$ on the weights the most probable ones are $\arg\min_w \sum_n "
    r"\frac{(t_n - g(x_n | w))^2}{2 \sigma^2} + \sum_q \frac{w_q^2}{2 \sigma_w^2}$, rewritten with $\gamma \sum_q "
    r"w_q^2$ beside the sum of squares; $-\log p(\theta) = \frac{1}{2\sigma^2} \lVert \theta \rVert^2 + "
    r"\mathrm{const}$ is essentially a weight decay term.",
    source=(
        lectures("2.5.3", parts=("posterior", "minimiser")),
        cheatsheet("1.9.2", parts=("prior",)),
    ),
    kind="formula",
    scope="Gaussian noise of known variance; essentially means up to a factor and a constant; the square is taken "
    "outside of the difference, which the lectures print inside; variances of all weights are equal, which the last "
    "line of the cheat sheet supposes, though one of each weight stands beside its prior",
    literature="MacKay 1992; Bishop 2006, equation 1.67: gamma is sigma^2 / sigma_w^2",
    # Keras' mean over examples is in single precision on JAX, and minimisers are found to the root of a precision.
    criterion=AllOf(
        posterior=Identity("penalised", "posterior", operations=256, dtype="float32", where={"quantity": "posterior"}),
        minimiser=Identity("penalised", "posterior", operations=256, dtype="float32", where={"quantity": "minimiser"}),
        prior=Identity("penalised", "posterior", operations=256, dtype="float32", where={"quantity": "prior"}),
    ),
    full={"records": 200, "inputs": 20, "points": 20},
    control={"prior": "Laplace"},
    rival=Rival(
        r"$-\log p(\theta) = \frac{1}{2\sigma^2} \lVert \theta \rVert^2 + \mathrm{const}$ also where the variances of "
        "weights differ.",
        criterion=Identity("penalised", "unequal", operations=256, dtype="float32", where={"quantity": "prior"}),
    ),
)
def gaussian_prior(seed, *, records=15, inputs=3, points=5, prior="Gaussian"):
    r"""Compares Keras' squared errors and L2 penalties with log-densities of the posterior by SciPy, and their minima.

    15 normal records with three inputs; noise of deviation 1/2, prior of deviation 3/2, $\gamma = \sigma^2 / \sigma_w^2
    = 1/9$. Posterior: differences between normal weights and others of minus its logarithm, against those of the sum of
    squares with Keras' regulariser L2 of $\gamma$ over $2 \sigma^2$, for a linear model and for a network of four tanh
    units. Minimiser: of the linear model, by the normal equations and by BFGS on the posterior. Prior: differences of
    minus its logarithm against those of Keras' regulariser of $1 / (2 \sigma_w^2)$ alone. The control has Laplace's
    prior of the same deviation, whose minimiser and penalty are those of absolute values; the rival has deviations of
    1/2 and 3/2 in turn.
    """
    generator = np.random.default_rng(seed)
    x, t = generator.normal(size=(records, inputs)), generator.normal(size=records)
    tables = []
    for name, units in (("linear", ()), ("network", (4,))):
        weights, outputs = _evaluated(generator, x, units, points + 1)
        penalised = np.array([_penalised_error(t, *pair) for pair in zip(outputs, weights, strict=True)])
        posterior = np.array(
            [_noise(t - output) + _negative_prior(w, prior) for output, w in zip(outputs, weights, strict=True)]
        )
        sides = {"penalised": (penalised - penalised[0])[1:], "posterior": (posterior - posterior[0])[1:]}
        tables.append(pd.DataFrame({"quantity": "posterior", "model": name, **sides}))
        penalty = keras.regularizers.L2(1 / (2 * WIDTH**2))
        alone = np.array([float(penalty(keras.ops.convert_to_tensor(w, dtype="float64"))) for w in weights])
        of_prior = np.array([_negative_prior(w, prior) for w in weights])
        widths = np.resize([0.5, WIDTH], weights.shape[1])
        unequal = -scipy.stats.norm.logpdf(weights, 0, widths).sum(axis=1)
        sides = {"penalised": (alone - alone[0])[1:], "posterior": (of_prior - of_prior[0])[1:]}
        sides["unequal"] = (unequal - unequal[0])[1:]
        tables.append(pd.DataFrame({"quantity": "prior", "model": name, **sides}))
    found = scipy.optimize.minimize(
        lambda w: _noise(t - x @ w) + _negative_prior(w, prior), np.zeros(inputs), tol=1e-10
    )
    ridge = np.linalg.solve(x.T @ x + GAMMA * np.eye(inputs), x.T @ t)
    tables.append(pd.DataFrame({"quantity": "minimiser", "model": "linear", "penalised": ridge, "posterior": found.x}))
    return pd.concat(tables, ignore_index=True)


def _evaluated(generator, x, units, count):
    """Normal weights, [count, weights], of a Keras model with one linear output, and its outputs, [count, records]."""
    layers = [keras.layers.Dense(number, activation="tanh", use_bias=False, dtype="float64") for number in units]
    layers.append(keras.layers.Dense(1, use_bias=False, dtype="float64"))
    model = keras.Sequential([keras.Input((x.shape[1],), dtype="float64"), *layers])
    weights, outputs = [], []
    for _ in range(count):
        drawn = [generator.normal(size=weight.shape) for weight in model.weights]
        model.set_weights(drawn)
        weights.append(np.concatenate([values.ravel() for values in drawn]))
        outputs.append(keras.ops.convert_to_numpy(model(x))[:, 0])
    return np.array(weights), np.array(outputs)


def _penalised_error(targets, outputs, weights):
    """Sum of squared errors with gamma times that of the weights, over twice the variance of the noise, by Keras."""
    errors = len(targets) * keras.losses.MeanSquaredError(dtype="float64")(targets, outputs)
    penalty = keras.regularizers.L2(GAMMA)(keras.ops.convert_to_tensor(weights, dtype="float64"))
    return float(errors + penalty) / (2 * NOISE**2)


def _noise(residuals):
    return -scipy.stats.norm.logpdf(residuals, 0, NOISE).sum()


def _negative_prior(weights, prior="Gaussian"):
    if prior == "Laplace":
        return -scipy.stats.laplace.logpdf(weights, 0, WIDTH / np.sqrt(2)).sum()
    return -scipy.stats.norm.logpdf(weights, 0, WIDTH).sum()


@claim(
    r"With a Gaussian prior the weights are $\arg\min_w \sum_n (t_n - g(x_n | w)^2) + \gamma \sum_q w_q^2$.",
    source=lectures("2.5.3"),
    kind="formula",
    transcription=True,
    scope="Gaussian noise and prior; the square stands inside of the bracket in all of the section, outside of it "
    "elsewhere",
    literature="Bishop 2006, equation 1.67",
    criterion=AllOf(
        objective=Identity("printed", "posterior", operations=10**4, dtype="float32", where={"quantity": "objective"}),
        bounded=AtLeast("far", bound="near", where={"quantity": "bounded"}),
    ),
    correction=Correction(
        r"The weights are $\arg\min_w \sum_n (t_n - g(x_n | w))^2 + \gamma \sum_q w_q^2$, with the difference squared.",
        square="of the difference",
        records=40,
    ),
)
def map_objective_as_printed(seed, *, records=15, inputs=3, points=6, square="of the output"):
    r"""Compares the printed objective with the posterior's, and looks whether it has a minimum.

    15 normal records with three inputs, linear models and networks of four tanh units, in Keras; $\gamma = 1/9$, the
    variance of the noise over that of the prior. Objective: differences between normal weights and others, against
    those of minus the logarithm of the posterior by SciPy, times twice the variance of the noise. Bounded: the least
    objective of weights a thousand times as large is not lower than that of the normal ones. As printed, outputs count
    with the wrong sign and targets not at all: for $x = 1$ the objective is $t - w^2 + \gamma w^2$, which has no least
    value for $\gamma < 1$. The square may have moved in copying, though it stands so six times.
    """
    generator = np.random.default_rng(seed)
    x, t = generator.normal(size=(records, inputs)), generator.normal(size=records)
    tables = []
    for name, units in (("linear", ()), ("network", (4,))):
        weights, outputs = _evaluated(generator, x, units, points)
        values = _objective(t, outputs, weights, square)
        posterior = np.array([_noise(t - output) for output in outputs]) + [_negative_prior(w) for w in weights]
        posterior *= 2 * NOISE**2
        sides = {"printed": (values - values[0])[1:], "posterior": (posterior - posterior[0])[1:]}
        tables.append(pd.DataFrame({"quantity": "objective", "model": name, **sides}))
        if not units:
            far = _objective(t, 1000 * outputs, 1000 * weights, square)
            extremes = {"far": [far.min()], "near": [values.min()]}
            tables.append(pd.DataFrame({"quantity": "bounded", "model": name, **extremes}))
    return pd.concat(tables, ignore_index=True)


def _objective(targets, outputs, weights, square):
    """Objective with the penalty, for outputs [count, records] at weights [count, weights], in Keras' operations."""
    penalty = [GAMMA * float(keras.ops.sum(keras.ops.square(w))) for w in weights]
    if square == "of the difference":
        return np.array([float(keras.ops.sum(keras.ops.square(targets - output))) for output in outputs]) + penalty
    return np.array([float(keras.ops.sum(targets - keras.ops.square(output))) for output in outputs]) + penalty
