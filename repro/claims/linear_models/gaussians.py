"""Maximum likelihood of Gaussian samples and of Gaussian noise."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Correction, Identity, Rival, cheatsheet, claim, lectures, notes
from repro.claims.linear_models._gradients import doubles, gradient_of

with epy.lazy_imports():
    import keras
    import scipy.integrate
    import scipy.optimize
    import scipy.stats

DEVIATIONS = (0.5, 1.0, 3.0)


@claim(
    r"The likelihood of a Gaussian sample of known variance $\sigma^2$ is "
    r"$L(\mu) = \prod_n \frac{1}{\sqrt{2\pi}} e^{-(x_n - \mu)^2 / (2\sigma^2)}$, with logarithm "
    r"$N \log \frac{1}{\sqrt{2\pi}} - \frac{1}{2\sigma^2} \sum_n (x_n - \mu)^2$.",
    source=lectures("2.4"),
    kind="formula",
    scope="independent Gaussian sample; one step later the section has 1/(sqrt(2 pi) sigma) in the same place",
    literature="Casella and Berger 2002, section 3.3: the normal density has 1/(sqrt(2 pi) sigma)",
    criterion=AllOf(
        density=Identity("printed", "expected", operations=10**6, where={"quantity": "integral of the density"}),
        likelihood=Identity("printed", "expected", operations=1000, where={"quantity": "log-likelihood"}),
        logarithm=Identity("printed", "expected", operations=1000, where={"quantity": "logarithm"}),
        differences=Identity("printed", "expected", operations=1000, where={"quantity": "difference from the maximum"}),
    ),
    correction=Correction(
        r"The likelihood is $\prod_n \frac{1}{\sqrt{2\pi}\,\sigma} e^{-(x_n - \mu)^2 / (2\sigma^2)}$, with logarithm "
        r"$N \log \frac{1}{\sqrt{2\pi}\,\sigma} - \frac{1}{2\sigma^2} \sum_n (x_n - \mu)^2$.",
        factor="with deviation",
        deviations=(0.2, 1.0, 7.0),
    ),
)
def gaussian_likelihood(seed, *, deviations=DEVIATIONS, factor="as printed", size=8, points=5):
    r"""Compares the printed likelihood and its logarithm with SciPy's normal density, and integrates the density.

    Samples of eight, deviations of 1/2, 1 and 3, five $\mu$ around the mean; double precision, by Keras' operations.
    Density: a factor of the product, integrated over $x$ by adaptive quadrature, against 1, since the passage calls the
    product the probability of the data. Logarithm: the printed sum against the logarithm of the printed product. As
    printed, a density of deviation $\sigma$ integrates to $\sigma$: without $\sigma$ under the fraction it is right for
    $\sigma = 1$ alone. The missing factor does not depend on $\mu$, so that differences of the log-likelihood, and with
    them its maximum, are right, a part of its own.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for deviation in deviations:
        constant = np.sqrt(2 * np.pi) * (deviation if factor == "with deviation" else 1.0)
        center = generator.normal()
        sample = generator.normal(center, deviation, size=size)
        density = lambda x, m=center, s=deviation, c=constant: np.exp(-((x - m) ** 2) / (2 * s**2)) / c  # noqa: E731
        total = sum(scipy.integrate.quad(density, *ends)[0] for ends in ((-np.inf, center), (center, np.inf)))
        sides = [("integral of the density", total, 1.0)]
        best = sample.mean()
        reference = _log_likelihood(sample, best, deviation, constant)
        for mean in best + deviation * generator.normal(size=points):
            factors = keras.ops.exp(-((doubles(sample) - mean) ** 2) / (2 * deviation**2)) / constant
            logarithm = np.log(float(keras.ops.prod(factors)))
            by_sum = _log_likelihood(sample, mean, deviation, constant)
            by_scipy = scipy.stats.norm.logpdf(sample, mean, deviation).sum()
            at_best = scipy.stats.norm.logpdf(sample, best, deviation).sum()
            sides += [
                ("log-likelihood", by_sum, by_scipy),
                ("logarithm", by_sum, logarithm),
                ("difference from the maximum", by_sum - reference, by_scipy - at_best),
            ]
        rows += [{"deviation": deviation, "quantity": name, "printed": a, "expected": b} for name, a, b in sides]
    return pd.DataFrame(rows)


def _log_likelihood(sample, mean, deviation, constant):
    squares = keras.ops.sum((doubles(sample) - mean) ** 2)
    return float(len(sample) * np.log(1 / constant) - squares / (2 * deviation**2))


