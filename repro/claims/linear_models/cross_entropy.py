"""Cross-entropy as a likelihood."""

from __future__ import annotations

from functools import cache

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, Identity, claim, lectures, notes
from repro.engine.backend import compile_function, value_and_gradient

with epy.lazy_imports():
    import keras
    import scipy.stats
    import statsmodels.api as statsmodels


@claim(
    "Maximum likelihood is minimum cross-entropy: for labels from a Bernoulli distribution whose parameter is a "
    "network's output the negative log-likelihood is the cross-entropy, which is why logistic regression typically "
    "adopts it; for any number of categories cross-entropy is essentially maximum likelihood.",
    source=(
        lectures("2.4", parts=("two_classes",)),
        notes("Remark 3.3", parts=("two_classes", "frequencies", "minimiser")),
        notes("Remark 3.52", parts=("categories", "frequencies")),
    ),
    kind="formula",
    scope="independent records; a network's output in the lectures, frequencies of categories in the notes",
    literature="Bishop 2006, sections 4.3.2 and 4.3.4",
    criterion=AllOf(
        two_classes=Identity(
            "cross_entropy", "likelihood", operations=256, dtype="float32", where={"quantity": "two classes"}
        ),
        categories=Identity(
            "cross_entropy", "likelihood", operations=256, dtype="float32", where={"quantity": "categories"}
        ),
        frequencies=Identity(
            "cross_entropy", "likelihood", operations=256, dtype="float32", where={"quantity": "frequencies"}
        ),
        minimiser=Identity(
            "cross_entropy", "likelihood", operations=1000, dtype="float32", where={"quantity": "minimiser"}
        ),
    ),
    full={"records": 500, "inputs": 20, "classes": 10},
    control={"loss": "squared error"},
)
def cross_entropy_mle(seed, *, records=50, inputs=3, classes=4, points=4, loss="cross-entropy"):
    """Compares Keras' cross-entropies, summed over records, with SciPy's log-likelihoods.

    Both are compared in value, and for two classes in minimiser. 50 normal records with three inputs. Two classes:
    labels drawn with the output of a network of five tanh units as probability; binary cross-entropy of probabilities
    and of scores against the Bernoulli distribution, at four normal sets of weights. Categories: the same with four
    outputs and a softmax, one-hot and integer labels, against the multinomial distribution of one trial. Frequencies:
    no inputs, one distribution for all records, of two categories and of four; the loss of each category weighted by
    its count, against the multinomial distribution of all trials without its coefficient, which the distribution does
    not change. Minimiser: weights of logistic regression where Newton's method finds the zero of Keras' gradient of the
    cross-entropy, against maximum likelihood by statsmodels. Single precision. The control has squared errors of the
    probabilities.
    """
    generator = np.random.default_rng(seed)
    x = generator.normal(size=(records, inputs)).astype(np.float32)
    rows = []
    for quantity, outputs in (("two classes", 1), ("categories", classes)):
        network = keras.Sequential(
            [keras.Input((inputs,)), keras.layers.Dense(5, activation="tanh"), keras.layers.Dense(outputs)]
        )
        drawn = _draw(generator, _normalised(_scores(generator, network, x)))
        for _ in range(points):
            scores = _scores(generator, network, x)
            likelihood = -_log_likelihood(drawn, _normalised(scores.astype(float))).sum()
            for form, value in _losses(loss, drawn, scores).items():
                rows.append({"quantity": quantity, "form": form, "cross_entropy": value, "likelihood": likelihood})
    for kinds in (2, classes):
        rows += _of_frequencies(generator, loss, records, kinds, points)
    y = _draw(generator, _normalised(x @ generator.normal(size=(inputs, 1))))
    fitted = statsmodels.Logit(y, x.astype(float)).fit(disp=0, tol=1e-12)
    minimiser = {"cross_entropy": _minimiser(loss, x, y), "likelihood": fitted.params}
    return pd.concat([pd.DataFrame(rows), pd.DataFrame({"quantity": "minimiser", **minimiser})], ignore_index=True)


def _scores(generator, network, x):
    """Outputs of a network at normal weights."""
    network.set_weights([generator.normal(size=weight.shape) for weight in network.weights])
    return keras.ops.convert_to_numpy(network(x))


