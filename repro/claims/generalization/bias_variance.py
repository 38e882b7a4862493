"""The decomposition of an error into bias and variance."""

from __future__ import annotations

import numpy as np
import pandas as pd

from repro import AllOf, Greater, Ratio, Rival, claim, notes

LOW, HIGH = 1, 9  # degrees of polynomials


def _sum_at(capacity, than):
    return Ratio("value", of="error", than=than, by="quantity", expected=1.0, within=1.05, where={"capacity": capacity})


@claim(
    "error = bias + variance. Bias is a learner's tendency to consistently learn the same wrong thing, which can cause "
    "underfitting, variance its tendency to learn random things, which may result from fitting noise; low capacity may "
    "struggle to fit, high capacity can overfit.",
    source=(
        notes("Remark 3.13", parts=("sum_at_low_capacity", "sum_at_high_capacity")),
        notes("Definition 3.43", parts=("bias",)),
        notes("Definition 3.44", parts=("variance",)),
        notes("Definition 3.45", parts=("bias", "variance")),
    ),
    kind="formula",
    scope="bias as the loss of the mean prediction, as Domingos means it: squared for the squared loss; the error "
    "without the noise of the labels",
    literature="Geman, Bienenstock and Doursat 1992; Domingos 2000",
    criterion=AllOf(
        sum_at_low_capacity=_sum_at(LOW, "bias + variance"),
        sum_at_high_capacity=_sum_at(HIGH, "bias + variance"),
        bias=Greater("value", of=LOW, than=HIGH, by="capacity", smallest_ratio=1.05, where={"quantity": "bias"}),
        variance=Greater(
            "value", of=HIGH, than=LOW, by="capacity", smallest_ratio=1.05, where={"quantity": "variance"}
        ),
    ),
    rival=Rival(
        "error = |bias| + variance: the bias as a length, not squared.",
        criterion=_sum_at(LOW, "length of bias + variance"),
    ),
    control={"constant_fit": True},
)
def bias_variance(seed, *, examples=50, training_sets=2000, noise=0.3, constant_fit=False):
    """Fits polynomials of degree 1 and 9 to 4000 training sets and decomposes their squared error.

    50 inputs, uniform in a fiftieth of the range each, since among inputs that leave wide gaps a polynomial of degree 9
    has errors without a finite variance; a sine with normal noise. Over one half of the training sets the squared bias
    of the mean prediction and the variance of predictions are measured, both averaged over 50 test inputs; over the
    other half the squared error against the sine, since on the same sets the two sides would be equal by algebra alone.
    On noisy targets the error is larger by the variance of the noise, which the equation leaves out. The control fits a
    constant at either capacity: the sum is right all the same, and capacity is all that is missing.
    """
    generator = np.random.default_rng(seed)
    x = -1 + 2 * (np.arange(examples) + generator.uniform(size=(2 * training_sets, examples))) / examples
    x_test = np.linspace(-0.9, 0.9, 50)
    y = np.sin(3 * x) + noise * generator.normal(size=x.shape)
    truth = np.sin(3 * x_test)
    rows = []
    for capacity in (LOW, HIGH):
        features = np.polynomial.legendre.legvander(x, 0 if constant_fit else capacity)
        gram, moments = features.mT @ features, features.mT @ y[..., None]
        coefficients = np.linalg.solve(gram, moments)[..., 0]
        predictions = coefficients @ np.polynomial.legendre.legvander(x_test, features.shape[-1] - 1).T
        half, other = predictions[:training_sets], predictions[training_sets:]
        bias, variance = half.mean(axis=0) - truth, half.var(axis=0).mean()
        squared, length, error = np.square(bias).mean(), np.abs(bias).mean(), np.square(other - truth).mean()
        values = {
            "bias": squared,
            "variance": variance,
            "bias + variance": squared + variance,
            "length of bias + variance": length + variance,
            "error": error,
            "error on noisy targets": error + noise**2,
        }
        rows += [{"capacity": capacity, "quantity": quantity, "value": value} for quantity, value in values.items()]
    return pd.DataFrame(rows)
