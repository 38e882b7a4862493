"""What the negative log-likelihood loss takes as its inputs."""

from __future__ import annotations

from functools import partial

import numpy as np
import pandas as pd
from etils import epy

from repro import AllOf, AtLeast, Correction, Identity, claim, notes
from repro.claims.losses._arms import arm, perceptron
from repro.engine import load_data

with epy.lazy_imports():
    import keras
    import scipy.special


@claim(
    r"NLLLoss, $-w[c]\, x[c]$ at the class $c$, expects raw, unnormalised scores $x$.",
    source=notes("Function 3.6"),
    kind="formula",
    scope="NLLLoss of PyTorch as the notes describe it; elsewhere they say otherwise: their example of it has x from "
    "minus infinity to zero, and Function 3.8 says that NLLLoss expects log-probabilities",
    literature="PyTorch's documentation of NLLLoss: the input is expected to contain log-probabilities of each class",
    criterion=AllOf(
        likelihood=Identity("loss", "negative_log_likelihood", operations=64, dtype="float32", where={"of": "loss"}),
        bounded=AtLeast("loss", bound=0.0, atol=1e-6, where={"of": "loss"}),
        training=AtLeast("train_loss", bound=0.0, atol=1e-6, where={"of": "training"}),
    ),
    correction=Correction("It expects logarithms of probabilities, such as log-softmax gives.", inputs="log-softmax"),
)
def nll_takes_scores(seeds, *, inputs="raw scores", examples=128, classes=10, images=300, steps=200, data="digits"):
    """Compares the formula with the negative log-likelihood of the class, and trains a linear Keras network on it.

    Loss: 128 vectors of normal scores, weights of the classes from 0.5 to 2, by Keras' operations in single precision;
    the likelihood by SciPy's logarithmic softmax. A negative log-likelihood of classes is not negative, that formula of
    raw scores is negative as often as not: for a score of 3 at the class it is -3. Training: a linear network on 300
    standardised images, 200 steps of gradient descent at rate 0.1; on raw scores the loss falls for ever, and is
    negative at the end. The correction puts scores through Keras' log-softmax.
    """
    loaded = load_data(data).standardized().flat()
    of_seed = partial(loaded.subset, images)
    trained = arm(
        perceptron,
        partial(_nll, inputs=inputs),
        of_seed,
        of_seed,
        steps=steps,
        every=steps,
        metrics={"error": _error},
        inputs=loaded.x_train.shape[1],
        outputs=classes,
        hidden=0,
    )
    tables = [trained(seeds=list(seeds), learning_rate=0.1).records.assign(of="training")]
    for seed in seeds:
        generator = np.random.default_rng(seed)
        scores = generator.normal(scale=2.0, size=(examples, classes)).astype(np.float32)
        labels = generator.integers(classes, size=examples)
        weights = generator.uniform(0.5, 2.0, size=classes).astype(np.float32)[labels]
        losses = weights * keras.ops.convert_to_numpy(_nll(labels, keras.ops.convert_to_tensor(scores), inputs=inputs))
        expected = -weights * scipy.special.log_softmax(scores.astype(float), axis=1)[np.arange(examples), labels]
        columns = {"loss": losses, "negative_log_likelihood": expected}
        tables.append(pd.DataFrame({"seed": seed, "of": "loss", **columns}))
    return pd.concat(tables, ignore_index=True)


def _nll(targets, outputs, *, inputs):
    x = outputs if inputs == "raw scores" else keras.ops.log_softmax(outputs)
    one_hot = keras.ops.one_hot(targets, outputs.shape[-1], dtype=outputs.dtype)
    return -keras.ops.sum(one_hot * x, axis=-1)


def _error(targets, outputs):
    return 1 - keras.metrics.sparse_categorical_accuracy(targets, outputs)