def _normalised(scores):
    """Probabilities, [records, classes], of scores; a single score is that of the second of two classes."""
    both = np.concatenate([np.zeros_like(scores), scores], axis=1) if scores.shape[1] == 1 else scores
    exponentials = np.exp(both - both.max(axis=1, keepdims=True))
    return exponentials / exponentials.sum(axis=1, keepdims=True)


def _draw(generator, probabilities):
    """Draw a class of each record."""
    return (generator.uniform(size=(len(probabilities), 1)) > probabilities.cumsum(axis=1)[:, :-1]).sum(axis=1)


def _log_likelihood(labels, probabilities):
    if probabilities.shape[1] == 2:
        return scipy.stats.bernoulli.logpmf(labels, probabilities[:, 1])
    chosen = np.eye(probabilities.shape[1])[labels]
    return scipy.stats.multinomial.logpmf(chosen, 1, probabilities)


def _losses(loss, labels, scores):
    """Keras' losses summed over records, by the form in which they take labels and outputs."""
    if scores.shape[1] == 1:
        targets, probabilities = labels[:, None].astype(np.float32), keras.activations.sigmoid(scores)
        forms = {
            "probabilities": (keras.losses.BinaryCrossentropy(reduction="sum"), targets, probabilities),
            "scores": (keras.losses.BinaryCrossentropy(from_logits=True, reduction="sum"), targets, scores),
        }
    else:
        targets, probabilities = np.eye(scores.shape[1], dtype=np.float32)[labels], keras.activations.softmax(scores)
        forms = {
            "one-hot labels": (keras.losses.CategoricalCrossentropy(reduction="sum"), targets, probabilities),
            "integer labels, scores": (
                keras.losses.SparseCategoricalCrossentropy(from_logits=True, reduction="sum"),
                labels,
                scores,
            ),
        }
    if loss == "squared error":
        squared = keras.losses.MeanSquaredError(reduction="sum")
        return dict.fromkeys(forms, float(squared(targets, probabilities)))
    return {form: float(evaluate(target, output)) for form, (evaluate, target, output) in forms.items()}


def _of_frequencies(generator, loss, records, classes, points):
    """Rows that compare the losses of categories, weighted by their counts, with the likelihood of the counts."""
    kinds = {"cross-entropy": keras.losses.CategoricalCrossentropy, "squared error": keras.losses.MeanSquaredError}
    evaluate = kinds[loss](reduction="sum")
    counts = generator.multinomial(records, generator.dirichlet(np.ones(classes)))
    coefficient = scipy.stats.multinomial.logpmf(counts, records, np.full(classes, 1 / classes)) + records * np.log(
        classes
    )
    rows = []
    for q in generator.dirichlet(np.full(classes, 2.0), size=points):
        outputs = np.tile(q.astype(np.float32), (classes, 1))
        value = float(evaluate(np.eye(classes, dtype=np.float32), outputs, sample_weight=counts.astype(np.float32)))
        likelihood = coefficient - scipy.stats.multinomial.logpmf(counts, records, q)
        rows.append({"quantity": "frequencies", "form": "counts", "cross_entropy": value, "likelihood": likelihood})
    return rows


def _minimiser(loss, x, y, steps=20, width=1e-2):
    """Weights of logistic regression where a Keras loss is least: Newton's method on its gradient by Keras.

    The gradient is in single precision, whose rounding stops a line search early, but moves its zero by little.
    """
    targets, gradient = y[:, None].astype(np.float32), _gradient(loss)

    def slope(w):
        return keras.ops.convert_to_numpy(gradient(w[:, None].astype(np.float32), x, targets))[:, 0].astype(float)

    w = np.zeros(x.shape[1])
    for _ in range(steps):
        units = width * np.eye(len(w))
        curvature = np.stack([slope(w + unit) - slope(w - unit) for unit in units]) / (2 * width)
        w -= np.linalg.lstsq((curvature + curvature.T) / 2, slope(w), rcond=None)[0]
    return w


@cache
def _gradient(loss):
    """Compile the gradient, by the weights, of a Keras loss of logistic regression averaged over records."""
    binary, squared = keras.losses.BinaryCrossentropy(from_logits=True), keras.losses.MeanSquaredError()

    def averaged(values, x, targets):
        scores = keras.ops.matmul(x, values[0])
        if loss == "cross-entropy":
            return binary(targets, scores), ()
        return squared(targets, keras.activations.sigmoid(scores)), ()

    return compile_function(lambda w, *records: value_and_gradient(averaged, [w], *records)[2][0])
