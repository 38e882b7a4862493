"""Losses of probabilities at their ends: what finite precision and clamped logarithms make of them."""

from __future__ import annotations

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, AtMost, Boundary, Correction, Greater, Identity, claim, notes
from repro.engine.backend import value_and_gradient

with epy.lazy_imports():
    import keras
    import scipy.special

NOTICED = 0.01  # an error of one per cent


@claim(
    "Combining sigmoid and binary cross-entropy in one loss is numerically stabler than applying them in turn.",
    source=notes("Function 3.4"),
    kind="tendency",
    scale="same",
    scope="finite precision, scores of large size",
    left_open=("precision",),
    literature="the logarithm of a sum of exponentials, of which the larger one is taken out",
    criterion=AllOf(
        **{
            quantity: Greater(
                "largest_error", of="in turn", than="combined", by="way", each=("precision",), where={"of": quantity}
            )
            for quantity in ("value", "gradient")
        }
    ),
    control={"largest": 1.0},
)
def bce_with_logits(seed, *, largest=200.0, scores=256):
    """Compares Keras' loss of scores, and its sigmoid followed by its loss, with double precision, for both labels.

    256 uniform scores between -200 and 200 in single and in half precision; the exact loss log(1 + exp(-+ s)) and its
    derivative are SciPy's in double precision. Errors count relative to the exact value or to one, whichever is larger,
    and the largest is judged; what is not finite counts as an infinite error. In turn, the probability is rounded to
    one or clipped at 1e-7, where Keras' loss of a wrong label ends at 16 and has no derivative: an error of one per
    cent first appears at the score in ``fails_from``. As a network: Keras' sigmoid as it comes, which Keras on
    TensorFlow recognises before its loss and combines with it, so that users of that backend see no difference; those
    of JAX do. It stands in the observations and is not judged. In the control scores are at most one in size.
    """
    s = np.random.default_rng(seed).uniform(-largest, largest, size=scores)
    rows = []
    for precision in ("float32", "float16"):
        rounded = s.astype(precision)
        for way in ("in turn", "as a network", "combined"):
            errors = {"value": np.zeros(scores), "gradient": np.zeros(scores)}
            for label in (0.0, 1.0):
                exact = {
                    "value": -scipy.special.log_expit((2 * label - 1) * rounded.astype(float)),
                    "gradient": scipy.special.expit(rounded.astype(float)) - label,
                }
                for of, found in _binary_loss(rounded, label, way).items():
                    error = np.abs(found - exact[of]) / np.maximum(np.abs(exact[of]), 1)
                    errors[of] = np.maximum(errors[of], np.where(np.isfinite(error), error, np.inf))
            for of, error in errors.items():
                fails_from = np.abs(s)[error > NOTICED].min(initial=np.inf)
                labels = {"precision": precision, "way": way, "of": of}
                rows.append({**labels, "largest_error": error.max(), "fails_from": fails_from})
    return pd.DataFrame(rows)


def _binary_loss(scores, label, way):
    """Keras' loss of every score, [n], and its derivative, in the precision of the scores."""
    labels = np.full_like(scores, label)

    def summed(variables):
        given = keras.ops.reshape(variables[0], (-1, 1))
        if way != "combined":
            given = keras.ops.sigmoid(given)
        if (
            way == "in turn"
        ):  # a new tensor: on TensorFlow Keras otherwise recognises the sigmoid and combines both itself
            given = given[:, 0][:, None]
        losses = keras.losses.binary_crossentropy(labels[:, None], given, from_logits=way == "combined")
        return keras.ops.sum(losses), losses

    _, losses, (gradient,) = value_and_gradient(summed, [keras.ops.convert_to_tensor(scores)])
    found = {"value": losses, "gradient": gradient}
    return {name: keras.ops.convert_to_numpy(values).astype(float) for name, values in found.items()}


SMALLEST = np.exp(-100.0)