@claim(
    r"The derivative of the log-likelihood of a Gaussian sample is "
    r"$\frac{\partial l}{\partial \mu} = \frac{1}{2\sigma^2} \sum_n 2 (x_n - \mu)^2$.",
    source=lectures("2.4"),
    kind="formula",
    transcription=True,
    scope="independent Gaussian sample of known variance; the next step sets the sum without the square to zero",
    literature="Casella and Berger 2002, example 7.2.5",
    criterion=Identity("printed", "derivative", operations=10**5),
    correction=Correction(
        r"The derivative is $\frac{1}{2\sigma^2} \sum_n 2 (x_n - \mu)$, without the square.", power=1, size=30
    ),
)
def gaussian_score(seed, *, power=2, size=8, points=6, deviations=DEVIATIONS):
    r"""Compares the formula with derivatives of the log-likelihood by automatic differentiation and by a complex step.

    Normal samples of eight, deviations of 1/2, 1 and 3, six $\mu$ around the mean; double precision. The log-likelihood
    is differentiated in Keras' operations, and once more as an imaginary part beside the real axis (Squire and Trapp
    1998). Where all records are at one, $\mu = 0$ and $\sigma = 1$, the derivative is $N$ by either formula; at $\mu =
    -1$ it is $2N$, and as printed $4N$. The right one changes sign at the mean, the printed one never does, so
    that the likelihood would have no maximum; the square may be lost or won in copying.
    """
    generator = np.random.default_rng(seed)
    tables = []
    for deviation in deviations:
        sample = generator.normal(generator.normal(), deviation, size=size)
        means = sample.mean() + deviation * generator.normal(size=points)
        printed = [(2 * (sample - mean) ** power).sum() / (2 * deviation**2) for mean in means]
        routes = {
            "automatic": [_by_autodiff(sample, mean, deviation) for mean in means],
            "complex step": [_complex_step(sample, mean, deviation) for mean in means],
        }
        for route, derivative in routes.items():
            columns = {"deviation": deviation, "route": route, "printed": printed, "derivative": derivative}
            tables.append(pd.DataFrame(columns))
    return pd.concat(tables, ignore_index=True)


def _by_autodiff(sample, mean, deviation):
    """Derivative of the log-likelihood by the mean, by Keras' backend."""
    x = doubles(sample)
    return float(gradient_of(lambda center: -keras.ops.sum((x - center) ** 2) / (2 * deviation**2), mean))


def _complex_step(sample, mean, deviation, step=1e-30):
    """Derivative of the log-likelihood by the mean, as an imaginary part."""
    standard = (sample - (mean + 1j * step)) / deviation
    return (-(standard**2) / 2).sum().imag / step


@claim(
    "The maximum-likelihood estimate of the mean of a Gaussian sample of known variance is the sample mean.",
    source=lectures("2.4"),
    kind="formula",
    scope="independent Gaussian sample, known variance",
    literature="Gauss 1809; Casella and Berger 2002, example 7.2.5",
    # The place of a maximum is found to the root of the precision of its height.
    criterion=Identity("sample_mean", "maximum", operations=64, dtype="float32"),
    full={"sizes": (1, 2, 5, 20, 1000)},
    control={"likelihood": "Laplace"},
    rival=Rival(
        "The maximum-likelihood estimate is the sample median.",
        criterion=Identity("sample_median", "maximum", operations=64, dtype="float32"),
    ),
)
def sample_mean_mle(seed, *, sizes=(1, 2, 5, 20), deviations=DEVIATIONS, likelihood="Gaussian"):
    """Compares Keras' mean of samples with the place where SciPy's log-likelihood is highest, by Brent's method.

    Normal samples of 1 to 20 numbers with means of about 5, deviations of 1/2, 1 and 3, each known to the likelihood.
    The control maximises the likelihood of Laplace's distribution of the same deviation, whose maximum is a median; the
    rival is the median of the sample, which agrees for one and two numbers alone.
    """
    generator = np.random.default_rng(seed)
    rows = []
    for size in sizes:
        for deviation in deviations:
            sample = generator.normal(generator.normal(5), deviation, size=size)
            found = _most_likely(sample, deviation, likelihood)
            mean = float(keras.ops.mean(doubles(sample)))
            columns = {"sample_mean": mean, "sample_median": np.median(sample), "maximum": found}
            rows.append({"size": size, "deviation": deviation, **columns})
    return pd.DataFrame(rows)


def _most_likely(sample, deviation, likelihood):
    """Location at which a sample's likelihood is highest."""
    family, scale = {
        "Gaussian": (scipy.stats.norm, deviation),
        "Laplace": (scipy.stats.laplace, deviation / np.sqrt(2)),
    }[likelihood]
    bounds = sample.min() - 1.0, sample.max() + 1.0
    return scipy.optimize.minimize_scalar(
        lambda location: -family.logpdf(sample, location, scale).sum(), bracket=bounds, tol=1e-12
    ).x


@claim(
    r"Least squares is equivalent to the negative log-likelihood of Gaussian noise, $y_i = g(x_i | w) + \varepsilon_i$ "
    r"with $\varepsilon_i \sim N(0, \sigma^2)$ and $\sigma$ known; it is essentially maximum likelihood.",
    source=(cheatsheet("1.2.1"), lectures("2.4"), notes("Remark 3.46")),
    kind="formula",
    scope="independent Gaussian noise of equal known variance; a linear model in the cheat sheet, any model elsewhere; "
    "equivalent means up to a positive factor and an added constant",
    literature="Gauss 1809; Bishop 2006, section 3.1.1",
    # Keras' mean over examples is in single precision on JAX, and minimisers are found to the root of a precision.
    criterion=AllOf(
        value=Identity("squares", "likelihood", operations=256, dtype="float32", where={"quantity": "value"}),
        minimiser=Identity("squares", "likelihood", operations=256, dtype="float32", where={"quantity": "minimiser"}),
    ),
    full={"records": 200, "inputs": 20, "points": 20},
    control={"noise": "Laplace"},
    rival=Rival(
        "Least squares is equivalent to the likelihood of Gaussian noise also where its variance differs from record "
        "to record.",
        criterion=Identity("squares", "unequal", operations=256, dtype="float32"),
    ),
)
def gaussian_mle(seed, *, records=20, inputs=3, points=5, deviation=0.5, noise="Gaussian"):
    r"""Compares Keras' mean squared error with SciPy's negative log-likelihood, for a linear model and for a network.

    20 normal records with three inputs; $\sigma = 1/2$. Value: differences of the log-likelihood between normal weights
    and others, against those of the error times $s / (2 \sigma^2)$, for a linear layer and for a network of five tanh
    units, so that both have the same order and the same minima over any weights. Minimiser: for the linear model the
    solution of least squares, by an orthogonal decomposition, against the maximum of the likelihood that SciPy's BFGS
    finds. The control has the likelihood of Laplace's distribution of the same deviation, the rival deviations of 1/2
    and 3/2 in turn.
    """
    generator = np.random.default_rng(seed)
    x, y = generator.normal(size=(records, inputs)), generator.normal(size=records)
    scales = {"likelihood": np.full(records, deviation), "unequal": deviation * (1 + 2 * (np.arange(records) % 2))}
    tables = []
    for name, units in (("linear", ()), ("network", (5,))):
        outputs = _outputs(generator, x, units, points + 1)
        errors = np.array([float(keras.losses.MeanSquaredError(dtype="float64")(y, output)) for output in outputs])
        columns = {"squares": records * (errors[1:] - errors[0]) / (2 * deviation**2)}
        for likelihood, scale in scales.items():
            negative = np.array([_negative_log_likelihood(y - output, scale, noise) for output in outputs])
            columns[likelihood] = negative[1:] - negative[0]
        tables.append(pd.DataFrame({"quantity": "value", "model": name, **columns}))
    minimisers = {"squares": np.linalg.lstsq(x, y, rcond=None)[0]}
    for likelihood, scale in scales.items():
        minimisers[likelihood] = scipy.optimize.minimize(
            lambda w, scale=scale: _negative_log_likelihood(y - x @ w, scale, noise), np.zeros(inputs), tol=1e-10
        ).x
    tables.append(pd.DataFrame({"quantity": "minimiser", "model": "linear", **minimisers}))
    return pd.concat(tables, ignore_index=True)


def _outputs(generator, x, units, count):
    """Outputs, [count, records], of a Keras model with one linear output at several normal weights."""
    layers = [keras.layers.Dense(number, activation="tanh", dtype="float64") for number in units]
    model = keras.Sequential(
        [keras.Input((x.shape[1],), dtype="float64"), *layers, keras.layers.Dense(1, dtype="float64")]
    )
    found = []
    for _ in range(count):
        model.set_weights([generator.normal(size=weight.shape) for weight in model.weights])
        found.append(keras.ops.convert_to_numpy(model(x))[:, 0])
    return found


def _negative_log_likelihood(residuals, scale, noise):
    if noise == "Laplace":
        return -scipy.stats.laplace.logpdf(residuals, 0, scale / np.sqrt(2)).sum()
    return -scipy.stats.norm.logpdf(residuals, 0, scale).sum()