@claim(
    "BCELoss clamps the outputs of its logarithms to at least -100; this way it can always have a finite loss value "
    "and a linear backward method.",
    source=notes("Remark 3.103"),
    kind="theorem",
    scope="PyTorch's BCELoss, predictions from 0 to 1, both ends included; the remark says nonlinear with respect "
    "to x of the loss without the clamp; in what the clamped one is to be linear is not said",
    left_open=("linear_in",),
    literature="PyTorch's documentation of BCELoss",
    criterion=AllOf(
        finite=AtMost("loss", bound=100.0, where={"quantity": "loss"}),
        linear=Identity(
            "at_mean", "mean", operations=10**4, atol=1e-6, each=("linear_in",), where={"quantity": "backward"}
        ),
    ),
    boundary=Boundary(
        "in the gradient that is passed back from later layers, to which every backward method with finite derivatives "
        "is linear; not in the prediction x, as -1/x is not",
        holds="part == 'finite' or linear_in == 'the gradient passed back'",
        assumption="automatic differentiation: a backward method maps the gradient by its outputs to that by its "
        "inputs",
    ),
    control={"clamped": False},
)
def bce_clamp(seed, *, clamped=True, points=128):
    """Takes the clamped loss, by Keras' operations in double precision, at and near both ends, for both labels.

    128 predictions each that are 1e-60 to one half away from either end, and the ends, where the loss attains its bound
    of 100. The logarithm is written log(max(x, e^-100)), which is the same and can be differentiated at zero. Linear in
    the gradient passed back: that from the mean of two such gradients, against the mean of those from each; in x: the
    gradient by the mean of two predictions for label one, against the mean of both gradients. Finite is not small: just
    above the clamp the derivative is -2.7e43 by automatic differentiation; PyTorch's own backward method divides by x
    (1 - x) or 1e-12, whichever is larger, so that its derivatives end at 1e12, and Keras' clipping of predictions at
    1e-7 has 1e7. Without the clamp, in the control, the loss of a wrong label at an end is infinite, and what is passed
    back is not defined.
    """
    generator = np.random.default_rng(seed)
    near = 10.0 ** -generator.uniform(np.log10(2), 60, size=points)
    x = np.concatenate([[0.0, 1.0], near, 1 - near])
    losses, backward = [], []
    for label in (0.0, 1.0):
        first, second = generator.normal(size=(2, len(x)))
        loss, of_first = _clamped(x, label, first, clamped)
        of_second, of_mean = (_clamped(x, label, passed, clamped)[1] for passed in (second, (first + second) / 2))
        losses.append(pd.DataFrame({"quantity": "loss", "loss": loss}))
        columns = {"at_mean": _defined(of_mean, np.inf), "mean": _defined(np.mean([of_first, of_second], axis=0), 0.0)}
        backward.append(pd.DataFrame({"linear_in": "the gradient passed back", **columns}))
    some, others = generator.uniform(0.05, 0.95, size=(2, points))
    ones = np.ones(points)
    at_mean, of_some, of_others = (_clamped(at, 1.0, ones, clamped)[1] for at in ((some + others) / 2, some, others))
    columns = {"at_mean": at_mean, "mean": (of_some + of_others) / 2}
    backward.append(pd.DataFrame({"linear_in": "the prediction", **columns}))
    table = pd.concat(backward, ignore_index=True).assign(quantity="backward")
    return pd.concat([*losses, table], ignore_index=True)


def _clamped(x, label, passed, clamped):
    """Losses [n] of predictions, and what is passed back to these for a gradient passed back to the losses."""
    smallest = SMALLEST if clamped else 0.0

    def summed(variables):
        logarithms = [keras.ops.log(keras.ops.maximum(each, smallest)) for each in (variables[0], 1 - variables[0])]
        chosen = -logarithms[0] if label else -logarithms[1]
        return keras.ops.sum(chosen * passed), chosen

    _, losses, (gradient,) = value_and_gradient(summed, [keras.ops.convert_to_tensor(x, "float64")])
    return keras.ops.convert_to_numpy(losses), keras.ops.convert_to_numpy(gradient)


def _defined(values, otherwise):
    return np.where(np.isfinite(values), values, otherwise)


@claim(
    r"$\lim_{x \to 0} \log x = -\infty$ and $\lim_{x \to 0} \frac{d}{dx} \log x = -\infty$.",
    source=notes("Remark 3.103"),
    kind="formula",
    scope="x to zero from the right, where the logarithm is defined",
    literature="the derivative is 1/x; PyTorch's documentation of BCELoss, which the remark follows, has the same "
    "limit with a positive sign",
    criterion=AllOf(
        value=AtMost("logarithm", bound="minus_level", where={"quantity": "value"}),
        derivative=AtMost("derivative", bound="minus_level", where={"quantity": "derivative"}),
    ),
    correction=Correction(
        r"The derivative is $1 / x$ and tends to $+\infty$.",
        criterion=AllOf(
            autodiff=AtLeast("derivative", bound="level", where={"quantity": "derivative"}),
            quotient=AtLeast("quotient", bound="level", where={"quantity": "derivative"}),
        ),
    ),
)
def log_derivative_limit(seed, *, points=64):
    """Asks of Keras' logarithm and its derivative that they go below every level from some x on, in double precision.

    Levels -M, with M up to 600 for the logarithm at x below e^-M, and up to 1e15 for the derivative, by automatic
    differentiation, at x below 1/M. The derivative is above +M at all of them: at x = 0.1 it is 10. So is, for the
    correction, the difference quotient log(1 + h) / (h x) for steps of a thousandth of x, up to 1e-3.
    """
    generator = np.random.default_rng(seed)
    shares = generator.uniform(0.1, 0.9, size=points)
    depths = generator.uniform(1, 600, size=points)
    x = np.exp(-depths) * shares
    logarithm = keras.ops.convert_to_numpy(keras.ops.log(keras.ops.convert_to_tensor(x, "float64")))
    value = {"quantity": "value", "logarithm": logarithm, "minus_level": -depths}
    levels = 10 ** generator.uniform(1, 15, size=points)
    x = shares / levels
    _, _, (derivative,) = value_and_gradient(
        lambda values: (keras.ops.sum(keras.ops.log(values[0])), ()), [keras.ops.convert_to_tensor(x, "float64")]
    )
    slopes = {"derivative": keras.ops.convert_to_numpy(derivative), "quotient": np.log1p(1e-3) / (1e-3 * x)}
    of_levels = {"quantity": "derivative", **slopes, "minus_level": -levels, "level": levels}
    return pd.concat([pd.DataFrame(value), pd.DataFrame(of_levels)], ignore_index=True)
